"""The verdict: pass, fail or inconclusive, with a reason per target. See docs/verdict.md.

Only sound rounds count: a measurement that went wrong says nothing about the model, for or against
it. Passing needs every binding target's bound inside its limit at level alpha (each on its own:
to be promoted falsely, the target that is truly missed has to pass falsely). Failing needs one
bound outside at alpha over the number of targets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tasks.measure.figures import RATES, SHARES, quantile
from tasks.measure.round import Round
from tasks.spec.measure import Benchmark, Target
from tasks.verdict import bounds, spending
from tasks.verdict.rounds import SeenRound

Word = Literal["pass", "fail", "inconclusive"]
# Without a success_rate target no request may fail; above this share (its lower bound) failing
# requests are a failure of the model, below it they leave the verdict open.
FAILED_SHARE = 0.01
# Below this a handful of equal answers would look like certainty.
LEAST_REQUESTS = 20
IMPLIED = "success_rate_percent"
_FAR = 1_000_000


@dataclass(frozen=True)
class TargetVerdict:
    """One target at one load point. measured, low, high, limit: in the metric's unit; None: no
    data, or no bound. A relative target's figures are percent of change against stable."""

    metric: str
    load: str
    limit: float
    unit: str
    direction: str
    measured: float | None
    low: float | None
    high: float | None
    n_requests: int
    n_rounds: int
    verdict: Word
    reason: str
    advisory: bool = False
    requests_more: int | None = None
    versus_stable_percent: float | None = None
    stable_measured: float | None = None

    @property
    def implied(self) -> bool:
        """Whether no request may fail: what holds where no success_rate target allows it."""
        return self.metric == IMPLIED and self.limit == 100.0


@dataclass(frozen=True)
class Decision:
    """The verdict over all targets. stop: nothing more is to be learnt that would change it.
    requests_more: how many requests more should decide, where it is open."""

    verdict: Word
    stop: bool
    reason: str
    targets: tuple[TargetVerdict, ...]
    requests_more: int | None = None


def binding_count(targets: Sequence[Target], bench: Benchmark) -> int:
    """How many demands bind: targets at their load points, and the implied ones."""
    return sum(not target.advisory for target, _ in _expand(targets, bench))


def decide(
    rounds: Sequence[Round], targets: Sequence[Target], bench: Benchmark, binding: int
) -> Decision:
    """Judge what has been measured so far; call it after every full round.

    Each look at the data spends its own part of alpha, so what a target's bound showed at one look
    stays shown, with one exception: a bound outside the limit at any look outweighs one inside it
    (a candidate that grows slower while it is measured is not promoted for its first rounds).
    Only the first `bench.max_rounds` rounds are looked at, since alpha was planned for so many.
    binding: how many binding demands share what failing may err by.
    """
    indices = sorted({item.index for item in rounds})[: bench.max_rounds]
    kept = set(indices)
    seen = [SeenRound(item) for item in rounds if item.index in kept]
    looks = range(bench.min_rounds, len(indices) + 1)
    expanded = _expand(targets, bench)
    verdicts = []
    for target, load in expanded:
        here = [item for item in seen if item.item.load == load]
        doubted = any(item.why_not for item in _candidates(here))
        early = _too_few(here, bench) if doubted else "not enough rounds yet"
        verdict = _open(target, load, here, early)
        for count in looks:
            upto = [item for item in here if item.item.index <= indices[count - 1]]
            found = _look(target, load, upto, count, binding, bench)
            if found.verdict == "fail":
                verdict = found
                break
            if verdict.verdict != "pass":
                verdict = found
        few = _too_few(here, bench)
        if few and verdict.verdict != "inconclusive":
            verdict = replace(verdict, verdict="inconclusive", reason=few)
        verdicts.append(verdict)
    return conclude(verdicts, targets)


def _look(
    target: Target, load: str, seen: Sequence[SeenRound], count: int, binding: int, bench: Benchmark
) -> TargetVerdict:
    """One target after `count` rounds."""
    look, plan = count - bench.min_rounds, (bench.min_rounds, bench.max_rounds)
    passing, failing = (
        spending.of_rounds(*plan, (1 - bench.confidence) / shared)[look] for shared in (1, binding)
    )
    mine = [item for item in seen if not item.why_not]
    verdict = _judge(target, load, mine, Rule(passing, failing, bench.min_rounds))
    few = _too_few(seen, bench)
    return replace(verdict, verdict="inconclusive", reason=few) if few else verdict


def _expand(targets: Sequence[Target], bench: Benchmark) -> list[tuple[Target, str]]:
    """Every target at each of its load points, and the implied success rate where none is named."""
    out: list[tuple[Target, str]] = []
    for load in bench.loads:
        named = [t for t in targets if t.load in (None, load.name)]
        out += [(target, load.name) for target in named]
        if not any(t.parsed.kind == "success_rate" and not t.advisory for t in named):
            out.append((Target(metric=IMPLIED, limit=100.0), load.name))
    return out


