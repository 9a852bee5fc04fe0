"""What is shipped: the product, and not the stand-in that tests and the demo run on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
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


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the runner image's is built from, and nothing else."""
    place = tmp_path_factory.mktemp("image")
    for name in copied():
        there = place / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, there, ignore=leave)
        else:
            shutil.copy(ROOT / name, there)
    return place


def test_what_the_image_has_is_all_that_its_package_is_built_from(image: Path) -> None:
    told = tomllib.loads((image / "pyproject.toml").read_text())
    project, wheel = told["project"], told["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name in [project["readme"], *project["license-files"], *wheel["packages"]]:
        assert (image / name).exists(), name


# every module but the demo, which runs on the stand-in, from the repository alone
IMPORTS = """
import importlib, pkgutil, sys
for name in ("flows", "tasks", "deployments"):
    package = importlib.import_module(name)
    assert package.__path__ == [f"{sys.argv[1]}/{name}"], package.__path__
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        if not found.name.endswith("__main__") and found.name != "flows.cli.demo":
            importlib.import_module(found.name)
"""


def test_the_command_answers_from_what_the_image_has(image: Path, tmp_path: Path) -> None:
    """Its packages hide those of the repository: what it lacks is found nowhere else."""
    surroundings = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(image)}
    for line in (["-m", "flows.cli", "--version"], ["-c", IMPORTS, str(image)]):
        done = subprocess.run(
            [sys.executable, "-B", *line],
            cwd=tmp_path,
            env=surroundings,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("model-rollout ") or line[0] == "-c"


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
