"""The command, run as a module by either of its names."""

from __future__ import annotations

import runpy
import sys

import pytest


@pytest.mark.parametrize("module", ["flows.cli", "flows.cli.main"])
def test_a_module_is_the_command(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollout", "--help"])
    monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(module, run_name="__main__")
    assert ended.value.code == 0
    assert "check-nodes" in capsys.readouterr().out
