"""What serves stays earned: it is measured again while it serves, and a miss is announced.

A verification changes nothing that serves. It gives way to a rollout and to whoever waits in the
engines' queues; killed anywhere it leaves nothing but one entry in a memory of its own. Only where
the spec says so a miss that was measured twice, and that no request of others explains, starts the
way back that `rollout rollback` is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows.rollback import must_be_there, settle
from tasks.base.errors import OutsideError, RolloutError
from tasks.base.progress import listening
from tasks.outside.disk.site import spec_below
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import ending, own, parameters, told
from tasks.record.outcome import ENDINGS, Kind, Outcome
from tasks.record.record import Record
from tasks.release.state import Release
from tasks.run.measuring.neighbours import GaveWay
from tasks.run.measuring.remember import remember_verified, teller
from tasks.run.measuring.serving import note_serving, serving_of, verify_serving
from tasks.run.measuring.sitting import Sitting
from tasks.run.run import ended_by
from tasks.run.telling.cluster import announce
from tasks.run.telling.people import tell_verified
from tasks.run.ui.reported import publish
from tasks.service.moments import Moment
from tasks.spec.rollout import Rollout
from tasks.verdict.earned import Verification, asked_again, left_out

Emit = Callable[[Record, Moment, str], None]


@dataclass(frozen=True)
class VerifyEnded:
    """How a verification ended, with what going back came to where it went back."""

    outcome: Outcome
    record: Record


def verify_by(
    spec: Rollout,
    *,
    kubeconfig: str | None,
    context: str | None,
    why: str,
    emit: Emit,
) -> VerifyEnded:
    """Measure what serves by `verify` of its spec, tell what is news, and go back where that is
    asked for. Raises RolloutError."""
    asked = asked_again(spec)
    with Cluster.connect(kubeconfig, context) as cluster:
        must_be_there(cluster, spec.name, spec.namespace)
        sitting = Sitting(asked, cluster.address, kind="verify", rollout=None, why=why)
        found = serving_of(cluster, asked)
        if isinstance(found, str):
            outcome = _not_now(spec, found)
            sitting.note(outcome)  # nothing was measured: no page of it
            return VerifyEnded(outcome, sitting.record)
        note_serving(sitting, found)
        came = Verification("inconclusive", "")

        def measure() -> Outcome:
            nonlocal came
            came = verify_serving(sitting, cluster, found)
            return _outcome(found, came, left_out(spec, asked))

        outcome = sat(sitting, measure, lambda why: _not_now(spec, why))
        if outcome.kind != "not now":
            _tell(cluster, sitting.record, outcome, emit)
    if not (came.confirmed and spec.verify.on_miss == "roll-back"):
        return VerifyEnded(outcome, sitting.record)
    back = _go_back(spec, found, kubeconfig, context)
    outcome = sitting.end(Outcome(outcome.kind, f"{outcome.sentence}; {back}"))
    return VerifyEnded(outcome, sitting.record)


def sat(
    sitting: Sitting, measure: Callable[[], Outcome], gave_way: Callable[[str], Outcome]
) -> Outcome:
    """Measure, and put on record how it ended, also by an error, which is raised on. gave_way: how
    it ends where others came first, and why they did."""
    try:
        with listening(told.Aloud().hear, own=True):
            came = measure()
        return sitting.end(came)
    except GaveWay as error:
        return sitting.end(gave_way(str(error)))
    except BaseException as error:
        with suppress(OutsideError):
            sitting.end(ended_by(error))
        raise


def _not_now(spec: Rollout, why: str) -> Outcome:
    return Outcome("not now", f"{spec.name} is not verified now: {why}")


def _outcome(release: Release, came: Verification, besides: str) -> Outcome:
    heads: dict[str, tuple[Kind, str]] = {
        "earned": ("earned", "still meets its targets"),
        "missed": ("missed", "serves, and does not meet its targets any more"),
    }
    left = "serves, and it is open whether it meets its targets"
    kind, head = heads.get(came.word, ("inconclusive", left))
    said = f"{release.deployment} {head}: {came.sentence}"
    return Outcome(kind, "; ".join(filter(None, (said, besides))))


def _tell(cluster: Cluster, record: Record, outcome: Outcome, emit: Emit) -> None:
    """In the cluster's memory first, then to whoever listens; a miss by an Event each time."""
    news = remember_verified(cluster, record)
    if news or outcome.kind == "missed":
        looks = ENDINGS[outcome.kind]
        actor = teller(cluster, record.namespace, record.name)
        announce(actor, looks.state, outcome.sentence, bad=looks.look == "bad")
    if news:
        emit(record, news, publish(record).address)


def _go_back(spec: Rollout, release: Release, kubeconfig: str | None, context: str | None) -> str:
    """The way back of `rollout rollback`, with all its checks; what serves stays where it is
    refused."""
    try:
        return settle(
            "rollback",
            spec.name,
            spec.namespace,
            kubeconfig=kubeconfig,
            context=context,
            serving=release.id,
        )
    except RolloutError as error:
        return f"{release.deployment} stays, there is no way back now: {error}"


@flow(name="verify", flow_run_name=parameters.verify_name, persist_result=False)
def verify(
    spec: Rollout | None = None,
    spec_file: str | None = None,
    kubeconfig: str | None = None,
    context: str | None = None,
    why: str = own.BY_HAND,
    changes: dict[str, Any] | None = None,
) -> State[Any]:
    """Measure what serves again, at a load that harms nobody, and announce targets that it misses.

    Args:
        spec: The rollout spec, whole.
        spec_file: Path of a spec file, below the working directory of the worker; or a `spec`.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
        why: What started it, for the record.
        changes: Other values of the spec, by key: {"verify.load": "c1"}.
    """
    try:
        if spec_file is not None:
            spec_below(spec_file, "parameters.spec_file")
        wanted = parameters.of_parameters(spec, spec_file, None, changes=changes)
        parameters.must_be_its_own(wanted.name, wanted.namespace)
        ended = verify_by(
            wanted, kubeconfig=kubeconfig, context=context, why=own.why(why), emit=tell_verified
        )
    except RolloutError as error:
        return ending.no_record(error)
    told.say(f"{ended.outcome.kind}: {ended.outcome.sentence}")
    return ending.as_state(ended.outcome, ended.record)
