"""No room beside what serves: refused, or, where an interruption is allowed, replaced."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.flows.house import NAMESPACE, House
from tests.support.cluster.hand import Hand
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(900)
AGREED = ("--allow-interruption", "--yes")
WIDE = {"cpu": "3", "memory": "4Gi", "shm_gib": 0}


def test_replace_promotes_a_good_version_and_brings_the_old_one_back_from_a_bad_one(
    home: House,
) -> None:
    # the node has 4 cores: two replicas of 3 do not fit
    spec = str(home.spec(serving__resources=WIDE))
    first = home.publish(1)
    home.rollout("run", spec, expect=0)

    second = home.publish(2)
    with home.asking() as seen:
        said = home.rollout("run", spec, expect=5)
    assert "allow_interruption" in said and not seen.failed
    state = home.state()
    assert state.stable is not None and state.stable.commit == first

    allowed = str(home.spec(serving__resources=WIDE, promotion__allow_interruption=True))
    plan = json.loads(home.rollout("plan", allowed, "--json", expect=0))
    assert plan["strategy"] == "replace" and "from the candidate's start" in plan["interruption"]
    # without a terminal it wants to be agreed to
    said = home.rollout("run", allowed, expect=2)
    assert "is scaled down first" in said and "--yes" in said and home.state().phase == "idle"
    home.rollout("run", allowed, "--yes", expect=0)
    state = home.state()
    assert state.stable is not None and state.stable.commit == second

    goes_back_only_when_it_may(home, first, second)

    home.publish(3, laws={"ttft": {"mean": 1.5}})
    home.rollout("run", allowed, "--yes", "--target", "ttft_mean_ms=800", expect=3)
    state = home.state()
    assert state.phase == "idle" and state.stable is not None and state.stable.commit == second
    assert serves(home) == second


def test_seats_are_lent_one_at_a_time_and_no_client_notices(home: House) -> None:
    # two replicas of 2 cores fill the node
    two = {
        "serving__resources": {"cpu": "2", "memory": "4Gi", "shm_gib": 0},
        "serving__replicas": 2,
    }
    spec = str(home.spec(**two))
    home.publish(1)
    home.rollout("run", spec, expect=0)

    second = home.publish(2)
    plan = json.loads(home.rollout("plan", spec, "--json", expect=0))
    assert (plan["strategy"], plan["lend"]) == (
        "lend",
        {"keep": 1, "of": 2, "tested": 1, "stays": 1, "comes": 1},
    )
    with home.asking() as seen:
        said = home.rollout("run", spec, expect=0)
    assert seen.answered and not seen.failed
    assert serves(home) == second and "measured with 1 of 2 replicas" in said
    state = home.state()
    assert state.stable is not None and state.previous is not None
    assert replicas(home, state.stable.deployment) == 2
    assert replicas(home, state.previous.deployment) == 0

    # what serves could not come back: nothing is taken from it
    home.publish(3, laws={"ttft": {"mean": 1.5}})
    strict = ["--target", "ttft_mean_ms=800"]
    (store,) = home.folder.glob(f"node/**/{second}")
    file = max(store.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    whole = file.read_bytes()
    rewrite(file, whole[:-1] + bytes([whole[-1] ^ 1]))
    with home.asking() as seen:
        said = home.rollout("run", spec, *strict, expect=5)
    assert "could not come back if it were stopped" in said and file.name in said
    assert not seen.failed and replicas(home, state.stable.deployment) == 2

    rewrite(file, whole)
    with home.asking() as seen:
        home.rollout("run", spec, *strict, expect=3)
    assert seen.answered and not seen.failed and serves(home) == second
    assert home.state().phase == "idle" and replicas(home, state.stable.deployment) == 2


def rewrite(file: Path, content: bytes) -> None:
    """Other bytes in a published file, which is read-only."""
    mode = file.stat().st_mode
    file.chmod(0o600)
    file.write_bytes(content)
    file.chmod(mode)


def goes_back_only_when_it_may(home: House, first: str, second: str) -> None:
    """`second` holds the room that `first` needs; it is where we end, too."""
    with home.asking() as seen:
        said = home.rollout("rollback", "tiny", "-n", NAMESPACE, expect=5)
    assert "--allow-interruption" in said and not seen.failed
    assert home.state().phase == "idle" and serves(home) == second

    # killed when nothing serves any more: whoever comes next brings something back
    stable = home.state().stable
    assert stable is not None
    process = home.start("rollback", "tiny", "-n", NAMESPACE, *AGREED, lease_s=12)
    try:
        until(lambda: replicas(home, stable.deployment) == 0)
    finally:
        process.kill()
        process.communicate()
    # the operator's wish is finished
    home.rollout("recover", "tiny", "-n", NAMESPACE, "--yes", expect=0)
    assert home.state().phase == "idle" and serves(home) == first

    allowed = home.spec(serving__resources=WIDE, promotion__allow_interruption=True)
    home.rollout("run", str(allowed), "--yes", expect=0)
    # `first` cannot start any more: nothing is taken from `second`
    old = home.state().previous
    assert old is not None and old.commit == first
    (store,) = home.folder.glob(f"node/**/{first}")
    file = max(store.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    whole = file.read_bytes()
    rewrite(file, whole[:-1] + bytes([whole[-1] ^ 1]))
    with home.asking() as seen:
        said = home.rollout("rollback", "tiny", "-n", NAMESPACE, *AGREED, expect=5)
    assert old.deployment in said and file.name in said and not seen.failed
    rewrite(file, whole)
    engine = {"name": "engine", "image": "nowhere/engine:9"}
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        found = api.get("Deployment", old.deployment, NAMESPACE)
        assert found is not None
        (container,) = found["spec"]["template"]["spec"]["containers"]
        body = {"spec": {"template": {"spec": {"containers": [{**container, **engine}]}}}}
        api.patch("Deployment", old.deployment, NAMESPACE, body)
    with home.asking() as seen:
        said = home.rollout("rollback", "tiny", "-n", NAMESPACE, *AGREED, expect=5)
    assert f"{old.deployment} is not gone back to" in said and not seen.failed
    assert home.state().phase == "idle" and serves(home) == second


def replicas(home: House, deployment: str) -> int:
    """How many pods a Deployment is to have."""
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        found = api.get("Deployment", deployment, NAMESPACE)
    assert found is not None
    return int(found["spec"]["replicas"])


def serves(home: House) -> str:
    """The commit whose release answers at the stable Service."""
    state = home.state()
    assert state.stable is not None

    def asked() -> httpx.Response | None:
        # pods that came back are programmed into the proxy a moment later
        with suppress(httpx.TransportError):
            return httpx.get(f"{home.address()}/v1/models", timeout=30, trust_env=False)
        return None

    answer = until(asked)
    assert answer is not None and answer.status_code == 200
    with Hand.connect(str(home.cluster.kubeconfig)) as api:
        service = api.get("Service", "tiny", NAMESPACE)
        assert service is not None
    assert service["spec"]["selector"]["model-rollout/release"] == state.stable.id
    return state.stable.commit
