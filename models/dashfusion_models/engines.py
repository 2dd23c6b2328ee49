"""The frozen engines that feed the network, each loaded once and only when it is needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

from dashfusion_models.errors import WeightsError
from dashfusion_models.features.audio import AudioExtractor
from dashfusion_models.features.face_process import FaceProcess
from dashfusion_models.speech.transcribe import Recogniser, load_recogniser
from dashfusion_models.speech.voice_activity import VoiceActivity
from dashfusion_models.speech.voice_states import VoiceStates
from dashfusion_models.weights import locate

__all__ = ["Engines"]


class Engines:
    """Speech, voice and face engines for any number of files, one file at a time."""

    def __init__(
        self,
        *,
        asr: Literal["auto", "faster-whisper", "openai-whisper"] = "auto",
        asr_model: str = "base",
        device: str = "cpu",
        offline: bool = False,
    ) -> None:
        """Remember what is wanted; `device` is where speech is recognised."""
        self.audio = AudioExtractor()
        self._asr = asr
        self._asr_model = asr_model
        # The speech engines know no mps: there they run on the CPU.
        self._device = device if device.startswith("cuda") else "cpu"
        self._offline = offline
        self._lock = threading.Lock()
        self._recogniser: Recogniser | None = None
        self._voice_activity: VoiceActivity | None = None
        self._voice_states: VoiceStates | None = None
        self._faces: dict[bool, FaceProcess] = {}

    def recogniser(self) -> Recogniser:
        """The speech engine.

        Raises:
            SpeechError: no engine is installed.
            WeightsError: its weights are missing.
        """
        with self._lock:
            if self._recogniser is None:
                self._recogniser = load_recogniser(
                    self._asr,
                    self._asr_model,
                    device=self._device,
                    weights=self._speech_weights,
                )
            return self._recogniser

    def _speech_weights(self, name: str) -> Path:
        """Find speech weights; what is installed comes before a download.

        openai-whisper's own file is not fetched where the same weights lie there for
        faster-whisper: the engine converts those.
        """
        other = name.removeprefix("openai-")
        if other != name and _is_here(other) and not _is_here(name):
            raise WeightsError(f"{name}: not found; {other} is there and can be converted")
        return locate(name, offline=self._offline)

    def voice_activity(self) -> VoiceActivity:
        """What tells speech from other sound."""
        with self._lock:
            if self._voice_activity is None:
                self._voice_activity = VoiceActivity()
            return self._voice_activity

    def voice_states(self) -> VoiceStates:
        """What tells how a voice sounds; always of Whisper base, whatever recognises the words.

        Raises:
            WeightsError: its weights are missing.
        """
        with self._lock:
            if self._voice_states is None:
                self._voice_states = VoiceStates(self._speech_weights)
            return self._voice_states

    def faces(self, *, video: bool) -> FaceProcess:
        """The process that looks at pictures: of a video, or stills that stand alone."""
        with self._lock:
            if video not in self._faces:
                self._faces[video] = FaceProcess(locate("face-landmarker"), video=video)
            return self._faces[video]

    def close(self) -> None:
        """End the face processes."""
        with self._lock:
            while self._faces:
                self._faces.popitem()[1].close()


def _is_here(name: str) -> bool:
    try:
        locate(name, offline=True)
    except WeightsError:
        return False
    return True
