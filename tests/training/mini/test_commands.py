"""What goes wrong in a command is one line on stderr and the exit code 1."""

import sys
from importlib import import_module

import pytest

from dashfusion_models.errors import DataError
from dashfusion_training.commands import exit_code

GONE = {
    "crossval": ["--start=no", "--stores=no", "--output=no"],
    "fresh": ["--checkpoint=no", "--stores=no", "--output=no"],
    "summary": ["no", "--stores=no"],
    "figures": ["--checkpoint=no", "--stores=no"],
    "cells": ["--texts=no", "--voices=no", "--faces=no"],
    "composed": ["--checkpoint=no", "--texts=no", "--voices=no", "--faces=no"],
    "extremes": ["--checkpoint=no", "--store=no"],
    "rough": ["no", "--output=no"],
    "word_figures": ["--checkpoint=no", "--stores=no", "--output=no"],
    "storage": ["--checkpoint=no", "--output=no", "--storage=int8"],
    "recognised": ["--clips=no", "--heard=no", "--output=no"],
}


def said(
    name: str,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    assert import_module(f"dashfusion_training.mini.{name}").main() == 1
    heard = capsys.readouterr()
    assert heard.out == ""
    (line,) = heard.err.splitlines()
    return line


@pytest.mark.parametrize("name", GONE)
def test_what_is_not_there_is_said_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(name, GONE[name], monkeypatch, capsys).startswith("error: no")


def test_a_setting_without_a_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said("crossval", [*GONE["crossval"], "--set", "epochs"], monkeypatch, capsys)
    assert line == "error: --set epochs: has no '='; give KEY=VALUE"


def test_only_our_own_errors_are_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: Exception) -> None:
        raise error

    assert exit_code(lambda: None) == 0
    assert exit_code(lambda: fail(DataError("x: is none"))) == 1
    assert capsys.readouterr().err == "error: x: is none\n"
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: fail(ZeroDivisionError()))
