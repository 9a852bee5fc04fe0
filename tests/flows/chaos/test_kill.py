"""kill -9 in every phase: what serves goes on answering, and running again ends promoted."""

from __future__ import annotations

import signal

import pytest

from deployments.local.hub import Fault
from tests.flows.house import House, read_until
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)


# The hub serves slowly in the first case, so that the kill falls into the transfer.
@pytest.mark.parametrize(
    "words",
    [
        "[fetch_weights] node-a running",
        "[deploy] started",
        "[benchmark] started",
        "[promote] started",
        "Service sends to",
    ],
)
def test_killed_and_run_again(home: House, words: str) -> None:
    home.publish(1)
    spec = str(home.spec(promotion__soak__duration_s=3))
    home.rollout("run", spec, expect=0)
    second = home.publish(2)
    if "fetch" in words:
        home.hub.faults.add(slow_weights())
    with home.asking() as seen:
        process = home.start("run", spec, lease_s=12)
        try:
            read_until(process, words)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        home.hub.faults.clear()
        home.rollout("run", spec, expect=0)
    assert seen.answered > 10 and not seen.failed
    state = home.state()
    assert state.phase == "idle" and state.candidate is None
    assert state.stable is not None and state.stable.commit == second
    # one engine runs: the new one; the old one is kept at zero, and ends in its own time
    until(lambda: len(home.objects("Pod")) - len(done_jobs(home)) == 1)


def done_jobs(home: House) -> list[str]:
    """Pods of Jobs, which stay until their time to live ends."""
    return [name for name in home.objects("Pod") if "-fetch-" in name or "-probe-" in name]


def slow_weights() -> Fault:
    """Shards come slowly enough to be interrupted."""
    return Fault("slow", path="*.safetensors", times=99, rate=200_000)


def test_the_guard_settles_what_a_killed_rollout_left(home: House) -> None:
    first = home.publish(1)
    spec = str(home.spec())
    home.rollout("run", spec, expect=0)
    home.publish(2)
    process = home.start("run", spec, lease_s=12)
    read_until(process, "[benchmark] started")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert home.state().phase == "testing"
    with home.asking() as seen:
        said = home.rollout("guard", "--once", "-n", "models", expect=0)
    assert said.startswith("models/tiny: settled: removed candidate tiny-")
    assert not seen.failed
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == first
    assert len(home.objects("Deployment")) == 1


def test_ctrl_c_cleans_up(home: House) -> None:
    first = home.publish(1)
    spec = str(home.spec())
    home.rollout("run", spec, expect=0)
    home.publish(2)
    with home.asking() as seen:
        process = home.start("run", spec)
        read_until(process, "[benchmark] c4")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert not seen.failed
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == first
    assert len(home.objects("Deployment")) == 1


def test_a_run_elsewhere_is_aborted(home: House) -> None:
    """In its benchmark, where it writes nothing: what serves answers all the while."""
    first = home.publish(1)
    spec = str(home.spec())
    home.rollout("run", spec, expect=0)
    home.publish(2)
    # a load that does not end before it is asked to
    long = str(home.spec(benchmark__requests_per_round=4000))
    with home.asking() as seen:
        process = home.start("run", long)
        read_until(process, "[benchmark] c4")
        # nobody is interrupted unasked
        assert "pass --yes" in home.rollout("abort", "tiny", "-n", "models", expect=2)
        said = home.rollout("abort", "tiny", "-n", "models", "--yes", expect=0)
        ended, _ = process.communicate(timeout=300)
    assert process.returncode == 1 and "aborted by " in ended, ended
    assert "was asked to stop" in said
    assert said.splitlines()[-1].endswith(" serves, 1 of 1 replica(s) available; idle")
    assert not seen.failed
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == first
    assert len(home.objects("Deployment")) == 1
    assert [entry["outcome"] for entry in state.history[:2]] == ["abort", "error"]
