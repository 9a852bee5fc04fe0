"""Every number of a spec has an end, and whatever is computed from it there can be computed."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.errors import SpecError
from tasks.measure.workload import draw_length
from tasks.release.memory.terms import unproven_until
from tasks.release.soak_rules import rules_of
from tasks.release.state import State, Terms, from_configmap, to_configmap
from tasks.release.wish import expired
from tasks.render.jobs import fetch_job, probe_job
from tasks.render.release import PodNeeds, deployment, release_of
from tasks.spec.file import build_spec, parse_spec
from tasks.spec.rollout import SPEC_BYTES, Rollout
from tests.support.cluster.bodies import release

BASE: dict[str, Any] = {
    "name": "m",
    "model": {"id": "o/n"},
    "nodes": {"accelerator": "cpu"},
    "serving": {"image": "i:1"},
    "targets": [{"metric": "ttft_p95_ms", "limit": 100}],
    "smoke": [{"prompt": "Who?"}],
    "quality": {"minimum_percent": 1},
    "maintenance_windows": [{"cron": "0 1 * * *", "hours": 4}],
    "quiet_hours": [{"cron": "0 1 * * *", "hours": 4}],
    "benchmark": {
        "workload": {"input_tokens": {"mean": 5}, "output_tokens": {"mean": 5}},
        "loads": [{"name": "a", "concurrency": 1}],
    },
}
# what may not be given beside it
INSTEAD = {"rate": "concurrency", "versus_stable_percent": "limit"}
Path = tuple[str | int, ...]


def numbers(schema: Any, defs: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every number of a JSON schema, with the place where it is given."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    if schema.get("type") in ("integer", "number"):
        yield path, schema
    for other in schema.get("anyOf", ()):
        yield from numbers(other, defs, path)
    for key, value in schema.get("properties", {}).items():
        yield from numbers(value, defs, (*path, key))
    if "items" in schema:
        yield from numbers(schema["items"], defs, (*path, 0))
    if isinstance(more := schema.get("additionalProperties"), dict):
        assert not list(numbers(more, defs, path)), f"{path}: numbers under any key"


def every() -> list[tuple[Path, Any]]:
    schema = Rollout.model_json_schema()
    return list(numbers(schema, schema["$defs"]))


def highest(schema: Any) -> float | int:
    if "maximum" in schema:
        return int(schema["maximum"]) if schema["type"] == "integer" else float(schema["maximum"])
    limit = schema["exclusiveMaximum"]
    return int(limit) - 1 if schema["type"] == "integer" else limit - 1e-9


def with_highest(path: Path, value: float) -> dict[str, Any]:
    data = copy.deepcopy(BASE)
    node: Any = data
    for here in path[:-1]:
        node = node[here] if isinstance(here, int) else node.setdefault(here, {})
    assert isinstance(path[-1], str)
    node[path[-1]] = value
    node.pop(INSTEAD.get(path[-1], ""), None)
    if path[:-1] == ("verify", "load"):
        node["name"] = "own"
    if path[-1] == "failures":
        node["consecutive"] = True
    if path[-1] == "min_rounds":
        node["max_rounds"] = value
    return data


def test_every_number_has_an_end() -> None:
    found = every()
    assert len(found) > 50
    open_ended = [
        ".".join(map(str, path))
        for path, schema in found
        if not {"maximum", "exclusiveMaximum"} & schema.keys()
    ]
    assert open_ended == []


@pytest.mark.parametrize(
    ("path", "schema"), every(), ids=lambda x: ".".join(map(str, x)) if isinstance(x, tuple) else ""
)
def test_what_is_computed_from_it_there_can_be_computed(path: Path, schema: Any) -> None:
    if path[-1] == "accelerators":
        return  # of a profile with devices, which the next test has
    spec = build_spec(with_highest(path, highest(schema)), "f")
    computed(spec)


def test_of_a_profile_with_devices() -> None:
    most = {"accelerators": 10_000, "tensor_parallel_size": 10_000, "replicas": 10_000}
    nodes = {"accelerator": "hygon-dcu"}
    serving = {**BASE["serving"], **most}
    computed(build_spec({**BASE, "nodes": nodes, "serving": serving}, "f"))


def computed(spec: Rollout) -> None:
    """Everything that goes by a number: what is rendered, the ends of waits, a state's times."""
    item = release_of(spec, "c" * 40, "sha256:0", PodNeeds())
    body = deployment(spec, item, PodNeeds(), ["n"])
    probe = body["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    for whole in (
        body["spec"]["progressDeadlineSeconds"],
        body["spec"]["replicas"],
        probe["failureThreshold"],
        body["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        probe_job(spec, "n", "r", [], [])["spec"]["activeDeadlineSeconds"],
        fetch_job(spec, "n", "c" * 40, "sha256:0")["spec"]["activeDeadlineSeconds"],
    ):
        assert 0 < whole < 1 << 31
    workload = spec.benchmark.workload
    for lengths in filter(None, (workload.input_tokens, workload.output_tokens)):
        for kind in ("fixed", "uniform", "lognormal"):
            drawn = draw_length(lengths.model_copy(update={"kind": kind}), random.Random(1))
            assert 0 < drawn < 1 << 31
    assert rules_of(spec, {"ttft_s": 1.0}).bounds.error_share > 0
    hours = spec.promotion.approval_hours
    until = (clock.now() + timedelta(hours=hours)).isoformat(timespec="seconds")
    stable = release("old")
    plain = spec.model_dump(mode="json", exclude_defaults=True)
    state = State("m", stable=stable, until=until, drain_s=spec.promotion.drain_s, phase="held")
    state = replace(state, terms={"old": Terms(plain, since=clock.now().isoformat())})
    held = from_configmap("m", to_configmap(state, "models"))
    assert held == state and not expired(held, clock.now())
    waits = replace(held, phase="unproven", until="")
    assert unproven_until(waits) and not expired(waits, clock.now())


@pytest.mark.parametrize("value", [1e308, 10**400, "1e400"])
@pytest.mark.parametrize(("path", "schema"), every()[::7])
def test_what_is_beyond_it_is_refused(path: Path, schema: Any, value: Any) -> None:
    with pytest.raises(SpecError):
        build_spec(with_highest(path, value), "f")


def test_a_spec_that_its_memory_has_no_room_for_is_refused() -> None:
    large = "x" * (1 << 20)
    with pytest.raises(
        SpecError, match=r"the spec: 1,04\d,\d\d\d bytes found as JSON, at most 262,144"
    ):
        build_spec({**BASE, "smoke": [{"prompt": large}]}, "f")
    with pytest.raises(SpecError, match="at most 1,048,576 expected"):
        parse_spec(f"name: {large}")
    fits = {**BASE, "smoke": [{"prompt": "x" * (SPEC_BYTES - 1000)}]}
    assert build_spec(fits, "f").name == "m"
    wide = "\u4e2d" * (SPEC_BYTES // 5)  # six bytes each, as JSON has them
    with pytest.raises(SpecError, match="bytes found as JSON"):
        build_spec({**BASE, "smoke": [{"prompt": wide}]}, "f")


@pytest.mark.parametrize("value", ["9" * 400, "9999999"])
def test_numbers_inside_of_words_have_an_end_too(value: str) -> None:
    args = {**BASE["serving"], "extra_args": [f"--shutdown-timeout={value}"]}
    with pytest.raises(SpecError, match="whole seconds"):
        build_spec({**BASE, "serving": args}, "f")
    for field in ("cpu", "memory"):
        serving = {**BASE["serving"], "resources": {field: "9" * 400}}
        with pytest.raises(SpecError):
            build_spec({**BASE, "serving": serving}, "f")
