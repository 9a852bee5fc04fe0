"""Waiting for a Prefect server that is about to be there: it starts beside who asks it, or anew."""

from __future__ import annotations

from collections.abc import Callable

from httpx import HTTPStatusError, TransportError

from tasks.base import clock
from tasks.outside.prefect.server import asking

# with what follows, less than the deadline of the CronJob model-rollout-deploy
START_S = 180.0
PAUSE_S, LONGEST_S = 1.0, 15.0


def wait_for(api: str, on_wait: Callable[[str], None] = lambda said: None) -> None:
    """Wait until the server at this address (`.../api`) answers, at most START_S. on_wait: told
    once where it does not at first, and why.

    Raises nothing for what else is wrong, nor at the end: whoever asks it next does.
    """
    until, pause = clock.monotonic() + START_S, PAUSE_S
    with asking(api) as client:
        while _away(error := client.api_healthcheck()):
            left = until - clock.monotonic()
            if left <= 0:
                return
            if pause == PAUSE_S:
                on_wait(f"{api} does not answer yet ({error}); waiting for {START_S:g} s at most")
            clock.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_S)


def _away(error: Exception | None) -> bool:
    """Whether nobody answers there, or what stands before it says so."""
    if isinstance(error, HTTPStatusError):
        return error.response.status_code in (502, 503, 504)
    return isinstance(error, TransportError)
