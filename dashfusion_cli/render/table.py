"""An analysis as a table for a terminal, or as plain text for a pipe."""

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dashfusion_cli.render.plain import Look, drawn, new_table, safe
from dashfusion_cli.render.sign_colors import ON_TERMINAL
from dashfusion_cli.render.wording import NAMES, UNSCORED, clock, left_out, part_of, signed
from dashfusion_models.analysis import Analysis, Overall, Segment
from dashfusion_models.records import Streams

__all__ = ["render_table"]

_SCORE_WIDTH = 5  # "+0.75"
_BAR_CELLS = 6  # on each side of the centre
_NARROW_BELOW = 72  # columns; the bar goes first


def render_table(analysis: Analysis, look: Look, *, timing: bool = False) -> str:
    """Return the table of one analysis, ending in a line end."""
    times = [_timing(analysis, look)] if timing else []
    return drawn(look, _header(analysis, look), _table(analysis, look), *times)


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


def _table(analysis: Analysis, look: Look) -> Table:
    roomy = look.width >= _NARROW_BELOW
    table = new_table(look)
    table.width = look.width
    table.add_column("time", no_wrap=True)
    table.add_column("words", ratio=1, overflow="fold")
    table.add_column(_score_header(analysis) if roomy else "score", no_wrap=True)
    table.add_column("label", overflow="fold")
    for segment in analysis.segments:
        table.add_row(*_segment_row(segment, analysis, look, roomy=roomy))
    table.add_section()
    table.add_row(*_overall_row(analysis.overall, analysis, look, roomy=roomy))
    return table


def _part(analysis: Analysis) -> str | None:
    return part_of(analysis.run.start_s, analysis.run.end_s, analysis.media.duration_s)


def _segment_row(
    segment: Segment, analysis: Analysis, look: Look, *, roomy: bool
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
    what = Text("the picture" if analysis.media.is_image else name, style="bold")
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
    driver = _driver(scored.contributions, analysis)
    if driver:
        label.append("\n" + driver, style="dim")
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


def _driver(contributions: Streams[float | None], analysis: Analysis) -> str:
    """Name the modality that moved the score most, with how far it did."""
    known = [(name, value) for name, value in contributions.items() if value is not None]
    if not known:
        return ""
    name, value = max(known, key=lambda pair: abs(pair[1]))
    return f"{NAMES[name]} {signed(value, analysis.model.label_range)}"


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
