"""What the fields of a spec mean."""

from __future__ import annotations

import json

import pytest

from flows.cli.main import main
from flows.cli.reading.explain import field_of
from tasks.base.errors import SpecError
from tasks.spec.rollout import Rollout


def test_the_whole_spec_has_its_fields_in_their_order() -> None:
    found = field_of("")
    assert (found["schema"], found["kind"], found["type"]) == (1, "explain", "Rollout")
    assert [item["name"] for item in found["fields"]] == list(Rollout.model_fields)
    by_name = {item["name"]: item for item in found["fields"]}
    assert by_name["targets"]["type"] == "list of Target" and by_name["targets"]["required"]
    assert by_name["store"]["description"] == "Where weights lie on each node."
    assert by_name["namespace"]["default"] == "default"


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ("serving.replicas", "default", 1),
        ("serving.replicas", "limits", ["at least 1", "at most 10,000"]),
        ("serving.dtype", "values", ["auto", "half", "float16", "bfloat16", "float", "float32"]),
        ("serving.command", "default", ["python3", "-m", "vllm.entrypoints.openai.api_server"]),
        ("serving.command", "type", "list of string"),
        ("serving.env", "type", "map of string"),
        ("serving.pod", "type", "map"),
        ("serving.max_model_len", "type", "integer or null"),
        ("serving.max_model_len", "limits", ["at least 1", "at most 1,000,000,000"]),
        ("serving.image", "required", True),
        ("targets.metric", "description", "<metric>[_<statistic>]_<unit>, such as ttft_p95_ms"),
        ("quality.minimum_percent", "required", True),
        ("records.bucket", "type", "string"),
        ("promotion.soak", "type", "Soaking"),
        ("promotion.soak.duration_s", "default", 60),
        ("store", "default", {}),
    ],
)
def test_a_field(path: str, key: str, value: object) -> None:
    assert field_of(path)[key] == value


def every(path: str = "") -> list[str]:
    """Every field there is."""
    out = [path] if path else []
    for item in field_of(path)["fields"]:
        out += every(f"{path}.{item['name']}".strip("."))
    return out


def test_every_field_can_be_explained() -> None:
    found = every()
    assert len(found) > 120 and "benchmark.workload.input_tokens.mean" in found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nosuch", "the spec has no field 'nosuch'; it has: name, namespace, "),
        ("store.pth", "store has no field 'pth'; it has: path, keep_free_gib, "),
        ("name.x", "name is string and has no fields; found 'name.x'"),
        ("serving.env.X", "serving.env is map of string and has no fields"),
        ("promotion..soak", "promotion has no field ''"),
    ],
)
def test_where_there_is_no_such_field_those_there_are_named(path: str, said: str) -> None:
    with pytest.raises(SpecError, match=r"^") as caught:
        field_of(path)
    assert said in str(caught.value)


def test_both_ways_of_showing_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "store"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "store: Store"
    assert "path: string, default /var/lib/model-rollout/models" in said
    assert "    Host path" in said
    assert main(["explain", "store", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == field_of("store")
