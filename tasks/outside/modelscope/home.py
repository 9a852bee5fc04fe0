"""What is sent of a login, and to whom."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import requests
from requests.adapters import BaseAdapter

from tasks.spec.hubs import origin

_LOGINS = ("Authorization", "Cookie")


class _Home(BaseAdapter):
    """Takes a login out of every request that leaves the hub's own origins.

    requests drops the Authorization header at a redirect to another host, but not the client's
    cookie: that goes to other ports, to subdomains, and over http too.
    """

    def __init__(self, inner: BaseAdapter, home: Collection[str]) -> None:
        super().__init__()
        self._inner, self._home = inner, home

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        if origin(request.url or "") not in self._home:
            for name in _LOGINS:
                request.headers.pop(name, None)
        return self._inner.send(request, *args, **kwargs)

    def close(self) -> None:
        self._inner.close()


def keep_home(session: requests.Session, home: Collection[str]) -> None:
    """From now on this session's logins go to these origins alone."""
    for prefix, inner in list(session.adapters.items()):
        session.mount(prefix, _Home(inner, home))
