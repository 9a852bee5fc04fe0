"""Objects of a Kubernetes API as plain dicts: read, watch, write. THIN, over cluster_rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Event
from typing import Literal, TypeVar

from tasks.objects.kinds import KINDS, Resource, from_discovery
from tasks.objects.pods import Object
from tasks.outside.kubernetes import watch as cluster_watch
from tasks.outside.kubernetes.logs import follow, whole
from tasks.outside.kubernetes.rest import ApiRequest, Expired, Fence, NotFound, Rest

FIELD_MANAGER = "model-rollout"
PAGE = 1000

ObjectList = list[Object]
AccessCheck = tuple[str, str, str | None]
AccessChecks = list[AccessCheck]
_T = TypeVar("_T")


class Objects:
    """What can be done with the objects of one Kubernetes API.

    Safe for use from several threads. Objects are plain dicts, kinds are names such as 'Pod' (a
    kind outside the usual ones as 'group/version/Kind'). Every write takes a `fence`, called right
    before each attempt, and `dry_run` (the server checks and answers, and stores nothing).
    Errors: ApiError and its subclasses Conflict, AlreadyExists, NotFound, Forbidden, all of them
    OutsideError.
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self._discovered: dict[str, Resource] = {}

    def limited(self, timeout_s: float, patience_s: float) -> Objects:
        """The same API, asked with other limits (for what must not be late, such as a lease)."""
        return Objects(self.rest.limited(timeout_s, patience_s))

    def now(self) -> datetime:
        """The API server's clock, UTC, as far as its answers have shown it."""
        return self.rest.now()

    # -- reading

    def get(self, kind: str, name: str, ns: str | None = None) -> Object | None:
        """One object, None where there is none."""
        res = self.resource(kind)
        try:
            return self.rest.json(ApiRequest("GET", res.path(ns, name), "get", res.where(ns, name)))
        except NotFound:
            return None

    def list(
        self,
        kind: str,
        ns: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        """All matching objects, read page by page; ns None is every namespace."""
        return self.snapshot(kind, ns, label_selector, field_selector)[0]

    def snapshot(
        self,
        kind: str,
        ns: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> tuple[ObjectList, str]:
        """All matching objects and the resourceVersion to watch on from."""
        res = self.resource(kind)
        base = _selectors(label_selector, field_selector)
        query = {**base, "limit": str(PAGE)}
        items: ObjectList = []
        while True:
            ask = ApiRequest("GET", res.path(ns), "list", res.where(ns), query)
            try:
                page = self.rest.json(ask)
            except Expired:
                if "continue" not in query:
                    raise
                # Pages took too long: begin again, in one piece, which cannot expire.
                items, query = [], base
                continue
            for item in page.get("items") or []:
                # A third of a pod's bytes, and nothing decides by it.
                item["metadata"].pop("managedFields", None)
                items.append(item)
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                break
            query = {**query, "continue": meta["continue"]}
        for item in items:
            # Items of a list carry neither; whoever applies or names one needs both.
            item.setdefault("apiVersion", res.api_version)
            item.setdefault("kind", res.kind)
        return items, str(meta.get("resourceVersion", ""))

    def watch(
        self,
        kind: str,
        ns: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        start: tuple[ObjectList, str] | None = None,
        timeout_s: float | None = None,
        stop: Event | None = None,
    ) -> Iterator[tuple[str, Object]]:
        """Changes as (ADDED | MODIFIED | DELETED, object), until time-out or stop.

        `start` is the answer of `snapshot`, whose objects the caller knows; without it they come
        first, as ADDED. Resumes after cuts, idle connections and API restarts. When the past is
        gone (410) it lists anew and yields the differences, so a DELETED may carry an object's
        last known state; nothing is missed but intermediate states.
        """
        query = _selectors(label_selector, field_selector)
        return cluster_watch.watch(
            self.rest,
            self.resource(kind),
            ns,
            query,
            lambda: self.snapshot(kind, ns, label_selector, field_selector),
            start=start,
            timeout_s=timeout_s,
            stop=stop,
        )

    def wait_for(
        self,
        kind: str,
        ns: str | None,
        predicate: Callable[[ObjectList], _T | None],
        timeout_s: float,
        *,
        what: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        stop: Event | None = None,
    ) -> _T:
        """Watch until `predicate` of all matching objects is truthy; gives what it gave.

        Raises StepFailed after `timeout_s`, or when `stop` is set, naming `what`.
        """
        return cluster_watch.wait_for(
            lambda: self.snapshot(kind, ns, label_selector, field_selector),
            lambda start, left: self.watch(
                kind,
                ns,
                label_selector=label_selector,
                field_selector=field_selector,
                start=start,
                timeout_s=left,
                stop=stop,
            ),
            predicate,
            timeout_s,
            what,
        )

    def logs(
        self,
        pod: str,
        ns: str,
        container: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
        most_bytes: int | None = None,
    ) -> str:
        """A container's log as it is now; '' when it has none yet (or the pod is gone).

        most_bytes: only the end of a longer log is kept, behind a line that says so.
        """
        query = {"container": container} if container else {}
        if tail_lines is not None:
            query["tailLines"] = str(tail_lines)
        if previous:
            query["previous"] = "true"
        return whole(self.rest, pod, ns, query, most_bytes)

    def follow_logs(
        self, pod: str, ns: str, container: str, stop: Event | None = None
    ) -> Iterator[str]:
        """A container's log lines as they are written, until it ends for good or `stop` is set.

        Waits for the container to start; resumes after a cut where it was, by the time stamps.
        """
        return follow(self.rest, lambda: self.get("Pod", pod, ns), pod, ns, container, stop)

    def server_version(self) -> str:
        """The API server's version, e.g. v1.28.8."""
        answer = self.rest.json(ApiRequest("GET", "/version", "get", "/version"))
        return str(answer.get("gitVersion", ""))

    def can_i(self, checks: AccessChecks) -> AccessChecks:
        """Which of the (verb, kind, namespace) the API would refuse; kind may be 'Pod/log'."""
        denied = []
        for verb, kind, ns in checks:
            name, _, sub = kind.partition("/") if kind.count("/") < 2 else (kind, "", "")
            res = self.resource(name)
            attributes = {"verb": verb, "group": res.group, "resource": res.plural}
            attributes |= {"subresource": sub} if sub else {}
            attributes |= {"namespace": ns} if ns else {}
            answer = self.create(
                {
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SelfSubjectAccessReview",
                    "metadata": {},
                    "spec": {"resourceAttributes": attributes},
                }
            )
            if not (answer.get("status") or {}).get("allowed"):
                denied.append((verb, kind, ns))
        return denied

    # -- writing

    def apply(
        self, obj: Object, *, force: bool = True, fence: Fence | None = None, dry_run: bool = False
    ) -> Object:
        """Server-side apply: create it, or own the fields given here; absent ones are given up."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true" if force else "false"}
        return self._write(
            "PATCH", "patch", obj, query, "application/apply-patch+yaml", fence, dry_run
        )

    def create(self, obj: Object, *, fence: Fence | None = None, dry_run: bool = False) -> Object:
        """Create it. Raises AlreadyExists. A lost answer is not asked for again."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._write("POST", "create", obj, query, "application/json", fence, dry_run)

    def replace(self, obj: Object, *, fence: Fence | None = None, dry_run: bool = False) -> Object:
        """Write the whole object over the version it was read at.

        Raises Conflict when it has changed since, ValueError without a resourceVersion.
        """
        if not obj["metadata"].get("resourceVersion"):
            raise ValueError(
                "replace needs metadata.resourceVersion, or it would overwrite blindly"
            )
        query = {"fieldManager": FIELD_MANAGER}
        return self._write("PUT", "update", obj, query, "application/json", fence, dry_run)

    def patch(
        self,
        kind: str,
        name: str,
        ns: str | None,
        body: Object,
        *,
        sub: str = "",
        fence: Fence | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Change some fields, by a merge patch. metadata.resourceVersion in it makes it conditional
        (Conflict when the object has changed). `sub`: a subresource such as 'scale'."""
        res = self.resource(kind)
        return self.rest.json(
            ApiRequest(
                "PATCH",
                res.path(ns, name, sub),
                "patch",
                res.where(ns, f"{name}/{sub}" if sub else name),
                _dry({"fieldManager": FIELD_MANAGER}, dry_run),
                body,
                "application/merge-patch+json",
                fence=fence,
            )
        )

    def delete(
        self,
        kind: str,
        name: str,
        ns: str | None = None,
        *,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        uid: str | None = None,
        fence: Fence | None = None,
        dry_run: bool = False,
    ) -> bool:
        """Delete it; False where there was none. With `uid`, Conflict when it is another object."""
        res = self.resource(kind)
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid:
            body["preconditions"] = {"uid": uid}
        if dry_run:
            body["dryRun"] = ["All"]
        ask = ApiRequest(
            "DELETE",
            res.path(ns, name),
            "delete",
            res.where(ns, name),
            _dry({}, dry_run),
            body,
            fence=fence,
        )
        try:
            self.rest.raw(ask)
        except NotFound:
            return False
        return True

    def _write(
        self,
        method: str,
        verb: str,
        obj: Object,
        query: dict[str, str],
        content_type: str,
        fence: Fence | None,
        dry_run: bool,
    ) -> Object:
        res = self.resource(obj["kind"], obj.get("apiVersion"))
        ns, name = obj["metadata"].get("namespace"), obj["metadata"].get("name")
        creating = method == "POST"
        return self.rest.json(
            ApiRequest(
                method,
                res.path(ns, None if creating else name),
                verb,
                res.where(ns, name),
                _dry(query, dry_run),
                obj,
                content_type,
                again=not creating,
                fence=fence,
            )
        )

    # -- below the objects

    def resource(self, kind: str, api_version: str | None = None) -> Resource:
        """Where a kind lives; kinds outside the table are asked of the cluster once.

        Raises NotFound when the cluster does not serve it.
        """
        if "/" in kind:
            api_version, _, kind = kind.rpartition("/")
        known = KINDS.get(kind)
        if known and api_version in (None, known.api_version):
            return known
        if api_version is None:
            raise ValueError(f"kind '{kind}' is not in the table: write it as group/version/Kind")
        key = f"{api_version}/{kind}"
        if key not in self._discovered:
            root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            answer = self.rest.json(ApiRequest("GET", root, "get", root))
            found = from_discovery(api_version, answer, kind)
            if found is None:
                raise NotFound(
                    f"Kubernetes API {self.rest.address} serves no kind {kind} in {api_version}; "
                    "install what defines it, or correct apiVersion",
                    404,
                    "NotFound",
                )
            self._discovered[key] = found
        return self._discovered[key]


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    query = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {key: value for key, value in query.items() if value}


def _dry(query: dict[str, str], dry_run: bool) -> dict[str, str]:
    return {**query, "dryRun": "All"} if dry_run else query
