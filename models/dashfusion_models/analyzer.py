"""Analyzer: from the path of a file to its analysis. The command line calls nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from dashfusion_models.analysis import (
    Analysis,
    Asr,
    DetectedLanguage,
    Devices,
    ModelInfo,
    Run,
    Segment,
    label_of,
)
from dashfusion_models.analyze_options import AnalyzeOptions
from dashfusion_models.checkpoint_about import require_features
from dashfusion_models.closing import Closing
from dashfusion_models.device import pick_device
from dashfusion_models.engines import Engines
from dashfusion_models.errors import MediaError, NothingToScore
from dashfusion_models.extract import Extracted, Extraction, Request, extract
from dashfusion_models.features.audio import AUDIO_SPEC
from dashfusion_models.features.vision import VISION_SPEC
from dashfusion_models.opened import Opened
from dashfusion_models.overall import overall_of
from dashfusion_models.reasons import length_warnings, reasons_of
from dashfusion_models.records import MODALITIES, Modality, Progress, Streams
from dashfusion_models.segment import SegmentRule
from dashfusion_models.speech.transcript_file import read_transcript
from dashfusion_models.stages import Stages
from dashfusion_models.weights import DEFAULT_CHECKPOINT, locate_checkpoint

if TYPE_CHECKING:
    import torch

    from dashfusion_models.checkpoint import Checkpoint
    from dashfusion_models.score import Scored

__all__ = ["AnalyzeOptions", "Analyzer"]

SpeechEngine = Literal["auto", "faster-whisper", "openai-whisper"]

_NOTHING = Streams[float | None](text=None, audio=None, vision=None)


class Analyzer(Closing):
    """A loaded checkpoint with the engines that feed it; it may analyse many files.

    Engines load with the first file that needs them and are kept; the face engine is a process of
    its own. So use it in a `with`, or call `close`. One file at a time: it is not for several
    threads. Many files at once are for `dashfusion_models.folder`.

    Source: the network is DashFusion (Wen et al., IEEE TNNLS 36(10), 2025).
    """

    def __init__(
        self,
        checkpoint: Checkpoint | Opened,
        engines: Engines,
        *,
        device: torch.device | None = None,
    ) -> None:
        """Put the parts together; `load` is the usual way in.

        The network of `checkpoint` is moved to `device` (None: the CPU); an `Opened` one has its
        device already.
        """
        if not isinstance(checkpoint, Opened):
            checkpoint = Opened.ready(checkpoint, device or pick_device("cpu"))
        self._opened = checkpoint
        self._engines = engines

    @classmethod
    def load(
        cls,
        checkpoint: str | Path = DEFAULT_CHECKPOINT,
        *,
        device: str = "auto",
        asr: SpeechEngine = "auto",
        asr_model: str = "base",
        offline: bool = False,
        in_background: bool = False,
    ) -> Analyzer:
        """Load a checkpoint by its name or path; the engines load when they are needed.

        `device` is auto, cpu, cuda, cuda:N or mps; auto takes a GPU that works. `asr` is the speech
        engine (auto: faster-whisper where it is installed) and `asr_model` its Whisper model, by
        name or folder. With `offline` nothing is downloaded.

        `in_background`: come back while the network is still being loaded. A file that cannot be
        a checkpoint is refused at once all the same; damage further inside while files are heard.

        Raises:
            CheckpointError: no checkpoint, or one made for other features.
            DeviceError: the device is not there.
            WeightsError: no weights of that name, or they are missing, unfinished or altered.
        """
        path = locate_checkpoint(checkpoint, offline=offline)
        opened = Opened.of(path, device, offline=offline)
        require_features(opened.facts, path, audio=AUDIO_SPEC, vision=VISION_SPEC)
        engines = Engines(
            asr=asr, asr_model=asr_model, device=opened.speech_device, offline=offline
        )
        if not in_background:
            opened.wait()
        return cls(opened, engines)

    def analyze(
        self,
        path: str | Path,
        options: AnalyzeOptions | None = None,
        *,
        report: Callable[[Progress], None] = lambda progress: None,
    ) -> Analysis:
        """Analyse one file: a video, sound alone, or an image.

        `report` hears how far each stage is, also from other threads. Times of the result are
        seconds from the start of the file, scores lie in the checkpoint's `label_range`.

        Raises:
            MediaError: the file cannot be read; NothingToScore: it has neither speech nor a face,
                or nothing but what is left out.
            ConfigError: `segments` or `language` of the options is unknown.
            TranscriptError: their transcript cannot be read.
            SpeechError: the speech engine failed.
            WeightsError: weights of an engine are missing.
            CheckpointError: loaded in the background, the checkpoint turned out to be damaged.
            DiskError: there is no room for temporary files, which long files need.
        """
        started = time.perf_counter()
        options = options or AnalyzeOptions()

        def told(progress: Progress) -> None:
            self._opened.check()
            report(progress)

        request = self._request(options)
        extraction = extract(Path(path), request, self._engines, told)
        reads = self._reads(extraction, request)
        stages = Stages()
        segments = self._segments(extraction, request, stages, reads_language=reads, report=report)
        if all(segment.score is None for segment in segments):
            _refuse(Path(path), request, extraction.media.duration_s, segments)
        timing = {**extraction.timing_s, **stages.spent_s, "total": time.perf_counter() - started}
        waiting = {**extraction.waiting_s, **stages.waited_s}
        return self._analysis(
            extraction,
            segments,
            run=_run(options, request),
            reads_language=reads,
            timing=timing,
            waiting=waiting,
        )

    def analyze_many(
        self, paths: Iterable[str | Path], options: AnalyzeOptions | None = None
    ) -> Iterator[Analysis]:
        """Analyse several files, one after the other; yield each as it is finished.

        Raises:
            As `analyze`. The first file that fails ends it; to go on, call `analyze` for each.
        """
        for path in paths:
            yield self.analyze(path, options)

    def close(self) -> None:
        """Stop the face process; a later `analyze` starts it again."""
        self._engines.close()

    def _request(self, options: AnalyzeOptions) -> Request:
        known = frozenset(self._opened.facts.modalities)
        return Request(
            language=None if options.language == "auto" else options.language,
            translate=options.translate,
            readable=frozenset(self._opened.facts.languages),
            transcript=read_transcript(Path(options.transcript)) if options.transcript else None,
            rule=SegmentRule.parse(options.segments),
            modalities=known.difference(options.without),
            cut_by=known,
            start_s=options.start_s,
            end_s=options.end_s,
        )

    def _reads(self, extraction: Extraction, request: Request) -> bool:
        """Whether the checkpoint learned from texts in the language of the words that it scores."""
        transcript = extraction.transcript
        if "text" not in request.modalities or transcript is None or transcript.language is None:
            return True
        code = "en" if transcript.translated else transcript.language.code
        return code in self._opened.facts.languages

    def _segments(
        self,
        extraction: Extraction,
        request: Request,
        stages: Stages,
        *,
        reads_language: bool,
        report: Callable[[Progress], None],
    ) -> tuple[Segment, ...]:
        """Score a few utterances at a time, whose sequences are then let go.

        One with nothing to score keeps its place, without a score.
        """
        with stages.stage("score"), stages.waiting("score"):
            checkpoint, device = self._opened.wait()
        from dashfusion_models.score import BATCH, score

        found = iter(extraction.extracted)
        if not reads_language:
            found = _without_words(found)
        segments: list[Segment] = []
        while some := list(islice(found, BATCH)):
            there = [e.features for e in some if _has_something(e)]
            with stages.stage("score"):
                scored = iter(score(checkpoint, there, device=device))
            for one in some:
                its = next(scored) if _has_something(one) else None
                segments.append(self._segment(one, its, request, reads_language=reads_language))
            report(Progress("score", len(segments), None, "utterances"))
        if segments:
            report(Progress("score", len(segments), len(segments), "utterances"))
        return tuple(segments)

    def _segment(
        self,
        extracted: Extracted,
        scored: Scored | None,
        request: Request,
        *,
        reads_language: bool,
    ) -> Segment:
        from dashfusion_models.scored_words import scored_words

        checkpoint, _ = self._opened.wait()
        utterance, label_range = extracted.utterance, checkpoint.label_range
        alone = scored.alone if scored else _NOTHING
        parts = scored.text if scored else None
        return Segment(
            start_s=utterance.start_s,
            end_s=utterance.end_s,
            text=utterance.text,
            speaker=utterance.speaker,
            score=scored.score if scored else None,
            label=label_of(scored.score, label_range) if scored else None,
            interval=scored.interval if scored else None,
            base=scored.base if scored else None,
            contributions=scored.contributions if scored else _NOTHING,
            alone=alone,
            present=extracted.present,
            speech_confidence=utterance.confidence,
            face=extracted.face,
            reasons=reasons_of(
                utterance,
                extracted.features,
                alone,
                spoken=extracted.spoken,
                left_out=_not_scored(request),
                reads_language=reads_language,
                label_range=label_range,
                thresholds=checkpoint.thresholds,
            ),
            words=scored_words(utterance, parts),
            context_contribution=parts.context if parts else None,
        )

    def _analysis(
        self,
        extraction: Extraction,
        segments: tuple[Segment, ...],
        *,
        run: Run,
        reads_language: bool,
        timing: dict[str, float],
        waiting: dict[str, float],
    ) -> Analysis:
        (checkpoint, device), heard = self._opened.wait(), extraction.transcript
        language = heard.language if heard else None
        warnings = list(extraction.warnings)
        if not reads_language and language:
            warnings.append(
                f"speech in {language.code!r}, which {checkpoint.name} does not read: "
                "the words were not scored; --translate translates them to English"
            )
        if reads_language and "text" not in run.without:
            spoken = [(s.end_s - s.start_s, s.text) for s in segments if s.text]
            warnings += length_warnings(spoken, checkpoint.collate.reads_all_of)
        asr = Asr(heard.engine, heard.model) if heard and heard.engine and heard.model else None
        return Analysis(
            tool_version=metadata.version("dashfusion"),
            media=extraction.media,
            model=ModelInfo(
                checkpoint.name, checkpoint.sha256, checkpoint.label_range, checkpoint.license
            ),
            run=run,
            device=Devices(
                score=str(device),
                transcribe=self._engines.recogniser().device if asr else None,
                vision="cpu" if any(s.face for s in segments) else None,
            ),
            asr=asr,
            language=DetectedLanguage(language.code, language.probability) if language else None,
            overall=overall_of(segments, checkpoint),
            segments=segments,
            warnings=tuple(warnings),
            timing_s=timing,
            waiting_s=waiting,
        )


def _run(options: AnalyzeOptions, request: Request) -> Run:
    given = request.transcript if options.transcript else None
    return Run(
        segments=options.segments,
        without=_not_scored(request),
        language=request.language or "auto",
        translate=options.translate,
        start_s=options.start_s,
        end_s=options.end_s,
        transcript=Path(options.transcript) if options.transcript and given else None,
        transcript_sha256=given.sha256 if given else None,
    )


def _not_scored(request: Request) -> tuple[Modality, ...]:
    return tuple(m for m in MODALITIES if m not in request.modalities)


def _refuse(path: Path, request: Request, duration_s: float, found: Sequence[Segment]) -> NoReturn:
    """Say why nothing of a file could be scored."""
    start_s = request.start_s
    if 0.0 < duration_s <= start_s:
        fact = f"is {duration_s:.1f} s long, so nothing is at {start_s:.1f} s"
        raise MediaError(f"{path}: {fact}; start earlier")
    but = None
    if found and request.left_out:
        but = f"what is left out ({', '.join(_not_scored(request))}); leave less out"
    elif found:
        fact = "words in a language that the model does not read"
        but = f"{fact}; translate them, or use a checkpoint that reads it"
    raise NothingToScore(path, duration_s, but=but)


def _has_something(extracted: Extracted) -> bool:
    return any(there for _, there in extracted.features.present.items())


def _without_words(extracted: Iterable[Extracted]) -> Iterator[Extracted]:
    """Keep the words for the reader, but not for a network that cannot read them."""
    return (replace(e, features=replace(e.features, text=None)) for e in extracted)
