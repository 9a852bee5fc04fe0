"""Startup, readiness and liveness probes."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from deployments.local.kube.objects.work import Work

Outcome = tuple[bool, str]


@dataclass(frozen=True)
class Place:
    """Where a container is probed: its address, its named ports, how to start a command in it
    (OSError when it cannot)."""

    address: str
    ports: Mapping[str, int]
    start: Callable[[Sequence[str]], subprocess.Popen[bytes]]


def _port(raw: Any, place: Place) -> int:
    if isinstance(raw, int) or str(raw).isdigit():
        return int(raw)
    return place.ports[str(raw)]


def _http(spec: Mapping[str, Any], place: Place, timeout: float) -> Outcome:
    host, port = spec.get("host") or place.address, _port(spec["port"], place)
    path, scheme = spec.get("path") or "/", str(spec.get("scheme") or "HTTP").lower()
    url = f"{scheme}://{host}:{port}{path}"
    headers = {"User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"}
    headers |= {item["name"]: item["value"] for item in spec.get("httpHeaders") or []}
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(
            host, port, timeout=timeout, context=ssl._create_unverified_context()
        )
        if scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout)
    )
    try:
        connection.request("GET", path, headers=headers)
        status = connection.getresponse().status
    except TimeoutError:
        why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return False, f'Get "{url}": {why}'
    except ConnectionRefusedError:
        return False, f'Get "{url}": dial tcp {host}:{port}: connect: connection refused'
    except (OSError, http.client.HTTPException) as error:
        return False, f'Get "{url}": {error or type(error).__name__}'
    finally:
        connection.close()
    return 200 <= status < 400, f"HTTP probe failed with statuscode: {status}"


def _tcp(spec: Mapping[str, Any], place: Place, timeout: float) -> Outcome:
    host, port = spec.get("host") or place.address, _port(spec["port"], place)
    try:
        socket.create_connection((host, port), timeout).close()
    except TimeoutError:
        return False, f"dial tcp {host}:{port}: i/o timeout"
    except OSError:
        return False, f"dial tcp {host}:{port}: connect: connection refused"
    return True, ""


def _exec(spec: Mapping[str, Any], place: Place, timeout: float) -> Outcome:
    argv = [str(word) for word in spec.get("command") or []]
    try:
        child = place.start(argv)
    except OSError as error:
        return False, f"exec failed: {error}"
    try:
        out, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return False, f'command "{" ".join(argv)}" timed out'
    return child.returncode == 0, out.decode(errors="replace")[:1024]


def attempt(probe: Mapping[str, Any], place: Place) -> Outcome:
    """Probe once: success, and what to say of a failure."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    for field, check in (("httpGet", _http), ("tcpSocket", _tcp), ("exec", _exec)):
        if probe.get(field):
            try:
                return check(probe[field], place, timeout)
            except KeyError as error:
                return False, f"no port named {error} in the container"
    return False, "this stand-in knows httpGet, tcpSocket and exec probes"


class Watch:
    """Counts one probe's outcomes. `verdict(ok, message)` is told of each change."""

    def __init__(
        self,
        probe: Mapping[str, Any],
        place: Place,
        failed: Callable[[str], None],
        verdict: Callable[[bool], None],
    ) -> None:
        self.probe, self.place = probe, place
        self._failed, self._verdict = failed, verdict
        self._run, self._last, self.over = 0, False, False
        self._told: bool | None = None

    @property
    def period(self) -> float:
        """Seconds between attempts."""
        return float(self.probe.get("periodSeconds") or 10)

    def once(self) -> None:
        """Attempt and count."""
        fine, message = attempt(self.probe, self.place)
        if self.over:
            return
        if not fine:
            self._failed(message)
        self._run = self._run + 1 if fine == self._last else 1
        self._last = fine
        field, usual = ("successThreshold", 1) if fine else ("failureThreshold", 3)
        if self._run >= int(self.probe.get(field) or usual) and self._told != fine:
            self._told = fine
            self._verdict(fine)


class Prober:
    """Runs watches by their periods in a few threads, so that a slow one holds up none."""

    def __init__(self, workers: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="probe")
        self._work = Work("probes", self._due)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Begin."""
        self._work.start()

    def stop(self) -> None:
        """End; attempts under way are not waited for."""
        self._stopping.set()
        self._work.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def add(self, watch: Watch, delay: float) -> None:
        """Attempt after `delay` seconds, then by its period until it is over."""
        self._work.add(watch, delay)

    def _due(self, key: Hashable) -> None:
        assert isinstance(key, Watch)
        if not key.over and not self._stopping.is_set():
            self._pool.submit(self._attempt, key)

    def _attempt(self, watch: Watch) -> None:
        try:
            watch.once()
        finally:
            if not watch.over and not self._stopping.is_set():
                self._work.add(watch, watch.period)
