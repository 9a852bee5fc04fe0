"""Which precondition each write carries: one switch each, so that the model follows the Actor.

`AT_HAND` is what tasks/outside/kubernetes/actor.py and its callers do today;
tests/unit/project/invariants/test_search_rules.py asks the real Actor and fails where the two
differ: then set the switch here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Rules:
    """A precondition is checked by the API server at the instant the write lands, unless a comment
    says that the process itself looks when it reads."""

    # -- of a state that is saved
    save_version: bool = True  # replaced at the version read, created where there was none
    save_epoch: bool = True  # process: a newer epoch in it stops us
    save_again: bool = True  # a conflict is looked at anew, instead of ending the course
    idle_if_whole: bool = True  # process: 'idle' only where what serves is available as it was
    # -- of the Service
    point_version: bool = True  # patched at the version read; a conflict is looked at anew
    point_epoch: bool = True  # process: a newer epoch on it stops us
    point_ours: bool = True  # process: somebody else's is refused
    point_answers: bool = True  # process: only to what has a ready replica
    point_hand: bool = True  # process: also from a person's own pods
    point_judged: bool = True  # process: only to what it was decided for, as that was made
    point_fewer: bool = True  # process: to no fewer than answer, but where that was decided
    point_alone: bool = True  # process: to what nobody judged only where nothing else answers
    stamp_ours: bool = True  # process: taking over leaves somebody else's alone
    makes_missing: bool = True  # process: taking over makes one where it could come late
    # -- of a Deployment
    scale_version: bool = True  # patched at the version read; a conflict is looked at anew
    scale_epoch: bool = True  # process: a newer epoch on it stops us
    scale_serving: bool = True  # process: what answers there to zero only where it may interrupt
    scale_edited: bool = True  # process: what serves not down while it is of two pod templates
    stop_missed: bool = True  # process: nor what answers while what serves does not
    scale_by_hand: bool = True  # what it runs with is what it serves with, whoever set it
    take_over_deployments: bool = True  # a new process stamps them, too
    delete_uid: bool = True
    delete_version: bool = True
    delete_epoch: bool = True  # process: a newer epoch on it stops us
    delete_serving: bool = True  # process: not what the Service leads to
    apply_version: bool = True  # applied at the version read, created where there was none
    apply_serving: bool = True  # process: not what the Service leads to
    apply_epoch: bool = True  # process: a newer epoch on it stops us
    # -- of the candidate's own Service
    candidate_ours: bool = (
        True  # process: somebody else's is left alone, or refused; at its version
    )
    # -- of memory that is lost
    epoch_above_all: bool = True  # a new Lease begins above every epoch that is written
    twins_apart: bool = True  # process: of its own epoch, what another one wrote stops it, too
    # -- of a soak
    soak_by_anybody: bool = True  # whoever has no means to look ends unproven, and does not pass


AT_HAND = Rules()
# without what stops a late write of a predecessor
UNMARKED = replace(
    AT_HAND,
    take_over_deployments=False,
    delete_version=False,
    delete_epoch=False,
    apply_version=False,
    apply_epoch=False,
)
ALL = Rules(**{item.name: True for item in fields(Rules)})


def toggled(rules: Rules, *names: str) -> Rules:
    """With these switches the other way."""
    return replace(rules, **{name: not getattr(rules, name) for name in names})
