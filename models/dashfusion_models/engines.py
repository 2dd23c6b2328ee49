"""The frozen engines that feed the network, each loaded once and only when it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dashfusion_models.errors import WeightsError
from dashfusion_models.features.audio import AudioExtractor
from dashfusion_models.features.face_process import FaceProcess
from dashfusion_models.speech.transcribe import Recogniser, load_recogniser
from dashfusion_models.speech.voice_activity import VoiceActivity
from dashfusion_models.weights import Report, is_here, locate, say_nothing

if TYPE_CHECKING:
    from dashfusion_models.speech.voice_states import VoiceStates

__all__ = ["Engines"]


class Engines:
    """Speech, voice and face engines for any number of files, one file at a time."""

    def __init__(
        self,
        *,
        asr: Literal["auto", "faster-whisper", "openai-whisper"] = "auto",
        asr_model: str = "base",
        device: str | Callable[[], str] = "cpu",
        offline: bool = False,
    ) -> None:
        """Remember what is wanted; `device` is where speech is recognised, or tells it."""
        self.audio = AudioExtractor()
        self._asr = asr
        self._asr_model = asr_model
        self._device = device
        self._offline = offline
        self._report: Report = say_nothing
        # One each, so that no engine waits for another to load; weights are put together by one.
        names = ("words", "activity", "voice", "states", "faces", "weights")
        self._locks = {name: threading.Lock() for name in names}
        self._recogniser: Recogniser | None = None
        self._voice_activity: VoiceActivity | None = None
        self._warming: Future[None] | None = None
        self._voice_states: VoiceStates | None = None
        self._faces: dict[bool, FaceProcess] = {}

    def tell(self, report: Report) -> None:
        """Have `report` hear how far downloads of weights are, from now on."""
        self._report = report

    def recogniser(self) -> Recogniser:
        """The speech engine, on all cores.

        Those who look at faces share them: of two cores, one alone for speech was 12 % slower on
        five minutes of video.

        Raises:
            SpeechError: no engine is installed.
            WeightsError: its weights are missing.
        """
        with self._locks["words"]:
            if self._recogniser is None:
                self._recogniser = load_recogniser(
                    self._asr,
                    self._asr_model,
                    device=self._speech_device(),
                    weights=self._speech_weights,
                )
            return self._recogniser

    def _speech_device(self) -> str:
        """Where speech is recognised; its engines know no mps."""
        device = self._device if isinstance(self._device, str) else self._device()
        return device if device.startswith("cuda") else "cpu"

    def _speech_weights(self, name: str) -> Path:
        """Find speech weights; what is installed comes before a download.

        openai-whisper's own file is not fetched where the same weights lie there for
        faster-whisper: the engine converts those.
        """
        other = name.removeprefix("openai-")
        if other != name and is_here(other) and not is_here(name):
            raise WeightsError(f"{name}: not found; {other} is there and can be converted")
        with self._locks["weights"]:
            return locate(name, offline=self._offline, report=self._report)

    def voice_activity(self) -> VoiceActivity:
        """What tells speech from other sound."""
        with self._locks["activity"]:
            if self._voice_activity is None:
                self._voice_activity = VoiceActivity()
            return self._voice_activity

    def begin_voice(self) -> Future[None]:
        """Have what describes the voice imported and compiled in a thread, once."""
        with self._locks["voice"]:
            if self._warming is None:
                pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="voice")
                self._warming = pool.submit(self.audio.warm_up)
                pool.shutdown(wait=False)
            return self._warming

    def voice(self) -> AudioExtractor:
        """What describes the voice, once it is ready."""
        wait([self.begin_voice()])  # what fails there fails again, and is told, where it is used
        return self.audio

    def voice_states(self) -> VoiceStates:
        """What tells how a voice sounds; always of Whisper base, whatever recognises the words.

        Raises:
            WeightsError: its weights are missing.
        """
        with self._locks["states"]:
            if self._voice_states is None:
                from dashfusion_models.speech.voice_states import VoiceStates

                self._voice_states = VoiceStates(self._speech_weights)
            return self._voice_states

    def faces(self, *, video: bool) -> FaceProcess:
        """The process that looks at pictures: of a video, or stills that stand alone."""
        with self._locks["faces"]:
            if video not in self._faces:
                self._faces[video] = FaceProcess(locate("face-landmarker"), video=video)
            return self._faces[video]

    def close(self) -> None:
        """End the face processes."""
        with self._locks["faces"]:
            while self._faces:
                self._faces.popitem()[1].close()
