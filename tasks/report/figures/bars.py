"""Bars as inline SVG: one target against its limit, one step on the line of time."""

from __future__ import annotations

import math
from dataclasses import replace

from tasks.report.figures.plots import Axis, Mark, dot_at, line_at, percent, tooltip
from tasks.report.html import bounds_text, esc, number
from tasks.report.words.speech import t

# A limit so many times further off than what was measured is named at the edge.
FAR = 6.0


def interval(
    item: Mark, *, at_most: bool, alt: str, most: float = math.inf, scale: Axis | None = None
) -> str:
    """One target as a line: the allowed side tinted, the limit, the bounds, the measured dot.

    most: the largest value there can be, such as 100 for a percentage. scale: of all intervals
    that are to be compared; None for one of its own.
    """
    bounds = bounds_text(item.low, item.high)
    far = False
    if scale is None:
        if _high_is_far(item):
            item = replace(item, high=None)  # runs to the edge, as an open one does
        far = _is_far(item)
        known = [v for v in (item.low, item.high, item.measured) if v is not None]
        known = [v for v in (*known, *([] if far else [item.limit])) if math.isfinite(v)]
        scale = _scale(min(known), max(known), most, far=far)
    limit = scale.at(item.limit)
    left, right = (0.0, limit) if at_most else (limit, 100.0)
    parts = [
        '<rect x="0" y="50%" width="100%" height="14" class="rail" transform="translate(0 -7)"/>',
        f'<rect x="{percent(left)}" y="50%" width="{percent(right - left)}" height="14" '
        f'class="allowed" transform="translate(0 -7)">'
        f"{tooltip(t('the side that meets the target'))}</rect>",
    ]
    if item.measured is not None and math.isfinite(item.measured):
        a = 0.0 if item.low is None else scale.at(item.low)
        b = 100.0 if item.high is None else scale.at(item.high)
        said = t(
            "measured {value}, bounds {bounds}",
            value=number(item.measured),
            bounds=bounds,
        )
        parts.append(line_at(a, 50, b, 50, f"bound {item.kind}", said))
        parts.append(dot_at(scale.at(item.measured), 50, f"dot {item.kind}", said, 5))
    parts.append(_far_limit(item.limit, limit) if far else _limit(item.limit, limit))
    return (
        f'<svg class="interval" role="img" aria-label="{esc(alt)}" width="100%" height="34">'
        f"{''.join(parts)}</svg>"
    )


def _high_is_far(item: Mark) -> bool:
    """Whether a bound is so far up, after few rounds, that dot and limit would be one point."""
    if item.measured is None or item.high is None or (item.low or 0.0) < 0:
        return False
    return item.high > FAR * max(abs(item.measured), abs(item.limit))


def _is_far(item: Mark) -> bool:
    """Whether a scale that holds the limit would press all else into a point."""
    if item.measured is None or not math.isfinite(item.measured):
        return False
    size = abs(item.measured)
    if item.low is not None and item.high is not None:
        size = max(size, item.high - item.low)
    return math.isfinite(size) and abs(item.limit - item.measured) > FAR * size


def _scale(low: float, high: float, most: float, *, far: bool) -> Axis:
    room = (high - low) or abs(high) or 1.0
    if far:  # the value of the limit needs the place beside what was measured
        return Axis(low - 0.6 * room, high + 1.2 * room)
    if high - low < 0.6 * abs(high) or low < 0:
        return Axis(low - 0.3 * room, min(high + 0.3 * room, most))
    return Axis(0.0, min(high * 1.12, most))


def _limit(value: float, at: float) -> str:
    return (
        f'<svg x="{percent(at)}" y="50%" class="over"><path d="M0 -13V13" class="stop">'
        f"{tooltip(t('limit {value}', value=number(value)))}</path></svg>"
    )


def _far_limit(value: float, at: float) -> str:
    text, end = (f"{number(value)} →", "end") if at > 50 else (f"← {number(value)}", "start")
    inside = -5 if at > 50 else 5
    return (
        f'<text x="{percent(at)}" y="50%" dx="{inside}" dy="4" class="far {end}">{esc(text)}'
        f"{tooltip(t('limit {value}', value=number(value)))}</text>"
    )


def strip(start: float, end: float, whole: float, css: str, title: str) -> str:
    """A piece of a timeline: a bar from `start` to `end` of `whole`."""
    scale = Axis(0.0, whole or 1.0)
    a, b = scale.at(start), scale.at(end)
    return (
        f'<svg class="strip" role="img" aria-label="{esc(title)}" width="100%" height="14">'
        '<rect x="0" y="6" width="100%" height="2" class="rail"/>'
        f'<rect x="{percent(min(a, 99.4))}" y="1" width="{percent(max(0.6, b - a))}" height="12" '
        f'rx="2" class="step {esc(css)}">{tooltip(title)}</rect></svg>'
    )
