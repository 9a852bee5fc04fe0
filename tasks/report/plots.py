"""Plots as inline SVG that stay readable at any width.

Positions are percentages, so text and dots keep their size while the plot grows and shrinks;
curves lie in an inner box of 1000 by 1000 that is stretched, with strokes that are not. Labels
outside the plot sit in the padding of its frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.report.html import esc, number

BOX = 1000
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


def _p(percent: float) -> str:
    return f"{percent:.2f}".rstrip("0").rstrip(".") + "%"


def _path(points: Points, x: Axis, y: Axis) -> str:
    parts = [f"{x.at(a) * 10:.0f} {BOX - y.at(b) * 10:.0f}" for a, b in points]
    # a stretched view needs no finer steps than a thousandth; drop what would not show
    return "M" + "L".join(p for i, p in enumerate(parts) if i == 0 or p != parts[i - 1])


def _title(text: str) -> str:
    return f"<title>{esc(text)}</title>" if text else ""


def _anchor(percent: float) -> str:
    return "end" if percent > 72 else "start" if percent < 28 else "middle"


def _text(x: float, y: float, text: str, css: str, *, dx: float = 0, dy: float = 0) -> str:
    at = f'x="{_p(x)}" y="{_p(y)}" dx="{dx:g}" dy="{dy:g}"'
    return f'<text {at} class="{esc(css)}">{esc(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str, title: str = "") -> str:
    return (
        f'<line x1="{_p(x1)}" y1="{_p(y1)}" x2="{_p(x2)}" y2="{_p(y2)}" class="{esc(css)}">'
        f"{_title(title)}</line>"
    )


def _dot(x: float, y: float, css: str, title: str, r: float = 4) -> str:
    return (
        f'<circle cx="{_p(x)}" cy="{_p(y)}" r="{r:g}" class="{esc(css)}">{_title(title)}</circle>'
    )


def draw(plot: Plot) -> str:
    """The figure with caption, axes, curves, bars and targets."""
    parts: list[str] = []
    if plot.shade:
        start, end, label = plot.shade
        a, b = plot.x.at(start), plot.x.at(end)
        parts.append(
            f'<rect x="{_p(a)}" y="0" width="{_p(b - a)}" height="100%" class="steady">'
            f"{_title(label)}</rect>"
        )
        parts.append(_text((a + b) / 2, 0, label, "tick mid", dy=-5))
    for value in nice_ticks(plot.y.low, plot.y.high):
        at = 100 - plot.y.at(value)
        parts.append(_line(0, at, 100, at, "grid"))
        parts.append(_text(0, at, plot.y_text(value), "tick right", dx=-7, dy=4))
    ticks = plot.x_ticks or [(v, number(v)) for v in nice_ticks(plot.x.low, plot.x.high)]
    parts.append(_line(0, 100, 100, 100, "base"))
    parts += [_text(plot.x.at(v), 100, text, "tick mid", dy=16) for v, text in ticks]
    paths = "".join(
        f'<path d="{_path(c.points, plot.x, plot.y)}" class="{esc(c.css)}">{_title(c.title)}</path>'
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
            parts.append(_line(x, ends[0], x, ends[1], f"range {bar.css}".strip(), bar.title))
        parts.append(_dot(x, y, f"dot {bar.css}".strip(), bar.title))
    parts += [_upright(item, row, plot) for row, item in enumerate(plot.upright)]
    parts += [_level(item, plot) for item in plot.level]
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
        out.append(_text(plot.x.at(curve.points[-1][0]), last, curve.label, "name", dx=7, dy=4))
    return out


def _upright(item: Mark, row: int, plot: Plot) -> str:
    """A limit on the x axis: a dashed line, its label above the plot, its bounds on the curve."""
    at, up = plot.x.at(item.limit), -6 - 15 * row
    said = f"target {item.label}: {item.kind}"
    parts = []
    if plot.x.holds(item.limit):
        parts.append(_line(at, 0, at, 100, f"limit {item.kind}", said))
        parts.append(_text(at, 0, item.label, f"goal {_anchor(at)} {item.kind}", dy=up))
    else:
        arrow = f"{item.label} →" if item.limit > plot.x.high else f"← {item.label}"
        edge = 100.0 if item.limit > plot.x.high else 0.0
        parts.append(_text(edge, 0, arrow, f"goal {_anchor(edge)} {item.kind}", dy=up))
    if item.height is not None and item.measured is not None:
        y = 100 - plot.y.at(item.height)
        low = 0.0 if item.low is None else plot.x.at(item.low)
        high = 100.0 if item.high is None else plot.x.at(item.high)
        bounds = f"{said}; measured {number(item.measured)}, bounds {_span(item)}"
        parts.append(_line(low, y, high, y, f"bound {item.kind}", bounds))
        for end, value in ((low, item.low), (high, item.high)):
            if value is not None and plot.x.holds(value):
                parts.append(
                    f'<svg x="{_p(end)}" y="{_p(y)}" class="over"><path d="M0 -5V5" '
                    f'class="cap {esc(item.kind)}"/></svg>'
                )
        parts.append(_dot(plot.x.at(item.measured), y, f"dot {item.kind}", bounds, 4.5))
    return "".join(parts)


def _span(item: Mark) -> str:
    low = "open" if item.low is None else number(item.low)
    high = "open" if item.high is None else number(item.high)
    return f"{low} … {high}"


def _level(item: Mark, plot: Plot) -> str:
    """A limit on the y axis: a dashed line; the bounds as a pale band."""
    at = 100 - plot.y.at(item.limit)
    said = f"target {item.label}: {item.kind}"
    parts = []
    if item.low is not None and item.high is not None:
        top, bottom = 100 - plot.y.at(item.high), 100 - plot.y.at(item.low)
        parts.append(
            f'<rect x="0" y="{_p(top)}" width="100%" height="{_p(bottom - top)}" '
            f'class="band {esc(item.kind)}">{_title(f"{said}; bounds {_span(item)}")}</rect>'
        )
    if plot.y.holds(item.limit):
        parts.append(_line(0, at, 100, at, f"limit {item.kind}", said))
        parts.append(_text(100, at, item.label, f"goal end {item.kind}", dx=-2, dy=-5))
    return "".join(parts)


def interval(item: Mark, *, at_most: bool, alt: str, most: float = math.inf) -> str:
    """One target as a line: the allowed side tinted, the limit, the bounds, the measured dot.

    most: the largest value there can be, such as 100 for a percentage.
    """
    known = [v for v in (item.limit, item.low, item.high, item.measured) if v is not None]
    known = [v for v in known if math.isfinite(v)]
    low, high = min(known), max(known)
    if high - low < 0.6 * abs(high) or low < 0:
        room = 0.3 * ((high - low) or abs(high) or 1.0)
        scale = Axis(low - room, min(high + room, most))
    else:
        scale = Axis(0.0, min(high * 1.12, most))
    limit = scale.at(item.limit)
    left, right = (0.0, limit) if at_most else (limit, 100.0)
    parts = [
        '<rect x="0" y="50%" width="100%" height="14" class="rail" transform="translate(0 -7)"/>',
        f'<rect x="{_p(left)}" y="50%" width="{_p(right - left)}" height="14" class="allowed" '
        f'transform="translate(0 -7)">{_title("the side that meets the target")}</rect>',
    ]
    if item.measured is not None and math.isfinite(item.measured):
        a = 0.0 if item.low is None else scale.at(item.low)
        b = 100.0 if item.high is None else scale.at(item.high)
        said = f"measured {number(item.measured)}, bounds {_span(item)}"
        parts.append(_line(a, 50, b, 50, f"bound {item.kind}", said))
        parts.append(_dot(scale.at(item.measured), 50, f"dot {item.kind}", said, 5))
    parts.append(
        f'<svg x="{_p(limit)}" y="50%" class="over"><path d="M0 -13V13" class="stop">'
        f"{_title(f'limit {number(item.limit)}')}</path></svg>"
    )
    return (
        f'<svg class="interval" role="img" aria-label="{esc(alt)}" width="100%" height="34">'
        f"{''.join(parts)}</svg>"
    )


def strip(start: float, end: float, whole: float, css: str, title: str) -> str:
    """A piece of a timeline: a bar from `start` to `end` of `whole`."""
    scale = Axis(0.0, whole or 1.0)
    a, b = scale.at(start), scale.at(end)
    return (
        f'<svg class="strip" role="img" aria-label="{esc(title)}" width="100%" height="14">'
        '<rect x="0" y="6" width="100%" height="2" class="rail"/>'
        f'<rect x="{_p(min(a, 99.4))}" y="1" width="{_p(max(0.6, b - a))}" height="12" rx="2" '
        f'class="step {esc(css)}">{_title(title)}</rect></svg>'
    )
