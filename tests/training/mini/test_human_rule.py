"""The rule of how people weigh words, voice and face."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from dashfusion_models.records import Streams
from dashfusion_training.mini import human_rule
from dashfusion_training.mini.human_rule import Judged, cells, fit, fit_report, read_rule, read_sims

DATA = Path(__file__).parents[4] / "shared" / "data"
SIMS = DATA / "human_fusion" / "sims_v1.csv"


@pytest.fixture(scope="module")
def planted() -> Judged:
    """People who weigh 0.5, 0.2, 0.3, and agree less where the three are in conflict."""
    draw = np.random.default_rng(7)
    alone = draw.uniform(-1, 1, (20_000, 3))
    spread = 0.05 + 0.1 * np.ptp(alone, axis=1)
    whole = 0.1 + alone @ [0.5, 0.2, 0.3] + spread * draw.standard_normal(len(alone))
    return Judged(alone, whole, tuple(f"video-{i % 40}" for i in range(len(alone))))


def test_the_planted_weights_and_spread_are_found(planted: Judged) -> None:
    rule = fit(planted)
    assert rule.intercept == pytest.approx(0.1, abs=0.01)
    assert [rule.weights[m] for m in ("text", "audio", "vision")] == pytest.approx(
        [0.5, 0.2, 0.3], abs=0.01
    )
    assert rule.spread_least == pytest.approx(0.05, abs=0.01)
    assert rule.spread_per_conflict == pytest.approx(0.1, abs=0.01)


def test_the_mean_is_that_of_ordinary_least_squares(planted: Judged) -> None:
    reference = LinearRegression().fit(planted.alone, planted.whole)
    rule = fit(planted)
    alone = Streams(text=0.4, audio=-0.6, vision=0.1)
    assert rule.mean(alone) == pytest.approx(reference.predict([[0.4, -0.6, 0.1]])[0])
    assert rule.spread(alone) == pytest.approx(0.05 + 0.1 * 1.0, abs=0.01)


def test_no_judgement_leaves_the_scale(planted: Judged) -> None:
    assert fit(planted).mean(Streams(text=1.0, audio=1.0, vision=1.0)) == 1.0


def test_a_cell_holds_the_clips_of_its_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(human_rule, "DRAWS", 50)
    alone = np.array([[0.5, -0.5, 0.05], [0.9, -0.2, -0.1], [-1.0, -1.0, -1.0], [-0.2, 0.1, 1.0]])
    judged = Judged(alone, np.array([0.2, 0.4, -1.0, 0.3]), ("a", "b", "b", "c"))
    rows = {(r["text"], r["audio"], r["vision"]): r for r in cells(judged, fit(judged))}
    assert set(rows) == {("+", "-", "0"), ("-", "-", "-"), ("-", "0", "+")}
    both = rows["+", "-", "0"]
    assert (both["n"], both["videos"], both["mean"]) == (2, 2, 0.3)
    assert both["spread"] == pytest.approx(0.1)
    assert 0.2 <= both["interval"][0] <= both["interval"][1] <= 0.4


def test_the_command_writes_what_it_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: Judged
) -> None:
    monkeypatch.setattr(human_rule, "DRAWS", 20)
    folder = tmp_path / "human_fusion"
    folder.mkdir()
    lines = ["id,video_id,clip_id,M,T,A,V,split"]
    for i, ((t, a, v), m, video) in enumerate(
        zip(planted.alone[:500], planted.whole, planted.group, strict=False)
    ):
        lines.append(f"{i},{video},{i},{m},{t},{a},{v},train")
    (folder / "sims_v1.csv").write_text("\n".join(lines), "utf-8")
    (folder / "crema_d.csv").write_text(
        "actor,voice,face,both\n1,0.5,0.4,0.5\n1,-1,-1,-1\n2,0,0.2,0.2\n3,1,0.1,0.4\n", "utf-8"
    )
    (folder / "emotiontalk.csv").write_text(
        "dialogue,T,A,V,M\nx,happy,happy,neutral,happy\ny,angry,sad,sad,sad\n"
        "z,neutral,fearful,happy,neutral\nw,surprised,happy,happy,happy\n",
        "utf-8",
    )
    report = fit_report(tmp_path)
    path = tmp_path / "rule.json"
    path.write_text(json.dumps(report), "utf-8")
    assert read_rule(path).weights.text == pytest.approx(0.5, abs=0.05)
    assert report["tried_on"][0]["source"] == "CREMA-D"
    assert "text" not in report["tried_on"][0]["own_fit"]["weights"]  # its words say nothing


@pytest.mark.skipif(not SIMS.is_file(), reason="needs the shared data sets")
def test_the_kept_rule_is_the_fit_to_the_labels() -> None:
    fitted, kept = fit(read_sims(SIMS)), read_rule()
    assert kept.intercept == pytest.approx(fitted.intercept)
    for modality in ("text", "audio", "vision"):
        assert kept.weights[modality] == pytest.approx(fitted.weights[modality])
    assert kept.spread_least == pytest.approx(fitted.spread_least)
