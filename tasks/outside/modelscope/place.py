"""Which hub this process is pointed at."""

from __future__ import annotations

import os


def hub_endpoint() -> str | None:
    """The address in the environment; None: the public hub."""
    return os.environ.get("MODELSCOPE_ENDPOINT") or None
