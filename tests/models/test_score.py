"""Scores and contributions against separate passes through the network."""

import dataclasses
from typing import Any

import pytest
import torch

from dashfusion_models.analysis import label_of
from dashfusion_models.reasons import length_warnings, reasons_of
from dashfusion_models.records import MODALITIES, Features, Streams, Utterance
from dashfusion_models.score import score
from tests.models.test_checkpoint import planted, sample

CPU = torch.device("cpu")


def test_alone_is_the_score_from_one_modality() -> None:
    checkpoint = planted()
    features = [
        sample(),
        dataclasses.replace(sample(), audio=None),
        dataclasses.replace(sample(), text=None, vision=None),
    ]

    def raw(one: Features) -> float:
        with torch.no_grad():
            return float(checkpoint.network(checkpoint.collate([one])))

    for one, scored in zip(features, score(checkpoint, features, device=CPU), strict=True):
        assert scored.score == pytest.approx(raw(one), abs=1e-5)
        assert scored.base == 0.0  # neutral: the network never learned what nothing is
        for m in MODALITIES:
            if getattr(one, m) is None:
                assert scored.contributions[m] is None
                assert scored.alone[m] is None
            else:
                others = {gone: None for gone in MODALITIES if gone != m}
                by_itself = raw(dataclasses.replace(one, **others))
                assert scored.alone[m] == pytest.approx(by_itself, abs=1e-5)


def test_scores_stay_inside_the_label_range() -> None:
    checkpoint = dataclasses.replace(planted(), label_range=(-0.001, 0.001))
    (scored,) = score(checkpoint, [sample()], device=CPU)
    assert abs(scored.score) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("value", "label"),
    [(-3.0, "strongly negative"), (-0.5, "neutral"), (0.51, "weakly positive"), (2.5, "positive"),
     (2.51, "strongly positive"), (-1.2, "weakly negative")],
)  # fmt: skip
def test_seven_labels(value: float, label: str) -> None:
    assert label_of(value, (-3.0, 3.0)) == label


@pytest.mark.parametrize(
    ("value", "label"),
    [(-1.0, "negative"), (-0.7, "negative"), (-0.5, "weakly negative"), (0.0, "neutral"),
     (0.1, "neutral"), (0.5, "weakly positive"), (0.71, "positive")],
)  # fmt: skip
def test_five_labels_of_ch_sims(value: float, label: str) -> None:
    assert label_of(value, (-1.0, 1.0)) == label


def test_reasons() -> None:
    speech = Utterance(0.0, 0.6, "Oh no.", (), 0.3, times_estimated=True)
    alone = Streams[float | None](text=-1.0, audio=0.8, vision=None)
    features = dataclasses.replace(sample(), vision=None)
    found = reasons_of(speech, features, alone, reads_language=False, label_range=(-3.0, 3.0))
    assert found == (
        "no_face",
        "low_speech_confidence",
        "short",
        "unsupported_language",
        "times_estimated",
        "modalities_disagree",
    )
    silent = Utterance(0.0, 4.0, None, (), None)
    only_face = dataclasses.replace(sample(), text=None, audio=None)
    alone = Streams[float | None](text=None, audio=None, vision=0.4)
    wanted: dict[str, Any] = {"spoken": False, "reads_language": True, "label_range": (-3.0, 3.0)}
    assert reasons_of(silent, only_face, alone, **wanted) == ("no_speech",)


def test_what_is_left_out_is_no_reason() -> None:
    speech = Utterance(0.0, 2.0, "Oh no.", (), 0.3)
    none = Streams[float | None](text=None, audio=0.8, vision=None)
    voice = dataclasses.replace(sample(), text=None, vision=None)
    wanted: dict[str, Any] = {"reads_language": False, "label_range": (-3.0, 3.0)}
    missing = ("no_face", "low_speech_confidence", "unsupported_language")
    assert reasons_of(speech, voice, none, **wanted) == missing
    assert reasons_of(speech, voice, none, left_out=("vision",), **wanted) == missing[1:]
    assert reasons_of(speech, voice, none, left_out=("text", "vision"), **wanted) == ()


def test_utterances_longer_than_the_network_is_made_for_are_told() -> None:
    def reads_all_of(text: str) -> bool:
        return len(text) <= 10

    assert length_warnings([(15.0, "short"), (0.5, "oh")], reads_all_of) == ()
    (long,) = length_warnings([(4.0, "short"), (49.2, "short")], reads_all_of)
    assert long.startswith("scored as one utterance of 49.2 s") and "overall" in long
    assert length_warnings([(4.0, "short"), (9.0, "more than ten")], reads_all_of) == (
        "too many words for one utterance: the last of them are not read (1 of 2 utterances)",
    )
