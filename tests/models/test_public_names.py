"""What `dashfusion_models` exports is documented, and refuses what makes no sense."""

import dataclasses
import inspect
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import dashfusion_models
from dashfusion_models import Analysis, AnalyzeOptions, Analyzer
from dashfusion_models.analysis import (
    Asr,
    DetectedLanguage,
    Devices,
    ModelInfo,
    Overall,
    Run,
    Segment,
)
from dashfusion_models.engines import Engines
from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.folder import (
    AnalyzeTask,
    Job,
    LocalEngine,
    Outcome,
    Plan,
    Recipe,
    Wanted,
)
from dashfusion_models.records import FaceChoice, MediaInfo
from tests.training.tiny import write_tiny_encoder
from tests.training.untrained import untrained

RECORDS = (
    *(Analysis, AnalyzeOptions, Asr, DetectedLanguage, Devices, ModelInfo, Overall, Run, Segment),
    *(FaceChoice, MediaInfo),
    *(AnalyzeTask, Job, LocalEngine, Outcome, Plan, Recipe, Wanted),
)


@pytest.mark.parametrize("record", RECORDS)
def test_every_field_is_explained(record: type) -> None:
    text = " ".join(str(record.__doc__).split())
    for field in dataclasses.fields(record):
        assert f"`{field.name}`" in text


@pytest.mark.parametrize("name", dashfusion_models.__all__)
def test_every_public_method_is_explained(name: str) -> None:
    exported = getattr(dashfusion_models, name)
    assert inspect.getdoc(exported)
    for method, found in vars(exported).items():
        if not method.startswith("_") and callable(getattr(exported, method)):
            assert inspect.getdoc(getattr(exported, method)), found


def test_load_and_analyze_explain_their_parameters() -> None:
    for method in (Analyzer.load, Analyzer.analyze):
        text = str(inspect.getdoc(method))
        assert "Raises:" in text
        named = inspect.signature(method).parameters.values()
        for parameter in (p for p in named if p.kind is p.KEYWORD_ONLY):
            assert f"`{parameter.name}`" in text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"start_s": -1.0}, "start_s: is -1.0"),
        ({"start_s": math.nan}, "start_s: is nan"),
        ({"start_s": math.inf}, "start_s: is inf"),
        ({"start_s": 5.0, "end_s": 5.0}, "end_s: 5.0 is not after start_s, 5.0"),
        ({"end_s": math.nan}, "end_s: nan"),
        ({"without": ("text", "audio", "vision")}, "nothing is left"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AnalyzeOptions(**values)


def test_an_unknown_modality_is_refused() -> None:
    options = AnalyzeOptions()
    # Types are checked when tests make one, as they are not for a caller.
    object.__setattr__(options, "without", {"smell"})
    with pytest.raises(ConfigError, match="without: smell is unknown; name some of text, audio"):
        options.__post_init__()


def test_what_only_a_file_can_tell_is_refused_in_one_line(tmp_path: Path) -> None:
    analyzer = Analyzer(untrained(write_tiny_encoder(tmp_path)), Engines(offline=True))
    for values, error in (
        ({"segments": "never"}, ConfigError),
        ({"segments": "0.1"}, ConfigError),
        ({"transcript": "gone.srt"}, DataError),
    ):
        with pytest.raises(error) as caught:
            analyzer.analyze(tmp_path / "clip.mp4", AnalyzeOptions(**values))
        assert "\n" not in str(caught.value)


def test_auto_is_no_language_and_any_collection_leaves_out(tmp_path: Path) -> None:
    analyzer = Analyzer(untrained(write_tiny_encoder(tmp_path)), Engines(offline=True))
    request = analyzer._request(AnalyzeOptions(language="auto", without=["audio"]))
    assert request.language is None
    assert request.modalities == {"text", "vision"}


def test_the_package_shows_its_public_names_before_they_are_used() -> None:
    program = """
import sys, dashfusion_models
names = [name for name in dir(dashfusion_models) if not name.startswith("_")]
assert names == sorted(dashfusion_models.__all__), names
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
