"""What a vendor's Prometheus exporter says of the cards. PURE."""

from __future__ import annotations

import re

from tasks.accelerators_types import Profile
from tasks.node_api import ApiFacts
from tasks.node_reasons import Reason, error

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


def samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    """(name, labels, value) of every sample line; comments and broken lines are skipped."""
    out = []
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.fullmatch(line.strip())
        if match is None:
            continue
        try:
            value = float(match["value"])
        except ValueError:
            continue
        out.append((match["name"], dict(_LABEL.findall(match["labels"] or "")), value))
    return out


def metrics_reasons(text: str, profile: Profile) -> list[Reason]:
    """Temperature, uncorrectable errors and health by the exporter's text format."""
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

    for name, labels, value in samples(text):
        card = next((labels[key] for key in exporter.index_labels if key in labels), "?")
        if _is(exporter.temperature, name) and value > profile.temperature_limit_c:
            limit = f"at most {profile.temperature_limit_c:g}"
            bad(card, f"{value:g} degrees Celsius", limit)
        elif _is(exporter.uncorrectable, name) and value > 0:
            bad(card, f"{value:g} uncorrectable memory errors", "none")
        elif _is(exporter.health, name) and value != exporter.healthy_value:
            bad(card, f"{name} is {value:g}", f"{exporter.healthy_value:g}")
    return out


def _is(rule: str, name: str) -> bool:
    return bool(rule) and re.fullmatch(rule, name) is not None
