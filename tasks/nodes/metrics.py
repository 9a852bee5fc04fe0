"""What a vendor's Prometheus exporter says of the cards."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping

from tasks.accelerators.types import Exporter, Profile
from tasks.nodes.facts import ApiFacts
from tasks.nodes.reasons import Reason, error
from tasks.nodes.tools.cards import NO_CHIP

MetricSample = tuple[str, dict[str, str], float]

_SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>[^\s]+)(?:\s+-?\d+)?"
)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def exporter_url(profile: Profile, api: ApiFacts) -> str:
    """Where the exporter on this node answers, '' when none is ready there."""
    exporter = profile.exporter
    if exporter is None:
        return ""
    for pod in api.daemons:
        if pod.ready and pod.ip and profile.component_role(pod.daemonset, pod.images) == "exporter":
            host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
            return f"http://{host}:{exporter.port}{exporter.path}"
    return ""


def samples(text: str) -> list[MetricSample]:
    """(name, labels, value) of every sample; comments, broken lines and NaN are skipped."""
    out = []
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line.strip())
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        if math.isfinite(value):
            out.append((match["name"], dict(_LABEL.findall(match["labels"] or "")), value))
    return out


def metrics_reasons(text: str, profile: Profile) -> list[Reason]:
    """Temperature, uncorrectable errors and health by the exporter's text format."""
    return _unhealthy(samples(text), profile)


def device_problems(before: str, after: str, profile: Profile, pods: Collection[str]) -> list[str]:
    """What the cards that `pods` hold suffered between two readings: heat, errors, throttling.

    A sample that names another pod is not ours; one that names none may be.
    """
    exporter = profile.exporter
    if exporter is None:
        return []
    was, now = (
        [item for item in samples(text) if _may_be_of(item[1], exporter, pods)]
        for text in (before, after)
    )
    out = [reason.found for reason in _unhealthy(now, profile)]
    earlier = {(name, tuple(sorted(labels.items()))): value for name, labels, value in was}
    for name, labels, value in now:
        card = _card(labels, exporter)
        start = earlier.get((name, tuple(sorted(labels.items()))))
        if _is(exporter.throttled, name) and start is not None and value > start:
            out.append(f"card {card}: was throttled, {name} grew from {start:g} to {value:g}")
        elif _is(exporter.reasons, name) and int(value) & exporter.reasons_bits:
            out.append(f"card {card}: is throttled, {name} is {int(value):#x}")
    return out


def _may_be_of(labels: Mapping[str, str], exporter: Exporter, pods: Collection[str]) -> bool:
    named = [labels[key] for key in exporter.pod_labels if labels.get(key)]
    return not named or any(name in pods for name in named)


def _card(labels: Mapping[str, str], exporter: Exporter) -> str:
    return next((labels[key] for key in exporter.index_labels if key in labels), "?")


def _unhealthy(found: Iterable[MetricSample], profile: Profile) -> list[Reason]:
    exporter = profile.exporter
    if exporter is None:
        return []
    out: list[Reason] = []

    def bad(card: str, found: str, expected: str) -> None:
        out.append(
            error(
                "CARD_UNHEALTHY",
                f"card {card}: {found} (exporter)",
                expected,
                "take the card out of service and check it (ECC page retirement, cooling, reset)",
            )
        )

    for name, labels, value in found:
        card = _card(labels, exporter)
        if _is(exporter.temperature, name) and NO_CHIP >= value > profile.heat_limit(name):
            limit = f"at most {profile.heat_limit(name):g}"
            bad(card, f"{value:g} degrees Celsius", limit)
        elif _is(exporter.uncorrectable, name) and value > 0:
            bad(card, f"{value:g} uncorrectable memory errors", "none")
        elif _is(exporter.health, name) and value != exporter.healthy_value:
            bad(card, f"{name} is {value:g}", f"{exporter.healthy_value:g}")
    return out


def _is(rule: str, name: str) -> bool:
    return bool(rule) and re.fullmatch(rule, name) is not None
