"""What only a process of its own can show: signals, pipes, imports, time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import ROOT

HEAVY = "torch transformers librosa mediapipe av numpy moviepy faster_whisper whisper scipy"

FAKE = """
import hashlib, sys, threading, time, types
sys.path[:0] = {roots!r}
from tests_cli_conftest import analysis
module = types.ModuleType("dashfusion_models.analyzer")
class AnalyzeOptions:
    def __init__(self, **values): pass
class Analyzer:
    @classmethod
    def load(cls, *_, **__): return cls()
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def analyze(self, path, options, *, report):
        text = path.read_text()
        if text == "slow":
            print("slow one begins", file=sys.stderr, flush=True)
            time.sleep(60)
        if text == "deaf":  # a library that looks up for no signal, beside a thread that loads
            threading.Thread(target=time.sleep, args=(60,)).start()
            print("deaf one begins", file=sys.stderr, flush=True)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)
        if text == "waits":
            print("waiting one begins", file=sys.stderr, flush=True)
            thread = threading.Thread(target=time.sleep, args=(60,))
            thread.start()
            try:
                time.sleep(60)
            finally:
                thread.join()
        if text == "fails":
            from dashfusion_models.errors import MediaError
            threading.Thread(target=time.sleep, args=(60,)).start()
            raise MediaError("it is broken")
        if text == "chatty":
            print("a library prints this")
        return analysis(str(path))
module.Analyzer, module.AnalyzeOptions = Analyzer, AnalyzeOptions
sys.modules["dashfusion_models.analyzer"] = module
from dashfusion_cli import leaving
leaving._UNWIND_S = {unwind_s}
from dashfusion_cli.__main__ import main
main()
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    return written(tmp_path / "program")


def written(here: Path, *, unwind_s: float = 0.4) -> list[str]:
    here.mkdir()
    (here / "tests_cli_conftest.py").write_text(
        (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    roots = [str(here), *(str(ROOT / part) for part in (".", "models", "training"))]
    (here / "run.py").write_text(FAKE.format(roots=roots, unwind_s=unwind_s), encoding="utf-8")
    return [sys.executable, str(here / "run.py")]


def clips(folder: Path, *texts: str) -> list[str]:
    for number, text in enumerate(texts):
        (folder / f"{number}.mp4").write_text(text)
    return [str(folder / f"{number}.mp4") for number in range(len(texts))]


def plain(code: str) -> subprocess.CompletedProcess[str]:
    roots = os.pathsep.join(str(ROOT / part) for part in (".", "models", "training"))
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": roots},
        timeout=60,
    )


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "analyze --help",
        "batch --help",
        "extract --help",
        "train --help",
        "eval --help",
        "weights --help",
        "cache --help",
        "doctor --help",
    ],
)
def test_help_imports_nothing_heavy_and_ends_with_an_example(command: str) -> None:
    code = (
        "import sys\nfrom dashfusion_cli.app import run\n"
        f"code = run({command.split()!r})\n"
        f"print(sorted(set({HEAVY.split()!r}) & set(sys.modules)), code)"
    )
    *page, last = plain(code).stdout.rstrip().splitlines()
    assert last == "[] 0"
    title = max(n for n, line in enumerate(page) if line.strip().startswith("Example"))
    below = " ".join(" ".join(page[title:]).split())
    title_word, *examples = below.split("• ") if "• " in below else below.split(": ", 1)
    assert title_word.strip(" :") in ("Examples", "Example")
    assert examples
    assert all(example.startswith("dashfusion ") for example in examples)


