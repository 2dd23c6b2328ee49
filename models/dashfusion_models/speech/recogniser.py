"""What is the same around either speech engine: windows, language, gate, progress."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from dashfusion_models.errors import ConfigError, SpeechError
from dashfusion_models.freed import give_back
from dashfusion_models.records import (
    SAMPLE_RATE_HZ,
    Language,
    Phrase,
    Progress,
    Samples,
    Span,
    Transcript,
)
from dashfusion_models.speech.windows import Heard, Window, cut_windows, kept_phrases
from dashfusion_models.spool import Recording

__all__ = ["Decoder", "Recogniser", "WhisperRecogniser"]

_LISTENED_FOR_LANGUAGE = 3  # windows, spread over the file
# A second of speech is often taken for some other language; below this probability English, by far
# the most frequent, wins if it is at least half as likely as the first.
_UNSURE = 0.5
_ISO = {"jw": "jv"}  # Whisper's own code for Javanese
_WITHOUT_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km"})


@runtime_checkable
class Recogniser(Protocol):
    """A loaded speech engine."""

    @property
    def engine(self) -> str:
        """Name of the engine."""
        ...

    @property
    def model(self) -> str:
        """Name or path of the model, as it was asked for."""
        ...

    @property
    def device(self) -> str:
        """What it truly runs on, as torch writes it."""
        ...

    def recognise(
        self,
        samples: Recording,
        speech: Sequence[Span],
        *,
        language: str | None,
        translate: bool,
        readable: frozenset[str] = frozenset({"en"}),
        report: Callable[[Progress], None],
    ) -> Transcript:
        """Return what is said in the spans of speech, in file time.

        With `translate`, speech in a language that is not `readable` becomes English.
        """
        ...


@runtime_checkable
class Decoder(Protocol):
    """One engine: a window of at most 30 s -> segments with words."""

    device: str
    languages: frozenset[str]  # in Whisper's codes
    multilingual: bool

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        """Return how likely each language is."""
        ...

    def decode(self, samples: Samples, *, language: str, translate: bool) -> list[Heard]:
        """Return the segments of a window; translated to English where asked for."""
        ...


@dataclass(frozen=True)
class WhisperRecogniser:
    """Windows, language and gate around either engine."""

    engine: str
    model: str
    device: str
    decoder: Decoder

    def recognise(
        self,
        samples: Recording,
        speech: Sequence[Span],
        *,
        language: str | None,
        translate: bool,
        readable: frozenset[str] = frozenset({"en"}),
        report: Callable[[Progress], None],
    ) -> Transcript:
        """Return what is said in the spans of speech, in file time.

        With `translate`, speech in a language that is not `readable` becomes English.
        """
        if not speech:
            return Transcript((), None, self.engine, self.model)
        total_s = len(samples) / SAMPLE_RATE_HZ
        windows = cut_windows(samples, speech)
        try:
            spoken = self._language(samples, windows, language)
            code = {iso: code for code, iso in _ISO.items()}.get(spoken.code, spoken.code)
            translated = translate and spoken.code not in {"en", *readable}
            phrases: list[Phrase] = []
            for window in windows:
                report(Progress("transcribe", window.start_s, total_s))
                sound = _sound(samples, window)
                heard = self.decoder.decode(sound, language=code, translate=translated)
                joins = translated or code not in _WITHOUT_SPACES
                phrases.extend(kept_phrases(heard, window, join_words=joins))
                give_back()
        except (RuntimeError, MemoryError) as error:
            reason = " ".join(str(error).split())[:200]
            raise SpeechError(
                f"{self.engine} {self.model}: recognition failed on {self.device} ({reason}); "
                "try another --asr, a smaller --asr-model or --device cpu"
            ) from error
        report(Progress("transcribe", total_s, total_s))
        return Transcript(tuple(phrases), spoken, self.engine, self.model, translated=translated)

    def _language(
        self, samples: Recording, windows: Sequence[Window], named: str | None
    ) -> Language:
        """Check the language that was named, or detect it."""
        iso = {_ISO.get(code, code) for code in self.decoder.languages}
        if named is not None:
            code = named.lower().replace("_", "-").split("-")[0]
            if code not in iso:
                way_out = "give a code of two letters, such as en, zh or de, or use auto"
                raise ConfigError(f"language {named}: {self.model} does not know it; {way_out}")
            return Language(code, None)
        if not self.decoder.multilingual:
            return Language("en", None)
        sums: dict[str, float] = {}
        chosen = _spread(windows)
        for window in chosen:
            for code, p in self.decoder.language_probabilities(_sound(samples, window)).items():
                sums[code] = sums.get(code, 0.0) + p / len(chosen)
        best = max(sums, key=lambda code: (sums[code], code))
        if sums[best] < _UNSURE and sums.get("en", 0.0) >= sums[best] / 2:
            best = "en"
        return Language(_ISO.get(best, best), min(1.0, sums[best]))


def _spread(windows: Sequence[Window]) -> list[Window]:
    """Return the window with the most speech of each third of the file (all where few)."""
    count = min(_LISTENED_FOR_LANGUAGE, len(windows))
    edges = [round(i * len(windows) / count) for i in range(count + 1)]
    return [
        max(windows[first:last], key=lambda window: window.speech_s)
        for first, last in itertools.pairwise(edges)
    ]


def _sound(samples: Recording, span: Span) -> Float32[np.ndarray, " window"]:
    return samples[int(span.start_s * SAMPLE_RATE_HZ) : int(span.end_s * SAMPLE_RATE_HZ)]
