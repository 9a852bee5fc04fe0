"""A container's log as it is written, through cuts and restarts."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from typing import Any

from tasks.base import clock
from tasks.objects.kinds import KINDS
from tasks.objects.pods import state, statuses
from tasks.outside.kubernetes.rest import ApiError, ApiRequest, NotFound, Rest
from tasks.outside.kubernetes.watch import Stopper, lines

_log = logging.getLogger(__name__)
_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
# A follower that hears nothing asks again; a silent container is no fault.
_IDLE_S = 60.0
_POLL_S = 0.5
# What a kubelet answers, with 200, for a container whose log file is gone.
_NO_FILE = "unable to retrieve container logs for "


def split_stamp(line: str) -> tuple[tuple[int, int] | None, str]:
    """((epoch seconds, nanoseconds), text) of a line of a log read with timestamps=true.

    The kubelet stamps in its own time zone with nanoseconds, which `datetime` does not hold.
    A line without a stamp is (None, line).
    """
    match = _STAMP.match(line)
    if match is None:
        return None, line
    second, fraction, zone = match.groups()
    at = datetime.fromisoformat(second + ("+00:00" if zone == "Z" else zone))
    return (int(at.timestamp()), int((fraction or "0").ljust(9, "0"))), line[match.end() :]


class SeenLines:
    """Which lines were already given, by time stamp, and how many of the last instant."""

    def __init__(self) -> None:
        self.last: tuple[int, int] | None = None
        self._at_last = 0
        self._skip = 0

    def resume(self) -> dict[str, str]:
        """The query that reads on from here; `sinceTime` counts whole seconds."""
        self._skip = self._at_last
        if self.last is None:
            return {}
        since = datetime.fromtimestamp(self.last[0], UTC)
        return {"sinceTime": since.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def new(self, line: str) -> str | None:
        """The text of a line not given before, else None."""
        stamp, text = split_stamp(line)
        if stamp is None:
            return text
        if self.last is not None and stamp < self.last:
            # Given before the cut, or written out of order by a clock that stepped back.
            return None
        if stamp == self.last:
            if self._skip > 0:
                self._skip -= 1
                return None
            self._at_last += 1
        else:
            self.last, self._at_last, self._skip = stamp, 1, 0
        return text


class Tail:
    """The end of a text that comes in pieces: the last `most` bytes of it."""

    def __init__(self, most: int) -> None:
        self.most, self.left_out = most, 0
        self._pieces: deque[bytes] = deque()
        self._held = 0

    def add(self, piece: bytes) -> None:
        """Take one more piece."""
        self._pieces.append(piece)
        self._held += len(piece)
        while self._pieces and self._held - len(self._pieces[0]) >= self.most:
            gone = len(self._pieces.popleft())
            self._held -= gone
            self.left_out += gone

    def text(self) -> str:
        """What is held, behind a line that tells what is not."""
        data = b"".join(self._pieces)
        over = max(0, len(data) - self.most)
        text, left_out = data[over:].decode("utf-8", "replace"), self.left_out + over
        if not left_out:
            return text
        return f"[the first {left_out:,} bytes of this log were not kept]\n{text}"


def whole(rest: Rest, pod: str, ns: str, query: dict[str, str], most_bytes: int | None) -> str:
    """See Objects.logs."""
    path = KINDS["Pod"].path(ns, pod, "log")
    ask = ApiRequest("GET", path, "get", f"pods/log {pod} in {ns}", query, accept="*/*")
    try:
        if most_bytes is None:
            text = rest.raw(ask).decode("utf-8", "replace")
        else:
            text = _end(rest, ask, most_bytes)
    except ApiError as error:
        # 400: the container has not started, or has no previous life.
        if error.status in (400, 404):
            return ""
        raise
    return "" if text.startswith(_NO_FILE) else text


def _end(rest: Rest, ask: ApiRequest, most_bytes: int) -> str:
    end = Tail(most_bytes)
    response = rest.open(ask, _IDLE_S)
    try:
        for line in lines(response):
            end.add(line + b"\n")
    except ConnectionError as error:
        _log.debug("%s: what came before it broke off is kept: %s", ask.what, error)
    finally:
        response.close()
    return end.text()


def follow(
    rest: Rest,
    get_pod: Callable[[], dict[str, Any] | None],
    pod: str,
    ns: str,
    container: str,
    stop: threading.Event | None,
) -> Iterator[str]:
    """See Objects.follow_logs."""
    stopper, seen = Stopper(stop), SeenLines()
    try:
        while not stopper.stopped:
            running = _state(get_pod(), container)
            whole = False
            if running != "waiting":
                # Asked after the state was read: what ended before is read to its end.
                whole = yield from _read(
                    rest, pod, ns, container, seen, stopper, running == "running"
                )
            if running == "over" and whole:
                return
            if not stopper.stopped:
                clock.sleep(_POLL_S)
    finally:
        stopper.close()


def _state(pod: dict[str, Any] | None, container: str) -> str:
    """waiting (will run, or run again), running, or over (will not write any more)."""
    if pod is None:
        return "over"
    for entry in statuses(pod):
        if entry.get("name") == container:
            now = state(entry)
            if "running" in now:
                return "running"
            again = pod["spec"].get("restartPolicy", "Always")
            ended = now.get("terminated")
            if ended and (again == "Never" or (again == "OnFailure" and not ended["exitCode"])):
                return "over"
    phase = (pod.get("status") or {}).get("phase")
    return "over" if phase in ("Succeeded", "Failed") else "waiting"


def _read(
    rest: Rest,
    pod: str,
    ns: str,
    container: str,
    seen: SeenLines,
    stopper: Stopper,
    going_on: bool,
) -> Generator[str, None, bool]:
    """Give the new lines; True when the answer came to its end."""
    query = {"container": container, "timestamps": "true", **seen.resume()}
    if going_on:
        query["follow"] = "true"
    path = KINDS["Pod"].path(ns, pod, "log")
    ask = ApiRequest("GET", path, "get", f"pods/log {pod} in {ns}", query, accept="*/*")
    try:
        response = rest.open(ask, _IDLE_S)
        with stopper.reading(response):
            for line in lines(response):
                text = seen.new(line.decode("utf-8", "replace").rstrip("\r"))
                if text is not None:
                    yield text
                if stopper.stopped:
                    return False
        return True
    except NotFound:
        return True
    except ApiError as error:
        # 400: the container has not started after all; the state is asked again.
        if error.status != 400:
            raise
        return not going_on
    except ConnectionError:
        return False
