"""Whether what serves still earns it: what is asked of it, when it may be asked, what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.base.errors import SpecError
from tasks.measure.harm import LEAST_LOOKS, Company
from tasks.release.course import Observed
from tasks.release.state import Release
from tasks.spec.rollout import Benchmark, Rollout, Target
from tasks.spec.starts.verify import load_of, told_by
from tasks.verdict.targets import Decision

Earned = Literal["earned", "missed", "inconclusive"]
# nothing goes on by itself: a candidate that waits for a person takes nothing from what serves
AT_REST = ("idle", "held")
NOBODY = Company(looks=LEAST_LOOKS)
NO_WAY_BACK = "it is announced, and not gone back from"
_WORDS: dict[str, Earned] = {"pass": "earned", "fail": "missed"}


@dataclass(frozen=True)
class Verification:
    """What a verification came to. missed: binding targets that it missed, by name and load.
    confirmed: a second measurement missed one of them, too, and no request of others explains
    it."""

    word: Earned
    sentence: str
    missed: tuple[str, ...] = ()
    confirmed: bool = False


def never_back(spec: Rollout) -> str:
    """Why `on_miss: roll-back` of a spec could never go back; '' where it could, or is not asked
    for: what others asked has to be excluded."""
    verify = spec.verify
    if verify.on_miss != "roll-back":
        return ""
    if verify.source == "engine":
        why = "from: engine measures the requests of others"
    elif load_of(verify, spec.benchmark).rate is not None:
        why = "of a load that comes by a rate nobody can tell ours from theirs"
    elif (looks := int(verify.seconds // verify.interval_s)) < LEAST_LOOKS:
        why = f"seconds by interval_s are {looks} looks, and {LEAST_LOOKS} exclude others"
    else:
        return ""
    return f"verify.on_miss: roll-back never goes back here: {why}; a miss is announced"


def asked_again(spec: Rollout) -> Rollout:
    """The spec of a verification: one load, the targets it says something of, no exam. Raises
    SpecError where nothing is left that decides."""
    verify, bench = spec.verify, spec.benchmark
    targets = told_by(verify, bench, spec.targets)
    budget = bench.budget.model_copy(update={"seconds": min(verify.seconds, bench.budget.seconds)})
    loads = [load_of(verify, bench)]
    return _with(spec, targets, bench.model_copy(update={"loads": loads, "budget": budget}))


def asked_by_hand(spec: Rollout, names: Sequence[str] = ()) -> Rollout:
    """The spec of a benchmark of what serves: the loads of these names, or all of them, and all
    targets there but those against the stable release, which it is. Raises SpecError."""
    bench = spec.benchmark
    known = {load.name: load for load in bench.loads}
    if unknown := [name for name in names if name not in known]:
        raise SpecError([f"--load {unknown[0]}: no load of the spec; known are {', '.join(known)}"])
    loads = [load for load in bench.loads if not names or load.name in names]
    targets = [
        item
        for item in spec.targets
        if item.versus_stable_percent is None
        and item.load in (None, *(load.name for load in loads))
    ]
    return _with(spec, targets, bench.model_copy(update={"loads": loads}))


def _with(spec: Rollout, targets: list[Target], bench: Benchmark) -> Rollout:
    found = spec.model_copy(update={"targets": targets, "benchmark": bench, "quality": None})
    if all(item.advisory for item in found.targets):
        raise SpecError(
            [
                "targets: none that binds says anything of what serves alone, measured so; give "
                "one with a limit, and without a load that is not measured"
            ]
        )
    return found


def left_out(spec: Rollout, asked: Rollout) -> str:
    """The targets of a spec that are not asked of what serves, in words; '' for none."""
    names = [
        item.metric + (f" at {item.load}" if item.load else "")
        for item in spec.targets
        if item not in asked.targets
    ]
    return f"not looked at: {', '.join(names)}" if names else ""


def serves_now(seen: Observed, holder: str) -> Release | str:
    """The release that may be asked; or why none may, now. holder: of the rollout's lease."""
    state, stable = seen.state, seen.state.stable
    if holder:
        return f"{holder} is at it, and comes first"
    if state.phase not in AT_REST:
        return f"rollout {state.name} is {state.phase}"
    if stable is None or stable.id != seen.serving or seen.bent:
        return f"the Service of {state.name} does not lead to what was rolled out last"
    if not seen.alive(stable.id) or (amiss := seen.unsettled()):
        return f"{stable.deployment} does not answer with all of its replicas; " + (
            amiss if seen.alive(stable.id) else "the guard sees to that"
        )
    return stable


def verified(
    first: Decision, second: Decision | None = None, beside: Company = NOBODY
) -> Verification:
    """What one measurement comes to, or two: a miss is confirmed where both miss the same, and
    others had no part in it. beside: who asked beside the last of them."""
    word = _WORDS.get(first.verdict, "inconclusive")
    missed = missed_by(first)
    if second is None:
        told = beside.told if word == "missed" else ""
        return Verification(word, "; ".join(filter(None, (first.reason, told))), missed)
    both = tuple(name for name in missed if name in missed_by(second))
    if second.verdict == "fail" and both:
        said = f"{second.reason}; measured twice, and missed both times: {', '.join(both)}"
        if doubt := beside.doubt:
            return Verification("missed", f"{said}; {NO_WAY_BACK}: {doubt}", both)
        return Verification("missed", said, both, confirmed=True)
    said = f"missed at first ({first.reason}), and not again: {second.reason}"
    return Verification("inconclusive", said)


def missed_by(found: Decision) -> tuple[str, ...]:
    """The binding targets that were missed."""
    return tuple(
        f"{item.metric} at {item.load}"
        for item in found.targets
        if item.verdict == "fail" and not item.advisory
    )
