"""An analysis as a table for a terminal, or as plain text for a pipe."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dashfusion_cli.render.plain import Look, drawn, new_table, safe
from dashfusion_cli.render.sign_colors import ON_TERMINAL
from dashfusion_cli.render.wording import (
    UNSCORED,
    by_each,
    clock,
    left_out,
    part_of,
    signed,
    strongest,
    sum_in_words,
)
from dashfusion_models.analysis import Analysis, Overall, Segment

__all__ = ["render_table"]

_SCORE_WIDTH = 5  # "+0.75"
_BAR_CELLS = 6  # on each side of the centre
_NARROW_BELOW = 72  # columns; the bar goes first


def render_table(
    analysis: Analysis, look: Look, *, timing: bool = False, details: bool = False
) -> str:
    """Return the table of one analysis, ending in a line end.

    With `details`, each row has its sum and its three words of largest contribution.
    """
    times = [_timing(analysis, look)] if timing else []
    table = _table(analysis, look, details=details)
    return drawn(look, _header(analysis, look), table, _legend(), *times)


def _legend() -> Text:
    """Say what the numbers below the words are."""
    alone = "Below the words: the score from words, voice or face alone."
    return Text(f"{alone} Base and contributions make the score.", style="dim", overflow="fold")


def _header(analysis: Analysis, look: Look) -> Text:
    facts = []
    if not analysis.media.is_image:
        part, whole = _part(analysis), clock(analysis.media.duration_s)
        facts.append(f"{part} of {whole}" if part else whole)
    if analysis.language is not None:
        share = analysis.language.probability
        facts.append(analysis.language.code + (f" ({share:.0%})" if share is not None else ""))
    facts.append(analysis.model.name)
    if analysis.run.without:
        facts.append(left_out(analysis.run.without))
    between = " - " if look.ascii_only else " · "
    line = Text(overflow="fold")
    line.append(safe(str(analysis.media.path), look), style="bold")
    line.append(between + safe(between.join(facts), look), style="dim")
    return line


def _table(analysis: Analysis, look: Look, *, details: bool) -> Table:
    roomy = look.width >= _NARROW_BELOW
    table = new_table(look)
    table.width = look.width
    table.add_column("time", no_wrap=True)
    table.add_column("words", ratio=1, overflow="fold")
    table.add_column(_score_header(analysis) if roomy else "score", no_wrap=True)
    table.add_column("label", overflow="fold")
    for segment in analysis.segments:
        table.add_row(*_segment_row(segment, analysis, look, roomy=roomy, details=details))
    table.add_section()
    table.add_row(*_overall_row(analysis.overall, analysis, look, roomy=roomy))
    return table


def _part(analysis: Analysis) -> str | None:
    return part_of(analysis.run.start_s, analysis.run.end_s, analysis.media.duration_s)


def _segment_row(
    segment: Segment, analysis: Analysis, look: Look, *, roomy: bool, details: bool
) -> list[RenderableType]:
    words = Text()
    if segment.speaker is not None:
        words.append(safe(segment.speaker, look) + ": ", style="bold")
    unread = "text" in analysis.run.without
    notes = [reason.replace("_", " ") for reason in segment.reasons]
    if segment.text is not None:
        words.append(safe(segment.text, look), style="dim" if unread else "")
        notes = ["words left out", *notes] if unread else notes
    elif unread and "no_speech" not in segment.reasons:
        words.append("(words left out)", style="dim italic")
    else:
        words.append("(nobody speaks)", style="dim italic")
    for line in _why(segment, analysis, look, details=details):
        words.append(f"\n{line}", style="dim")
    if notes:
        words.append(f"\n({', '.join(notes)})", style="dim")
    time = Text(clock(segment.start_s), style="cyan")
    time.append(f"\n{clock(segment.end_s)}", style="dim")
    return [time, words, *_score_cells(segment, analysis, look, roomy=roomy)]


def _overall_row(
    overall: Overall, analysis: Analysis, look: Look, *, roomy: bool
) -> list[RenderableType]:
    whole = Text("all", style="bold")
    part = _part(analysis)
    name = f"{part} of the clip" if part else "the whole clip"
    what = Text()  # without a style that what is less sure would inherit
    what.append("the picture" if analysis.media.is_image else name, style="bold")
    for line in _why(overall, analysis, look, details=True):
        what.append(f"\n{line}", style="dim")
    return [whole, what, *_score_cells(overall, analysis, look, roomy=roomy)]


def _score_cells(
    scored: Segment | Overall, analysis: Analysis, look: Look, *, roomy: bool
) -> list[RenderableType]:
    """Return the cells that a segment and the whole clip share: score, bar, label."""
    if scored.score is None or scored.label is None:
        return [Text("-".rjust(_SCORE_WIDTH), style="dim"), Text(UNSCORED, style="dim")]
    style = ON_TERMINAL[look.colors].of(scored.label)
    score = Text()  # without a style that what is less sure would inherit
    score.append(
        signed(scored.score, analysis.model.label_range).rjust(_SCORE_WIDTH),
        style=f"bold {style}".strip(),
    )
    label = Text(scored.label, style=style)
    if roomy:
        score.append(" ")
        score.append_text(
            _bar(scored.score, analysis.model.label_range, style, ascii_only=look.ascii_only)
        )
    if scored.interval is not None:
        low, high = (signed(edge, analysis.model.label_range) for edge in scored.interval)
        indent = " " * (_SCORE_WIDTH + 1) if roomy else ""
        score.append(f"\n{indent}{low} to {high}", style="dim")
    return [score, label]


def _score_header(analysis: Analysis) -> str:
    """Name the ends and the centre of the bar, right above them."""
    low, high = analysis.model.label_range
    scale = f"{low:+g}".ljust(_BAR_CELLS) + "0" + f"{high:+g}".rjust(_BAR_CELLS)
    return " " * (_SCORE_WIDTH + 1) + scale


def _bar(score: float, label_range: tuple[float, float], style: str, *, ascii_only: bool) -> Text:
    """Draw a score from the middle of its scale to the left or to the right, by half cells."""
    low, high = label_range
    reach = high if score > 0 else -low
    share = min(1.0, abs(score) / reach) if reach > 0 else 0.0
    halves = round(share * 2 * _BAR_CELLS)
    empty, full, half_right, half_left, centre = (
        (".", "#", "#", "#", "|") if ascii_only else ("·", "█", "▌", "▐", "│")
    )
    filled = full * (halves // 2)
    rest = empty * (_BAR_CELLS - halves // 2 - halves % 2)
    bar = Text(no_wrap=True)
    if score < 0:
        bar.append(rest, style="dim")
        bar.append(half_left * (halves % 2) + filled, style=style)
    else:
        bar.append(empty * _BAR_CELLS, style="dim")
    bar.append(centre, style="dim")
    if score < 0:
        bar.append(empty * _BAR_CELLS, style="dim")
    else:
        bar.append(filled + half_right * (halves % 2), style=style)
        bar.append(rest, style="dim")
    return bar


def _why(
    scored: Segment | Overall, analysis: Analysis, look: Look, *, details: bool
) -> Iterator[str]:
    """Yield what each says alone; with `details` the sum that makes the score, and which words."""
    scale = analysis.model.label_range
    alone = by_each(dict(scored.alone.items()), scale)
    if alone:
        yield alone
    parts = scored.contributions.items()
    made = sum_in_words(scored.base, dict(parts), scored.score, scale)
    if details and made:
        yield made
    if details and isinstance(scored, Segment):
        found = [
            f"{safe(text, look)} {signed(part, scale)}"
            for text, part in strongest([(w.text, w.contribution) for w in scored.words])
        ]
        if scored.context_contribution is not None:
            found.append(f"said before {signed(scored.context_contribution, scale)}")
        if found:
            yield f"of the words: {', '.join(found)}"


def _timing(analysis: Analysis, look: Look) -> Table:
    """Show each stage's time at work and waiting; the stages overlap, the total does not."""
    table = new_table(look)
    table.add_column("stage", no_wrap=True)
    table.add_column("at work", justify="right", no_wrap=True)
    table.add_column("waiting", justify="right", no_wrap=True)
    for name, seconds in analysis.timing_s.items():
        waited = analysis.waiting_s.get(name, 0.0)
        waits = f"{waited:.1f} s" if name in analysis.waiting_s else ""
        table.add_row(name, f"{max(0.0, seconds - waited):.1f} s", waits, style="dim")
    return table
