"""Which precondition each write carries: one switch each, so that the model follows the Actor.

`AT_HAND` is what tasks/outside/kubernetes/actor.py and its callers do today;
tests/unit/release/test_search_rules.py asks the real Actor and fails where the two differ: then set
the switch here. Where a counterexample is gone with it, its xfail in test_search.py says so.
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
    save_again: bool = False  # a conflict is looked at anew, instead of ending the course
    idle_if_whole: bool = False  # process: 'idle' only where what serves is available as it was
    # -- of the Service
    point_version: bool = True  # patched at the version read; a conflict is looked at anew
    point_epoch: bool = True  # process: a newer epoch on it stops us
    point_ours: bool = True  # process: somebody else's is refused
    point_answers: bool = True  # process: what answers makes way only for what does
    point_hand: bool = False  # process: so do a person's own pods
    stamp_ours: bool = False  # process: taking over leaves somebody else's alone
    # -- of a Deployment
    scale_version: bool = True  # patched at the version read; a conflict is looked at anew
    scale_epoch: bool = True  # process: a newer epoch on it stops us
    scale_serving: bool = False  # process: to zero under the Service only where it may interrupt
    scale_by_hand: bool = False  # what it runs with is what it serves with, whoever set it
    take_over_deployments: bool = False  # a new process stamps them, too
    delete_uid: bool = True
    delete_version: bool = False
    delete_epoch: bool = False  # process: a newer epoch on it stops us
    delete_serving: bool = True  # process: not what the Service leads to
    apply_version: bool = False  # applied at the version read, created where there was none
    apply_serving: bool = False  # process: not what the Service leads to
    apply_epoch: bool = False  # process: a newer epoch on it stops us
    # -- of the candidate's own Service
    candidate_ours: bool = (
        False  # process: somebody else's is left alone, or refused; at its version
    )
    # -- of memory that is lost
    memory_rebuilt: bool = False  # without a ConfigMap it is not at rest, and the guard sees it
    epoch_above_all: bool = False  # a new Lease begins above every epoch that there ever was
    # -- of a soak
    soak_by_anybody: bool = False  # whoever has no means to look ends unproven, and does not pass


AT_HAND = Rules()
# what is being built: a late write meets an epoch, and nothing is applied to what serves
STRENGTHENED = replace(
    AT_HAND,
    take_over_deployments=True,
    delete_version=True,
    delete_epoch=True,
    apply_version=True,
    apply_serving=True,
    apply_epoch=True,
)
ALL = Rules(**{item.name: True for item in fields(Rules)})


def toggled(rules: Rules, *names: str) -> Rules:
    """With these switches the other way."""
    return replace(rules, **{name: not getattr(rules, name) for name in names})
