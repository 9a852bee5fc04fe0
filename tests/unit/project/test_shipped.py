"""What is shipped: the product, and not the stand-in that tests and the demo run on."""

from __future__ import annotations

import tomllib

from tests.support.places import ROOT

APART = "deployments/local"


def test_the_wheel_leaves_the_stand_in_out() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert APART in wheel["targets"]["wheel"]["exclude"]


def test_the_runner_image_leaves_the_stand_in_out() -> None:
    lines = (ROOT / "deployments/images/runner.Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY deployments")]
    assert copied and not any(f"{APART}/".startswith(f"{path}/") for path in copied)
    assert not any(path.startswith(APART) for path in copied)
