"""Service addresses: each connection goes to an endpoint that is ready at that very moment."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from deployments.local.kube.endpoints import Target, targets
from deployments.local.kube.index import Index
from deployments.local.kube.store import Event, Store

LOG = logging.getLogger(__name__)
Listen = tuple[str, int]  # address, port
Pick = Callable[[], Target | None]
BACKLOG = 1024


def _reset(transport: asyncio.Transport) -> None:
    """Close so that the peer sees a reset."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Side(asyncio.Protocol):
    """One end of a proxied connection; what it reads, the other end writes."""

    def __init__(self) -> None:
        self.other: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        assert self.other is not None and self.other.transport is not None
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self.finished = True
        other = self.other
        if other is None or other.transport is None or other.finished:
            return False
        if other.transport.can_write_eof():
            with contextlib.suppress(OSError):
                other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        other = self.other
        if other is not None and other.transport is not None:
            if exc is not None:
                _reset(other.transport)
            else:
                other.transport.close()
        self.other = None

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


class _Front(_Side):
    """The client's end."""

    def __init__(self, pick: Pick, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._pick, self._loop = pick, loop
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        target = self._pick()
        if target is None:
            _reset(self.transport)
            return
        self.transport.pause_reading()
        self._task = self._loop.create_task(self._connect(target))

    async def _connect(self, target: Target) -> None:
        assert self.transport is not None
        back = _Side()
        back.other = self
        try:
            await self._loop.create_connection(lambda: back, *target)
        except OSError:
            _reset(self.transport)
            return
        if self.transport.is_closing():
            assert back.transport is not None
            back.transport.close()
            return
        self.other = back
        self.transport.resume_reading()


class Proxy:
    """Listens for every Service in a thread of its own."""

    def __init__(self, store: Store, index: Index, node_addresses: Mapping[str, str]) -> None:
        self._store, self._index = store, index
        self._nodes = list(node_addresses.values())
        self._loop = asyncio.new_event_loop()
        self._servers: dict[Listen, tuple[tuple[str, str, int], asyncio.Server]] = {}
        self._dirty = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._turn = itertools.count()
        self._cache: dict[tuple[str, str, int], tuple[int, list[Target]]] = {}

    def start(self) -> None:
        """Begin."""
        self._store.listen(self._hear)
        self._dirty.set()
        self._thread.start()

    def stop(self) -> None:
        """Close every listener and connection."""
        self._store.unlisten(self._hear)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)

    def _hear(self, event: Event) -> None:
        if event[1] == "services":
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._dirty.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        main = self._loop.create_task(self._main())
        try:
            self._loop.run_forever()
        finally:
            main.cancel()
            for _, server in self._servers.values():
                server.close()
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.close()

    async def _main(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                await self._settle()
            except Exception:
                LOG.exception("the Service proxy could not settle its listeners")

    def _wanted(self) -> dict[Listen, tuple[str, str, int]]:
        out = {}
        for service in self._store.list("services"):
            meta, spec = service["metadata"], service["spec"]
            address = spec.get("clusterIP")
            for number, port in enumerate(spec.get("ports") or []):
                key = (meta["namespace"], meta["name"], number)
                if address and address != "None":
                    out[(address, int(port["port"]))] = key
                if port.get("nodePort"):
                    for node in self._nodes:
                        out[(node, int(port["nodePort"]))] = key
        return out

    async def _settle(self) -> None:
        wanted = self._wanted()
        for where, (key, server) in list(self._servers.items()):
            if wanted.get(where) != key:
                server.close()
                del self._servers[where]
        for where, key in wanted.items():
            if where in self._servers:
                continue
            try:
                server = await self._loop.create_server(
                    self._front(key), *where, backlog=BACKLOG, reuse_address=True
                )
            except OSError as error:
                LOG.error("Service %s/%s cannot listen on %s: %s", key[0], key[1], where, error)
                self._loop.call_later(1.0, self._dirty.set)
                continue
            self._servers[where] = (key, server)

    def _front(self, key: tuple[str, str, int]) -> Callable[[], asyncio.Protocol]:
        return lambda: _Front(lambda: self._pick(key), self._loop)

    def _pick(self, key: tuple[str, str, int]) -> Target | None:
        """The next ready endpoint as the store says now; None when there is none."""
        version = self._store.version
        known = self._cache.get(key)
        if known is None or known[0] != version:
            service: Mapping[str, Any] | None = self._store.get("services", key[0], key[1])
            ports = (service["spec"].get("ports") or []) if service else []
            found = (
                targets(self._index, service, ports[key[2]])
                if service is not None and key[2] < len(ports)
                else []
            )
            self._cache[key] = known = (version, found)
        if not known[1]:
            return None
        return known[1][next(self._turn) % len(known[1])]
