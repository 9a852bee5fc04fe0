"""One thread that keeps workloads, Endpoints and ownership right."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable

from deployments.local.kube.control.deployments import Roll
from deployments.local.kube.control.jobs import Counted, job
from deployments.local.kube.control.replicas import daemonset, replicaset
from deployments.local.kube.network.endpoints import endpoints
from deployments.local.kube.objects import allowed, pods
from deployments.local.kube.objects.index import Index, Place, controller, place
from deployments.local.kube.objects.kinds import BY_KIND, KINDS, NAMESPACE
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Event, Object, Store
from deployments.local.kube.objects.work import Work
from deployments.local.kube.settings import Settings

WORKLOADS = ("deployments", "replicasets", "daemonsets", "jobs", "services")
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
Task = tuple[str, str, str, str]  # what to do, plural, namespace, name (or uid)


class Controllers:
    """Hears the store, queues what an event may concern, and reconciles it."""

    def __init__(self, store: Store, index: Index, record: Recorder, settings: Settings) -> None:
        self._store, self._index, self._record = store, index, record
        self._settings = settings
        self._counted: Counted = {}
        self._work = Work("controllers", self._handle)

    def start(self) -> None:
        """Begin, with a look at everything there is."""
        self._store.listen(self._hear)
        self._work.add(("all", "", "", ""))
        self._work.start()

    def stop(self) -> None:
        """End."""
        self._store.unlisten(self._hear)
        self._work.stop()

    # -- hearing ------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        _, plural, what, obj = event
        if plural in ("events", "leases"):
            return
        meta = obj["metadata"]
        where = place(plural, obj)
        if plural in WORKLOADS:
            self._work.add(("sync", *where))
        owner = controller(obj)
        if owner is not None and owner.get("kind") in BY_KIND:
            above = BY_KIND[owner["kind"]].plural
            self._work.add(("sync", above, where[1], str(owner["name"])))
            if what == "ADDED" and not self._index.exists(str(owner.get("uid"))):
                self._work.add(("orphaned", "", "", str(owner.get("uid"))), 0.05)
        if plural in ("pods", "resourcequotas"):
            self._work.add(("quotas", "", where[1], ""), 0.005)
        if plural == "pods":
            self._work.add(("traffic", "", where[1], ""), 0.005)
            if pods.terminating(obj) and obj["spec"].get("nodeName"):
                self._work.add(("podgc", "", "", str(obj["spec"]["nodeName"])))
        elif plural == "nodes":
            self._work.add(("daemons", "", "", ""), 0.05)
            if what == "DELETED":
                self._work.add(("podgc", "", "", meta["name"]))
        if what == "DELETED":
            self._work.add(("orphaned", "", "", meta["uid"]))
            if plural == "pods" and owner is not None and owner.get("kind") == "ReplicaSet":
                self._grandparent(where[1], str(owner["name"]))
            if plural == "jobs":
                self._counted.pop(meta["uid"], None)
            if plural == "namespaces":
                self._work.add(("empty", "", meta["name"], ""))
            elif meta.get("namespace"):
                self._work.add(("namespace", "", meta["namespace"], ""))
        elif pods.terminating(obj):
            finalizers = meta.get("finalizers") or []
            if FOREGROUND in finalizers or ORPHAN in finalizers:
                self._work.add(("finalize", *where))
            if plural == "namespaces":
                self._work.add(("empty", "", meta["name"], ""))

    def _grandparent(self, ns: str, replicaset: str) -> None:
        """A Deployment that recreates waits for the last pod, which changes no ReplicaSet."""
        rs = self._store.get("replicasets", ns, replicaset)
        above = controller(rs) if rs is not None else None
        if above is not None and above.get("kind") == "Deployment":
            self._work.add(("sync", "deployments", ns, str(above["name"])))

    # -- working ------------------------------------------------------------------------------

    def _handle(self, key: Hashable) -> None:
        assert isinstance(key, tuple)
        what, plural, ns, name = key
        with contextlib.suppress(StatusError):  # a race lost: the winner's event comes again
            if what == "sync":
                self._sync(plural, ns, name)
            elif what == "orphaned":
                self._orphaned(name)
            elif what == "finalize":
                self._finalize((plural, ns, name))
            elif what in ("empty", "namespace"):
                self._namespace(ns, always=what == "empty")
            elif what == "traffic":
                for service in self._store.list("services", ns):
                    endpoints(self._store, self._index, service)
            elif what == "quotas":
                self._quotas(ns)
            elif what == "podgc":
                self._collect(name)
            elif what == "daemons":
                for item in self._store.list("daemonsets"):
                    self._work.add(("sync", *place("daemonsets", item)))
            elif what == "all":
                self._all()

    def _sync(self, plural: str, ns: str, name: str) -> None:
        obj = self._store.get(plural, ns, name)
        if obj is None or plural not in WORKLOADS:
            return

        def later(seconds: float) -> None:
            self._work.add(("sync", plural, ns, name), max(0.01, seconds))

        if plural == "deployments":
            Roll(self._store, self._index, self._record, obj, later).run()
        elif plural == "replicasets":
            replicaset(self._store, self._index, self._record, obj, later)
        elif plural == "daemonsets":
            daemonset(self._store, self._index, self._record, obj, later)
        elif plural == "jobs":
            pace = self._settings.job_backoff_s
            job(self._store, self._index, self._record, self._counted, obj, later, pace)
        else:
            endpoints(self._store, self._index, obj)

    def _all(self) -> None:
        for plural in WORKLOADS:
            for obj in self._store.list(plural):
                self._work.add(("sync", *place(plural, obj)))
        for quota in self._store.list("resourcequotas"):
            self._work.add(("quotas", "", quota["metadata"]["namespace"], ""))
        for namespace in self._store.list("namespaces"):
            if pods.terminating(namespace):
                self._work.add(("empty", "", namespace["metadata"]["name"], ""))
        self._work.add(("all", "", "", ""), self._settings.resync_s)

    def _quotas(self, ns: str) -> None:
        """Write what is used of each."""
        for quota in self._store.list("resourcequotas", ns):
            found = allowed.told(quota, self._store.list("pods", ns))
            if found != quota.get("status"):
                self._store.set_status("resourcequotas", ns, quota["metadata"]["name"], found)

    def _collect(self, node: str) -> None:
        """Remove the pods of a node that is no more."""
        if self._store.get("nodes", "", node) is None:
            for pod in self._index.pods_on(node):
                self._store.remove("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])

    # -- ownership ----------------------------------------------------------------------------

    def _orphaned(self, uid: str) -> None:
        """Delete what a gone owner left."""
        if not self._index.exists(uid):
            for where in self._index.places(uid):
                self._delete(where)

    def _delete(self, where: Place) -> None:
        obj = self._store.get(*where)
        if obj is not None and not pods.terminating(obj):
            with contextlib.suppress(StatusError):
                self._store.delete(*where)

    def _finalize(self, where: Place) -> None:
        """Foreground: the children first. Orphan: the children stay and forget their owner."""
        obj = self._store.get(*where)
        if obj is None or not pods.terminating(obj):
            return
        meta = obj["metadata"]
        finalizers = list(meta.get("finalizers") or [])
        children = self._index.places(meta["uid"])
        if ORPHAN in finalizers:
            for child in children:
                self._forget_owner(child, meta["uid"])
            self._release(where, obj, ORPHAN)
        elif FOREGROUND in finalizers:
            for child in children:
                self._delete(child)
            if children:
                self._work.add(("finalize", *where), 0.1)
            else:
                self._release(where, obj, FOREGROUND)

    def _forget_owner(self, where: Place, uid: str) -> None:
        with self._store.lock:
            obj = self._store.get(*where)
            if obj is None:
                return
            refs = obj["metadata"].get("ownerReferences") or []
            left = [ref for ref in refs if ref.get("uid") != uid]
            self._store.update(
                where[0], {**obj, "metadata": {**obj["metadata"], "ownerReferences": left}}
            )

    def _release(self, where: Place, obj: Object, finalizer: str) -> None:
        left = [item for item in obj["metadata"]["finalizers"] if item != finalizer]
        self._store.update(where[0], {**obj, "metadata": {**obj["metadata"], "finalizers": left}})

    # -- namespaces ---------------------------------------------------------------------------

    def _namespace(self, ns: str, *, always: bool) -> None:
        """Empty a namespace that goes or is gone; then let it go."""
        obj = self._store.get("namespaces", "", ns)
        if obj is not None and not pods.terminating(obj):
            return
        if obj is None and not always:
            return
        if obj is not None and (obj.get("status") or {}).get("phase") != "Terminating":
            self._store.set_status("namespaces", "", ns, {"phase": "Terminating"})
        left = 0
        for kind in KINDS:
            if not kind.namespaced or kind.plural == "events":
                continue
            for item in self._store.list(kind.plural, ns):
                left += 1
                self._delete((kind.plural, ns, item["metadata"]["name"]))
        if left:
            self._work.add(("empty", "", ns, ""), 0.2)
            return
        for item in self._store.list("events", ns):
            self._store.remove("events", ns, item["metadata"]["name"])
        fresh = self._store.get("namespaces", "", ns)
        if fresh is not None and NAMESPACE in (fresh["metadata"].get("finalizers") or []):
            self._release(("namespaces", "", ns), fresh, NAMESPACE)
