"""Service addresses and node ports, as kube-proxy has them: rules that follow the API late.

A change of a Service or of its EndpointSlices gets into the rules up to `sync_s` later. Until
then a new address refuses, and an old one leads where it led. An address without endpoints
refuses, too. A connection stays with the pod it was given to.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from deployments.local.kube.network.endpoints import SERVICE_LABEL, Target, targets
from deployments.local.kube.objects.store import Event, Object, Store

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


def rules(
    services: Sequence[Object], slices: Sequence[Object], nodes: Sequence[str]
) -> dict[Listen, list[Target]]:
    """Where each address leads; only those that lead somewhere. Pure."""
    by_service: dict[tuple[str, str], list[Object]] = defaultdict(list)
    for item in slices:
        meta = item["metadata"]
        name = (meta.get("labels") or {}).get(SERVICE_LABEL, "")
        by_service[meta["namespace"], name].append(item)
    out: dict[Listen, list[Target]] = {}
    for service in services:
        meta, spec = service["metadata"], service["spec"]
        address = spec.get("clusterIP")
        for port in spec.get("ports") or []:
            found = targets(by_service[meta["namespace"], meta["name"]], port)
            if not found:
                continue
            if address and address != "None":
                out[address, int(port["port"])] = found
            if port.get("nodePort"):
                out |= {(node, int(port["nodePort"])): found for node in nodes}
    return out


class Proxy:
    """Listens for every Service in a thread of its own."""

    def __init__(self, store: Store, node_addresses: Mapping[str, str], sync_s: float) -> None:
        self._store, self._sync_s = store, sync_s
        self._nodes = list(node_addresses.values())
        self._loop = asyncio.new_event_loop()
        self._servers: dict[Listen, asyncio.Server] = {}
        self._rules: dict[Listen, list[Target]] = {}
        self._dirty = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._turn = itertools.count()

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
        if event[1] in ("services", "endpointslices"):
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._dirty.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        main = self._loop.create_task(self._main())
        try:
            self._loop.run_forever()
        finally:
            main.cancel()
            for server in self._servers.values():
                server.close()
            rest = asyncio.all_tasks(self._loop)
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.close()

    async def _main(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(self._sync_s)
            self._dirty.clear()
            try:
                await self._settle()
            except Exception:
                LOG.exception("the Service proxy could not settle its listeners")

    async def _settle(self) -> None:
        """Take the API's present state as the rules."""
        self._rules = rules(
            self._store.list("services"), self._store.list("endpointslices"), self._nodes
        )
        for where in self._servers.keys() - self._rules.keys():
            self._servers.pop(where).close()
        for where in self._rules.keys() - self._servers.keys():
            try:
                server = await self._loop.create_server(
                    self._front(where), *where, backlog=BACKLOG, reuse_address=True
                )
            except OSError as error:
                LOG.error("a Service cannot listen on %s: %s", where, error)
                self._loop.call_later(1.0, self._dirty.set)
                continue
            self._servers[where] = server

    def _front(self, where: Listen) -> Callable[[], asyncio.Protocol]:
        return lambda: _Front(lambda: self._pick(where), self._loop)

    def _pick(self, where: Listen) -> Target | None:
        """The next endpoint by the rules; None where they lead nowhere any more."""
        found = self._rules.get(where)
        return found[next(self._turn) % len(found)] if found else None
