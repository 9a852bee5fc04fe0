"""The rollout spec: what is accepted, and how what is wrong is said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.spec.file import build_spec, parse_spec, read_spec
from tasks.spec.metrics import KINDS, parse_metric
from tasks.spec.overrides import Override, of_set, of_target
from tasks.spec.rollout import Rollout
from tests.support.places import ROOT

EXAMPLES = sorted((ROOT / "deployments" / "models").glob("*.yaml"))
MINIMAL: dict[str, Any] = {
    "name": "m",
    "model": {"id": "o/n"},
    "nodes": {"accelerator": "cpu"},
    "serving": {"image": "i:1"},
    "targets": {"ttft_p95_ms": 100},
}


def problems_of(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, "f.yaml")
    return caught.value.problems


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_is_a_spec(path: Path) -> None:
    assert read_spec(path).name


def test_defaults_are_filled_in() -> None:
    spec = build_spec(MINIMAL, "f")
    assert (spec.served_name, spec.devices, spec.promotion.strategy) == ("n", 0, "auto")
    assert spec.targets[0].metric == "ttft_p95_ms" and spec.targets[0].limit == 100


def test_one_line_for_each_problem_with_its_place() -> None:
    text = """\
name: M_1
model: {id: x, revison: y}
nodes: {accelerator: cpu}
serving:
  image: i
  tensor_parallel_size: two
targets:
  ttft_p95_parsec: 5
  speed: 1
