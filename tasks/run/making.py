"""That a Pod of a release can be made: the API server checks one and makes none, and what it names
is there. Secrets are not ours to read: a Job names them, and the kubelet looks for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tasks.base.errors import Refused
from tasks.nodes.facts import TERMINAL
from tasks.objects.pods import Object, ReadObject, ending, engine_container
from tasks.objects.reached import release_labelled
from tasks.objects.template import Named, named_by, pod_of
from tasks.outside.kubernetes.access import rollout_pods, selector_text
from tasks.outside.kubernetes.client import ApiError, Cluster, Forbidden
from tasks.release.comeback import Comeback
from tasks.release.seats.quota import given_back, lacking

# what the API server, its quotas and its admission say of a Pod, and not of themselves
REFUSALS = (400, 403, 404, 422)
_NO_RIGHT = re.compile(r'cannot create resource "pods"')
# a webhook that may change something elsewhere is not asked in a dry run
NOT_TRIED = re.compile(r"does not support dry run")


@dataclass(frozen=True)
class Beside:
    """How two releases stand side by side on the way. serving: the one that lends. steps: of what
    is to start, and of what serves, how many pods at a time."""

    serving: str
    steps: tuple[tuple[int, int], ...]


def with_made(
    cluster: Cluster,
    name: str,
    deploy: Object,
    found: Comeback,
    count: int | None = None,
    beside: Beside | None = None,
    makes: Sequence[str] = (),
) -> Comeback:
    """With what the API server says to a Pod of this Deployment of rollout `name`, in its words,
    with the quotas of its namespace that would have no room, and with what its template names and
    is not there.

    count: replicas that are to have their part of a quota once the rollout's other pods are gone;
    None: as many as run. beside: what they are to have their part beside, before that. makes: what
    is made with it, as a quota names the number of such objects. Raises OutsideError where it does
    not answer.
    """
    ns = deploy["metadata"]["namespace"]
    try:
        said, spec, unknown = _tried(cluster, deploy)
    except Refused as error:  # a pod that no Service would choose
        return replace(found, wrong=(*found.wrong, str(error)))
    quotas, unseen = _quotas(cluster, ns)
    unknown += unseen
    wrong: list[str] = []
    if said or quotas:
        pods = [pod for pod in rollout_pods(cluster, ns, name) if _holds(pod)]
        own = [pod for pod in pods if release_labelled(pod) == release_labelled(deploy)]
        asks = _Asks(said, spec or (own[0] if own else pod_of(deploy, ()))["spec"], quotas, makes)
        count = len(own) if count is None else count
        wrong += _refused(asks, pods, count, beside)
    for named in named_by(deploy["spec"]["template"]["spec"]):
        if named.kind == "Secret":
            continue
        try:
            wrong += _lacks(named, cluster.get(named.kind, named.name, ns))
        except Forbidden:
            unknown.append(f"whether {named} is there: it may not be read")
    return replace(found, wrong=(*found.wrong, *wrong), unknown=(*found.unknown, *unknown))


def _tried(cluster: Cluster, deploy: Object) -> tuple[str, Object | None, list[str]]:
    """What the API server says against a Pod of it, '' where nothing; the PodSpec that it would
    make of it, where it would; and what nobody can say. Raises Refused."""
    meta, template = deploy["metadata"], deploy["spec"]["template"]
    chosen = (template.get("metadata") or {}).get("labels") or {}
    owners = cluster.list("ReplicaSet", meta["namespace"], label_selector=selector_text(chosen))
    try:
        return "", cluster.trial().create(pod_of(deploy, owners))["spec"], []
    except ApiError as error:
        if error.status not in REFUSALS:
            raise
        said = str(error)
        if _NO_RIGHT.search(said) or NOT_TRIED.search(said):
            return "", None, [f"whether the API server would take a Pod of {meta['name']}: {said}"]
        return said, None, []


def admitted(cluster: Cluster, deploy: Object) -> Object | None:
    """The PodSpec that the API server would make of its template now, whose admission may write
    another image; None where it takes none, or cannot be asked. Raises OutsideError where it does
    not answer."""
    try:
        return _tried(cluster, deploy)[1]
    except Refused:
        return None


def images_made(cluster: Cluster, planned: Object, *engines: ReadObject) -> tuple[str, ...]:
    """The image that the cluster makes of the planned one, by its own word; none where these
    PodSpecs have the planned one, or the cluster does not say. Raises OutsideError."""
    wanted = image_of(planned["spec"]["template"]["spec"])
    if all(image_of(spec) == wanted for spec in engines):
        return ()
    there = cluster.get("Deployment", planned["metadata"]["name"], planned["metadata"]["namespace"])
    meta = (there or planned)["metadata"]
    # of the plan's template and not of what is there, which a hand may have changed
    found = admitted(cluster, {**planned, "metadata": meta})
    return (image_of(found),) if found else ()


def image_of(spec: ReadObject) -> str:
    """The engine's, of a PodSpec."""
    return str(engine_container(spec).get("image", ""))


def _quotas(cluster: Cluster, namespace: str) -> tuple[list[Object], list[str]]:
    """Every quota of the namespace: the API server tells of the first that is exceeded alone."""
    try:
        return cluster.list("ResourceQuota", namespace), []
    except Forbidden:
        return [], [f"whether each quota of namespace {namespace} has room: none may be listed"]


@dataclass(frozen=True)
class _Asks:
    """said: the API server's words on a pod now, '' where it would take one. spec: of the pod, as
    it is admitted."""

    said: str
    spec: Object
    quotas: Sequence[Object]
    makes: Sequence[str]

    def refused(self, gone: Sequence[Object], count: int) -> str:
        """Why so many have no room once these pods are gone; '' where they have."""
        specs = [pod["spec"] for pod in gone]
        if self.said and not given_back(self.said, specs, count, self.quotas):
            return self.said
        return lacking(self.quotas, self.spec, specs, count, self.makes)


def _refused(asks: _Asks, pods: list[Object], count: int, beside: Beside | None) -> list[str]:
    if why := asks.refused(pods, count):
        return [f"the API server takes no Pod of it: {why}"]
    for starts, stays in beside.steps if beside else ():
        gone = _without(pods, beside.serving if beside else "", stays)
        if why := asks.refused(gone, starts):
            return [
                f"the API server takes no {starts} Pod(s) of it beside {stays} of what "
                f"serves: {why}"
            ]
    return []


def _without(pods: Sequence[Object], release: str, stays: int) -> list[Object]:
    """Those that are gone once so many of a release stay: which ones is not ours to choose, and
    they are alike."""
    its = [number for number, pod in enumerate(pods) if release_labelled(pod) == release]
    kept = its[: max(0, stays)]
    return [pod for number, pod in enumerate(pods) if number not in kept]


def _holds(pod: Object) -> bool:
    """It has its part of a quota, and is a release's."""
    return bool(release_labelled(pod)) and (pod.get("status") or {}).get("phase") not in TERMINAL


def _lacks(named: Named, found: Object | None) -> list[str]:
    what = f"{named.kind} {named.name}"
    if found is None:
        return [f"{what}, which its pods name, is not there"]
    if ending(found):
        return [f"{what}, which its pods name, is being deleted"]
    held = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    if named.key and named.key not in held:
        return [f"{what} has no key {named.key}, which its pods name"]
    return []


def secrets_of(deploy: Object) -> Sequence[Named]:
    """The Secrets without which its pods cannot start."""
    every = named_by(deploy["spec"]["template"]["spec"])
    return tuple(named for named in every if named.kind == "Secret")
