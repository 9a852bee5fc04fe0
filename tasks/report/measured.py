"""The sections of the report that show what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tasks.record.parts import TargetJudged
from tasks.record.record import Record
from tasks.report.figures import points as data
from tasks.report.figures.bars import interval
from tasks.report.figures.plots import (
    Axis,
    Curve,
    Mark,
    Plot,
    axis,
    draw,
    near,
    spread_axis,
    target_text,
)
from tasks.report.figures.points import Load
from tasks.report.html import (
    NOTHING,
    UNITS,
    bounds_text,
    dicts,
    esc,
    is_number,
    limit_text,
    listed,
    mark,
    metric_name,
    number,
    section,
    table,
    target_name,
    theirs,
)
from tasks.report.words.speech import t, tn, ts
from tasks.spec.measure import EXAM_METRIC
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
    found = sorted(record.targets, key=urgency)
    rows = [_row(item, record) for item in found]
    if not rows:
        return ""
    reasons = [_reason(item) for item in found if item.verdict != "pass"]
    heads = ts("Target", "Load", "Limit", "Measured", "Bounds against the limit", "Verdict")
    lead = t(
        "A target is met when its whole interval lies on the green side of the limit, and missed "
        "when all of it lies beyond. The dot is what was measured; the line is where the truth "
        "lies, at {confidence} % confidence over the whole rollout.",
        confidence=f"{record.confidence_percent:g}",
    )
    body = table(t("Targets, their bounds and verdicts"), heads, rows, right=(2, 3))
    return section("targets", t("Targets"), lead, body + listed(reasons))


def _row(item: TargetJudged, record: Record) -> list[str]:
    limit, unit, drawn = _float(item.limit), item.unit, ""
    low, high = bounds_of(item)
    bounds = bounds_text(low, high, unit)
    measured = number(item.measured) if is_number(item.measured) else t("no data")
    if limit is not None:
        alt = t(
            "{target}: limit {limit}, measured {value}, bounds {bounds}, {verdict}",
            target=target_name(item),
            limit=limit_text(item),
            value=measured,
            bounds=bounds,
            verdict=t(item.verdict),
        )
        point = Mark("", limit, item.verdict, low, high, _float(item.measured))
        absolute = item.versus_stable_percent is None
        most = {"percent": 100.0, "ratio": 1.0}.get(unit, math.inf) if absolute else math.inf
        drawn = interval(point, at_most=item.direction == "at_most", alt=alt, most=most)
    if implied(item, record):
        # judged by the requests themselves: none may fail, whatever the interval says
        drawn, bounds = "", t("no target allows a request to fail")
    note = f"<small>{t('advisory: never blocks')}</small>" if item.advisory else ""
    return [
        f"{esc(metric_name(item.metric))} {note}",
        esc(item.load or NOTHING),
        esc(limit_text(item)),
        f"<b>{esc(measured)}</b>{_from(item)}",
        f'<div class="bar">{drawn}<small>{esc(bounds)}</small></div>',
        mark(item.verdict),
    ]


def bounds_of(item: TargetJudged) -> tuple[float | None, float | None]:
    """Low and high, None where open: nothing falls by more than 100 %, so that says nothing."""
    low, high = _float(item.low), _float(item.high)
    if item.versus_stable_percent is not None and low is not None and low <= -100:
        low = None
    return low, high


def _from(item: TargetJudged) -> str:
    """On how much a figure rests: what did not count is not in it."""
    if not item.n_requests or item.metric == EXAM_METRIC:
        return ""
    said = tn(item.n_requests, "{n} request counted", "{n} requests counted")
    return f'<small class="of">{esc(said)}</small>'


def urgency(target: TargetJudged) -> int:
    """0: missed, 1: open, 2: met, 3: advisory."""
    if target.advisory:
        return 3
    return {"fail": 0, "pass": 2}.get(target.verdict, 1)


def implied(target: TargetJudged, record: Record) -> bool:
    """Whether the judge added this target: without one on the success rate no request may fail."""
    named = dicts(record.spec.get("targets"))
    return (
        target.metric == IMPLIED
        and target.limit == 100
        and not any(item.get("metric") == IMPLIED for item in named)
    )


def _reason(target: TargetJudged) -> str:
    """Why a target is not met, as HTML."""
    text = target.reason.replace("tok_s", UNITS["tok_s"])
    said = theirs(text) if text else esc(t("no reason given"))
    more = target.requests_more
    ask = t("; about {n} requests more would decide", n=number(more)) if is_number(more) else ""
    return t("{what}: {text}", what=esc(target_name(target)), text=said) + esc(ask)


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
        label = f"{t(stat)} {limit_text(item)}".strip()
        word = item.verdict
        word = word if word in ("pass", "fail") else "inconclusive"
        point = Mark(label, to(limit) or 0.0, word, to(item.low), to(item.high), to(item.measured))
        out.append((point, metric))
    return out


def ttft(record: Record, loads: Sequence[Load]) -> str:
    """The distribution of TTFT at each load point."""
    lead = t("How many requests had their first token within a time.")
    return _spread("ttft", t("Time to first token"), lead, record, loads)


def tpot(record: Record, loads: Sequence[Load]) -> str:
    """The distribution of TPOT at each load point."""
    lead = t("How many requests had their tokens, after the first, at least that fast on average.")
    return _spread("tpot", t("Time per output token"), lead, record, loads)


def _spread(kind: str, title: str, lead: str, record: Record, loads: Sequence[Load]) -> str:
    plots = [draw(p) for load in loads if (p := _spread_plot(record, load, kind)) is not None]
    other = any(load.stable for load in loads)
    said = t(
        "A dot on the curve is a target's figure, and the line through it its bounds. Rounds that "
        "do not count are left out."
    )
    lines = keys(
        ("data", t("all rounds")),
        ("thin", t("each round")),
        *((("stable", t("stable release")),) if other else ()),
        ("dash", t("limit of a target")),
    )
    text = t("{first} {second}", first=lead, second=said)
    return section(kind, title, text + lines, grid(plots))


def keys(*pairs: tuple[str, str]) -> str:
    """What the lines of the plots below mean: (look, meaning)."""
    marks = "".join(f'<span class="key {css}">{esc(text)}</span> ' for css, text in pairs)
    return f'<span class="keys">{marks}</span>'


def grid(plots: Sequence[str]) -> str:
    """Figures side by side where there is room; one alone takes all of it."""
    if not plots:
        return ""
    alone = " one" if len(plots) == 1 else ""
    return f'<div class="grid{alone}">{"".join(plots)}</div>'


def _spread_plot(record: Record, load: Load, kind: str) -> Plot | None:
    mine = load.counted
    values = data.pooled(kind, mine)
    points = data.ecdf(values, MS)
    if not points:
        return None
    curves = [
        Curve(
            data.ecdf(data.pooled(kind, [r]), MS, data.ROUND_POINTS),
            "line thin",
            t("round {n}", n=data.ordinal(r)),
        )
        for r in data.evenly(mine)
        if len(mine) > 1
    ]
    if load.stable:
        other = data.ecdf(data.pooled(kind, load.stable), MS)
        curves.append(Curve(other, "line stable", t("stable release")))
    amount = tn(len(values), "{n} request", "{n} requests")
    curves.append(Curve(points, "line data", amount))
    marks = []
    for item, metric in marks_of(record, kind, load.name, MS):
        at = metric.quantile
        if at is None and item.measured is not None:
            at = data.share_at(values, item.measured / MS)
        marks.append(
            Mark(item.label, item.limit, item.kind, item.low, item.high, item.measured, at)
        )
    # what is far, a bound too, runs to the edge: it would press the curve flat
    seen = [points[-1][0], *(m.measured for m in marks if m.measured is not None)]
    seen += near([m.high for m in marks if m.high is not None], seen)
    limits = near([m.limit for m in marks], [points[-1][0]])
    p50, p95 = (data.spot(kind, q, mine, MS) for q in (0.5, 0.95))
    middle, tail, name = number(p50), number(p95), kind.upper()
    alt = t(
        "{metric} at {load}: half within {p50} ms, 95 % within {p95} ms",
        metric=name,
        load=load.name,
        p50=middle,
        p95=tail,
    )
    said = t(
        "median {p50} ms, p95 {p95} ms, {requests}{left}",
        p50=middle,
        p95=tail,
        requests=amount,
        left=left_out(load),
    )
    return Plot(
        title=load_name(load),
        alt="; ".join([alt, *map(target_text, marks)]),
        x=spread_axis(points[0][0], max(seen), limits),
        y=Axis(0.0, 1.0),
        x_name=t("ms to the first token") if kind == "ttft" else t("ms for a token"),
        y_name=t("share of requests"),
        curves=curves,
        y_text=lambda v: f"{v * 100:.0f} %",
        upright=marks,
        height=200,
        note=said,
    )


def left_out(load: Load) -> str:
    """What of a load point's rounds does not count, for the note of a figure."""
    if not load.trusted:
        return t("; no round counts")
    bad = len(load.candidate) - len(load.trusted)
    return tn(bad, "; {n} round does not count", "; {n} rounds do not count") if bad else ""


