"""The sections of the report that say what was rolled out, where, how, and how it went."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.measure.round import Round
from tasks.record.parts import Deploy, PlanMade, ResolveModel, RoundMeasured, Smoke
from tasks.record.record import Record
from tasks.report.html import (
    MARKS,
    NOTHING,
    bullets,
    dicts,
    esc,
    facts,
    folded,
    is_number,
    mapping,
    mark,
    number,
    seconds,
    section,
    size,
    table,
)
from tasks.report.plots import strip
from tasks.verdict.rounds import why_not


def _code(value: object) -> str:
    return f"<code>{esc(value)}</code>" if value not in (None, "") else ""


def problems(record: Record, rounds: Sequence[Round]) -> str:
    """What went wrong while measuring; a sentence when nothing did.

    rounds: the measured rows; without them what the record says of each round has to do.
    """
    noted = record.benchmark.rounds if record.benchmark else []
    found = [(item.index, item.load, item.release, why_not(item)) for item in rounds] or [
        (item.index, item.load, item.release, _noted(item)) for item in noted
    ]
    if not found:
        return ""
    lines = [
        f"round {index} at {load}, {release}: {text}"
        for index, load, release, texts in found
        for text in texts
    ]
    body = bullets(lines) or (
        "<p>None: the load generator kept up, the engine's own figures agree, and nothing "
        "restarted.</p>"
    )
    lead = "A round with a problem says nothing about the model, and does not count."
    return section("problems", "Problems of the measurement", lead if lines else "", body)


def _noted(item: RoundMeasured) -> list[str]:
    """The problems of a round as the record has them."""
    client = item.client
    reasons = _words(client.get("reasons")) or ["the load generator was saturated"]
    return [*item.problems, *(reasons if client.get("saturated") else [])]


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def smoke(record: Record) -> str:
    """What the candidate answered before it was measured."""
    rows = [
        [
            esc(item.name),
            mark_ok(item.ok),
            f'<span class="said">{esc(item.found)}</span>',
            esc(item.expected),
        ]
        for item in (record.smoke.checks if record.smoke else [])
    ]
    heads = ("Check", "Result", "Found", "Expected")
    return section(
        "smoke", "Smoke answers", "", table("Smoke checks", heads, rows) + _cards(record)
    )


def _cards(record: Record) -> str:
    """What the cards of the candidate's nodes held once the model was loaded."""
    held = record.smoke.cards if record.smoke else []
    if not held:
        return ""
    rows = [
        [
            esc(item.node),
            str(item.index),
            esc(item.model),
            _mib(item.used_mib),
            _mib(item.total_mib),
            _mib(item.before_mib),
            esc(item.role),
        ]
        for item in held
    ]
    heads = ("Node", "Card", "Model", "In use, MiB", "Of, MiB", "Before, MiB", "")
    return table("Cards after the load", heads, rows)


def _mib(value: float | None) -> str:
    return "not told" if value is None else f"{value:,.0f}"


def mark_ok(value: object, good: str = "ok", bad: str = "wrong") -> str:
    """A badge for what is or is not as it should be."""
    kind, word = ("pass", good) if value else ("fail", bad)
    return f'<span class="mark {kind}"><b aria-hidden="true">{MARKS[kind]}</b> {esc(word)}</span>'


def steps(record: Record) -> str:
    """The steps one after the other, as long as they took."""
    found = record.steps
    spans = [s.seconds if is_number(s.seconds) else 0.0 for s in found]
    whole, at, rows = sum(spans), 0.0, []
    for item, span in zip(found, spans, strict=True):
        state = item.state
        css = "done" if state == "done" else "failed"
        name = item.step.replace("_", " ").capitalize()
        title = f"{name}: {seconds(span)} from {seconds(at)} on, {state}"
        sentence = item.sentence
        told = sentence if len(sentence) <= 240 else sentence[:240] + "…"
        failed = "" if css == "done" else f"{mark_ok(False, bad=state)} "
        rows.append(
            [
                esc(name),
                strip(at, at + span, whole, css, title),
                esc(seconds(span)),
                f"{failed}{esc(told)}",
            ]
        )
        at += span
    lead = f"{esc(seconds(whole))} from the first step to the last." if found else ""
    heads = ("Step", "When", "Took", "Outcome")
    body = table("Steps with their durations", heads, rows, right=(2,))
    return section("steps", "Steps", lead, body)


