"""What goes on for ever, or nests without end, is refused with an error that callers know."""

import errno
from pathlib import Path

import pytest

from dashfusion_models.bounded_file import parsed_json, read_bytes, read_json, read_toml


def test_what_is_written_is_read(tmp_path: Path) -> None:
    json, toml = tmp_path / "a.json", tmp_path / "a.toml"
    json.write_text('{"a": [1, "ü"]}', "utf-8")
    toml.write_bytes(b"a = 1\r\n[b]\r\nc = 'x'\r\n")
    assert read_json(json) == {"a": [1, "ü"]}
    assert read_toml(toml) == {"a": 1, "b": {"c": "x"}}


def test_what_is_too_large_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, most=5) == b"12345"
    with pytest.raises(OSError) as caught:
        read_bytes(path, most=4)
    assert caught.value.errno == errno.EFBIG


def test_deep_nesting_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("a = " + "[" * 50_000, "utf-8")
    with pytest.raises(ValueError, match="too deep"):
        read_toml(path)
    with pytest.raises(ValueError, match="too deep"):
        parsed_json("[" * 100_000)
