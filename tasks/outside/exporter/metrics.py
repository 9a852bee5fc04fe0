"""The vendor's exporter on a node, asked for its metrics."""

from __future__ import annotations

import ssl

import httpx

TIMEOUT_S = 2.0
# plain http to a pod: httpx would read every authority anew for each look
_PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def read(url: str) -> str | None:
    """The exporter's text; None where it does not answer, which is no error of a rollout."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False, verify=_PLAIN)
    except httpx.HTTPError:
        return None
    return answer.text if answer.status_code == 200 else None
