"""Loads MediaPipe's face landmarker, and keeps it from reporting its use.

MediaPipe sends statistics of its use to play.googleapis.com (seen in version 1.2) and has no
switch for that. It heeds the proxy settings of its process, so they are made to lead nowhere.
"""

import os
from pathlib import Path
from typing import Any

from dashfusion_models.errors import FaceError

__all__ = ["CUT_OFF", "MOST_FACES", "cut_off", "landmarker"]

MOST_FACES = 4
CUT_OFF = dict.fromkeys(  # a way to the web that ends at a door of this machine that is shut
    ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9"
)
SYSTEM_LIBRARIES = "libegl1 libgles2 libgl1"


def cut_off() -> None:
    """Cut this process off from the web, for all libraries that heed the proxy settings.

    MediaPipe reports its use to play.googleapis.com and has no switch for that.
    """
    os.environ.update(CUT_OFF)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)


def landmarker(model: Path, *, video: bool) -> Any:
    """Load the face landmarker."""
    cut_off()
    if not model.is_file():
        raise FaceError(f"{model}: there is no face model; install dashfusion again")
    try:
        from mediapipe.tasks.python import BaseOptions, vision

        mode = vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE

        class Options(BaseOptions):  # type: ignore[misc]
            """Leave the engine without certificates: a report that found a way would still fail."""

            def to_ctypes(self) -> Any:
                plain = super().to_ctypes()
                plain.ca_bundle_path = os.devnull.encode()
                return plain

        options = vision.FaceLandmarkerOptions(
            base_options=Options(model_asset_buffer=model.read_bytes()),
            running_mode=mode,
            num_faces=MOST_FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        return vision.FaceLandmarker.create_from_options(options)
    except (ImportError, OSError) as error:
        raise FaceError(
            f"face engine: {error}; install mediapipe and its system libraries "
            f"(Debian and Ubuntu: apt-get install {SYSTEM_LIBRARIES})"
        ) from error
    except (RuntimeError, ValueError) as error:
        fact = " ".join(str(error).split())
        raise FaceError(
            f"{model}: the face engine refuses it ({fact}); use the .task file that comes with us"
        ) from error