"""
    found = problems_of(text)
    assert [line.split(": ")[1:3] for line in found] == [
        ["line 1", "name"],
        ["line 2", "model.id"],
        ["line 2", "model.revison"],
        ["line 6", "serving.tensor_parallel_size"],
        ["line 8", "targets.ttft_p95_parsec.metric"],
        ["line 9", "targets.speed.metric"],
    ]
    assert "unknown key" in found[2] and "'two'" in found[3]
    assert "'parsec', which does not exist here; use ms or s" in found[4]


@pytest.mark.parametrize(
    ("change", "place", "words"),
    [
        (
            {
                "nodes": {"accelerator": "hygon-dcu"},
                "serving": {"image": "i", "tensor_parallel_size": 8, "accelerators": 4},
            },
            "serving.tensor_parallel_size",
            "8 does not match the 4 accelerators",
        ),
        ({"serving": {"image": "i", "accelerators": 2}}, "serving.accelerators", "cpu profile"),
        (
            {"serving": {"image": "i", "extra_args": ["--port=9"]}},
            "serving.extra_args",
            "serving.port",
        ),
        (
            {"targets": [{"metric": "ttft_p95_ms", "limit": 1, "load": "c9"}]},
            "targets.0.load",
            "no load point; known are c8",
        ),
        (
            {"targets": [{"metric": "ttft_p95_ms", "limit": 1, "advisory": True}]},
            "targets",
            "every target is advisory",
        ),
        ({"targets": []}, "targets", "at least 1 item"),
        ({"targets": {"success_rate_percent": 101}}, "targets.0", "above 100 percent"),
        ({"targets": {"goodput_ratio": 0.9}}, "targets.0", "goodput needs"),
        ({"store": {"path": "/a/../b"}}, "store.path", "without '..'"),
        ({"model": {"id": "owner/.."}}, "model.id", "'owner/..'"),
        ({"records": {"bucket": "a b/../c"}}, "records.bucket", "'a b/../c'"),
        (
            {"promotion": {"soak": {"failures": 5, "window": 3}}},
            "promotion.soak",
            "5 failures among the last 3 looks can never be; make window at least 5",
        ),
        (
            {"promotion": {"soak": {"duration_s": 0, "no_traffic": "hold"}}},
            "promotion.soak",
            "leaves no time for traffic; give duration_s",
        ),
        (
            {"promotion": {"leaves": ["m-internal", "m/8080", "m/grpc", "M internal"]}},
            "promotion.leaves",
            "'M internal' names no Service and no port; give a Service's name, or SERVICE/PORT",
        ),
        ({"promotion": {"leaves": ["m/a/b"]}}, "promotion.leaves", "names no Service and no port"),
        ({"promotion": {"leaves": ["m/"]}}, "promotion.leaves", "names no Service and no port"),
        ({"promotion": {"soak": {"interval_s": 0}}}, "promotion.soak.interval_s", "found 0"),
        (
            {"promotion": {"soak": {"no_traffic": "pass"}}},
            "promotion.soak.no_traffic",
            "'probes', 'hold' or 'roll-back'",
        ),
        (
            {"promotion": {"soak_s": 5, "soak": {"duration_s": 5}}},
            "promotion",
            "soak_s is the older name of soak.duration_s, and both are given; remove soak_s",
        ),
        ({"promotion": {"soak": 60}}, "promotion.soak", "found 60"),
        ({"promotion": {"soak_s": -1}}, "promotion.soak.duration_s", "found -1"),
        (
            {"benchmark": {"loads": [{"name": "a", "concurrency": 1, "rate": 2}]}},
            "benchmark.loads.0",
            "exactly one",
        ),
    ],
)
def test_impossible_combinations_are_refused(
    change: dict[str, Any], place: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        build_spec({**MINIMAL, **change}, "f")
    assert len(caught.value.problems) == 1
    assert f": {place}" in caught.value.problems[0] and words in caught.value.problems[0]


def test_the_older_name_of_a_soaks_length_is_read() -> None:
    """Also from the states that older versions left in clusters."""
    for promotion in ({"soak_s": 7}, {"soak_s": 7, "soak": {"failures": 2}}):
        spec = build_spec({**MINIMAL, "promotion": promotion}, "f")
        assert spec.promotion.soak.duration_s == 7
        plain = spec.model_dump(mode="json", exclude_defaults=True)
        assert plain["promotion"]["soak"]["duration_s"] == 7 and "soak_s" not in plain["promotion"]
        assert build_spec(plain, "again") == spec


def test_failures_in_a_row_need_no_window() -> None:
    soak = {"failures": 12, "consecutive": True}
    spec = build_spec({**MINIMAL, "promotion": {"soak": soak}}, "f")
    assert (spec.promotion.soak.failures, spec.promotion.soak.window) == (12, 10)


def test_a_key_given_twice_is_an_error() -> None:
    assert "given twice" in problems_of("name: a\nname: b\n")[0]


@pytest.mark.parametrize("text", ["", "[]", "a: b: c", "\t", "&a [*a]", "!!python/object:os.x {}"])
def test_what_is_no_spec_is_said_in_one_line(text: str) -> None:
    assert problems_of(text)


@given(st.text(max_size=200))
def test_any_text_parses_or_is_a_spec_error(text: str) -> None:
    try:
        parse_spec(text)
    except SpecError as error:
        assert error.problems and all("\n" not in line for line in error.problems)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(Rollout.model_fields)), _json)
def test_any_value_in_any_field_is_taken_or_named(field: str, value: Any) -> None:
    try:
        build_spec({**MINIMAL, field: value}, "f")
    except SpecError as error:
        assert all(line.startswith("f: ") for line in error.problems)


def test_a_spec_survives_yaml_and_back() -> None:
    for path in EXAMPLES:
        spec = read_spec(path)
        again = build_spec(yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json"))), "again")
        assert again == spec


def test_targets_and_settings_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(MINIMAL))
    spec = read_spec(file, [of_set("serving.port=9000"), of_target("ttft_p95_ms=1")])
    assert spec.serving.port == 9000 and [t.limit for t in spec.targets] == [1]
    for bad in ("ttft_p95_ms", "ttft_p95_ms=fast", "=1"):
        with pytest.raises(SpecError):
            read_spec(file, [of_target(bad)])
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(tmp_path / "absent.yaml")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    "path",
    [
        "targets.ttft_p95_ms",
        "promotion.soak.duration_s",
        "promotion.drain_s",
        "benchmark.budget.seconds",
        "serving.gpu_memory_utilization",
    ],
)
def test_a_figure_is_finite(path: str, value: float) -> None:
    item = Override(tuple(path.split(".")), value, f"--set {path}={value}")
    with pytest.raises(SpecError, match=r"finite|than or equal|greater|less"):
        parse_spec(yaml.safe_dump(MINIMAL), "f", [item])


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(SpecError, match="over 1,048,576 characters found"):
        read_spec("/dev/zero")


def test_a_short_text_does_not_stand_for_a_world() -> None:
    lines = ["a0: &a0 [1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 31)]
    with pytest.raises(SpecError, match="use fewer aliases"):
        parse_spec("\n".join(lines), "f")
    with pytest.raises(SpecError, match="at most 1,048,576 expected"):
        parse_spec("#" * (2 << 20), "f")
    with pytest.raises(SpecError, match="not valid YAML"):
        parse_spec("a: &a [*a]", "f")
    spec = yaml.safe_dump(MINIMAL).replace("image: i:1", "image: i:1\n  env: *e")
    shared = f"env: &e {{A: '1'}}\n{spec}"
    with pytest.raises(SpecError, match="unknown key"):  # of `env` at the top alone
        parse_spec(shared, "f")


LISTED = {**MINIMAL, "targets": [{"metric": "ttft_p95_ms", "limit": 5, "advisory": True}]}


@pytest.mark.parametrize("data", [MINIMAL, LISTED])
@pytest.mark.parametrize(
    ("item", "place"),
    [
        (of_set("serving.port=high"), "serving.port"),
        (of_set("serving.port=[1, 2]"), "serving.port"),
        (of_set("serving={image: 'i:1', port: -1}"), "serving.port"),
        (of_target("ttft_p95_ms=-1"), "targets."),
        (of_target("speed=1"), "targets."),
        (Override(("model", "revision"), "", "parameters.revision ''"), "model.revision"),
    ],
)
def test_a_wrong_value_is_laid_to_what_gave_it(
    data: dict[str, Any], item: Override, place: str
) -> None:
    """Not to the line of the file whose value it replaced."""
    with pytest.raises(SpecError) as caught:
        parse_spec(yaml.safe_dump(data), "f", [item])
    (said,) = caught.value.problems
    assert said.startswith(f"f: {item.told}: {place}")


@pytest.mark.parametrize(
    ("name", "kind", "quantile", "unit"),
    [
        ("ttft_p99.9_ms", "ttft", 0.999, "ms"),
        ("latency_mean_s", "latency", None, "s"),
        ("output_throughput_tok_s", "output_throughput", None, "tok_s"),
    ],
)
def test_metric_names(name: str, kind: str, quantile: float | None, unit: str) -> None:
    metric = parse_metric(name)
    assert (metric.kind, metric.unit) == (kind, unit)
    assert metric.quantile == (pytest.approx(quantile) if quantile else None)


@given(st.sampled_from(sorted(KINDS)), st.text(max_size=12))
def test_metric_names_parse_or_say_what_is_wrong(kind: str, rest: str) -> None:
    try:
        assert parse_metric(f"{kind}_{rest}").kind in KINDS
    except ValueError as error:
        assert str(error)
