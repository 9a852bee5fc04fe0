"""The report of one rollout: one page a language, that needs no network and no script.

What is on it comes from the record and the rounds alone, and is escaped: a model's answer may
hold anything. A policy in the page forbids scripts and requests besides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import dedent

from tasks.measure.round import Round
from tasks.record.parts import ResolveModel, TargetJudged
from tasks.record.record import Record
from tasks.report import compared, measured
from tasks.report import facts as told
from tasks.report.beside import against_stable
from tasks.report.figures import points as data
from tasks.report.html import (
    bounds_text,
    dicts,
    esc,
    is_number,
    limit_text,
    mapping,
    number,
    outcome_of,
    quantity,
    seconds,
    target_name,
    theirs,
)
from tasks.report.style import CSS
from tasks.report.trend import trend
from tasks.report.words.speech import LANGUAGES, NAMES, TAGS, PageLanguage, language, spoken, t, tn
from tasks.verdict.rounds import believable

FILE = "report.html"
FILES: Mapping[PageLanguage, str] = {"en": FILE, "zh": "report.zh.html"}
LONG = 240
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(record: Record, rounds: Sequence[Round], speech: PageLanguage = "en") -> str:
    """The whole page as HTML text (UTF-8, below 1 MB for 20,000 requests).

    record: of a rollout that ended in any way; missing
    parts leave out their section. rounds: what was measured, empty where nothing was. speech: the
    page's language; sentences of the record stay as they are.
    """
    with spoken(speech):
        return _page(record, rounds)


def _page(record: Record, rounds: Sequence[Round]) -> str:
    bench = mapping(record.spec.get("benchmark"))
    loads = data.loads(rounds, dicts(bench.get("loads")))
    title = f"{outcome_of(record.outcome)[0]}: {record.name or '?'} {record.rollout}".strip()
    body = "".join(
        [
            measured.targets(record),
            against_stable(record, loads),
            trend(record),
            measured.ttft(record, loads),
            measured.tpot(record, loads),
            compared.against_load(record, loads),
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
        f'<!DOCTYPE html>\n<html lang="{TAGS[language()]}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{esc(title)}</title>'
        f"<style>{CSS}</style></head><body>{_head(record, rounds)}<main>{body}</main>"
        f"{_foot(record)}</body></html>\n"
    )


def _languages() -> str:
    """The way to the page in the other languages, which lie beside this one."""
    links = "".join(
        f'<a href="./{FILES[one]}" lang="{TAGS[one]}" hreflang="{TAGS[one]}">{esc(NAMES[one])}</a>'
        for one in LANGUAGES
        if one != language()
    )
    return f'<nav class="languages" aria-label="{esc(t("Language"))}">{links}</nav>'


def headline(record: Record) -> str:
    """The verdict in one sentence for a person, from the targets where they decided it; else the
    record's own words."""
    return _headline(record) or _shortened(_first_line(record))


def _headline(record: Record) -> str:
    """'' where the targets did not decide it."""
    outcome = record.outcome
    binding = [item for item in record.targets if not item.advisory]
    missed = [item for item in binding if item.verdict == "fail"]
    undecided = [item for item in binding if item.verdict not in ("pass", "fail")]
    release = record.deployment or t("the candidate")
    if outcome in ("promoted", "held") and binding and not missed and not undecided:
        if outcome == "held":
            return tn(
                len(binding),
                "{release} met the one target and waits for a person.",
                "{release} met all {n} targets and waits for a person.",
                release=release,
            )
        return tn(
            len(binding),
            "{release} met the one target and was promoted.",
            "{release} met all {n} targets and was promoted.",
            release=release,
        )
    if outcome == "failed" and missed:
        said = t("{target}, {measured}, misses its limit of {limit}", **_named(missed[0]))
        return t("{release} was not promoted: {said}.", release=release, said=said + _more(missed))
    if outcome in ("inconclusive", "held") and undecided and not missed:
        said = t("{target}, {measured}, may or may not meet its limit of {limit}",
                 **_named(undecided[0])) + _more(undecided)  # fmt: skip
        if outcome == "held":
            return t(
                "{release} was not promoted and waits for a person: {said}.",
                release=release,
                said=said,
            )
        return t("{release} was not promoted: {said}.", release=release, said=said)
    return ""


def _named(item: TargetJudged) -> dict[str, str]:
    known = is_number(item.measured)
    return {
        "target": target_name(item),
        "measured": quantity(item.measured, item.unit) if known else t("no data"),
        "limit": limit_text(item),
    }


def _more(targets: Sequence[TargetJudged]) -> str:
    others = len(targets) - 1
    if not others:
        return ""
    return tn(others, ", and {n} other target likewise", ", and {n} other targets likewise")


def _shortened(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG].rstrip()}…"


def _first_line(record: Record) -> str:
    return record.sentence.partition("\n")[0].strip()


