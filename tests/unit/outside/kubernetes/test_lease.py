"""The rollout's lease: one holder, found out when dead, fenced when late. No wall clock."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from tasks.base.clock import FakeClock
from tasks.base.errors import LockLost, Refused
from tasks.base.progress import Progress, listening
from tasks.outside.kubernetes.lease import LeaseLock, ask_to_stop, at_it, holder_of
from tasks.outside.kubernetes.rest import ApiError
from tasks.record.news import ANNOTATION
from tests.support.cluster.runs import LeaseApi as Api

pytestmark = pytest.mark.usefixtures("time")
KEEP = LeaseLock._keep


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is renewed but by a test: what keeps a lease goes by the machine's own time, and of a
    lock that is not released it would go on, and log, in tests to come."""
    monkeypatch.setattr(LeaseLock, "_keep", lambda _: None)


@pytest.fixture
def api() -> Api:
    return Api()


def lock(api: Api, who: str = "a", **kwargs: Any) -> LeaseLock:
    return LeaseLock(api, "llm", "m", who, **kwargs)  # type: ignore[arg-type]


def test_acquire_creates_and_release_frees(api: Api) -> None:
    with lock(api) as held:
        assert api.spec["holderIdentity"] == "a" and held.epoch == 1
        assert api.spec["acquireTime"] == "2026-01-01T00:00:00.000000Z"
        held.check()
    assert api.spec["holderIdentity"] == ""
    with pytest.raises(LockLost):
        held.check()
    with lock(api, "b") as second:
        assert second.epoch == 2  # at once, without waiting for the duration


def test_a_live_holder_is_named_and_refuses(api: Api, time: FakeClock) -> None:
    with lock(api, "alice@host") as held:
        api.on_read = lambda: held.renew() if time.monotonic() > 20 else None
        heard: list[Progress] = []
        with listening(heard.append), pytest.raises(Refused, match=r"alice@host.*2026-01-01T00:00"):
            lock(api, "b").acquire()
        assert time.monotonic() < 60
        assert len(heard) == 1 and "alice@host" in heard[0].message
        held.check()


def test_a_dead_holder_is_taken_over_after_its_duration(api: Api, time: FakeClock) -> None:
    dead = lock(api, duration_s=45)
    dead.acquire()
    dead._stop.set()
    second = lock(api, "b", duration_s=10)
    second.acquire()
    assert 45 <= time.monotonic() < 50  # the holder's own duration, not ours
    assert second.epoch == 2
    with pytest.raises(LockLost, match="held by 'b'"):
        dead.check()
    second.release()


def test_clocks_of_two_machines_are_not_compared(api: Api, time: FakeClock) -> None:
    lock(api).acquire()
    api.spec["renewTime"] = "2019-01-01T00:00:00.000000Z"
    second = lock(api, "b", wait_s=30)
    with pytest.raises(Refused):
        second.acquire()
    assert time.monotonic() >= 30


def test_waiting_ends_when_the_holder_lets_go(api: Api, time: FakeClock) -> None:
    first = lock(api)
    first.acquire()

    def let_go() -> None:
        if time.monotonic() > 100:
            api.on_read = lambda: None
            first.release()
        elif int(time.monotonic()) % 20 == 0:
            api.on_read = lambda: None
            first.renew()
            api.on_read = let_go

    api.on_read = let_go
    with lock(api, "b", wait_s=600) as second:
        assert second.epoch == 2 and time.monotonic() < 110


def test_of_two_takers_one_wins(api: Api, time: FakeClock) -> None:
    dead = lock(api)
    dead.acquire()
    dead._stop.set()
    time.sleep(1000)
    rival = lock(api, "c")
    second = lock(api, "b")

    def rival_is_quicker() -> None:
        if api.spec["holderIdentity"] == "a" and time.monotonic() >= 1060:
            api.on_read = lambda: None
            assert rival._take(copy.deepcopy(api.leases["rollout-m"]))

    # Runs inside b's read: b then writes over a version that is no longer current.
    stale = api.get

    def racing(kind: str, name: str, ns: str) -> dict[str, Any] | None:
        seen = stale(kind, name, ns)
        rival_is_quicker()
        return seen

    api.get = racing  # type: ignore[method-assign]
    second._wait_s = 100
    with pytest.raises(Refused, match="'c'"):
        second.acquire()
    assert rival.epoch == 2 and api.spec["holderIdentity"] == "c"
    rival.check()


def test_the_same_identity_again_fences_its_former_life(api: Api, time: FakeClock) -> None:
    former = lock(api)
    former.acquire()
    with lock(api) as again:
        assert again.epoch == 2 and time.monotonic() < 1
        time.sleep(35)
        with pytest.raises(LockLost, match="epoch 2, ours was 1"):
            former.check()
        again.renew()
        again.check()


def test_check_is_free_while_fresh_and_renews_when_late(api: Api, time: FakeClock) -> None:
    with lock(api) as held:
        before = (api.reads, api.writes)
        time.sleep(25)
        held.check()
        assert (api.reads, api.writes) == before
        time.sleep(10)
        held.check()
        assert api.writes == before[1] + 1
        assert api.spec["renewTime"] == "2026-01-01T00:00:35.000000Z"


def test_an_outage_is_ridden_out_until_the_deadline(api: Api, time: FakeClock) -> None:
    with lock(api) as held:
        api.down = True
        time.sleep(39)
        held.check()
        time.sleep(2)
        with pytest.raises(LockLost, match="could not be renewed for 41 s of its 60 s"):
            held.check()
        # Nobody took it meanwhile, which a renewal over the known version proves.
        api.down = False
        held.check()
        assert held.epoch == 1


