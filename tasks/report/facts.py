"""The sections of the report that say what was rolled out, where, how, and how it went. PURE."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.measure.round import Round
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

_STEPS = {"fetch_weights": "Fetch weights", "roll_back": "Roll back"}


def _code(value: object) -> str:
    return f"<code>{esc(value)}</code>" if value not in (None, "") else ""


def problems(record: Mapping[str, Any], rounds: Sequence[Round]) -> str:
    """What went wrong while measuring; a sentence when nothing did.

    rounds: the measured rows; without them what the record says of each round has to do.
    """
    measured: list[tuple[object, object, object, list[str]]] = [
        (item.index, item.load, item.release, why_not(item)) for item in rounds
    ]
    found = measured or [
        (item.get("index"), item.get("load"), item.get("release"), _noted(item))
        for item in dicts(mapping(record.get("benchmark")).get("rounds"))
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


def _noted(item: Mapping[str, Any]) -> list[str]:
    """The problems of a round as the record has them."""
    client = mapping(item.get("client"))
    reasons = _words(client.get("reasons")) or ["the load generator was saturated"]
    return [*_words(item.get("problems")), *(reasons if client.get("saturated") else [])]


def _words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def smoke(record: Mapping[str, Any]) -> str:
    """What the candidate answered before it was measured."""
    rows = [
        [
            esc(item.get("name")),
            mark_ok(item.get("ok")),
            f'<span class="said">{esc(item.get("found"))}</span>',
            esc(item.get("expected")),
        ]
        for item in dicts(record.get("smoke"))
    ]
    heads = ("Check", "Result", "Found", "Expected")
    return section("smoke", "Smoke answers", "", table("Smoke checks", heads, rows))


def mark_ok(value: object, good: str = "ok", bad: str = "wrong") -> str:
    """A badge for what is or is not as it should be."""
    kind, word = ("pass", good) if value else ("fail", bad)
    return f'<span class="mark {kind}"><b aria-hidden="true">{MARKS[kind]}</b> {esc(word)}</span>'


def steps(record: Mapping[str, Any]) -> str:
    """The steps one after the other, as long as they took."""
    found = dicts(record.get("steps"))
    spans = [float(s["seconds"]) if is_number(s.get("seconds")) else 0.0 for s in found]
    whole, at, rows = sum(spans), 0.0, []
    for item, span in zip(found, spans, strict=True):
        state = str(item.get("state", ""))
        css = "done" if state == "done" else "failed"
        name = str(item.get("step", "?"))
        name = _STEPS.get(name, name.replace("_", " ").capitalize())
        title = f"{name}: {seconds(span)} from {seconds(at)} on, {state}"
        sentence = str(item.get("sentence") or "")
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


def what(record: Mapping[str, Any]) -> str:
    """Model, commit, image, digest, release; who started it."""
    model, image = mapping(record.get("model")), mapping(record.get("image"))
    release, weights = mapping(record.get("release")), mapping(record.get("weights"))
    access = mapping(record.get("access"))
    pods = [f"{p.get('name')} on {p.get('node')}" for p in dicts(record.get("pods"))]
    amount = (
        f"{number(weights.get('files'))} files, {size(weights.get('bytes'))}" if weights else ""
    )
    pairs = [
        ("Model", esc(model.get("id") or "")),
        ("Revision", _code(model.get("revision"))),
        ("Commit", _code(model.get("commit"))),
        ("Manifest", _code(model.get("manifest"))),
        ("Weights", esc(amount)),
        ("Image", _code(image.get("name"))),
        ("Image digest", "<br>".join(_code(d) for d in _words(image.get("digests")))),
        ("Release", _code(release.get("deployment") or release.get("id"))),
        ("Pods", esc(", ".join(pods))),
        ("Reached by", esc(" ".join(str(access[k]) for k in ("how", "url") if access.get(k)))),
        ("Remote code", "trusted" if record.get("trust_remote_code") else ""),
        ("Cluster", _code(record.get("cluster"))),
        ("Namespace", _code(record.get("namespace"))),
        ("Started by", esc(record.get("who") or "")),
        ("Because", esc(record.get("why") or "")),
        ("Rollout", _code(record.get("rollout"))),
        ("Record", _code(record.get("record"))),
        ("Mirrored to", _code(record.get("mirror"))),
    ]
    return section("what", "What was rolled out", "", facts(pairs))


def nodes(record: Mapping[str, Any]) -> str:
    """The nodes with their drivers and cards, and what was found wrong with them."""
    rows = []
    for item in dicts(record.get("nodes")):
        reasons = item.get("reasons")
        found = "; ".join(_reason(r) for r in reasons) if isinstance(reasons, list | tuple) else ""
        rows.append(
            [
                esc(item.get("name") or "?"),
                mark_ok(item.get("usable"), "usable", "not usable"),
                *(esc(_flat(item.get(key)) or NOTHING) for key in ("driver", "cards", "cpu")),
                esc(item.get("resource") or NOTHING),
                esc(found or NOTHING),
            ]
        )
    heads = ("Node", "Usable", "Driver", "Cards", "CPU", "Resource", "Remarks")
    return section("nodes", "Nodes", "", table("Nodes and what they hold", heads, rows))


def _reason(value: object) -> str:
    found = mapping(value)
    if not found:
        return str(value)
    parts = [str(found[k]) for k in ("code", "message", "found") if found.get(k)]
    expected = f"expected {found['expected']}" if found.get("expected") else ""
    return ": ".join(parts) + (f" ({expected})" if expected else "")


def _flat(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_flat(v)}" for k, v in value.items())
    return "" if value is None else str(value)


def plan(record: Mapping[str, Any]) -> str:
    """The plan, and what differed from the release that serves."""
    found = mapping(record.get("plan"))
    if not found:
        return ""
    serving = found.get("serving")
    pairs = [
        ("Strategy", esc(found.get("strategy") or "")),
        ("Served before", _code(serving) if serving else "nothing"),
        ("Interruption", esc(found.get("interruption") or "")),
        ("Approval", esc(found.get("approval") or "")),
        ("To fetch", esc(size(found.get("bytes_to_fetch")))),
        ("Accelerators", esc(_devices(found))),
        ("Digest", _code(found.get("digest"))),
    ]
    differences = _words(found.get("differences"))
    body = facts(pairs)
    if differences:
        body += "<h3>Different from what serves</h3>" + bullets(differences)
    return section("plan", "Plan", esc(found.get("sentence") or ""), body)


def _devices(found: Mapping[str, Any]) -> str:
    if not found.get("devices_needed"):
        return ""
    resource = found.get("resource") or "accelerators"
    return f"{found['devices_needed']} {resource} needed, {found.get('devices_free')} free"


def exam(record: Mapping[str, Any]) -> str:
    """The exam, where one was taken: its verdict, and what was not right."""
    found = mapping(record.get("exam"))
    pairs = [
        ("Questions", esc(found.get("questions") or "")),
        ("Right", esc(f"{number(found.get('right'))} of {number(found.get('asked'))}")),
        ("Without an answer", esc(number(found.get("errors")) if found.get("errors") else "")),
    ]
    rows = [
        [
            esc(item.get("question")),
            esc(item.get("expected")),
            f'<span class="said">{esc(item.get("answer") or item.get("error"))}</span>',
        ]
        for item in dicts(found.get("rows"))
        if not item.get("right")
    ]
    if not found:
        return ""
    heads = ("Question", "Expected", "Answer")
    word = f"<p>{mark(found['verdict'])}</p>" if found.get("verdict") else ""
    body = word + facts(pairs) + (table("What was not right", heads, rows) if rows else "")
    return section("exam", "Exam", esc(found.get("reason") or ""), body)


def gate(record: Mapping[str, Any]) -> str:
    """What the second check, a Great Expectations suite, said."""
    found = mapping(record.get("gate"))
    if not found:
        return ""
    rows, failed = [], []
    for name, result in mapping(found.get("result")).items():
        items = dicts(mapping(result).get("results"))
        held = sum(bool(item.get("success")) for item in items)
        ok = mark_ok(bool(mapping(result).get("success")))
        rows.append([esc(name), f"{held} of {len(items)}", ok])
        failed += [f"{name}: {_expectation(item)}" for item in items if not item.get("success")]
    said = "every expectation held" if found.get("success") else "not every expectation held"
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


def data_docs(record: Mapping[str, Any]) -> str:
    """The Data Docs relative to the record's folder; '' where they lie elsewhere."""
    page, base = record.get("data_docs"), record.get("record")
    if not (isinstance(page, str) and isinstance(base, str) and page.endswith(".html")):
        return ""
    folder = posixpath.dirname(posixpath.normpath(base))
    found = posixpath.normpath(page)
    if not folder or not found.startswith(folder + "/"):
        return ""
    # './' keeps a colon in a name from being read as a scheme
    return "./" + found[len(folder) + 1 :]


def origins(record: Mapping[str, Any]) -> str:
    """Versions and the spec, so that it can be done again."""
    versions = mapping(record.get("versions"))
    body = facts([(str(name), _code(version)) for name, version in versions.items()])
    spec = record.get("spec")
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
