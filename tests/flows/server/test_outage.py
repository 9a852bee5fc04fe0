"""A service as `rollout up` starts it, whose server dies in the midst of a rollout."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from deployments.local import stack
from tasks.outside.prefect import living
from tasks.outside.prefect.own import RENEW_S
from tests.flows.house import house, spec_data
from tests.support.served import Served
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
# the server is back, and is asked for a place that it does not know, well before the soak ends
SOAK_S = 90.0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A house, and the folder of its one spec; nothing is started yet."""
    with house(tmp_path / "house", f"http://127.0.0.1:{stack.free_port()}/api") as home:
        specs = home.folder / "specs"
        specs.mkdir()
        spec = spec_data(name="smollm2", promotion__soak={"duration_s": SOAK_S})
        (specs / "smollm2.yaml").write_text(yaml.safe_dump(spec))
        yield Served(home, specs)


def test_a_server_that_is_killed_ends_no_rollout_of_its_service(served: Served) -> None:
    home, state = served.home, served.home.folder / "service"
    where = ("--state", str(state))
    port = home.prefect_api.split(":")[2].partition("/")[0]
    up = ("up", "--specs", str(served.folder), *where, "--port", port)
    home.publish(1)  # found by the watcher's first look, which is at once
    assert f"UI:         http://127.0.0.1:{port}" in home.rollout(*up, expect=0)
    try:
        until(lambda: home.objects("Deployment") and home.state("smollm2").phase == "soaking")
        (run,) = served.runs("rollout-smollm2")
        server = living.pid_of(state, "server")
        assert server is not None and RENEW_S < SOAK_S
        os.kill(server, signal.SIGKILL)
        away = (httpx.TransportError,)
        until(lambda: served.call("GET", "/health"), forgiving=away)
        assert living.pid_of(state, "server") not in (None, server)
        ended = served.ended(run["id"])
        assert (ended["state_type"], ended["state_name"]) == ("COMPLETED", "Promoted")
        assert home.state("smollm2").phase == "idle"
        # it was asked for a place that it does not know, which nothing hung on
        log = (state / "logs" / "worker.log").read_text(errors="replace")
        assert "the server knows no place of this run any more" in log
        # what it made is still as it should be
        assert "deployments and automations are as they should be" in home.rollout(*up, expect=0)
    finally:
        said = home.rollout("down", *where, "--yes", expect=0)
    assert "ended: keeper, worker, server" in said
    assert [living.pid_of(state, name) for name in living.NAMES] == [None] * 3
