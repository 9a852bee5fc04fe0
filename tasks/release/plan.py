"""What a rollout would do, decided before anything changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tasks.objects.beside import Cut, not_agreed
from tasks.release.course import DeploymentView
from tasks.release.lend import Lend, decide_lend
from tasks.release.moves import Observed
from tasks.release.seats.capacity import falls, set_by_hand
from tasks.release.seats.edited import drifted, held_fast
from tasks.release.seats.room import kept_for
from tasks.release.seats.told import lends, serves_on
from tasks.release.state import Release
from tasks.release.written.meaning import by_name, kept
from tasks.spec.rollout import Promotion, Rollout

Strategy = Literal["parallel", "lend", "replace", "place", "refused", "unchanged"]


@dataclass(frozen=True)
class NodeSeat:
    """What one usable node offers this rollout.

    hostname: its kubernetes.io/hostname label. seats: replicas that fit now. seats_without_stable:
    replicas that would fit with this rollout's stable release scaled down. seats_by_gone: with none
    of its pods there gone, with one, and so on. bytes_missing: weights
    to fetch there; None where unknown (not probed). disk_free: bytes, or None. lacks,
    lacks_without_stable: what keeps one more replica from fitting, one sentence a resource.
    """

    name: str
    hostname: str
    seats: int
    seats_without_stable: int
    bytes_present: int = 0
    bytes_missing: int | None = None
    disk_free: int | None = None
    devices_free: int | None = None
    seats_by_gone: tuple[int, ...] = ()
    lacks: tuple[str, ...] = ()
    lacks_without_stable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The decision, its reasons and its costs. lend: what the serving release gives and keeps, with
    strategy `lend`. cut: what leads to what serves now and to nothing after it, one sentence each;
    without what was agreed to at an adoption. evicts: that the cluster may end what serves for it,
    though it has seats of its own. digest names the whole of it."""

    strategy: Strategy
    sentence: str
    release: Release
    serving: str | None
    nodes: tuple[NodeSeat, ...]
    devices_needed: int
    devices_free: int
    bytes_to_fetch: int
    interruption: str
    approval: str
    differences: tuple[str, ...]
    resource: str
    targets: tuple[str, ...]
    lend: Lend | None = None
    cut: tuple[str, ...] = ()
    evicts: str = ""
    digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)


def _choose(
    seats: Sequence[NodeSeat], replicas: int, minimum: int, *, alone: bool
) -> list[NodeSeat]:
    """Nodes for all replicas: those that hold the weights first, then the roomiest."""

    def room(seat: NodeSeat) -> int:
        return seat.seats_without_stable if alone else seat.seats

    ordered = sorted(seats, key=lambda s: (s.bytes_missing or 0, -room(s), s.name))
    chosen: list[NodeSeat] = []
    left = replicas
    for seat in ordered:
        if room(seat) <= 0 or (left <= 0 and len(chosen) >= minimum):
            continue
        chosen.append(seat)
        left -= room(seat)
    return chosen if left <= 0 and len(chosen) >= minimum else []


def _lent(
    spec: Rollout,
    serving: DeploymentView,
    seats: Sequence[NodeSeat],
    instead: Sequence[NodeSeat],
    whole: int,
) -> tuple[Lend, list[NodeSeat]] | None:
    """What the serving release can lend, and the nodes it takes: those that all replicas of the
    candidate go to in the end, or all where its pods run as well."""
    relative = any(target.versus_stable_percent is not None for target in spec.targets)
    also = [seat for seat in seats if seat not in instead and len(seat.seats_by_gone) > 1]
    for chosen in ([*instead], [*instead, *also]):
        tables = [
            seat.seats_by_gone if seat in chosen else (0,) * len(seat.seats_by_gone)
            for seat in seats
            if seat.seats_by_gone
        ]
        asked = spec.serving.replicas
        if lend := decide_lend(tables, serving, asked, as_many=relative, whole=whole):
            return lend, chosen
    return None


# More nodes than this are counted, not listed.
_NODES_NAMED = 4


def _shortage(seats: Sequence[NodeSeat], *, alone: bool) -> str:
    """': node-a: 20 GiB of memory a replica, 12 free of 24' for each node; '' where unknown."""
    said = []
    for seat in seats[:_NODES_NAMED]:
        lacks = seat.lacks_without_stable if alone else seat.lacks
        if lacks:
            said.append(f"{seat.name}: {' and '.join(lacks)}")
    if said and len(seats) > _NODES_NAMED:
        said.append(f"and {len(seats) - _NODES_NAMED} more node(s)")
    return f": {'; '.join(said)}" if said else ""


