"""Recorded nodes: one YAML a profile, a base document and small patches a case.

A case: name; set [path, value], replace [path, old, new], append [path, item], delete path on a
copy of base; spec (merged over the file's); expected errors, warnings, preselect (codes),
resource, driver.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from tasks.accelerators.profiles import profile
from tasks.nodes.assess import NodeVerdict, api_facts, judge_node, preselect
from tasks.nodes.document import ProbeDoc
from tasks.spec.rollout import Rollout
from tests.support.places import DATA

FOLDER = DATA / "nodes"


@lru_cache
def load(name: str) -> dict[str, Any]:
    """One profile's file."""
    data: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    return data


def _merge(base: Any, patch: Any) -> Any:
    if isinstance(base, dict) and isinstance(patch, dict):
        return {k: _merge(base.get(k), patch[k]) if k in patch else base[k] for k in base | patch}
    return copy.deepcopy(patch)


def make_spec(*patches: dict[str, Any]) -> Rollout:
    """A valid spec with patches merged over it."""
    spec: dict[str, Any] = {
        "name": "r1",
        "model": {"id": "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"},
        "nodes": {"accelerator": "cpu"},
        "serving": {"image": "vllm:x"},
        "targets": {"ttft_p95_ms": 1000},
    }
    for patch in patches:
        spec = _merge(spec, patch)
    return Rollout.model_validate(spec)


def _apply(base: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    world = copy.deepcopy(base)

    def holder(path: list[Any]) -> Any:
        at: Any = world
        for key in path[:-1]:
            at = at[key]
        return at

    for path, value in case.get("set", []):
        holder(path)[path[-1]] = copy.deepcopy(value)
    for path, old, new in case.get("replace", []):
        text = holder(path)[path[-1]]
        assert old in text, f"{case['name']}: '{old}' is not in the text"
        holder(path)[path[-1]] = text.replace(old, new)
    for path, item in case.get("append", []):
        holder(path)[path[-1]].append(item)
    for path in case.get("delete", []):
        del holder(path)[path[-1]]
    return world


@dataclass(frozen=True)
class Judged:
    """A case with what came out."""

    case: dict[str, Any]
    verdict: NodeVerdict
    preselected: list[str]


def cases(name: str) -> list[dict[str, Any]]:
    """All cases of a profile."""
    found: list[dict[str, Any]] = load(name)["cases"]
    return found


def judge(name: str, case_name: str) -> Judged:
    """Judge one case."""
    data = load(name)
    case = next(c for c in data["cases"] if c["name"] == case_name)
    world = _apply(data["base"], case)
    spec = make_spec(data["spec"], case.get("spec", {}))
    prof = profile(name)
    api = api_facts(world["node"], world["pods"], world["daemonsets"])
    # through JSON text, as the log brings it
    doc = ProbeDoc.from_json(json.loads(json.dumps(world["probe"])))
    needed = case.get("bytes_needed", data["bytes_needed"])
    return Judged(
        case,
        judge_node(spec, prof, api, doc, needed, metrics=case.get("metrics", "")),
        [reason.code for reason in preselect(spec, prof, api)],
    )
