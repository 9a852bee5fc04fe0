"""Rules and dashboard ask for metrics that there are; the manifest runs what tells them."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import kubernetes_validate
import promql_parser
import pytest
import yaml

from flows.cli.commands.app import build
from flows.cli.commands.look import metrics
from tasks.release.state import Phase
from tasks.report.gauges import PREFIX, families
from tests.support.places import ROOT, VERSIONS

FOLDER = ROOT / "deployments" / "monitoring"
OF_THE_LOOK = ("up", "look_timestamp_seconds", "finished_total")
KNOWN = {PREFIX + name for name in (*OF_THE_LOOK, *(family.name for family in families([])))}
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())


PANELS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def asked() -> list[str]:
    """Every expression of rules and dashboard."""
    chosen = [item["query"] for item in BOARD["templating"]["list"]]
    return [*(rule["expr"] for rule in RULES), *PANELS, *chosen]


@pytest.mark.parametrize("text", [*(rule["expr"] for rule in RULES), *PANELS])
def test_prometheus_reads_it(text: str) -> None:
    promql_parser.parse(text)  # ValueError says where it does not


def test_what_is_asked_for_is_told() -> None:
    named = {name for text in asked() for name in re.findall(rf"{PREFIX}\w+", text)}
    assert named <= KNOWN
    phases = {
        p
        for text in asked()
        for m in re.findall(r'phase[!=~]+"([^"]+)"', text)
        for p in m.split("|")
    }
    assert phases <= set(get_args(Phase))


def test_an_alert_says_what_to_do() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        # Prometheus refuses a file with a key that it does not know
        assert rule.keys() <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
        assert re.fullmatch(r"([0-9]+[smhd])?", rule.get("for", ""))
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_no_two_panels_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24
        taken |= cells


def test_every_metric_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert set(re.findall(rf"`({PREFIX}\w+)`", page)) == KNOWN
    assert {rule["alert"] for rule in RULES} == set(re.findall(r"^\| `(Model\w+)`", page, re.M))


def test_the_manifest_is_what_the_api_takes() -> None:
    made, service = yaml.safe_load_all((ROOT / "deployments/cluster/base/metrics.yaml").read_text())
    for version in VERSIONS:
        kubernetes_validate.validate(made, version, strict=True)
        kubernetes_validate.validate(service, version, strict=True)
    template = made["spec"]["template"]
    assert template["metadata"]["labels"] == service["spec"]["selector"]
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    program, *command = container["command"]
    found, given, _ = build().parse_args(
        [part.replace("$(NAMESPACE)", "models") for part in command]
    )
    assert program == "rollout" and found is metrics
    assert given.arguments == {
        "host": "0.0.0.0",
        "port": port["containerPort"],
        "namespace": "models",
    }
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
