"""The sections of the report that compare rounds and load points."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tasks.measure.round import Round
from tasks.record.record import Record
from tasks.report import points as data
from tasks.report.html import bullets, esc, folded, number, section, table
from tasks.report.measured import MS, grid, load_name, marks_of
from tasks.report.plots import Axis, Bar, Curve, Plot, axis, draw, nice_ticks
from tasks.report.points import Load

MOST_ROWS = 120
MOST_REASONS = 8


def against_load(loads: Sequence[Load]) -> str:
    """How the figures move with the load; empty for a single load point."""
    used = [load for load in loads if load.candidate]
    if len(used) < 2:
        return ""
    plots = [
        _times("TTFT", "ttft", used),
        _times("Time per output token", "tpot", used),
        _rates(used),
    ]
    lead = (
        "The line through all requests of a load point, and a dot for every round: what lies "
        "between the dots is noise, what lies between the load points is load."
    )
    return section("load", "Latency against load", lead, grid(plots))


def _category(loads: Sequence[Load]) -> tuple[Axis, list[tuple[float, str]]]:
    return (
        Axis(-0.35, len(loads) - 0.65),
        [(float(i), load.name) for i, load in enumerate(loads)],
    )


def _times(title: str, kind: str, loads: Sequence[Load]) -> str:
    x, ticks = _category(loads)
    curves, bars, said = [], [], []
    for q, css in ((0.5, "line soft"), (0.95, "line data")):
        found = [
            (float(i), value)
            for i, load in enumerate(loads)
            if (value := data.spot(kind, q, load.trusted or load.candidate, MS)) is not None
        ]
        label = f"p{q * 100:g}"
        curves.append(Curve(found, css, label, label))
        said.append(
            f"{label} " + ", ".join(f"{loads[int(a)].name} {number(b)} ms" for a, b in found)
        )
    for i, load in enumerate(loads):
        for item in data.evenly(load.candidate):
            value = data.spot(kind, 0.95, [item], MS)
            if value is not None:
                css = "small" if item in load.trusted else "small doubt"
                text = f"{load.name}, round {item.index}: p95 {number(value)} ms"
                bars.append(Bar(float(i), value, value, value, text, css))
    y = axis([b for c in curves for _, b in c.points] + [b.dot for b in bars])
    return draw(
        Plot(
            title,
            f"{title} against load: {'; '.join(said)}",
            x,
            y,
            "load point",
            "ms",
            curves,
            bars,
            ticks,
        )
    )


def _rates(loads: Sequence[Load]) -> str:
    x, ticks = _category(loads)
    means, bars = [], []
    for i, load in enumerate(loads):
        found = [(r, f.throughput) for r in load.candidate if (f := load.figures(r))]
        known = [(r, v) for r, v in found if v is not None]
        trusted = [v for r, v in known if r in load.trusted] or [v for _, v in known]
        if trusted:
            means.append((float(i), sum(trusted) / len(trusted)))
        for item, value in known:
            css = "small" if item in load.trusted else "small doubt"
            text = f"{load.name}, round {item.index}: {number(value)} tok/s"
            bars.append(Bar(float(i), value, value, value, text, css))
    said = ", ".join(f"{loads[int(a)].name} {number(b)} tok/s" for a, b in means)
    y = axis([b.dot for b in bars])
    curve = Curve(means, "line data", "mean of the rounds", "mean")
    return draw(
        Plot(
            "Output throughput",
            f"Output throughput against load: {said}",
            x,
            y,
            "load point",
            "tok/s",
            [curve],
            bars,
            ticks,
        )
    )


def rounds(record: Record, loads: Sequence[Load]) -> str:
    """The figures of every round, and how far rounds differ."""
    first = [draw(p) for load in loads if (p := _round_plot(record, load, "ttft")) is not None]
    second = [draw(p) for load in loads if (p := _round_plot(record, load, "rate")) is not None]
    if not loads:
        return ""
    lead = (
        "Each round asks fresh prompts. The differences between rounds are part of the bounds, so "
        "one lucky round cannot pass. Hollow rounds were not believed and do not count. "
        "The variation is the standard deviation as a share of the mean."
    )
    body = (
        (f"<h3>TTFT: mean, and the middle 90 %</h3>{grid(first)}" if first else "")
        + (f"<h3>Output throughput in the steady window</h3>{grid(second)}" if second else "")
        + folded("All rounds in figures", _round_table(loads))
    )
    return section("rounds", "Rounds", lead, body)


def failures(loads: Sequence[Load]) -> str:
    """Why requests failed, most frequent first; empty where none did."""
    rows = [row for load in loads for item in load.candidate for row in item.rows]
    why = Counter(row.error or "no reason kept" for row in rows if not row.ok)
    if not why:
        return ""
    failed = sum(why.values())
    lines = [f"{count:,} times: {reason}" for reason, count in why.most_common(MOST_REASONS)]
    left = len(why) - len(lines)
    if left > 0:
        lines.append(f"and {left} more reasons, which are in the measured rows")
    lead = f"{failed:,} of {len(rows):,} requests to the candidate failed."
    return section("failures", "Failed requests", lead, bullets(lines))


def _round_plot(record: Record, load: Load, what: str) -> Plot | None:
    bars: list[Bar] = []
    for item in load.candidate:
        f = load.figures(item)
        css = "" if item in load.trusted else "doubt"
        if what == "ttft" and f.ttft_mean is not None:
            low = f.ttft_p5 if f.ttft_p5 is not None else f.ttft_mean
            high = f.ttft_p95 if f.ttft_p95 is not None else f.ttft_mean
            text = (
                f"round {item.index}: mean {number(f.ttft_mean)} ms, {number(low)} … {number(high)}"
            )
            bars.append(Bar(float(item.index), low, high, f.ttft_mean, text, css))
        elif what == "rate" and f.throughput is not None:
            value, text = f.throughput, f"round {item.index}: {number(f.throughput)} tok/s"
            bars.append(Bar(float(item.index), value, value, value, text, css))
    if not bars:
        return None
    kind, stat = ("ttft", "mean") if what == "ttft" else ("output_throughput", "")
    factor, unit = (MS, "ms") if what == "ttft" else (1.0, "tok/s")
    marks = [
        m for m, metric in marks_of(record, kind, load.name, factor) if metric.statistic == stat
    ]
    values = [v for b in bars for v in (b.low, b.high)]
    near = [m.limit for m in marks if m.limit <= 2 * max(values)]
    known = [b.dot for b in bars if not b.css] or [b.dot for b in bars]
    mean = sum(known) / len(known)
    spread = math.sqrt(sum((v - mean) ** 2 for v in known) / max(1, len(known) - 1))
    share = f"{100 * spread / mean:.1f} %" if mean > 0 and len(known) > 1 else "unknown"
    indexes = [b.x for b in bars]
    x = Axis(min(indexes) - 0.5, max(indexes) + 0.5)
    whole = [t for t in nice_ticks(min(indexes) - 0.1, max(indexes) + 0.1, 6) if t == round(t)]
    return Plot(
        title=load_name(load),
        alt=f"{len(bars)} rounds at {load.name}: mean {number(mean)} {unit}, spread {share}",
        x=x,
        y=axis(values + near),
        x_name="round",
        y_name=unit,
        bars=bars,
        x_ticks=[(t, f"{t:.0f}") for t in whole],
        level=marks,
        height=150,
        note=f"mean {number(mean)} {unit}, the rounds vary by {share}",
    )


def _round_table(loads: Sequence[Load]) -> str:
    items = sorted(
        (
            (item.index, place, item.release, item, load.figures(item))
            for place, load in enumerate(loads)
            for item in (*load.candidate, *load.stable)
        ),
        key=lambda entry: entry[:3],
    )
    heads = (
        "Round", "Load", "Release", "Answered", "TTFT mean ms", "TTFT p95 ms", "TPOT mean ms",
        "tok/s", "Server's TTFT ms", "Client CPU", "Client lag ms", "Seed",
    )  # fmt: skip
    rows = [_round_row(item, f) for *_, item, f in items[:MOST_ROWS]]
    body = table("Rounds", heads, rows, right=tuple(range(3, 12)))
    left = len(items) - len(rows)
    return body + (f'<p class="note">{left} more rounds are in the record.</p>' if left > 0 else "")


def _round_row(item: Round, f: data.RoundFigures) -> list[str]:
    server = item.server.ttft_mean_s
    client = item.client
    cells: list[object] = [
        item.index,
        item.load,
        item.release,
        f"{sum(row.ok for row in item.rows)} of {len(item.rows)}",
        *(number(v) for v in (f.ttft_mean, f.ttft_p95, f.tpot_mean, f.throughput)),
        number(server * MS if server is not None else None),
        f"{100 * client.cpu_share:.0f} %" if client.cpu_share is not None else "–",
        number(client.lag_p99_s * MS if client.lag_p99_s is not None else None),
        item.seed,
    ]
    return [esc(cell) for cell in cells]
