"""`dashfusion batch` as a process of its own, with planted work: signals, exit codes, tables."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

from .conftest import ROOT

resource = pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

PROGRAM = """
import sys
sys.path[:0] = {roots!r}
from dashfusion_cli.commands import batch
from dashfusion_models.folder import LocalEngine
from planted_work import PlantedTask
task = PlantedTask({log!r}, padding={padding})
batch._engine = lambda asked, session, files: LocalEngine(task, workers=asked["workers"] or 2)
if __name__ == "__main__":
    from dashfusion_cli.__main__ import main
    main()
"""


class Clips:
    """A folder of planted files, and the command over it."""

    def __init__(self, root: Path, padding: int = 0) -> None:
        self.root, self.folder, self.results = root, root / "clips", root / "results"
        self.folder.mkdir()
        roots = [
            str(ROOT / "tests" / "models" / "folder"),
            *(str(ROOT / part) for part in (".", "models", "training")),
        ]
        program = PROGRAM.format(roots=roots, log=str(root / "log"), padding=padding)
        (root / "run.py").write_text(program)

    def plant(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / f"{name}.mp4").write_text(f"{text} {name}")

    def start(self, *arguments: str, **how: Any) -> "subprocess.Popen[str]":
        command = [sys.executable, "run.py", "batch", "clips", "-o", "results", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.root, **{**pipes, **how})

    def run(self, *arguments: str, **how: Any) -> tuple[int, str, str]:
        process = self.start(*arguments, **how)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def lines(self) -> list[bytes]:
        path = self.results / "results.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        return [line for line in lines if line.endswith(b"\n")]

    def done(self) -> Counter[str]:
        return Counter(Path(json.loads(line)["media"]["path"]).stem for line in self.lines())

    def starts(self) -> Counter[str]:
        log = self.root / "log"
        return Counter(Path(n).stem for n in log.read_text().split()) if log.exists() else Counter()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return Clips(tmp_path)


def kill_tree(process: "subprocess.Popen[str]") -> None:
    """SIGKILL for a process and all below it, as a power cut would be."""
    parent = psutil.Process(process.pid)
    tree = [parent, *parent.children(recursive=True)]
    for one in tree:
        one.suspend()  # nobody reacts to the death of another
    for one in tree:
        one.kill()
    process.communicate()


def test_some_failed_is_3_and_none_is_0(clips: Clips) -> None:
    clips.plant(a="ok", b="bad")
    code, out, err = clips.run()
    assert (code, out) == (3, "results: 1 analysed, 1 failed\n")
    assert "2 files; 0.0 minutes of media to do, 2 workers, done at about " in err
    assert "warning: clips/b.mp4: cannot be read; convert it\n" in err
    assert "warning: clips/a.mp4: it is planted\n" in err
    # Nothing is left to do, and still whoever looks again is told what is missing.
    code, out, err = clips.run()
    assert (code, out) == (3, "results: 1 analysed, 1 failed\n")
    summary = Path("results", "summary.csv")
    told = f"not analysed: clips/b.mp4; {summary} says why, --retry-failed tries again\n"
    assert told in err
    clips.plant(b="ok")
    code, out, err = clips.run("--quiet")
    assert (code, out, err) == (0, "results: 2 analysed, 0 failed\n", "")
    assert clips.starts() == {"a": 1, "b": 2}


def test_the_tables(clips: Clips) -> None:
    clips.plant(a="slow 0.3", b="bad", c="ok")
    clips.run()
    summary = pd.read_csv(clips.results / "summary.csv")
    assert ",".join(summary.columns) == (
        "path,status,duration_s,language,score,label,low,high,n_segments,face_share,warnings,error,"
        "text_contribution,audio_contribution,vision_contribution,model,model_sha256,"
        "base,text_alone,audio_alone,vision_alone"
    )
    assert list(summary.path) == [f"clips/{name}.mp4" for name in "abc"]
    assert list(summary.status) == ["done", "failed", "done"]
    assert list(summary.loc[0, ["duration_s", "language", "score", "label"]]) == [
        2.0, "en", 0.5, "neutral",
    ]  # fmt: skip
    assert list(summary.loc[0, ["n_segments", "face_share", "warnings"]]) == [
        1, 0.5, "it is planted",
    ]  # fmt: skip
    assert summary.loc[1, ["score", "low", "face_share", "warnings"]].isna().all()
    assert summary.error[1] == "clips/b.mp4: cannot be read; convert it"
    assert list(summary.loc[0, ["text_contribution", "vision_contribution"]]) == [0.1, 0.2]
    assert summary.audio_contribution.isna().all()
    assert list(summary.model.fillna("")) == ["planted", "", "planted"]
    segments = pd.read_csv(clips.results / "segments.csv")
    assert list(segments.path) == ["clips/a.mp4", "clips/c.mp4"]
    assert list(segments.loc[0, ["text", "low", "high", "reasons"]]) == [
        "words ",
        -0.5,
        1.5,
        "short",
    ]
    assert list(segments.loc[0, ["segment", "speech_confidence", "text_present"]]) == [1, 0.9, 1.0]
    assert set(segments.model) == {"planted"}
    with (clips.results / "segments.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 3
    assert sorted(p.name for p in clips.results.iterdir()) == [
        ".lock", "batch.json", "results.jsonl", "segments.csv", "summary.csv", "work.sqlite",
    ]  # fmt: skip


def test_pages_are_written_and_written_again_by_a_resumed_run(clips: Clips) -> None:
    index, reports = clips.results / "index.html", clips.results / "reports"
    clips.plant(a="ok", b="bad")
    clips.run()
    assert not index.exists()
    code, _, err = clips.run("--html")  # other forms are no other options: nothing is done again
    assert code == 3 and clips.done() == Counter("ab"), err
    assert [p.name for p in reports.iterdir()] == ["a.mp4.html"]
    assert 'src="../../clips/a.mp4"' in (reports / "a.mp4.html").read_text("utf-8")
    assert "cannot be read; convert it" in index.read_text("utf-8")
    clips.plant(c="ok")
    index.unlink()
    clips.run("--html")
    assert sorted(p.name for p in reports.iterdir()) == ["a.mp4.html", "c.mp4.html"]
    assert '"path":"c.mp4"' in index.read_text("utf-8")


def test_killed_at_random_moments_every_file_is_done_exactly_once(clips: Clips) -> None:
    draw = random.Random(0)
    clips.plant(**{f"f{n:02}": "slow 0.05" for n in range(99)})
    clips.plant(**{f"g{n}": "bad" for n in range(10)})
    for _ in range(10):
        before = clips.done()
        starts = clips.starts()
        process = clips.start(stderr=subprocess.DEVNULL)
        wanted = sum(before.values()) + draw.randrange(1, 6)
        clips.wait_for(lambda w=wanted: len(clips.lines()) >= w)  # type: ignore[misc]
        time.sleep(draw.random() * 0.1)
        kill_tree(process)
        again = set(clips.starts() - starts)
        assert not again & set(before), "a file was done again after its record was safe"
        assert set(clips.done().values()) == {1}
        assert clips.done().keys() >= before.keys()
    assert len(clips.done()) < 109  # it was killed indeed
    code, out, _ = clips.run()
    assert (code, out) == (3, "results: 99 analysed, 10 failed\n")
    assert set(clips.done().values()) == {1}
    assert len(clips.done()) == 109


@pytest.mark.parametrize("stop", ["file size", "disk"])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(tmp_path: Path, stop: str) -> None:
    clips = Clips(tmp_path, padding=2000)
    clips.plant(**{f"f{n:02}": "ok" for n in range(12)})
    if stop == "disk":
        clips.results.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(clips.results)]
        if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("no disk to fill")
    try:
        how: dict[str, Any] = {}
        if stop == "file size":
            how["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        code, out, err = clips.run("--quiet", **how)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert err.startswith("error: ") and "cannot be written" in err
        kept = clips.done()
        assert 1 <= len(kept) < 12
        if stop == "disk":
            grow = ["mount", "-o", "remount,size=4m", str(clips.results)]
            subprocess.run(grow, check=True)
        code, out, err = clips.run()
        assert (code, out) == (0, "results: 12 analysed, 0 failed\n"), err
        assert all(clips.starts()[name] == 1 for name in kept)
        assert set(clips.done().values()) == {1}
    finally:
        if stop == "disk":
            subprocess.run(["umount", str(clips.results)], check=False)


def test_two_runs_at_once_refuse_each_other(clips: Clips) -> None:
    clips.plant(a="ok", b="slow 5")
    first = clips.start()
    clips.wait_for(lambda: clips.done() == {"a": 1})
    code, _, err = clips.run()
    assert code == 1
    assert err == (
        "error: results: another run is at work there; wait for its end, or name another folder\n"
    )
    kill_tree(first)  # the lock goes with it
    clips.plant(b="ok")
    assert clips.run()[0] == 0


def test_other_options_are_refused_naming_them(clips: Clips) -> None:
    clips.plant(a="ok")
    clips.run()
    code, _, err = clips.run("--segments", "whole", "--without", "vision", "--asr-model", "small")
    assert code == 1
    assert err == (
        "error: results: holds other results: --asr-model was base and is small, --segments was "
        "sentence and is whole, --without was not given and is vision; name another folder, or "
        "replace them by --force\n"
    )
    assert clips.run("--segments", "whole", "--force")[0] == 0
    assert clips.starts() == {"a": 2}
    assert clips.run("--segments", "whole", "--device", "cpu", "--workers", "1")[0] == 0
    assert clips.starts() == {"a": 2}


def test_transcripts_beside_the_files(clips: Clips) -> None:
    clips.plant(a="ok", b="ok", c="ok")
    (clips.folder / "a.srt").write_text("yes")
    (clips.folder / "b.txt").write_text("broken")
    code, out, err = clips.run("--transcripts")
    assert (code, out) == (3, "results: 2 analysed, 1 failed\n")
    fact = "clips/b.txt: no words in it; check that it is the right file"
    assert f"warning: {fact}\n" in err
    runs = {Path(r["media"]["path"]).stem: r.get("run") for r in map(json.loads, clips.lines())}
    assert [run and run["transcript"] for run in (runs["a"], runs["b"], runs["c"])] == [
        "clips/a.srt",
        "clips/b.txt",
        None,
    ]
    (clips.folder / "b.txt").write_text("yes")
    assert clips.run("--transcripts")[:2] == (0, "results: 3 analysed, 0 failed\n")
    assert clips.starts() == {"a": 1, "b": 2, "c": 1}
    code, _, err = clips.run()
    assert (code, err) == (
        1,
        "error: results: holds other results: --transcripts was on and is not given; name another "
        "folder, or replace them by --force\n",
    )


def test_results_of_an_earlier_version_go_on(clips: Clips) -> None:
    """As they were before there were transcripts and the later columns of the tables."""
    clips.plant(a="ok", b="bad")
    clips.run()
    about = json.loads((clips.results / "batch.json").read_text())
    assert set(about["options"]) == {
        "language", "translate", "segments", "without", "start_s", "end_s", "asr", "asr_model",
    }  # fmt: skip
    assert not any("run" in json.loads(line) for line in clips.lines())
    before = clips.lines()
    for table in ("summary.csv", "segments.csv"):
        (clips.results / table).write_text("path\nclips/a.mp4\n")
    clips.plant(c="ok")
    assert clips.run("--html")[:2] == (3, "results: 2 analysed, 1 failed\n")
    assert clips.lines()[:2] == before
    assert clips.starts() == {"a": 1, "b": 1, "c": 1}
    segments = pd.read_csv(clips.results / "segments.csv")
    assert list(segments.model) == ["planted", "planted"]


def test_one_interruption_waits_for_what_is_under_way(clips: Clips) -> None:
    clips.plant(a="ok", **{f"f{n}": "slow 2" for n in range(6)})
    process = clips.start()
    clips.wait_for(lambda: clips.done() == {"a": 1} and sum(clips.starts().values()) == 3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "stopping after the files under way; Ctrl-C again stops at once" in err
    assert "results: 4 files are left; run again to go on\n" in err
    assert "Traceback" not in err
    assert clips.done() == {"a": 1, "f0": 1, "f1": 1}
    assert len(pd.read_csv(clips.results / "summary.csv")) == 3


@pytest.mark.parametrize(("sent", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_stopped_at_once(clips: Clips, sent: str, code: int) -> None:
    clips.plant(a="ok", b="hang", c="hang")
    process = clips.start()
    clips.wait_for(lambda: clips.done() == {"a": 1} and sum(clips.starts().values()) == 3)
    workers = psutil.Process(process.pid).children(recursive=True)
    if sent == "SIGINT":
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
    process.send_signal(getattr(signal, sent))
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, "Traceback" in err) == (code, "", False)
    assert not any(worker.is_running() for worker in workers)
    assert len(pd.read_csv(clips.results / "summary.csv")) == 1
    clips.plant(b="ok", c="ok")
    assert clips.run()[0] == 0


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--include", "*.avi"], "clips: no file fits *.avi; give other patterns by --include"),
        (["--checkpoint", "./no.safetensors"], "no.safetensors: no such checkpoint"),
    ],
)
def test_nothing_to_do_is_an_error(clips: Clips, arguments: list[str], error: str) -> None:
    clips.plant(a="ok")
    code, out, err = clips.run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {error}")


def test_wrong_usage_is_2(clips: Clips) -> None:
    assert clips.run("--workers", "0")[0] == 2
    assert clips.run("--segments", "soon")[0] == 2
    assert not clips.results.exists()
