"""Plots as inline SVG that stay readable at any width.

Positions are percentages, so text and dots keep their size while the plot grows and shrinks;
curves lie in an inner box of 1000 by 1000 that is stretched, with strokes that are not. Labels
outside the plot sit in the padding of its frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.report.html import bounds_text, esc, number
from tasks.report.words.speech import t

BOX = 1000
# A limit this many times beyond what was measured is named at the edge, not on the scale.
FAR = 2.5
# Where a level's label stands: from this percent of the width on, so high, and clear of a dot.
RIGHT_END, LABEL_PX, DOT_PX = 80.0, 18.0, 6.0
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """From data to percent of the plot's width or height."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Percent from the low end; values outside are held at the edge."""
        if self.high <= self.low:
            return 50.0
        return min(100.0, max(0.0, 100 * (value - self.low) / (self.high - self.low)))

    def holds(self, value: float) -> bool:
        """Whether the value lies on the scale."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Mark:
    """A target drawn into a plot.

    label: such as 'p95 ≤ 800 ms'. limit: in the unit of the axis. kind: pass, fail, inconclusive.
    low, high: the bounds, None where open. measured: None without data. height: where the bounds
    lie on the other axis (a share for an ECDF).
    """

    label: str
    limit: float
    kind: str
    low: float | None = None
    high: float | None = None
    measured: float | None = None
    height: float | None = None


@dataclass(frozen=True)
class Curve:
    """A line. css: its look. title: what a pointer is told. label: written at its right end."""

    points: Points
    css: str
    title: str = ""
    label: str = ""


@dataclass(frozen=True)
class Bar:
    """A vertical range at x with a dot; css 'doubt' for what cannot be believed."""

    x: float
    low: float
    high: float
    dot: float
    title: str
    css: str = ""


@dataclass(frozen=True)
class Cross:
    """A point with its bounds on both axes, None where open, and its name."""

    x: float
    y: float
    name: str
    title: str
    across: tuple[float | None, float | None] = (None, None)
    along: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True)
class Plot:
    """What one figure shows. x_ticks: (value, text). shade: a range of x with its label."""

    title: str
    alt: str
    x: Axis
    y: Axis
    x_name: str = ""
    y_name: str = ""
    curves: Sequence[Curve] = ()
    bars: Sequence[Bar] = ()
    crosses: Sequence[Cross] = ()
    x_ticks: Sequence[tuple[float, str]] = ()
    y_text: Callable[[float], str] = number
    shade: tuple[float, float, str] | None = None
    upright: Sequence[Mark] = ()
    level: Sequence[Mark] = ()
    height: int = 190
    note: str = ""


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers within [low, high], about `count` of them."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def axis(values: Sequence[float], *, zero: bool = True, room: float = 0.06) -> Axis:
    """A scale that holds all finite values; from zero, unless told otherwise."""
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    spread = (high - low) or abs(high) or 1.0
    if not zero:
        return Axis(low - room * spread, high + room * spread)
    bottom, top = min(0.0, low), max(0.0, high)
    return Axis(bottom, top + room * ((top - bottom) or 1.0))


def near(limits: Sequence[float], values: Sequence[float]) -> list[float]:
    """The limits that a scale over the values may hold without pressing them flat."""
    top = max(values, default=0.0)
    return [limit for limit in limits if limit <= FAR * top]


def spread_axis(low: float, high: float, limits: Sequence[float]) -> Axis:
    """A scale for a distribution from `low` to `high`: from zero, unless that is far; with the
    limits that are near."""
    span = (high - low) or abs(high) or 1.0
    if low <= 1.5 * span:
        return Axis(0.0, 1.05 * max([high, *near(limits, [high])]))
    held = [v for v in limits if low - FAR * span <= v <= high + FAR * span]
    left, right = min([low, *held]), max([high, *held])
    return Axis(left - 0.05 * (right - left), right + 0.05 * (right - left))


def percent(share: float) -> str:
    """A place in percent, as an SVG says it."""
    return f"{share:.2f}".rstrip("0").rstrip(".") + "%"


def _path(points: Points, x: Axis, y: Axis) -> str:
    parts = [f"{x.at(a) * 10:.0f} {BOX - y.at(b) * 10:.0f}" for a, b in points]
    # a stretched view needs no finer steps than a thousandth; drop what would not show
    return "M" + "L".join(p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1])


def tooltip(text: str) -> str:
    """What a pointer is told."""
    return f"<title>{esc(text)}</title>" if text else ""


def _anchor(percent: float) -> str:
    return "end" if percent > 72 else "start" if percent < 28 else "middle"


def text_at(x: float, y: float, text: str, css: str, *, dx: float = 0, dy: float = 0) -> str:
    at = f'x="{percent(x)}" y="{percent(y)}" dx="{dx:g}" dy="{dy:g}"'
    return f'<text {at} class="{esc(css)}">{esc(text)}</text>'


def line_at(x1: float, y1: float, x2: float, y2: float, css: str, title: str = "") -> str:
    """A straight line between two places in percent."""
    return (
        f'<line x1="{percent(x1)}" y1="{percent(y1)}" x2="{percent(x2)}" y2="{percent(y2)}" '
        f'class="{esc(css)}">{tooltip(title)}</line>'
    )


def dot_at(x: float, y: float, css: str, title: str, r: float = 4) -> str:
    """A dot of radius `r` pixels at a place in percent."""
    return (
        f'<circle cx="{percent(x)}" cy="{percent(y)}" r="{r:g}" class="{esc(css)}">'
        f"{tooltip(title)}</circle>"
    )


def draw(plot: Plot) -> str:
    """The figure with caption, axes, curves, bars and targets."""
    parts: list[str] = []
    if plot.shade:
        start, end, label = plot.shade
        a, b = plot.x.at(start), plot.x.at(end)
        parts.append(
            f'<rect x="{percent(a)}" y="0" width="{percent(b - a)}" height="100%" class="steady">'
            f"{tooltip(label)}</rect>"
        )
        parts.append(text_at((a + b) / 2, 0, label, "tick mid", dy=-5))
    for value in nice_ticks(plot.y.low, plot.y.high):
        at = 100 - plot.y.at(value)
        parts.append(line_at(0, at, 100, at, "grid"))
        parts.append(text_at(0, at, plot.y_text(value), "tick right", dx=-7, dy=4))
    ticks = plot.x_ticks or [(v, number(v)) for v in nice_ticks(plot.x.low, plot.x.high)]
    parts.append(line_at(0, 100, 100, 100, "base"))
    parts += [text_at(plot.x.at(v), 100, text, "tick mid", dy=16) for v, text in ticks]
    paths = "".join(
        f'<path d="{_path(c.points, plot.x, plot.y)}" class="{esc(c.css)}">'
        f"{tooltip(c.title)}</path>"
        for c in plot.curves
        if c.points
    )
    parts.append(
        f'<svg viewBox="0 0 {BOX} {BOX}" preserveAspectRatio="none" width="100%" height="100%">'
        f"{paths}</svg>"
    )
    parts += _names(plot)
    for bar in plot.bars:
        x, y = plot.x.at(bar.x), 100 - plot.y.at(bar.dot)
        if bar.high > bar.low:
            ends = 100 - plot.y.at(bar.low), 100 - plot.y.at(bar.high)
            parts.append(line_at(x, ends[0], x, ends[1], f"range {bar.css}".strip(), bar.title))
        parts.append(dot_at(x, y, f"dot {bar.css}".strip(), bar.title))
    for cross in plot.crosses:
        parts += _crossed(cross, plot)
    parts += [_upright(item, row, plot) for row, item in enumerate(plot.upright)]
    parts += _levels(plot)
    top = 12 + 15 * len(plot.upright) + (8 if plot.shade else 0)
    bottom = 24
    names = "".join(
        f'<p class="{esc(css)}">{esc(text)}</p>'
        for css, text in (("yname", plot.y_name), ("xname", plot.x_name))
        if text
    )
    yname, _, xname = names.partition('<p class="xname">')
    xname = f'<p class="xname">{xname}' if xname else ""
    note = f'<p class="note">{esc(plot.note)}</p>' if plot.note else ""
    return (
        f'<figure class="plot"><figcaption>{esc(plot.title)}</figcaption>{yname}'
        f'<div class="pad" style="padding-top:{top}px;padding-bottom:{bottom}px">'
        f'<svg role="img" aria-label="{esc(plot.alt)}" width="100%" height="{plot.height}">'
        f"{''.join(parts)}</svg></div>{xname}{note}</figure>"
    )


def _names(plot: Plot) -> list[str]:
    """The curves' labels at their right ends, pushed apart where they would overlap."""
    ends = [(100 - plot.y.at(c.points[-1][1]), c) for c in plot.curves if c.label and c.points]
    gap, last, out = 100 * 13 / plot.height, -math.inf, []
    for at, curve in sorted(ends, key=lambda item: item[0]):
        last = max(at, last + gap)
        out.append(text_at(plot.x.at(curve.points[-1][0]), last, curve.label, "name", dx=7, dy=4))
    return out