def describe_changes(seen: Observed, release: Release, objects: Mapping[str, Any]) -> list[str]:
    """How the candidate differs from what serves, one line a difference.

    `objects`: {'before': container of the serving Deployment or None, 'after': of the candidate}.
    """
    stable = seen.state.stable
    if stable is None or seen.serving is None:
        return ["nothing serves yet: this is the first release"]
    out = []
    for label, old, new in (
        ("model", stable.model, release.model),
        ("commit", stable.commit, release.commit),
        ("files", stable.digest, release.digest),
        ("image", stable.image, release.image),
        ("replicas", stable.replicas, release.replicas),
    ):
        if old != new:
            out.append(f"{label}: {old} -> {new}")
    before, after = objects.get("before") or {}, objects.get("after") or {}
    for key in ("command", "args"):
        old_items, new_items = before.get(key) or [], after.get(key) or []
        out += [f"{key}: - {item}" for item in old_items if item not in new_items]
        out += [f"{key}: + {item}" for item in new_items if item not in old_items]
    old_env, new_env = by_name(before.get("env")), by_name(after.get("env"))
    for name in sorted(old_env.keys() | new_env.keys()):
        if name not in new_env or not kept([new_env[name]], before.get("env"), "env"):
            # values may be credentials: name the variable only
            out.append(f"env: {name} changes")
    here, there = before.get("resources"), after.get("resources")
    if before and not (kept(here, there) and kept(there, here)):
        out.append(f"resources: {here} -> {there}")
    return out


def target_lines(spec: Rollout) -> tuple[str, ...]:
    """The targets as a person reads them."""
    lines = []
    for target in spec.targets:
        metric = target.parsed
        sign = "at most" if metric.direction == "at_most" else "at least"
        value = (
            f"{target.limit:g} {metric.unit}"
            if target.limit is not None
            else f"{target.versus_stable_percent:g} % worse than stable"
        )
        where = f" at load {target.load}" if target.load else ""
        advisory = " (advisory)" if target.advisory else ""
        lines.append(f"{target.metric}: {sign} {value}{where}{advisory}")
    return tuple(lines)


def bends_figures(spec: Rollout) -> str:
    """Why nothing measured over this way of asking would hold; '' where it would."""
    access = spec.access
    if access.mode != "port-forward" or access.benchmark_through_port_forward:
        return ""
    return (
        "access.mode is port-forward, which bends TTFT; choose another, or set "
        "access.benchmark_through_port_forward to measure through it all the same"
    )


