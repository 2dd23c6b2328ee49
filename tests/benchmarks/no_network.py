"""`analyze` and `batch` with and without a network: the same results, and nobody is called.

`python -m tests.benchmarks.no_network CLIP [CLIP ...]` (Linux, with `unshare` of util-linux and
`strace`; Debian: apt-get install strace).

Each command runs as it is, then in a namespace that has no network at all, and their JSON is
compared but for the times that stages took. Then it runs once more under `strace`, its children
too, and every address that anybody tried to reach is listed: a socket of this machine is no
network, anything else is a fault.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOOL = [sys.executable, "-m", "dashfusion_cli"]
ALONE = ["unshare", "--user", "--map-root-user", "--net"]
CALLS = "trace=connect,sendto,sendmsg,sendmmsg"
INTERNET = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
HERE = re.compile(r"^(127\.|::1$|::ffff:127\.)")


def run(command: Sequence[str]) -> None:
    """Run a command to its end.

    Raises:
        SystemExit: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.returncode}\n{done.stderr[-2000:]}")


def records(file: Path) -> list[dict[str, Any]]:
    """The results of a run in the order of their paths, without the times that stages took."""
    found = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for record in found:
        record.pop("timing_s", None)
    return sorted(found, key=lambda record: str(record["media"]["path"]))


def commands(clips: Sequence[Path], folder: Path, place: Path) -> dict[str, tuple[list[str], Path]]:
    """Both commands, and where each writes."""
    one, many = place / "one.jsonl", place / "many"
    analyze = ["analyze", str(clips[0]), str(clips[0]), "--format", "json", "--output", str(one)]
    batch = ["batch", str(folder), "--output", str(many), "--workers", "2"]
    return {
        "analyze": ([*TOOL, *analyze], one),
        "batch": ([*TOOL, *batch], many / "results.jsonl"),
    }


def reached(trace: Path) -> Counter[str]:
    """The addresses in a trace of system calls, and how often each was tried."""
    found: Counter[str] = Counter()
    for line in trace.read_text("utf-8", "replace").splitlines():
        for port, address in INTERNET.findall(line):
            found[f"{address}:{port}"] += 1
    return found


def main() -> None:
    """Print what was the same, and whom the commands called."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+")
    asked = parser.parse_args()
    for program in ("unshare", "strace"):
        if shutil.which(program) is None:
            raise SystemExit(f"{program}: not found; install it (for this benchmark only)")
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        folder = place / "clips"
        folder.mkdir()
        for clip in asked.clips:
            shutil.copy(clip, folder)
        results = {}
        for how, before in (("with", []), ("without", ALONE), ("watched", ["strace"])):
            inside = place / how
            inside.mkdir()
            for what, (command, written) in commands(asked.clips, folder, inside).items():
                trace = inside / f"{what}.trace"
                watch = ["-f", "-qq", "-e", CALLS, "-o", str(trace)] if how == "watched" else []
                run([*before, *watch, *command])
                results[how, what] = records(written)
                if how == "watched":
                    tried = reached(trace)
                    outside = {a: n for a, n in tried.items() if not HERE.match(a)}
                    faults += len(outside)
                    print(f"{what}: {sum(tried.values())} calls to this machine's own addresses")
                    print(f"{what}: called outside of this machine: {outside or 'nobody'}")
        for what in ("analyze", "batch"):
            same = results["with", what] == results["without", what]
            faults += not same
            count = len(results["with", what])
            print(
                f"{what}: {count} records, with and without a network", "equal" if same else "NOT"
            )
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
