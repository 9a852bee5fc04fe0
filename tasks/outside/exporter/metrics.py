"""The vendor's exporter on a node, asked for its metrics."""

from __future__ import annotations

from functools import cache

import httpx

TIMEOUT_S = 2.0


@cache
def _http() -> httpx.Client:
    # made once: httpx reads every authority for each; a connection is for one look alone
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def read(url: str) -> str | None:
    """The exporter's text; None where it does not answer, which is no error of a rollout."""
    try:
        answer = _http().get(url, timeout=TIMEOUT_S)
    except httpx.HTTPError:
        return None
    return answer.text if answer.status_code == 200 else None
