"""The vendor's exporter on a node, asked for its metrics."""

from __future__ import annotations

import httpx

TIMEOUT_S = 2.0


def read(url: str) -> str | None:
    """The exporter's text; None where it does not answer, which is no error of a rollout."""
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return None
    return answer.text if answer.status_code == 200 else None
