"""A pickle that asks for anything but plain data is refused by name, and nothing of it runs."""

import builtins
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models.errors import DataError
from dashfusion_training.official.safe_pickle import read_pickle
from tests.training.official.pickle_by_hand import named, text


class _Calls:
    """Pickles as a call of anything."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self._made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self._made


def _hostile_functions(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Calls that would all make the canary's file if run, and what each asks for."""
    code = f"open({str(canary)!r}, 'w').close()"
    shell = f"touch {canary}"
    opens = _Calls(builtins.open, str(canary), "w")
    system = f"{os.system.__module__}.system"
    getter = _Calls(getattr, _Calls(__import__, "os"), "system")
    return {
        "system": (pickle.dumps(_Calls(os.system, shell)), system),
        "eval": (pickle.dumps(_Calls(eval, code)), "builtins.eval"),
        "exec": (pickle.dumps({"train": {"id": [_Calls(exec, code)]}}), "builtins.exec"),
        "open": (pickle.dumps([opens]), "io.open"),
        "process": (pickle.dumps(_Calls(subprocess.Popen, ["touch", str(canary)])), "Popen"),
        "getattr": (pickle.dumps(getter), "builtins.getattr"),
        "state": (pickle.dumps(_Calls(list, state=opens)), "builtins.list"),
        "array": (pickle.dumps(np.array([opens], object)), "io.open"),
        "protocol 0": (pickle.dumps(_Calls(os.system, shell), 0), system),
        "protocol 2": (pickle.dumps(_Calls(eval, code), 2), "__builtin__.eval"),
    }


def _hostile_instructions(canary: Path) -> dict[str, tuple[bytes, str]]:
    """The same by rarer instructions, and names beside the ones that are known."""
    shell = f"touch {canary}"
    instance = b"(" + text(shell) + b"ios\nsystem\n."
    return {
        "inst": (b"\x80\x02" + instance, "os.system"),
        "old inst": (instance, "os.system"),
        "obj": (named("os", "system", text(shell), b"o."), "os.system"),
        "newobj": (named("os", "system", text(shell), b"\x85\x81."), "os.system"),
        "newobj of ours": (named("numpy", "ndarray", b")\x81."), "NEWOBJ"),
        "newobj_ex": (named("numpy", "ndarray", b")}\x92."), "NEWOBJ_EX"),
        "obj of ours": (b"\x80\x02(cnumpy\nndarray\no.", "OBJ"),
        "ext": (b"\x80\x02\x82\x01.", "EXT1"),
        "ext4": (b"\x80\x02\x84\x01\x00\x00\x00.", "EXT4"),
        "persistent": (b"\x80\x02" + text("x") + b"Q.", "BINPERSID"),
        "old persistent": (b"Px\n.", "PERSID"),
        "buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "through numpy": (
            named("numpy.core.multiarray", "_reconstruct.__globals__", b"."),
            "_reconstruct.__globals__",
        ),
        "dotted": (
            b"\x80\x04" + text("numpy") + text("core.multiarray._reconstruct") + b"\x93.",
            "numpy.core.multiarray._reconstruct",
        ),
        "other numpy": (named("numpy", "load", text("x"), b"\x85R."), "numpy.load"),
        "call of data": (b"\x80\x02" + text("x") + b")R.", "a call of a str"),
        "state of data": (b"\x80\x02})b.", "state of a dict"),
        "codec": (
            named("_codecs", "encode", text("x"), text("zlib"), b"\x86R."),
            "_codecs.encode to zlib",
        ),
        "name to print": (named("os\x1b[31m", "system", b"."), r"os\x1b[31m.system"),
        "name that is no text": (b"\x80\x04]]\x93.", "<list>.<list>"),
    }


def hostile(canary: Path) -> dict[str, tuple[bytes, str]]:
    return _hostile_functions(canary) | _hostile_instructions(canary)


@pytest.mark.parametrize("kind", sorted(hostile(Path("x"))))
def test_what_is_no_data_is_refused_by_name_and_never_runs(kind: str, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "hostile.pkl"
    content, asked = hostile(canary)[kind]
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_pickle(path)
    message = str(caught.value)
    assert asked in message
    assert "hostile.pkl" in message
    assert message.isprintable()
    assert not canary.exists()


def test_the_hostile_pickles_are_real(tmp_path: Path) -> None:
    """One of them, run by pickle itself, does make the canary's file."""
    canary = tmp_path / "canary"
    pickle.loads(hostile(canary)["open"][0])[0].close()
    assert canary.exists()
