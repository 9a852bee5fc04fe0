"""Objects of a Kubernetes API as plain dicts: read, watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Event
from typing import TypeVar

from tasks.objects.kinds import KINDS, Resource, from_discovery
from tasks.objects.pods import Object
from tasks.outside.kubernetes import watch as watching
from tasks.outside.kubernetes.logs import follow, whole
from tasks.outside.kubernetes.rest import ApiRequest, Expired, Fence, NotFound, Rest, unfenced
from tasks.outside.kubernetes.writes import Writer

PAGE = 1000
# Of these managedFields are read (tasks.objects.replicas); of a pod they are a third of its bytes.
OWNED = ("Deployment",)

ObjectList = list[Object]
_T = TypeVar("_T")


class Objects:
    """What can be done with the objects of one Kubernetes API.

    Safe for use from several threads. Objects are plain dicts, kinds are names such as 'Pod' (a
    kind outside the usual ones as 'group/version/Kind'). It reads; `writer` and `trial` write.
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

    def writer(self, fence: Fence) -> Writer:
        """What writes. fence: called right before each attempt; raises where this process must not
        write (unfenced where no lock guards what is written)."""
        return Writer(self.rest, self.resource, fence)

    def trial(self) -> Writer:
        """What asks the server to check a write and to answer it, and to store nothing."""
        return Writer(self.rest, self.resource, unfenced, dry_run=True)

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
        keep: Callable[[Object], Object] | None = None,
    ) -> ObjectList:
        """All matching objects, read page by page; ns None is every namespace. keep: what of each
        is kept, while its page is read: as long as pages do not expire, one is there in full."""
        return self.snapshot(kind, ns, label_selector, field_selector, keep)[0]

    def snapshot(
        self,
        kind: str,
        ns: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        keep: Callable[[Object], Object] | None = None,
    ) -> tuple[ObjectList, str]:
        """All matching objects and the resourceVersion to watch on from. keep: see `list`."""
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
                if res.kind not in OWNED:
                    item["metadata"].pop("managedFields", None)
                items.append(keep(item) if keep else item)
            meta = page.get("metadata") or {}
            del page  # before the next one comes
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
        return watching.watch(
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
        return watching.wait_for(
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
        previous: bool = False,
        most_bytes: int | None = None,
    ) -> str:
        """A container's log as it is now; '' when it has none yet (or the pod is gone).

        most_bytes: only the end of a longer log is kept, behind a line that says so.
        """
        query = {"container": container} if container else {}
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
