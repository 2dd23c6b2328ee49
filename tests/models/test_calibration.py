"""What a calibration says can be worked out on paper; what makes no sense is refused."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from dashfusion_models.analysis import Segment
from dashfusion_models.analyzer import Analyzer
from dashfusion_models.calibration import (
    COMBINATIONS,
    Calibration,
    Grouping,
    Line,
    Thresholds,
    Width,
    combination_of,
    count_words,
    present_in,
    size_class,
)
from dashfusion_models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, storage_of
from dashfusion_models.engines import Engines
from dashfusion_models.errors import CheckpointError, ConfigError
from dashfusion_models.extract import Extracted, Request
from dashfusion_models.overall import overall_of
from dashfusion_models.reasons import reasons_of
from dashfusion_models.records import MODALITIES, Features, Streams, Utterance
from dashfusion_models.score import score
from dashfusion_models.storage import STORAGES, Storage
from tests.models.test_checkpoint import planted, sample

CPU = torch.device("cpu")
EVERYTHING = Streams(text=True, audio=True, vision=True)
FACE = Streams(text=False, audio=False, vision=True)


def calibration(**changes: object) -> Calibration:
    made = Calibration(
        label_range=(-3.0, 3.0),
        grouping=Grouping(short_words=5, weak=1.0),
        widths={
            "all": Width(half=2.0, n=900),
            "text+audio+vision": Width(half=1.5, n=300),
            "text+audio+vision/short": Width(half=1.8, n=100),
            "text+audio+vision/short/weak": Width(half=1.0, n=60),
            "text+audio+vision/short/strong": Width(half=9.0, n=39),
            "vision/weak": Width(half=0.7, n=40),
        },
        lines={
            "text+audio+vision": Line(slope=0.5, offset=0.25, n=300),
            "text+audio": Line(slope=2.0, offset=0.0, n=80),
            "vision": Line(slope=0.1, offset=-1.0, n=80),
        },
        overall={
            "all": Width(half=0.9, n=79),
            "2-4": Width(half=1.1, n=40),
            "5-9": Width(half=0.1, n=39),
        },
        thresholds=Thresholds(low_confidence=0.7, short_s=2.0, opposed=0.2),
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    ("score", "present", "words", "half"),
    [
        (0.5, EVERYTHING, 5, 1.0),
        (-1.0, EVERYTHING, 5, 1.0),
        (-1.5, EVERYTHING, 5, 1.8),  # 39 strong ones are too few
        (0.5, EVERYTHING, 6, 1.5),  # nothing known of long ones
        (0.5, FACE, None, 0.7),
        (0.5, FACE, 3, 0.7),  # words that were not scored do not count
        (1.5, FACE, None, 2.0),  # neither strong ones nor all faces: the pool
        (0.0, Streams(text=True, audio=False, vision=False), 3, 2.0),
    ],
)
def test_a_group_that_is_too_small_leaves_it_to_its_parent(
    score: float, present: Streams[bool], words: int | None, half: float
) -> None:
    found = calibration().interval_of(score, present=present, words=words)
    assert found == pytest.approx((max(-3.0, score - half), min(3.0, score + half)))


@pytest.mark.parametrize("score", [-3.0, -2.9, 0.0, 2.5, 3.0])
def test_an_interval_stays_inside_the_range_and_holds_the_score(score: float) -> None:
    for present in (EVERYTHING, FACE):
        low, high = calibration().interval_of(score, present=present, words=9)
        assert -3.0 <= low <= score <= high <= 3.0
    found = calibration().overall_interval(score, 3)
    assert found is not None
    assert -3.0 <= found[0] <= score <= found[1] <= 3.0


@pytest.mark.parametrize(
    ("raw", "present", "shown"),
    [
        (1.0, EVERYTHING, 0.75),
        (2.0, Streams(text=True, audio=True, vision=False), 3.0),  # 4, clipped
        (7.0, EVERYTHING, 3.0),  # 3.75, clipped: the raw score itself is not
        (1.2, Streams(text=True, audio=False, vision=False), 1.2),  # no line
        (0.4, Streams(text=False, audio=False, vision=False), 0.0),  # nothing: the base
    ],
)
def test_a_line_straightens_the_score_of_its_combination(
    raw: float, present: Streams[bool], shown: float
) -> None:
    name = combination_of(present)
    assert calibration().calibrated({name: raw}, present=present) == pytest.approx(shown)


@pytest.mark.parametrize(
    ("words", "voice", "everything", "shown"),
    [
        (1.0, 0.6, 2.5, 1.0),  # 1.2 against 1 and 1.5 against 1.2: too little to be heard
        (1.0, 1.1, 5.0, 1.95),  # 2.2 against 1, less 0.3; 2.75 against 2.2, less 0.5
        (1.0, 0.45, 5.0, 2.35),  # 0.9 against 1: unheard; 2.75 against 0.9, less 0.5
        (1.0, 0.5, -9.5, -2.5),  # -4.5, which is -3, against 1, less 0.5
    ],
)
def test_voice_and_face_count_beside_words_where_they_say_something(
    words: float, voice: float, everything: float, shown: float
) -> None:
    careful = calibration(caution={"audio": 0.3, "vision": 0.5})
    raw = {"text": words, "text+audio": voice, "text+audio+vision": everything, "vision": 9.0}
    assert careful.calibrated(raw, present=EVERYTHING) == pytest.approx(shown)
    assert careful.calibrated(raw, present=FACE) == calibration().calibrated(raw, present=FACE)


@pytest.mark.parametrize(
    ("n_segments", "half"), [(0, None), (1, None), (2, 1.1), (4, 1.1), (5, 0.9), (10, 0.9)]
)
def test_a_whole_file(n_segments: int, half: float | None) -> None:
    expected = None if half is None else pytest.approx((-half, half))
    assert calibration().overall_interval(0.0, n_segments) == expected
    assert calibration(overall={}).overall_interval(0.0, n_segments) is None
    few = {"all": Width(half=0.9, n=39)}
    assert calibration(overall=few).overall_interval(0.0, n_segments) is None


def test_names() -> None:
    assert len(COMBINATIONS) == 7
    assert all(combination_of(present_in(name)) == name for name in COMBINATIONS)
    assert combination_of(present_in("")) == ""
    assert [size_class(n) for n in (2, 4, 5, 9, 10, 400)] == [
        "2-4", "2-4", "5-9", "5-9", "10+", "10+",
    ]  # fmt: skip
    assert count_words("  I don't  know. ") == 3
    assert count_words("这部电影 very好看") == 7
    assert count_words(" ") == 0


def test_json_round_trip() -> None:
    before = calibration()
    text = json.dumps(before.to_dict(), allow_nan=False)
    assert Calibration.from_dict(json.loads(text)) == before
    whole = json.loads(text.replace("0.5", "1"))  # a number without a point is a number
    assert Calibration.from_dict(whole).lines["text+audio+vision"].slope == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"label_range": (3.0, -3.0)},
        {"level": 1.0},
        {"minimum": 0},
        {"widths": {"text": Width(half=1.0, n=90)}},
        {"widths": {"all": Width(half=1.0, n=90), "vision/short": Width(half=1.0, n=90)}},
        {"lines": {"audio+text": Line()}},
        {"overall": {"1": Width(half=1.0, n=90)}},
    ],
)
def test_what_cannot_be_looked_up_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        calibration(**changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Width(half=float("nan"), n=9),
        lambda: Width(half=-1.0, n=9),
        lambda: Width(half=1.0, n=0),
        lambda: Line(slope=-0.1),
        lambda: Line(offset=float("inf")),
        lambda: Grouping(short_words=-1, weak=1.0),
        lambda: Thresholds(low_confidence=1.1),
        lambda: Thresholds(short_s=0.0),
        lambda: Thresholds(opposed=float("nan")),
    ],
)
def test_numbers_without_sense_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


@pytest.mark.parametrize("damage", ["less", "more", "text", "inner"])
def test_damaged_json_is_refused(damage: str) -> None:
    values = calibration().to_dict()
    match damage:
        case "less":
            del values["grouping"]
        case "more":
            values["mood"] = 1
        case "text":
            values["widths"]["all"]["half"] = "wide"
        case "inner":
            values["lines"]["vision"]["colour"] = 1.0
    with pytest.raises(ConfigError, match="calibrate again"):
        Calibration.from_dict(values)


@pytest.mark.parametrize("storage", STORAGES)
def test_it_travels_in_the_checkpoint(tmp_path: Path, storage: Storage) -> None:
    path = tmp_path / "file.safetensors"
    save_checkpoint(
        dataclasses.replace(planted(), calibration=calibration()), path, storage=storage
    )
    assert load_checkpoint(path).calibration == calibration()
    assert storage_of(path) == storage


def test_a_checkpoint_from_before_has_none(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_checkpoint(planted(), path)
    with safe_open(path, framework="pt") as file:
        assert "calibration" not in json.loads(file.metadata()["dashfusion"])
    assert load_checkpoint(path).calibration is None


def test_a_damaged_calibration_is_a_damaged_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_checkpoint(dataclasses.replace(planted(), calibration=calibration()), path)
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    about = json.loads(metadata["dashfusion"])
    about["calibration"]["level"] = 7
    save_file(tensors, path, metadata | {"dashfusion": json.dumps(about)})
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_a_calibration_for_another_scale_is_refused() -> None:
    with pytest.raises(ConfigError, match="calibrate it again"):
        dataclasses.replace(planted(), calibration=calibration(label_range=(-1.0, 1.0)))


def test_what_each_says_alone_is_calibrated() -> None:
    """Against separate passes, each recalibrated by the line of what is left."""
    checkpoint = dataclasses.replace(planted(), calibration=calibration(base=0.3))
    features = [
        sample(),
        dataclasses.replace(sample(), audio=None),
        dataclasses.replace(sample(), text=None, audio=None),
    ]

    def shown(one: Features) -> float:
        with torch.no_grad():
            raw = float(checkpoint.network(checkpoint.collate([one])))
        line = {"text+audio+vision": (0.5, 0.25), "text+audio": (2.0, 0.0), "vision": (0.1, -1.0)}
        slope, offset = line.get(combination_of(one.present), (1.0, 0.0))
        return min(3.0, max(-3.0, slope * raw + offset))

    for one, scored in zip(features, score(checkpoint, features, device=CPU), strict=True):
        assert scored.score == pytest.approx(shown(one), abs=1e-5)
        assert scored.base == pytest.approx(0.3)
        for m in MODALITIES:
            if getattr(one, m) is not None:
                others = {gone: None for gone in MODALITIES if gone != m}
                by_itself = shown(dataclasses.replace(one, **others))
                assert scored.alone[m] == pytest.approx(by_itself, abs=1e-5)


def test_thresholds_of_older_checkpoints_are_read() -> None:
    """What they compared with was contributions; scores have a threshold of their own."""
    old = calibration().to_dict()
    del old["base"], old["thresholds"]["opposed"]
    old["thresholds"]["disagreement"] = 0.1
    read = Calibration.from_dict(old)
    assert (read.thresholds.opposed, read.base) == (0.5, 0.0)


def test_a_file_adds_up_where_modalities_come_and_go() -> None:
    """Weights 1 and 3: what is absent in one segment contributed nothing there."""

    def part(value: float | None, other: float | None) -> Streams[float | None]:
        return Streams(text=value, audio=None, vision=other)

    one = dataclasses.replace(
        _segment(1.0, 1.5), base=0.1, contributions=part(1.4, None), alone=part(1.5, None)
    )
    two = dataclasses.replace(
        _segment(3.0, -0.5), base=0.1, contributions=part(0.2, -0.8), alone=part(0.5, -0.7)
    )
    unscored = dataclasses.replace(_segment(9.0, None), contributions=part(None, None))
    found = overall_of([one, unscored, two], planted())
    assert found.contributions.audio is None
    assert found.contributions.text == pytest.approx((1.4 + 3 * 0.2) / 4)
    assert found.contributions.vision == pytest.approx(3 * -0.8 / 4)
    assert found.alone.vision == pytest.approx(-0.7)
    parts = sum(v for _, v in found.contributions.items() if v is not None)
    assert found.base is not None
    assert found.base + parts == pytest.approx(found.score)


def test_the_score_of_an_utterance_brings_its_interval() -> None:
    checkpoint = dataclasses.replace(planted(), calibration=calibration())
    (scored,) = score(checkpoint, [sample()], device=CPU)  # one word, weak
    assert abs(scored.score) <= 1.0
    assert scored.interval == pytest.approx((scored.score - 1.0, scored.score + 1.0))
    (plain,) = score(planted(), [sample()], device=CPU)
    assert plain.interval is None


def _segment(
    seconds: float,
    value: float | None,
    *,
    half: float | None = 2.0,
    words: bool = True,
) -> Segment:
    parts = Streams[float | None](text=0.1 if words else None, audio=None, vision=None)
    own = None if half is None or value is None else (value - half, value + half)
    return Segment(
        start_s=0.0,
        end_s=seconds,
        text=None,
        speaker=None,
        score=value,
        label="neutral",
        interval=own,
        contributions=parts,
        present=Streams(text=0.0, audio=0.0, vision=1.0),
        speech_confidence=None,
        face=None,
        reasons=(),
    )


def _whole(*segments: Segment, **changes: object) -> tuple[float, float] | None:
    checkpoint = dataclasses.replace(planted(), calibration=calibration(**changes))
    return overall_of(segments, checkpoint).interval


def test_a_file_with_words_has_the_interval_of_whole_files() -> None:
    one, two = _segment(1.0, 0.0), _segment(3.0, 1.0)
    assert _whole(one, two) == pytest.approx((0.75 - 1.1, 0.75 + 1.1))
    assert overall_of([one, two], planted()).interval is None


@pytest.mark.parametrize("words", [True, False])
def test_a_file_of_one_utterance_has_its_interval(words: bool) -> None:
    one, unscored = _segment(1.0, 0.4, half=1.3, words=words), _segment(9.0, None, words=False)
    assert _whole(one) == pytest.approx((-0.9, 1.7))
    assert _whole(unscored, one, unscored) == pytest.approx((-0.9, 1.7))
    checkpoint = dataclasses.replace(planted(), calibration=calibration())
    assert overall_of([unscored, one], checkpoint).score == pytest.approx(0.4)


def test_a_file_without_words_is_as_unsure_as_its_segments() -> None:
    one, two = _segment(1.0, 0.0, half=1.8, words=False), _segment(3.0, 1.0, half=1.4, words=False)
    expected = ((-1.8 - 3 * 0.4) / 4, (1.8 + 3 * 2.4) / 4)
    assert _whole(one, two) == pytest.approx(expected)
    known = calibration().overall | {"without words/all": Width(half=1.2, n=40)}
    assert _whole(one, two, overall=known) == pytest.approx((0.75 - 1.2, 0.75 + 1.2))
    known["without words/all"] = Width(half=1.2, n=39)
    assert _whole(one, two, overall=known) == pytest.approx(expected)


def test_a_file_with_words_in_part_lies_between() -> None:
    said = _segment(1.0, 0.0), _segment(3.0, 1.0)
    seen = _segment(2.0, -1.0, half=1.8, words=False)
    low, high = (4 * (0.75 - 1.1) + 2 * -2.8) / 6, (4 * (0.75 + 1.1) + 2 * 0.8) / 6
    assert _whole(*said, seen) == pytest.approx((low, high))
    assert _whole(seen, *reversed(said)) == pytest.approx((low, high))


def test_without_whole_files_the_intervals_of_the_segments_stand() -> None:
    one, two = _segment(1.0, 0.0, half=1.0), _segment(1.0, 1.0, half=2.0)
    assert _whole(one, two, overall={}) == pytest.approx((-1.0, 2.0))
    assert _whole(one, _segment(1.0, 0.0, half=None), overall={}) is None


def test_the_analyzer_shows_the_interval_and_heeds_the_thresholds() -> None:
    checkpoint = dataclasses.replace(planted(), calibration=calibration())
    (scored,) = score(checkpoint, [sample()], device=CPU)
    utterance = Utterance(0.0, 1.5, "fine", (), 0.6)
    extracted = Extracted(utterance, sample(), Streams(text=1.0, audio=1.0, vision=1.0), None)
    engines = Engines(asr="auto", asr_model="base", device="cpu", offline=True)

    def shown(one: Checkpoint) -> Segment:
        analyzer = Analyzer(one, engines, device=CPU)
        return analyzer._segment(extracted, scored, Request(), reads_language=True)

    assert shown(checkpoint).interval == scored.interval
    assert {"low_speech_confidence", "short"} <= set(shown(checkpoint).reasons)
    assert not {"low_speech_confidence", "short"} & set(shown(planted()).reasons)


def test_reasons_take_the_thresholds_of_the_checkpoint() -> None:
    speech = Utterance(0.0, 1.5, "Oh no.", (), 0.6)
    pulls = Streams[float | None](text=-0.3, audio=0.3, vision=0.0)

    def found(**more: Thresholds) -> tuple[str, ...]:
        return reasons_of(
            speech, sample(), pulls, reads_language=True, label_range=(-3.0, 3.0), **more
        )

    assert found() == ()
    assert found(thresholds=calibration().thresholds) == (
        "low_speech_confidence",
        "short",
        "modalities_disagree",
    )
