"""Everything that the paper's tables need, small: planted files of the official form, prepared."""

from collections.abc import Mapping
from pathlib import Path

from dashfusion_training.benchmarks import BENCHMARKS
from dashfusion_training.official import prepare
from tests.training.official_form import Kind, write_encoder, write_official_file

__all__ = ["write_rehearsal"]


def write_rehearsal(folder: Path, counts: Mapping[str, int], *, kind: Kind, seed: int = 1) -> Path:
    """Write `folder`/data with the stores mosi, mosei and sims, and `folder`/encoder.

    Every benchmark has `counts` samples a split; the official files are prepared and removed.
    Returns the folder of the stores.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    write_encoder(folder / "encoder")
    for name, form in BENCHMARKS.items():
        if not (data / name).exists():
            file = write_official_file(folder / f"{name}.pkl", name, counts, seed=seed, kind=kind)
            prepare(form, file, data / name, lambda progress: None)
            file.unlink()
    return data