def what(record: Record) -> str:
    """Model, commit, image, digest, release; who started it."""
    found = record.resolve_model or ResolveModel()
    ran = record.deploy or Deploy()
    asked = record.smoke or Smoke()
    pods = [f"{pod.name} on {pod.node}" for pod in ran.pods]
    amount = f"{number(found.files)} files, {size(found.bytes)}" if found.files else ""
    pairs = [
        ("Model", esc(found.model)),
        ("Revision", _code(found.revision)),
        ("Commit", _code(found.commit)),
        ("Manifest", _code(found.manifest)),
        ("Weights", esc(amount)),
        ("Image", _code(found.image)),
        ("Image digest", "<br>".join(_code(d) for d in ran.image_digests)),
        ("Release", _code(found.deployment or found.release)),
        ("Pods", esc(", ".join(pods))),
        ("Reached by", esc(" ".join(part for part in (asked.how, asked.url) if part))),
        ("Remote code", "trusted" if found.trust_remote_code else ""),
        ("Cluster", _code(record.cluster)),
        ("Namespace", _code(record.namespace)),
        ("Started by", esc(record.who)),
        ("Because", esc(record.why)),
        ("Rollout", _code(record.rollout)),
        ("Record", _code(record.record)),
        ("Mirrored to", _code(record.mirror)),
    ]
    return section("what", "What was rolled out", "", facts(pairs))


def nodes(record: Record) -> str:
    """The nodes with their drivers and cards, and what was found wrong with them."""
    rows = []
    for item in record.validate_nodes.nodes if record.validate_nodes else []:
        found = "; ".join(_reason(reason) for reason in item.reasons)
        rows.append(
            [
                esc(item.name),
                mark_ok(item.usable, "usable", "not usable"),
                *(esc(text or NOTHING) for text in (item.driver, item.cards, item.cpu)),
                esc(item.resource or NOTHING),
                esc(found or NOTHING),
            ]
        )
    heads = ("Node", "Usable", "Driver", "Cards", "CPU", "Resource", "Remarks")
    return section("nodes", "Nodes", "", table("Nodes and what they hold", heads, rows))


def _reason(found: Mapping[str, Any]) -> str:
    parts = [str(found[k]) for k in ("code", "message", "found") if found.get(k)]
    expected = f"expected {found['expected']}" if found.get("expected") else ""
    return ": ".join(parts) + (f" ({expected})" if expected else "")


def _flat(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_flat(v)}" for k, v in value.items())
    return "" if value is None else str(value)


def plan(record: Record) -> str:
    """The plan, and what differed from the release that serves."""
    found = record.plan
    if found is None:
        return ""
    serving = found.serving
    pairs = [
        ("Strategy", esc(found.strategy)),
        ("Served before", _code(serving) if serving else "nothing"),
        ("Interruption", esc(found.interruption)),
        ("Approval", esc(found.approval)),
        ("To fetch", esc(size(found.bytes_to_fetch))),
        ("Accelerators", esc(_devices(found))),
        ("Digest", _code(found.digest)),
    ]
    differences = found.differences
    body = facts(pairs)
    if differences:
        body += "<h3>Different from what serves</h3>" + bullets(differences)
    return section("plan", "Plan", esc(found.sentence), body)


def _devices(found: PlanMade) -> str:
    if not found.devices_needed:
        return ""
    resource = found.resource or "accelerators"
    return f"{found.devices_needed} {resource} needed, {found.devices_free} free"


