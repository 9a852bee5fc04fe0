"""One look of the watcher, by the real client against the local hub, and a cluster in memory."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployments.local.hub import Fault, LocalHub, publish
from tasks.base.errors import Refused
from tasks.outside.kubernetes.rest import AlreadyExists, Conflict
from tasks.release.memory.terms import with_terms
from tasks.release.state import Judged, State, to_configmap
from tasks.release.versions.decide import held_for_window
from tasks.release.versions.memory import WatchMemory, memory_name, remembered_watch
from tasks.run.versions.look import Followed, Sighting, VersionWatch
from tasks.run.versions.remember import remember_watch
from tasks.verdict.decide import asked_of
from tests.support.cluster.hand import FakeWrites
from tests.support.hubs import MODEL, files
from tests.support.nodedata import make_spec


class Memory(FakeWrites):
    """ConfigMaps with versions, as many nodes as one needs, and a clock."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.at = datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.lists: list[str] = []
        self.writes = 0
        self.before_write: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return self.at

    def get(self, kind: str, name: str, ns: str | None = None) -> Any:
        return copy.deepcopy(self.kept.get(name)) if kind == "ConfigMap" else None

    def list(self, kind: str, *_: Any, **__: Any) -> Any:
        self.lists.append(kind)
        return []

    def _put(self, body: Any) -> None:
        self.writes += 1
        made = copy.deepcopy(body)
        made["metadata"]["resourceVersion"] = str(self.writes)
        self.kept[body["metadata"]["name"]] = made

    def create(self, body: Any, *, fence: Any) -> None:
        self.before_write()
        if body["metadata"]["name"] in self.kept:
            raise AlreadyExists("there", 409)
        self._put(body)

    def replace(self, body: Any, *, fence: Any) -> None:
        self.before_write()
        there = self.kept[body["metadata"]["name"]]
        if there["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict("changed", 409)
        self._put(body)

    def hold(self, state: State) -> None:
        body = to_configmap(state, "models")
        self.kept[body["metadata"]["name"]] = body

    @property
    def memory(self) -> WatchMemory:
        return remembered_watch("m", self.kept.get(memory_name("m")))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


@pytest.fixture
def hub(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with LocalHub(root) as served:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", served.url)
        yield served


def spec(**more: Any) -> Any:
    return make_spec({"name": "m", "namespace": "models", "model": {"id": MODEL}, **more})


def look(cluster: Memory, **more: Any) -> Sighting:
    return VersionWatch(cluster).look(spec(**more))  # type: ignore[arg-type]


def release_of(seen: Sighting, **more: Any) -> Any:
    """What a look found, as the release that a rollout makes of it."""
    watch = VersionWatch(Memory())  # type: ignore[arg-type]
    found = Followed("", seen.found, seen.event["digest"], seen.size)
    return watch._release(spec(**more), State("m"), found)


def test_a_new_version_is_told_with_what_it_changes(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    old = publish(root, MODEL, "master", files(64, 0))
    first = look(cluster)
    assert (first.sign, first.times, first.event["commit"]) == ("new", 1, old)
    assert "added" not in first.event  # nothing serves
    stable = release_of(first)
    cluster.hold(State("m", stable=stable))
    assert look(cluster).sign == "serves"
    assert cluster.memory.served == (stable.id,)

    new = publish(root, MODEL, "master", {**files(128, 1), "more.json": b"{}", "empty.txt": b""})
    seen = look(cluster)
    assert (seen.sign, seen.serves, seen.found) == ("new", old, new)
    told = dict(seen.event)
    assert told.pop("digest").startswith("sha256:") and told.pop("release").startswith("m-")
    assert told == {
        "model": MODEL,
        "revision": "master",
        "commit": new,
        "image": "vllm:x",
        "bytes": seen.size,
        "serves": old,
        "added": ["more.json"],
        "changed": ["config.json", "weights/model.safetensors"],
        "removed": [],
        "changed_files": 3,
        "changed_bytes": seen.size,
    }


def test_other_settings_of_what_serves_that_passed_are_told_in_their_window(
    hub: LocalHub, root: Path
) -> None:
    cluster = Memory()
    day: Any = [{"cron": "0 9 * * *", "hours": 8}]
    publish(root, MODEL, "master", files(64, 0))
    changed = {"serving": {"port": 9000}, "maintenance_windows": day}
    first = look(cluster)
    state = State("m", stable=release_of(first), candidate=release_of(first, **changed))
    night = cluster.at.replace(hour=20)
    cluster.hold(held_for_window(state, spec(**changed), night, "a plan"))
    cluster.at = night
    assert look(cluster, **changed).sign == "not now"
    cluster.at = night + timedelta(hours=14)
    seen = look(cluster, **changed)
    assert (seen.sign, seen.found) == ("new", state.candidate.commit if state.candidate else "")
    # what did not pass is the schedule's, or a person's
    assert look(cluster, serving={"port": 9001}, maintenance_windows=day).sign == "serves"


def test_what_has_not_moved_is_not_listed_again_nor_written(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    cluster.hold(State("m", stable=release_of(look(cluster))))
    assert look(cluster).sign == "serves"
    before, writes = dict(hub.counters), cluster.writes
    assert [look(cluster).sign for _ in range(3)] == ["serves"] * 3
    after = dict(hub.counters)
    assert after["commits"] - before["commits"] == 3 and after["files"] == before["files"]
    assert cluster.writes == writes


def test_other_files_of_the_same_commit_are_another_version(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    first = look(cluster)
    fewer = look(cluster, model={"id": MODEL, "exclude": ["empty.txt"]})
    assert fewer.found.startswith(f"{first.found}-")


def test_what_is_told_is_not_told_in_vain(hub: LocalHub, root: Path) -> None:
    """Every ten minutes, through restarts: the memory is the cluster's alone."""
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    signs = []
    for _ in range(72):  # 12 h
        signs.append(look(cluster, watch={"tries": 2}).sign)
        cluster.at += timedelta(minutes=10)
    assert signs.count("new") == 2 and signs[-1] == "given up"
    assert set(signs) == {"new", "told", "given up"}
    # that a person is needed is told once
    assert not look(cluster, watch={"tries": 2}).trouble
    # another commit begins anew
    publish(root, MODEL, "master", files(64, 1))
    assert look(cluster, watch={"tries": 2}).sign == "new"


def test_a_person_is_told_once_that_it_is_given_up(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    look(cluster, watch={"tries": 1})
    found = [look(cluster, watch={"tries": 1}) for _ in range(2)]
    assert [item.sign for item in found] == ["given up"] * 2
    assert [item.trouble for item in found] == [True, False]


def test_a_rejected_version_stays_rejected_until_its_targets_change(
    hub: LocalHub, root: Path
) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    release = release_of(look(cluster))
    verdict = Judged(release.id, asked_of(spec()), "failed", "run-1", "yesterday")
    cluster.hold(State("m", judged=(verdict,)))
    cluster.kept.pop(memory_name("m"))  # and nothing is left of the memory
    assert look(cluster).sign == "judged" and cluster.lists == ["Node", "DaemonSet"] * 2
    for _ in range(12):  # two hours of looks, each by a watcher that was started anew
        cluster.at += timedelta(minutes=10)
        again = look(cluster)
        assert (again.sign, again.event, again.trouble) == ("judged", {}, False)
    assert look(cluster, targets={"ttft_p95_ms": 2000}).sign == "new"


def test_a_held_version_is_told_again_once_its_targets_change(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    candidate = release_of(look(cluster))
    state = State("m", phase="held", candidate=candidate, rollout="r1")
    asked = spec().model_dump(mode="json", exclude_defaults=True)
    cluster.hold(with_terms(state, candidate.id, spec=asked))
    cluster.at += timedelta(hours=12)
    assert look(cluster).sign == "held"
    assert look(cluster, targets={"ttft_p95_ms": 2000}).sign == "new"


def test_of_two_watchers_one_tells(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    other = Memory()

    def faster() -> None:
        cluster.before_write = lambda: None
        look(other)
        cluster.kept.update(other.kept)

    cluster.before_write = faster
    second = look(cluster)
    assert (second.sign, second.event) == ("told", {})


def test_a_hub_that_is_down_is_asked_ever_more_seldom_and_told_once(
    hub: LocalHub, root: Path, monkeypatch: pytest.MonkeyPatch, time: Any
) -> None:
    cluster = Memory()
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    looks = []
    for _ in range(36):  # 6 h
        looks.append(look(cluster, watch={"tries": 3}))
        cluster.at += timedelta(minutes=10)
    assert {item.sign for item in looks} == {"failed"}
    made = [item for item in looks if "in a row" in item.said]
    assert len(made) == 6 and "is looked at again at" in looks[-1].said
    assert [item.wrong for item in made] == [False, False, True, True, True, True]
    assert [item.trouble for item in looks].count(True) == 1
    # and one answer ends that
    publish(root, MODEL, "master", files(64, 0))
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    cluster.at += timedelta(hours=12)
    assert look(cluster).sign == "new" and cluster.memory.failures == 0


@pytest.mark.parametrize("status", [404, 429])
def test_a_hub_that_stops_telling_commits_starts_nothing(
    hub: LocalHub, root: Path, status: int, time: Any
) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    stable = release_of(look(cluster))
    cluster.hold(State("m", stable=stable))
    assert look(cluster).sign == "serves"
    hub.faults.add(Fault("status", "@commits", times=None, status=status, retry_after=0))
    seen = look(cluster)
    assert (seen.sign, seen.event) == ("failed", {}) and hub.url in seen.said
    assert cluster.memory.head == stable.commit
    hub.faults.clear()
    cluster.at += timedelta(hours=1)
    assert look(cluster).sign == "serves"


def test_somebody_elses_memory_is_not_written_over(hub: LocalHub, root: Path) -> None:
    cluster = Memory()
    publish(root, MODEL, "master", files(64, 0))
    look(cluster)
    cluster.kept[memory_name("m")]["metadata"]["labels"] = {}
    with pytest.raises(Refused, match="not this rollout's"):
        look(cluster)


def test_a_memory_that_went_or_came_meanwhile_is_left(root: Path) -> None:
    cluster: Any = Memory()
    memory = replace(WatchMemory(), told="w")
    assert remember_watch(cluster, "models", "m", memory, "")
    assert not remember_watch(cluster, "models", "m", memory, "")
    assert not remember_watch(cluster, "models", "m", memory, "7")
    assert remember_watch(cluster, "models", "m", memory, "1")
