"""The endpoint that a Prometheus server scrapes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.base import clock
from tasks.base.errors import OutsideError, RolloutError
from tasks.report.gauges import PREFIX, Family, Overseen, Tally, Unread, families

_log = logging.getLogger(__name__)


class Rollouts(Collector):
    """What was seen at the last look. A scrape never asks the cluster itself: however many scrape,
    and however often, the API server is asked once in a while."""

    def __init__(self, look: Callable[[], Sequence[Overseen | Unread]]) -> None:
        self._look = look
        self._lock = threading.Lock()
        self._families: list[Family] = []
        self._tally = Tally()
        self._at, self._up = 0.0, 0.0

    def renew(self) -> None:
        """Look again. What was seen before stays where that fails, and `up` says so."""
        try:
            every = self._look()
        except RolloutError as error:
            _log.error("the rollouts could not be read: %s", error)
            with self._lock:
                self._up = 0.0
            return
        found, tally = families(every), self._tally.after(every)
        with self._lock:
            self._families, self._tally = found, tally
            self._at, self._up = clock.now().timestamp(), 1.0

    def collect(self) -> Iterator[Metric]:
        """All metrics, for one scrape."""
        with self._lock:
            found, tally, at, up = self._families, self._tally, self._at, self._up
        yield _gauge(Family("up", "1 where the last look at the cluster went well.", (({}, up),)))
        if at:
            text = "When the cluster was looked at last, and it went well."
            yield _gauge(Family("look_timestamp_seconds", text, (({}, at),)))
        yield from map(_gauge, found)
        text = "Rollouts that ended since this process runs, by outcome."
        names = ("namespace", "name", "outcome")
        counter = CounterMetricFamily(f"{PREFIX}finished", text, labels=names)
        for labels, value in tally.samples():
            counter.add_metric(list(labels.values()), value)
        yield counter


def _gauge(family: Family) -> GaugeMetricFamily:
    names: Iterable[str] = family.samples[0][0] if family.samples else ()
    made = GaugeMetricFamily(f"{PREFIX}{family.name}", family.text, labels=tuple(names))
    for labels, value in family.samples:
        made.add_metric(list(labels.values()), value)
    return made


@contextmanager
def listening(collector: Rollouts, host: str, port: int) -> Iterator[int]:
    """Answer scrapes meanwhile; gives the port. port: 0 takes a free one.

    Raises OutsideError where nothing can listen there.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise OutsideError(
            f"nothing can listen on {host}:{port} ({error.strerror}); name another port"
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