def decide_plan(
    spec: Rollout,
    release: Release,
    seen: Observed,
    seats: Sequence[NodeSeat],
    *,
    resource: str,
    refused: Sequence[str] = (),
    differences: Sequence[str] = (),
    queue: Sequence[str] = (),
    owed: Sequence[str] = (),
    cut_off: Sequence[Cut] = (),
    stranded: str = "",
    outranks: str = "",
) -> Plan:
    """Choose strategy and nodes.

    seats: the usable nodes only. refused: reasons found elsewhere that forbid the rollout
    (memory, shape, too few nodes). queue: pods of others that wait for what a replacement frees.
    owed: to which other rollouts seats are, and are not counted. cut_off: what else leads to
    what serves and to nothing after it: an interruption whatever the strategy, agreed to by name.
    stranded: why no pod of what serves can be placed, where that is the release itself. outranks:
    how it outranks what serves (see may_evict).
    """
    want = spec.promotion
    whole = max(spec.serving.replicas, set_by_hand(seen))
    need = spec.devices * whole
    fall = falls(seen, whole)
    free = sum(seat.devices_free or 0 for seat in seats)
    lost = [item.text for item in cut_off]
    approval = "a person approves before promotion" if want.approval != "none" else "none"

    def make(
        strategy: Strategy,
        sentence: str,
        nodes: Sequence[NodeSeat] = (),
        interruption: str = "none",
        lend: Lend | None = None,
    ) -> Plan:
        if fall and nodes:
            interruption += f"; fewer replicas serve: {fall[0]} do now, {fall[1]} in the end"
        plan = Plan(
            strategy=strategy,
            sentence=sentence,
            release=release,
            serving=seen.serving,
            nodes=tuple(nodes),
            devices_needed=need,
            devices_free=free,
            bytes_to_fetch=sum(seat.bytes_missing or 0 for seat in nodes),
            interruption="; ".join([*([] if interruption == "none" else [interruption]), *lost])
            or interruption,
            approval=approval,
            differences=tuple(differences),
            resource=resource,
            targets=target_lines(spec),
            lend=lend,
            cut=tuple(item.text for item in cut_off if not item.agreed),
        )
        if outranks and strategy in ("parallel", "lend"):
            if not _may_interrupt(want) and not want.allow_interruption:
                return make("refused", f"{outranks}; {_RANK}")
            plan = replace(plan, evicts=outranks, interruption=f"{interruption}; but {outranks}")
        return replace(plan, digest=plan_digest(plan))

    if refused:
        return make("refused", "; ".join(refused))
    if seen.state.phase == "idle" and seen.serving == release.id and seen.alive(release.id):
        if why := drifted(seen):
            return make("refused", why)
        return make("unchanged", f"{release.deployment} serves already; nothing to do")
    if why := held_fast(seen.view(seen.serving)):
        return make("refused", why)
    if why := not_agreed(cut_off, want.leaves, spec.name):
        return make("refused", why)
    replicas, minimum = whole, spec.nodes.minimum
    if stranded and (others := _choose(seats, replicas, minimum, alone=True)):
        said = f"{stranded}. None of its pods answers: it is placed again, and not measured anew"
        return make("place", said, others)
    serving = seen.view(seen.serving)
    if fall and not (want.allow_interruption or want.strategy == "replace"):
        return make(
            "refused",
            f"{fall[0]} replica(s) serve now, and {fall[1]} would: set serving.replicas to "
            f"{fall[0]}, scale what serves down to what is enough, or agree to it with "
            "promotion.allow_interruption",
        )
    # what a rollout took from it and did not give back yet is not free
    cut = serving is not None and serving.stopped
    beside = [] if cut else _choose(seats, replicas, minimum, alone=False)
    if want.strategy in ("auto", "parallel") and beside:
        return make(
            "parallel",
            f"test {release.deployment}{' beside what serves' if seen.serving else ''}, "
            f"{_as_many(release, whole)}then point the Service to it",
            beside,
        )
    instead = _choose(seats, replicas, minimum, alone=True)
    asked = resource or "devices by claim"
    room = f"{need} {asked}" if need else f"room for {replicas} replica(s)"
    minutes = (spec.serving.startup_timeout_s + spec.benchmark.budget.seconds) / 60
    lent = None
    if instead and serving and want.strategy != "parallel" and (cut or serving.serves_with > 1):
        lent = _lent(spec, serving, seats, instead, whole)
    if queue and (lent or (instead and seen.serving and _may_interrupt(want))):
        return make("refused", queued(queue) + kept_for(owed))
    if lent and serving:
        lend, nodes = lent
        release_whole = replace(release, replicas=whole)
        more = max(1, replicas - sum(seat.seats for seat in seats))
        free_more = f"{more} seat(s) more" + (f" ({more * spec.devices} {asked})" if need else "")
        said = serves_on(lend, minutes, free_more)
        return make("lend", lends(serving, release_whole, lend), nodes, said, lend)
    if _may_interrupt(want):
        if instead and seen.serving and want.approval != "none":
            return make(
                "refused",
                f"promotion.approval {want.approval} cannot be had by replacing what serves: "
                "nothing would serve until a person comes; free room for both releases, or let the "
                "verdict decide (approval: none)",
            )
        if instead:
            return make(
                "replace",
                f"scale what serves down, test {release.deployment} on its accelerators",
                instead,
                f"from the candidate's start to its verdict, up to {minutes:.0f} min; "
                "on failure until the old release is ready again",
            )
        return make(
            "refused",
            f"{room} needed on {minimum} node(s), not there even with the serving release down"
            f"{_shortage(seats, alone=True)}{kept_for(owed)}; free what is short, "
            "lower serving.replicas or what a replica asks for, or add nodes",
        )
    there = f"{free} free" if need else f"room for {sum(seat.seats for seat in seats)}"
    held = " (it would fit with the serving release scaled down: set promotion.allow_interruption)"
    return make(
        "refused",
        f"{room} needed beside what serves on at least {minimum} node(s), {there} on "
        f"{len(seats)} usable node(s){held if instead and seen.serving else ''}"
        f"{_shortage(seats, alone=False)}{kept_for(owed)}",
    )


_RANK = (
    "give serving.priority_class no more than what serves has, or set "
    "promotion.allow_interruption: that agrees to it"
)


def _as_many(release: Release, whole: int) -> str:
    """That it is asked for more than its spec says, as what serves was."""
    if whole <= release.replicas:
        return ""
    return f"scale it from {release.replicas} to the {whole} replica(s) that serve now, "


def _may_interrupt(want: Promotion) -> bool:
    return want.strategy == "replace" or (want.strategy == "auto" and want.allow_interruption)


def queued(queue: Sequence[str]) -> str:
    """Why nothing is taken from what serves while others wait for it."""
    return (
        f"{', '.join(queue[:_NODES_NAMED])} {'waits' if len(queue) == 1 else 'wait'} for "
        "what the serving release would free, and would take it, also on the way back; let "
        "them be placed or remove them, or free room for both releases"
    )


def plan_digest(plan: Plan) -> str:
    """A short name for what a plan promises: what is released, instead of what, where and how.

    Which nodes of several equal ones are used, free disk and weights already there may change
    without the promise changing, and are left out.
    """
    body = [
        plan.release.id,
        plan.serving,
        plan.strategy,
        plan.resource,
        plan.devices_needed,
        plan.approval,
        plan.differences,
        plan.targets,
        *([asdict(plan.lend)] if plan.lend else []),
        *([plan.cut] if plan.cut else []),
        *([plan.evicts] if plan.evicts else []),
    ]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
