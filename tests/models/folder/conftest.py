import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dashfusion_models.folder import (
    Batch,
    Facts,
    LocalEngine,
    Outcome,
    Plan,
    Recipe,
    Stop,
    TimeLimit,
    Wanted,
)
from dashfusion_models.folder.survey import look

RECIPE = Recipe("mini", "1" * 64, {"segments": "sentence", "asr_model": "base", "without": []})


@dataclass
class House:
    """A folder of planted files with its results, and what one run after the other made of it."""

    root: Path
    recipe: Recipe = RECIPE
    wanted: dict[str, Any] = field(default_factory=dict)
    plan: Plan | None = None

    @property
    def folder(self) -> Path:
        return self.root / "clips"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def lines(self) -> Path:
        return self.results / "results.jsonl"

    def plant(self, **files: str) -> None:
        self.folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (self.folder / f"{name}.mp4").write_text(f"{text} {name}")

    def task(self) -> Any:
        from planted_work import PlantedTask

        return PlantedTask(str(self.root / "log"))

    def engine(self, workers: int = 2, **limits: float) -> LocalEngine:
        limit = TimeLimit(**{"least_s": 60.0, "per_second": 0.0, "load_s": 60.0, **limits})
        return LocalEngine(self.task(), workers=workers, limit=limit)

    def run(
        self,
        engine: Any = None,
        *,
        force: bool = False,
        stop: Stop | None = None,
        each: Callable[[Outcome], None] = lambda outcome: None,
    ) -> tuple[int, int, int]:
        """One run; returns how many are done, failed, still to do."""
        with Batch(self.results, self.recipe, survey=quick_look, force=force) as batch:
            self.plan = batch.plan(Wanted(folder=self.folder, **self.wanted))
            for outcome, _ in batch.run(engine or self.engine(), stop or Stop()):
                each(outcome)
            return batch.counts()

    def records(self) -> dict[str, dict[str, Any]]:
        found = [json.loads(line) for line in self.lines.read_bytes().splitlines()]
        names = [Path(record["media"]["path"]).stem for record in found]
        assert len(set(names)) == len(names), "a file has two records"
        return dict(zip(names, found, strict=True))

    def kinds(self) -> dict[str, str | None]:
        return {n: r.get("error", {}).get("kind") for n, r in self.records().items()}

    def starts(self) -> Counter[str]:
        log = self.root / "log"
        names = log.read_text().split() if log.exists() else []
        return Counter(Path(name).stem for name in names)


def quick_look(file: str, size: int) -> Facts:
    """A survey in this process."""
    return look(file)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return House(tmp_path)
