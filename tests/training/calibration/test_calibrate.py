"""A calibration finds what was planted, and its intervals hold what they say on fresh data."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.calibration import Calibration, Thresholds, present_in
from dashfusion_models.checkpoint import load_checkpoint, save_checkpoint, storage_of
from dashfusion_models.errors import DataError
from dashfusion_models.score import score
from dashfusion_models.storage import STORAGES, Storage
from dashfusion_models.store import Store
from dashfusion_training.calibrate import fit_calibration, main
from dashfusion_training.calibration.conformal import fit_overall, whole_files
from dashfusion_training.calibration.coverage import (
    calibrated_scores,
    coverage,
    coverage_of,
    overall_coverage_of,
)
from dashfusion_training.calibration.held_out import Predictions, join
from dashfusion_training.calibration.shown import crossfitted
from tests.training.calibration.planted_predictions import (
    ALL_THREE,
    CPU,
    RANGE,
    by_group,
    planted,
    write_csv,
)
from tests.training.untrained import untrained


def test_half_widths_are_the_quantiles_that_were_planted() -> None:
    made = fit_calibration(planted(8000, 1, by_group), label_range=RANGE)
    assert made.grouping.short_words == 10
    assert made.grouping.weak == pytest.approx(0.75, abs=0.03)
    for name, reach in (
        ("long/weak", 0.5), ("long/strong", 0.8), ("short/weak", 1.1), ("short/strong", 1.4),
    ):  # fmt: skip
        width = made.widths[f"{ALL_THREE}/{name}"]
        assert width.half == pytest.approx(0.8 * reach, abs=0.04)
        assert width.n == pytest.approx(2000, abs=150)
    assert made.widths["all"].n == made.widths[ALL_THREE].n == 8000
    assert made.lines[ALL_THREE].slope == pytest.approx(1.0, abs=0.03)
    assert made.thresholds == Thresholds()


@pytest.mark.parametrize("n", [120, 1000])
def test_intervals_hold_four_in_five_of_fresh_labels(n: int) -> None:
    made = fit_calibration(planted(n, 2, by_group), label_range=RANGE)
    for words in (range(1, 11), range(11, 21)):  # in either group, not only on the whole
        fresh = planted(4000, 3, by_group)
        found = coverage_of(made, fresh.rows(np.isin(fresh.words, list(words))))
        assert abs(found.share - 0.8) < 2 * found.std_error
    assert coverage_of(made, fresh).n == 4000


def test_a_coverage_by_hand() -> None:
    label, low = np.array([0.0, 1.0, 2.0, 3.0]), np.array([-1.0, 0.0, 0.0, 0.0])
    found = coverage(label, low, low + 2.0, n_calibration=100)
    assert found.share == 0.75
    assert found.mean_width == 2.0
    assert found.std_error == pytest.approx(math.sqrt(0.8 * 0.2 * (1 / 100 + 1 / 4)))


def test_a_coverage_counts_the_groups_that_spoke() -> None:
    made = fit_calibration(planted(400, 4, by_group), label_range=RANGE)
    fresh = planted(500, 5, by_group)
    names = [
        made.width_of(float(score), present=present_in(ALL_THREE), words=int(w))[0]
        for score, w in zip(calibrated_scores(made, fresh), fresh.words, strict=True)
    ]
    part = sum((names.count(g) / 500) ** 2 / made.widths[g].n for g in set(names))
    expected = math.sqrt(0.16 * (part + 1 / 500))
    assert coverage_of(made, fresh).std_error == pytest.approx(expected)


def test_a_small_combination_falls_back_to_everything() -> None:
    few, enough = (
        planted(n, n, lambda raw, words: 2.0, present=(name,) * n, words=np.full(n, math.nan))
        for name, n in (("audio", 39), ("vision", 40))
    )
    made = fit_calibration(join([planted(900, 6, by_group), few, enough]), label_range=RANGE)
    assert made.widths["audio"].n == 39  # stated, and passed over
    assert made.width_of(0.0, present=present_in("audio"), words=None)[0] == "all"
    assert made.width_of(0.0, present=present_in("vision"), words=None)[0] == "vision"
    assert made.width_of(0.0, present=present_in(ALL_THREE), words=3)[0] == "/".join(
        (ALL_THREE, "short", "weak")
    )


def test_too_few_for_an_interval_are_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        fit_calibration(planted(3, 0, by_group), label_range=RANGE)
    assert fit_calibration(planted(4, 0, by_group), label_range=RANGE).widths["all"].n == 4


def test_recognised_texts_decide_where_there_are_enough() -> None:
    given = planted(500, 7, lambda raw, words: 0.0)
    raw = np.linspace(-2, 2, 60)
    heard = planted(60, 8, by_group, raw=raw, label=0.5 * raw, recognised=np.ones(60, np.bool_))
    line = fit_calibration(join([given, heard]), label_range=RANGE).lines[ALL_THREE]
    assert line.n == 60
    assert line.slope == pytest.approx(0.75 * 0.5 + 0.25)
    less = heard.rows(np.arange(60) < 39)
    assert fit_calibration(join([given, less]), label_range=RANGE).lines[ALL_THREE].n == 539


def videos(seed: int, count: int) -> Predictions:
    """Videos of 2 to 12 utterances that are all wrong by the same, evenly up to 1."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(2, 13, count)
    video = tuple(f"{seed}/{k}" for k, size in enumerate(sizes) for _ in range(size))
    found = planted(len(video), seed, by_group, video=video)
    error = np.repeat(draw.uniform(-1, 1, count), sizes)
    return dataclasses.replace(found, label=found.raw + error)


