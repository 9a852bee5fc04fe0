"""Specs are checked without a cluster, and against the site's policy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from flows.cli.main import main
from flows.cli.reading.validated import against
from tasks.spec.policy import parse_policy
from tests.support.places import ROOT
from tests.support.update_golden import DEEPSEEK, specs

EXAMPLES = sorted(map(str, (ROOT / "deployments/models").glob("*.yaml")))


def test_every_example_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *EXAMPLES]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(EXAMPLES) and all(": ok: models/" in line for line in said)


def test_every_problem_of_every_file_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(Path(EXAMPLES[0]).read_text().replace("name:", "nmae:", 1))
    assert main(["validate", str(bad), EXAMPLES[1], str(tmp_path / "none.yaml")]) == 2
    said = capsys.readouterr()
    assert said.out.startswith(f"{EXAMPLES[1]}: ok: ") and said.out.count("\n") == 1
    for word in ("nmae: unknown key", "name: is required and missing", "none.yaml: cannot be read"):
        assert word in said.err


def test_as_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: 5\n")
    assert main(["validate", EXAMPLES[0], "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["kind"]) == (1, "validate")
    (one,) = found["specs"]
    assert (one["file"], one["ok"], one["problems"]) == (EXAMPLES[0], True, [])
    assert one["namespace"] == "models" and one["name"] and one["model"] and one["accelerator"]
    assert main(["validate", EXAMPLES[0], str(bad), "-o", "yaml"]) == 2
    said = capsys.readouterr()
    good, wrong = yaml.safe_load(said.out)["specs"]
    assert good == one and said.err == ""
    assert (wrong["ok"], wrong["name"]) == (False, "") and "bad.yaml" in wrong["problems"][0]


def test_what_is_overridden_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", EXAMPLES[0], "--set", "serving.port=80"]) == 2
    assert "--set serving.port=80" in capsys.readouterr().err


def test_the_sites_policy_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("images: [registry.example/*]\n")
    monkeypatch.setenv("MODEL_ROLLOUT_POLICY", str(policy))
    assert main(["validate", EXAMPLES[0]]) == 2
    said = capsys.readouterr()
    assert "the site's policy does not allow it: " in said.err and ": ok: " not in said.out


def test_what_goes_by_the_nodes_resource_is_not_claimed_to_be_known() -> None:
    spec = specs()[DEEPSEEK]
    exempt = parse_policy("forbid: [unconfined]\nexempt: [hygon.com/dcu]\n", "p")
    reasons, unknown = against(exempt, spec)
    assert reasons == [] and "name it in nodes.resource" in unknown
    nodes = spec.nodes.model_copy(update={"resource": "hygon.com/dcu"})
    assert against(exempt, spec.model_copy(update={"nodes": nodes})) == ([], "")
    nodes = spec.nodes.model_copy(update={"resource": "hygon.com/hcu"})
    assert against(exempt, spec.model_copy(update={"nodes": nodes}))[0] != []


@pytest.mark.parametrize(
    ("verify", "why"),
    [
        ({"from": "engine"}, "from: engine measures the requests of others"),
        ({"load": {"name": "r", "rate": 2}}, "by a rate nobody can tell ours from theirs"),
        ({"seconds": 30, "interval_s": 2}, "are 15 looks, and 20 exclude others"),
        ({}, ""),
    ],
)
def test_a_way_back_that_can_never_be_is_said(
    verify: dict[str, object], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "spec.yaml"
    found = yaml.safe_load(Path(EXAMPLES[0]).read_text())
    file.write_text(yaml.safe_dump({**found, "verify": {"on_miss": "roll-back", **verify}}))
    assert main(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert ("never goes back here" in said) == bool(why) and why in said
