"""Opens one local media file and nothing else.

The bytes come from a Python file object, under a neutral name: a name with `%`, `:` or a leading
`-` means nothing to FFmpeg, formats that refer to other files (playlists, concat scripts, SDP,
numbered pictures) are not on the list of demuxers, and any further open is refused.
"""

import os
from pathlib import Path
from typing import BinaryIO, NoReturn

import av
from av.container import InputContainer
from av.error import FFmpegError

from dashfusion_models.errors import MediaError
from dashfusion_models.media.bounds import MOST_PIXELS
from dashfusion_models.media.png_chunks import PngPicture, without_texts

__all__ = ["open_container", "open_file"]

_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,dv,rm,nut,ivf,"
    "wav,w64,mp3,aac,ac3,eac3,flac,amr,amrnb,amrwb,aiff,au,caf,ape,wv,tta,"
    "gif,apng,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
_CUT_OFF = "is cut off or damaged, its index is missing; copy or download it again"
_HEIC_BRANDS = {"heic", "heix", "heim", "heis", "hevc", "mif1", "msf1"}


class _LocalFile:
    """The open file without its name."""

    name = "media"

    def __init__(self, file: BinaryIO | PngPicture) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def open_file(path: Path) -> BinaryIO:
    """Open a regular, non-empty file for reading.

    Raises:
        MediaError: it is missing, a folder, a pipe or device, empty, or not permitted.
    """
    try:
        if path.is_dir():
            raise MediaError(f"{path}: is a folder; name the files in it")
        if not path.exists():
            raise MediaError(f"{path}: no such file; check the name")
        if not path.is_file():
            raise MediaError(f"{path}: is not a regular file; save it to a file first")
        if os.path.getsize(path) == 0:
            raise MediaError(f"{path}: the file is empty; record or download it again")
        return open(path, "rb", buffering=0)  # FFmpeg has its own buffer
    except OSError as error:
        fact = f"cannot be opened ({error.strerror})"
        raise MediaError(f"{path}: {fact}; check its name and permissions") from error


def open_container(path: Path, file: BinaryIO) -> InputContainer:
    """Let FFmpeg read `file`, and only it; `path` is for messages.

    Raises:
        MediaError: it is not a media file of a kind that stands on its own.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": _DEMUXERS}
    try:
        container = av.open(
            _LocalFile(without_texts(file)),
            "r",
            container_options=options,
            options={"max_pixels": str(MOST_PIXELS)},  # opening decodes a picture of some formats
            io_open=_refuse,
            buffer_size=1 << 16,
        )
    except (FFmpegError, OSError, ValueError) as error:
        file.seek(0)
        raise MediaError(f"{path}: {_why(file.read(4096), error)}") from error
    if not container.streams:
        container.close()
        raise MediaError(f"{path}: {_CUT_OFF}")
    if container.metadata.get("major_brand", "").strip() in _HEIC_BRANDS:
        container.close()
        raise MediaError(f"{path}: is a HEIC picture; convert it to JPEG or PNG")
    return container


def _refuse(url: str, flags: int, options: object) -> NoReturn:
    raise PermissionError(f"a media file may not open another one: {url}")


def _why(head: bytes, error: Exception) -> str:
    """Say in words why the file could not be opened, from how it begins."""
    if b"\0" not in head:
        return "is text, a script or a playlist; name the video, sound or picture file itself"
    if head[4:8] in (b"ftyp", b"mdat", b"moov"):
        return _CUT_OFF
    reason = getattr(error, "strerror", None) or str(error)
    return f"cannot be read as video, sound or picture ({reason}); convert it to MP4, WAV or JPEG"
