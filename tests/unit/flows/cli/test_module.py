"""The command, run as a module by either of its names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.places import ROOT


@pytest.mark.parametrize("module", ["flows.cli", "flows.cli.main"])
def test_a_module_is_the_command(module: str) -> None:
    # a process of its own: to run a module anew in this one would part it from its package
    command = [sys.executable, "-m", module, "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "check-nodes" in said
