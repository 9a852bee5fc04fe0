"""Pods as the API reported them, with what is to be found (tests/data/pods)."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.places import DATA

DATA = DATA / "pods"


CASES = {path.stem: path for path in sorted(DATA.glob("*.yaml"))}


def load(name: str) -> dict[str, Any]:
    case = yaml.safe_load(CASES[name].read_text())
    return {"events": [], "nodes": [], "logs": "", **case}
