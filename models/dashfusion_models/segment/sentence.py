"""Where a written sentence ends, and how words are put together again."""

import dataclasses
import itertools
import re
from collections.abc import Sequence

from dashfusion_models.records import Transcript

__all__ = ["ends_sentence", "in_sentences", "joined", "sentences", "soft_break", "text_units"]

_OPENING = "\"'([{«\u2018\u201c"  # and typographic quotation marks
_CLOSING = "\"')]}»\u2019\u201d\u300d\u300f\uff09\u3011"
_ENDS = frozenset("!?\u3002\uff01\uff1f")  # the Chinese stop and full-width marks
_SOFT = frozenset(",;:\u2013\u2014\uff0c\u3001\uff1b\uff1a")
# Written with a stop in the middle of a sentence. Those that may also end one are left out.
_ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "vs", "gen", "col", "capt", "lt", "sgt", "rev", "hon"}
    | {"gov", "sen", "rep", "mt", "ft", "approx", "dept", "est", "fig", "bzw", "ca", "usw", "m"}
    | {"mme", "mlle", "sr", "sra", "dra"}
)
_BEFORE_NUMBERS = frozenset({"no", "nos", "nr", "vol", "p", "pp", "ch", "art"})
_LETTERS_WITH_STOPS = re.compile(r"(?:[^\W\d_]\.)+", re.UNICODE)  # "J.", "U.S.", "e.g."
# Chinese, Japanese, Thai, Lao, Burmese, Khmer: written without spaces.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u312f\u31a0-\u9fff\uf900-\ufaff\uff00-\uffef]"
)


def ends_sentence(word: str, following: str) -> bool:
    """Whether a sentence ends with this word; `following` is the next one, "" at the end.

    Not after abbreviations ("Mr.", "e.g."), initials, and numbers that go on ("3." "5"). Three dots
    end a sentence only where the next word is capital: speakers trail off and go on.
    """
    bare = word.rstrip(_CLOSING)
    if not bare:
        return False
    if bare[-1] in _ENDS:
        return True
    if bare.endswith(("...", "\u2026")):
        return not following or following.lstrip(_OPENING)[:1].isupper()
    if not bare.endswith("."):
        return False
    core = bare.lstrip(_OPENING).lower()
    stem = core[:-1]
    if stem in _ABBREVIATIONS or _LETTERS_WITH_STOPS.fullmatch(core):
        return not following
    if following[:1].isdigit():
        return not (stem in _BEFORE_NUMBERS or stem[-1:].isdigit())
    return True


def soft_break(word: str) -> bool:
    """Whether a clause may end here: a comma, a colon, a dash, or a whole sentence."""
    bare = word.rstrip(_CLOSING)
    return bool(bare) and (bare[-1] in _SOFT or bare[-1] in _ENDS or bare[-1] in ".\u2026")


def sentences(text: str) -> list[str]:
    """Take a text apart after each of its sentences; marks that close a quotation stay with it."""
    whole = " ".join(text.split())
    units = text_units(whole)
    found, begin, end, run = [], 0, 0, ""
    for unit, following in itertools.zip_longest(units, units[1:], fillvalue=""):
        end = whole.index(unit, end) + len(unit)
        run += unit
        goes_on = following and not following.strip(_CLOSING + "".join(_ENDS))
        if not goes_on:
            if ends_sentence(run, following):
                found.append(whole[begin:end].strip())
                begin = end
            run = ""
    rest = whole[begin:].strip()
    return [*found, rest] if rest else found


def in_sentences(transcript: Transcript) -> Transcript:
    """Return a transcript without times with a phrase for each sentence of its phrases."""
    phrases = tuple(
        dataclasses.replace(phrase, text=sentence)
        for phrase in transcript.phrases
        for sentence in sentences(phrase.text)
    )
    return dataclasses.replace(transcript, phrases=phrases)


def joined(texts: Sequence[str]) -> str:
    """Put words together with spaces, but without them between characters of unspaced writing."""
    whole = ""
    for text in texts:
        if whole and text:
            meets = _UNSPACED.match(whole[-1]) or _UNSPACED.match(text[0])
            whole += text if meets else f" {text}"
        else:
            whole += text
    return whole


def text_units(text: str) -> list[str]:
    """Take a text apart where a line could break: words, or characters of unspaced writing."""
    units: list[str] = []
    for word in text.split():
        run = ""
        for character in word:
            if _UNSPACED.match(character):
                units.extend([run] if run else [])
                units.append(character)
                run = ""
            else:
                run += character
        units.extend([run] if run else [])
    return units
