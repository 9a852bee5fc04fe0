"""What the API server takes in is still ours by every mark that is asked for later, or is refused;
and what is said to be removed is gone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import Refused, StepFailed
from tasks.objects.labels import MANAGED_LABEL, WRITER_ANNOTATION
from tasks.objects.ours import changes
from tasks.outside.kubernetes.actor import Actor
from tasks.release import moves
from tasks.release.moves import Scale
from tests.support.cluster.actor_world import in_test, world
from tests.support.cluster.api_fixture import Api, serving
from tests.support.cluster.bodies import NAME, NEW, NS, OLD, Object, deployment, stable_service

pytestmark = pytest.mark.usefixtures("quick")
Mutate = Callable[[Object], None]


@dataclass
class Site:
    """An API server, and what its webhook makes of an object; of updates, too, once told so."""

    api: Api
    mutate: list[Mutate] = field(default_factory=list)
    actor: Any = None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found: list[Site] = []

    def admit(plural: str, obj: Object, old: Object | None) -> Object:
        new = copy.deepcopy(obj)
        for mutate in found[0].mutate if found else ():
            mutate(new)
        return new

    with serving(tmp_path, admit=admit) as api:
        api.store.create("namespaces", {"metadata": {"name": NS}})
        found.append(Site(api))
        cluster: Any = api.cluster
        found[0].actor = Actor(cluster, NS, NAME, fence=lambda: None, epoch=1)
        yield found[0]


def whole(item: Any, replicas: int = 2) -> Object:
    """A Deployment that a real API server takes."""
    body = copy.deepcopy(deployment(item, replicas))
    labels = body["spec"]["template"]["metadata"]["labels"]
    return {**body, "spec": {**body["spec"], "selector": {"matchLabels": labels}}}


def label(key: str, value: str | None) -> Mutate:
    def mutate(body: Object) -> None:
        body["metadata"].setdefault("labels", {})[key] = value
        if value is None:
            del body["metadata"]["labels"][key]

    return mutate


def of_pods(body: Object) -> None:
    if template := body["spec"].get("template"):
        template["metadata"]["labels"]["app.kubernetes.io/instance"] = "theirs"
        body["spec"]["selector"] = {"matchLabels": dict(template["metadata"]["labels"])}


def writer(body: Object) -> None:
    (body["metadata"].get("annotations") or {}).pop(WRITER_ANNOTATION, None)


CHANGES = [
    (label(MANAGED_LABEL, "platform"), "managed-by] is platform, sent was model-rollout"),
    (label("app.kubernetes.io/instance", "x"), "instance] is x, sent was m"),
    (label("model-rollout/kind", None), "kind] is gone, sent was engine"),
    (label("model-rollout/release", "x"), "release] is x, sent was new"),
    (writer, f"annotations[{WRITER_ANNOTATION}] is gone"),
    (of_pods, "instance] is theirs, sent was m"),
]


@pytest.mark.parametrize(("mutate", "why"), CHANGES, ids=lambda item: str(item)[:20])
def test_what_is_taken_in_as_anothers_is_refused_and_not_left(
    site: Site, mutate: Mutate, why: str
) -> None:
    site.mutate.append(mutate)
    marked = site.actor.owned._marked(whole(NEW))
    with pytest.raises(Refused) as tried:
        site.api.cluster.trial().apply(marked)
    assert why in str(tried.value) and "mutating webhook" in str(tried.value)
    with pytest.raises(Refused) as caught:
        site.actor.apply(whole(NEW))
    assert why in str(caught.value)
    assert site.api.store.list("deployments", NS) == []


def test_what_a_site_adds_of_its_own_is_kept(site: Site) -> None:
    site.mutate.append(label("team", "x"))
    site.actor.apply(whole(NEW))
    (made,) = site.api.store.list("deployments", NS)
    assert made["metadata"]["labels"]["team"] == "x"


def test_a_service_that_would_lead_elsewhere_is_refused_before_anything(site: Site) -> None:
    site.api.store.create("services", stable_service(OLD))

    def chosen(body: Object) -> None:
        if body["kind"] == "Service":
            body["spec"]["selector"] = {**body["spec"]["selector"], "tier": "x"}

    site.mutate.append(chosen)
    with pytest.raises(Refused, match=r"spec\.selector is .*tier"):
        site.actor.owned.try_switch(whole(NEW))
    (service,) = site.api.store.list("services", NS)
    assert service["spec"]["selector"] == stable_service(OLD)["spec"]["selector"]


@pytest.mark.parametrize("key", [MANAGED_LABEL, "model-rollout/release"])
def test_what_a_change_takes_our_marks_from_is_said(site: Site, key: str) -> None:
    """Also where the change itself speaks of none of them."""
    site.actor.apply(whole(NEW))
    site.mutate.append(label(key, "platform"))
    with pytest.raises(Refused, match=r"is platform, sent was"):
        site.actor.move(Scale("m-new", 1))


def test_jobs_are_held_to_it_too(site: Site) -> None:
    site.mutate.append(label(MANAGED_LABEL, "platform"))
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    labels = {MANAGED_LABEL: "model-rollout"}
    meta = {"name": "j", "namespace": NS, "labels": labels}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta}
    with pytest.raises(Refused, match="Job models/j is not taken in as it was sent"):
        site.api.cluster.writer(lambda: None).create({**job, "spec": {"template": {"spec": pod}}})
    assert site.api.store.list("jobs", NS) == []


def test_data_that_is_changed_is_told() -> None:
    sent = {"metadata": {"name": "c"}, "data": {"a": "1", "b": "2"}}
    answer = {"metadata": {"name": "d"}, "data": {"a": "1", "b": "3", "c": ""}}
    assert list(changes(sent, answer)) == ["metadata.name is d, sent was c", "data.b is another"]


# -- removed ------------------------------------------------------------------------------------


def relabelled(body: Object) -> None:
    body["metadata"]["labels"] = {**body["metadata"]["labels"], MANAGED_LABEL: "platform"}


def held(body: Object) -> None:
    body["metadata"] |= {"deletionTimestamp": "2020-01-01T00:00:00Z", "finalizers": ["theirs/x"]}


@pytest.mark.parametrize(("change", "why"), [(relabelled, "lacks its labels"), (held, "theirs/x")])
def test_a_candidate_that_is_there_and_not_found_is_not_removed(change: Mutate, why: str) -> None:
    at = in_test()
    actor = at.actor()
    actor.take_over()
    body = copy.deepcopy(at.objects["Deployment", "m-new"])
    change(body)
    at.put(body)
    with pytest.raises(StepFailed, match=f"m-new is not removed: it is there, and .*{why}"):
        actor.run(moves.decide_recovery(actor.observe()))
    assert actor.read_state()[0].phase == "testing" and at.available("old") == 2
    del at.objects["Deployment", "m-new"]
    actor.run(moves.decide_recovery(actor.observe()))
    assert actor.read_state()[0].phase == "idle"


def test_a_name_that_was_never_ours_is_not_waited_for() -> None:
    at = in_test()
    body = copy.deepcopy(at.objects["Deployment", "m-new"])
    body["metadata"]["labels"] = {}
    at.put(body)
    actor = at.actor()
    actor.run(moves.decide_recovery(actor.observe()))
    assert actor.read_state()[0].phase == "idle"


def test_a_deployment_that_a_finalizer_keeps_is_not_removed() -> None:
    at = world()
    real = at.delete

    def delete(kind: str, name: str, ns: str, **more: Any) -> bool:
        body = copy.deepcopy(at.objects[kind, name])
        real(kind, name, ns, **more)
        held(body)
        at.objects[kind, name] = body
        return True

    at.delete = delete  # type: ignore[method-assign]
    actor = at.actor()
    with pytest.raises(StepFailed, match="still after its time to end: Deployment m-older"):
        actor.move(moves.Remove("m-older"))


def test_another_of_the_same_name_is_not_waited_for() -> None:
    at = world()
    real = at.delete

    def delete(kind: str, name: str, ns: str, **more: Any) -> bool:
        body = copy.deepcopy(at.objects[kind, name])
        real(kind, name, ns, **more)
        del body["metadata"]["uid"]
        at.put(body)  # somebody makes it anew at once
        return True

    at.delete = delete  # type: ignore[method-assign]
    at.actor().move(moves.Remove("m-older"))
    assert ("Deployment", "m-older") in at.objects
