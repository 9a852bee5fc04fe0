"""What the holder of a lease is at rides on the lease, and never costs it the lease."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.base.clock import FakeClock
from tasks.outside.kubernetes.lease import LeaseLock
from tasks.outside.kubernetes.rest import ApiError
from tasks.record.news import ANNOTATION, Tell
from tests.support.cluster.runs import LeaseApi as Api

pytestmark = pytest.mark.usefixtures("time")


@pytest.fixture
def api() -> Api:
    return Api()


def lock(api: Api, who: str = "a", tell: Tell | None = None) -> LeaseLock:
    return LeaseLock(api, "llm", "m", who, tell=tell)  # type: ignore[arg-type]


def told_by(api: Api) -> str | None:
    found: str | None = (api.leases["rollout-m"]["metadata"].get("annotations") or {}).get(
        ANNOTATION
    )
    return found


def test_what_a_holder_is_at_rides_on_what_it_writes_anyway(api: Api, time: FakeClock) -> None:
    at = ["deploy"]
    with lock(api, tell=lambda holder, epoch: f"{holder} {epoch} {at[0]}") as held:
        assert told_by(api) == "a 1 deploy"
        at[0] = "smoke"
        assert (told_by(api), api.writes) == ("a 1 deploy", 1)
        api.touch()  # by another writer: it is told all the same
        held.renew()
        assert (told_by(api), api.writes) == ("a 1 smoke", 3)
    assert told_by(api) is None


def test_who_takes_a_dead_holders_lease_does_not_tell_its_news(api: Api, time: FakeClock) -> None:
    dead = lock(api, tell=lambda *_: "of a")
    dead.acquire()
    dead._stop.set()
    with lock(api, "b"):
        assert told_by(api) is None


@pytest.mark.parametrize("status", [400, 403, 413, 422])
def test_what_is_not_taken_stops_no_renewal(api: Api, time: FakeClock, status: int) -> None:
    put, refused = api._store, list[str]()

    def admits(obj: dict[str, Any]) -> dict[str, Any]:
        if ANNOTATION in (obj["metadata"].get("annotations") or {}):
            refused.append(obj["metadata"]["annotations"][ANNOTATION])
            raise ApiError("not taken", status)
        return put(obj)

    api._store = admits  # type: ignore[method-assign]
    with lock(api, tell=lambda *_: "news") as held:
        time.sleep(5)
        held.renew()
        assert api.spec["renewTime"] == "2026-01-01T00:00:05.000000Z"
    assert refused == ["news"]  # it is not tried again


def test_a_holder_that_cannot_tell_renews(api: Api, time: FakeClock) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("broken")

    with lock(api, tell=broken) as held:
        held.renew()
        held.check()
        assert told_by(api) is None
