"""A Ray cluster: started on this machine or joined, asked about its nodes, given actors.

The only file that imports Ray, and only once a cluster is wanted. A cluster of this machine's own
listens to 127.0.0.1 alone, asks for a token that is made up for it, has no dashboard, reports
nothing to anybody, and keeps its logs in a folder that goes with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass
from typing import Any

from dashfusion_models.child import import_path
from dashfusion_models.errors import FolderError
from dashfusion_models.folder.ray_host import Lost
from dashfusion_models.folder.worker import Broken
from dashfusion_models.privacy import silence_telemetry

__all__ = ["Cluster", "Node", "Room", "require_ray"]

_STORE_BYTES = 100_000_000  # of the object store; only jobs and records go through it
_KNOCK_S = 10.0
_ASK_S = 120.0
_END_S = 2.0
_OWN = {  # read when Ray is imported, or by its programs
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # one machine: 127.0.0.1 on every system
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # GPUs stay visible, as without Ray
    "RAY_worker_niceness": "0",  # as nice as this process, not 15 more
    "RAY_AUTH_MODE": "token",
}


@dataclass(frozen=True)
class Node:
    """A machine of the cluster and what it has, whether in use or not."""

    id: str
    address: str
    cores: int
    memory_bytes: int
    gpus: float


@dataclass(frozen=True)
class Room:
    """What one worker takes of a node."""

    cores: int = 1
    memory_bytes: int = 0
    gpus: float = 0.0


def require_ray() -> None:
    """Raise an error that says how to install Ray, where it is not."""
    if importlib.util.find_spec("ray") is None:
        raise FolderError("ray: is not installed; pip install 'dashfusion[ray]'")


class Cluster:
    """A connection to a cluster; one in a process."""

    def __init__(self, *, is_own: bool, stack: contextlib.ExitStack) -> None:
        """Hold a connection that `stack` ends."""
        self.is_own, self._stack = is_own, stack

    @classmethod
    def start(cls, *, cores: int, loud: bool = False) -> Cluster:
        """Start one on this machine, with room for `cores` workers of one core.

        Nobody may have imported Ray before: it reads then that it is to keep to this machine.

        Raises:
            FolderError: Ray is not installed or does not start.
        """
        require_ray()
        with contextlib.ExitStack() as stack:
            inherited = {
                "RAY_AUTH_TOKEN": secrets.token_hex(32),
                "PYTHONPATH": import_path(),
            }
            stack.enter_context(_environment({**_OWN, **inherited}))
            logs = tempfile.mkdtemp(prefix="dashfusion-ray-")
            stack.callback(shutil.rmtree, logs, ignore_errors=True)
            _connect(
                stack,
                "ray: does not start on this machine",
                loud=loud,
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=logs,
            )
            cluster = cls(is_own=True, stack=stack.pop_all())
        if any(node.address != "127.0.0.1" for node in cluster.nodes()):
            cluster.close()
            raise FolderError("ray: would listen to the network; use --engine local")
        return cluster

    @classmethod
    def join(cls, address: str, *, loud: bool = False) -> Cluster:
        """Connect to the cluster at `address` (HOST:PORT, or auto for the one of this machine).

        Raises:
            FolderError: Ray is not installed, nobody answers there, or it refuses.
        """
        require_ray()
        _knock(address)
        with contextlib.ExitStack() as stack:
            _connect(stack, f"ray: no cluster at {address}", loud=loud, address=address)
            return cls(is_own=False, stack=stack.pop_all())

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends."""
        self._stack.close()

    def nodes(self) -> list[Node]:
        """The nodes that are there."""
        import ray

        return [_node(facts) for facts in ray.nodes() if facts["Alive"]]

    def ask_all(self, function: Callable[..., Any], *arguments: Any) -> Iterator[tuple[str, Any]]:
        """Have every node call a function; yield each one's address and what came, or the error."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        asked = {}
        for node in self.nodes():
            there = NodeAffinitySchedulingStrategy(node.id, soft=False)
            task = ray.remote(function).options(
                num_cpus=0, max_retries=0, scheduling_strategy=there
            )
            asked[task.remote(*arguments).future()] = node.address
        # Not by ray.wait: a signal's exception does not get through it.
        futures.wait(asked, timeout=_ASK_S)
        for future, address in asked.items():
            if not future.done():
                yield address, RuntimeError(f"no answer in {_ASK_S:.0f} s")
            elif (error := future.exception()) is not None:
                yield address, RuntimeError(_last_line(error))
            else:
                yield address, future.result()

    def hire(self, kind: type, room: Room, *arguments: Any, **named: Any) -> Any:
        """Ask for an actor; it comes up when a node has room."""
        import ray

        # A dead one is not restarted by Ray: the crew replaces it, which counts a file's tries.
        wanted: dict[str, Any] = {
            "num_cpus": room.cores,
            "num_gpus": room.gpus,
            "max_restarts": 0,
            "scheduling_strategy": "SPREAD",
        }
        if room.memory_bytes:
            wanted["memory"] = room.memory_bytes
        actor = ray.remote(concurrency_groups={"end": 1})(kind)
        return actor.options(**wanted).remote(*arguments, **named)

    def hear(self, ref: Any, tell: Callable[[Any], None]) -> None:
        """Call `tell` with what a call of an actor returns: `Broken` or `Lost` where it fails."""
        from ray.exceptions import RayTaskError

        def done(future: Any) -> None:
            error = future.exception()
            if error is None:
                tell(future.result())
            elif isinstance(error, RayTaskError):
                tell(Broken(None, _last_line(error)))
            else:
                tell(Lost("was lost with its node or its Ray process"))

        ref.future().add_done_callback(done)

    def dismiss(self, actor: Any) -> None:
        """End an actor, after its own `end` where it still hears."""
        import ray

        with contextlib.suppress(ray.exceptions.RayError):
            ended = actor.end.options(concurrency_group="end").remote()
            futures.wait([ended.future()], timeout=_END_S)
            ray.kill(actor, no_restart=True)


def _connect(stack: contextlib.ExitStack, fault: str, *, loud: bool, **how: Any) -> None:
    """Connect to a cluster, or start it; `stack` takes it back."""
    silence_telemetry()
    import ray

    handler = signal.getsignal(signal.SIGTERM)
    stack.callback(ray.shutdown)
    try:
        ray.init(
            log_to_driver=loud, logging_level=logging.INFO if loud else logging.CRITICAL, **how
        )
    except Exception as error:  # Ray raises no more than that where it waited in vain
        raise FolderError(f"{fault} ({_last_line(error)}); run again with -v") from error
    finally:
        with contextlib.suppress(ValueError, TypeError):  # not the main thread; set by others
            signal.signal(signal.SIGTERM, handler)
    _keep_off_stdout(loud=loud)


def _keep_off_stdout(*, loud: bool) -> None:
    """Have what Ray and its workers print go to stderr, or nowhere: results alone go to stdout."""
    from ray._private import worker

    tell: Any = getattr(worker, "print_to_stdstream", None)
    if tell is None or hasattr(tell, "is_ours"):
        return

    def aside(data: Any, *rest: Any, **named: Any) -> None:
        if loud:
            tell({**data, "is_err": True}, *rest, **named)

    aside.is_ours = True  # type: ignore[attr-defined]
    worker.print_to_stdstream = aside


def _knock(address: str) -> None:
    """Raise a FolderError where nobody listens: Ray itself would wait long."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not port.isdigit():
        raise FolderError(
            f"ray: {address} is no address of a cluster; "
            "write HOST:PORT of its head (port 6379 as a rule), on a machine of the cluster"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()
    except (OSError, OverflowError) as error:
        fact = getattr(error, "strerror", None) or error
        raise FolderError(
            f"ray: no cluster at {address} ({fact}); see whether `ray status` finds it"
        ) from error


def _node(facts: Mapping[str, Any]) -> Node:
    has = facts["Resources"]
    return Node(
        facts["NodeID"],
        facts["NodeManagerAddress"],
        cores=int(has.get("CPU", 0)),
        memory_bytes=int(has.get("memory", 0)),
        gpus=float(has.get("GPU", 0)),
    )


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _last_line(error: BaseException) -> str:
    """What an error of Ray's comes to: its long texts end with the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