def test_the_intervals_of_whole_files() -> None:
    made = fit_calibration(videos(10, 1500), label_range=RANGE)
    assert set(made.overall) == {"2-4", "5-9", "10+", "all"}
    assert all(width.half == pytest.approx(0.8, abs=0.05) for width in made.overall.values())
    assert sum(w.n for name, w in made.overall.items() if name != "all") == 1500
    found = overall_coverage_of(made, videos(11, 600))
    assert found is not None
    assert found.n == 600
    assert abs(found.share - 0.8) < 2 * found.std_error
    assert overall_coverage_of(made, planted(50, 12, by_group)) is None  # no videos
    assert fit_overall(whole_files(planted(9, 1, by_group), np.zeros(9))) == {}


def test_whole_files_without_words_have_intervals_of_their_own() -> None:
    """From voice and face the same videos are wrong by twice as much."""
    found = videos(14, 1500)
    bare = dataclasses.replace(
        found,
        present=tuple("audio+vision" for _ in found.present),
        words=np.full(len(found), np.nan),
        label=found.raw + 2 * (found.label - found.raw),
    )
    made = fit_calibration(join([found, bare]), label_range=RANGE)
    assert len(made.overall) == 8
    for name, width in made.overall.items():
        wide = name.startswith("without words/")
        assert width.half == pytest.approx(1.6 if wide else 0.8, abs=0.15)
    for one in (found, bare):
        held = overall_coverage_of(made, one)
        assert held is not None and held.n == 1500
        assert abs(held.share - 0.8) < 3 * held.std_error


@pytest.mark.parametrize(("count", "n"), [(39, 339), (40, 40)])
def test_whole_files_of_given_texts_count_where_few_are_recognised(count: int, n: int) -> None:
    given, heard = videos(12, 300), videos(13, count)
    heard = dataclasses.replace(heard, recognised=np.ones(len(heard), np.bool_))
    found = join([given, heard])
    made = fit_calibration(found, label_range=RANGE)
    assert made.lines[ALL_THREE].n == len(heard)  # what is said of an utterance is as before
    assert made.overall["all"].n == n
    bent = dataclasses.replace(found, label=np.where(found.recognised, found.label, -found.label))
    same = crossfitted(bent, RANGE, found.recognised)
    np.testing.assert_array_equal(same, crossfitted(found, RANGE, found.recognised))
    alone = crossfitted(heard, RANGE)
    np.testing.assert_array_equal(same[found.recognised], alone)
    # Scores that teach nothing are straightened too, by the lines of the recognised ones.
    assert (same[~found.recognised] != found.raw[~found.recognised]).all()


