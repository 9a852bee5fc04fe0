"""A rollout's record as JUnit XML, for what CI systems show.

One suite a kind of check: steps, smoke, targets. A missed target is a failure; an open one, a step
that broke and a smoke check that is wrong are too, because CI must not go green on them: a target
that is met is the only target that passes. A part of the
record that cannot be read is an error. Advisory targets that are not met are skipped, with the
reason. The outcome itself is a case, so that a refused or interrupted rollout is never green.
Form: the elements and attributes all readers share (testsuites, testsuite, testcase, failure,
error, skipped).
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tasks.record.outcome import ENDINGS
from tasks.record.parts import CheckMade, StepTaken, TargetJudged
from tasks.record.record import Record
from tasks.report.html import bounds_text, is_number, limit_text, plain, quantity

GOOD = [kind for kind, ending in ENDINGS.items() if ending.look == "good"]


def render(record: Record) -> str:
    """The XML document as text (UTF-8); works for every ending of a rollout."""
    name = plain(record.name or "rollout")
    checks = record.smoke.checks if record.smoke else []
    root = Element("testsuites", name=f"model-rollout {name}")
    suites = (
        ("outcome", _outcome(record, name)),
        ("steps", [_step(item, name) for item in record.steps]),
        ("smoke", [_smoke(item, name) for item in checks]),
        ("targets", [_target(item, name) for item in record.targets]),
        ("record", [_unreadable(part, name) for part in record.unreadable]),
    )
    for kind, cases in suites:
        if not cases:
            continue
        suite = SubElement(root, "testsuite", name=f"{name}.{kind}")
        if kind == "outcome" and record.started:
            # JUnit's timestamp has no zone
            suite.set("timestamp", plain(record.started)[:19])
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


def _outcome(record: Record, name: str) -> list[Element]:
    kind, sentence = record.outcome or "unknown", record.sentence
    case = _case(f"{name}.outcome", record.rollout or "rollout")
    if kind not in GOOD:
        tag = {"failed": "failure", "not now": "skipped"}.get(kind, "error")
        _add(case, tag, f"{kind}: {sentence.partition(chr(10))[0]}", sentence)
    return [case]


def _step(item: StepTaken, name: str) -> Element:
    case = _case(f"{name}.steps", item.step, item.seconds)
    if item.state != "done":
        _add(case, "error", item.sentence or item.state)
    return case


def _smoke(item: CheckMade, name: str) -> Element:
    case = _case(f"{name}.smoke", item.name)
    if not item.ok:
        said = f"found {item.found}, expected {item.expected}"
        _add(case, "failure", said)
    return case


def _unreadable(part: str, name: str) -> Element:
    case = _case(f"{name}.record", part)
    _add(case, "error", "this part of the record cannot be read")
    return case


def _target(item: TargetJudged, name: str) -> Element:
    metric, load = item.metric, item.load
    case = _case(f"{name}.targets", f"{metric} at {load}" if load else metric)
    word, unit = item.verdict, item.unit
    said = (
        f"{word}: measured {quantity(item.measured, unit)}, limit {limit_text(item)}, "
        f"bounds {bounds_text(item.low, item.high, unit)}"
    )
    reason = item.reason
    if word == "pass":
        SubElement(case, "system-out").text = plain(said)
    elif item.advisory:
        _add(case, "skipped", f"advisory, {said}; {reason}")
    else:
        _add(case, "failure" if word == "fail" else "error", said, reason)
    return case