def test_a_machine_that_slept_looks_again(api: Api, time: FakeClock) -> None:
    held = lock(api)
    held.acquire()
    taken = lock(api, "b")
    assert taken._take(copy.deepcopy(api.leases["rollout-m"]))
    held.check()  # fresh by every clock: the fence cannot know yet
    held._renewed_wall -= 3600  # the wall clock went on while the monotonic one stood still
    with pytest.raises(LockLost, match="held by 'b'"):
        held.check()


def test_a_machine_that_slept_and_gets_no_answer_holds_nothing(api: Api, time: FakeClock) -> None:
    """Somebody else may have taken it long ago, and written."""
    held = lock(api)
    held.acquire()
    held._renewed_wall -= 3600
    api.down = True
    with pytest.raises(LockLost, match="could not be renewed for 3600 s of its 60 s"):
        held.check()


@pytest.mark.parametrize("how", ["deleted", "taken"])
def test_losing_it_is_final(api: Api, time: FakeClock, how: str) -> None:
    held = lock(api)
    held.acquire()
    kept = copy.deepcopy(api.leases["rollout-m"])
    if how == "deleted":
        api.leases.clear()
    else:
        api.leases["rollout-m"]["spec"]["holderIdentity"] = "b"
        api.touch()
    with pytest.raises(LockLost):
        held.renew()
    api.leases["rollout-m"] = kept
    with pytest.raises(LockLost):
        held.check()
    held.release()  # must not free what another holds
    assert api.leases["rollout-m"] == kept


def test_a_lost_answer_or_a_foreign_touch_is_no_loss(api: Api, time: FakeClock) -> None:
    with lock(api) as held:
        api.lose_answer = True
        held.renew()
        api.touch()
        time.sleep(5)
        held.renew()
        assert api.spec["renewTime"] == "2026-01-01T00:00:05.000000Z"
        held.check()
    assert api.spec["holderIdentity"] == ""


def test_renewals_go_on_by_themselves(api: Api) -> None:
    held = lock(api, duration_s=60)
    renewed = threading.Event()
    held.renew = renewed.set  # type: ignore[method-assign]
    held.duration_s = 0  # the thread's pause is a share of it
    held._stop.clear()
    thread = threading.Thread(target=KEEP, args=(held,), daemon=True)
    thread.start()
    assert renewed.wait(60)
    held._stop.set()
    thread.join(60)
    assert not thread.is_alive()


def test_an_empty_identity_is_refused(api: Api) -> None:
    with pytest.raises(ValueError, match="identity"):
        lock(api, "")


def test_a_lease_that_was_deleted_begins_above_what_was_seen(api: Api) -> None:
    with lock(api, least_epoch=41) as first:
        assert first.epoch == 42
    with lock(api, "b", least_epoch=3) as second:
        assert second.epoch == 43


# -- asked to stop


def test_a_holder_hears_that_it_is_to_stop_when_it_renews(api: Api, time: FakeClock) -> None:
    with lock(api, "alice@host/run-1") as held:
        time.sleep(5)
        assert held.abort == ""
        assert ask_to_stop(api, "llm", "m", "bob@host") == "alice@host/run-1"  # type: ignore[arg-type]
        held.renew()
        assert held.abort == "bob@host at 2026-01-01T00:00:05+00:00"
        held.check()  # it is ours all the same: what it has begun is cleaned up
        assert holder_of(api, "llm", "m") == "alice@host/run-1"  # type: ignore[arg-type]
    with lock(api, "b") as second:
        second.renew()
        assert second.abort == ""  # the wish was about the hold before


def test_where_nobody_holds_it_nobody_is_asked(api: Api, time: FakeClock) -> None:
    assert ask_to_stop(api, "llm", "m", "bob") == ""  # type: ignore[arg-type]
    with lock(api):
        pass
    before = api.writes
    assert ask_to_stop(api, "llm", "m", "bob") == "" and api.writes == before  # type: ignore[arg-type]
    assert holder_of(api, "llm", "m") == ""  # type: ignore[arg-type]


def test_a_wish_is_written_over_a_renewal_that_came_between(api: Api, time: FakeClock) -> None:
    with lock(api) as held:

        def renewed() -> None:
            api.on_read = lambda: None
            held.renew()

        found = api.get

        def racing(kind: str, name: str, ns: str) -> dict[str, Any] | None:
            seen = found(kind, name, ns)
            if api.on_read is late:
                renewed()
            return seen

        def late() -> None:
            pass

        api.on_read = late
        api.get = racing  # type: ignore[method-assign]
        assert ask_to_stop(api, "llm", "m", "bob") == "a"  # type: ignore[arg-type]
        held.renew()
        assert held.abort.startswith("bob at ")


@pytest.mark.parametrize("wish", ["{", "3", "{}", '{"epoch": 1}', "[]"])
def test_what_is_no_wish_stops_nobody(api: Api, time: FakeClock, wish: str) -> None:
    with lock(api) as held:
        api.leases["rollout-m"]["metadata"]["annotations"] = {"model-rollout/abort": wish}
        api.touch()
        held.renew()
        assert held.abort == ""


@pytest.mark.parametrize(
    ("holder", "said"),
    [
        ("bob@host/20260301T120000-0a0a0a", "wait for it to end, or cancel it"),
        ("root@pod/guard-20260301T120000-0a0a0a", "the guard of root@pod is at it, and settles it"),
        ("bob@host/recover-20260301T120000-0a0a0a", "`rollout recover` of bob@host is at it"),
    ],
)
def test_who_is_at_it_is_told(holder: str, said: str) -> None:
    assert said in at_it(holder, "m")


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
