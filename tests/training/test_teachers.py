"""Labels that predictions of others soften."""

from pathlib import Path

import pytest

from dashfusion_models.errors import ConfigError, DataError
from dashfusion_models.store import Store
from dashfusion_training.config import TrainConfig, changed, with_settings
from dashfusion_training.datasets import load_dataset


def write(path: Path, rows: list[tuple[str, float, float]]) -> str:
    lines = ["id,label,prediction", *(f"{name},{label},{said}" for name, label, said in rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def test_labels_that_train_move_towards_what_teachers_say(
    planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    stores = {"planted": planted_store}
    plain = load_dataset(stores, "train", tiny_config)
    one, other, third = plain[:3]
    teachers = (
        write(tmp_path / "a.csv", [(one.row.id, one.label, 1.0), (other.row.id, other.label, -1)]),
        write(tmp_path / "b.csv", [(one.row.id, one.label, 2.0)]),
    )
    config = changed(tiny_config, {"teachers": list(teachers), "teacher_share": 0.25})
    soft = load_dataset(stores, "train", config)
    assert soft[0].label == pytest.approx(0.75 * one.label + 0.25 * 1.5)
    assert soft[1].label == pytest.approx(0.75 * other.label - 0.25)
    assert [s.label for s in soft[2:]] == [s.label for s in plain[2:]] and third.label
    kept = load_dataset(stores, "valid", config)
    assert [s.label for s in kept] == [s.label for s in load_dataset(stores, "valid", tiny_config)]


def test_what_teachers_say_may_take_the_place_of_rough_labels(
    planted_store: Store, small_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """By source; the others move by `teacher_share`."""
    stores = {"exact": planted_store, "rough": small_store}
    plain = load_dataset({"exact": planted_store}, "train", tiny_config)[7]
    teacher = write(tmp_path / "a.csv", [(plain.row.id, plain.label, 1.5)])
    config = changed(
        tiny_config,
        {"teachers": [teacher], "teacher_share": 0.25, "teacher_shares": {"rough": 1}},
    )
    found = {
        s.source: s.label for s in load_dataset(stores, "train", config) if s.row.id == plain.row.id
    }
    assert found["exact"] == pytest.approx(0.75 * plain.label + 0.25 * 1.5)
    assert found["rough"] == pytest.approx(1.5)
    with pytest.raises(ConfigError, match=r"teacher_shares: is 1\.5 for rough; it must be in"):
        changed(tiny_config, {"teacher_shares": {"rough": 1.5}})
    with pytest.raises(ConfigError, match="give a table of names and numbers"):
        with_settings(tiny_config, {"teacher_shares": "1.0"})
    asked = with_settings(tiny_config, {"teacher_shares": "{rough = 1}"})
    assert asked.teacher_shares == {"rough": 1.0}


def test_a_teacher_of_other_data_is_refused(
    planted_store: Store, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    sample = load_dataset({"planted": planted_store}, "train", tiny_config)[0]
    other = write(tmp_path / "other.csv", [(sample.row.id, sample.label + 0.5, 0.0)])
    (tmp_path / "bare.csv").write_text(f"id,score\n{sample.row.id},1\n", "utf-8")
    for path, fact in (
        (other, "give predictions of the same data"),
        (str(tmp_path / "bare.csv"), "no numbers in the columns"),
        (str(tmp_path / "none.csv"), "no such file"),
    ):
        config = changed(tiny_config, {"teachers": [path]})
        with pytest.raises(DataError, match=fact):
            load_dataset({"planted": planted_store}, "train", config)


def test_the_setting_is_a_list_of_files(tiny_config: TrainConfig) -> None:
    config = with_settings(tiny_config, {"teachers": '["a.csv", "b.csv"]'})
    assert config.teachers == ("a.csv", "b.csv")
    with pytest.raises(ConfigError, match="give a list"):
        with_settings(tiny_config, {"teachers": "a.csv"})
