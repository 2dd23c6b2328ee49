"""The LaTeX is well formed, needs no package but booktabs, and says what the paper says."""

import re

import pytest

from dashfusion_training.paper.comparison import ComparedRow, Comparison
from dashfusion_training.paper.published import PaperTable
from dashfusion_training.paper.tex import comparison_latex
from tests.training.paper.compared import TWO, counts, curves, two, ways

EVERY = [two(), two(whole=True), ways(), counts(), curves()]


def unescaped(text: str) -> str:
    """LaTeX without comments, and without what a backslash makes harmless."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    return re.sub(r"\\[\\{}$&#_%]", lambda m: r"\newline " if m[0] == r"\\" else "", text)


@pytest.mark.parametrize("comparison", EVERY, ids=lambda c: c.table.name)
def test_latex_is_balanced_and_in_ascii(comparison: Comparison) -> None:
    text = comparison_latex(comparison)
    assert text.isascii() and text.isprintable() is False and "\0" not in text
    plain, depth = unescaped(text), 0
    for sign in plain:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        assert depth >= 0
    assert depth == 0 and plain.count("$") % 2 == 0
    assert not re.search(r"[#~%^_]", plain.replace("$^2$", ""))
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    for columns, body in re.findall(
        r"\\begin\{tabular\}\{(l+)\}(.*?)\\end\{tabular\}", plain, re.DOTALL
    ):
        rows = [row for row in body.split(r"\newline") if "&" in row]
        assert rows and {row.count("&") for row in rows} == {len(columns) - 1}
    commands = set(re.findall(r"\\([a-z]+)", plain))
    known = (
        "begin end centering footnotesize scriptsize setlength tabcolsep caption label toprule "
        "midrule bottomrule textbf textsuperscript textasciicircum textasciitilde textbackslash "
        "pm cdot lambda par medskip raggedright linewidth allowbreak newline"
    )
    assert commands <= set(known.split())


def test_latex_says_what_the_paper_says_and_ours() -> None:
    text = comparison_latex(two())
    assert r"\caption{MOSI \& MOSEI (Table II of the paper, and ours)}" in text
    assert r"\label{tab:dashfusion-table2}" in text and "booktabs" in text
    assert text.count(r"\begin{tabular}{llll}") == 2  # one for each benchmark
    assert r"MulT\_1 (A)\textsuperscript{a} & --/80.8 & 0.70 & 0.698 \\" in text
    mine = text.index(r"\textbf{ours, 5 seeds} & 84.38$\pm$0.31/ & 0.712$\pm$0.004 &")
    assert "\n& 85.72$\\pm$0.40 &  & \\\\\n" in text[mine:]
    assert r"ours $-$ paper & +0.12/$-$0.10 & +0.003 & 0.000 \\" in text
    assert r"100 \%" in text and r"$\lambda$$\cdot$x, 5 $>$ 3 $|$ \#1 \$\_\{x\}\$." in text
    assert r"\textbf{Missing:} mosei: no store" in text and "-{}-output STORE" in text
    assert r"ad8b23d5\allowbreak{}ad8b23d5" in text


def test_latex_spells_accents_and_gives_up_on_other_scripts() -> None:
    table = PaperTable("t", "Zoë \N{EN DASH} “naïve” 好 \\x ~^", TWO.columns[:1], TWO.rows[:1])
    text = comparison_latex(Comparison(table=table, rows=(ComparedRow(TWO.rows[0], None),)))
    assert (
        r"""Zo\"{e} -- ``na\"{i}ve'' ? \textbackslash{}x """
        r"\textasciitilde{}\textasciicircum{}"
    ) in text
