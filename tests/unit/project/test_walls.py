"""Every wall refuses a module that breaks it, the moment the module exists."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.places import ROOT

# wall -> (a new module, what it must not do); one of each
BREACHES = {
    "flows over tasks": ("tasks/steps/breach.py", "import flows.janitor"),
    "rooms": ("tasks/measure/breach.py", "import tasks.verdict.bounds"),
    "what decides touches nothing outside": ("tasks/verdict/breach.py", "import subprocess"),
    "a library has one room": ("tasks/outside/disk/breach.py", "import boto3"),
    "outside systems do not know each other": (
        "tasks/outside/s3/breach.py",
        "import tasks.outside.disk.store",
    ),
    "the stand-in knows nothing of the product": (
        "deployments/local/breach.py",
        "import tasks.base.clock",
    ),
    "rooms of the stand-in": (
        "deployments/local/kube/objects/breach.py",
        "import deployments.local.kube.api.server",
    ),
    "no step knows another": ("tasks/steps/judge.py", "import tasks.steps.plan"),
    "only the demo knows the embedded default": ("tasks/run/run.py", "import deployments.local"),
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The walls that lint-imports calls broken in a copy that holds every breach."""
    copy: Path = tmp_path_factory.mktemp("walls")
    hidden = shutil.ignore_patterns("__pycache__")
    for name in ("flows", "tasks", "deployments"):
        shutil.copytree(ROOT / name, copy / name, ignore=hidden)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for file, line in BREACHES.values():
        with (copy / file).open("a") as out:
            out.write(f"\n{line}\n")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return set(re.findall(r"^(.*) BROKEN", done.stdout, re.MULTILINE))


def test_every_wall_is_tried() -> None:
    walls = re.findall(r'^name = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(walls) - {"model-rollout"} == set(BREACHES)


@pytest.mark.parametrize("wall", BREACHES)
def test_a_wall_holds(broken: set[str], wall: str) -> None:
    assert wall in broken
