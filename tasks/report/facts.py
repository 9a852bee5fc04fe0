"""The sections of the report that say what was rolled out, where, how, and how it went."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.measure.round import Round
from tasks.record.parts import Deploy, PlanMade, ResolveModel, RoundMeasured, Smoke
from tasks.record.record import Record
from tasks.report.figures.bars import strip
from tasks.report.figures.points import ordinal
from tasks.report.html import (
    NOTHING,
    badge,
    bullets,
    dicts,
    esc,
    facts,
    folded,
    is_number,
    listed,
    mapping,
    mark,
    number,
    seconds,
    section,
    size,
    table,
    theirs,
)
from tasks.report.words.speech import t, tn, ts
from tasks.verdict.rounds import why_not


def _code(value: object) -> str:
    return f"<code>{esc(value)}</code>" if value not in (None, "") else ""


def problems(record: Record, rounds: Sequence[Round]) -> str:
    """What went wrong while measuring; a sentence when nothing did.

    rounds: the measured rows; without them what the record says of each round has to do.
    """
    noted = record.benchmark.rounds if record.benchmark else []
    found: list[tuple[Round | RoundMeasured, list[str]]] = [(r, why_not(r)) for r in rounds]
    found = found or [(item, _noted(item)) for item in noted]
    if not found:
        return ""
    lines = [
        t(
            "round {n} at {load}, {release}: {text}",
            n=ordinal(item),
            load=esc(item.load),
            release=esc(t(item.release)),
            text=theirs(text),
        )
        for item, texts in found
        for text in texts
    ]
    none = t(
        "None: the load generator kept up, the engine's own figures agree, and nothing restarted."
    )
    body = listed(lines) or f"<p>{none}</p>"
    lead = t("A round with a problem says nothing about the model, and does not count.")
    return section("problems", t("Problems of the measurement"), lead if lines else "", body)


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
            theirs(item.name),
            mark_ok(item.ok, t("ok"), t("wrong")),
            f'<span class="said">{theirs(item.found)}</span>',
            theirs(item.expected),
        ]
        for item in (record.smoke.checks if record.smoke else [])
    ]
    heads = ts("Check", "Result", "Found", "Expected")
    body = table(t("Smoke checks"), heads, rows) + _cards(record)
    return section("smoke", t("Smoke answers"), "", body)


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
            esc(t(item.role)),
        ]
        for item in held
    ]
    heads = ts("Node", "Card", "Card model", "In use, MiB", "Of, MiB", "Before, MiB", "Role")
    return table(t("Cards after the load"), heads, rows)


def _mib(value: float | None) -> str:
    return t("not told") if value is None else f"{value:,.0f}"


def mark_ok(value: object, good: str, bad: str) -> str:
    """A badge for what is or is not as it should be."""
    return badge("pass", good) if value else badge("fail", bad)


def steps(record: Record) -> str:
    """The steps one after the other, as long as they took."""
    found = record.steps
    spans = [s.seconds if is_number(s.seconds) else 0.0 for s in found]
    whole, at, rows = sum(spans), 0.0, []
    for item, span in zip(found, spans, strict=True):
        css = "done" if item.state == "done" else "failed"
        name = t(item.step.replace("_", " ").capitalize())
        title = t(
            "{step}: {span} from {start} on, {state}",
            step=name,
            span=seconds(span),
            start=seconds(at),
            state=t(item.state),
        )
        sentence = item.sentence
        told = sentence if len(sentence) <= 240 else sentence[:240] + "…"
        failed = "" if css == "done" else f"{badge('fail', t(item.state))} "
        rows.append(
            [
                esc(name),
                strip(at, at + span, whole, css, title),
                esc(seconds(span)),
                f"{failed}{theirs(told)}",
            ]
        )
        at += span
    lead = t("{span} from the first step to the last.", span=seconds(whole)) if found else ""
    body = table(
        t("Steps with their durations"), ts("Step", "When", "Took", "Outcome"), rows, right=(2,)
    )
    return section("steps", t("Steps"), lead, body)


def what(record: Record) -> str:
    """Model, commit, image, digest, release; who started it."""
    found = record.resolve_model or ResolveModel()
    ran = record.deploy or Deploy()
    asked = record.smoke or Smoke()
    pods = [t("{pod} on {node}", pod=pod.name, node=pod.node) for pod in ran.pods]
    files = tn(found.files, "{n} file", "{n} files") if found.files else ""
    amount = f"{files}, {size(found.bytes)}" if files else ""
    pairs = [
        (t("Model"), esc(found.model)),
        (t("Revision"), _code(found.revision)),
        (t("Commit"), _code(found.commit)),
        (t("Manifest"), _code(found.manifest)),
        (t("Weights"), esc(amount)),
        (t("Image"), _code(found.image)),
        (t("Image digest"), "<br>".join(_code(d) for d in ran.image_digests)),
        (t("Release"), _code(found.deployment or found.release)),
        (t("Pods"), esc(", ".join(pods))),
        (t("Reached by"), esc(" ".join(part for part in (asked.how, asked.url) if part))),
        (t("Remote code"), t("trusted") if found.trust_remote_code else ""),
        (t("Cluster"), _code(record.cluster)),
        (t("Namespace"), _code(record.namespace)),
        (t("Started by"), esc(record.who)),
        (t("Because"), theirs(record.why)),
        (t("Rollout"), _code(record.rollout)),
        (t("Record"), _code(record.record)),
        (t("Mirrored to"), _code(record.mirror)),
    ]
    return section("what", t("What was rolled out"), "", facts(pairs))


def nodes(record: Record) -> str:
    """The nodes with their drivers and cards, and what was found wrong with them."""
    rows = []
    for item in record.validate_nodes.nodes if record.validate_nodes else []:
        found = "; ".join(_reason(reason) for reason in item.reasons)
        rows.append(
            [
                esc(item.name),
                mark_ok(item.usable, t("usable"), t("not usable")),
                *(esc(text or NOTHING) for text in (item.driver, item.cards, item.cpu)),
                esc(item.resource or NOTHING),
                theirs(found or NOTHING),
            ]
        )
    heads = ts("Node", "Usable", "Driver", "Cards", "CPU", "Resource", "Remarks")
    return section("nodes", t("Nodes"), "", table(t("Nodes and what they hold"), heads, rows))


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
        (t("Strategy"), esc(t(found.strategy))),
        (t("Served before"), _code(serving) if serving else esc(t("nothing"))),
        (t("Interruption"), esc(t(found.interruption))),
        (t("Approval"), esc(t(found.approval))),
        (t("To fetch"), esc(size(found.bytes_to_fetch))),
        (t("Accelerators"), esc(_devices(found))),
        (t("Digest"), _code(found.digest)),
    ]
    differences = found.differences
    body = facts(pairs)
    if differences:
        body += f"<h3>{esc(t('Different from what serves'))}</h3>" + bullets(differences)
    return section("plan", t("Plan"), theirs(found.sentence), body)


def _devices(found: PlanMade) -> str:
    if not found.devices_needed:
        return ""
    return t(
        "{n} {resource} needed, {free} free",
        n=found.devices_needed,
        resource=found.resource or t("accelerators"),
        free=found.devices_free,
    )


def soak(record: Record) -> str:
    """What was seen of the release after the switch, where it was promoted."""
    found = record.promote
    if found is None or not found.looks:
        return ""
    worst = found.worst_ttft_ms
    pairs = [
        (t("Looks"), esc(number(found.looks))),
        (t("Bad looks"), esc(number(found.bad))),
        (t("Looks that saw nothing"), esc(number(found.blind) if found.blind else "")),
        (t("Longest TTFT"), esc(f"{number(worst)} ms") if is_number(worst) else ""),
        (t("Requests of others"), esc(number(found.requests))),
        (t("Failed requests"), esc(number(found.errors) if found.errors else "")),
    ]
    return section("soak", t("After the switch"), "", facts(pairs) + bullets(found.notes))


def exam(record: Record) -> str:
    """The exam, where one was taken: its verdict, and what was not right."""
    found = record.exam
    if found is None:
        return ""
    pairs = [
        (t("Questions"), esc(found.questions)),
        (t("Right"), esc(t("{n} of {all}", n=number(found.right), all=number(found.asked)))),
        (t("Without an answer"), esc(number(found.errors) if found.errors else "")),
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
    heads = ts("Question", "Expected", "Answer")
    word = f"<p>{mark(found.verdict)}</p>" if found.verdict else ""
    body = word + facts(pairs) + (table(t("What was not right"), heads, rows) if rows else "")
    return section("exam", t("Exam"), theirs(found.reason), body)


def gate(record: Record) -> str:
    """What the second check, a Great Expectations suite, said."""
    found = record.judge.gate if record.judge else None
    if found is None:
        return ""
    rows, failed = [], []
    for name, result in found.result.items():
        items = dicts(mapping(result).get("results"))
        held = sum(bool(item.get("success")) for item in items)
        ok = mark_ok(bool(mapping(result).get("success")), t("ok"), t("wrong"))
        rows.append([esc(name), t("{n} of {all}", n=held, all=len(items)), ok])
        failed += [f"{name}: {_expectation(item)}" for item in items if not item.get("success")]
    said = t("every expectation held") if found.success else t("not every expectation held")
    heads = ts("Table", "Expectations held", "Result")
    body = table(t("The suite by table"), heads, rows, right=(1,)) + bullets(failed)
    where = data_docs(record)
    if where:
        link = esc(t("Open the Data Docs of this check"))
        body += f'<p><a href="{esc(where)}">{link}</a></p>'
    lead = t("The verdict was checked once more by Great Expectations: {said}.", said=said)
    return section("gate", t("Second check"), lead, body)


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
        body += folded(t("The spec as it was run"), f"<pre>{esc(text)}</pre>")
    return section("origins", t("Versions and spec"), "", body)


def tiles(cells: Sequence[tuple[str, str, str]]) -> str:
    """A few figures at a glance: name, value, and what else there is to say; all text."""
    drawn = "".join(
        f"<div><dt>{esc(name)}</dt><dd>{esc(value)}</dd>"
        + (f'<dd class="more">{esc(more)}</dd>' if more else "")
        + "</div>"
        for name, value, more in cells
        if value
    )
    return f'<dl class="tiles">{drawn}</dl>' if drawn else ""
