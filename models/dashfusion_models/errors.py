"""Every error that a user can meet, as one tree.

DashfusionError
├── ConfigError            a setting, option or preset key that makes no sense
├── MediaError             a file that cannot be read, or holds nothing that can be scored
│   └── NothingToScore     readable, but with neither speech nor a face, or none of them wanted
├── SpeechError            the speech engine is missing or failed
├── FaceError              the face engine is missing or failed
├── WeightsError           pretrained weights that are missing, unfinished or altered
├── CheckpointError        a file that is no checkpoint, or one made for other features
├── DeviceError            a device that was asked for and is not there
├── DataError              a manifest, store or benchmark file that cannot be used
│   └── TranscriptError    a given transcript that cannot be used
├── DiskError              no room for temporary files
├── FolderError            a folder of results that cannot be used, or workers that do not start
└── TrainingError          a training that cannot start or go on

A message reads `<what>: <fact>; <way out>` in one line; the command line prints it as it is.
"""

from pathlib import Path

__all__ = [
    "CheckpointError",
    "ConfigError",
    "DashfusionError",
    "DataError",
    "DeviceError",
    "DiskError",
    "FaceError",
    "FolderError",
    "MediaError",
    "NothingToScore",
    "SpeechError",
    "TrainingError",
    "TranscriptError",
    "WeightsError",
]


class DashfusionError(Exception):
    """The root: anything that a user can mend."""


class ConfigError(DashfusionError):
    """A setting, option or preset key that makes no sense."""


class MediaError(DashfusionError):
    """A media file that cannot be read."""


class NothingToScore(MediaError):
    """A readable file without speech and without a face, or with nothing `but` what is not scored.

    `seconds` is how long it is, 0 for a picture; `but` says what is not scored, and the way out.
    """

    def __init__(self, media: Path, seconds: float, *, but: str | None = None) -> None:
        where = f" in {seconds:.1f} s" if seconds else ""
        what = "neither speech nor a face" if seconds else "no face"
        fact = f"{what} found{where}; check that it is the right file"
        if but is not None:
            fact = f"nothing found{where} but {but}"
        super().__init__(f"{media}: {fact}")


class SpeechError(DashfusionError):
    """The speech engine is missing or failed."""


class FaceError(DashfusionError):
    """The face engine is missing or failed."""


class WeightsError(DashfusionError):
    """Pretrained weights that are missing, unfinished or altered."""


class CheckpointError(DashfusionError):
    """A file that is no checkpoint of ours, or one made for other features."""


class DeviceError(DashfusionError):
    """A device that was asked for and is not there."""


class DataError(DashfusionError):
    """A manifest, store or benchmark file that cannot be used."""


class TranscriptError(DataError):
    """A given transcript that cannot be read, or holds no words."""


class DiskError(DashfusionError):
    """Temporary files that cannot be written or read."""


class FolderError(DashfusionError):
    """A folder of results that cannot be used or written, or workers that do not start."""


class TrainingError(DashfusionError):
    """A training that cannot start or go on."""
