"""Every recorded node of every profile: healthy ones pass, each fault has its own code."""

from __future__ import annotations

import pytest

from tasks.accelerators.profiles import profile as profile_of
from tests.support.nodedata import FOLDER, cases, judge

PROFILES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
ALL = [(name, case["name"]) for name in PROFILES for case in cases(name)]
# what each profile with devices must have recorded
FAULTS = {
    "driver missing": "DRIVER_MISSING",
    "one card lost": "CARD_LOST",
    "label": "LABEL_DISAGREES",
    "plugin dead": "PLUGIN_UNHEALTHY",
    "disk full": "DISK_FULL",
    "both plugins": "PLUGINS_CONFLICT",
    "renamed resource": "RESOURCE_RENAMED",
}


@pytest.mark.parametrize(("profile", "name"), ALL, ids=[f"{p}: {n}" for p, n in ALL])
def test_recorded_node(profile: str, name: str) -> None:
    judged = judge(profile, name)
    case, verdict = judged.case, judged.verdict
    found = {
        severity: {r.code for r in verdict.reasons if r.severity == severity}
        for severity in ("error", "warning")
    }
    assert found["error"] == set(case.get("errors", [])), [str(r) for r in verdict.reasons]
    assert found["warning"] == set(case.get("warnings", [])), [str(r) for r in verdict.reasons]
    assert verdict.usable is (not case.get("errors"))
    assert set(judged.preselected) == set(case.get("preselect", []))
    for field in ("resource", "driver"):
        if field in case:
            assert getattr(verdict, field) == case[field]
    for reason in verdict.reasons:
        assert reason.found and reason.expected and reason.action


@pytest.mark.parametrize("profile", [p for p in PROFILES if p != "cpu"])
def test_every_fault_of_the_list_is_recorded(profile: str) -> None:
    row = profile_of(profile)
    for start, code in FAULTS.items():
        if start == "label" and not (row.labels.model or row.labels.memory):
            continue  # no label of this vendor says what could be wrong
        hits = [c for c in cases(profile) if c["name"].startswith(start)]
        assert hits, f"{profile} has no case '{start}'"
        assert any(code in c.get("errors", []) for c in hits)
    for start in ("healthy", "old driver", "version file absent"):
        assert any(c["name"].startswith(start) for c in cases(profile)), start
