"""What is added to a batch has the size that was asked for, and stays where frames are."""

import pytest
import torch

from dashfusion_training.augment import augmented
from tests.models.network.tiny import random_batch


def test_nothing_asked_nothing_done() -> None:
    batch = random_batch(text=[3], audio=[9], vision=[4])
    assert augmented(batch, noise=0.0, drop=0.0) is batch


def test_noise_and_hidden_steps_have_the_size_that_was_asked_for() -> None:
    torch.manual_seed(0)
    batch = random_batch(text=[3] * 50, audio=[100] * 50, vision=[60] * 49 + [1])
    changed = augmented(batch, noise=0.3, drop=0.25)
    hidden = (batch.audio.real & ~changed.audio.real).float().mean()
    assert float(hidden) == pytest.approx(0.25, abs=0.02)
    kept = changed.audio.real
    difference = (changed.audio.values - batch.audio.values)[kept]
    assert float(difference.std()) == pytest.approx(0.3, abs=0.01)
    assert not changed.audio.values[~kept].any()
    assert changed.vision.real.any(dim=1).all()
    assert not (changed.vision.real & ~batch.vision.real).any()
    torch.testing.assert_close(changed.text.ids, batch.text.ids)


def test_a_shift_moves_all_steps_of_a_sample_alike() -> None:
    batch = random_batch(text=[3, 3], audio=[20, 4], vision=[6, 9])
    torch.manual_seed(0)
    moved = augmented(batch, noise=0.0, drop=0.0, shift=0.5)
    change = (moved.audio.values - batch.audio.values)[0, :20]
    assert change.std(dim=0).max() < 1e-6
    assert 0.1 < float(change[0].std()) < 1.5
    other = (moved.audio.values - batch.audio.values)[1, :4]
    assert not torch.allclose(change[0], other[0])
    assert not moved.audio.values[1, 4:].any()
