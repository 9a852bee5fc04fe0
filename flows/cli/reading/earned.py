"""`rollout bench` and `rollout verify`: what serves, measured, as a table or as a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from flows.cli.output import document, show
from flows.cli.run import exit_of, print_end
from flows.cli.screen import Screen
from flows.cli.view import showing
from flows.verify import sat, verify
from tasks.base.errors import Refused
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect.ending import NotPromoted
from tasks.record.outcome import Kind, Outcome
from tasks.record.record import Record
from tasks.run.measuring.serving import bench_serving, bench_url, note_serving, serving_of
from tasks.run.measuring.sitting import Sitting
from tasks.spec.rollout import Rollout
from tasks.verdict.earned import asked_by_hand, left_out
from tasks.verdict.targets import Decision

KINDS: dict[str, Kind] = {"pass": "earned", "fail": "missed"}


def show_bench(
    spec: Rollout,
    kubeconfig: str | None,
    context: str | None,
    *,
    url: str | None,
    loads: Sequence[str],
    form: str,
) -> int:
    """Measure what serves, or the engine at `url`, at the spec's loads; print targets and verdict.
    Raises Refused where nothing may be measured now, and other RolloutErrors."""
    asked = asked_by_hand(spec, loads)

    def measured(address: str, measure: Callable[[Sitting], Decision]) -> Sitting:
        sitting = Sitting(asked, address, kind="bench", rollout=None, why="rollout bench")

        def outcome() -> Outcome:
            found = measure(sitting)
            said = "; ".join(filter(None, (found.reason, left_out(spec, asked))))
            return Outcome(KINDS.get(found.verdict, "inconclusive"), said)

        sat(sitting, outcome, lambda why: Outcome("inconclusive", f"it was ended: {why}"))
        return sitting

    with showing(Screen(stderr=True), f"bench {spec.name}", "bench"):
        if url is not None:
            sitting = measured(url, lambda sitting: bench_url(sitting, url))
        else:
            with Cluster.connect(kubeconfig, context) as cluster:
                release = serving_of(cluster, asked)
                if isinstance(release, str):
                    raise Refused(f"what serves is not measured now: {release}")

                def serving(sitting: Sitting) -> Decision:
                    note_serving(sitting, release)
                    return bench_serving(sitting, cluster, release)

                sitting = measured(cluster.address, serving)
    return show_measured("bench", sitting.record, form)


def show_verify(
    spec: Rollout, kubeconfig: str | None, context: str | None, *, form: str, why: str
) -> int:
    """Verify what serves, as its timetable does, and print how it ended."""
    with showing(Screen(stderr=True), f"verify {spec.name}", "verify"):
        state = verify(
            spec=spec, kubeconfig=kubeconfig, context=context, why=why, return_state=True
        )
        found: Any = state.result(raise_on_failure=False)
    if isinstance(found, NotPromoted):
        found = found.record
    if isinstance(found, BaseException):
        raise found
    return show_measured("verify", found, form)


def show_measured(kind: str, record: Record, form: str) -> int:
    """Print a record of what serves; gives its exit status."""
    if form == "table":
        print_end(Screen(), record)
    else:
        body = {
            "namespace": record.namespace,
            "name": record.name,
            "outcome": record.outcome,
            "exit_code": record.exit_code,
            "sentence": record.sentence,
            "deployment": record.deployment,
            "measured": record.cluster,
            "confidence_percent": record.confidence_percent,
            "targets": [item.model_dump() for item in record.targets],
            "rollout": record.rollout,
            "record": record.record,
            "report": record.report,
        }
        show(document(kind, body), form)
    return exit_of(record)