def _open(
    target: Target, load: str, mine: Sequence[SeenRound], reason: str, *, more: int | None = None
) -> TargetVerdict:
    metric = target.parsed
    candidate = _candidates(mine)
    return TargetVerdict(
        metric=target.metric,
        load=load,
        limit=target.limit if target.limit is not None else (target.versus_stable_percent or 0.0),
        unit=metric.unit if target.limit is not None else "percent",
        direction=metric.direction,
        measured=None,
        low=None,
        high=None,
        n_requests=sum(item.requests for item in candidate),
        n_rounds=len(candidate),
        verdict="inconclusive",
        reason=reason,
        advisory=target.advisory,
        requests_more=more,
        versus_stable_percent=target.versus_stable_percent,
    )


def _too_few(seen: Sequence[SeenRound], bench: Benchmark) -> str:
    """Why the sound rounds are too few to conclude from, or ''."""
    asked = _candidates(seen)
    good = [item for item in asked if not item.why_not]
    if len(good) >= bench.min_rounds and 2 * len(good) >= len(asked):
        return ""
    why = next(("; ".join(r.why_not) for r in asked if r.why_not), "too few rounds were run")
    return f"{len(good)} of {len(asked)} rounds can be believed: {why}"


def _candidates(seen: Sequence[SeenRound]) -> list[SeenRound]:
    return [item for item in seen if item.item.release == "candidate"]


@dataclass(frozen=True)
class Rule:
    """What a look may spend on passing and on failing, and how many rounds it needs at least."""

    passing: float
    failing: float
    least: int


def _judge(target: Target, load: str, mine: Sequence[SeenRound], rule: Rule) -> TargetVerdict:
    rounds = _candidates(mine)
    requests = sum(item.requests for item in rounds)
    if not requests:
        return _open(target, load, mine, "no data")
    usable = requests
    if target.parsed.kind not in SHARES:
        usable = sum(item.sound for item in rounds)
    if usable < LEAST_REQUESTS:
        few = f"{usable} of {requests} requests can be judged, at least {LEAST_REQUESTS} are needed"
        return _open(target, load, mine, few, more=LEAST_REQUESTS - usable)
    if target.versus_stable_percent is not None:
        return _relative(target, load, mine, rule)
    metric = target.parsed
    measured = _figure(target, rounds)
    low, high = _bounds(target, rounds, rule.passing)
    low_fail, high_fail = _bounds(target, rounds, rule.failing)
    limit = float(target.limit or 0.0)
    base = limit / metric.factor
    found = _open(target, load, mine, "")
    if found.implied:
        word, reason = _all_succeed(rounds, high_fail)
    else:
        word = place(metric.direction, base, low, high, low_fail, high_fail)
        reason = say(word, metric.direction, limit, metric.unit)
    return replace(
        found,
        reason=reason,
        measured=_shown(measured, metric.factor),
        low=_shown(low, metric.factor),
        high=_shown(high, metric.factor),
        verdict=word,
        requests_more=_more(word, requests, metric.quantile, base, measured, low, high),
    )


def _figure(target: Target, rounds: Sequence[SeenRound]) -> float | None:
    """The figure over all rounds, in base units."""
    metric = target.parsed
    if metric.kind in SHARES:
        return sum(r.hits(target) for r in rounds) / sum(r.requests for r in rounds)
    if metric.statistic == "percentile" and metric.quantile is not None:
        values = np.concatenate([r.values(metric.kind) for r in rounds])
        return quantile(values, metric.quantile) if len(values) else None
    usable = [value for r in rounds if (value := r.figure(target)) is not None]
    return sum(usable) / len(usable) if usable else None


def _bounds(target: Target, rounds: Sequence[SeenRound], alpha: float) -> bounds.Bounds:
    """(low, high) of the figure over all rounds, in base units."""
    metric = target.parsed
    if metric.kind in SHARES:
        return bounds.share([r.hits(target) for r in rounds], [r.requests for r in rounds], alpha)
    if metric.statistic == "percentile" and metric.quantile is not None:
        values = [v for v in (r.values(metric.kind) for r in rounds) if len(v)]
        # the gaps of one stream are of one piece, so they count as one
        requests = sum(r.requests for r in rounds)
        return bounds.percentile(values, metric.quantile, alpha, requests)
    usable = [value for r in rounds if (value := r.figure(target)) is not None]
    if len(usable) < len(rounds):
        return bounds.UNKNOWN  # a round without the figure is no data, and that is never a pass
    low, high = bounds.level(usable, alpha)
    if metric.kind not in RATES:
        low = max(low, 0.0) if math.isfinite(low) else low
    return low, high


def place(
    direction: str, limit: float, low: float, high: float, low_fail: float, high_fail: float
) -> Word:
    """Where the bounds lie: `low`, `high` decide passing, the others failing. NaN never passes."""
    if direction == "at_most":
        if high <= limit:
            return "pass"
        return "fail" if low_fail > limit else "inconclusive"
    if low >= limit:
        return "pass"
    return "fail" if high_fail < limit else "inconclusive"


