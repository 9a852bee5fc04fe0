"""The commands of deployments/cluster/README.md do what it says, run as they stand there.

TokenRequest is no part of the stand-in: a kubectl in front of the real one answers `create token`
with the token that the stand-in demands, and notes every command line.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deployments.local.kube.cluster import LocalCluster
from tests.support.cluster.hand import Hand

README = Path(__file__).parents[2] / "deployments" / "cluster" / "README.md"
FRONT = """#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in
  *"create token"*) printf %s "$TOKEN" ;;
  *) exec "$KUBECTL" "$@" ;;
esac
"""


def commands() -> str:
    """The block that makes the kubeconfig, without the question that ends it."""
    block = re.search(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert block
    body, _, asked = block[1].rpartition(")\n")
    assert asked.startswith("kubectl --kubeconfig ~/.kube/model-rollout/config auth can-i")
    return f"{body})\n"


@pytest.mark.embedded("a real one makes tokens by itself, for whoever runs the commands")
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_kubeconfig_of_the_account(cluster: LocalCluster, tmp_path: Path, shell: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    admin = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    token = admin["users"][0]["user"]["token"]
    front, calls = tmp_path / "bin" / "kubectl", tmp_path / "calls"
    front.parent.mkdir()
    front.write_text(FRONT)
    front.chmod(0o755)
    done = subprocess.run(
        [shell],
        input=commands(),
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "PATH": f"{front.parent}:{os.environ['PATH']}",
            "KUBECONFIG": str(cluster.kubeconfig),
            "KUBECTL": kubectl,
            "TOKEN": token,
            "CALLS": str(calls),
        },
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    made = tmp_path / ".kube" / "model-rollout"
    assert {path.name: path.stat().st_mode & 0o777 for path in (made, *made.iterdir())} == {
        "model-rollout": 0o700,
        "config": 0o600,
        "token": 0o600,
    }
    said = calls.read_text()
    assert "-n models create token model-rollout --duration" in said and token not in said
    config = yaml.safe_load((made / "config").read_text())
    assert token not in (made / "config").read_text()
    assert config["clusters"][0]["cluster"]["server"] == cluster.url
    assert config["contexts"][0]["context"]["namespace"] == "models"
    with Hand.connect(str(made / "config")) as api:
        assert [node["metadata"]["name"] for node in api.list("Node")] == ["one"]
