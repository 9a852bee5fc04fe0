"""Watching Kubernetes objects without losing track: cuts, silence, restarts, a lost past."""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

import urllib3
from urllib3.exceptions import HTTPError

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.objects.kinds import Resource
from tasks.objects.pods import Object
from tasks.outside.kubernetes.rest import ApiRequest, Expired, Rest

_log = logging.getLogger(__name__)

Snapshot = tuple[list[Object], str]
Change = tuple[str, Object]
_T = TypeVar("_T")

# A healthy API server sends a bookmark about once a minute; longer silence may be a dead peer.
_IDLE_S = 75.0
# The API server ends watches after 30 to 60 minutes; ending them ourselves spreads the load.
_LIFE_S = 300.0
# How long a guarding thread may outlive its watch, and how often a stopped read is cut anew.
_GUARD_S = 1.0
_CUT_AGAIN_S = 0.25
_LONGEST_PAUSE_S = 5.0
# What reading a broken or shut-down stream raises; the last two come from under the library.
_BROKEN = (HTTPError, OSError, ValueError, AttributeError)


def key(obj: Object) -> tuple[str, str]:
    """(namespace, name) of an object."""
    meta = obj["metadata"]
    return str(meta.get("namespace", "")), str(meta["name"])


def lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Lines as they arrive, without their ends; the last may be incomplete.

    Raises ConnectionError when the stream breaks off.
    """
    tail = b""
    while True:
        try:
            chunk = response.read1(65536)
        except _BROKEN as error:
            raise ConnectionError(f"{type(error).__name__}: {error}") from error
        if not chunk:
            break
        *whole, tail = (tail + chunk).split(b"\n")
        yield from whole
    if tail:
        yield tail


class Stopper:
    """Ends a blocking read when `stop` is set, by shutting the connection down."""

    def __init__(self, stop: threading.Event | None) -> None:
        self._stop = stop
        self._over = threading.Event()
        self._current: urllib3.BaseHTTPResponse | None = None
        if stop is not None:
            threading.Thread(target=self._guard, daemon=True, name="watch-stop").start()

    @property
    def stopped(self) -> bool:
        """The caller wants no more."""
        return self._stop is not None and self._stop.is_set()

    def _guard(self) -> None:
        assert self._stop is not None
        # Shut down again and again: a connection may be opened just after the stop.
        while not self._over.is_set():
            if self._stop.wait(_GUARD_S):
                current = self._current
                if current is not None:
                    try:
                        current.shutdown()
                    except (*_BROKEN, RuntimeError) as error:
                        _log.debug("nothing to shut down: %s", error)
                self._over.wait(_CUT_AGAIN_S)

    @contextmanager
    def reading(self, response: urllib3.BaseHTTPResponse) -> Iterator[None]:
        """Guard one response, and close it in the end."""
        self._current = response
        try:
            yield
        finally:
            self._current = None
            response.close()

    def close(self) -> None:
        """End the guarding thread."""
        self._over.set()


def watch(
    rest: Rest,
    res: Resource,
    ns: str | None,
    query: dict[str, str],
    relist: Callable[[], Snapshot],
    *,
    start: Snapshot | None,
    timeout_s: float | None,
    stop: threading.Event | None,
) -> Iterator[Change]:
    """See Objects.watch."""
    stopper = Stopper(stop)
    deadline = math.inf if timeout_s is None else clock.monotonic() + timeout_s
    try:
        known: dict[tuple[str, str], Object] = {}
        if start is None:
            start = relist()
            for obj in start[0]:
                known[key(obj)] = obj
                yield "ADDED", obj
        else:
            known = {key(obj): obj for obj in start[0]}
        version, pause = start[1], 0.0
        while not stopper.stopped and (left := deadline - clock.monotonic()) > 0:
            began, quiet = clock.monotonic(), True
            ask = ApiRequest(
                "GET",
                res.path(ns),
                "watch",
                res.where(ns),
                {
                    **query,
                    "watch": "1",
                    "allowWatchBookmarks": "true",
                    "resourceVersion": version,
                    "timeoutSeconds": str(math.ceil(min(left, _LIFE_S))),
                },
            )
            try:
                response = rest.open(ask, max(0.05, min(left, _IDLE_S)))
                with stopper.reading(response):
                    for change, obj in _events(rest, ask, response):
                        version = obj["metadata"].get("resourceVersion", version)
                        quiet = False
                        if change == "BOOKMARK":
                            continue
                        obj.setdefault("apiVersion", res.api_version)
                        obj.setdefault("kind", res.kind)
                        keep(known, change, obj)
                        yield change, obj
                        if stopper.stopped or clock.monotonic() >= deadline:
                            return
            except Expired:
                _log.debug("watch of %s: the past is gone, listing anew", ask.what)
                objects, version = relist()
                now = {key(obj): obj for obj in objects}
                yield from differences(known, now)
                known = now
            except ConnectionError as error:
                _log.debug("watch of %s was cut (%s), resuming at %s", ask.what, error, version)
            # A server that ends every watch at once must not be asked without pause.
            if quiet and clock.monotonic() - began < 1:
                pause = min(max(2 * pause, 0.1), _LONGEST_PAUSE_S)
                if not stopper.stopped:
                    clock.sleep(min(pause, max(0.0, deadline - clock.monotonic())))
            else:
                pause = 0.0
    finally:
        stopper.close()


def _events(rest: Rest, ask: ApiRequest, response: urllib3.BaseHTTPResponse) -> Iterator[Change]:
    """Decode a watch stream. Raises Expired for a 410, ConnectionError to resume."""
    for line in lines(response):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            change, obj = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConnectionError(f"half an event: {line[:80]!r}") from error
        if change == "ERROR":
            message = str(obj.get("message", ""))
            if obj.get("code") == 410 or "Too large resource version" in message:
                raise Expired(message, 410, "Expired")
            raise ConnectionError(f"the API server ended the watch: {message}")
        yield change, obj


def differences(
    before: dict[tuple[str, str], Object], now: dict[tuple[str, str], Object]
) -> Iterator[Change]:
    """The events that lead from one list to another: DELETED first, then ADDED and MODIFIED."""
    for name, old in before.items():
        if name not in now or now[name]["metadata"].get("uid") != old["metadata"].get("uid"):
            yield "DELETED", old
    for name, new in now.items():
        old_meta = before[name]["metadata"] if name in before else {}
        if old_meta.get("uid") != new["metadata"].get("uid") or not old_meta:
            yield "ADDED", new
        elif old_meta.get("resourceVersion") != new["metadata"].get("resourceVersion"):
            yield "MODIFIED", new


def wait_for(
    snapshot: Callable[[], Snapshot],
    watched: Callable[[Snapshot, float], Iterator[Change]],
    predicate: Callable[[list[Object]], _T | None],
    timeout_s: float,
    what: str,
) -> _T:
    """See Objects.wait_for."""
    deadline = clock.monotonic() + timeout_s
    start = snapshot()
    present = {key(obj): obj for obj in start[0]}
    if got := predicate(list(present.values())):
        return got
    for change, obj in watched(start, deadline - clock.monotonic()):
        keep(present, change, obj)
        if got := predicate(list(present.values())):
            return got
    raise StepFailed(f"waited {timeout_s:.0f} s for {what}, and it did not happen")


class Together:
    """Several streams heard as one, each read by its own thread.

    A stream is a function that begins it, given the event that stops it, and gives changes. Use as
    a context manager; leaving it stops the streams.
    """

    def __init__(self) -> None:
        self._heard: queue.SimpleQueue[tuple[str, str, Object] | Exception] = queue.SimpleQueue()
        self._stop = threading.Event()

    def __enter__(self) -> Together:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def add(self, name: str, begin: Callable[[threading.Event], Iterator[Change]]) -> None:
        """Listen to one more stream; its end is heard as the change 'END'."""
        threading.Thread(
            target=self._listen, args=(name, begin), daemon=True, name=f"watch-{name}"
        ).start()

    def _listen(self, name: str, begin: Callable[[threading.Event], Iterator[Change]]) -> None:
        try:
            for change, obj in begin(self._stop):
                self._heard.put((name, change, obj))
            self._heard.put((name, "END", {}))
        except Exception as error:
            # Raised where the streams are heard, not swallowed in this thread.
            self._heard.put(error)

    def hear(self, wait_s: float) -> list[tuple[str, str, Object]]:
        """All changes heard so far as (name, change, object), waiting up to `wait_s` for one.

        Raises what ended a stream early, such as an ApiError.
        """
        heard: list[tuple[str, str, Object]] = []
        try:
            item = self._heard.get(timeout=max(0.0, wait_s))
            while True:
                if isinstance(item, Exception):
                    raise item
                heard.append(item)
                item = self._heard.get_nowait()
        except queue.Empty:
            return heard


def keep(present: dict[tuple[str, str], Object], change: str, obj: Object) -> None:
    """Follow a change in a collection of objects by name."""
    if change == "DELETED":
        present.pop(key(obj), None)
    elif change in ("ADDED", "MODIFIED"):
        present[key(obj)] = obj
