"""What earlier rollouts of a name came to, by the history that the cluster keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.record.parts import Earlier
from tasks.record.record import read

LAST = 8


def earlier(history: Iterable[Mapping[str, Any]], model: str) -> list[Earlier]:
    """The last rollouts of a model that were judged, newest first.

    history: entries as tasks.record.outcome.compact leaves them, newest first; what somebody else
    wrote in is left out.
    """
    found = []
    for record in map(read, history):
        what = record.resolve_model
        binding = [item for item in record.targets if not item.advisory]
        if what is None or what.model != model or not binding:
            continue
        for item in binding:
            item.reason = ""  # a curve does not show it
        found.append(
            Earlier(
                rollout=record.rollout,
                finished=record.finished,
                outcome=record.outcome,
                deployment=what.deployment,
                commit=what.commit,
                targets=binding,
            )
        )
        if len(found) == LAST:
            break
    return found
