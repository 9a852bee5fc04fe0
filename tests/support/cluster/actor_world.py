"""A cluster in memory for the Actor: objects with versions, pods and slices that follow at once.

It notes as `harm` what must never happen: what serves is stopped although it answers, or what
served is stopped sooner after its switch than its requests may take.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from deployments.local.kube.api.apply import apply, written
from deployments.local.kube.api.patches import merge_patch
from tasks.base import clock
from tasks.base.errors import OutsideError, StepFailed
from tasks.objects.endpoints import MAKER, MAKER_LABEL
from tasks.objects.labels import FIELD_MANAGER, RELEASE_LABEL
from tasks.objects.replicas import due_of
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import AlreadyExists, Cluster, Conflict, NotFound
from tasks.release.soaking import Look, Rules
from tasks.release.state import Release, State, to_configmap
from tests.support.cluster.bodies import (
    DRAIN,
    NAME,
    NEW,
    NS,
    OLD,
    OLDER,
    Object,
    deployment,
    ident_of,
    labels_of,
    release,
    stable_service,
)
from tests.support.cluster.hand import FakeWrites

ENDING, LAG = 20.0, 2.0


class Killed(BaseException):
    """The process ends before its next write."""


class World(FakeWrites):
    """`broken` releases never get ready; one node has `seats` cpus; `left` writes until Killed.
    A pod that was asked to end holds its seat for ENDING seconds more; after a scaling it is asked
    LAG seconds later, as a busy controller does.

    meddle: called before each write with its verb and kind, as somebody else who writes. admit:
    called with what is to be created, in a dry run too; raises where it is refused.
    """

    def __init__(self, seats: int = 99) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.broken: set[str] = set()
        self.seats, self.version, self.epoch = seats, 0, 0
        self.left: int | None = None
        self.writes: list[tuple[str, str, str]] = []
        self.harm: list[str] = []
        self.may_interrupt = False
        self.meddle: Callable[[str, str], None] = lambda verb, kind: None
        self.admit: Callable[[Object], None] = lambda body: None
        self.fewest = 99  # pods that answered where the Service led, ever
        self.switched: dict[str, float] = {}
        self.ending: list[tuple[Object, float]] = []  # pods, and when they are gone
        self.bare: list[Object] = []  # pods that nobody keeps

    # -- what a person, or the rollout before, put there -------------------------------------

    def put(self, body: Object, manager: str = "kubectl-edit", owned: bool = False) -> None:
        """An object, whatever was there. owned: its managedFields are right already."""
        self.version += 1
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(self.version)
        key = body["kind"], body["metadata"]["name"]
        held = self.objects.get(key, {"metadata": {}})
        before = held["metadata"]
        moved = held.get("spec") != body.get("spec")
        if body["kind"] == "Deployment":
            moved |= before.get("annotations") != body["metadata"].get("annotations")
            body = body if owned else written(self.objects.get(key), body, manager)
        body["metadata"]["generation"] = before.get("generation", 0) + moved
        body["metadata"]["uid"] = before.get("uid") or f"uid-{self.version}"
        self.objects[key] = body
        self._control()
        if ("Service", NAME) in self.objects:
            self.fewest = min(self.fewest, self.available(self.leads_to()))

    def actor(self, look: Callable[[Release], Look] | None = None, soak_s: float = 4) -> Actor:
        """The Actor of a new process, which has taken the lease over."""
        self.epoch += 1
        return Actor(
            self,  # type: ignore[arg-type]
            NS,
            NAME,
            fence=lambda: None,
            epoch=self.epoch,
            look=look,
            rules=Rules(duration_s=soak_s),
        )

    # -- the API -------------------------------------------------------------------------------

    def get(self, kind: str, name: str, ns: str | None = None) -> Object | None:
        self._control()
        return copy.deepcopy(self.objects.get((kind, name)))

    def list(
        self,
        kind: str,
        ns: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        keep: Callable[[Object], Object] = lambda item: item,
    ) -> list[Object]:
        wanted = dict(part.split("=") for part in label_selector.split(",") if part)
        service = wanted.pop("kubernetes.io/service-name", NAME)
        found = {
            "Node": self._nodes,
            "Pod": self._pods,
            "EndpointSlice": lambda: self._slices(service) + self._kept(kind),
        }.get(kind, lambda: self._kept(kind))()
        return [
            keep(copy.deepcopy(item))
            for item in found
            if wanted.items() <= (item["metadata"].get("labels") or {}).items()
        ]

    def port_forward(self, pod: str, ns: str, port: int) -> Any:
        raise OutsideError("pods in memory listen nowhere")

    def now(self) -> Any:
        return clock.now()

    def create(
        self, body: Object, *, fence: Callable[[], None] | None = None, dry_run: bool = False
    ) -> Object:
        key = body["kind"], body["metadata"].get("name", "")
        if not dry_run:
            self._write("create", *key, fence)
        if key in self.objects:
            raise AlreadyExists("exists", 409)
        self.admit(body)
        if dry_run:
            return body
        self.put(body, FIELD_MANAGER)
        return copy.deepcopy(self.objects[key])

    def replace(self, body: Object, *, fence: Callable[[], None] | None = None) -> Object:
        key = body["kind"], body["metadata"]["name"]
        self._write("replace", *key, fence)
        self._same_version(key, body)
        self.put(body, FIELD_MANAGER)
        return body

    def apply(self, body: Object, *, fence: Callable[[], None] | None = None) -> Object:
        key = body["kind"], body["metadata"]["name"]
        self._write("apply", *key, fence)
        self._same_version(key, body)
        new = apply(self.objects[key], body, FIELD_MANAGER, force=True)
        self._watch(body["kind"], self.objects[key], new)
        self.put(new, owned=True)
        return copy.deepcopy(self.objects[key])

    def patch(
        self,
        kind: str,
        name: str,
        ns: str,
        body: Object,
        *,
        fence: Callable[[], None] | None = None,
        dry_run: bool = False,
    ) -> Object:
        if not dry_run:
            self._write("patch", kind, name, fence)
        self._same_version((kind, name), body)
        new = merge_patch(self.objects[kind, name], body)
        if not dry_run:
            self._watch(kind, self.objects[kind, name], new)
            self.put(new, FIELD_MANAGER)
        return dict(new)

    def delete(
        self,
        kind: str,
        name: str,
        ns: str,
        *,
        fence: Callable[[], None] | None = None,
        uid: str | None = None,
        version: str | None = None,
    ) -> bool:
        self._write("delete", kind, name, fence)
        old = self.objects.get((kind, name))
        if old is None:
            return False
        if uid not in (None, old["metadata"]["uid"]):
            raise Conflict("another object", 409)
        if version not in (None, old["metadata"]["resourceVersion"]):
            raise Conflict("changed", 409)
        self._watch(kind, old, None)
        self._end(old, int(old.get("placed", 0)), 0)
        del self.objects[kind, name]
        self._control()
        return True

    def _write(self, verb: str, kind: str, name: str, fence: Callable[[], None] | None) -> None:
        assert fence is not None, "a write without a fence"
        fence()
        if self.left is not None:
            if self.left == 0:
                raise Killed
            self.left -= 1
        self.meddle(verb, kind)
        self.writes.append((verb, kind, name))

    def _same_version(self, key: tuple[str, str], body: Object) -> None:
        if key not in self.objects:
            raise NotFound("gone", 404)
        asked = body["metadata"].get("resourceVersion")
        assert asked is not None or "metadata" in body
        if asked not in (None, self.objects[key]["metadata"]["resourceVersion"]):
            raise Conflict("changed", 409)

    # -- what may not happen -------------------------------------------------------------------

    def leads_to(self) -> str | None:
        """The release whose pods the stable Service chooses."""
        found = self.objects.get(("Service", NAME))
        return self._chosen(found["spec"].get("selector")) if found else None

    def _chosen(self, selector: Object | None) -> str | None:
        if not selector:
            return None
        fit = (o for o in self._deployments() if selector.items() <= labels_of(o).items())
        return next(map(ident_of, fit), selector.get(RELEASE_LABEL))

    def _deployments(self) -> list[Object]:
        every = [o for (kind, _), o in self.objects.items() if kind == "Deployment"]
        return [o for o in every if "template" in o["spec"]]

    def available(self, ident: str | None) -> int:
        """Replicas of a release that answer."""
        found = (o for o in self._deployments() if ident_of(o) == ident and not copy_of(o))
        return next((int(o["status"]["availableReplicas"]) for o in found), 0)

    def _watch(self, kind: str, old: Object, new: Object | None) -> None:
        if kind == "Service" and old["metadata"]["name"] == NAME and new is not None:
            before, after = (self._chosen(item["spec"].get("selector")) for item in (old, new))
            if before != after and before:
                self.switched[before] = clock.monotonic()
                self.switched.pop(after or "", None)
                if self.available(before) and not self.available(after):
                    self.harm.append(f"moved from {before}, which answers, to {after}")
        if kind != "Deployment" or not self.available(ident := ident_of(old)):
            return
        if new is not None and new["spec"]["replicas"] >= old["spec"]["replicas"]:
            return
        if ident == self.leads_to():
            lent = new is not None and new["spec"]["replicas"] > 0
            if not self.may_interrupt and not lent:
                self.harm.append(f"{ident} serves and was stopped")
        elif ident in self.switched and self.available(self.leads_to()):
            waited = clock.monotonic() - self.switched[ident]
            if waited < DRAIN - 1e-6:  # sums of pauses
                self.harm.append(f"{ident} was stopped {waited:.0f} s after the switch")

    # -- controllers ---------------------------------------------------------------------------

    def _control(self) -> None:
        """Replicas find seats, those that have one before others; ready unless broken."""
        self.ending = [(pod, at) for pod, at in self.ending if at > clock.monotonic()]
        every = self._deployments()
        for item in every:
            had = min(int(item.get("placed", 0)), item["spec"]["replicas"])
            self._end(item, int(item.get("placed", 0)) - had, LAG)
            item["placed"] = had
        free = self.seats - len(self.ending) - sum(item["placed"] for item in every)
        for item in every:
            more = max(0, min(item["spec"]["replicas"] - item["placed"], free))
            item["placed"], free = item["placed"] + more, free - more
            broken = ident_of(item) in self.broken
            item["status"] = {"availableReplicas": 0 if broken else item["placed"]}

    def _end(self, item: Object, count: int, lag: float) -> None:
        at = clock.monotonic() + lag + ENDING
        for number in range(count):
            self.ending.append((self._pod(item, f"ending-{number}", "False"), at))

    def _pod(self, item: Object, number: object, ready: str) -> Object:
        name = item["metadata"]["name"]
        return {
            "metadata": {
                "name": f"{name}-{number}",
                "namespace": NS,
                "labels": labels_of(item),
                "ownerReferences": [{"kind": "ReplicaSet", "name": f"{name}-5d8"}],
            },
            "spec": {**item["spec"]["template"]["spec"], "nodeName": "n"},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }

    def _pods(self) -> list[Object]:
        self._control()
        for pod, at in self.ending:
            if at - clock.monotonic() <= ENDING:
                pod["metadata"]["deletionTimestamp"] = clock.now().isoformat()
        out = [*self.bare, *(pod for pod, _ in self.ending)]
        for item in self._deployments():
            ready = str(item["status"]["availableReplicas"] > 0)
            out += [self._pod(item, number, ready) for number in range(item["placed"])]
        return out

    def _kept(self, kind: str) -> list[Object]:
        return [item for (its, _), item in self.objects.items() if its == kind]

    def _slices(self, service: str) -> list[Object]:
        spec = self.objects["Service", service]["spec"]
        port = next((p for p in spec["ports"] if p.get("name") == "http"), spec["ports"][0])
        target = port.get("targetPort", port["port"])
        early = bool(spec.get("publishNotReadyAddresses"))
        here = self.list("Pod", NS, ",".join(f"{k}={v}" for k, v in spec["selector"].items()))
        slices: dict[bool, list[Object]] = {True: [], False: []}
        for pod in here:
            named = [p.get("name") for c in pod["spec"]["containers"] for p in c["ports"]]
            heard = isinstance(target, int) or target in named
            ready = pod["status"]["conditions"][0]["status"] == "True"
            about = {"name": pod["metadata"]["name"]}
            end = {"targetRef": about, "conditions": {"ready": ready or early}}
            slices[heard].append(end)
        meta = {"name": "s", "labels": {MAKER_LABEL: MAKER}}
        found = [(heard, ends) for heard, ends in slices.items() if ends]
        return [{"metadata": meta, "ports": [{}] * h, "endpoints": ends} for h, ends in found]

    def _nodes(self) -> list[Object]:
        status = {
            "allocatable": {"cpu": str(self.seats), "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        return [{"metadata": {"name": "n", "labels": {}}, "spec": {}, "status": status}]


def copy_of(item: Object) -> bool:
    """It has the labels of a release, and another name."""
    name = item["metadata"]["name"]
    return name != f"{NAME}-{ident_of(item)}" and name.endswith("-copy")


def wait_ready(cluster: Cluster, ns: str, name: str, *, timeout_s: float) -> None:
    """In place of the real wait, which gives a Pending pod up: nothing comes later here."""
    found = cluster.get("Deployment", name, ns)
    if found is None or found["status"]["availableReplicas"] < due_of(found):
        raise StepFailed(f"{name} never becomes ready")


def world(
    *, seats: int = 99, phase: str = "idle", candidate: bool = False, replicas: int = 2
) -> World:
    """`old` serves, `older` is kept at zero, `new` may be under test."""
    out = World(seats)
    old, older, new = (release(item.id, replicas) for item in (OLD, OLDER, NEW))
    state = State(
        NAME,
        phase=phase,  # type: ignore[arg-type]
        stable=old,
        previous=older,
        candidate=new if candidate else None,
        rollout="run-0",
        drain_s=DRAIN,
    )
    out.put(to_configmap(state, NS))
    out.put(deployment(old, replicas))
    out.put(deployment(older, 0))
    if candidate:
        out.put(deployment(new, replicas))
    out.put(stable_service(old))
    return out


def in_test() -> World:
    """`old` serves, `new` is the candidate, and is up."""
    return world(phase="testing", candidate=True)
