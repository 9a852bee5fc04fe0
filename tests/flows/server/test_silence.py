"""A worker's machine is gone in the midst of a rollout: Prefect notices, and the guard settles."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.flows.house import House
from tests.support.places import ROOT
from tests.support.served import prefect_server, serve
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
AUTOMATIONS = ROOT / "deployments" / "automations.yaml"


def family(elder: int) -> list[int]:
    """A process and all that descend from it, elders first."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [elder]
    for member in found:
        found += parents.get(member, [])
    return found


def machine_gone(elder: int) -> None:
    """None of them tells another's end."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for member in family(elder):
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(member, number)


@pytest.fixture
def prefect_api(tmp_path: Path) -> Iterator[str]:
    """A server of its own: what dies here would hold places, and little patience end runs, of
    other tests."""
    folder = tmp_path / "prefect"
    folder.mkdir()
    with prefect_server(folder) as api:
        yield api


def test_what_nobody_ends_is_ended_and_settled(home: House) -> None:
    home.lease_s = 12  # of one that is killed
    served = serve(home)
    # the shipped ones, with less patience: ours beat every 30 s
    data = yaml.safe_load(AUTOMATIONS.read_text())
    data["automations"][0]["trigger"]["within"] = 60
    data["automations"][1]["trigger"]["within"] = 10
    sooner = home.folder / "automations.yaml"
    sooner.write_text(yaml.safe_dump(data))
    served.prefect("automation", "create", "--from-file", str(sooner))

    # the guard settles it by itself, and ends its run: here the silence is first
    guard = served.deployment("guard")
    place = f"/deployments/{guard['id']}/schedules/{guard['schedules'][0]['id']}"
    served.call("PATCH", place, {"active": False})

    # one that was cancelled before anybody began with it holds its model's place no longer
    deployment = served.deployment("rollout-smollm2")["id"]
    begun = {"state": {"type": "PENDING"}}
    nobodys = served.call("POST", f"/deployments/{deployment}/create_flow_run", begun)["id"]
    stop = {"state": {"type": "CANCELLING"}, "force": True}
    served.call("POST", f"/flow_runs/{nobodys}/set_state", stop)
    assert served.ended(nobodys)["state_type"] == "CANCELLED"

    home.publish(1)
    body = {"state": {"type": "SCHEDULED"}}
    started = served.call("POST", f"/deployments/{deployment}/create_flow_run", body)

    def testing() -> bool:
        return bool(home.objects("Deployment")) and home.state("smollm2").phase == "testing"

    with served.worker() as worker:
        until(testing)
        machine_gone(worker.pid)
    assert served.call("GET", f"/flow_runs/{started['id']}")["state_type"] == "RUNNING"
    with served.worker():  # on another machine
        run = served.ended(started["id"])
        assert (run["state_type"], run["state"]["message"]) == ("CRASHED", "its heartbeats stopped")
        until(lambda: home.state("smollm2").phase == "idle")
    assert home.objects("Deployment") == []
    assert home.state("smollm2").history[0]["outcome"] == "guard"
