"""What a table of the paper needs: the data of its benchmarks, and a trial for each of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dashfusion_models.errors import ConfigError, DataError, WeightsError
from dashfusion_models.records import MODALITIES
from dashfusion_models.weights import is_folder
from dashfusion_training.benchmarks import SPLITS, benchmark
from dashfusion_training.build import encoder_facts
from dashfusion_training.config import TrainConfig, changed, read_preset, with_settings
from dashfusion_training.paper.published import PaperRow, PaperTable
from dashfusion_training.paper.trials import Trial, canonical, trial_folder
from dashfusion_training.store_facts import StoreFacts, describe

__all__ = ["Plan", "Request", "plan_of"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which table to reproduce, from what, and where to.

    `preset_suffix` is "" for the paper's presets and "-authors" for those of the authors' code;
    `settings` change them, as `train --set` does.
    """

    table: PaperTable
    data_root: Path
    output: Path
    seeds: int = 5
    preset_suffix: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    offline: bool = False

    def config(self, name: str) -> TrainConfig:
        """The settings of the full model on a benchmark.

        Raises:
            ConfigError: an unknown key, an impossible value, or a key that the rows differ in.
        """
        if "seed" in self.settings:
            raise ConfigError("seed: is given by the number of seeds; use --seeds")
        varied = {key for row in self.table.rows for key in row.changes or {}}
        for key in sorted(varied & self.settings.keys()):
            raise ConfigError(f"{key}: is what {self.table.name} compares; leave it to the table")
        config = with_settings(read_preset(name + self.preset_suffix), self.settings)
        # One folder is one encoder, by whichever path it is called.
        encoder = config.text_encoder
        named = {"text_encoder": str(Path(encoder).resolve())} if is_folder(encoder) else {}
        return changed(config, named)

    @property
    def name(self) -> str:
        """The name of the table's files: those of other presets have a name of their own."""
        return self.table.name + self.preset_suffix


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the table of a request needs.

    `stores` are the benchmarks that have data, `problems` say of the others why not. `trials` are
    known by the number of their row and their benchmark.
    """

    request: Request
    stores: Mapping[str, StoreFacts]
    problems: Mapping[str, str]
    trials: Mapping[tuple[int, str], Trial]

    @property
    def table(self) -> PaperTable:
        """The table of the paper."""
        return self.request.table

    @property
    def different_trials(self) -> list[Trial]:
        """Every trial once, however many rows it stands in."""
        return list({trial.folder: trial for trial in self.trials.values()}.values())


def plan_of(request: Request) -> Plan:
    """Look at what is there, and say what is to be trained.

    Raises:
        ConfigError: an unknown key or an impossible value.
    """
    table = request.table
    stores: dict[str, StoreFacts] = {}
    problems: dict[str, str] = {}
    trials: dict[tuple[int, str], Trial] = {}
    for name in table.benchmarks:
        request.config(name)  # a wrong setting is an error also where data are missing
        try:
            stores[name] = _store(name, request.data_root)
            if table.needs_training:
                _require_all(stores[name], name)
                trials |= _trials(name, request, stores[name])
        except (DataError, WeightsError) as error:
            problems[name] = str(error)
    return Plan(request=request, stores=stores, problems=problems, trials=trials)


def _store(name: str, data_root: Path) -> StoreFacts:
    """What is in the store of a benchmark.

    Raises:
        DataError: there is none; the message says where to get the benchmark's file.
    """
    folder, form = data_root / name, benchmark(name)
    if not (folder / "store.json").is_file():
        raise DataError(
            f"{form.title}: no store at {folder}; get {form.file_name} (SHA-256 {form.sha256}), "
            f"{form.home}; then `dashfusion data prepare {name} FILE --output {folder}`"
        )
    facts = describe(folder)
    made_for = (facts.source or {}).get("benchmark", name)
    if made_for != name:
        raise DataError(
            f"{form.title}: {folder} was made of {made_for}'s file; prepare {name}'s there: "
            f"{form.file_name} (SHA-256 {form.sha256}), {form.home}"
        )
    return facts


def _require_all(facts: StoreFacts, name: str) -> None:
    """Refuse a store that lacks a split or a modality, or has other features than the paper's."""
    form = benchmark(name)
    way_out = f"prepare {form.file_name} (SHA-256 {form.sha256}), {form.home}"
    for split in SPLITS:
        found = facts.splits.get(split, {})
        for modality in MODALITIES:
            if not found.get(modality):
                raise DataError(
                    f"{form.title}: {facts.path} has no {modality} in split {split}; {way_out}"
                )
    dims = {m: facts.features[m]["dims"] for m in ("audio", "vision")}
    if dims != {"audio": form.audio_dims, "vision": form.vision_dims}:
        raise DataError(
            f"{form.title}: {facts.path} holds other features than the paper's; {way_out}"
        )


def _trials(name: str, request: Request, facts: StoreFacts) -> dict[tuple[int, str], Trial]:
    base = request.config(name)
    _, encoder = encoder_facts(base.text_encoder, offline=request.offline)
    return {
        (number, name): _trial(row, name, request, facts, encoder)
        for number, row in enumerate(request.table.rows)
        if row.changes is not None
    }


def _trial(
    row: PaperRow, name: str, request: Request, facts: StoreFacts, encoder: Mapping[str, str]
) -> Trial:
    config = canonical(changed(request.config(name), dict(row.changes or {})))
    runs = request.output / "runs"
    return Trial(
        name=f"{benchmark(name).title}, {row.method}",
        benchmark=name,
        config=config,
        store=Path(facts.path),
        folder=trial_folder(runs, name, config, data=facts.digest, text_encoder=encoder),
    )
