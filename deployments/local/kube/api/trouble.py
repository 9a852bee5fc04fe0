"""An API server in trouble, for tests: refusals before, answers lost after, watches cut short."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from deployments.local.kube.objects.status import StatusError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BEFORE = {
    429: ("TooManyRequests", "the server is currently unable to handle the request"),
    500: ("InternalError", "etcdserver: leader changed"),
    503: ("ServiceUnavailable", "the server is shutting down"),
}
CUT_S = 1.0


class Trouble:
    """Befalls a `share` (0 to 1) of the calls; the same seed befalls the same ones in their order.
    The first watch is always cut: there are too few of them to leave it to chance.

    seen: how often each kind came: an answer's code, 'conflict PUT' (or PATCH, DELETE), 'lost'
    (done, and not answered), 'cut' (of a watch).
    """

    def __init__(self, seed: int, share: float) -> None:
        self.share = share
        self.seen: dict[str, int] = {}
        self._rng = random.Random(seed)

    async def __call__(self, request: web.Request, handle: Handler) -> web.StreamResponse:
        """Answer the request, or do what trouble does."""
        if not request.path.startswith(("/api/", "/apis/")):
            return await handle(request)
        watches = request.query.get("watch") in ("true", "1")
        spared = self._rng.random() >= self.share
        if spared and not (watches and self.share > 0 and "cut" not in self.seen):
            return await handle(request)
        if watches:
            self._note("cut")
            try:
                return await asyncio.wait_for(handle(request), CUT_S)
            except TimeoutError:
                raise ConnectionResetError("cut") from None
        kinds = ["429", "500", "503", "lost"]
        named = _names_a_version(request.method, await request.read())
        kind = self._rng.choice([*kinds, "conflict"] if named else kinds)
        self._note(f"{kind} {request.method}" if kind == "conflict" else kind)
        if kind == "lost":
            await handle(request)
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("lost")
        if kind == "conflict":
            raise StatusError(409, "Conflict", "the object has been modified; please apply again")
        reason, message = BEFORE[int(kind)]
        raise StatusError(int(kind), reason, message)

    def _note(self, kind: str) -> None:
        self.seen[kind] = self.seen.get(kind, 0) + 1


def _names_a_version(method: str, body: bytes) -> bool:
    """Whether a write goes only at the version, or only to the very object, that it names. The API
    server answers 409 where that has changed; any other write it takes to what is there by then."""
    if method not in ("PUT", "PATCH", "DELETE"):
        return False
    try:
        sent = json.loads(body)
    except ValueError:
        return False  # no client of ours
    if not isinstance(sent, dict):
        return False
    demands = sent.get("preconditions" if method == "DELETE" else "metadata") or {}
    return any(demands.get(key) for key in ("resourceVersion", "uid"))
