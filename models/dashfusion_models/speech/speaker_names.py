"""Names of speakers that a transcript writes before what they say.

A name stands at the beginning of a line, with a colon (`ANNA: It was good`, also full width) or in
brackets (`[Anna] It was good`); a dash, `>>`, or a note in brackets (`ANNA (laughing):`) may go
with it. But so begin sentences too (`The thing is: I hate it`, `Note: it is bad`), and a name that
is taken for words is as wrong as words that are taken for a name. So a name is at most four words
without a sentence in them, does not begin like a sentence, and needs one of these:

* it is a role of interviews, or numbered like one: Interviewer, Speaker 1, SPEAKER_00;
* it is in capitals with a colon, where the rest of the file is not;
* it stands with a colon at the beginning of two lines, written like a name, and is no word that
  the file uses in lower case elsewhere;
* half of all lines begin with a name, of two people or more, and one of them comes again (a list
  of remarks has each once): then one line is enough for a third. Names in brackets without a
  colon are only found so, since sounds (`[Applause]`) stand there too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Turn", "begins_turn", "ends_turn", "names_in", "turns"]

_LONGEST = 40  # characters of a name
_MOST_WORDS = 4
_CASELESS = 6  # characters of a name in unspaced writing
_SHARE = 0.5  # of the lines that begin with a name, in a file that is written as a dialogue

_NAME = rf"[^\W\d_](?:[\w .'\u2019\u00b7&#-]{{0,{_LONGEST - 2}}}[\w.])?"
_NOTE = r"(?:\s*[\[(\uff08][^\])\uff09]*[\])\uff09])?"  # "(laughing)", "(V.O.)"
_MARK = r"(?P<mark>>>+|[-\u2013\u2014]+)?\s*"
_COLON = re.compile(
    rf"\s*{_MARK}(?P<name>{_NAME}){_NOTE}"
    # Of "10:30", "http://" and ":)" the colon is no such colon.
    r"(?:\s*[:\uff1a](?=\s|$)|:(?=[^\W\d_]|[\"'\u201c\u2018\u300c])|\uff1a)(?P<rest>.*)"
)
_BRACKETS = re.compile(
    rf"\s*{_MARK}(?:\[(?P<name>{_NAME})\]|\((?P<round>{_NAME})\)|\u3010(?P<wide>{_NAME})\u3011)"
    r"\s*(?P<colon>[:\uff1a])?(?P<rest>.*)"
)
_CHANGE = re.compile(r"\s*(?:>>+|(?P<dash>[-\u2013\u2014]+))\s*(?P<rest>.*)")
_ENDED = re.compile(r"[.!?\u2026\u3002\uff01\uff1f][\"')\]\u2019\u201d\u300d\u300f\uff09]*$")

_ROLE = re.compile(
    r"(?:speaker|interviewer|interviewee|participant|respondent|moderator|narrator|facilitator"
    r"|host|guest|man|woman|boy|girl|sprecher(?:in)?|befragter?|moderatorin"
    r"|主持人|记者|采访者|受访者|被访者|旁白|嘉宾|说话人|发言人)"
    r"(?P<number>[ _#-]*(?:\d+|[A-Z]))?",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r".*\s#?\d+")  # "Step 1", "Chapter 3"
_PARTICLES = frozenset(
    {"de", "del", "der", "den", "la", "le", "van", "von", "zu", "da", "di", "bin"}
)
# What a sentence or a remark begins with; in unspaced writing, whole labels and their last letters.
_NEVER_FIRST = """
the this that these those my our your his her its it he she we they you and but or so if when what
why how who where here there in on at for to of as is are was not no yes well okay ok now then also
because although anyway however still just only once first second third last next finally one two
three another other plus look listen remember note notes nb ps warning caution attention important
update breaking news example examples question questions answer answers problem reason result
results conclusion summary point points fact facts tip tips todo fyi topic title subject date time
place location chapter section part step scene act transcript credits subtitles translation source
edit spoiler rating pros cons verdict
hinweis achtung frage antwort beispiel grund aber und das der die
remarque exemple nota ejemplo pregunta respuesta atención
"""
_NEVER_WHOLE = """
注意 例如 比如 譬如 但是 所以 因此 结论 总之 首先 其次 最后 问题 答案 备注 提示 时间 地点 原因 结果
"""
_NEVER_LAST = "是说說道问問答如下为"
_SOUNDS = """
music musical song singing sings applause cheering cheers clapping laughter laughs laughing laugh
chuckles chuckling giggles giggling sighs sighing coughs coughing gasps gasping sobs sobbing crying
cries screams screaming shouts shouting whispers whispering inaudible unintelligible indistinct
crosstalk silence pause noise static beep bleep bell phone ringing door footsteps thunder wind rain
engine sniffs sniffles groans groaning grunts grunting moans exhales inhales foreign speaking
background continues plays playing
"""
_NO_NAMES, _NO_LABELS, _NOISES = (
    frozenset(words.split()) for words in (_NEVER_FIRST, _NEVER_WHOLE, _SOUNDS)
)


@dataclass(frozen=True)
class Turn:
    """What one person says without a break; `speaker` is None where no name stands before it.

    `is_marked` tells that the person has changed: by a name, a dash or `>>`.
    """

    speaker: str | None
    text: str
    is_marked: bool = False


@dataclass(frozen=True)
class _Label:
    """What may be a name at the beginning of a line, and the rest of the line."""

    name: str
    rest: str
    has_colon: bool


def ends_turn(text: str) -> bool:
    """Whether a sentence ends here, so that somebody else may begin."""
    return _ENDED.search(text.rstrip()) is not None


def begins_turn(line: str) -> bool:
    """Whether a line begins with what may be a name, or with the mark of another speaker."""
    return _label(line) is not None or _CHANGE.fullmatch(line) is not None


def names_in(starts: Sequence[str]) -> frozenset[str]:
    """Return the names of the speakers of a file, by the lines at which somebody may begin."""
    labels = [label for label in map(_label, starts) if label is not None]
    labels = [label for label in labels if _may_be_name(label)]
    colons = Counter(label.name for label in labels if label.has_colon)
    in_capitals = _mostly_capitals([_label_rest(line) for line in starts])
    words = _lower_words(starts)
    sure = {
        name
        for name, count in colons.items()
        if _is_role(name)
        or (_is_capitals(name) and not in_capitals)
        or (count > 1 and _is_written_as_name(name) and name.lower() not in words)
        or (count > 1 and len(name) == 1 and name.isupper())
    }
    sure |= {label.name for label in labels if not label.has_colon and _is_role(label.name)}
    for has_colon in (True, False):
        named = [x.name for x in labels if x.has_colon == has_colon and _is_written_as_name(x.name)]
        people = len(set(named))
        if len(named) >= _SHARE * len(starts) and len(named) > people > 1:
            sure |= {name for name in named if not _NUMBERED.fullmatch(name)}
    return frozenset(sure)


def turns(lines: Iterable[str], names: frozenset[str]) -> list[Turn]:
    """Take lines that belong together apart where the speaker changes; names are no words of it.

    Inside, a name only counts where a sentence has ended, the line above began a turn, or a mark
    stands before it; a dash only where two lines have one.
    """
    lines = list(lines)
    dashes = sum(bool((m := _CHANGE.fullmatch(line)) and m["dash"]) for line in lines)
    found: list[Turn] = []
    above = ""
    for line in lines:
        label, change = _label(line), _CHANGE.fullmatch(line)
        may_begin = not found or change is not None or begins_turn(above)
        may_begin = may_begin or ends_turn(found[-1].text)
        above = line
        if label is not None and label.name in names and may_begin:
            found.append(Turn(label.name, label.rest, is_marked=True))
        elif change is not None and (not change["dash"] or dashes > 1):
            found.append(Turn(None, change["rest"], is_marked=True))
        elif found:
            before = found.pop()
            found.append(Turn(before.speaker, f"{before.text} {line}".strip(), before.is_marked))
        else:
            found.append(Turn(None, line))
    return found


def _label(line: str) -> _Label | None:
    """Return what stands where a name would, if it has the length and the letters of one."""
    match = _BRACKETS.fullmatch(line)
    if match is not None:
        name = match["name"] or match["round"] or match["wide"]
        has_colon = match["colon"] is not None
    else:
        match = _COLON.fullmatch(line)
        if match is None:
            return None
        name, has_colon = match["name"], True
    name = " ".join(name.split())
    words = name.split()
    has_sentence = any(word.endswith(".") and len(word) > 5 for word in words)
    if len(words) > _MOST_WORDS or has_sentence:
        return None
    return _Label(name, match["rest"].strip(), has_colon)


def _label_rest(line: str) -> str:
    label = _label(line)
    return line if label is None else label.rest


def _may_be_name(label: _Label) -> bool:
    """Whether it is neither the beginning of a sentence nor a remark, nor a sound in brackets."""
    words = label.name.lower().split()
    if len(words[0]) > 1 and words[0].rstrip(".") in _NO_NAMES:
        return False
    if label.name in _NO_LABELS or label.name[-1] in _NEVER_LAST:
        return False
    return label.has_colon or not _NOISES.intersection(words)


def _is_role(name: str) -> bool:
    match = _ROLE.fullmatch(name)
    return match is not None and (match["number"] is not None or not name[0].islower())


def _is_capitals(name: str) -> bool:
    return name.isupper() and sum(map(str.isalpha, name)) > 1


def _is_written_as_name(name: str) -> bool:
    """Whether every word has a capital; in writing without capitals, whether it is short."""
    if name.lower() == name.upper():
        return len(name) <= _CASELESS or " " in name
    return all(
        word[0].isupper() or word[0] == "#" or word.isdigit() or word in _PARTICLES
        for word in name.split()
    )


def _mostly_capitals(texts: Iterable[str]) -> bool:
    letters = [c for text in texts for c in text if c.isupper() or c.islower()]
    return bool(letters) and sum(map(str.isupper, letters)) > len(letters) / 2


def _lower_words(lines: Iterable[str]) -> frozenset[str]:
    """The words that the file writes small somewhere."""
    return frozenset(w for line in lines for w in re.findall(r"\w+", line) if w.islower())
