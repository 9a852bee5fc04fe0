"""The sections of the report that show what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.record.parts import TargetJudged
from tasks.record.record import Record
from tasks.report import points as data
from tasks.report.html import (
    UNITS,
    bullets,
    dicts,
    esc,
    is_number,
    limit_text,
    mark,
    metric_name,
    number,
    section,
    table,
    target_name,
)
from tasks.report.plots import Axis, Curve, Mark, Plot, axis, draw, interval
from tasks.report.points import Load
from tasks.spec.metrics import Metric, parse_metric
from tasks.verdict.targets import IMPLIED

MS = 1000.0


def _float(value: object) -> float | None:
    return float(value) if is_number(value) else None


def _parsed(target: TargetJudged) -> Metric | None:
    try:
        return parse_metric(target.metric)
    except ValueError:
        return None


def targets(record: Record) -> str:
    """Every target with its limit, what was measured, the bounds and the verdict."""
    # what needs attention first; else the judge's order
    found = sorted(record.targets, key=_urgency)
    rows = []
    for item in found:
        limit, unit = _float(item.limit), item.unit
        bounds = f"{number(item.low)} … {number(item.high)}"
        word = item.verdict
        measured = number(item.measured) if is_number(item.measured) else "no data"
        drawn = ""
        if limit is not None:
            alt = (
                f"{target_name(item)}: limit {limit_text(item)}, measured {measured}, "
                f"bounds {bounds}, {word}"
            )
            figures = map(_float, (item.low, item.high, item.measured))
            point = Mark("", limit, word, *figures)
            absolute = item.versus_stable_percent is None
            most = {"percent": 100.0, "ratio": 1.0}.get(unit, math.inf) if absolute else math.inf
            drawn = interval(point, at_most=item.direction == "at_most", alt=alt, most=most)
        note = "<small>advisory: never blocks</small>" if item.advisory else ""
        told = f"{bounds} {UNITS.get(unit, unit)}"
        if _implied(item, record):
            # judged by the requests themselves: none may fail, whatever the interval says
            drawn, told = "", "no target allows a request to fail"
        name = f"{esc(metric_name(item.metric))} {note}"
        rows.append(
            [
                name,
                esc(item.load or "–"),
                esc(limit_text(item)),
                f"<b>{esc(measured)}</b>",
                f'<div class="bar">{drawn}<small>{esc(told)}</small></div>',
                mark(word),
            ]
        )
    if not rows:
        return ""
    reasons = [_reason(item) for item in found if item.verdict != "pass"]
    heads = ("Target", "Load", "Limit", "Measured", "Bounds against the limit", "Verdict")
    lead = (
        "A target is met when its whole interval lies on the green side of the limit, and missed "
        "when all of it lies beyond. The dot is what was measured; the line is where the truth "
        f"lies, at {record.confidence_percent:g} % confidence over the whole rollout."
    )
    body = table("Targets, their bounds and verdicts", heads, rows, right=(2, 3))
    return section("targets", "Targets", lead, body + bullets(reasons))


def _urgency(target: TargetJudged) -> int:
    """0: missed, 1: open, 2: met, 3: advisory."""
    if target.advisory:
        return 3
    return {"fail": 0, "pass": 2}.get(target.verdict, 1)


def _implied(target: TargetJudged, record: Record) -> bool:
    """Whether the judge added this target: without one on the success rate no request may fail."""
    named = dicts(record.spec.get("targets"))
    return (
        target.metric == IMPLIED
        and target.limit == 100
        and not any(item.get("metric") == IMPLIED for item in named)
    )


def _reason(target: TargetJudged) -> str:
    text = (target.reason or "no reason given").replace("tok_s", UNITS["tok_s"])
    more = target.requests_more
    ask = f"; about {number(more)} requests more would decide" if is_number(more) else ""
    return f"{target_name(target)}: {text}{ask}"


def marks_of(record: Record, kind: str, load: str, factor: float) -> list[tuple[Mark, Metric]]:
    """Absolute targets of a metric at a load point; figures scaled to `factor` per base unit."""
    out = []
    for item in record.targets:
        metric, limit = _parsed(item), _float(item.limit)
        if metric is None or limit is None or metric.kind != kind or item.load != load:
            continue
        if item.versus_stable_percent is not None:
            continue

        def to(value: float | None, by: float = metric.factor) -> float | None:
            value = _float(value)
            return value * factor / by if value is not None else None

        stat = f"p{metric.quantile * 100:g}" if metric.quantile else metric.statistic
        label = f"{stat} {limit_text(item)}".strip()
        word = item.verdict
        word = word if word in ("pass", "fail") else "inconclusive"
        point = Mark(label, to(limit) or 0.0, word, to(item.low), to(item.high), to(item.measured))
        out.append((point, metric))
    return out


def ttft(record: Record, loads: Sequence[Load]) -> str:
    """The distribution of TTFT at each load point."""
    plots = [draw(p) for load in loads if (p := _ttft_plot(record, load)) is not None]
    other = any(load.stable for load in loads)
    lead = (
        "How many requests had their first token within a time. A dot on the curve is a target's "
        "figure, and the line through it its bounds."
        + keys(
            ("data", "all rounds"),
            ("thin", "each round"),
            *((("stable", "stable release"),) if other else ()),
            ("dash", "limit of a target"),
        )
    )
    return section("ttft", "Time to first token", lead, grid(plots))


def keys(*pairs: tuple[str, str]) -> str:
    """What the lines of the plots below mean: (look, meaning)."""
    marks = "".join(f'<span class="key {css}">{esc(text)}</span> ' for css, text in pairs)
    return f'<span class="keys">{marks}</span>'


def grid(plots: Sequence[str]) -> str:
    if not plots:
        return ""
    alone = " one" if len(plots) == 1 else ""
    return f'<div class="grid{alone}">{"".join(plots)}</div>'


def _ttft_plot(record: Record, load: Load) -> Plot | None:
    mine = load.trusted or load.candidate
    values = data.pooled("ttft", mine)
    points = data.ecdf(values, MS)
    if not points:
        return None
    curves = [
        Curve(
            data.ecdf(data.pooled("ttft", [r]), MS, data.ROUND_POINTS),
            "line thin",
            f"round {r.index}",
        )
        for r in data.evenly(mine)
        if len(mine) > 1
    ]
    if load.stable:
        other = data.ecdf(data.pooled("ttft", load.stable), MS)
        curves.append(Curve(other, "line stable", "stable release"))
    curves.append(Curve(points, "line data", f"{len(values)} requests"))
    marks = []
    for item, metric in marks_of(record, "ttft", load.name, MS):
        at = metric.quantile
        if at is None and item.measured is not None:
            at = data.share_at(values, item.measured / MS)
        marks.append(
            Mark(item.label, item.limit, item.kind, item.low, item.high, item.measured, at)
        )
    seen = [points[-1][0]] + [v for m in marks for v in (m.measured, m.high) if v is not None]
    reach = max(seen)
    # a far limit would press the curve flat: it is then named at the edge
    reach = max([reach, *(m.limit for m in marks if m.limit <= 2.5 * reach)])
    x = Axis(0.0, reach * 1.05)
    p50, p95 = (data.spot("ttft", q, mine, MS) for q in (0.5, 0.95))
    limits = "; ".join(f"target {m.label}: {m.kind}" for m in marks) or "no target"
    return Plot(
        title=load_name(load),
        alt=f"TTFT at {load.name}: half within {number(p50)} ms, 95 % within {number(p95)} ms; "
        f"{limits}",
        x=x,
        y=Axis(0.0, 1.0),
        x_name="ms to the first token",
        y_name="share of requests",
        curves=curves,
        y_text=lambda v: f"{v * 100:.0f} %",
        upright=marks,
        height=200,
        note=f"median {number(p50)} ms, p95 {number(p95)} ms, {len(values):,} requests",
    )


def load_name(load: Load) -> str:
    return f"{load.name}: {load.words}" if load.words else load.name


def throughput(record: Record, loads: Sequence[Load]) -> str:
    """Tokens a second over the time of a round, with its steady window."""
    plots = [draw(p) for load in loads if (p := _flow_plot(record, load)) is not None]
    lead = (
        "Output tokens a second from the first measured request of a round to its last, after the "
        "warm-up. Only the tinted steady window counts: before it the load builds up, after it "
        "slots fall empty." + keys(("data", "mean of the rounds"), ("thin", "each round"))
    )
    return section("throughput", "Throughput over time", lead, grid(plots))


def _flow_plot(record: Record, load: Load) -> Plot | None:
    mine = load.trusted or load.candidate
    width = data.bin_width(mine)
    flows = [(r, f) for r in mine if (f := data.flow(r, width)) is not None]
    if not flows:
        return None
    shown = {r.index for r in data.evenly([r for r, _ in flows])}
    curves = [
        Curve(f.points(), "line thin", f"round {r.index}")
        for r, f in flows
        if r.index in shown and len(flows) > 1
    ]
    mean = data.average([f for _, f in flows])
    curves.append(Curve(mean, "line data", "mean of the rounds"))
    window = (
        data.middle([f.window[0] for _, f in flows]),
        data.middle([f.window[1] for _, f in flows]),
    )
    marks = [m for m, _ in marks_of(record, "output_throughput", load.name, 1.0)]
    tops = [y for c in curves for _, y in c.points] + [m.limit for m in marks]
    lasts = max(f.span for _, f in flows)
    return Plot(
        title=load_name(load),
        alt=f"Output throughput at {load.name} over {number(lasts)} s of a round; steady from "
        f"{number(window[0])} s to {number(window[1])} s"
        + "".join(f"; target {m.label}: {m.kind}" for m in marks),
        x=Axis(0.0, lasts),
        y=axis(tops),
        x_name="seconds since the round's first request",
        y_name="tok/s",
        curves=curves,
        shade=(*window, "steady"),
        level=marks,
        height=170,
    )
