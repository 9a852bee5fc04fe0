"""What is shipped: the product, and not the stand-in that tests and the demo run on."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from tasks.render.jobs import RUNNER_USER
from tests.support.places import ROOT

APART = "deployments/local"


def test_the_wheel_leaves_the_stand_in_out() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert APART in wheel["targets"]["wheel"]["exclude"]


def copied() -> list[str]:
    """What the runner image has of this repository, by its place there."""
    lines = (ROOT / "deployments/images/runner.Dockerfile").read_text().splitlines()
    copies = [line.split()[1:] for line in lines if line.startswith("COPY ")]
    for *sources, target in copies:
        assert target == "./" or sources == [target], "a file's place there is its place here"
    return [source for *sources, _ in copies for source in sources]


def test_the_runner_image_leaves_the_stand_in_out() -> None:
    assert not any(f"{APART}/".startswith(f"{path}/") for path in copied())
    assert not any(path.startswith(APART) for path in copied())


def in_the_image(page: str) -> list[str]:
    """Files of this repository that a page's commands read inside a pod of the runner image."""
    text = (ROOT / page).read_text().replace("\\\n", " ")
    inside = re.findall(r"(?m)kubectl .*\bexec deploy/\S+ -- (.+)$", text)
    words = [word for command in inside for word in shlex.split(command)]
    return [word for word in words if (ROOT / word).is_file() or Path(word).suffix]


def entrypoints() -> list[str]:
    """Files of the flows that prefect.yaml deploys from there."""
    found = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    modules = {item["entrypoint"].rpartition(".")[0] for item in found}
    return [f"{name.replace('.', '/')}.py" for name in sorted(modules)]


@pytest.mark.parametrize("page", ["README.md", "deployments/cluster/README.md", "docs/watch.md"])
def test_what_a_command_reads_in_the_image_is_there(page: str) -> None:
    for name in [*in_the_image(page), *entrypoints(), "prefect.yaml"]:
        assert (ROOT / name).is_file(), name
        assert any(f"{name}/".startswith(f"{path}/") for path in copied()), name


def test_the_commands_of_the_page_are_seen() -> None:
    assert in_the_image("deployments/cluster/README.md") == [
        "deployments/models/smollm2-135m-cpu.yaml"
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "deployments/images").glob("*.Dockerfile")))
def test_an_image_has_a_user_of_its_own(path: Path) -> None:
    """A number, as runAsNonRoot wants it; what pods say stands in test_cluster.py."""
    assert path.read_text().splitlines()[-1] == f"USER {RUNNER_USER}:{RUNNER_USER}"


@pytest.mark.parametrize("path", sorted((ROOT / "deployments/models").glob("*.yaml")))
def test_an_example_is_restricted_or_says_why_not(path: Path) -> None:
    text = path.read_text()
    serving = yaml.safe_load(text)["serving"]
    if "run_as_user" in serving:
        assert serving["run_as_user"] == RUNNER_USER and serving["read_only_root"] is True
    else:
        assert "# no run_as_user: " in text