def _details(record: Record, shown: str) -> str:
    """What the record's own sentence says beyond the headline: text, then log lines."""
    first = _first_line(record)
    rest = dedent(record.sentence.partition("\n")[2]).rstrip()
    new = first and first != shown and record.outcome != "promoted"
    said = f'<p class="soft">{theirs(first)}</p>' if new else ""
    log = f'<pre lang="en">{esc(rest)}</pre>' if rest.strip() else ""
    return said + log + _logs(record)


def _logs(record: Record) -> str:
    """Where the containers' whole logs lie: beside this page, as keep_log puts them."""
    names = [esc(posixpath.basename(path)) for path in record.logs]
    links = ", ".join(f'<a href="./logs/{name}">{name}</a>' for name in names if name)
    return f'<p class="soft">{t("Whole logs: {links}", links=links)}</p>' if links else ""


def _head(record: Record, rounds: Sequence[Round]) -> str:
    word, look, sign = outcome_of(record.outcome)
    own = _headline(record)
    first = _shortened(_first_line(record))
    shown = own or first or t("This rollout has no outcome yet.")
    long = ' class="long"' if len(shown) > LONG / 2 else ""
    what = record.resolve_model or ResolveModel()
    commit = what.commit[:12]
    parts = [
        what.model,
        t("commit {commit}", commit=commit) if commit else "",
        what.deployment,
        t("in namespace {namespace}", namespace=record.namespace) if record.namespace else "",
        _when(record.started),
    ]
    line = " · ".join(esc(part) for part in parts if part)
    note = record.benchmark.note if record.benchmark else ""
    warnings = "".join(
        f'<p class="warn">{text}</p>'
        for text in (*map(theirs, (record.leftover, record.mirror_error, note)), *_unread(record))
        if text
    )
    # no line ends between a figure and its unit
    heading = (
        theirs(first) if not own and first else esc(re.sub(r"(?<=[\d≤≥]) (?=\S)", "\xa0", shown))
    )
    return (
        f'<header>{_languages()}<p class="verdict {look}"><span aria-hidden="true">{sign}</span> '
        f'{esc(word)}</p><h1{long}>{heading}</h1><p class="soft">{line}</p>{warnings}'
        f"{_details(record, shown)}"
        f"{told.tiles(_tiles(record, rounds))}</header>"
    )


def _unread(record: Record) -> list[str]:
    """As HTML."""
    return [
        t("the record's part '{name}' could not be read", name=esc(name))
        for name in record.unreadable
    ]


def _tiles(record: Record, rounds: Sequence[Round]) -> list[tuple[str, str, str]]:
    binding = [item for item in record.targets if not item.advisory]
    out = []
    if binding:
        met = sum(item.verdict == "pass" for item in binding)
        out.append((t("targets met"), t("{n} of {all}", n=met, all=len(binding)), ""))
    worst = _first_shown(binding)
    if worst is not None:
        bounds = bounds_text(worst.low, worst.high, worst.unit)
        out.append((target_name(worst), quantity(worst.measured, worst.unit), bounds))
    if asked := _asked([item for item in rounds if item.release == "candidate"]):
        out.append(asked)
    nodes = record.validate_nodes.nodes if record.validate_nodes else []
    if nodes:
        usable = sum(item.usable for item in nodes)
        out.append((t("nodes usable"), t("{n} of {all}", n=usable, all=len(nodes)), ""))
    spans = [s.seconds for s in record.steps if is_number(s.seconds)]
    if spans:
        out.append((t("in all"), seconds(sum(spans)), ""))
    return out


def _asked(rounds: Sequence[Round]) -> tuple[str, str, str] | None:
    """How many requests count, in how many rounds, and what does not; None where none was asked."""
    if not any(item.rows for item in rounds):
        return None
    good = [item for item in rounds if believable(item)]
    bad = [item for item in rounds if item not in good]
    counted, every = (sum(len(item.rows) for item in part) for part in (good, rounds))
    name = tn(
        len({item.index for item in good}),
        "requests that count, in {n} round",
        "requests that count, in {n} rounds",
    )
    return name, f"{counted:,}", _thrown_out(bad, every - counted, every)


def _thrown_out(rounds: Sequence[Round], requests: int, every: int) -> str:
    if not rounds:
        return ""
    which = t("round {n} at {load}", n=data.ordinal(rounds[0]), load=rounds[0].load)
    if len(rounds) > 1:
        which = t("{n} rounds thrown out", n=len(rounds))
    return t(
        "of {all}, {n} do not count: {which}", all=f"{every:,}", n=f"{requests:,}", which=which
    )


def _first_shown(targets: Sequence[TargetJudged]) -> TargetJudged | None:
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
        return datetime.fromisoformat(str(value)).strftime(t("%d %B %Y, %H:%M %Z")).strip()
    except ValueError:
        return ""


def _foot(record: Record) -> str:
    code = record.exit_code
    said = t(", exit status {code}", code=number(code)) if is_number(code) else ""
    line = t("model-rollout, rollout {rollout}", rollout=esc(record.rollout or "?"))
    return f"<footer><p>{line}{said}</p></footer>"
