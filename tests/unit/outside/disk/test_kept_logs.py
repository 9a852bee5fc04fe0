"""Logs that an error carries are kept beside the record, which names them."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.base.errors import StepFailed
from tasks.outside.disk.records import logs_kept
from tasks.run.findings import Planned
from tasks.run.locked import Locked
from tasks.run.run import Run
from tasks.steps.fetch_weights import fetch
from tests.support.cluster.cluster_fake import FakeObjects
from tests.support.cluster.jobs_fake import Controller
from tests.support.nodedata import make_spec
from tests.support.surveys import survey

LOGS = {"m-engine.log": "api_key=sesame\nlast words\n", "m-engine-1.log": "again\n"}


def started() -> Run:
    cluster: Any = SimpleNamespace(address="https://api:6443")
    return Run(make_spec(), cluster, rollout="run-1")


def test_a_failed_step_leaves_its_logs_beside_the_record(home: Path) -> None:
    here = started()
    with pytest.raises(StepFailed, match=r"^no$"), here.step("deploy"):
        raise StepFailed("no", LOGS)
    folder = home / "rollouts" / "r1" / "run-1" / "logs"
    assert here.record.logs == [str(folder / name) for name in sorted(LOGS)]
    assert (folder / "m-engine.log").read_text() == "api_key=***\nlast words\n"
    here.keep_logs(LOGS)  # the same again is the same file
    assert len(here.record.logs) == 2


def test_a_failed_fetch_leaves_its_log(home: Path) -> None:
    api = FakeObjects()
    Controller(api, 7)
    api.said["fetch-w1-abcde"] = ["Traceback (most recent call last):", "OSError: odd"]
    here = Run(make_spec(), api, rollout="run-1")  # type: ignore[arg-type]
    lock: Any = SimpleNamespace(epoch=1, check=lambda: None, abort="")
    plan: Any = None  # the node is named
    planned = Planned(plan, survey(make_spec()), {})
    with pytest.raises(StepFailed, match=r"fetch Job on w1 failed: .* exited with 7: OSError: odd"):
        fetch(here, Locked(here.cluster, "models", "r1", lock), planned, "w1")
    (kept,) = here.record.logs
    assert Path(kept).read_text().endswith("OSError: odd\n")


def test_without_logs_nothing_is_written(home: Path) -> None:
    here = started()
    with pytest.raises(ValueError, match="odd"), here.step("deploy"):
        raise ValueError("odd")
    assert not here.record.logs and not home.exists()


def test_a_command_without_a_record_names_them_in_its_error(home: Path) -> None:
    with pytest.raises(StepFailed) as caught, logs_kept("r1", "run-2"):
        raise StepFailed("no", LOGS)
    first, *rest = str(caught.value).splitlines()
    folder = home / "rollouts" / "r1" / "run-2" / "logs"
    assert first == "no"
    assert rest == [f"  log: {folder / name}" for name in sorted(LOGS)]
    with pytest.raises(StepFailed, match=r"^no$"), logs_kept("r1", "run-2"):
        raise StepFailed("no")


def test_a_disk_that_takes_nothing_hides_no_trouble(home: Path) -> None:
    home.write_text("a file where a folder should be")
    here = started()
    with pytest.raises(StepFailed, match=r"^no$"), here.step("deploy"):
        raise StepFailed("no", LOGS)
    assert not here.record.logs


def test_an_error_keeps_its_logs_between_processes() -> None:
    again = pickle.loads(pickle.dumps(StepFailed("no", LOGS)))
    assert (str(again), again.logs) == ("no", LOGS)
