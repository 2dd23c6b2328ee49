"""Only the named local file is read; everything else is refused in one clear line."""

import os
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from dashfusion_models.errors import MediaError
from dashfusion_models.media import FrameReader, probe, read_image, read_sound

READERS: list[Callable[[Path], object]] = [
    probe,
    read_sound,
    read_image,
    lambda path: list(FrameReader(path)),
]


def write_wav(path: Path, seconds: float = 0.5) -> Path:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(16_000 * seconds)) / 16_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((tone * 32767).astype("<i2").tobytes())
    return path


def write_picture(path: Path, grey: int) -> Path:
    """A JPEG, whatever the name says (a name with a pattern is written under another first)."""
    plain = path.with_name("plain.jpg")
    with av.open(str(plain), "w", format="mjpeg") as output:
        stream = output.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, dtype=np.uint8))
        output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return plain.rename(path)


SCRIPTS = {
    "concat": "ffconcat version 1.0\nfile '{name}'\n",
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:5.0,\n{name}\n"
    "#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet>'
    '<Representation id="1" bandwidth="1000"><BaseURL>{name}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\n",
    "srt": "1\n00:00:00,000 --> 00:00:02,000\n{name}\n",
    "prose": "This is not a video at all. {name}\n",
}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A named pipe and an event that is set as soon as anybody opens it for reading."""
    pipe, opened, done = tmp_path / "other.wav", threading.Event(), threading.Event()
    os.mkfifo(pipe)

    def wait_for_readers() -> None:
        while not done.is_set():
            with open(pipe, "wb"):  # returns when a reader comes
                if not done.is_set():
                    opened.set()

    thread = threading.Thread(target=wait_for_readers)
    thread.start()
    yield pipe, opened
    done.set()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # lets the thread go
    thread.join()
    os.close(reader)


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_is_refused_and_what_it_names_is_not_opened(
    kind: str, tmp_path: Path, watched: tuple[Path, threading.Event]
) -> None:
    pipe, opened = watched
    script = tmp_path / f"{kind}.mp4"
    script.write_text(SCRIPTS[kind].format(name=pipe.name))
    for read in READERS:
        with pytest.raises(MediaError, match="text, a script or a playlist; name the video"):
            read(script)
        assert not opened.is_set()
    assert not opened.wait(0.05)


def test_the_scripts_of_these_tests_do_open_the_other_file_where_they_may(tmp_path: Path) -> None:
    write_wav(tmp_path / "other.wav")
    script = tmp_path / "concat.mp4"
    script.write_text(SCRIPTS["concat"].format(name="other.wav"))
    with av.open(str(script)) as container:
        assert container.format.name == "concat"
        assert sum(frame.samples for frame in container.decode(audio=0)) == 8_000
    with pytest.raises(MediaError):
        read_sound(script)


@pytest.mark.parametrize("name", ["p%03d.jpg", "p[0-9].jpg", "-", "-i.jpg", "@list.jpg"])
def test_an_odd_name_is_a_plain_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_picture(tmp_path / "p001.jpg", grey=255)
    write_picture(tmp_path / name, grey=60)
    monkeypatch.chdir(tmp_path)
    assert abs(read_image(Path(name)).pixels.mean() - 60) < 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize(
    "name", ["file:x.wav", "http://x.wav", "concat:a|b.wav", "pipe:0", "*?.wav"]
)
def test_a_name_that_looks_like_an_address_is_a_plain_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    write_wav(Path(name))
    assert read_sound(Path(name)).samples.size == 8_000


def not_there(folder: Path) -> Path:
    return folder / "missing.mp4"


def empty(folder: Path) -> Path:
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def noise(folder: Path) -> Path:
    values = np.random.default_rng(1).integers(0, 256, 20_000, dtype=np.uint8)
    (folder / "noise.mp4").write_bytes(values.tobytes())
    return folder / "noise.mp4"


def without_index(folder: Path) -> Path:
    path = folder / "cut.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16_000), dtype=np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    path.write_bytes(path.read_bytes()[:200])
    return path


def device(folder: Path) -> Path:
    return Path(os.devnull)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (not_there, "no such file; check the name"),
        (lambda folder: folder, "is a folder; name"),
        (empty, "the file is empty; record"),
        (noise, "cannot be read as video, sound or picture"),
        (without_index, "is cut off or damaged, its index is missing; copy"),
        pytest.param(
            device,
            "is not a regular file; save",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="NUL is no path there"),
        ),
    ],
)
def test_an_unreadable_file_is_one_clear_line(
    make: Callable[[Path], Path], fact: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    for read in READERS:
        with pytest.raises(MediaError) as raised:
            read(path)
        message = str(raised.value)
        assert message.startswith(f"{path}: ") and fact in message and "; " in message
        assert "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_a_file_of_subtitles_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "subtitles.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_mux_stream("subrip")
        output.start_encoding()
        packet = av.Packet(b"Hello")
        packet.stream, packet.pts, packet.dts, packet.duration = stream, 0, 0, 1000
        output.mux(packet)
    for read in READERS:
        with pytest.raises(MediaError, match="neither sound nor pictures; check"):
            read(path)


def test_the_file_is_closed_afterwards(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav")
    for read in READERS[:2]:
        read(path)
    path.rename(tmp_path / "b.wav")  # Windows refuses while anybody has it open
    (tmp_path / "b.wav").unlink()
