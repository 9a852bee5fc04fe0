"""pods/log: a container's log file, whose lines are 'RFC3339 time stamp, space, text'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from deployments.local.kube.api.reading import number
from deployments.local.kube.api.target import Target
from deployments.local.kube.objects.status import StatusError
from deployments.local.kube.objects.store import Object, Store

Logs = Callable[[str, str, str, bool], Path | None]
_POLL_S = 0.1
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Wanted:
    """What part of a log, and how; since: second, UTC."""

    stamps: bool
    tail: int | None
    since: datetime | None
    limit: int | None

    def text(self, line: bytes) -> bytes | None:
        """A line of the file as it is to be sent, None when it is too old."""
        stamp, _, text = line.partition(b" ")
        if self.since is not None:
            try:
                if datetime.fromisoformat(stamp.decode()[:19] + "+00:00") < self.since:
                    return None
            except ValueError:
                return None
        return line if self.stamps else text


def parse(query: Mapping[str, str]) -> Wanted:
    """Read tailLines, sinceTime, sinceSeconds, limitBytes and timestamps; StatusError 400."""
    since = None
    if text := query.get("sinceTime"):
        try:
            since = datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)
        except ValueError as error:
            raise StatusError(400, "BadRequest", f"sinceTime: {text!r} is no time") from error
    elif (seconds := number(query, "sinceSeconds")) is not None:
        since = datetime.now(UTC) - timedelta(seconds=seconds)
    stamps = query.get("timestamps") in ("true", "1")
    return Wanted(stamps, number(query, "tailLines"), since, number(query, "limitBytes"))


def _container(pod: Object, name: str) -> str:
    """The container meant, as the API server finds it. StatusError 400."""
    spec, pod_name = pod.get("spec") or {}, pod["metadata"]["name"]
    groups = (spec.get("initContainers") or [], spec.get("containers") or [])
    names = [str(item["name"]) for group in groups for item in group]
    if name and name not in names:
        raise _refusal(f"container {name} is not valid for pod {pod_name}")
    if not name and len(spec["containers"]) != 1:
        choice = " ".join(names)
        what = f"a container name must be specified for pod {pod_name}, choose one of: [{choice}]"
        raise _refusal(what)
    return name or str(spec["containers"][0]["name"])


def _refusal(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def _status(pod: Object, container: str) -> Object | None:
    status = pod.get("status") or {}
    for group in ("containerStatuses", "initContainerStatuses"):
        for entry in status.get(group) or []:
            if entry.get("name") == container:
                return dict(entry)
    return None


def check(pod: Object, container: str, previous: bool) -> None:
    """StatusError 400 where the kubelet has no log to give, in its words.

    Source: validateContainerLogStatus (pkg/kubelet/kubelet_pods.go of Kubernetes 1.36).
    """
    name = pod["metadata"]["name"]
    entry = _status(pod, container)
    if entry is None:
        raise _refusal(f'container "{container}" in pod "{name}" is not available')
    state, ended_before = entry.get("state") or {}, (entry.get("lastState") or {}).get("terminated")
    if previous:
        if not ended_before:
            raise _refusal(f'previous terminated container "{container}" in pod "{name}" not found')
        return
    if "running" in state or "terminated" in state or ended_before:
        return
    reason = str((state.get("waiting") or {}).get("reason") or "")
    why = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)
    raise _refusal(f'container "{container}" in pod "{name}" is waiting to start: {why}')


def _over(pod: Object | None, container: str, uid: str) -> bool:
    """The container's present life has ended: its log grows no more."""
    if pod is None or pod["metadata"]["uid"] != uid:
        return True
    entry = _status(pod, container)
    if entry is not None:
        return "running" not in (entry.get("state") or {})
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _lines(data: bytes) -> Iterator[bytes]:
    yield from data.splitlines(keepends=True)


async def serve(
    request: web.Request,
    target: Target,
    store: Store,
    logs: Logs,
    stopping: Callable[[], bool],
) -> web.StreamResponse:
    """Answer GET pods/NAME/log; 400 where the container has no log (yet, or no previous one).

    A pod on no node is answered with 204.
    """
    query = request.query
    pod = store.must("pods", target.ns, target.name)
    name = _container(pod, query.get("container", ""))
    previous = query.get("previous") in ("true", "1")
    wanted = parse(query)
    follow = query.get("follow") in ("true", "1") and not previous
    if not (pod.get("spec") or {}).get("nodeName"):
        return web.Response(status=204)
    check(pod, name, previous)
    path = logs(target.ns, target.name, name, previous)
    uid = pod["metadata"]["uid"]
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    if path is None or not path.exists():  # nothing was written, as by a program never started
        await response.prepare(request)
        return response
    left = wanted.limit
    with path.open("rb") as file:
        data = await asyncio.to_thread(file.read)
        # Only whole lines while more may come: the rest of a line follows with its end.
        cut = data.rfind(b"\n") + 1 if follow else len(data)
        tail = data[cut:]
        shown = [text for line in _lines(data[:cut]) if (text := wanted.text(line)) is not None]
        if wanted.tail is not None:
            shown = shown[-wanted.tail :] if wanted.tail else []
        await response.prepare(request)
        left = await _send(response, b"".join(shown), left)
        while follow and left != 0 and not stopping():
            # Asked before reading: what was written before the end is read.
            ended = _over(store.get("pods", target.ns, target.name), name, uid)
            data = tail + file.read(_BLOCK)
            full = len(data) - len(tail) == _BLOCK
            cut = len(data) if ended and not full else data.rfind(b"\n") + 1
            tail = data[cut:]
            fresh = [wanted.text(line) for line in _lines(data[:cut])]
            left = await _send(response, b"".join(text for text in fresh if text), left)
            if ended and not full:
                break
            if not full:
                if request.transport is None or request.transport.is_closing():
                    break
                await asyncio.sleep(_POLL_S)
    return response


async def _send(response: web.StreamResponse, data: bytes, left: int | None) -> int | None:
    """Send what limitBytes allows; what it then allows yet."""
    if left is not None:
        data = data[:left]
    try:
        if data:
            await response.write(data)
    except ConnectionError:
        return 0  # the client has gone
    return None if left is None else left - len(data)
