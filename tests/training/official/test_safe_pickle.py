"""Plain data comes back equal to pickle's own reading; what is damaged ends with one line."""

import collections
import io
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dashfusion_models.errors import DataError
from dashfusion_training.official import pickle_file
from dashfusion_training.official.pickled_array import FileArray
from dashfusion_training.official.safe_pickle import read_pickle
from tests.training.official.pickle_by_hand import array, named, text

PROTOCOLS = (2, 3, 4, 5)
LONG = 400_000  # numbers of four bytes: more than what is read whole


def plain_data() -> dict[str, Any]:
    draw = np.random.default_rng(3)
    large = draw.normal(size=(50, LONG // 100, 2)).astype(np.float32)
    return {
        "large": large,
        "large in columns": np.asfortranarray(large),
        "wide": draw.normal(size=(3, 4)),
        "columns": np.asfortranarray(draw.normal(size=(3, 4, 5)).astype(np.float16)),
        "part": large[3:9, ::2],
        "big-endian": np.arange(6, dtype=">i4"),
        "flags": np.array([True, False]),
        "bytes": np.arange(250, dtype=np.uint8),
        "words": np.array(["ein", "wörterbuch", "很好"]),
        "long words": np.array([f"word {k}" * 20 for k in range(2000)]),
        "ascii": np.array([b"ab", b"c"]),
        "objects": np.array(["ab", 1, 2.5, None], object),
        "empty": np.zeros((0, 4), np.float32),
        "alone": np.array(2.5),
        "scalars": [np.float32(0.4), np.int64(-3), np.bool_(True), np.float64(1e300)],
        "numbers": [0, 255, 256, 70_000, -1, 2**40, -(2**70), 0.1, -0.0, float("inf")],
        "text": ["", "plain", "ünïcødé 😀", "x" * 300, "y" * 70_000],
        "raw": [b"", b"ab", b"\xff\x00" * 200, bytearray(b"abc"), bytearray()],
        "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "b": {1: None, 2.5: False}},
        "sets": [{1, 2, 3}, frozenset({"a"}), set(), frozenset()],
        "ordered": collections.OrderedDict(b=1, a=2),
    }


def assert_equal(found: Any, expected: Any) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, FileArray)
        assert found.shape == expected.shape  # NumPy may swap bytes to the machine's own order
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found.read(), expected)
    elif isinstance(expected, dict):
        assert type(found) is type(expected)
        assert list(found) == list(expected)
        for name in expected:
            assert_equal(found[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_equal(one, other)
    else:
        assert type(found) is type(expected)
        assert found == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_plain_data_is_read_as_pickle_reads_it(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(plain_data(), protocol))
    assert_equal(read_pickle(path), pickle.loads(path.read_bytes()))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_names_before_numpy_2_are_known(protocol: int, tmp_path: Path) -> None:
    expected = {"array": np.arange(5.0), "number": np.float32(0.5)}
    content = pickle.dumps(expected, protocol)
    if protocol < 4:  # there a name is a line; later its length comes first
        content = content.replace(b"numpy._core", b"numpy.core")
    else:
        for module in (b"numpy._core.multiarray", b"numpy._core.numeric"):
            older = module.replace(b"_core", b"core")
            content = content.replace(bytes([len(module)]) + module, bytes([len(older)]) + older)
        # Without its only frame, which has another length now.
        content = b"\x80" + bytes([protocol]) + content[11:]
    path = tmp_path / "old.pkl"
    path.write_bytes(content)
    assert b"numpy._core" not in content
    found = read_pickle(path)
    assert isinstance(found, dict)
    assert_equal(found, expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["large", "large in columns", "long words", "columns"])
def test_parts_of_an_array_are_read_alone(protocol: int, name: str, tmp_path: Path) -> None:
    expected = plain_data()[name]
    path = tmp_path / "data.pkl"
    path.write_bytes(pickle.dumps(expected, protocol))
    found = read_pickle(path)
    assert isinstance(found, FileArray)
    assert len(found) == len(expected)
    for start, stop in ((0, 1), (1, 3), (2, len(expected)), (len(expected) - 1, len(expected) + 9)):
        np.testing.assert_array_equal(found.read(start, stop), expected[start:stop])
    assert len(found.read(2, 2)) == 0


def test_a_list_that_holds_itself_is_no_trap(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    path = tmp_path / "endless.pkl"
    path.write_bytes(pickle.dumps(endless))
    found = read_pickle(path)
    assert isinstance(found, list)
    assert found[0] is found


# -- what is damaged --


def test_the_array_by_hand_is_right(tmp_path: Path) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(array(b"K\x01\x85"))
    assert_equal(read_pickle(path), np.frombuffer(b"abcd", "<f4"))


NESTED = b"\x80\x02" + b")" + b"\x85" * 50_000 + b"."
DOUBLED = b"\x80\x02)" + b"2\x86" * 60  # a tuple of itself twice, sixty times over


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"hello, this is text\n",
        b"PK\x03\x04" + bytes(100),
        b"\x80\x09N.",
        b"\x80\x04\x95" + b"\xff" * 8 + b"N.",
        b"\x80\x02e.",  # nothing on the stack
        b"\x80\x02u.",
        b"\x80\x02h\x07.",  # nothing in the memo
        b"\x80\x02]N\x85N\x86s.",
        b"\x80\x02N(K\x01e.",  # appends to None
        b"\x80\x02](K\x01K\x02u.",
        b"\x80\x02}(K\x01u.",  # a key without a value
        b"\x80\x02}]K\x01s.",  # a list as a key
        b"\x80\x02}" + DOUBLED[2:] + b"K\x01s.",  # a key whose hash takes for ever
        b"\x80\x04\x8f(" + DOUBLED[2:] + b"\x90.",
        b"\x80\x02\x8b\x00\x00\x10\x00" + bytes(0x100000) + b".",  # a number of a million bytes
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
        b"\x80\x04\x8d" + struct.pack("<Q", 2**63 - 1) + b"abc.",
        b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"abc.",
        b"\x80\x03B\xff\xff\xff\xffabc.",
        b"\x80\x02X\x02\x00\x00\x00\xff\xff.",  # no UTF-8
        named("_codecs", "encode", text("很"), text("latin1"), b"\x86R."),
        named("builtins", "bytes", b"J\xff\xff\xff\x7f\x85R."),
        named("builtins", "bytearray", b"J\xff\xff\xff\x7f\x85R."),
        named("numpy", "dtype", text("f4"), b"\x85R)b."),
        named("numpy", "ndarray", b"J\xff\xff\xff\x7f\x85R."),
        array(b"K\x02\x85"),  # two numbers in the bytes of one
        array(b"J\xff\xff\xff\xff\x85"),
        array(b"\x8a\x08" + b"\xff" * 7 + b"\x7f" + b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x86"),
        array(b"N\x85"),
        array(b"K\x01\x85", "V4"),
        array(b"K\x01\x85", "f16"),
        array(b"K\x01\x85", "m8"),
        array(b"K\x01\x85", "f4,f4"),
        array(b"K\x01\x85", "U99999999"),
        array(b"K\x01\x85", "O8", b"](Na" + b"tb."),
        array(b"K\x01\x85", "O8", b"](" + b"}" + b"e"),  # a dictionary in an array
    ],
)
def test_what_makes_no_sense_ends_with_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"odd\.pkl: ") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value)


