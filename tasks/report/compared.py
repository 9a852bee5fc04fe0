"""The sections of the report that compare rounds and load points."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from tasks.measure.round import Round
from tasks.record.record import Record
from tasks.report.figures import points as data
from tasks.report.figures.plots import Axis, Bar, Curve, Plot, axis, draw, near, nice_ticks
from tasks.report.figures.points import Load
from tasks.report.frontier import frontier
from tasks.report.html import NOTHING, esc, folded, listed, number, section, table, theirs
from tasks.report.measured import MS, grid, left_out, load_name, marks_of
from tasks.report.words.speech import t, tn, ts
from tasks.verdict.rounds import believable

MOST_ROWS = 120
MOST_REASONS = 8


def against_load(record: Record, loads: Sequence[Load]) -> str:
    """How the figures move with the load; empty for a single load point."""
    used = [load for load in loads if load.candidate]
    if len(used) < 2:
        return ""
    plots = [
        _times("TTFT", "ttft", used),
        _times(t("Time per output token"), "tpot", used),
        _rates(used),
    ]
    lead = t(
        "The line through all requests of a load point, and a dot for every round: what lies "
        "between the dots is noise, what lies between the load points is load. Hollow rounds do "
        "not count."
    )
    return section("load", t("Latency against load"), lead, grid(plots) + frontier(record, used))


def _category(loads: Sequence[Load]) -> tuple[Axis, list[tuple[float, str]]]:
    return (
        Axis(-0.35, len(loads) - 0.65),
        [(float(i), load.name) for i, load in enumerate(loads)],
    )


def _dots(
    place: int, load: Load, rounds: Sequence[Round], of: Callable[[Round], float | None], unit: str
) -> list[Bar]:
    """A dot for each round of a load point that has the figure."""
    out = []
    for item in rounds:
        if (value := of(item)) is not None:
            css = "small" if item in load.trusted else "small doubt"
            text = t(
                "{load}, round {n}: {value} {unit}",
                load=load.name,
                n=data.ordinal(item),
                value=number(value),
                unit=unit,
            )
            out.append(Bar(float(place), value, value, value, text, css))
    return out


def _times(title: str, kind: str, loads: Sequence[Load]) -> str:
    curves, bars, said = [], [], []
    for q, css in ((0.5, "line soft"), (0.95, "line data")):
        found = [
            (float(i), value)
            for i, load in enumerate(loads)
            if (value := data.spot(kind, q, load.counted, MS)) is not None
        ]
        label = f"p{q * 100:g}"
        curves.append(Curve(found, css, label, label))
        said.append(
            f"{label} " + ", ".join(f"{loads[int(a)].name} {number(b)} ms" for a, b in found)
        )
    for i, load in enumerate(loads):
        bars += _dots(
            i,
            load,
            data.evenly(load.candidate),
            lambda item: data.spot(kind, 0.95, [item], MS),
            "ms (p95)",
        )
    return _by_load(title, "ms", "; ".join(said), loads, curves, bars)


def _rates(loads: Sequence[Load]) -> str:
    means, bars = [], []
    for i, load in enumerate(loads):
        known = [v for r in load.counted if (v := load.figures(r).throughput) is not None]
        if known:
            means.append((float(i), sum(known) / len(known)))
        bars += _dots(
            i,
            load,
            load.candidate,
            lambda item, at=load: at.figures(item).throughput,  # type: ignore[misc]
            "tok/s",
        )
    said = ", ".join(f"{loads[int(a)].name} {number(b)} tok/s" for a, b in means)
    curve = Curve(means, "line data", t("mean of the rounds"), t("mean"))
    return _by_load(t("Output throughput"), "tok/s", said, loads, [curve], bars)


def _by_load(
    title: str,
    unit: str,
    said: str,
    loads: Sequence[Load],
    curves: Sequence[Curve],
    bars: Sequence[Bar],
) -> str:
    x, ticks = _category(loads)
    return draw(
        Plot(
            title,
            t("{figure} against load: {values}", figure=title, values=said),
            x,
            axis([b for c in curves for _, b in c.points] + [b.dot for b in bars]),
            x_name=t("load point"),
            y_name=unit,
            curves=curves,
            bars=bars,
            x_ticks=ticks,
        )
    )


def rounds(record: Record, loads: Sequence[Load]) -> str:
    """The figures of every round, and how far rounds differ."""
    if not loads:
        return ""
    parts = [
        (title, [draw(p) for load in loads if (p := _round_plot(record, load, what)) is not None])
        for title, what in (
            (t("TTFT: mean, and the middle 90 %"), "ttft"),
            (t("Output throughput in the steady window"), "rate"),
        )
    ]
    lead = t(
        "Each round asks fresh prompts. The differences between rounds are part of the bounds, so "
        "one lucky round cannot pass. Hollow rounds were not believed and do not count. "
        "The variation is the standard deviation as a share of the mean."
    )
    drawn = [f"<h3>{esc(title)}</h3>{grid(plots)}" for title, plots in parts if plots]
    if len(loads) == 1:  # two figures alone share the width
        drawn = [f'<div class="grid">{"".join(f"<div>{part}</div>" for part in drawn)}</div>']
    body = "".join(drawn) + folded(t("All rounds in figures"), _round_table(loads))
    return section("rounds", t("Rounds"), lead, body)


def failures(loads: Sequence[Load]) -> str:
    """Why requests failed, most frequent first; empty where none did."""
    rows = [row for load in loads for item in load.candidate for row in item.rows]
    why = Counter(row.error for row in rows if not row.ok)
    if not why:
        return ""
    lines = [
        tn(
            count,
            "{n} time: {reason}",
            "{n} times: {reason}",
            reason=theirs(reason) if reason else esc(t("no reason kept")),
        )
        for reason, count in why.most_common(MOST_REASONS)
    ]
    if (left := len(why) - len(lines)) > 0:
        lines.append(
            tn(
                left,
                "and {n} more reason, which is in the measured rows",
                "and {n} more reasons, which are in the measured rows",
            )
        )
    lead = t(
        "{failed} of {all} requests to the candidate failed; those of rounds that do not count "
        "are among them.",
        failed=f"{sum(why.values()):,}",
        all=f"{len(rows):,}",
    )
    return section("failures", t("Failed requests"), lead, listed(lines))


def _bar(load: Load, item: Round, what: str) -> Bar | None:
    """One round in the figure of all rounds; None where it has no such figure."""
    f, at = load.figures(item), float(data.ordinal(item))
    css = "" if item in load.trusted else "doubt"
    if what == "ttft" and f.ttft_mean is not None:
        low = f.ttft_p5 if f.ttft_p5 is not None else f.ttft_mean
        high = f.ttft_p95 if f.ttft_p95 is not None else f.ttft_mean
        text = t(
            "round {n}: mean {mean} ms, {low} … {high}",
            n=data.ordinal(item),
            mean=number(f.ttft_mean),
            low=number(low),
            high=number(high),
        )
        return Bar(at, low, high, f.ttft_mean, text, css)
    if what == "rate" and f.throughput is not None:
        text = t("round {n}: {value} tok/s", n=data.ordinal(item), value=number(f.throughput))
        return Bar(at, f.throughput, f.throughput, f.throughput, text, css)
    return None


def _round_plot(record: Record, load: Load, what: str) -> Plot | None:
    bars = [bar for item in load.candidate if (bar := _bar(load, item, what)) is not None]
    if not bars:
        return None
    kind, stat = ("ttft", "mean") if what == "ttft" else ("output_throughput", "")
    factor, unit = (MS, "ms") if what == "ttft" else (1.0, "tok/s")
    marks = [
        m for m, metric in marks_of(record, kind, load.name, factor) if metric.statistic == stat
    ]
    values = [v for b in bars for v in (b.low, b.high)]
    known = [b.dot for b in bars if not b.css] or [b.dot for b in bars]
    mean = sum(known) / len(known)
    spread = math.sqrt(sum((v - mean) ** 2 for v in known) / max(1, len(known) - 1))
    share = f"{100 * spread / mean:.1f} %" if mean > 0 and len(known) > 1 else t("unknown")
    first, last = min(b.x for b in bars), max(b.x for b in bars)
    whole = [v for v in nice_ticks(first - 0.1, last + 0.1, 6) if v == round(v)]
    amount = tn(len(bars), "{n} round", "{n} rounds")
    return Plot(
        title=load_name(load),
        alt=t(
            "{rounds} at {load}: mean {mean} {unit}, spread {share}",
            rounds=amount,
            load=load.name,
            mean=number(mean),
            unit=unit,
            share=share,
        ),
        x=Axis(first - 0.5, last + 0.5),
        y=axis([*values, *near([m.limit for m in marks], values)]),
        x_name=t("round"),
        y_name=unit,
        bars=bars,
        x_ticks=[(v, f"{v:.0f}") for v in whole],
        level=marks,
        height=150,
        note=t(
            "mean {mean} {unit}, the rounds vary by {share}{left}",
            mean=number(mean),
            unit=unit,
            share=share,
            left=left_out(load),
        ),
    )


def _round_table(loads: Sequence[Load]) -> str:
    items = sorted(
        (
            (item.index, place, item.release, item, load)
            for place, load in enumerate(loads)
            for item in (*load.candidate, *load.stable)
        ),
        key=lambda entry: entry[:3],
    )
    heads = ts(
        "Round", "Load", "Release", "Counts", "Answered", "TTFT mean ms", "TTFT p95 ms",
        "TPOT mean ms", "tok/s", "Server's TTFT ms", "Client CPU", "Client lag ms", "Seed",
    )  # fmt: skip
    rows = [_round_row(item, load) for *_, item, load in items[:MOST_ROWS]]
    body = table(t("Rounds"), heads, rows, right=tuple(range(4, 13)))
    left = len(items) - len(rows)
    more = tn(left, "{n} more round is in the record.", "{n} more rounds are in the record.")
    return body + (f'<p class="note">{more}</p>' if left > 0 else "")


def _round_row(item: Round, load: Load) -> list[str]:
    f, client = load.figures(item), item.client
    server = item.server.ttft_mean_s
    cells: list[object] = [
        data.ordinal(item),
        item.load,
        t(item.release),
        t("yes") if believable(item) else t("no"),
        t("{n} of {all}", n=sum(row.ok for row in item.rows), all=len(item.rows)),
        *(number(v) for v in (f.ttft_mean, f.ttft_p95, f.tpot_mean, f.throughput)),
        number(server * MS if server is not None else None),
        f"{100 * client.cpu_share:.0f} %" if client.cpu_share is not None else NOTHING,
        number(client.lag_p99_s * MS if client.lag_p99_s is not None else None),
        item.seed,
    ]
    return [esc(cell) for cell in cells]