def load_name(load: Load) -> str:
    """A load point with what it is in words."""
    return t("{what}: {text}", what=load.name, text=load.words) if load.words else load.name


def throughput(record: Record, loads: Sequence[Load]) -> str:
    """Tokens a second over the time of a round, with its steady window."""
    plots = [draw(p) for load in loads if (p := _flow_plot(record, load)) is not None]
    lead = t(
        "Output tokens a second from the first measured request of a round to its last, after the "
        "warm-up. Only the tinted steady window counts: before it the load builds up, after it "
        "slots fall empty."
    ) + keys(("data", t("mean of the rounds")), ("thin", t("each round")))
    return section("throughput", t("Throughput over time"), lead, grid(plots))


def _flow_plot(record: Record, load: Load) -> Plot | None:
    mine = load.counted
    width = data.bin_width(mine)
    flows = [(r, f) for r in mine if (f := data.flow(r, width)) is not None]
    if not flows:
        return None
    shown = {r.index for r in data.evenly([r for r, _ in flows])}
    curves = [
        Curve(f.points(), "line thin", t("round {n}", n=data.ordinal(r)))
        for r, f in flows
        if r.index in shown and len(flows) > 1
    ]
    mean = data.average([f for _, f in flows])
    curves.append(Curve(mean, "line data", t("mean of the rounds")))
    window = (
        data.middle([f.window[0] for _, f in flows]),
        data.middle([f.window[1] for _, f in flows]),
    )
    marks = [m for m, _ in marks_of(record, "output_throughput", load.name, 1.0)]
    tops = [y for c in curves for _, y in c.points]
    lasts = max(f.span for _, f in flows)
    alt = t(
        "Output throughput at {load} over {span} s of a round; steady from {start} s to {end} s",
        load=load.name,
        span=number(lasts),
        start=number(window[0]),
        end=number(window[1]),
    )
    return Plot(
        title=load_name(load),
        alt="; ".join([alt, *map(target_text, marks)]),
        x=Axis(0.0, lasts),
        y=axis([*tops, *near([m.limit for m in marks], tops)]),
        x_name=t("seconds since the round's first request"),
        y_name="tok/s",
        curves=curves,
        shade=(*window, t("steady")),
        level=marks,
        height=170,
    )