def test_a_download_that_fails_is_one_line(tmp_path: Path) -> None:
    code = (
        f"import os\nos.environ.update(HF_ENDPOINT='http://127.0.0.1:9', HF_HOME={str(tmp_path)!r},"
        f" DASHFUSION_CACHE={str(tmp_path)!r})\nfrom dashfusion_cli.app import run\n"
        "raise SystemExit(run(['weights', 'pull', 'bert-base-uncased']))"
    )
    done = plain(code)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_the_module_runs_and_says_its_version() -> None:
    code = "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('dashfusion_cli')"
    done = plain(code.replace("'dashfusion_cli')", "'dashfusion_cli', run_name='__main__')"))
    assert (done.returncode, done.stdout) == (0, "dashfusion 0.1.0\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize(("sent", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_leaves_no_half_written_file(
    program: list[str], tmp_path: Path, sent: str, code: int
) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    out = tmp_path / "out.jsonl"
    arguments = ["analyze", *clips(tmp_path, "quick", "slow"), "--format", "json", "-o", str(out)]
    process = subprocess.Popen(
        [*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    while "slow one begins" not in process.stderr.readline():
        assert process.poll() is None
    assert len(list(tmp_path.glob(".out.jsonl.*"))) == 1
    process.send_signal(getattr(signal, sent))
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == code
    assert (stdout, "Traceback" in stderr) == ("", False)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


def heed_signals() -> None:
    """Take signals as usual, also where who runs the tests ignores them, as nohup does."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


def begun(program: list[str], text: str, out: Path) -> subprocess.Popen[str]:
    """The program in the middle of its second file, of this text."""
    arguments = [*clips(out.parent, "quick", text), "--format", "json", "-o", str(out)]
    process = subprocess.Popen(
        [*program, "analyze", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )
    assert process.stderr is not None
    while "one begins" not in process.stderr.readline():
        assert process.poll() is None
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
@pytest.mark.parametrize("text", ["deaf", "waits"])
@pytest.mark.parametrize(("sent", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_ends_it_soon_whatever_its_threads_do(
    program: list[str], tmp_path: Path, sent: str, code: int, text: str
) -> None:
    process = begun(program, text, tmp_path / "out.jsonl")
    assert len(list(tmp_path.glob(".out.jsonl.*"))) == 1
    process.send_signal(getattr(signal, sent))
    started = time.monotonic()
    try:
        _, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert time.monotonic() - started < 5.0  # 0.4 s, on a machine that has nothing else to do
    assert "Traceback" not in stderr
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    process = begun(written(tmp_path / "p", unwind_s=60.0), "deaf", tmp_path / "out.jsonl")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_signal_that_was_ignored_stays_ignored(program: list[str], tmp_path: Path) -> None:
    """As by nohup."""
    process = subprocess.Popen(
        [*program, "analyze", *clips(tmp_path, *["quick"] * 3), "--format", "json"],
        stdout=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_failure_does_not_wait_for_what_threads_load(program: list[str], tmp_path: Path) -> None:
    arguments = [*program, "analyze", *clips(tmp_path, "fails")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("error: it is broken\n")


def test_a_killed_process_never_shows_half_a_file(program: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["analyze", *clips(tmp_path, "quick", "slow"), "--format", "json", "-o", str(out)]
    process = subprocess.Popen([*program, *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "slow one begins" not in process.stderr.readline():
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=30)
    assert not out.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise there")
def test_a_closed_pipe_is_quiet(program: list[str], tmp_path: Path) -> None:
    arguments = ["analyze", *clips(tmp_path, *["quick"] * 200), "--format", "json"]
    with subprocess.Popen(
        [*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()
    assert process.returncode == 0
    assert json.loads(first)["schema"] == "dashfusion/analysis/1"
    assert complaint == b""


def test_a_terminal_without_unicode_gets_ascii(program: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [*program, "analyze", *clips(tmp_path, "quick")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("ascii")
    assert "######" not in text and "|###..." in text  # +1.6 of 3 is three cells


@pytest.mark.skipif(sys.platform == "win32", reason="a shell of Unix closes them")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_streams_that_were_closed_before_the_start_do_no_harm(
    program: list[str], tmp_path: Path, closed: str
) -> None:
    media = clips(tmp_path, "chatty")
    for arguments in (["--format", "json"], ["--format", "json", "-o", str(tmp_path / "o.json")]):
        shell = ["sh", "-c", f'exec "$@" {closed}', "sh"]
        done = subprocess.run(
            [*shell, *program, "analyze", *media, *arguments], capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        shown = (done.stdout != b"", done.stderr != b"")
        to_stdout = closed[:3] != ">&-" and "<" not in closed and "-o" not in arguments
        assert shown == (to_stdout, closed == ">&-")
    assert json.loads((tmp_path / "o.json").read_text("utf-8"))["segments"]
