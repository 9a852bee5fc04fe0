"""A rollout's record as JUnit XML, for what CI systems show. PURE.

One suite a kind of check: steps, smoke, targets. A missed target is a failure; an open one, a step
that broke and a smoke check that is wrong are too, because CI must not go green on them: a target
that is met is the only target that passes. Advisory targets that are not met are skipped, with the
reason. The outcome itself is a case, so that a refused or interrupted rollout is never green.
Form: the elements and attributes all readers share (testsuites, testsuite, testcase, failure,
error, skipped).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tasks.report.html import dicts, is_number, limit_text, number, plain, quantity

GOOD = ("promoted", "unchanged")


def render(record: Mapping[str, Any]) -> str:
    """The XML document as text (UTF-8); works for every ending of a rollout."""
    name = plain(record.get("name") or "rollout")
    root = Element("testsuites", name=f"model-rollout {name}")
    suites = (
        ("outcome", _outcome(record, name)),
        ("steps", [_step(item, name) for item in dicts(record.get("steps"))]),
        ("smoke", [_smoke(item, name) for item in dicts(record.get("smoke"))]),
        ("targets", [_target(item, name) for item in dicts(record.get("targets"))]),
    )
    for kind, cases in suites:
        if not cases:
            continue
        suite = SubElement(root, "testsuite", name=f"{name}.{kind}")
        if kind == "outcome" and record.get("started"):
            # JUnit's timestamp has no zone
            suite.set("timestamp", plain(record["started"])[:19])
        suite.extend(cases)
        _count(suite, cases)
    _count(root, list(root.iter("testcase")))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _count(element: Element, cases: list[Element]) -> None:
    element.set("tests", str(len(cases)))
    for plural, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(plural, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", f"{sum(float(case.get('time') or 0) for case in cases):.3f}")


def _case(group: str, name: str, seconds: object = None) -> Element:
    case = Element("testcase", classname=plain(group), name=plain(name))
    # is_number keeps infinities and NaN out, which no reader takes
    case.set("time", f"{seconds:.3f}" if is_number(seconds) else "0.000")
    return case


def _add(case: Element, tag: str, message: str, text: str = "") -> Element:
    found = SubElement(case, tag, message=plain(message))
    found.text = plain(text) or None
    return case


def _outcome(record: Mapping[str, Any], name: str) -> list[Element]:
    kind, sentence = str(record.get("outcome") or "unknown"), str(record.get("sentence") or "")
    case = _case(f"{name}.outcome", str(record.get("rollout") or "rollout"))
    if kind not in GOOD:
        tag = "failure" if kind == "failed" else "error"
        _add(case, tag, f"{kind}: {sentence.partition(chr(10))[0]}", sentence)
    return [case]


def _step(item: Mapping[str, Any], name: str) -> Element:
    case = _case(f"{name}.steps", str(item.get("step") or "?"), item.get("seconds"))
    if item.get("state") != "done":
        _add(case, "error", str(item.get("sentence") or item.get("state")))
    return case


def _smoke(item: Mapping[str, Any], name: str) -> Element:
    case = _case(f"{name}.smoke", str(item.get("name") or "?"))
    if not item.get("ok"):
        said = f"found {item.get('found')}, expected {item.get('expected')}"
        _add(case, "failure", said)
    return case


def _target(item: Mapping[str, Any], name: str) -> Element:
    metric, load = str(item.get("metric") or "?"), item.get("load")
    case = _case(f"{name}.targets", f"{metric} at {load}" if load else metric)
    word = str(item.get("verdict") or "inconclusive")
    unit = str(item.get("unit") or "")
    said = (
        f"{word}: measured {quantity(item.get('measured'), unit)}, limit {limit_text(item)}, "
        f"bounds {number(item.get('low'))} to {number(item.get('high'))}"
    )
    reason = str(item.get("reason") or "")
    if word == "pass":
        SubElement(case, "system-out").text = plain(said)
    elif item.get("advisory"):
        _add(case, "skipped", f"advisory, {said}; {reason}")
    else:
        _add(case, "failure" if word == "fail" else "error", said, reason)
    return case
