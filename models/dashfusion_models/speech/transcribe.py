"""Speech to words with times: one protocol, two engines (faster-whisper, openai-whisper).

Both read the same weights, hear the same windows, and pass through the same gate against invented
text. Neither starts another program nor fetches anything: sound comes as samples, weights from a
path. Decoding starts greedily at temperature 0; where the text repeats itself or is improbable it
is tried again at rising temperatures, with a fixed seed. (A beam of 5 took three times as long on
60 clips of CMU-MOSI and made no fewer errors: it falls into repetition more often.)
"""

import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dashfusion_models.errors import ConfigError, SpeechError
from dashfusion_models.freed import give_back
from dashfusion_models.records import Samples, Word
from dashfusion_models.resources import threads_here
from dashfusion_models.speech.ctranslate2_folder import ctranslate2_folder
from dashfusion_models.speech.recogniser import Decoder, Recogniser, WhisperRecogniser
from dashfusion_models.speech.steady import SteadyFilters
from dashfusion_models.speech.windows import Heard

__all__ = ["Recogniser", "load_recogniser"]

_SEED = 1
_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MOST_THREADS = 8  # more do not help a model of this size

_log = logging.getLogger(__name__)


def load_recogniser(
    engine: Literal["auto", "faster-whisper", "openai-whisper"],
    model: str,
    *,
    device: str,
    weights: Callable[[str], Path],
) -> Recogniser:
    """Load a speech engine.

    Args:
        engine: "auto" takes faster-whisper where it is installed, else openai-whisper.
        model: a size ("base", "small.en", ...), or the path of a CTranslate2 folder or .pt file.
        device: as torch writes it; an engine that cannot use it runs on the CPU.
        weights: gives the path of "whisper-base" (folder) or "openai-whisper-base" (.pt file).

    Raises:
        SpeechError: the engine is not installed or does not start.
        WeightsError: the weights are missing or altered.
        ConfigError: model and engine do not fit each other.
    """
    is_file = Path(model).suffix == ".pt"
    if engine == "auto":
        installed = not is_file and importlib.util.find_spec("faster_whisper") is not None
        engine = "faster-whisper" if installed else "openai-whisper"
    count = min(_MOST_THREADS, threads_here())
    decoder: Decoder
    if engine == "faster-whisper":
        if is_file:
            raise ConfigError(
                f"{model}: a .pt file is openai-whisper's; use --asr openai-whisper, or a folder"
            )
        decoder = _FasterWhisper(ctranslate2_folder(model, weights), device=device, threads=count)
    else:
        decoder = _OpenAIWhisper(model, weights, device=device, threads=count)
    return WhisperRecogniser(engine, model, decoder.device, decoder)


def _options(languages: frozenset[str], language: str, translate: bool) -> dict[str, Any]:
    """Return what both engines are told in the same words."""
    return {
        "language": language if language in languages else "en",
        "task": "translate" if translate else "transcribe",
        "condition_on_previous_text": False,
        "word_timestamps": True,
    }


class _Remembered:
    """An encoder that knows its last picture of the sound: language, words, times need one pass."""

    def __init__(self, encode: Callable[[Any], Any], equal: Callable[[Any, Any], bool]) -> None:
        self._encode, self._equal = encode, equal
        self._last: tuple[Any, Any] | None = None

    def __call__(self, mel: Any) -> Any:
        if self._last is None or not self._fits(self._last[0], mel):
            self._last = (mel, self._encode(mel))
        return self._last[1]

    def _fits(self, last: Any, mel: Any) -> bool:
        """Whether it is the same picture, with or without a batch of one around it."""
        return bool(self._equal(last.squeeze(), mel.squeeze()))