def test_reasons_take_their_thresholds_from_the_data() -> None:
    draw = np.random.default_rng(14)
    seconds = draw.uniform(0.2, 4.0, 2000)
    sure = draw.uniform(0.0, 1.0, 2000)
    raw = draw.uniform(-1, 1, 2000)
    error = np.where(sure < 0.3, 1.0, 0.5) * draw.choice([-1, 1], 2000)
    found = planted(2000, 14, by_group, raw=raw, label=raw + error, confidence=sure,
                    duration_s=seconds)  # fmt: skip
    made = fit_calibration(found, label_range=RANGE)
    assert made.thresholds.low_confidence == pytest.approx(0.3, abs=0.051)
    assert made.thresholds.short_s == Thresholds().short_s  # duration changed nothing


def test_the_disagreement_is_that_of_calibrated_scores() -> None:
    agreeing = np.tile([-0.5, 0.0, 0.5], (50, 1))  # from text, voice and face alone
    raw = np.linspace(-2, 2, 4000)
    found = planted(4000, 16, by_group, raw=raw, label=raw)
    plain = fit_calibration(found, label_range=RANGE, agreeing=agreeing)
    assert plain.thresholds.opposed == pytest.approx(0.51)
    narrow = fit_calibration(
        dataclasses.replace(found, label=raw / 3, raw=raw / 3), label_range=(-1.0, 1.0),
        agreeing=agreeing,
    )  # fmt: skip
    assert narrow.base == pytest.approx(float(np.mean(raw / 3)), abs=0.05)
    assert narrow.thresholds.opposed == pytest.approx(1.51)  # as on [-3, 3]


@pytest.mark.parametrize("storage", STORAGES)
def test_the_command(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path, storage: Storage,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    checkpoint = untrained(tiny_encoder, training={"epoch": 3})
    save_checkpoint(checkpoint, before, storage=storage)
    folds = write_csv(
        tmp_path / "folds.csv",
        *((k, k % 5 - 2, 0.1, "text", 9, f"v{k % 9}", 0.9, 2.0) for k in range(45)),
    )
    asked = ["--checkpoint", str(before), "--output", str(after), "--device", "cpu",
             "--dataset", str(planted_store.folder), "--predictions", str(folds)]  # fmt: skip
    assert main(asked) == 0
    assert "file all: +- " in capsys.readouterr().out
    found = load_checkpoint(after)
    assert isinstance(found.calibration, Calibration)
    assert found.calibration.lines["text"].n == 45  # recognised; the 60 given ones are not like it
    assert found.calibration.lines[ALL_THREE].n == 60
    assert found.calibration.widths["all"].n == 6 * 60 + 45
    assert found.calibration.overall["5-9"].n == 9
    assert found.training["epoch"] == 3
    assert found.training["calibrated_on"] == {
        "stores": [planted_store.folder.name], "predictions": ["folds.csv"],
    }  # fmt: skip
    assert storage_of(after) == storage
    same = zip(found.network.state_dict().values(),
               load_checkpoint(before).network.state_dict().values(), strict=True)  # fmt: skip
    assert all(torch.equal(a, b) for a, b in same)
    (scored,) = score(found, [planted_store[0]], device=CPU)
    assert scored.interval is not None
    assert scored.interval[0] <= scored.score <= scored.interval[1]
    assert {p.name for p in tmp_path.iterdir()} == {before.name, after.name, folds.name}
    assert main(asked) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*asked, "--force"]) == 0


def test_nothing_is_written_where_something_is_wrong(
    small_store: Store, tiny_encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tmp_path / "before.safetensors"
    save_checkpoint(untrained(tiny_encoder), before)
    bad = write_csv(tmp_path / "bad.csv", ("a", 9, 0, "text", 2, "", "", ""))
    good = write_csv(tmp_path / "good.csv", ("a", 1, 0, "text", 2, "", "", ""))
    store = ["--dataset", str(small_store.folder)]
    for output, more, fact in (
        ("after.safetensors", [], "nothing to calibrate it on"),
        ("after.safetensors", ["--predictions", str(bad)], "line 2: label"),
        ("no/such/after.safetensors", store, "cannot be written"),
        ("after.safetensors", [*store, str(small_store.folder)], "two stores have one name"),
        ("after.safetensors", [*store, *store], "two stores have one name"),
        (
            "after.safetensors",
            ["--predictions", str(bad), "--predictions", str(good)],
            "line 2: label",
        ),
    ):
        asked = ["--checkpoint", str(before), "--output", str(tmp_path / output), *more]
        assert main([*asked, "--device", "cpu"]) == 1
        assert fact in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {before.name, bad.name, good.name}
