"""Words and pieces of HTML for the report: everything that comes from a record is escaped."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from tasks.record.parts import TargetJudged
from tasks.spec.measure import EXAM_METRIC
from tasks.spec.metrics import parse_metric

UNITS = {"tok_s": "tok/s", "req_s": "req/s", "percent": "%", "ratio": ""}
_NAMES = {
    "ttft": "TTFT",
    "tpot": "TPOT",
    "itl": "ITL",
    "latency": "Latency",
    "output_throughput": "Output throughput",
    "total_throughput": "Total throughput",
    "request_throughput": "Request throughput",
    "success_rate": "Success rate",
    "goodput": "Goodput",
}
# A mark besides the colour, for those who do not see the colour.
_UNFIT = re.compile(
    "[^\\t\\n\\x20-\\x7e\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]|[\\u202a-\\u202e\\u2066-\\u2069]"
)
MARKS = {"pass": "✓", "fail": "✕", "inconclusive": "?"}
NOTHING = "–"


def plain(value: object) -> str:
    """Text that HTML and XML can hold: no control characters, no half surrogates, nothing that
    turns the direction of the text around it."""
    return _UNFIT.sub("", str(value).encode("utf-8", "replace").decode("utf-8"))


def esc(value: object) -> str:
    """The value as text of an HTML document, also right inside a quoted attribute."""
    return html.escape(plain(value), quote=True)


def is_number(value: object) -> TypeGuard[float]:
    """A finite int or float; bool is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float holds
        return False


def number(value: object) -> str:
    """About three significant digits, thousands apart; a dash for what is no finite number."""
    if not is_number(value):
        return NOTHING
    amount = float(value)
    size = abs(amount)
    if size == 0:
        return "0"
    digits = 0 if size >= 99.95 else 1 if size >= 9.995 else 2 if size >= 0.9995 else 3
    if size < 0.01:
        return f"{amount:.3g}"
    text = f"{amount:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: object, unit: str) -> str:
    """A number with its unit, for people."""
    shown = UNITS.get(unit, unit)
    return f"{number(value)} {shown}".strip() if is_number(value) else NOTHING


def seconds(value: object) -> str:
    """A duration, such as `0.4 s`, `12 min 5 s`, `2 h 3 min`."""
    if not is_number(value):
        return NOTHING
    amount = max(0.0, float(value))
    if amount < 60:
        return f"{number(round(amount, 2))} s"
    minutes, rest = divmod(round(amount), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(value: object) -> str:
    """Bytes in binary units."""
    if not is_number(value):
        return NOTHING
    amount = float(value)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(amount) < 1024:
            return f"{number(amount)} {unit}"
        amount /= 1024
    return f"{number(amount)} TiB"


def metric_name(name: str) -> str:
    """`ttft_p95_ms` as `TTFT p95`; an unknown name stays as it is."""
    try:
        metric = parse_metric(name)
    except ValueError:
        return "Exam" if name == EXAM_METRIC else name
    if metric.quantile is not None:
        return f"{_NAMES[metric.kind]} p{metric.quantile * 100:g}"
    return f"{_NAMES[metric.kind]} {metric.statistic}".strip()


def target_name(target: TargetJudged) -> str:
    """A target with its load point, as text."""
    return metric_name(target.metric) + (f" at {target.load}" if target.load else "")


def limit_text(target: TargetJudged) -> str:
    """`≤ 800 ms`; a relative target says against what."""
    sign = "≤" if target.direction == "at_most" else "≥"
    text = f"{sign} {quantity(target.limit, target.unit)}"
    return f"{text} against stable" if target.versus_stable_percent is not None else text


def mark(word: object) -> str:
    """A verdict as a small badge: colour, sign and word."""
    text = str(word)
    kind = text if text in MARKS else "inconclusive"
    return f'<span class="mark {kind}"><b aria-hidden="true">{MARKS[kind]}</b> {esc(text)}</span>'


def section(ident: str, title: str, lead: str, body: str) -> str:
    """A part of the page; `lead` and `body` are HTML. Empty without a body."""
    if not body:
        return ""
    said = f'<p class="lead">{lead}</p>' if lead else ""
    return (
        f'<section aria-labelledby="{ident}"><h2 id="{ident}">{esc(title)}</h2>{said}{body}'
        "</section>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values (HTML); what is empty is left out."""
    rows = "".join(f"<div><dt>{esc(k)}</dt><dd>{v}</dd></div>" for k, v in pairs if v)
    return f'<dl class="facts">{rows}</dl>' if rows else ""


def table(
    caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> str:
    """A table whose rows become cards on a phone. Cells are HTML; `right`: columns of numbers.

    The roles are said once more because a table that is displayed as blocks loses them.
    """
    if not rows:
        return ""

    def side(column: int) -> str:
        return ' class="num"' if column in right else ""

    top = "".join(
        f'<th role="columnheader" scope="col"{side(i)}>{esc(head)}</th>'
        for i, head in enumerate(heads)
    )
    body = []
    for row in rows:
        first = f'<th role="rowheader" scope="row">{row[0]}</th>'
        rest = "".join(
            f'<td role="cell" data-label="{esc(heads[i])}"{side(i)}><div>{cell}</div></td>'
            for i, cell in enumerate(row[1:], 1)
        )
        body.append(f'<tr role="row">{first}{rest}</tr>')
    return (
        f'<table role="table"><caption>{esc(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{top}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody></table>'
    )


def bullets(lines: Sequence[object]) -> str:
    """A list of sentences, escaped."""
    return "<ul>" + "".join(f"<li>{esc(line)}</li>" for line in lines) + "</ul>" if lines else ""


def folded(title: str, body: str) -> str:
    """What only few want to see, behind a click."""
    return f"<details><summary>{esc(title)}</summary>{body}</details>" if body else ""


def dicts(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list; nothing where a record holds something else."""
    if not isinstance(value, list | tuple):
        return []
    return [item for item in value if isinstance(item, Mapping)]


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}