def test_deep_nesting_is_no_trap(tmp_path: Path) -> None:
    path = tmp_path / "deep.pkl"
    path.write_bytes(NESTED)
    found = read_pickle(path)
    assert isinstance(found, tuple)
    del found


def test_too_many_things_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashfusion_training.official.safe_pickle._MOST_INSTRUCTIONS", 1000)
    path = tmp_path / "many.pkl"
    path.write_bytes(b"\x80\x02" + b"]" * 5000 + b".")
    with pytest.raises(DataError, match="far too many"):
        read_pickle(path)


def test_too_much_text_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashfusion_training.official.pickle_file._MOST_HELD", 10_000)
    path = tmp_path / "much.pkl"
    path.write_bytes(pickle.dumps(["x" * 9000, "y" * 9000]))
    with pytest.raises(DataError, match="protocol 4"):
        read_pickle(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_file_cut_short_anywhere_ends_with_one_line(protocol: int, tmp_path: Path) -> None:
    whole = pickle.dumps(plain_data(), protocol)
    path = tmp_path / "short.pkl"
    draw = np.random.default_rng(protocol)
    for length in (*range(40), *draw.integers(0, len(whole), 60), len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"short\.pkl: cannot be understood"):
            read_pickle(path)


def test_damage_in_the_middle_never_runs_anything_else(tmp_path: Path) -> None:
    """Any byte may be wrong: it is read all the same, or ends as a DataError."""
    data = {k: plain_data()[k] for k in ("columns", "objects", "scalars", "numbers", "sets")}
    path = tmp_path / "damaged.pkl"
    draw = np.random.default_rng(0)
    for protocol in PROTOCOLS:
        whole = pickle.dumps(data, protocol)
        for place in draw.integers(0, len(whole), 100):
            damaged = bytearray(whole)
            damaged[place] = draw.integers(0, 256)
            path.write_bytes(damaged)
            try:
                read_pickle(path)
            except DataError as error:
                assert "\n" not in str(error)


def test_a_string_of_no_characters_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(array(b"K\x01\x85", "U1", b"C\x04\xff\xff\xff\x7f"))
    found = read_pickle(path)
    assert isinstance(found, FileArray)
    with pytest.raises(DataError, match="no text"):
        found.read()


def test_a_file_that_changes_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "data.pkl"
    for name in ("large", "large in columns"):
        path.write_bytes(pickle.dumps(plain_data()[name]))
        found = read_pickle(path)
        assert isinstance(found, FileArray)
        path.write_bytes(path.read_bytes()[:5000])
        with pytest.raises(DataError, match="has changed"):
            found.read()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.pkl: cannot be read"):
        read_pickle(tmp_path / "nowhere.pkl")


def test_bytes_of_an_array_stay_in_the_file(tmp_path: Path) -> None:
    """A sparse file of 1 GiB is opened, and its last row read, in little memory."""
    shape = (1 << 15, 1 << 13)
    whole = pickle.dumps(np.zeros((1, 1), np.float32), 4)
    place = whole.index(b"C\x04\x00\x00\x00\x00")
    head = io.BytesIO()
    head.write(b"\x80\x04" + whole[11:place].replace(b"K\x01K\x01\x86", _axes(shape)))
    head.write(b"\x8e" + struct.pack("<Q", 4 * shape[0] * shape[1]))
    path = tmp_path / "sparse.pkl"
    with path.open("wb") as file:
        file.write(head.getvalue())
        file.seek(4 * shape[0] * shape[1] - 4, os.SEEK_CUR)
        file.write(struct.pack("<f", 2.5) + whole[place + 6 :])
    tracemalloc.start()
    try:
        found = read_pickle(path)
        assert isinstance(found, FileArray)
        assert found.shape == shape
        assert found.read(shape[0] - 1)[0, -1] == 2.5
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def _axes(shape: tuple[int, int]) -> bytes:
    return b"J" + struct.pack("<i", shape[0]) + b"J" + struct.pack("<i", shape[1]) + b"\x86"


def _bomb(kind: str, times: int) -> bytes:
    """A megabyte that is remembered once and copied `times` times."""
    million = 1 << 20
    run = b"B" + struct.pack("<I", million) + bytes(million)
    words = b"X" + struct.pack("<I", million) + b"a" * million
    members = b"](" + b"".join(b"J" + struct.pack("<i", n) for n in range(2_000)) + b"e"
    made, name, rest = {
        "bytearray": (run, b"cbuiltins\nbytearray\n", b"\x85R"),
        "text to bytearray": (words, b"cbuiltins\nbytearray\n", b"\x85R"),
        "encode": (words, b"c_codecs\nencode\n", text("latin1") + b"\x86R"),
        "set": (members, b"cbuiltins\nset\n", b"\x85R"),
        "frozenset": (members, b"cbuiltins\nfrozenset\n", b"\x85R"),
    }[kind]
    body = made + b"q\x00" + name + b"q\x01"
    return b"\x80\x04](" + body + (b"h\x01h\x00" + rest) * times + b"e."


@pytest.mark.parametrize("kind", ["bytearray", "text to bytearray", "encode", "set", "frozenset"])
def test_copies_of_what_was_read_once_are_bounded_too(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of one megabyte that would take a hundred."""
    monkeypatch.setattr(pickle_file, "_MOST_HELD", 8 << 20)
    path = tmp_path / "bomb.pkl"
    path.write_bytes(_bomb(kind, 100))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"bomb\.pkl: cannot be understood \(it keeps too much"):
        read_pickle(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
    path.write_bytes(_bomb(kind, 2))
    assert len(read_pickle(path)) >= 2  # type: ignore[arg-type]


def test_empty_sets_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_file, "_MOST_HELD", 1 << 20)
    path = tmp_path / "bomb.pkl"
    path.write_bytes(b"\x80\x04](" + b"\x8f" * 50_000 + b"e.")
    with pytest.raises(DataError, match="too much"):
        read_pickle(path)


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        (b"K\x02\x85", "U0"),
        (b"K\x02\x85", "S0"),
        (b"(J\x00\x00\x00\x7fJ\x00\x00\x00\x7fJ\x00\x00\x00\x7fK\x00t", "f4"),
    ],
)
def test_arrays_of_nothing_have_a_plain_shape(shape: bytes, form: str, tmp_path: Path) -> None:
    path = tmp_path / "data.pkl"
    path.write_bytes(array(shape, form, b"C\x00"))
    with pytest.raises(DataError, match="array"):
        read_pickle(path)
