"""What `make lock` makes of a Prefect server's log and runs."""

from __future__ import annotations

import importlib.util

from tests.support.places import ROOT

FILE = ROOT / "requirements" / "try_server.py"
LOG = """
 ___ ___ ___ ___ ___ ___ _____
Check out the dashboard at http://127.0.0.1:4200
10:00:01.123 | INFO    | prefect.server - started
10:00:02.123 | WARNING | prefect.server.services - slow
"""
BROKEN = """
10:00:03.123 | ERROR   | docket.worker - schedule_deployments failed
Traceback (most recent call last):
sqlalchemy.exc.InvalidRequestError: Can't evaluate bulk DML statement
10:00:08.123 | ERROR   | docket.worker - schedule_deployments failed
"""


def test_a_server_that_works_and_two_that_do_not() -> None:
    loaded = importlib.util.spec_from_file_location("try_server", FILE)
    assert loaded is not None and loaded.loader is not None
    module = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(module)
    assert module.faults(LOG, 3) == []
    (only,) = module.faults(LOG + BROKEN, 3)
    assert only == "its log: docket.worker - schedule_deployments failed"
    (silent,) = module.faults(LOG, 0)
    assert "planned no run" in silent
