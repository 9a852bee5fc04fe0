"""The report of one rollout: one page that needs no network, no script and no other file.

What is on it comes from the record and the rounds alone, and is escaped: a model's answer may
hold anything. A policy in the page forbids scripts and requests besides.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from datetime import datetime
from textwrap import dedent

from tasks.measure.round import Round
from tasks.record.outcome import ENDINGS
from tasks.record.parts import ResolveModel, TargetJudged
from tasks.record.record import Record
from tasks.report import compared, measured
from tasks.report import facts as told
from tasks.report import points as data
from tasks.report.html import (
    dicts,
    esc,
    is_number,
    limit_text,
    mapping,
    number,
    quantity,
    seconds,
    target_name,
)
from tasks.report.style import CSS

FILE = "report.html"
LONG = 240
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(record: Record, rounds: Sequence[Round]) -> str:
    """The whole page as HTML text (UTF-8, below 1 MB for 20,000 requests).

    record: of a rollout that ended in any way; missing
    parts leave out their section. rounds: what was measured, empty where nothing was.
    """
    bench = mapping(record.spec.get("benchmark"))
    loads = data.loads(rounds, dicts(bench.get("loads")))
    title = f"{_outcome(record)[0]}: {record.name or '?'} {record.rollout}".strip()
    body = "".join(
        [
            measured.targets(record),
            measured.ttft(record, loads),
            compared.against_load(loads),
            measured.throughput(record, loads),
            compared.rounds(record, loads),
            compared.failures(loads),
            told.problems(record, rounds),
            told.soak(record),
            told.exam(record),
            told.smoke(record),
            told.steps(record),
            told.what(record),
            told.nodes(record),
            told.plan(record),
            told.gate(record),
            told.origins(record),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        f"<style>{CSS}</style></head><body>{_head(record, rounds)}<main>{body}</main>"
        f"{_foot(record)}</body></html>\n"
    )


def _outcome(record: Record) -> tuple[str, str, str]:
    kind = record.outcome or "under way"
    known = next((end for name, end in ENDINGS.items() if name == kind), None)
    return (known.heading, known.look, known.sign) if known else (kind, "open", "?")


def headline(record: Record) -> str:
    """The verdict in one sentence for a person, from the targets where they decided it."""
    outcome, first = record.outcome, _first_line(record)
    binding = [item for item in record.targets if not item.advisory]
    missed = [item for item in binding if item.verdict == "fail"]
    undecided = [item for item in binding if item.verdict not in ("pass", "fail")]
    release = record.deployment or "the candidate"
    if outcome in ("promoted", "held") and binding and len(missed) + len(undecided) == 0:
        every = "the one target" if len(binding) == 1 else f"all {len(binding)} targets"
        then = "was promoted" if outcome == "promoted" else "waits for a person"
        return f"{release} met {every} and {then}."
    if outcome == "failed" and missed:
        return f"{release} was not promoted: {_some(missed, 'misses')}."
    if outcome in ("inconclusive", "held") and undecided and not missed:
        waits = " and waits for a person" if outcome == "held" else ""
        said = _some(undecided, "may or may not meet")
        return f"{release} was not promoted{waits}: {said}."
    return first if len(first) <= LONG else f"{first[:LONG].rstrip()}…"


def _some(targets: Sequence[TargetJudged], verb: str) -> str:
    item, more = targets[0], len(targets) - 1
    measured = quantity(item.measured, item.unit) if is_number(item.measured) else "no data"
    others = f", and {more} other target{'s' if more > 1 else ''} likewise" if more else ""
    return f"{target_name(item)}, {measured}, {verb} its limit of {limit_text(item)}{others}"


def _first_line(record: Record) -> str:
    sentence = record.sentence or "This rollout has no outcome yet."
    return sentence.partition("\n")[0].strip()


def _details(record: Record, shown: str) -> str:
    """What the record's own sentence says beyond the headline: text, then log lines."""
    first = _first_line(record)
    rest = dedent(record.sentence.partition("\n")[2]).rstrip()
    new = first != shown and record.outcome != "promoted"
    said = f'<p class="soft">{esc(first)}</p>' if new else ""
    return said + (f"<pre>{esc(rest)}</pre>" if rest.strip() else "") + _logs(record)


def _logs(record: Record) -> str:
    """Where the containers' whole logs lie: beside this page, as keep_log puts them."""
    names = [esc(posixpath.basename(path)) for path in record.logs]
    links = ", ".join(f'<a href="./logs/{name}">{name}</a>' for name in names if name)
    return f'<p class="soft">Whole logs: {links}</p>' if links else ""


def _head(record: Record, rounds: Sequence[Round]) -> str:
    word, look, sign = _outcome(record)
    shown = headline(record)
    long = ' class="long"' if len(shown) > LONG / 2 else ""
    what = record.resolve_model or ResolveModel()
    commit = what.commit[:12]
    parts = [
        what.model,
        f"commit {commit}" if commit else "",
        what.deployment,
        f"in namespace {record.namespace}" if record.namespace else "",
        _when(record.started),
    ]
    line = " · ".join(esc(part) for part in parts if part)
    note = record.benchmark.note if record.benchmark else ""
    warnings = "".join(
        f'<p class="warn">{esc(text)}</p>'
        for text in (record.leftover, record.mirror_error, note, *_unread(record))
        if text
    )
    return (
        f'<header><p class="verdict {look}"><span aria-hidden="true">{sign}</span> {esc(word)}</p>'
        f'<h1{long}>{esc(shown)}</h1><p class="soft">{line}</p>{warnings}'
        f"{_details(record, shown)}"
        f"{told.tiles(_tiles(record, rounds))}</header>"
    )


def _unread(record: Record) -> list[str]:
    return [f"the record's part '{name}' could not be read" for name in record.unreadable]


def _tiles(record: Record, rounds: Sequence[Round]) -> list[tuple[str, str]]:
    binding = [item for item in record.targets if not item.advisory]
    out = []
    if binding:
        met = sum(item.verdict == "pass" for item in binding)
        out.append(("targets met", f"{met} of {len(binding)}"))
    worst = _headline(binding)
    if worst is not None:
        out.append((target_name(worst), quantity(worst.measured, worst.unit)))
    mine = [item for item in rounds if item.release == "candidate"]
    requests = sum(len(item.rows) for item in mine)
    if requests:
        count = len({item.index for item in mine})
        plural = "s" if count != 1 else ""
        out.append((f"requests in {count} round{plural}", f"{requests:,}"))
    nodes = record.validate_nodes.nodes if record.validate_nodes else []
    if nodes:
        usable = sum(item.usable for item in nodes)
        out.append(("nodes usable", f"{usable} of {len(nodes)}"))
    spans = [s.seconds for s in record.steps if is_number(s.seconds)]
    if spans:
        out.append(("in all", seconds(sum(spans))))
    return out


def _headline(targets: Sequence[TargetJudged]) -> TargetJudged | None:
    """The target to show first: one that failed, then one that is open, then TTFT."""
    known = [item for item in targets if is_number(item.measured)]
    order = {"fail": 0, "inconclusive": 1}
    known.sort(
        key=lambda item: (
            order.get(item.verdict, 2),
            not item.metric.startswith("ttft"),
        )
    )
    return known[0] if known else None


def _when(value: object) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)):%d %B %Y, %H:%M %Z}".strip()
    except ValueError:
        return ""


def _foot(record: Record) -> str:
    code = record.exit_code
    said = f", exit status {number(code)}" if is_number(code) else ""
    return f"<footer><p>model-rollout, rollout {esc(record.rollout or '?')}{said}</p></footer>"
