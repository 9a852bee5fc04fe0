"""Words and pieces of HTML for the report: everything that comes from a record is escaped."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from tasks.record.outcome import ENDINGS
from tasks.record.parts import TargetJudged
from tasks.report.words.speech import language, t
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


def bounds_text(low: object, high: object, unit: str = "") -> str:
    """`700 … 912 ms`; an open end is said in words."""
    if is_number(low) and is_number(high):
        return f"{number(low)} … {quantity(high, unit)}"
    if is_number(low):
        return t("at least {value}, no upper bound yet", value=quantity(low, unit))
    if is_number(high):
        return t("at most {value}, no lower bound yet", value=quantity(high, unit))
    return t("no bounds yet")


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
        return t("Exam") if name == EXAM_METRIC else name
    kind = t(_NAMES[metric.kind])
    if metric.quantile is not None:
        return f"{kind} p{metric.quantile * 100:g}"
    return f"{kind} {t('mean')}" if metric.statistic else kind


def target_name(target: TargetJudged) -> str:
    """A target with its load point, as text."""
    name = metric_name(target.metric)
    return t("{metric} at {load}", metric=name, load=target.load) if target.load else name


def limit_text(target: TargetJudged) -> str:
    """`≤ 800 ms`; a relative target says against what."""
    sign = "≤" if target.direction == "at_most" else "≥"
    text = f"{sign} {quantity(target.limit, target.unit)}"
    if target.versus_stable_percent is None:
        return text
    return t("{limit} against stable", limit=text)


def outcome_of(kind: str) -> tuple[str, str, str]:
    """(heading, look, sign) of a kind of outcome; '' for a rollout under way."""
    known = next((end for name, end in ENDINGS.items() if name == kind), None)
    if known is None:
        return t(kind or "under way"), "open", "?"
    return t(known.heading), known.look, known.sign


def mark(word: object) -> str:
    """A verdict as a small badge: colour, sign and word."""
    text = str(word)
    kind = text if text in MARKS else "inconclusive"
    return badge(kind, t(text))


def badge(kind: str, text: str) -> str:
    """A badge that looks like the verdict `kind` and says something else."""
    return f'<span class="mark {kind}"><b aria-hidden="true">{MARKS[kind]}</b> {esc(text)}</span>'


def theirs(text: object) -> str:
    """English that the record brings along, escaped; on a page of another language it is marked,
    so that it is read and broken into lines as English."""
    shown = esc(text)
    return shown if language() == "en" or not shown else f'<span lang="en">{shown}</span>'


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
    """A list of sentences of the record, escaped."""
    return listed([theirs(line) for line in lines])


def listed(lines: Sequence[str]) -> str:
    """A list; its lines are HTML."""
    return "<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>" if lines else ""


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
