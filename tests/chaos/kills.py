"""Rollouts that are killed, in a cluster in trouble, under clients that notice everything."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployments.local import daemons, stack
from deployments.local.kube.api.trouble import Trouble
from deployments.local.kube.settings import NodeDef
from tests.chaos.draws import Draw, Strategy
from tests.chaos.lane import Lane
from tests.flows.house import house
from tests.support.streams import Seen


@dataclass
class Report:
    """Of all lanes together."""

    seed: int
    killed: int = 0
    ended: int = 0
    left: int = 0
    again: int = 0
    requests: int = 0
    reopened: int = 0
    interrupted: int = 0
    worst_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    breaches: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a person; each breach with what to run to see it again."""
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        lines = [
            f"seed {self.seed}: {self.killed} kills ({self.ended} commands ended before theirs), "
            f"{self.again} commands given again, {self.left} rounds left out for want of time",
            f"faults of the API server: {faults or 'none'}",
            f"{self.requests} requests, {self.reopened} kept connections reopened, "
            f"{self.interrupted} broken in an interruption that was announced",
            f"worst time from a kill to a settled state: {self.worst_s:.0f} s",
            f"{len(self.breaches)} breach(es)",
            *self.breaches,
        ]
        return "\n".join(lines)


def nodes(folder: Path, count: int) -> list[NodeDef]:
    """One for each lane: on its own, `lend` and `replace` have no room beside what serves."""
    return [
        NodeDef(
            f"node-{number}",
            capacity={"cpu": "4", "memory": "64Gi"},
            host_root=stack.make_host_root(folder / f"node-{number}"),
        )
        for number in range(count)
    ]


@contextmanager
def prefect(folder: Path) -> Iterator[str]:
    """A Prefect server of our own."""
    started: list[daemons.Daemon] = []
    env = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    try:
        yield f"{stack.start_prefect(folder, env, started)}/api"
    finally:
        for item in started:
            daemons.stop(item)


def chaos(
    folder: Path,
    prefect_api: str,
    seed: int,
    wanted: Sequence[tuple[Strategy, Sequence[Sequence[Draw]]]],
    share: float,
    most_s: float = float("inf"),
) -> Report:
    """Every draw, each of its lanes at once, in one cluster.

    wanted: for each strategy its lanes, each with its draws. share: of the API's calls that go
    wrong, from when all lanes have something that serves. most_s: no round begins later.
    """
    end = time.monotonic() + most_s
    first, *beside = nodes(folder, sum(len(lanes) for _, lanes in wanted))
    report, trouble = Report(seed), Trouble(seed, share)
    with house(folder, prefect_api, node=first, beside=beside) as home:
        home.lease_s = 6  # of those that are killed, and here everybody is
        work: list[tuple[Lane, Sequence[Draw]]] = []
        for strategy, lanes in wanted:
            for number, draws in enumerate(lanes):
                lane = Lane(home, f"{strategy}-{number}", strategy, f"node-{len(work)}")
                work.append((lane, draws))
        ready = threading.Barrier(len(work), action=lambda: home.cluster.befall(trouble))
        threads = [
            threading.Thread(target=_through, args=(lane, draws, ready, report, end), daemon=True)
            for lane, draws in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        home.cluster.befall(None)
    report.faults = dict(trouble.seen)
    return report


def _through(
    lane: Lane, draws: Sequence[Draw], ready: threading.Barrier, report: Report, end: float
) -> None:
    seen: Seen | None = None
    try:
        with lane.begun() as seen:
            ready.wait()
            for number, draw in enumerate(draws):
                if time.monotonic() > end:
                    report.left += len(draws) - number
                    break
                lane.round(draw, seen)
            time.sleep(2)  # nothing comes late
        lane.hear_clients(seen, "at the end")
    except Exception as error:
        ready.abort()  # the others wait for nobody
        lane.breach(f"it ended by {error!r}")
    _add(report, lane, seen)


_adding = threading.Lock()


def _add(report: Report, lane: Lane, seen: Seen | None) -> None:
    with _adding:
        done = lane.sum
        report.killed += done.killed
        report.ended += done.ended
        report.again += done.failed
        report.worst_s = max(report.worst_s, *done.settled_s, 0.0)
        report.breaches += [f"{lane.name}: {text}" for text in done.breaches]
        if seen is not None:
            report.requests += seen.requests
            report.reopened += seen.reopened
            report.interrupted += len(seen.broken) - lane.cut