def soak(record: Record) -> str:
    """What was seen of the release after the switch, where it was promoted."""
    found = record.promote
    if found is None or not found.looks:
        return ""
    worst = found.worst_ttft_ms
    pairs = [
        ("Looks", esc(number(found.looks))),
        ("Bad looks", esc(number(found.bad))),
        ("Looks that saw nothing", esc(number(found.blind) if found.blind else "")),
        ("Longest TTFT", esc(f"{number(worst)} ms") if is_number(worst) else ""),
        ("Requests of others", esc(number(found.requests))),
        ("Failed requests", esc(number(found.errors) if found.errors else "")),
    ]
    return section("soak", "After the switch", "", facts(pairs) + bullets(found.notes))


def exam(record: Record) -> str:
    """The exam, where one was taken: its verdict, and what was not right."""
    found = record.exam
    if found is None:
        return ""
    pairs = [
        ("Questions", esc(found.questions)),
        ("Right", esc(f"{number(found.right)} of {number(found.asked)}")),
        ("Without an answer", esc(number(found.errors) if found.errors else "")),
    ]
    rows = [
        [
            esc(item.question),
            esc(item.expected),
            f'<span class="said">{esc(item.answer or item.error)}</span>',
        ]
        for item in found.rows
        if not item.right
    ]
    heads = ("Question", "Expected", "Answer")
    word = f"<p>{mark(found.verdict)}</p>" if found.verdict else ""
    body = word + facts(pairs) + (table("What was not right", heads, rows) if rows else "")
    return section("exam", "Exam", esc(found.reason), body)


def gate(record: Record) -> str:
    """What the second check, a Great Expectations suite, said."""
    found = record.judge.gate if record.judge else None
    if found is None:
        return ""
    rows, failed = [], []
    for name, result in found.result.items():
        items = dicts(mapping(result).get("results"))
        held = sum(bool(item.get("success")) for item in items)
        ok = mark_ok(bool(mapping(result).get("success")))
        rows.append([esc(name), f"{held} of {len(items)}", ok])
        failed += [f"{name}: {_expectation(item)}" for item in items if not item.get("success")]
    said = "every expectation held" if found.success else "not every expectation held"
    heads = ("Table", "Expectations held", "Result")
    body = table("The suite by table", heads, rows, right=(1,)) + bullets(failed)
    where = data_docs(record)
    if where:
        body += f'<p><a href="{esc(where)}">Open the Data Docs of this check</a></p>'
    lead = f"The verdict was checked once more by Great Expectations: {said}."
    return section("gate", "Second check", lead, body)


def _expectation(item: Mapping[str, Any]) -> str:
    config = mapping(item.get("expectation_config"))
    words = mapping(config.get("kwargs"))
    shown = {k: v for k, v in words.items() if k != "batch_id"}
    return f"{config.get('type')} {_flat(shown)}"


def data_docs(record: Record) -> str:
    """The Data Docs relative to the record's folder; '' where they lie elsewhere."""
    page, base = record.judge.data_docs if record.judge else "", record.record
    if not (page.endswith(".html") and base):
        return ""
    folder = posixpath.dirname(posixpath.normpath(base))
    found = posixpath.normpath(page)
    if not folder or not found.startswith(folder + "/"):
        return ""
    # './' keeps a colon in a name from being read as a scheme
    return "./" + found[len(folder) + 1 :]


def origins(record: Record) -> str:
    """Versions and the spec, so that it can be done again."""
    versions = record.versions
    body = facts([(str(name), _code(version)) for name, version in versions.items()])
    spec = record.spec
    if spec:
        text = json.dumps(spec, indent=2, ensure_ascii=False, default=str)
        body += folded("The spec as it was run", f"<pre>{esc(text)}</pre>")
    return section("origins", "Versions and spec", "", body)


def tiles(pairs: Sequence[tuple[str, str]]) -> str:
    """A few figures at a glance; values are text."""
    cells = "".join(
        f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd></div>" for name, value in pairs if value
    )
    return f'<dl class="tiles">{cells}</dl>' if cells else ""
