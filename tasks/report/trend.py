"""The section of the report that sets the figures beside those of the last releases."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.record.parts import Earlier, TargetJudged
from tasks.record.record import Record
from tasks.report.figures.plots import Axis, Bar, Mark, Plot, axis, draw, near
from tasks.report.html import (
    NOTHING,
    UNITS,
    badge,
    bounds_text,
    esc,
    is_number,
    limit_text,
    outcome_of,
    quantity,
    section,
    table,
    target_name,
)
from tasks.report.measured import grid, implied, urgency
from tasks.report.words.speech import t, ts

MOST = 6  # targets: more would fill a page of their own


def trend(record: Record) -> str:
    """The binding targets of this rollout over the last ones of the model; empty where there were
    none."""
    judged = [item for item in sorted(record.targets, key=urgency) if not implied(item, record)]
    own = [item for item in judged if _shown(item)][:MOST]
    past = [item for item in record.earlier if item.rollout != record.rollout]
    now = Earlier(
        rollout=record.rollout,
        finished=record.finished,
        outcome=record.outcome,
        deployment=record.deployment,
        commit=record.resolve_model.commit if record.resolve_model else "",
        targets=own,
    )
    if not own or not any(_same(item, one) for one in past for item in own):
        return ""
    every = [now, *past]  # newest first
    plots = [_plot(item, every) for item in own]
    heads = [*ts("Rollout", "Ended", "Outcome"), *(target_name(item) for item in own)]
    rows = [_row(place, one, own) for place, one in enumerate(every)]
    lead = t(
        "What the rollouts before this one measured, from the history that the cluster keeps, by "
        "the targets that bind now. The dot is what was measured, the bar its bounds. Nodes, image "
        "and load may have been others."
    )
    body = grid(plots) + table(
        t("The last rollouts of this model"), heads, rows, right=range(3, 3 + len(own))
    )
    return section("trend", t("Over the last releases"), lead, body)


def _shown(item: TargetJudged) -> bool:
    """A figure that can be set beside others: what is relative has another stable each time."""
    return not item.advisory and is_number(item.measured) and item.versus_stable_percent is None


def _same(item: TargetJudged, one: Earlier) -> TargetJudged | None:
    """The figure of another rollout for a target; None where it has none."""
    return next(
        (
            other
            for other in one.targets
            if (other.metric, other.load, other.unit) == (item.metric, item.load, item.unit)
            and _shown(other)
        ),
        None,
    )


def _place(back: int) -> str:
    """`now`, or how many rollouts before."""
    return f"−{back}" if back else t("now")


def _plot(item: TargetJudged, every: Sequence[Earlier]) -> str:
    bars, values = [], []
    for back, one in enumerate(every):
        found = _same(item, one)
        if found is None or found.measured is None:
            continue
        low, high = (end if end is not None else found.measured for end in (found.low, found.high))
        said = t(
            "{when}: {value}, bounds {bounds}, {verdict}",
            when=_place(back),
            value=quantity(found.measured, found.unit),
            bounds=bounds_text(found.low, found.high, found.unit),
            verdict=t(found.verdict),
        )
        bars.append(Bar(-float(back), low, high, found.measured, said, found.verdict))
        values += [found.measured, *near([low, high], [found.measured])]
    limit = item.limit if is_number(item.limit) else None
    level = [Mark(limit_text(item), limit, item.verdict)] if limit is not None else []
    unit = UNITS.get(item.unit, item.unit)
    return draw(
        Plot(
            title=target_name(item),
            alt=t(
                "{figure} over the last releases: {values}",
                figure=target_name(item),
                values="; ".join(bar.title for bar in bars),
            ),
            x=Axis(0.5 - len(every), 0.5),
            y=axis([*values, *near([mark.limit for mark in level], values)]),
            y_name=unit,
            bars=bars,
            x_ticks=[(-float(back), _place(back)) for back in range(len(every))],
            level=level,
            height=130,
        )
    )


def _row(back: int, one: Earlier, own: Sequence[TargetJudged]) -> list[str]:
    word, look, _ = outcome_of(one.outcome)
    kind = {"good": "pass", "bad": "fail"}.get(look, "inconclusive")
    name = one.deployment or one.commit[:12] or one.rollout or NOTHING
    cells = []
    for item in own:
        found = _same(item, one)
        cells.append(esc(quantity(found.measured, found.unit) if found else NOTHING))
    ended = one.finished[:16].replace("T", " ") or NOTHING
    return [
        f"{esc(name)} <small>{esc(_place(back))}</small>",
        esc(ended),
        badge(kind, word),
        *cells,
    ]
