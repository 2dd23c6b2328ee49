"""Where a listener would divide long speech that has no stop: what a place between words is worth.

Worth is counted in seconds of pause. Commas and pauses count in every language; words that open a
clause, and words that belong together, are known for English. Speakers also pause to think, in the
middle of a phrase, so a pause where no clause is seen to end counts little.
"""

from dashfusion_models.segment.sentence import soft_break

__all__ = ["place_worth"]

_COMMA = 0.3  # and other marks of the kind
_CAPITAL = 0.4  # of a small word outside a title: a sentence whose stop was left out
_CONTRAST = 0.4
_CLAUSE = 0.25
_RELATIVE = 0.15  # as often a part of what is before it
_SPEAKER = 0.1  # "I saw it I liked it"
_ADDED = 0.1  # "and" joins words more often than clauses...
_ADDED_CLAUSE = 0.3  # ...but not before who does something
_PARTED = -0.5  # between words that belong together
_HESITATION = 0.3  # what a pause is worth where no clause ends

_SUBJECTS = frozenset(
    {"i", "you", "he", "she", "it", "we", "they", "there", "this", "that", "these", "those"}
    | {"everyone", "everything", "nobody", "nothing", "people", "one", "some"}
)
_SPEAKERS = frozenset({"i", "he", "she", "we", "they"})
_ASIDES = frozenset({("you", "know"), ("i", "mean")})
_CONTRASTS = frozenset({"but", "however", "although", "though", "whereas", "except", "yet"})
_CLAUSES = frozenset(
    {"because", "cause", "'cause", "cuz", "which", "while", "if", "unless", "since", "whenever"}
    | {"anyway", "also", "plus"}
)
_RELATIVES = frozenset({"who", "when", "where", "until", "then", "like"})
_ADDITIONS = frozenset({"and", "or", "so", "nor"})
_CONJUNCTIONS = _CONTRASTS | _CLAUSES | _RELATIVES | _ADDITIONS
_OPENERS = _CONJUNCTIONS | _SUBJECTS | {"the", "my", "what", "how", "why"}
_FILLERS = frozenset({"um", "uh", "er", "erm", "uhm", "hmm"})
_ARTICLES = frozenset(
    {"a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those"}
    | {"any", "every", "some", "no", "each", "another"}
)
_PREPOSITIONS = frozenset(
    {"of", "to", "in", "on", "at", "for", "with", "from", "by", "about", "into", "as", "than"}
    | {"like", "through", "over", "between", "after", "before", "without"}
)
_HELPERS = frozenset(
    {"is", "was", "are", "were", "be", "been", "being", "am", "has", "have", "had", "do", "does"}
    | {"did", "will", "would", "can", "could", "should", "may", "might", "must", "not", "very"}
    | {"really", "pretty", "quite", "too", "such", "more", "most", "just", "even", "kind", "sort"}
)
_REPORTS = frozenset(
    {"think", "thought", "say", "said", "know", "knew", "hope", "guess", "feel", "felt", "wish"}
    | {"mean", "believe", "that", "what", "how", "why", "all", "everything", "thing"}
)
_LEANS_ON_NEXT = (
    _ARTICLES
    | _PREPOSITIONS
    | _HELPERS
    | _REPORTS
    | _SUBJECTS - {"this", "it", "one", "everything"}
)
_LEANS_ON_LAST = frozenset(
    {"of", "than", "is", "was", "are", "were", "it", "them", "me", "him", "too", "either", "well"}
    | {"sort", "kind"}
)
_SHORT_FORMS = ("'m", "'re", "'s", "'ve", "'ll", "'d")
_NOT = "n't"


def place_worth(before: str, after: str, following: str, *, pause_s: float, english: bool) -> float:
    """Return what the place between two words is worth; `following` is the word after `after`.

    The pause in seconds, and more where a clause seems to end; less, also below 0, between words
    that belong together.
    """
    comma = soft_break(before)
    if not english:
        return pause_s + _COMMA * comma
    last, word = _bare(before), _bare(after)
    clause = _opening(after, following) + _COMMA * (comma and last not in _FILLERS)
    leans = last in _CONJUNCTIONS | _LEANS_ON_NEXT or _is_shortened(before)
    if not comma and (leans or (word in _LEANS_ON_LAST and clause < _CAPITAL)):
        clause += _PARTED
    return clause + (pause_s if clause > 0.0 else _HESITATION * pause_s)


def _opening(after: str, following: str) -> float:
    """Worth of a word as the first of a clause."""
    word, second = _bare(after), _bare(following)
    subject = _stem(second) in _SUBJECTS | _ARTICLES or second == "then"
    if after[:1].isupper() and not following[:1].isupper() and _stem(word) in _OPENERS - {"i"}:
        return _CAPITAL
    if word in _CONTRASTS:
        return _CONTRAST
    if word in _CLAUSES:
        return _CLAUSE
    if word in _RELATIVES or (word, second) in _ASIDES:
        return _RELATIVE
    if _stem(word) in _SPEAKERS:
        return _SPEAKER
    if word in _ADDITIONS:
        return _ADDED_CLAUSE if subject else _ADDED
    return 0.0


def _bare(word: str) -> str:
    return word.strip('.,;:!?"\u2018\u2019\u201c\u201d()\u2026-\u2013\u2014').lower()


def _stem(word: str) -> str:
    """The pronoun of "they're"."""
    return word.replace("\u2019", "'").split("'")[0]


def _is_shortened(word: str) -> bool:
    """Whether it is "I'm", "they'd" or "don't", which go on."""
    bare = _bare(word).replace("\u2019", "'")
    return bare.endswith(_NOT) or (bare.endswith(_SHORT_FORMS) and _stem(bare) in _SUBJECTS)
