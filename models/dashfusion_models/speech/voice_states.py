"""How a voice sounds to a network: Whisper's hidden states, averaged over an utterance.

Taken after the second block of the encoder of Whisper base, without its last norm (ours). Their
mean tells emotion in unseen voices far better than librosa's features do: measured on acted
voices, an area under the curve of 0.92 against 0.80. Later blocks tell more of the words and less
of the voice. The size is always base, whatever recognises the words, so that a checkpoint fits.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from dashfusion_models.records import SAMPLE_RATE_HZ, Samples
from dashfusion_models.speech.whisper_weights import openai_tensors

__all__ = ["STATES", "VoiceStates"]

MODEL = "base"
STATES = 512  # numbers of one state of that model
BLOCKS = 2

STEP_SAMPLES = 320  # of one state: 50 a second
LONGEST_SAMPLES = 30 * SAMPLE_RATE_HZ  # what the encoder has positions for
LEAST_SAMPLES = SAMPLE_RATE_HZ // 2  # shorter sound is followed by silence

LEVEL_SAMPLES = SAMPLE_RATE_HZ // 50  # loudness is measured every 20 ms
LOUDNESS = 0.1  # RMS that all sound is brought to: 20 dB below full scale
SOUNDING = 10 ** (-35 / 20)  # of the loudest 20 ms; what is quieter is a pause
SILENCE = 10 ** (-90 / 20)  # about one step of 16-bit sound: quieter is digital silence


class VoiceStates:
    """The first blocks of Whisper base's encoder, on the CPU in float32."""

    def __init__(self, weights: Callable[[str], Path]) -> None:
        """Load from the weights of recognition.

        `weights` gives the path of "whisper-base" (folder) or "openai-whisper-base" (.pt file).

        Raises:
            WeightsError: the weights are missing or altered.
        """
        import torch
        from whisper.model import AudioEncoder

        tensors = openai_tensors(MODEL, weights, parts=("encoder",))
        dims = tensors.dims
        self._mels = dims["n_mels"]
        encoder = AudioEncoder(
            self._mels, dims["n_audio_ctx"], dims["n_audio_state"], dims["n_audio_head"], BLOCKS
        )
        encoder.ln_post = torch.nn.Identity()  # it belongs after the last of all blocks
        wanted = encoder.state_dict()
        encoder.load_state_dict({name: tensors.state[f"encoder.{name}"] for name in wanted})
        self._encoder: Any = encoder.float().eval()

    def __call__(self, samples: Samples) -> Float32[np.ndarray, " states"]:
        """Return the mean state of one utterance; zeros for digital silence.

        The gain of the recording does not change it. What is longer than 30 s is heard in equal
        pieces, each of which counts by its length.
        """
        total = np.zeros(STATES, np.float64)
        heard = _levelled(samples)
        if heard is None:
            return total.astype(np.float32)
        steps = -(-len(heard) // STEP_SAMPLES)
        pieces = -(-len(heard) // LONGEST_SAMPLES)
        edges = [STEP_SAMPLES * (steps * i // pieces) for i in range(pieces + 1)]
        for first, last in pairwise(edges):
            total += self._states(heard[first:last]).sum(axis=0, dtype=np.float64)
        return (total / steps).astype(np.float32)

    def _states(self, samples: Samples) -> Float32[np.ndarray, "steps states"]:
        """Return the states of at most 30 s, one for each 20 ms that were given.

        As many positions as the sound is long: padding it to 30 s, as recognition does, would
        cost the same for a word as for a speech.
        """
        import torch
        from torch.nn.functional import gelu
        from whisper.audio import log_mel_spectrogram

        steps = -(-len(samples) // STEP_SAMPLES)
        length = max(LEAST_SAMPLES, steps * STEP_SAMPLES)
        padded = np.pad(samples, (0, length - len(samples)))
        net = self._encoder
        with torch.inference_mode():
            mel = log_mel_spectrogram(padded, self._mels)
            x = gelu(net.conv2(gelu(net.conv1(mel[None])))).transpose(1, 2)
            x = x + net.positional_embedding[: x.shape[1]]
            for block in net.blocks:
                x = block(x)
        states: Float32[np.ndarray, "steps states"] = x[0, :steps].numpy()
        return states


def _levelled(samples: Samples) -> Samples | None:
    """Bring the sounding part to one loudness; None where there is digital silence only.

    Whisper hears absolute levels, and the gain of a recording would tell where it comes from.
    Pauses do not count, or a slow speaker would be made louder than a quick one.
    """
    clean = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
    starts = np.arange(0, len(clean), LEVEL_SAMPLES)
    if not starts.size:
        return None
    counts = np.diff(np.append(starts, len(clean)))
    power = np.add.reduceat(clean.astype(np.float64) ** 2, starts) / counts
    if power.max() <= SILENCE**2:
        return None
    sounding = power > power.max() * SOUNDING**2
    rms = np.sqrt(np.average(power[sounding], weights=counts[sounding]))
    levelled: Samples = (clean * (LOUDNESS / rms)).astype(np.float32)
    return levelled
