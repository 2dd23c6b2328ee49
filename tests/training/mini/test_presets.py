"""One recipe makes both checkpoints: what the presets of one have, those of the other have."""

import pytest

from dashfusion_training.config import changed, read_preset

ENCODER = ("text_encoder", "adapter_rank", "adapter_layers")
# Errors of words count as in base-text, where extremes pull more.
DIFFERENT = {"words": {"huber_delta": 0.2}, "senses": {}, "fusion": {}}


@pytest.mark.parametrize("part", DIFFERENT)
def test_the_parts_of_base_are_those_of_mini_on_another_encoder(part: str) -> None:
    mini, base = read_preset(f"mini-{part}"), read_preset(f"base-{part}")
    begun = read_preset("base-text")
    assert {key: getattr(base, key) for key in ENCODER} == {
        key: getattr(begun, key) for key in ENCODER
    }
    assert not base.train_text
    encoder = {key: getattr(base, key) for key in ENCODER}
    assert base == changed(mini, encoder | DIFFERENT[part])


@pytest.mark.parametrize("whose", ["mini", "base"])
def test_every_part_reads_what_was_said_before_and_comments(whose: str) -> None:
    parts = [read_preset(f"{whose}-{part}") for part in ("text", "words", "senses", "fusion")]
    assert {part.context_tokens for part in parts} == {48}
    assert all("goemotions" in part.repeat for part in parts)
    assert parts[-1].storage == "fp16"
