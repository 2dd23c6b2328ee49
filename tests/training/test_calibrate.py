"""A calibration finds what was planted, and its intervals hold what they say on fresh data."""

import csv
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.calibration import COMBINATIONS, Calibration, Line, Thresholds, present_in
from dashfusion_models.checkpoint import holds_half, load_checkpoint, save_checkpoint
from dashfusion_models.errors import DataError
from dashfusion_models.score import score
from dashfusion_models.store import Store
from dashfusion_training.calibrate import fit_calibration, main
from dashfusion_training.config import TrainConfig
from dashfusion_training.conformal import (
    CONFIDENCES,
    conformal_half_width,
    disagreement_above,
    fit_overall,
    rise_below,
    whole_files,
)
from dashfusion_training.coverage import (
    calibrated_scores,
    coverage,
    coverage_of,
    overall_coverage_of,
)
from dashfusion_training.datasets import load_dataset
from dashfusion_training.held_out import (
    COLUMNS,
    Predictions,
    _composed,
    agreeing_scores,
    join,
    predictions_of,
    read_predictions,
)
from dashfusion_training.missing import subset_cases
from dashfusion_training.predict import predict
from dashfusion_training.shown import PRIOR, crossfitted, fit_line, fit_lines
from tests.training.untrained import untrained

CPU = torch.device("cpu")
RANGE = (-3.0, 3.0)
ALL_THREE = "text+audio+vision"


def planted(
    n: int, seed: int, half: Callable[[float, float], float], **more: object
) -> Predictions:
    """Labels even within `half(raw, words)` of the raw score: 0.8 times that holds four in five."""
    draw = np.random.default_rng(seed)
    raw = draw.uniform(-1.5, 1.5, n)
    words = draw.integers(1, 21, n).astype(np.float64)
    reach = np.array([half(float(r), float(w)) for r, w in zip(raw, words, strict=True)])
    values = {
        "id": tuple(f"{seed}-{k}" for k in range(n)),
        "label": raw + draw.uniform(-1.0, 1.0, n) * reach,
        "raw": raw,
        "below": np.full((n, 2), math.nan),
        "present": (ALL_THREE,) * n,
        "words": words,
        "video": ("",) * n,
        "confidence": np.full(n, math.nan),
        "duration_s": np.full(n, math.nan),
        "recognised": np.zeros(n, np.bool_),
    }
    return Predictions(**values | more)


def by_group(raw: float, words: float) -> float:
    """Long and weak 0.5, long and strong 0.8, short and weak 1.1, short and strong 1.4."""
    return (1.1 if words <= 10 else 0.5) + (0.3 if abs(raw) > 0.75 else 0.0)


@pytest.mark.parametrize("n", range(1, 80))
def test_the_conformal_quantile_is_the_exact_one(n: int) -> None:
    residuals = np.random.default_rng(n).normal(size=n)
    rank = next(k for k in range(1, n + 2) if 5 * k >= 4 * (n + 1))  # in whole numbers
    expected = sorted(abs(float(r)) for r in residuals)[rank - 1] if rank <= n else None
    assert conformal_half_width(residuals, 0.8) == expected


def test_a_line_is_least_squares_mixed_with_the_one_that_changes_nothing() -> None:
    raw = np.linspace(-2, 2, 180)
    found = fit_line(raw, 0.5 * raw + 0.3)
    weight = 180 / (180 + PRIOR)
    assert found.slope == pytest.approx(weight * 0.5 + 1 - weight)
    assert found.offset == pytest.approx(weight * 0.3)
    assert fit_line(raw, -raw).slope == pytest.approx(1 - weight)  # 0, not -1
    assert fit_line(raw[:1], raw[:1]) == Line(n=1)
    assert fit_line(np.ones(9), np.arange(9.0)) == Line(n=9)


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


def test_a_score_is_straightened_by_lines_that_never_saw_its_video() -> None:
    found = planted(100, 9, by_group, video=("one",) * 100)
    np.testing.assert_allclose(crossfitted(found, RANGE), found.raw)  # no other video, no line
    several = dataclasses.replace(found, video=tuple(f"v{k % 20}" for k in range(100)))
    changed = np.where(np.arange(100) % 20 == 3, -several.label, several.label)
    before = crossfitted(several, RANGE)
    after = crossfitted(dataclasses.replace(several, label=changed), RANGE)
    ours = np.arange(100) % 20 == 3
    np.testing.assert_array_equal(before[ours], after[ours])
    assert (before[~ours] != after[~ours]).any()


