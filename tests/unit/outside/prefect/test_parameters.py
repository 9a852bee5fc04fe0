"""What a flow run is given, and how it is called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tasks.base.errors import Refused, SpecError
from tasks.outside.prefect import parameters
from tasks.outside.prefect.parameters import must_be_its_own, of_parameters, run_name
from tasks.service.names import TAG, tags_of
from tasks.spec.file import read_spec
from tasks.spec.overrides import of_set, of_target
from tests.support.nodedata import make_spec

SPEC = make_spec()


def test_a_spec_is_taken_as_it_is() -> None:
    assert of_parameters(SPEC, None, None) is SPEC


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC.model_dump(mode="json", exclude_defaults=True)))
    assert of_parameters(None, str(path), None) == SPEC


@pytest.mark.parametrize(("spec", "file"), [(None, None), (SPEC, "spec.yaml")])
def test_one_of_the_two_is_given(spec: Any, file: str | None) -> None:
    with pytest.raises(SpecError, match="exactly one of 'spec' and 'spec_file'"):
        of_parameters(spec, file, None)


def test_another_revision_is_the_specs_in_all_else() -> None:
    found = of_parameters(SPEC, None, "v2")
    assert found.model.revision == "v2" and SPEC.model.revision != "v2"
    assert found.model_copy(update={"model": SPEC.model}) == SPEC


def test_a_revision_that_cannot_be_one_is_named_as_the_parameter() -> None:
    with pytest.raises(SpecError, match=r"parameters\.revision ''"):
        of_parameters(SPEC, None, "")


FIELDS: dict[str, Any] = {
    "targets": {"ttft_p95_ms": 800, "tpot_mean_ms": 50.5},
    "changes": {"serving.max_model_len": 8192, "smoke": [{"prompt": "Hello"}]},
}


def test_a_form_changes_what_the_command_line_does(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC.model_dump(mode="json", exclude_unset=True)))
    overrides = [
        *map(
            of_set, ("serving.max_model_len=8192", "smoke=[{prompt: Hello}]", "model.revision=v2")
        ),
        *map(of_target, ("ttft_p95_ms=800", "tpot_mean_ms=50.5")),
    ]
    there = read_spec(path, overrides)
    assert of_parameters(None, str(path), "v2", **FIELDS) == there
    assert of_parameters(SPEC, None, "v2", **FIELDS) == there
    assert {item.metric: item.limit for item in there.targets}["ttft_p95_ms"] == 800


@pytest.mark.parametrize("from_file", [True, False])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"targets": {"ttft_p95": 800}}, r"targets ttft_p95: 800: targets\.\d\.metric: "),
        ({"targets": {"ttft_p95_ms": "800"}}, "targets ttft_p95_ms: 800: a number is expected"),
        ({"targets": {"ttft_p95_ms": True}}, "targets ttft_p95_ms: True: a number is expected"),
        ({"changes": {"serving.port": "no"}}, r"changes serving\.port: no: serving\.port: "),
        ({"changes": {"severing.port": 9000}}, r"changes severing\.port: 9000: severing"),
        ({"changes": {"": 1}}, "changes : 1: name a key of the spec"),
        ({"changes": {"name.x": 1}}, r"changes name\.x: 1: 'name' holds a value"),
    ],
)
def test_what_is_wrong_in_a_form_is_named_as_it_was_given(
    from_file: bool, fields: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC.model_dump(mode="json", exclude_unset=True)))
    given = (None, str(path)) if from_file else (SPEC, None)
    with pytest.raises(SpecError, match=said):
        of_parameters(*given, None, **fields)


@pytest.mark.parametrize("commit", ["c" * 40, None])
def test_a_commit_is_what_an_event_names(commit: str | None) -> None:
    assert of_parameters(SPEC, None, None, commit) is SPEC


@pytest.mark.parametrize("commit", ["", "../../etc", "a b", "None"])
def test_a_commit_that_cannot_be_one_is_refused(commit: str) -> None:
    with pytest.raises(SpecError, match=r"parameters\.commit: .*names the commit"):
        of_parameters(SPEC, None, None, commit)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"spec": {"name": "r1"}}, "rollout r1"),
        ({"spec": SPEC}, "rollout r1"),
        ({"spec_file": "models/r1.yaml"}, "rollout models/r1.yaml"),
        ({"spec": None, "spec_file": "models/r1.yaml"}, "rollout models/r1.yaml"),
        ({"spec": {}}, "rollout"),
        ({}, "rollout"),
        (None, "rollout"),
        ({"spec_file": "models/r1.yaml", "tags": ["model-rollout", "model:r1"]}, "rollout r1"),
    ],
)
def test_a_run_is_named_for_what_it_rolls_out(
    given: dict[str, Any] | None, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = (given or {}).pop("tags", [])
    monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(parameters=given, tags=tags))
    assert run_name() == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"what": "approve", "name": "m", "rollout": "r-1"}, "approve m (rollout r-1)"),
        ({"what": "abort", "name": "m", "rollout": ""}, "abort m"),
        ({"name": "m"}, "rollback m"),
        (
            {"what": "approve", "name": "m", "rollout": "r-1", "called": "approve m-0123"},
            "approve m-0123",
        ),
    ],
)
def test_a_wish_is_named_for_what_it_asks_and_of_which(
    given: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = given.pop("called", "brave-otter")
    monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(parameters=given, name=called))
    assert parameters.wish_name() == name


def test_the_guards_run_says_where_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, name in (({"namespace": "models"}, "guard models"), ({}, "guard of all namespaces")):
        monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(parameters=given))
        assert parameters.guard_name() == name


def test_outside_of_a_flow_run_nothing_is_renamed() -> None:
    parameters.rename("rollout m-1", "r-1")


def test_a_models_own_deployment_takes_no_other_model(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [*tags_of(("models", "chat")), "a-person's"]
    monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(tags=tags))
    must_be_its_own("chat", "models")
    for other in (("tiny", "models"), ("chat", "default")):
        with pytest.raises(Refused, match="this deployment is of models/chat"):
            must_be_its_own(*other)
    monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(tags=[TAG]))
    must_be_its_own("tiny", "models")  # one for any model
    monkeypatch.setattr(parameters, "flow_run", SimpleNamespace(tags=None))
    must_be_its_own("tiny", "models")
