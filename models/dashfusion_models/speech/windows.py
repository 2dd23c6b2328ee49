"""What goes into a speech engine and what of its words is believed.

Whisper hears 30 s at a time and, where nobody speaks, writes what its training made likely ("Thank
you for watching"). So it is given windows around speech only, each on its own, and a phrase is kept
where three witnesses agree: the engine's own doubts, the shape of the text, and the voice activity
at the very time of the words.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dashfusion_models.records import SAMPLE_RATE_HZ, Phrase, Span, Word
from dashfusion_models.spool import Recording

__all__ = ["Heard", "Window", "cut_windows", "kept_phrases"]

WINDOW_S = 30.0  # what Whisper hears at once
_LONGEST_GAP_S = 6.0  # a longer silence inside a window invites inventions
_STEP_S = 0.05  # a span that is too long is cut at the quietest of these steps...
_SMOOTH_STEPS = 5  # ...measured over a quarter of a second

_NO_SPEECH = 0.6  # Whisper's own limits: no speech where both say so, repetition above the third
_MEAN_LOG_PROBABILITY = -1.0
_COMPRESSION = 2.4
_LEAST_LOG_PROBABILITY = -1.5  # below it, it is noise whatever the rest says
_LEAST_SPEECH_SHARE = 0.5  # of the words' time (see `_spoken_share`)
_LEAST_WORD_S = 0.02  # one step of the engine's clock


@dataclass(frozen=True)
class Heard(Span):
    """One segment as an engine returned it: times inside the window, words with their spaces."""

    words: tuple[Word, ...]
    mean_log_probability: float
    no_speech: float
    compression: float

    @property
    def doubtful(self) -> bool:
        """Whether decoding should be tried again at a higher temperature."""
        failed = self.mean_log_probability < _MEAN_LOG_PROBABILITY
        return self.compression > _COMPRESSION or (failed and self.no_speech <= _NO_SPEECH)


@dataclass(frozen=True)
class Window(Span):
    """A stretch of at most 30 s that is transcribed on its own, and the speech inside it."""

    speech: tuple[Span, ...]

    @property
    def speech_s(self) -> float:
        """Seconds of speech inside."""
        return sum(span.duration_s for span in self.speech)


def cut_windows(samples: Recording, speech: Sequence[Span]) -> tuple[Window, ...]:
    """Group spans of speech into windows of at most 30 s.

    A cut lies in the longest silence that leaves the window at least half full; a single longer
    span is cut where it is quietest.
    """
    left = [piece for span in speech for piece in _pieces(samples, span)]
    windows = []
    while left:
        count = _fitting(left)
        group = tuple(left[:count])
        windows.append(Window(group[0].start_s, group[-1].end_s, group))
        left = left[count:]
    return tuple(windows)


def _fitting(spans: Sequence[Span]) -> int:
    """Return how many of the first spans make the next window."""
    count = 1
    while (
        count < len(spans)
        and spans[count].end_s - spans[0].start_s <= WINDOW_S
        and spans[count].start_s - spans[count - 1].end_s <= _LONGEST_GAP_S
    ):
        count += 1
    if count == len(spans) or spans[count].end_s - spans[0].start_s <= WINDOW_S:
        return count
    half_full = [
        i
        for i in range(1, count + 1)
        if spans[i - 1].end_s - spans[0].start_s >= WINDOW_S / 2 or i == count
    ]
    return max(half_full, key=lambda i: (spans[i].start_s - spans[i - 1].end_s, i))


def _pieces(samples: Recording, span: Span) -> list[Span]:
    """Cut a span into pieces of at most 30 s, each at the quietest point of its last third."""
    pieces = []
    start_s = span.start_s
    while span.end_s - start_s > WINDOW_S:
        # Never so late that the rest is a crumb.
        latest_s = min(start_s + WINDOW_S, span.end_s - 1.0)
        cut_s = _quietest(samples, Span(latest_s - WINDOW_S / 3, latest_s))
        pieces.append(Span(start_s, cut_s))
        start_s = cut_s
    return [*pieces, Span(start_s, span.end_s)]


def _quietest(samples: Recording, span: Span) -> float:
    """Return the second at the middle of the quietest quarter of a second of a span."""
    step = int(_STEP_S * SAMPLE_RATE_HZ)
    first = int(span.start_s * SAMPLE_RATE_HZ)
    sound = samples[first : int(span.end_s * SAMPLE_RATE_HZ)]
    steps = len(sound) // step
    if steps < _SMOOTH_STEPS:
        return span.end_s
    power = np.square(sound[: steps * step].astype(np.float64)).reshape(steps, step).mean(axis=1)
    smooth = np.convolve(power, np.ones(_SMOOTH_STEPS), mode="valid")
    return span.start_s + (int(smooth.argmin()) + _SMOOTH_STEPS / 2) * _STEP_S


def kept_phrases(heard: Sequence[Heard], window: Window, *, join_words: bool) -> tuple[Phrase, ...]:
    """Turn what an engine heard in a window into phrases in file time, without inventions.

    `join_words`: glue a word that came without a space before it to the one before ("long",
    "-term"); not for writing without spaces.
    """
    phrases = []
    now_s = window.start_s
    for segment in heard:
        words = _in_file_time(segment, window, join_words=join_words)
        if not _believed(segment, words, window):
            continue
        words = _settled(words, window, now_s)
        if words:
            now_s = words[-1].end_s
            text = ("" if not join_words else " ").join(word.text for word in words)
            confidence = sum(word.probability for word in words) / len(words)
            phrases.append(Phrase(words[0].start_s, now_s, text, words, confidence))
    return tuple(phrases)


def _in_file_time(segment: Heard, window: Window, *, join_words: bool) -> tuple[Word, ...]:
    """Shift the words, join the pieces of one word, strip spaces, drop empty ones."""
    words: list[Word] = []
    for word in segment.words:
        text = word.text.strip()
        if not text:
            continue
        start_s, end_s = window.start_s + word.start_s, window.start_s + word.end_s
        if words and join_words and not word.text[0].isspace():
            last = words[-1]
            probability = (last.probability + word.probability) / 2
            words[-1] = Word(last.start_s, max(last.end_s, end_s), last.text + text, probability)
        else:
            words.append(Word(start_s, max(start_s, end_s), text, word.probability))
    return tuple(words)


def _believed(segment: Heard, words: Sequence[Word], window: Window) -> bool:
    """Whether the engine's doubts, the text and the voice activity allow that this was said."""
    silent = segment.no_speech > _NO_SPEECH and segment.mean_log_probability < _MEAN_LOG_PROBABILITY
    noise = segment.mean_log_probability < _LEAST_LOG_PROBABILITY
    if silent or noise or segment.compression > _COMPRESSION:
        return False
    return _spoken_share(words, window.speech) >= _LEAST_SPEECH_SHARE


def _spoken_share(words: Sequence[Word], speech: Sequence[Span]) -> float:
    """Return the share of the words' time in which the detector hears a voice.

    A word without length counts as one step of the engine's clock.
    """
    total = spoken = 0.0
    for word in words:
        span = Span(word.start_s, max(word.end_s, word.start_s + _LEAST_WORD_S))
        total += span.duration_s
        spoken += sum(span.overlap_s(part) for part in speech)
    return spoken / total if total else 0.0


def _settled(words: Sequence[Word], window: Window, now_s: float) -> tuple[Word, ...]:
    """Trim each word to the speech it overlaps most, drop words in silence, keep times rising."""
    settled: list[Word] = []
    for word in words:
        span = Span(word.start_s, max(word.end_s, word.start_s + _LEAST_WORD_S))
        home = max(window.speech, key=lambda part: span.overlap_s(part))
        if span.overlap_s(home) <= 0.0:
            continue
        start_s = max(span.start_s, home.start_s, now_s)
        now_s = max(start_s, min(span.end_s, home.end_s))
        settled.append(dataclasses.replace(word, start_s=start_s, end_s=now_s))
    return tuple(settled)
