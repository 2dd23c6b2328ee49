"""The engine of a Ray cluster, with planted work on a cluster of this machine."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from dashfusion_models.errors import FolderError, WeightsError
from dashfusion_models.folder import (
    Cluster,
    Job,
    LocalEngine,
    Outcome,
    RayEngine,
    Stop,
    TimeLimit,
    require_ray,
    shared_out,
)
from dashfusion_models.folder import shared_storage as storage
from dashfusion_models.folder.crew import Crew, Up
from dashfusion_models.folder.ray_cluster import Node, Room
from dashfusion_models.folder.worker import Answer, Ready

from .conftest import House

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PROGRAM = """
import sys
sys.path[:0] = {roots!r}
from dashfusion_models import folder
from planted_work import PlantedTask
folder.AnalyzeTask = lambda **_: PlantedTask({log!r})
from dashfusion_cli.__main__ import main
main()
"""

# Not by importing it: what a cluster of this machine is told, Ray reads when it is imported.
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `ray`")


class Kept(Cluster):
    """A cluster that outlives the engines that use it."""

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Of other tests, as multiprocessing's tracker, which lives as long as this process.
    before = psutil.Process().children(recursive=True)
    sys.path.insert(0, str(HERE))
    try:
        own = Cluster.start(cores=2)
    finally:
        sys.path.remove(str(HERE))
    assert [node.address for node in own.nodes()] == ["127.0.0.1"]
    kept = Kept(is_own=True, stack=contextlib.ExitStack())
    yield kept
    programs = [p for p in psutil.Process().children(recursive=True) if p not in before]
    own.close()
    _, alive = psutil.wait_procs(programs, timeout=30)
    assert [p.name() for p in alive] == []


def ray_engine(house: House, cluster: Cluster, **limits: float) -> RayEngine:
    limit = TimeLimit(**{"least_s": 60.0, "per_second": 0.0, "load_s": 300.0, **limits})
    return RayEngine(house.task(), workers=2, limit=limit, cluster=cluster)


def hosts() -> list[psutil.Process]:
    found = [
        p
        for p in psutil.Process().children(recursive=True)
        if p.status() != psutil.STATUS_ZOMBIE  # ended, which nobody has asked for yet
    ]
    return [p for p in found if "ray::RayHost" in " ".join(p.cmdline())]


def gone(pids: list[int], *, within_s: float = 20.0) -> bool:
    until = time.monotonic() + within_s
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(psutil.pid_exists, pids))


@needs_ray
def test_the_outcomes_are_those_of_the_local_engine(
    house: House, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house.root)
    kinds = ("ok", "bad", "silent", "memory", "disk", "once die", "die", "slow 0.1")
    house.plant(**{f"f{n}": kind for n, kind in enumerate(kinds)})
    (house.folder / "f0.srt").write_text("yes")
    (house.folder / "f7.txt").write_text("broken")

    def lines(engine: Any) -> list[bytes]:
        for marker in house.folder.glob(".*.once"):
            marker.unlink()
        files = [f"clips/{path.name}" for path in sorted(house.folder.glob("*.mp4"))]
        words = {"clips/f0.mp4": "clips/f0.srt", "clips/f7.mp4": "clips/f7.txt"}
        jobs = (Job(name, name, 1, 1.0, words.get(name)) for name in files)
        outcomes = engine.run(jobs, Stop())
        return sorted(outcome.line for outcome in outcomes)

    found = lines(ray_engine(house, cluster))
    assert found == lines(house.engine())
    assert len(found) == len(kinds)
    records = {record["media"]["path"]: record for record in map(json.loads, found)}
    assert records["clips/f0.mp4"]["run"]["transcript"] == "clips/f0.srt"
    broken = records["clips/f7.mp4"]["error"]
    assert broken["kind"] == "transcript" and broken["message"].startswith("clips/f7.txt: no words")
    assert hosts() == [] or gone([p.pid for p in hosts()])


@needs_ray
def test_a_killed_actor_costs_nothing_but_time(house: House, cluster: Cluster) -> None:
    house.plant(**{f"f{n}": "slow 0.2" for n in range(8)})
    killed: list[int] = []

    def kill_one(outcome: Outcome) -> None:
        if not killed:
            actor = hosts()[0]
            killed.extend([actor.pid, *(p.pid for p in actor.children())])
            actor.kill()

    assert house.run(ray_engine(house, cluster), each=kill_one) == (8, 0, 0)
    assert set(house.kinds().values()) == {None}
    assert len(killed) == 2 and gone(killed)  # its worker process went with it


@needs_ray
def test_a_hang_is_timed_out_and_all_it_started_ends(house: House, cluster: Cluster) -> None:
    house.plant(a="once child", b="hang", c="ok")
    assert house.run(ray_engine(house, cluster, least_s=2.0)) == (2, 1, 0)
    assert house.starts() == {"a": 2, "b": 2, "c": 1}
    assert house.kinds() == {"a": None, "b": "timeout", "c": None}
    assert "took more than 2 s, 2 times" in house.records()["b"]["error"]["message"]
    assert gone([int((house.folder / ".a.mp4.child").read_text())])


@needs_ray
def test_what_goes_wrong_with_every_file_stops_it(house: House, cluster: Cluster) -> None:
    house.plant(a="setup")
    with pytest.raises(WeightsError, match="whisper-base: not found; pull it"):
        house.run(ray_engine(house, cluster))
    house.plant(a="ok")
    assert house.run(ray_engine(house, cluster)) == (1, 0, 0)


@needs_ray
def test_the_workers_have_the_threads_of_local_ones(house: House, cluster: Cluster) -> None:
    house.plant(a="slow 1", b="slow 1", c="ok")
    seen: dict[str, set[str]] = {}

    def look(engine: type) -> Callable[[Outcome], None]:
        def each(outcome: Outcome) -> None:
            found = hosts() if engine is RayEngine else [psutil.Process()]
            workers = [p for host in found for p in host.children() if "-P" in p.cmdline()]
            seen.setdefault(engine.__name__, {p.environ()["OMP_NUM_THREADS"] for p in workers})

        return each

    house.run(ray_engine(house, cluster), each=look(RayEngine))
    house.run(force=True, each=look(LocalEngine))
    house.plant(a="slow 1 again", b="slow 1 again")
    house.run(each=look(LocalEngine))
    assert seen["RayEngine"] == seen["LocalEngine"] != set()


@needs_ray
def test_the_cluster_speaks_to_this_machine_alone(cluster: Cluster) -> None:
    programs = [psutil.Process(), *psutil.Process().children(recursive=True)]
    ends = [c for p in programs for c in p.net_connections("inet")]
    addresses = {e.ip.removeprefix("::ffff:") for c in ends for e in (c.laddr, c.raddr) if e}
    assert addresses == {"127.0.0.1"}
    names = {" ".join(p.cmdline()) for p in programs}
    assert any("gcs_server" in name for name in names)
    assert 8265 not in {c.laddr.port for c in ends}  # no dashboard
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@needs_ray
def test_a_node_that_does_not_see_the_results_is_named(
    house: House, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.plant(a="ok")
    house.results.mkdir()

    def check(media: Path = house.folder) -> None:
        storage.check_nodes(cluster.ask_all, media=media, results=house.results)

    check()
    assert list(house.results.iterdir()) == []  # the token is gone

    @contextlib.contextmanager
    def elsewhere(results: Path) -> Iterator[tuple[Path, str]]:
        yield results / ".seen-nowhere", "a token"

    monkeypatch.setattr(storage, "token_in", elsewhere)
    with pytest.raises(FolderError, match=rf"^node 127.0.0.1: does not see {house.results}; keep"):
        check()


@needs_ray
def test_the_command_joins_a_cluster(house: House, cluster: Cluster) -> None:
    import ray

    house.plant(a="ok", b="bad", c="slow 0.2")
    roots = [str(HERE), *(str(ROOT / part) for part in (".", "models", "training"))]
    (house.root / "run.py").write_text(PROGRAM.format(roots=roots, log=str(house.root / "log")))
    address = ray.get_runtime_context().gcs_address
    where = ("--engine", "ray", "--ray-address", address, "--offline")
    command = [sys.executable, "run.py", "batch", "clips", "-o", "results", *where]
    done = subprocess.run(command, cwd=house.root, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (3, "results: 2 analysed, 1 failed\n"), done.stderr
    assert "3 files; 0.0 minutes of media to do, 2 workers," in done.stderr
    assert "warning: clips/b.mp4: cannot be read; convert it\n" in done.stderr
    assert len(done.stderr.splitlines()) < 12, done.stderr
    lines = (house.results / "results.jsonl").read_bytes().splitlines()
    assert {json.loads(line)["media"]["path"] for line in lines} == {
        f"clips/{name}.mp4" for name in "abc"
    }


@needs_ray
@pytest.mark.parametrize(
    ("address", "fact"),
    [
        ("127.0.0.1:9", "no cluster at 127.0.0.1:9 "),
        ("ray://127.0.0.1:10001", "is no address of a cluster; write HOST:PORT"),
        ("head", "head is no address"),
    ],
)
def test_an_address_of_nowhere_is_one_line(address: str, fact: str) -> None:
    started = time.monotonic()
    with pytest.raises(FolderError) as caught:
        Cluster.join(address)
    assert str(caught.value).startswith("ray: ") and fact in str(caught.value)
    assert time.monotonic() - started < 20


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FolderError) as caught:
        require_ray()
    assert str(caught.value) == "ray: is not installed; pip install 'dashfusion[ray]'"


def test_nodes_carry_what_their_cores_and_their_memory_do() -> None:
    gb = 1 << 30
    nodes = [
        Node("a", "a", cores=8, memory_bytes=100 * gb, gpus=0.0),
        Node("b", "b", cores=8, memory_bytes=4 * gb, gpus=0.0),
        Node("head", "head", cores=0, memory_bytes=100 * gb, gpus=0.0),
    ]
    for device in ("auto", "cpu"):
        workers, room = shared_out(nodes, worker_bytes=gb, device=device, most=None)
        assert (workers, room) == (12, Room(1, gb, 0.0))
    assert shared_out(nodes, worker_bytes=gb, device="cpu", most=4) == (4, Room(4, gb, 0.0))
    assert shared_out(nodes, worker_bytes=gb, device="cpu", most=1) == (1, Room(8, gb, 0.0))
    with pytest.raises(FolderError, match=r"no node has room for a worker .*, a GPU\)"):
        shared_out(nodes, worker_bytes=gb, device="cuda", most=None)
    gpu = Node("g", "g", cores=16, memory_bytes=100 * gb, gpus=2.0)
    assert shared_out([gpu], worker_bytes=gb, device="auto", most=None) == (8, Room(2, gb, 0.25))


class Planted:
    """A worker that waits for room for ever, or does its jobs at once."""

    def __init__(self, news: Any, *, has_room: bool) -> None:
        self.news, self.is_up = news, has_room
        if has_room:
            news.put((self, Up()))
            news.put((self, Ready()))

    def send(self, job: Job) -> None:
        if self.is_up:
            self.news.put((self, Answer(Outcome(job.path, b"", None))))

    def kill(self) -> None:
        pass

    def bury(self) -> str:
        return "ended"

    def leave(self) -> None:
        pass


@pytest.mark.parametrize("nobody", [False, True])
def test_a_worker_that_finds_no_room_leaves_its_file_to_others(
    nobody: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashfusion_models.folder.crew._ROOM_S", 0.1)
    monkeypatch.setattr("dashfusion_models.folder.crew._REST_S", 0.1)
    asked: list[Planted] = []

    def start(news: Any) -> Planted:
        asked.append(Planted(news, has_room=len(asked) == 1 and not nobody))
        return asked[-1]

    jobs = [Job(name, name, 1) for name in "abc"]
    crew = Crew(start, iter(jobs), Stop(), workers=2, limit=TimeLimit(load_s=1.0))
    if nobody:
        with pytest.raises(FolderError, match="found no room on any node"):
            list(crew.outcomes())
    else:
        assert sorted(outcome.path for outcome in crew.outcomes()) == ["a", "b", "c"]
