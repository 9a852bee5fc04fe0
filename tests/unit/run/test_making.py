"""Nothing is taken from what serves before the API server takes a Pod of its very template, and
what that names is there."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tasks.base.errors import OutsideError, Refused
from tasks.outside.kubernetes.client import ApiError, Forbidden, NotFound
from tasks.outside.kubernetes.jobs import Diagnosis, JobResult
from tasks.release.comeback import Comeback
from tasks.run import proofs
from tasks.run.carry_out import settled
from tasks.run.comeback import look_back, must_come_back
from tasks.run.findings import Planned
from tasks.run.making import with_made
from tasks.spec.policy import Policy
from tests.support.cluster.actor_world import NAME, NS, World
from tests.support.cluster.courses import at_rest
from tests.support.cluster.runs import run_of
from tests.support.cluster.tight import (
    QUOTA,
    back,
    ends,
    forbidden,
    goes_back,
    hashes_well,
    refusing,
    tight,
)
from tests.support.surveys import survey

pytestmark = pytest.mark.usefixtures("quick")
Object = dict[str, Any]


SAYS_NO = [
    forbidden("no PriorityClass with name gone was found"),
    forbidden('error looking up service account models/a: serviceaccount "a" not found'),
    forbidden('pod rejected: RuntimeClass "gone" not found'),
    forbidden('violates PodSecurity "restricted:latest": host namespaces'),
    forbidden("maximum cpu usage per Container is 500m, but limit is 1"),
    forbidden(QUOTA.format(used=2, most=1)),
    forbidden("admission webhook denied the request: cannot use such an image"),
    NotFound("namespaces models not found", 404),
    ApiError("Pod is invalid: spec.containers", 422),
]
# of a quota that its own two pods use up, of ourselves, and of webhooks that say nothing
SAYS_NOTHING_OF_IT = [
    (forbidden(QUOTA.format(used=2, most=2)), ""),
    (forbidden('User "x" cannot create resource "pods" in API group ""'), "would take a Pod"),
    (ApiError("admission webhook h does not support dry run", 400), "would take a Pod"),
]


@pytest.mark.parametrize("which", ["m-old", "m-older"])
@pytest.mark.parametrize("error", SAYS_NO, ids=lambda error: str(error)[-40:])
def test_no_way_back_is_begun_that_the_api_server_refuses(
    error: ApiError, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither to what it refuses, nor away from what it would not give back."""
    at = tight()
    at.admit = refusing(error, which)
    with pytest.raises(Refused) as caught:
        goes_back(at, monkeypatch)
    assert which in str(caught.value) and str(error) in str(caught.value)
    assert at.writes == [] and at.available("old") == 2


@pytest.mark.parametrize(("error", "told"), SAYS_NOTHING_OF_IT)
def test_what_says_nothing_of_its_pods_is_no_refusal(
    error: ApiError, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tight()
    at.admit = refusing(error, "m-old", "m-older")
    deploy = at.objects["Deployment", "m-old"]
    found = with_made(cast(Any, at), NAME, deploy, Comeback())
    assert found.wrong == () and (told in " ".join(found.unknown))
    assert bool(found.unknown) is bool(told)
    goes_back(at, monkeypatch)
    assert at_rest(at) == "older"


def test_who_does_not_answer_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    at = tight()
    at.admit = refusing(ApiError("failed calling webhook h", 500), "m-old")
    with pytest.raises(Refused, match="not known: failed calling webhook"):
        goes_back(at, monkeypatch)
    assert at.writes == []


def naming(at: World, deployment: str, **volume: Any) -> None:
    body = at.objects["Deployment", deployment]
    body["spec"]["template"]["spec"].setdefault("volumes", []).append({"name": "v", **volume})


CONFIG = {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}}
CLAIM = {"persistentVolumeClaim": {"claimName": "c"}}


def there(kind: str, **more: Any) -> Object:
    return {
        "kind": kind,
        "metadata": {"name": "c", "namespace": NS, **more.pop("meta", {})},
        **more,
    }


