"""The published schemas hold for all that the tool writes, and for nothing else."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from dashfusion_cli.commands.schema import Schema, schema_bytes
from dashfusion_models.analysis import FIVE_LABELS, SEVEN_LABELS, Analysis, Reason, Run, ScoredWord
from dashfusion_models.errors import MediaError
from dashfusion_models.folder.jobs import Job, attempt
from dashfusion_models.records import UNTOLD, FaceChoice, MediaInfo, Streams
from dashfusion_training.evaluate import Report
from dashfusion_training.missing import MissingReport, MissingRow

from .conftest import FakeRoad, analysis, segment

Command = Callable[..., Any]


def validator(name: str) -> Draft202012Validator:
    schema = json.loads(schema_bytes(Schema(name)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def full() -> Analysis:
    """An analysis in which everything is there."""
    face = FaceChoice(track=0, chosen_by="lips", box=(0.3, 0.1, 0.2, 0.4))
    parts = Streams(text=0.5, audio=0.1, vision=-0.2)
    reasons = get_args(Reason)
    words = (ScoredWord("liked", 0.8, 1.1, 0.98, 0.7), ScoredWord("it.", None, None, None))
    scored = segment(
        face=face, contributions=parts, reasons=reasons, speaker="Anna", words=words,
        context_contribution=0.1,
    )  # fmt: skip
    return analysis(
        "clip.mp4", scored, run=Run(transcript=Path("clip.srt"), transcript_sha256="2" * 64)
    )


def bare() -> Analysis:
    """An analysis of an image: nearly everything is absent."""
    nothing = Streams(text=None, audio=None, vision=0.4)
    face = segment(
        text=None,
        interval=None,
        contributions=nothing,
        speech_confidence=None,
        start_s=0.0,
        end_s=0.0,
    )
    media = MediaInfo(Path("a.jpg"), "0" * 64, 0.0, False, True, True, 64, 64, None)
    return analysis("a.jpg", face, media=media, asr=None, language=None)


@pytest.mark.parametrize("found", [full(), bare()])
def test_analyses_are_valid(found: Analysis) -> None:
    validator("analysis").validate(json.loads(json.dumps(found.to_dict(), allow_nan=False)))


def test_every_key_of_an_analysis_is_named() -> None:
    schema = json.loads(schema_bytes(Schema.analysis))
    top, one = schema["properties"], schema["properties"]["segments"]["items"]["properties"]
    written = full().to_dict()
    assert set(top) == set(written)
    assert set(one) == set(written["segments"][0])
    for name in ("media", "model", "run", "device", "overall", "tool"):
        assert set(top[name]["properties"]) == set(written[name])
    told = {f.name for f in dataclasses.fields(FaceChoice) if f.metadata != UNTOLD}
    assert set(one["face"]["anyOf"][0]["properties"]) == told
    assert set(one["reasons"]["items"]["enum"]) == set(get_args(Reason))
    assert set(schema["$defs"]["label"]["enum"]) == {*SEVEN_LABELS, *FIVE_LABELS}


def test_what_was_written_before_there_were_transcripts_is_valid() -> None:
    record = json.loads(json.dumps(full().to_dict()))
    del record["run"]
    validator("analysis").validate(record)


def spoil(*path: str | int, value: Any = ...) -> Callable[[Any], None]:
    """Change what lies at a path, or take it away."""

    def change(record: Any) -> None:
        for step in path[:-1]:
            record = record[step]
        if value is ...:
            del record[path[-1]]
        else:
            record[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "fault",
    [
        spoil("schema", value="dashfusion/analysis/2"),
        spoil("segments", value=[]),
        spoil("segments", 0, "score"),
        spoil("segments", 0, "score", value="1.6"),
        spoil("segments", 0, "label", value="happy"),
        spoil("segments", 0, "interval", value=[1.0]),
        spoil("segments", 0, "present", "text", value=1.2),
        spoil("segments", 0, "reasons", value=["tired"]),
        spoil("segments", 0, "face", "chosen_by", value="luck"),
        spoil("segments", 0, "words", 0, "contribution"),
        spoil("segments", 0, "words", 0, "contribution", value="much"),
        spoil("media", "sha256", value="0"),
        spoil("run", "transcript_sha256", value="0"),
        spoil("timing_s", "total", value=-1),
        spoil("surplus", value=1),
    ],
)
def test_faults_are_found(fault: Callable[[Any], None]) -> None:
    record = copy.deepcopy(full().to_dict())
    fault(record)
    with pytest.raises(ValidationError):
        validator("analysis").validate(record)


def test_a_failure_is_valid_and_its_faults_are_found(tmp_path: Path) -> None:
    def fails(job: Job) -> dict[str, Any]:
        raise MediaError(f"{job.path}: cannot be read")

    file = tmp_path / "bad.mp4"
    file.write_bytes(b"no video")
    check = validator("failure")
    for where in (file, tmp_path / "gone.mp4"):
        record = json.loads(attempt(fails, Job("bad.mp4", str(where), 8)).line)
        check.validate(record)
    for fault in (spoil("error"), spoil("error", "kind", value=1), spoil("media", "path")):
        spoiled = copy.deepcopy(record)
        fault(spoiled)
        with pytest.raises(ValidationError):
            check.validate(spoiled)


def reports() -> Iterator[dict[str, Any]]:
    known: dict[str, Any] = {
        "dataset": "mosi",
        "split": "test",
        "checkpoint": "best.safetensors",
        "n": 686,
        "metrics": {"mae": 0.7, "corr": None},
        "modalities": ("text", "vision"),
        "classes": {},
    }
    yield Report(**known, intervals={"mae": (0.6, 0.8)}, predictions=()).to_dict()
    yield Report(**known, intervals={}, predictions=(), trained_on=412).to_dict()
    rows = (MissingRow(rate=0.1, modalities=None, metrics={"mae": 0.8}),)
    yield MissingReport(**known, protocol="random", mask_seeds=(1, 2), rows=rows).to_dict()
    subsets = (MissingRow(rate=None, modalities=("text",), metrics={"mae": None}),)
    yield MissingReport(**known, protocol="subsets", mask_seeds=(), rows=subsets).to_dict()


@pytest.mark.parametrize("report", list(reports()))
def test_reports_are_valid_and_their_faults_are_found(report: dict[str, Any]) -> None:
    check = validator("report")
    check.validate(json.loads(json.dumps(report)))
    for fault in (
        spoil("metrics", value={}),
        spoil("n", value=0),
        spoil("trained_on", value=-1),
        spoil("modalities", value=["smell"]),
        spoil("surplus", value=1),
        spoil("checkpoint"),
    ):
        record = json.loads(json.dumps(report))
        fault(record)
        with pytest.raises(ValidationError):
            check.validate(record)


@pytest.mark.parametrize("name", list(Schema))
def test_the_command_prints_the_schema(command: Command, name: Schema, tmp_path: Path) -> None:
    done = command("schema", name)
    assert done.code == 0
    schema = json.loads(done.out)
    assert schema["$id"] == f"dashfusion/{name}/1"
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    out = tmp_path / "schema.json"
    assert command("schema", name, "-o", out).code == 0
    assert json.loads(out.read_text("utf-8")) == schema


def test_what_analyze_prints_is_valid(command: Command, road: FakeRoad, tmp_path: Path) -> None:
    clip = tmp_path / "a.mp4"
    clip.write_bytes(b"x")
    validator("analysis").validate(json.loads(command("analyze", clip, "--format", "json").out))