def _all_succeed(rounds: Sequence[SeenRound], high_fail: float) -> tuple[Word, str]:
    """The implied rule: no request may fail."""
    failed, requests = sum(r.failed for r in rounds), sum(r.requests for r in rounds)
    if not failed:
        return "pass", f"all {requests} requests succeeded"
    text = f"{failed} of {requests} requests failed, and no success_rate target allows any"
    return ("fail" if high_fail < 1 - FAILED_SHARE else "inconclusive"), text


def _relative(target: Target, load: str, mine: Sequence[SeenRound], rule: Rule) -> TargetVerdict:
    """Candidate against stable, paired by round."""
    metric, allowed = target.parsed, float(target.versus_stable_percent or 0.0)
    stable = {r.item.index: r for r in mine if r.item.release == "stable"}
    pairs = []
    for item in _candidates(mine):
        other = stable.get(item.item.index)
        if other is None:
            continue
        ours, theirs = item.figure(target), other.figure(target)
        if ours is None or theirs is None:
            # leaving the round out would favour a release whose slow requests failed
            who = "candidate" if ours is None else "stable release"
            return _open(target, load, mine, f"the {who} has no such figure in a round")
        pairs.append((ours, theirs))
    if len(pairs) < max(2, rule.least):
        few = f"{len(pairs)} rounds of the stable release to compare with, {rule.least} are needed"
        return _open(target, load, mine, few)
    low, high = bounds.ratio(pairs, rule.passing)
    low_fail, high_fail = bounds.ratio(pairs, rule.failing)
    worse = 1 + allowed / 100 if metric.direction == "at_most" else 1 - allowed / 100
    word = place(metric.direction, worse, low, high, low_fail, high_fail)
    mean = (
        math.exp(sum(math.log(c / s) for c, s in pairs) / len(pairs))
        if min(min(pair) for pair in pairs) > 0
        else math.nan
    )
    found = _open(target, load, mine, say(word, metric.direction, (worse - 1) * 100, "percent"))
    stable_mean = sum(s for _, s in pairs) / len(pairs)
    return replace(
        found,
        limit=round((worse - 1) * 100, 9),
        measured=_shown(mean - 1, 100),
        low=_shown(low - 1, 100),
        high=_shown(high - 1, 100),
        verdict=word,
        stable_measured=_shown(stable_mean, metric.factor),
        requests_more=_more(word, found.n_requests, None, worse, mean, low, high),
    )


def _shown(value: float | None, factor: float) -> float | None:
    """In the metric's unit; what is not finite is no number for a table."""
    return value * factor if value is not None and math.isfinite(value) else None


def say(word: Word, direction: str, limit: float, unit: str) -> str:
    """Why it is so, in words."""
    side = "at most" if direction == "at_most" else "at least"
    if word == "pass":
        return f"its bound is {side} {limit:g} {unit}"
    if word == "fail":
        return f"its bound shows it is not {side} {limit:g} {unit}"
    return f"its bounds leave open whether it is {side} {limit:g} {unit}"


def _more(
    word: Word,
    requests: int,
    quantile: float | None,
    limit: float,
    measured: float | None,
    low: float,
    high: float,
) -> int | None:
    """Requests more that should decide, if the figure stays: bounds close with 1 / sqrt(n)."""
    if word != "inconclusive" or measured is None or not math.isfinite(measured):
        return None
    gap = abs(measured - limit)
    wanted = high - measured if measured <= limit else measured - low
    if not math.isfinite(wanted):
        # no bound at all yet: what a quantile needs to have one, else as many again
        least = math.ceil(5 / min(quantile, 1 - quantile)) if quantile else 2 * requests
        return max(requests, least - requests)
    if gap <= 0:
        return _FAR
    return max(1, min(_FAR, math.ceil(requests * ((wanted / gap) ** 2 - 1))))


def conclude(verdicts: Sequence[TargetVerdict], targets: Sequence[Target]) -> Decision:
    """What the verdicts on these targets come to, together."""
    binding = [item for item in verdicts if not item.advisory]
    if all(target.advisory for target in targets):
        return Decision(
            "inconclusive", False, "no binding target: nothing decides", tuple(verdicts)
        )
    failed = [item for item in binding if item.verdict == "fail"]
    undecided = [item for item in binding if item.verdict == "inconclusive"]
    if failed:
        return Decision("fail", True, _why(failed), tuple(verdicts))
    if not undecided:
        sign = f"all {len(binding)} targets are met"
        return Decision("pass", True, sign, tuple(verdicts))
    more = [item.requests_more for item in undecided if item.requests_more is not None]
    text = _why(undecided)
    wanted = max(more, default=None)
    if wanted is not None:
        text += f"; about {wanted} requests more would decide"
    return Decision("inconclusive", False, text or "no data", tuple(verdicts), wanted)


def _why(verdicts: Sequence[TargetVerdict]) -> str:
    """Targets and reasons; a reason that several share, once."""
    shared: dict[str, list[str]] = {}
    for item in verdicts:
        shared.setdefault(f"{item.reason}, {_measured(item)}", []).append(_name(item))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in shared.items())


def _name(item: TargetVerdict) -> str:
    return f"{item.metric} at {item.load}"


def _measured(item: TargetVerdict) -> str:
    return f"measured {item.measured:.4g}" if item.measured is not None else "nothing measured"
