"""A store is the same for any engine, any order of its work, and wherever it was stopped."""

import itertools
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from dashfusion_models.engines import Engines
from dashfusion_models.errors import MediaError
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.folder import Job, LocalEngine, Outcome, Stop, attempt
from dashfusion_models.records import Features, FeatureSequence
from dashfusion_models.store import Row, Store
from dashfusion_training import extraction, manifest
from dashfusion_training.extraction import PARTS, ExtractTask, extract_with
from dashfusion_training.manifest import ManifestRow, extract_manifest, read_manifest

DEMO = Path(__file__).parents[2] / "assets" / "demo.mp4"
COUNT = 150  # more than two shards


def planted_row(row: ManifestRow, engines: object) -> tuple[Row, Features, tuple[str, ...]]:
    """Stands in for the road: features that are drawn from the id."""
    if row.file is None:
        return (*manifest.text_alone(row), ())
    if row.id.startswith("bad"):
        raise MediaError(f"{row.file}: cannot be read")
    draw = np.random.default_rng(list(row.id.encode()))

    def frames(dims: int) -> FeatureSequence:
        steps = int(draw.integers(1, 9))
        values = draw.normal(size=(steps, dims)).astype(np.float32)
        return FeatureSequence(values=values, real=np.ones(steps, np.bool_))

    features = Features(
        text=row.text, audio=frames(AUDIO_SPEC.dims), vision=frames(VISION_SPEC.dims)
    )
    return manifest._stored(row, features), features, ()


@dataclass
class Shuffled:
    """An engine in this process that answers in an order of its own, and may be cut off."""

    task: ExtractTask
    done: list[str] = field(default_factory=list)
    cut_after: int | None = None
    workers: int = 7

    def run(self, jobs: Iterator[Job], stop: Stop) -> Generator[Outcome, None, None]:
        work, draw = self.task(), np.random.default_rng(0)
        while some := list(itertools.islice(jobs, self.workers)):
            for place in draw.permutation(len(some)):
                if self.cut_after is not None and len(self.done) >= self.cut_after:
                    raise KeyboardInterrupt
                self.done.append(some[place].path)
                yield attempt(work, some[place])


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ManifestRow]:
    for module in (extraction, manifest):
        monkeypatch.setattr(module, "extract_row", planted_row)
    (tmp_path / "clip.mp4").write_bytes(b"x")
    lines = ["file,text,label,split,id"]
    for k in range(COUNT):
        file = "" if k % 10 == 3 else "clip.mp4"
        lines.append(f"{file},said {k},{k / 100},train,{'bad' if k % 40 == 7 else 'id'}{k}")
    path = tmp_path / "clips.csv"
    path.write_text("\n".join(lines), "utf-8")
    return read_manifest(path)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def alone(rows: list[ManifestRow], folder: Path) -> dict[str, bytes]:
    extract_manifest(rows, folder, Engines(), lambda event: None)
    return content(folder)


def test_any_order_gives_the_same_store(rows: list[ManifestRow], tmp_path: Path) -> None:
    store, warnings = extract_with(
        Shuffled, rows, tmp_path / "many", stop=Stop(), report=lambda event: None
    )
    assert content(tmp_path / "many") == alone(rows, tmp_path / "one")
    assert len(store) == COUNT - 4
    assert len(warnings) == 4
    assert not (tmp_path / "many" / PARTS).exists()


def test_wherever_it_is_cut_off_nothing_is_done_twice(
    rows: list[ManifestRow], tmp_path: Path
) -> None:
    folder, expected = tmp_path / "cut", alone(rows, tmp_path / "one")
    seen: list[str] = []
    for cut in (0, 1, 30, 50):
        engine: list[Shuffled] = []

        def make(task: ExtractTask, cut: int = cut, made: list[Shuffled] = engine) -> Shuffled:
            made.append(Shuffled(task, cut_after=cut))
            return made[0]

        with pytest.raises(KeyboardInterrupt):
            extract_with(make, rows, folder, stop=Stop(), report=lambda event: None)
        seen += engine[0].done
        Store(folder)  # it can be read as it is
    last: list[Shuffled] = []

    def rest(task: ExtractTask) -> Shuffled:
        last.append(Shuffled(task))
        return last[0]

    extract_with(rest, rows, folder, stop=Stop(), report=lambda event: None)
    seen += last[0].done
    good = [name for name in seen if not name.startswith("bad")]
    assert len(good) == len(set(good))
    assert content(folder) == expected


def test_a_sample_that_was_half_written_is_made_again(
    rows: list[ManifestRow], tmp_path: Path
) -> None:
    folder = tmp_path / "half"
    with pytest.raises(KeyboardInterrupt):
        extract_with(
            lambda task: Shuffled(task, cut_after=20), rows, folder, stop=Stop(),
            report=lambda event: None,
        )  # fmt: skip
    shard = next((folder / PARTS).glob("*/shard-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:40])
    extract_with(Shuffled, rows, folder, stop=Stop(), report=lambda event: None)
    assert content(folder) == alone(rows, tmp_path / "one")


@pytest.mark.skipif(not DEMO.is_file(), reason="the demo clip is not here")
def test_worker_processes_give_what_one_process_gives(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "demo.mp4").write_bytes(DEMO.read_bytes())
    lines = ["file,text,label,split,id,start_s,end_s,modalities"]
    lines += [
        f"demo.mp4,He was not an ill-disposed young man.,0.5,train,{k},{k},{k + 2},"
        '"text,audio,vision"'
        for k in range(3)
    ]
    lines += ["broken.mp4,no,1,train,broken,,,", ",a text alone,1,valid,text,,,"]
    (tmp_path / "clips.csv").write_text("\n".join(lines), "utf-8")
    rows = read_manifest(tmp_path / "clips.csv")
    _, warnings = extract_with(
        lambda task: LocalEngine(task, 2), rows, tmp_path / "many", stop=Stop(),
        report=lambda event: None, engines={"offline": True},
    )  # fmt: skip
    assert len(warnings) == 1
    engines = Engines(offline=True)
    try:
        extract_manifest(rows, tmp_path / "one", engines, lambda event: None)
    finally:
        engines.close()
    one, many = Store(tmp_path / "one"), Store(tmp_path / "many")
    assert one.rows == many.rows
    assert len(one) == 4
    for a, b in zip((f for _, f in one), (f for _, f in many), strict=True):
        for modality in ("audio", "vision"):
            x, y = getattr(a, modality), getattr(b, modality)
            assert (x is None) == (y is None)
            if x is not None:
                np.testing.assert_array_equal(x.values, y.values)
                np.testing.assert_array_equal(x.real, y.real)