def test_whole_files_by_hand() -> None:
    found = planted(6, 0, by_group).rows(np.ones(6, np.bool_))
    found = dataclasses.replace(
        found,
        id=("a", "a", "b", "c", "d", "e"),
        present=("text", ALL_THREE, "vision", "text", "text", "text"),
        label=np.array([9.0, 1.0, 2.0, 1.0, 3.0, 5.0]),
        video=("x", "x", "x", "y", "y", ""),
        duration_s=np.array([1.0, 1.0, 3.0, 2.0, math.nan, 1.0]),
    )
    first, second = whole_files(found, np.array([9.0, 0.0, 1.0, 0.0, 2.0, 5.0]))
    assert (first.score, first.label, first.n_segments) == (0.75, 1.75, 2)  # the fuller "a"
    assert (second.score, second.label, second.n_segments) == (1.0, 2.0, 2)  # a duration is unknown


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


def test_a_threshold_lies_where_the_error_rises() -> None:
    draw = np.random.default_rng(13)
    values = draw.uniform(0, 1, 600)
    rare = np.where(values < 0.2, 1.5, 1.0)
    assert rise_below(values, rare, CONFIDENCES) == pytest.approx(0.2)
    late = np.where((values > 0.3) & (values < 0.5), 2.0, 1.0)
    assert rise_below(values, late, CONFIDENCES) == pytest.approx(0.5)
    many = draw.uniform(0, 1, 6000)
    noisy = np.where(many < 0.2, 1.5, 1.0) * draw.normal(size=6000)
    assert rise_below(many, noisy, CONFIDENCES) == pytest.approx(0.2, abs=0.051)
    assert rise_below(values, np.ones(600), CONFIDENCES) is None
    assert rise_below(values, 1 + values, CONFIDENCES) is None
    known = np.where(np.arange(600) < 39, values, math.nan)
    assert rise_below(known, rare, CONFIDENCES) is None


def test_chance_rarely_raises_a_threshold() -> None:
    found = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        values, residuals = draw.beta(5, 2, 300), draw.normal(size=300)
        found += rise_below(values, residuals, CONFIDENCES) is not None
    assert found <= 20


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


def test_agreeing_samples_raise_one_alarm_in_ten_at_most() -> None:
    draw = np.random.default_rng(15)
    pulls = draw.normal(0.5, 0.6, (300, 3))
    threshold = disagreement_above(pulls)
    assert threshold is not None

    def fires(at: float) -> int:
        return int(((pulls.max(axis=1) >= at) & (pulls.min(axis=1) <= -at)).sum())

    assert fires(threshold) <= 30 < fires(threshold - 0.02)
    assert disagreement_above(pulls[:39]) is None
    assert disagreement_above(np.abs(pulls)) == 0.1  # they never do: the least that is named
    same = np.tile([0.29, -0.29, 0.0], (50, 1))
    assert disagreement_above(same) == 0.3


def test_the_disagreement_is_that_of_calibrated_scores() -> None:
    agreeing = np.tile([0.0, 0.5, 0.0, -0.5, 0.0], (50, 1))  # pulls: text -0.5, vision +0.5
    raw = np.linspace(-2, 2, 4000)
    found = planted(4000, 16, by_group, raw=raw, label=raw)
    plain = fit_calibration(found, label_range=RANGE, agreeing=agreeing)
    assert plain.thresholds.disagreement == pytest.approx(0.51)
    narrow = fit_calibration(
        dataclasses.replace(found, label=raw / 3, raw=raw / 3), label_range=(-1.0, 1.0),
        agreeing=agreeing,
    )  # fmt: skip
    assert narrow.thresholds.disagreement == pytest.approx(1.51)  # as on [-3, 3]


