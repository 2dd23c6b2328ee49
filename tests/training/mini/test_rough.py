"""Rough copies are the same every time, of the training rows alone, and whole."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from dashfusion_models.errors import DataError, MediaError
from dashfusion_models.media import read_image, read_sound
from dashfusion_training.manifest import read_manifest
from dashfusion_training.mini import rough_faces, rough_voices
from dashfusion_training.mini.rough import MOST, befalling, generator, main, write_rough

RATE_HZ = 16_000


def sine(hz: float, *, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (amplitude * np.sin(2 * np.pi * hz * times)).astype(np.float32)


@pytest.mark.parametrize("chances", [rough_voices.CHANCES, rough_faces.CHANCES])
def test_one_to_three_things_befall_a_copy_by_their_chances(chances: dict[str, float]) -> None:
    drawn = [befalling(chances, generator(f"{k}.ogg", 1)) for k in range(3000)]
    assert {len(kinds) for kinds in drawn} == set(range(1, MOST + 1))
    # Independent reference: the chances of all subsets, of those with one to three members.
    names = list(chances)
    weight = {name: 0.0 for name in names}
    total = 0.0
    for bits in range(2 ** len(names)):
        chosen = [name for k, name in enumerate(names) if bits >> k & 1]
        if 1 <= len(chosen) <= MOST:
            p = np.prod([chances[n] if n in chosen else 1 - chances[n] for n in names])
            total += p
            for name in chosen:
                weight[name] += p
    for name in names:
        share = np.mean([name in kinds for kinds in drawn])
        assert share == pytest.approx(weight[name] / total, abs=0.04)


def test_what_is_drawn_depends_on_the_seed_and_the_name() -> None:
    first = generator("a.ogg", 1).random()
    assert first == generator("a.ogg", 1).random()
    assert len({first, generator("b.ogg", 1).random(), generator("a.ogg", 2).random()}) == 3


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """Two voices and a face that train, one voice each that do not."""
    folder = tmp_path / "media"
    (folder / "voices").mkdir(parents=True)
    for k, name in enumerate(("a", "b", "c", "d")):
        sound = np.concatenate([sine(150.0 + 50 * k), np.zeros(RATE_HZ // 2, np.float32)])
        wavfile.write(folder / "voices" / f"{name}.wav", RATE_HZ, sound)
    Image.fromarray(np.full((160, 120, 3), 99, np.uint8)).save(folder / "face.png")
    return folder


def write_manifest(media: Path, rows: list[dict[str, str]]) -> Path:
    path = media.parent / "clips.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def voice_row(name: str, split: str = "train", **changes: str) -> dict[str, str]:
    usual = {"file": f"voices/{name}.wav", "label": "happy", "split": split, "id": name,
             "person": f"person {name}", "modalities": "audio"}  # fmt: skip
    return {**usual, **changes}


@pytest.fixture
def manifest(media: Path) -> Path:
    face = voice_row("e", file="face.png", modalities="vision")
    kept_out = [voice_row("c", "valid"), voice_row("d", "test")]
    return write_manifest(media, [voice_row("a"), *kept_out, voice_row("b"), face])


def written(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*") if p.is_file()}  # fmt: skip


def test_training_rows_alone_are_copied_and_the_manifest_is_read(
    manifest: Path, media: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rough"
    path, copies, new = write_rough(manifest, output, media_root=media, seed=1111)
    assert (path, copies, new) == (output / "clips_rough.csv", 3, 3)
    rows = read_manifest(path, media_root=output)
    assert [row.id for row in rows] == ["a-rough", "b-rough", "e-rough"]
    assert {row.split for row in rows} == {"train"}
    assert [row.person for row in rows] == ["person a", "person b", "person e"]
    assert [row.modalities for row in rows] == [{"audio"}, {"audio"}, {"vision"}]
    heads = [p.read_text("utf-8").splitlines()[0] for p in (manifest, path)]
    assert heads[0] == heads[1]
    first, second, face = (row.file for row in rows)
    assert first and second and face
    for sound in (first, second):
        assert 1.5 / 1.08 - 0.01 <= read_sound(sound).samples.size / RATE_HZ <= 1.5 / 0.92 + 0.01
    assert max(read_image(face).pixels.shape) <= 160
    assert len(written(output)) == 4  # nothing half-written beside them


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(
    manifest: Path, media: Path, tmp_path: Path
) -> None:
    for name, seed in (("one", 7), ("two", 7), ("three", 8)):
        write_rough(manifest, tmp_path / name, media_root=media, seed=seed)
    one, two, three = (written(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    copies = [{Path(n).name: b for n, b in w.items() if "seed" in n} for w in (one, three)]
    assert copies[0].keys() == copies[1].keys()
    assert all(copies[0][name] != copies[1][name] for name in copies[0])


def test_copies_that_are_there_are_not_made_again(
    manifest: Path, media: Path, tmp_path: Path
) -> None:
    output = tmp_path / "rough"
    write_rough(manifest, output, media_root=media, seed=1)
    before = written(output)
    (output / "seed-1" / "voices" / "a-rough.mp3").unlink()
    assert write_rough(manifest, output, media_root=media, seed=1)[1:] == (3, 1)
    assert written(output) == before
    assert write_rough(manifest, output, media_root=media, seed=2)[1:] == (3, 3)


def test_of_a_section_the_section_is_copied(media: Path, tmp_path: Path) -> None:
    rows = [{**voice_row("a"), "start_s": "0.2", "end_s": "0.7"}]
    path, *_ = write_rough(write_manifest(media, rows), tmp_path / "out", media_root=media, seed=1)
    (row,) = read_manifest(path)
    assert row.file and row.start_s == 0.0 and row.end_s is None
    assert 0.46 <= read_sound(row.file).samples.size / RATE_HZ <= 0.55


@pytest.mark.parametrize(
    ("rows", "fact"),
    [
        ([voice_row("a", "valid")], "no row has the split train"),
        ([voice_row("a", modalities="audio,vision")], "a is not a voice or a face alone"),
        ([{**voice_row("a", file=""), "text": "fine"}], "a is not a voice or a face alone"),
        ([voice_row("a"), voice_row("a", id="z")], "the copies of a and z would have one name"),
    ],
)
def test_rows_that_make_no_sense_are_refused_before_anything_is_written(
    rows: list[dict[str, str]], fact: str, media: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=fact):
        write_rough(write_manifest(media, rows), tmp_path / "out", media_root=media, seed=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("row", "fact"),
    [
        (voice_row("a", file="voices/a.wav", modalities="vision"), "is no still picture"),
        (voice_row("a", file="face.png"), "holds no sound"),
    ],
)
def test_a_file_without_what_is_wanted_is_refused(
    row: dict[str, str], fact: str, media: Path, tmp_path: Path
) -> None:
    with pytest.raises(MediaError, match=fact):
        write_rough(write_manifest(media, [row]), tmp_path / "out", media_root=media, seed=1)
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_the_command(
    manifest: Path, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = tmp_path / "rough"
    command = ["rough", str(manifest), "--media-root", str(media), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 0
    said = capsys.readouterr().out
    assert said == f"{output / 'clips_rough.csv'}: 3 rough copies, 3 of them new\n"
    assert (output / "seed-1111" / "face-rough.jpg").exists()
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(sys, "argv", [*command[:-1], str(tmp_path / "taken")])
    assert main() == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