def _upright(item: Mark, row: int, plot: Plot) -> str:
    """A limit on the x axis: a dashed line, its label above the plot, its bounds on the curve."""
    at, up = plot.x.at(item.limit), -6 - 15 * row
    said = target_text(item)
    parts = []
    if plot.x.holds(item.limit):
        parts.append(line_at(at, 0, at, 100, f"limit {item.kind}", said))
        parts.append(text_at(at, 0, item.label, f"goal {_anchor(at)} {item.kind}", dy=up))
    else:
        arrow = f"{item.label} →" if item.limit > plot.x.high else f"← {item.label}"
        edge = 100.0 if item.limit > plot.x.high else 0.0
        parts.append(text_at(edge, 0, arrow, f"goal {_anchor(edge)} {item.kind}", dy=up))
    if item.height is not None and item.measured is not None:
        y = 100 - plot.y.at(item.height)
        low = 0.0 if item.low is None else plot.x.at(item.low)
        high = 100.0 if item.high is None else plot.x.at(item.high)
        bounds = _span(item)
        parts.append(line_at(low, y, high, y, f"bound {item.kind}", bounds))
        for end, value in ((low, item.low), (high, item.high)):
            if value is not None and plot.x.holds(value):
                parts.append(
                    f'<svg x="{percent(end)}" y="{percent(y)}" class="over"><path d="M0 -5V5" '
                    f'class="cap {esc(item.kind)}"/></svg>'
                )
        parts.append(dot_at(plot.x.at(item.measured), y, f"dot {item.kind}", bounds, 4.5))
    return "".join(parts)


