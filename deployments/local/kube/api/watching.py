"""Watch streams. Each watcher reads the store's history at its own pace, from its own version on:
nothing is lost or told twice, no queue grows, and who falls behind the history gets a 410."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping

from aiohttp import web

from deployments.local.kube.api.reading import Reader, number, selection, too_large
from deployments.local.kube.api.target import Target
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Event, Object, Store

Show = Callable[[Object], Object]
_LONGEST_S = 1800
_BOOKMARK_S = 15.0


class Alarm:
    """Wakes all watchers of an event loop when the store changes."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store, self._loop = store, loop
        self._waiting: set[asyncio.Event] = set()
        self._rung = False
        store.listen(self._hear)

    def close(self) -> None:
        """Hear no more, and wake everyone."""
        self._store.unlisten(self._hear)
        self._wake()

    def join(self) -> asyncio.Event:
        """An event that is set on every change."""
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        """No longer needed."""
        self._waiting.discard(event)

    def _hear(self, _event: Event) -> None:
        # Called in any thread under the store's lock: one wake-up serves many changes.
        if not self._rung and not self._loop.is_closed():
            self._rung = True
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._rung = False
        for event in self._waiting:
            event.set()


class Watch:
    """One watcher's position and selection."""

    def __init__(self, reader: Reader, target: Target, query: Mapping[str, str]) -> None:
        self._store, self._target = reader.store, target
        self._selected = selection(target, query)
        wanted = number(query, "resourceVersion")
        self.version, self.first = wanted or 0, list[Object]()
        if not wanted:
            # From now on, after what is there: no version, or "any" (0).
            self.version, self.first = reader.select(target, query)
        elif wanted > self._store.version:
            raise too_large(wanted, self._store.version)

    def news(self) -> Iterator[tuple[str, Object]]:
        """Changes since the last call; StatusError 410 when the history has moved on."""
        for (version, plural, what, obj), old in self._store.changes(self.version):
            self.version = version
            if plural != self._target.plural:
                continue
            was = old is not None and self._selected(old)
            now = what != "DELETED" and self._selected(obj)
            if now:
                yield ("MODIFIED" if was else "ADDED"), obj
            elif was and old is not None:
                # The last state that matched, at the version it went.
                meta = {**old["metadata"], "resourceVersion": str(version)}
                yield "DELETED", obj if what == "DELETED" else {**old, "metadata": meta}


async def stream(
    request: web.Request,
    reader: Reader,
    target: Target,
    alarm: Alarm,
    show: Show,
    stopping: Callable[[], bool],
) -> web.StreamResponse:
    """Answer a watch; timeoutSeconds, allowWatchBookmarks and selectors from the query."""
    query = request.query
    life = float(min(number(query, "timeoutSeconds") or _LONGEST_S, _LONGEST_S))
    bookmarks = query.get("allowWatchBookmarks") in ("true", "1")
    loop = asyncio.get_running_loop()
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    changed = alarm.join()
    try:
        watch = Watch(reader, target, query)
        await response.prepare(request)
        end = loop.time() + life
        for obj in watch.first:
            await response.write(_line("ADDED", show(obj)))
        while not stopping():
            changed.clear()
            try:
                for what, obj in watch.news():
                    await response.write(_line(what, show(obj)))
            except StatusError as error:
                await response.write(_line("ERROR", error.body()))
                return response
            left = end - loop.time()
            quiet = False
            if left > 0:
                try:
                    await asyncio.wait_for(changed.wait(), min(left, _BOOKMARK_S))
                except TimeoutError:
                    quiet = True
            if bookmarks and quiet:
                await response.write(_line("BOOKMARK", _bookmark(target, watch.version)))
            if left <= 0:
                return response
        return response
    except ConnectionError:
        return response  # the client has gone
    finally:
        alarm.leave(changed)


def _line(what: str, obj: Object) -> bytes:
    return json.dumps({"type": what, "object": obj}).encode() + b"\n"


def _bookmark(target: Target, version: int) -> Object:
    return {
        "kind": target.kind.kind,
        "apiVersion": target.kind.api_version,
        "metadata": {"resourceVersion": str(version), "creationTimestamp": None},
    }