def write_csv(path: Path, *lines: tuple[object, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(lines)
    return path


def test_predictions_of_a_csv(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "folds.csv",
        ("a", 1.5, 3.25, "vision,text", 4, "v1", 0.75, 2.5),
        ("a", 1.5, 1.0, "audio+vision", "", "v1", 0.75, ""),
        ("b", -3, 0, "text", 2, "", "", ""),
    )
    found = read_predictions(path, RANGE)
    assert found.id == ("folds/a", "folds/a", "folds/b")
    assert found.present == ("text+vision", "audio+vision", "text")
    assert found.video == ("folds/v1", "folds/v1", "")
    assert found.n_words() == [4, None, 2]
    nan = math.nan
    np.testing.assert_array_equal(found.raw, [3.25, 1.0, 0.0])
    np.testing.assert_array_equal(found.label, [1.5, 1.5, -3.0])
    np.testing.assert_array_equal(found.confidence, [0.75, nan, nan])
    np.testing.assert_array_equal(found.duration_s, [2.5, nan, nan])
    np.testing.assert_array_equal(found.recognised, [True, False, False])
    np.testing.assert_array_equal(found.fullest(), [True, False, True])


@pytest.mark.parametrize(
    ("line", "fact"),
    [
        (("a", 4, 0, "text", 2, "", "", ""), "label is '4'; give a number in"),
        (("a", 1, "nan", "text", 2, "", "", ""), "prediction is 'nan'"),
        (("a", 1, 0, "text", "", "", "", ""), "words is ''"),
        (("a", 1, 0, "smell", 2, "", "", ""), "modalities are 'smell'"),
        (("a", 1, 0, "text,smell", 2, "", "", ""), "modalities are"),
        (("a", 1, 0, "", 2, "", "", ""), "modalities are ''"),
        (("a", 1, 0, "text", 2, "", 1.5, ""), "confidence is '1.5'"),
        (("a", 1, 0, "text", 2, "", "", -1), "duration_s is '-1'"),
    ],
)
def test_a_line_without_sense_is_refused(
    tmp_path: Path, line: tuple[object, ...], fact: str
) -> None:
    with pytest.raises(DataError, match=f"line 2: {fact}"):
        read_predictions(write_csv(tmp_path / "x.csv", line), RANGE)


def test_a_csv_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("id,label\na,1\n", "utf-8")
    for name, fact in (("gone.csv", "no such file"), ("short.csv", "no column 'prediction'")):
        with pytest.raises(DataError, match=fact):
            read_predictions(tmp_path / name, RANGE)
    with pytest.raises(DataError, match="has no rows"):
        read_predictions(write_csv(tmp_path / "empty.csv"), RANGE)


def test_a_sample_is_scored_from_every_combination_that_it_has(
    small_store: Store, tiny_encoder: Path
) -> None:
    checkpoint = untrained(tiny_encoder)
    samples = load_dataset({"small": small_store}, "valid", TrainConfig())
    samples[0] = dataclasses.replace(samples[0], modalities=frozenset({"text", "vision"}))
    found = predictions_of(checkpoint, samples, device=CPU)
    assert len(found) == 19 * 7 + 3
    first = [name for name, i in zip(found.present, found.id, strict=True) if i == "small/valid0"]
    assert set(first) == {"text", "vision", "text+vision"}
    for name in COMBINATIONS:
        rows = np.array(found.present) == name
        whole = [s for s in samples if f"small/{s.row.id}" in np.array(found.id)[rows]]
        alone = predict(
            checkpoint.network, checkpoint.collate, whole, device=CPU, modalities=name.split("+")
        )
        np.testing.assert_allclose(found.raw[rows], alone, atol=1e-6)
    assert {c for c in found.words[np.array(["text" in p for p in found.present])]} == {3.0}
    assert not found.recognised.any()


def test_samples_are_composed_to_agree(small_store: Store, tiny_encoder: Path) -> None:
    samples = load_dataset({"small": small_store}, "train", TrainConfig())

    def sign(label: float) -> int:
        return 0 if abs(label) < 0.5 else int(math.copysign(1, label))

    composed = _composed(samples)
    assert len(composed) == len(samples)
    for one in composed:
        assert sign(one.voice.label) == sign(one.face.label) == sign(one.label)
        features = one.features()
        assert features.text == one.row.text
        np.testing.assert_array_equal(features.audio.values, one.voice.features().audio.values)
        np.testing.assert_array_equal(features.vision.values, one.face.features().vision.values)
    checkpoint = untrained(tiny_encoder)
    scores = agreeing_scores(checkpoint, samples, device=CPU)
    assert scores is not None
    left = dict(subset_cases(("text", "audio", "vision")))
    with torch.inference_mode():
        batch = checkpoint.collate([composed[5].features()])
        voiceless = checkpoint.network(left[("text", "vision")](batch, ["x"]))
    assert scores[5, 2] == pytest.approx(float(voiceless), abs=1e-5)
    of_text = untrained(tiny_encoder, training={"config": {"modalities": ["text"]}})
    assert agreeing_scores(of_text, samples, device=CPU) is None


@pytest.mark.parametrize("half", [False, True])
def test_the_command(
    planted_store: Store, tiny_encoder: Path, tmp_path: Path, half: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    checkpoint = untrained(tiny_encoder, training={"epoch": 3})
    save_checkpoint(checkpoint, before, half=half)
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
    assert holds_half(after) is half
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


def test_lines_are_found_for_what_occurs() -> None:
    found = join([planted(30, 1, by_group), planted(20, 2, by_group, present=("text",) * 20)])
    assert {name: line.n for name, line in fit_lines(found).items()} == {ALL_THREE: 30, "text": 20}