class _FasterWhisper:
    """CTranslate2: int8 on the CPU, float16 on a GPU."""

    def __init__(self, folder: Path, *, device: str, threads: int) -> None:
        try:
            import ctranslate2
            import faster_whisper
        except ImportError as error:
            raise SpeechError(
                f"faster-whisper: not installed ({error}); pip install 'dashfusion[offline]', "
                "or use --asr openai-whisper"
            ) from error
        self._package, self._core = faster_whisper, ctranslate2
        self._folder, self._threads = folder, threads
        self.device = "cpu"
        if device.startswith("cuda") and ctranslate2.get_cuda_device_count():
            self.device = device
        try:
            self._model: Any = self._load()
        except (RuntimeError, ValueError) as error:
            if self.device == "cpu":
                raise SpeechError(f"{folder}: does not load ({error}); fetch it again") from error
            # A driver without CTranslate2's own CUDA libraries shows only now.
            _log.warning("faster-whisper runs on the CPU: %s", error)
            self.device = "cpu"
            self._model = self._load()
        self.languages = frozenset(self._model.supported_languages)
        self.multilingual = bool(self._model.model.is_multilingual)

    def _load(self) -> Any:
        kind, _, index = self.device.partition(":")
        model = self._package.WhisperModel(
            str(self._folder),
            device=kind,
            device_index=int(index or 0),
            compute_type="int8" if kind == "cpu" else "float16",
            cpu_threads=self._threads,
            local_files_only=True,
        )
        mels = model.model.n_mels
        if mels != model.feature_extractor.mel_filters.shape[0]:  # no preprocessor_config.json
            extractor = self._package.feature_extractor.FeatureExtractor
            model.feature_extractor = extractor(feature_size=mels)
        model.feature_extractor.mel_filters = SteadyFilters(model.feature_extractor.mel_filters)
        if kind != "cpu":
            model.encode(np.zeros((mels, model.feature_extractor.nb_max_frames), np.float32))
        model.encode = _Remembered(model.encode, np.array_equal)
        return model

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        # The very picture that `decode` will look at, so that it is encoded once.
        mel = self._model.feature_extractor(samples)[:, :-1]
        frames = self._model.feature_extractor.nb_max_frames
        mel = np.pad(mel[:, :frames], ((0, 0), (0, max(0, frames - mel.shape[1]))))
        found = self._model.model.detect_language(self._model.encode(mel))[0]
        return {token[2:-2]: float(p) for token, p in found}

    def decode(self, samples: Samples, *, language: str, translate: bool) -> list[Heard]:
        # Five samples a temperature, the default, need 300 MB more and seldom say better words.
        options = {
            "beam_size": 1,
            "best_of": 1,
            **_options(self.languages, language, translate),
        }
        heard = self._decode(self._model, samples, (0.0,), options)
        if not any(segment.doubtful for segment in heard):
            return heard
        # Its random numbers belong to the model's own threads: a fresh model with a fixed seed says
        # the same whatever was decoded before. It takes the place of the first, whose memory is
        # given back before: two of them, or what loading leaves, would be the peak of an analysis.
        self._core.set_random_seed(_SEED)
        first = self._model
        first.model.unload_model()
        give_back()
        try:
            self._model = self._load()
        except BaseException:
            first.model.load_model()  # it goes on with the next window
            raise
        del first.encode  # which holds it in a circle
        give_back()
        return self._decode(self._model, samples, _TEMPERATURES, options)

    @staticmethod
    def _decode(
        model: Any, samples: Samples, temperatures: Sequence[float], options: Mapping[str, Any]
    ) -> list[Heard]:
        segments, _ = model.transcribe(samples, temperature=list(temperatures), **options)
        return [
            Heard(
                float(s.start),
                float(s.end),
                tuple(
                    Word(float(w.start), float(w.end), w.word, float(w.probability))
                    for w in s.words or ()
                ),
                float(s.avg_logprob),
                float(s.no_speech_prob),
                float(s.compression_ratio),
            )
            for s in segments
        ]


class _OpenAIWhisper:
    """PyTorch: from the official .pt file where it is at hand, else from CTranslate2's folder."""

    def __init__(
        self, model: str, weights: Callable[[str], Path], *, device: str, threads: int
    ) -> None:
        try:
            import torch
            import whisper
            from whisper.tokenizer import LANGUAGES
        except ImportError as error:
            raise SpeechError(
                f"openai-whisper: not installed ({error}); pip install openai-whisper, "
                "or use --asr faster-whisper"
            ) from error
        self._torch, self._whisper, self._threads = torch, whisper, threads
        # Its word times need float64 and sparse tensors, which MPS has not.
        self.device = device if device.startswith("cuda") and torch.cuda.is_available() else "cpu"
        self._model: Any = self._load(model, weights)
        self.multilingual = bool(self._model.is_multilingual)
        codes = list(LANGUAGES)[: self._model.num_languages] if self.multilingual else ["en"]
        self.languages = frozenset(codes)

    def _load(self, model: str, weights: Callable[[str], Path]) -> Any:
        from dashfusion_models.speech.whisper_weights import openai_tensors

        tensors = openai_tensors(model, weights)
        dims, heads = tensors.dims, tensors.alignment_heads
        network = self._whisper.model.Whisper(self._whisper.model.ModelDimensions(**dims))
        network.load_state_dict(tensors.state)
        if heads is not None:
            mask = self._torch.zeros(
                dims["n_text_layer"], dims["n_text_head"], dtype=self._torch.bool
            )
            mask[tuple(zip(*heads, strict=True))] = True
            network.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
        elif tensors.name in self._whisper._ALIGNMENT_HEADS:
            network.set_alignment_heads(self._whisper._ALIGNMENT_HEADS[tensors.name])
        network = network.to(self.device).eval()
        network.encoder.forward = _Remembered(network.encoder.forward, self._torch.equal)
        return network

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        audio = self._whisper.audio
        with self._prepared():
            # The very picture that `decode` will look at, so that it is encoded once.
            mels = self._model.dims.n_mels
            mel = audio.log_mel_spectrogram(samples, mels, padding=audio.N_SAMPLES)
            mel = audio.pad_or_trim(mel[:, : -audio.N_FRAMES], audio.N_FRAMES).to(self.device)
            mel = mel if self.device == "cpu" else mel.half()
            _, found = self._whisper.detect_language(self._model, mel)
        return dict(found)

    def decode(self, samples: Samples, *, language: str, translate: bool) -> list[Heard]:
        with self._prepared():
            result = self._whisper.transcribe(
                self._model,
                samples,
                temperature=_TEMPERATURES,
                best_of=5,
                fp16=self.device != "cpu",
                **_options(self.languages, language, translate),
            )
        return [
            Heard(
                float(s["start"]),
                float(s["end"]),
                tuple(
                    Word(float(w["start"]), float(w["end"]), w["word"], float(w["probability"]))
                    for w in s["words"]
                ),
                float(s["avg_logprob"]),
                float(s["no_speech_prob"]),
                float(s["compression_ratio"]),
            )
            for s in result["segments"]
        ]

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """Set threads and seed, silence its advice; put all back afterwards."""
        torch = self._torch
        before = torch.get_num_threads()
        devices = [] if self.device == "cpu" else [self.device]
        with torch.random.fork_rng(devices), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(_SEED)
            torch.set_num_threads(self._threads)
            try:
                yield
            finally:
                torch.set_num_threads(before)
