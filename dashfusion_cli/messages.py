"""What is said on stderr: errors, warnings, notes."""

import contextlib
import logging
import os
import sys
import traceback
import unicodedata
import warnings

from dashfusion_cli.session import Session

_KEPT = "\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"

__all__ = ["LogLines", "harmless", "say_error", "say_note", "say_warning", "set_loudness"]


def say_error(message: str, session: Session) -> None:
    """Print `error: …` in one line, after the traceback if the user wants it."""
    if session.verbose and sys.exc_info()[0] is not None:
        _print(traceback.format_exc().rstrip())
    _print("error: " + " ".join(message.split()))


def say_warning(message: str, session: Session) -> None:
    """Print `warning: …` in one line, unless the user wants silence."""
    if not session.quiet:
        _print("warning: " + " ".join(message.split()))


def say_note(message: str, session: Session) -> None:
    """Print a line for a person, unless the user wants silence."""
    if not session.quiet:
        _print(message)


class LogLines(logging.Handler):
    """Prints logs to stderr as it is at that moment: above the bars while they are drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        try:
            _print(self.format(record))
        except Exception:
            self.handleError(record)


def set_loudness(session: Session) -> None:
    """Let logs and warnings through: all with --verbose, else ours from warnings up.

    What is logged never holds what was said in a clip.
    """
    logging.getLogger().setLevel(logging.INFO if session.verbose else logging.ERROR)
    ours = logging.INFO if session.verbose else logging.WARNING
    if session.quiet and not session.verbose:
        ours = logging.ERROR
    for name in ("dashfusion_models", "dashfusion_training", "dashfusion_cli"):
        logging.getLogger(name).setLevel(ours)
    if not session.verbose:  # its client warns of each try; the error at the end says it all
        os.environ.setdefault("HF_HUB_VERBOSITY", "error")
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.warnoptions:  # those are the user's own wish
        warnings.simplefilter("default" if session.verbose else "ignore")


def _print(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr may be closed
        encoding = sys.stderr.encoding or "utf-8"
        text = harmless(text).encode(encoding, "backslashreplace").decode(encoding)
        sys.stderr.write(f"{text}\n")  # at once, or lines of two threads may join


def harmless(text: str) -> str:
    """Write out what steers a terminal or turns the order of letters: a file's name may hold it.

    Line ends and tabs stay, and the joiners of scripts and of emoji.
    """
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if unicodedata.category(character) in {"Cc", "Cf"} and character not in _KEPT
        else character
        for character in text
    )