def target_text(item: Mark) -> str:
    """A target and its verdict, in words."""
    return t("target {label}: {verdict}", label=item.label, verdict=t(item.kind))


def _span(item: Mark) -> str:
    """What a pointer is told of a target with its figures."""
    return t(
        "{target}; measured {value}, bounds {bounds}",
        target=target_text(item),
        value=number(item.measured),
        bounds=bounds_text(item.low, item.high),
    )


def _levels(plot: Plot) -> list[str]:
    """The limits on the y axis, with their bounds as a pale band. One that the scale does not hold
    is an arrow at the edge, with its value."""
    parts, row = [], 0
    for item in plot.level:
        at = 100 - plot.y.at(item.limit)
        if item.low is not None and item.high is not None:
            top, bottom = 100 - plot.y.at(item.high), 100 - plot.y.at(item.low)
            parts.append(
                f'<rect x="0" y="{percent(top)}" width="100%" height="{percent(bottom - top)}" '
                f'class="band {esc(item.kind)}">{tooltip(_span(item))}</rect>'
            )
        label, css, down = item.label, f"goal end {item.kind}", -5.0
        if plot.y.holds(item.limit):
            parts.append(line_at(0, at, 100, at, f"limit {item.kind}", target_text(item)))
            down = 13.0 if _taken(plot, at, 1) and not _taken(plot, at, -1) else down
        else:
            above = item.limit > plot.y.high
            label = f"{label} {'↑' if above else '↓'}"
            down, row = (12.0 + 15 * row) if above else (-6.0 - 15 * row), row + 1
        parts.append(text_at(100, at, label, css, dx=-2, dy=down))
    return parts


def _taken(plot: Plot, at: float, side: int) -> bool:
    """Whether a dot or a bar lies where a level's label would: at the right end, above it (side 1)
    or below it (-1)."""
    for bar in plot.bars:
        ends = (bar.low, bar.dot, bar.high)
        away = [side * (at - (100 - plot.y.at(end))) * plot.height / 100 for end in ends]
        if plot.x.at(bar.x) > RIGHT_END and min(away) < LABEL_PX and max(away) > -DOT_PX:
            return True
    return False


def _crossed(item: Cross, plot: Plot) -> list[str]:
    """A point with its bounds on both axes; an open one runs to the edge."""
    x, y = plot.x.at(item.x), 100 - plot.y.at(item.y)
    left, right = (_end(v, plot.x, e) for v, e in zip(item.across, (0.0, 100.0), strict=True))
    low, high = (100 - _end(v, plot.y, e) for v, e in zip(item.along, (0.0, 100.0), strict=True))
    return [
        line_at(left, y, right, y, "range", item.title),
        line_at(x, low, x, high, "range", item.title),
        dot_at(x, y, "dot", item.title),
        text_at(x, y, item.name, f"name {_anchor(x)}", dx=7 if x < 28 else -7, dy=-8),
    ]


def _end(value: float | None, scale: Axis, edge: float) -> float:
    return edge if value is None else scale.at(value)
