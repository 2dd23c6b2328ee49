"""Downloads of named weights: the only use that dashfusion makes of the network."""

import shutil
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dashfusion_models.privacy import silence_telemetry
from dashfusion_models.records import Progress
from dashfusion_models.weights.known import Weight

__all__ = ["Fetch", "Report", "download", "say_nothing"]

Report = Callable[[Progress], None]
Fetch = Callable[[Weight, Path, Report], None]  # writes all files into a folder, or raises

_PIECE_BYTES = 1 << 20
_TIMEOUT_S = 60.0


def say_nothing(_: Progress) -> None:
    """Report to nobody."""


def download(weight: Weight, folder: Path, report: Report = say_nothing) -> None:
    """Download the official files of `weight` into `folder`."""
    if weight.url is not None:
        _from_address(weight, weight.url, folder / weight.files[0].name, report)
    elif weight.hub is not None:
        _from_hub(weight, weight.hub, folder, report)
    else:
        raise LookupError("there is nothing to download")


def _from_address(weight: Weight, address: str, path: Path, report: Report) -> None:
    with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:
        length = answer.headers.get("Content-Length")
        total = float(length) if length else float(weight.size_bytes)
        done = 0
        while piece := answer.read(_PIECE_BYTES):
            file.write(piece)
            done += len(piece)
            report(Progress(f"download {weight.name}", float(done), total, "B"))


def _from_hub(weight: Weight, hub: str, folder: Path, report: Report) -> None:
    silence_telemetry()
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    done = 0.0

    class Listener(tqdm):
        """A progress bar that draws nothing and passes on how far it is."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal done
            done += n or 0
            total = max(float(weight.size_bytes), done)
            report(Progress(f"download {weight.name}", done, total, "B"))
            return None

    for file in weight.files:
        hf_hub_download(
            hub,
            file.name,
            revision=weight.revision,
            local_dir=folder,
            token=False,  # public files: whose machine this is concerns nobody
            tqdm_class=Listener,
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