@pytest.mark.parametrize("which", ["m-old", "m-older"])
@pytest.mark.parametrize(
    ("volume", "found", "why"),
    [
        (CONFIG, None, "ConfigMap c, which its pods name, is not there"),
        (CONFIG, there("ConfigMap", data={"other": ""}), "ConfigMap c has no key k"),
        (CONFIG, there("ConfigMap", binaryData={"k": ""}), ""),
        (CLAIM, None, "PersistentVolumeClaim c, which its pods name, is not there"),
        (CLAIM, there("PersistentVolumeClaim"), ""),
        # it stays as long as a pod has it
        (
            CLAIM,
            there("PersistentVolumeClaim", meta={"deletionTimestamp": "now"}),
            "PersistentVolumeClaim c, which its pods name, is being deleted",
        ),
    ],
)
def test_what_a_template_names_is_there(
    volume: Object, found: Object | None, why: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tight()
    naming(at, which, **volume)
    if found:
        at.put(found)
    at.writes.clear()
    if not why:
        goes_back(at, monkeypatch)
        assert at_rest(at) == "older"
        return
    with pytest.raises(Refused, match=f"{which} .*{why}"):
        goes_back(at, monkeypatch)
    assert at.writes == [] and at.available("old") == 2


def test_what_may_not_be_read_is_not_known() -> None:
    at = tight()
    naming(at, "m-old", **CLAIM)
    deploy, real = at.objects["Deployment", "m-old"], at.get

    def get(kind: str, name: str, ns: str | None = None) -> Object | None:
        if kind == "PersistentVolumeClaim":
            raise Forbidden("no right", 403)
        return real(kind, name, ns)

    at.get = get  # type: ignore[method-assign]
    found = with_made(cast(Any, at), NAME, deploy, Comeback())
    assert found == Comeback(
        unknown=("whether PersistentVolumeClaim c is there: it may not be read",)
    )


# -- Secrets, which are not ours to read --------------------------------------------------------

MISSING = Diagnosis(
    "config-missing", "the container cannot be started", 'secret "s" not found', "create it"
)
NO_NODE = Diagnosis("schedule", "no node takes it")


def secret(at: World, deployment: str) -> None:
    naming(at, deployment, secret={"secretName": "s"})
    container = at.objects["Deployment", deployment]["spec"]["template"]["spec"]["containers"][0]
    ref = {"name": "t", "key": "k"}
    container["env"] = [{"name": "LD_PRELOAD", "valueFrom": {"secretKeyRef": ref}}]


@pytest.mark.parametrize("which", ["m-old", "m-older"])
@pytest.mark.parametrize(
    ("result", "why"),
    [
        (JobResult(True, 0, (), None), ""),
        (JobResult(False, None, (), MISSING), 'is not there: secret "s" not found'),
        (
            JobResult(False, None, (), NO_NODE),
            "not known: nobody could look for the Secrets of m-old",
        ),
    ],
)
def test_the_kubelet_looks_for_secrets(
    result: JobResult, why: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = tight()
    secret(at, which)
    jobs: list[Object] = []
    monkeypatch.setattr(proofs, "run_job", ends(result, jobs))
    actor, decided = back(at)
    if why:
        with pytest.raises(Refused, match=why.replace("m-old", which)):
            settled(actor, decided(), decided)
        assert at.writes == [] and at.available("old") == 2
    else:
        settled(actor, decided(), decided)
        assert at_rest(at) == "older"
    (container,) = jobs[0]["spec"]["template"]["spec"]["containers"]
    # under names that no program heeds, in a container that does nothing
    assert container["command"] == ["true"]
    assert container["envFrom"] == [{"prefix": "NAMED_", "secretRef": {"name": "s"}}]
    *_, key = container["env"]
    assert key["name"] == "NAMED_1" and key["valueFrom"]["secretKeyRef"]["name"] == "t"


def test_a_secret_that_the_site_lets_no_job_name_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = tight()
    secret(at, "m-old")
    jobs: list[Object] = []
    monkeypatch.setattr(proofs, "run_job", ends(JobResult(True, 0, (), None), jobs))
    monkeypatch.setattr(proofs, "site_policy", lambda: Policy(secrets=["model-hub-*"]))
    actor, decided = back(at)
    settled(actor, decided(), decided)
    assert at_rest(at) == "older" and jobs == []


# -- before a candidate makes room --------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["lend", "replace"])
@pytest.mark.parametrize("error", SAYS_NO[:1] + SAYS_NO[5:6])
def test_before_the_lock_what_serves_is_tried(error: ApiError, strategy: str) -> None:
    at = tight()
    at.admit = refusing(error, "m-old")
    run = run_of(at)
    plan: Any = SimpleNamespace(strategy=strategy, lend=None)
    found = replace(survey(run.spec), seen=at.actor().observe())
    with pytest.raises(Refused, match="m-old could not come back"):
        look_back(run, Planned(plan, found, found.deployment([])))
    at.admit = refusing(ApiError("no answer", 503), "m-old")
    with pytest.raises(OutsideError, match="no answer"):
        look_back(run, Planned(plan, found, found.deployment([])))
    assert at.writes == []


@pytest.mark.parametrize("strategy", ["lend", "replace"])
def test_a_candidate_whose_pods_are_refused_makes_no_room(strategy: str) -> None:
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    body = found.deployment([])
    plan: Any = SimpleNamespace(strategy=strategy, lend=None)
    at.admit = refusing(SAYS_NO[0], body["metadata"]["name"])
    cluster = hashes_well(run)
    with pytest.raises(Refused, match=r"cannot be proven to start: .*no PriorityClass"):
        must_come_back(run, cluster, Planned(plan, found, body))
    assert at.writes == [] and at.available("old") == 2


@pytest.mark.parametrize("strategy", ["lend", "replace"])
@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"image": "mirror/img"}, ""),
        ({"command": ["sh"]}, "command: planned "),
        ({"args": ["--x"]}, "args: planned "),
    ],
)
def test_what_smoke_would_call_another_pod_is_refused_before_anything_stops(
    made: Object, told: str, strategy: str
) -> None:
    """By what the API server makes of it; an image it may call by another name."""
    at = tight()
    run = run_of(at)
    found = replace(survey(run.spec), seen=at.actor().observe())
    body = found.deployment([])
    plan: Any = SimpleNamespace(strategy=strategy, lend=None)

    def admit(pod: Object) -> None:
        its = pod["metadata"].get("generateName", "")
        if pod["kind"] == "Pod" and its == f"{body['metadata']['name']}-":
            engine, *rest = pod["spec"]["containers"]
            pod["spec"] = {**pod["spec"], "containers": [{**engine, **made}, *rest]}

    at.admit = admit
    cluster = hashes_well(run)
    if not told:
        must_come_back(run, cluster, Planned(plan, found, body))
        return
    with pytest.raises(Refused, match=f"admission makes another pod of it: {told}"):
        must_come_back(run, cluster, Planned(plan, found, body))
    assert at.writes == [] and at.available("old") == 2
