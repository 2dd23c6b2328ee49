"""Where somebody speaks: Silero's detector, run by onnxruntime on the CPU.

The model lies in `vendor/silero_vad`, so that the gate is there whichever speech engine is used.
Sound is read in blocks and the detector's memory is carried from one to the next: hours of sound
need no more room than a minute.
"""

from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from jaxtyping import Float32

from dashfusion_models.privacy import silence_telemetry
from dashfusion_models.records import SAMPLE_RATE_HZ, Span
from dashfusion_models.spool import Recording

__all__ = ["WINDOW_SAMPLES", "VoiceActivity", "speech_probabilities"]

WINDOW_SAMPLES = 512  # 32 ms, the step that the detector was made for
_CONTEXT_SAMPLES = 64  # of the window before, which the detector sees again
_BLOCK_WINDOWS = 2048  # about 65 s of sound a run
_STATE_SHAPE = (1, 1, 128)
_SETTLED_BLOCKS = 10  # of digital silence, behind which the detector says the same for ever

_WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE_HZ
_ENTER = 0.5  # speech begins at this probability...
_LEAVE = 0.35  # ...and goes on while it stays above this one (Silero's own hysteresis)
_MIN_SPEECH_S = 0.25  # shorter stretches are clicks and coughs
_MIN_SILENCE_S = 0.3  # shorter pauses lie inside a sentence
_PAD_S = 0.2  # soft beginnings and ends of words score low

_Probabilities = Float32[np.ndarray, " windows"]


def speech_probabilities(samples: Recording) -> _Probabilities:
    """Return the probability of speech of each 512 samples (32 ms); the last is padded."""
    return VoiceActivity().probabilities(samples)


class VoiceActivity:
    """The detector, loaded once: samples -> the spans in which somebody speaks."""

    def __init__(self) -> None:
        silence_telemetry()  # its builds for Linux and macOS heed a variable alone
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # those for Windows a call alone
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        model = files("dashfusion_models") / "vendor" / "silero_vad" / "silero_vad_v6.onnx"
        with as_file(model) as path:
            self._session: Any = onnxruntime.InferenceSession(
                path, sess_options=options, providers=["CPUExecutionProvider"]
            )

    def __call__(self, samples: Recording) -> tuple[Span, ...]:
        """Return the spans of speech in seconds, in order, apart from each other."""
        return _spans(self.probabilities(samples), len(samples) / SAMPLE_RATE_HZ)

    def probabilities(self, samples: Recording) -> _Probabilities:
        """Return the probability of speech of each 512 samples (32 ms); the last is padded."""
        h = np.zeros(_STATE_SHAPE, dtype=np.float32)
        c = np.zeros(_STATE_SHAPE, dtype=np.float32)
        found = [np.zeros(0, dtype=np.float32)]
        silent = 0  # blocks, up to this one
        for block in _blocks(samples):
            silent = 0 if block.any() else silent + 1
            if silent <= _SETTLED_BLOCKS:
                out, h, c = self._session.run(None, {"input": block, "h": h, "c": c})
            found.append(out[: len(block)])
        return np.concatenate(found)


def _blocks(samples: Recording) -> Iterator[Float32[np.ndarray, "windows 576"]]:
    """Yield windows with the end of the window before in front of each."""
    step = _BLOCK_WINDOWS * WINDOW_SAMPLES
    for start in range(0, len(samples), step):
        sound = samples[start : start + step]
        sound = np.pad(sound, (0, -len(sound) % WINDOW_SAMPLES))
        before = samples[max(0, start - _CONTEXT_SAMPLES) : start]
        before = np.pad(before, (_CONTEXT_SAMPLES - len(before), 0))
        joined = np.concatenate([before, sound])
        width = _CONTEXT_SAMPLES + WINDOW_SAMPLES
        windows = np.lib.stride_tricks.sliding_window_view(joined, width)[::WINDOW_SAMPLES]
        # A detector fed with NaN never comes back to its senses.
        yield np.nan_to_num(windows, nan=0.0, posinf=0.0, neginf=0.0)


def _spans(probabilities: _Probabilities, duration_s: float) -> tuple[Span, ...]:
    """Turn probabilities into spans: hysteresis, short pauses closed, clicks dropped, padding."""
    runs: list[Span] = []
    for start, end in _runs(probabilities):
        run = Span(start * _WINDOW_S, min(end * _WINDOW_S, duration_s))
        if runs and run.start_s - runs[-1].end_s < _MIN_SILENCE_S:
            runs[-1] = Span(runs[-1].start_s, run.end_s)
        else:
            runs.append(run)
    speech = [run for run in runs if run.duration_s >= _MIN_SPEECH_S]
    edges = [0.0, *(run.end_s for run in speech)]
    starts = [*(run.start_s for run in speech[1:]), duration_s]
    padded: list[Span] = []
    for run, before_s, after_s in zip(speech, edges, starts, strict=False):
        # Between two spans each takes at most half the pause; the file's ends are whole.
        left_s = before_s if before_s == 0.0 else (before_s + run.start_s) / 2
        right_s = after_s if after_s == duration_s else (run.end_s + after_s) / 2
        padded.append(Span(max(left_s, run.start_s - _PAD_S), min(right_s, run.end_s + _PAD_S)))
    return tuple(padded)


def _runs(probabilities: _Probabilities) -> Iterator[tuple[int, int]]:
    """Yield (first, behind the last) window of each run that enters high and leaves low."""
    start: int | None = None
    for i, p in enumerate(map(float, probabilities)):
        if start is None and p >= _ENTER:
            start = i
        elif start is not None and p < _LEAVE:
            yield start, i
            start = None
    if start is not None:
        yield start, len(probabilities)
