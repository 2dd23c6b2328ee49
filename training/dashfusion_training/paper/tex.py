r"""A table of the paper beside ours in LaTeX: needs \usepackage{booktabs} and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from dashfusion_training.paper.comparison import Comparison
from dashfusion_training.paper.lines import (
    DEPARTS,
    Line,
    Part,
    benchmark_name,
    groups,
    paper_name,
    remarks,
)

__all__ = ["comparison_latex"]

_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "`": "`{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "±": r"$\pm$", "·": r"$\cdot$",
    "²": "$^2$", "≥": r"$\geq$", "≤": r"$\leq$", "λ": r"$\lambda$", "τ": r"$\tau$",
    "Σ": r"$\Sigma$", "…": r"\dots{}", "“": "``", "”": "''", "\N{NO-BREAK SPACE}": "~",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--",
    "\N{EM DASH}": "---", "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
}  # fmt: skip
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"'}
_ROOMY = 5  # columns of figures that a page carries in footnote size
_LONG_WORD = 24  # letters; hashes and paths would run over the margin
_BREAK_EVERY = 8


def comparison_latex(comparison: Comparison) -> str:
    """A float with caption and label; each benchmark is a tabular, one under the other."""
    table = comparison.table
    every = range(len(table.columns))
    cut = [[k for k in every if table.columns[k].benchmark == b] for b in table.benchmarks]
    if all(len(columns) == 1 for columns in cut):
        cut = [list(every)]
    found = remarks(comparison)
    strong = [rf"\textbf{{{_tex(r.text)}}}" for r in found if r.kind == "departure"]
    calm = [_tex(r.text) for r in found if r.kind not in ("departure", "problem")]
    notes = strong + calm
    notes += [rf"\textbf{{Missing:}} {_tex(r.text)}" for r in found if r.kind == "problem"]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[tbp]",
        r"\centering",
        r"\scriptsize" if max(map(len, cut)) > _ROOMY else r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_tex(table.title)} ({_tex(paper_name(table))} of the paper, and ours"
        + (f"; {_tex(DEPARTS)})}}" if comparison.departures else ")}"),
        rf"\label{{tab:dashfusion-{table.name}}}",
    ]
    for columns in cut:
        lines += _tabular(comparison, columns, named=len(cut) > 1)
        lines.append(r"\par\medskip")
    lines += [r"\begin{minipage}{\linewidth}", r"\raggedright", *_paragraphs(notes)]
    return "\n".join([*lines, r"\end{minipage}", r"\end{table}"]) + "\n"


def _tabular(comparison: Comparison, columns: Sequence[int], *, named: bool) -> list[str]:
    chosen = [comparison.table.columns[k] for k in columns]
    lines = [rf"\begin{{tabular}}{{l{'l' * len(chosen)}}}", r"\toprule"]
    corner = rf"\textbf{{{_tex(benchmark_name(chosen[0].benchmark))}}}" if named else ""
    lines.append(_row([corner, *(_tex(column.name) for column in chosen)]))
    for group in groups(comparison, columns):
        lines.append(r"\midrule")
        lines += [row for line in group for row in _rows(line)]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells).strip() + r" \\"


def _name(line: Line) -> str:
    if line.kind == "ours":
        return rf"\textbf{{{_tex(line.name)}}}"
    source = rf"\textsuperscript{{{_tex(line.source)}}}" if line.source else ""
    return (r"ours $-$ paper" if line.kind == "difference" else _tex(line.name)) + source


def _rows(line: Line) -> list[str]:
    """A line as rows: two figures with deviations are too wide for a column, and stand beneath."""
    if not any("±" in part.text for cell in line.cells for part in cell):
        return [_row([_name(line), *("/".join(_figure(p.text) for p in c) for c in line.cells)])]
    deep = max(map(len, line.cells))
    return [
        _row([_name(line) if k == 0 else "", *(_part(cell, k) for cell in line.cells)])
        for k in range(deep)
    ]


def _part(cell: tuple[Part, ...], number: int) -> str:
    if number >= len(cell):
        return ""
    return _figure(cell[number].text) + ("/" if number + 1 < len(cell) else "")


def _figure(text: str) -> str:
    """A number with a minus that is one; "-" for nothing is a dash."""
    if text == "-":
        return "--"
    return "$-$" + _tex(text[1:]) if text.startswith("-") else _tex(text)


def _paragraphs(notes: Iterable[str]) -> list[str]:
    return [rf"{note}\par" for note in notes]


def _tex(text: str) -> str:
    """Text as it is, for any engine: no sign of it is a command, other scripts become "?"."""
    return " ".join(_word(word) for word in text.split())


def _word(word: str) -> str:
    if len(word) <= _LONG_WORD:
        return _signs(word)
    pieces = []
    for piece in re.findall(r"[^/]*/|[^/]+", word):
        step = _BREAK_EVERY if len(piece) > _LONG_WORD else len(piece)
        pieces += [_signs(piece[k : k + step]) for k in range(0, len(piece), step)]
    return r"\allowbreak{}".join(pieces)


def _signs(word: str) -> str:
    """Sign by sign; two hyphens stay two and do not become a dash."""
    return "".join(map(_sign, word.replace("--", "-\0-"))).replace("\0", "{}")


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign if sign.isprintable() or sign == "\0" else " "
    parted = unicodedata.normalize("NFD", sign)
    if len(parted) == 2 and parted[0].isascii() and parted[1] in _ACCENTS:
        return rf"\{_ACCENTS[parted[1]]}{{{parted[0]}}}"
    return "?"
