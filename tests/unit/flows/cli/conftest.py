"""What a command of the service finds where it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tasks.service.database import DATABASE
from tests.support.places import ROOT

SPEC = ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a folder of one spec."""
    place = tmp_path / "work"
    (place / "specs").mkdir(parents=True)
    shutil.copy(SPEC, place / "specs" / "a.yaml")
    monkeypatch.chdir(place)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv(DATABASE, raising=False)
    monkeypatch.setenv("MODEL_ROLLOUT_HOME", str(tmp_path / "home"))
    return place
