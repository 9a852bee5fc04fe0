"""What ConfigMap `rollout-<name>` says: who serves, who is tested, who served before.

The state is written before each act it announces, so that whoever comes after a crash knows what
may have happened. The Service's own selector stays the last word on who serves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

from tasks.base.errors import RolloutError, StepFailed
from tasks.objects.ours import marks, must_be_ours
from tasks.objects.remembered import (
    Counted,
    ObjectName,
    fitted,
    from_json,
    moment_in,
    number_in,
    shaped,
    unreadable,
)

SCHEMA = 1
ROLE = "state"

# How long what served goes on at most, after the Service was moved away from it, where no rollout
# said.
DRAIN_S = 600.0
MOST_DRAIN_S = 7 * 24 * 3600.0

Phase = Literal[
    "idle",
    "testing",
    "promoting",
    "soaking",
    "proven",
    "unproven",
    "reverting",
    "restoring",
    "held",
]
# Releases kept in doubt: more than are ever there at once.
DOUBTS = 8
# Verdicts that may be the world's fault as well: tried again by itself, but not for ever.
OPEN = ("unfit", "inconclusive")
TRIES, TRIES_INTERRUPTING = 3, 1
# verdicts kept, so that what was judged is not started again by itself
JUDGED = 50


@dataclass(frozen=True)
class Release:
    """One release: what serves, and where it came from.

    id: short hash; deployment: its Deployment's name; commit and manifest digest of the weights;
    replicas it runs with when it serves.
    """

    id: str
    deployment: ObjectName
    model: str
    revision: str
    commit: str
    digest: str
    image: str
    served_name: str
    replicas: Counted = 1
    created: str = ""


@dataclass(frozen=True)
class Judged:
    """A verdict on a release. demands: digest of what was asked of it. verdict: failed, held,
    unfit (it could not start) or inconclusive. at: ISO 8601. tries: how often in a row it came to
    one of the last two. strategy: of the last try."""

    release: str
    demands: str
    verdict: str
    rollout: str
    at: str = ""
    tries: Counted = 1
    strategy: str = ""


@dataclass(frozen=True)
class Terms:
    """By what a release is watched. spec: of the rollout that tested it, plain and without its
    defaults. measured: what its benchmark saw, which a soak goes by (tasks.release.soak_rules).
    since: it serves unproven since then, ISO 8601, whatever is tested meanwhile. tried: when the
    last way back from it led nowhere, ISO 8601. soaked_s, others: of the soak under way, how long
    it was watched, and requests of others that came. led: since when a drain waits, ISO 8601.
    rollout, plan: which one tested it, and the digest of its plan."""

    spec: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    since: str = ""
    tried: str = ""
    soaked_s: float = 0.0
    others: int = 0
    led: str = ""
    rollout: str = ""
    plan: str = ""


@dataclass(frozen=True)
class State:
    """The rollout's memory in the cluster.

    phase: idle (nothing under way); testing (candidate may exist, stable serves); promoting (the
    verdict was pass, the Service's move may have happened); soaking (it has happened, the old
    release still runs, and the new one is not proven); proven (it passed its soak, what served
    before goes); unproven (the soak was not passed and nothing could be gone back to, or nobody
    could look: a person decides); reverting (going back to previous);
    restoring (that failed, what served comes back); held (the candidate waits for a person).
    wanted: what a rollout fetches weights for, from before its first Job until it is the candidate;
    one that ended in between leaves it, and the next one goes on from what was fetched.
    doubt: what is known against release `doubted`, whatever is tested meanwhile: 'fail',
    'inconclusive' or ''. doubts: the same of releases that served unproven before that, by id.
    epoch: the lease's epoch of the last writer. writer: a word that only that process has.
    rollout: id of the run that wrote last.
    breach: what the soak under way has found against stable, or '': whoever finds it there goes
    back. why: it is unproven, or held though it passed, in words.
    since: ISO 8601, when it came to this phase.
    plan: digest of the plan that the candidate is tested under. until: ISO 8601, when a held one
    may be approved at the latest; '' for ever.
    least: fewest replicas that the plan said the Service leads to, where seats are lent.
    drain_s: seconds that what served goes on at most after the Service was moved away from it.
    terms: by release, what it is watched by, its own and no other's (tasks.release.memory.terms).
    judged: verdicts on releases, newest first. made: by release, what its Deployment was made of
    (tasks.objects.made) when it was judged; of one that served, when it did so last. ran: by
    release, the imageIDs that were measured. namespace: where it was read, for words.
    """

    name: str
    phase: Phase = "idle"
    stable: Release | None = None
    candidate: Release | None = None
    previous: Release | None = None
    wanted: Release | None = None
    epoch: Counted = 0
    writer: str = ""
    rollout: str = ""
    strategy: str = ""
    verdict: str = ""
    doubt: str = ""
    doubted: str = ""
    doubts: dict[str, str] = field(default_factory=dict)
    breach: str = ""
    why: str = ""
    since: str = ""
    plan: str = ""
    until: str = ""
    drain_s: float = DRAIN_S
    least: Counted = 0
    terms: dict[str, Terms] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    made: dict[str, str] = field(default_factory=dict)
    ran: dict[str, tuple[str, ...]] = field(default_factory=dict)
    history: tuple[dict[str, Any], ...] = field(default=())
    namespace: str = field(default="", compare=False)


def configmap_name(name: str) -> str:
    """Name of the ConfigMap, and of the Lease, of a rollout."""
    return f"rollout-{name}"


def _terms(raw: dict[str, Any], where: str) -> Any:
    """By release, with times that are some and numbers that have an end. An older version had those
    of the rollout that wrote last, and no word of which release they are."""
    every = raw.get("terms")
    if every is None:
        role = raw["candidate"] or raw["stable"]
        whose = role.get("id") if isinstance(role, dict) else None
        unsaid = {"since": "", "rollout": "", "plan": ""}
        every = {whose: {**raw, **unsaid}} if whose and raw.get("spec") else {}
    if not isinstance(every, dict):
        return every

    def told(item: dict[str, Any]) -> dict[str, Any]:
        seen = item.get("measured")
        if isinstance(seen, dict):
            seen = {k: v for k, v in seen.items() if not (isinstance(v, float) and not isfinite(v))}
        return {
            "spec": item.get("spec") or {},
            "measured": seen or {},
            "since": moment_in(item, "since", where),
            "tried": moment_in(item, "tried", where),
            "soaked_s": number_in(item, "soaked_s", 0.0, MOST_DRAIN_S, where),
            "others": int(number_in(item, "others", 0.0, 1e12, where)),
            "led": moment_in(item, "led", where),
            "rollout": item.get("rollout") or "",
            "plan": item.get("plan") or "",
        }

    return {key: told(item) if isinstance(item, dict) else item for key, item in every.items()}


def from_configmap(name: str, configmap: dict[str, Any] | None) -> State:
    """Read the state; an absent ConfigMap is a rollout that never ran.

    Raises Refused for somebody else's of that name, StepFailed on a state this version cannot read,
    with the field: guessing could stop what serves.
    """
    if configmap is None:
        return State(name)
    must_be_ours(configmap, name, ROLE)
    where = f"ConfigMap {configmap['metadata'].get('namespace', '')}/{configmap_name(name)}"
    data = {"history": "[]", **(configmap.get("data") or {})}
    raw = from_json(data, "state", where)
    if not isinstance(raw, dict):
        raise unreadable(where, f"data.state is {raw!r:.60}, an object is expected")
    if (schema := raw.get("schema")) != SCHEMA:
        raise StepFailed(
            f"{where} has schema {schema!r:.60}, this version reads {SCHEMA}; "
            "use the model-rollout version that wrote it"
        )
    roles = [key for key in ("stable", "candidate", "previous") if key not in raw]
    words = ("phase", "epoch", "rollout", "strategy", "verdict")
    if lacks := [*roles, *(key for key in words if raw.get(key) is None)]:
        raise unreadable(where, f"{', '.join(lacks)} is not there")
    body = {key: value for key, value in raw.items() if value is not None}
    body |= {
        "name": name,
        "namespace": str(configmap["metadata"].get("namespace", "")),
        "since": moment_in(raw, "since", where),
        "until": moment_in(raw, "until", where),
        "drain_s": number_in(raw, "drain_s", DRAIN_S, MOST_DRAIN_S, where),
        "terms": _terms(raw, where),
        "history": from_json(data, "history", where),
    }
    return shaped(State, body, where)


def states_in(
    configmaps: Iterable[dict[str, Any]],
) -> Iterator[tuple[tuple[str, str], State | RolloutError]]:
    """Of many rollouts, by namespace and name: the state, or why it cannot be read, which keeps
    nobody from the others."""
    for item in configmaps:
        meta = item["metadata"]
        name = meta["name"].removeprefix(configmap_name(""))
        found: State | RolloutError
        try:
            found = from_configmap(name, item)
        except RolloutError as error:
            found = error
        yield (meta.get("namespace", ""), name), found


def to_configmap(state: State, namespace: str) -> dict[str, Any]:
    """The whole ConfigMap for a state, bounded by bytes (see `fitted`)."""
    body = dataclasses.asdict(state)
    history = list(body.pop("history"))
    del body["namespace"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": configmap_name(state.name),
            "namespace": namespace,
            "labels": marks(state.name, ROLE),
        },
        "data": fitted({"schema": SCHEMA, **body}, history),
    }


def releases_named(state: State) -> list[Release]:
    """Whose weights somebody may need."""
    named = (state.stable, state.candidate, state.previous, state.wanted)
    return [item for item in named if item is not None]


def wanting(state: State, release: Release) -> State:
    """The weights of a release are needed from now on, whoever looks."""
    return replace(state, wanted=None if state.candidate == release else release)


def in_doubt(state: State, release: str | None) -> str:
    """What is known against a release; '' of one that has proven itself, or never served."""
    if not release:
        return ""
    return state.doubt if state.doubted == release else state.doubts.get(release, "")


def with_doubt(state: State, against: str) -> State:
    """What is known against stable stays on record; '' says nothing of another one."""
    if state.stable is None or not against:
        return state
    before = {**state.doubts, state.doubted: state.doubt} if state.doubt else state.doubts
    kept = {key: value for key, value in before.items() if key != state.stable.id}
    doubts = dict(list(kept.items())[-DOUBTS:])
    return replace(state, doubt=against, doubted=state.stable.id, doubts=doubts)


def without_doubt(state: State) -> State:
    """Stable is proven, or a person keeps it."""
    if state.stable is None:
        return state
    ident = state.stable.id
    state = replace(state, doubts={k: v for k, v in state.doubts.items() if k != ident})
    return replace(state, doubt="", doubted="") if state.doubted == ident else state


def with_history(state: State, entry: dict[str, Any], keep: int) -> State:
    """Put a record in front, replacing an entry of the same rollout, keeping the newest `keep`."""
    others = [e for e in state.history if e.get("rollout") != entry.get("rollout")]
    return replace(state, history=tuple([entry, *others][:keep]))


def with_verdict(state: State, found: Judged) -> State:
    """Remember a verdict, in place of an older one on the same release and demands; one that is
    open is counted, once a rollout."""
    old = judged_before(state, found.release, found.demands)
    if old is not None and old.verdict in OPEN and found.verdict in OPEN:
        found = replace(found, tries=old.tries + (old.rollout != found.rollout))

    def key(item: Judged) -> tuple[str, str]:
        return item.release, item.demands

    others = [item for item in state.judged if key(item) != key(found) and item is not old]
    return replace(state, judged=tuple([found, *others][:JUDGED]))


def with_made(state: State, release: str, made: str, ran: Iterable[str] = ()) -> State:
    """Note what a release is made of, and which images of it were measured, where some were; of
    those that have no role any more nothing is kept."""
    roles = {item.id for item in (state.stable, state.candidate, state.previous) if item}
    kept = {key: value for key, value in state.made.items() if key in roles}
    same = {release} if state.made.get(release) == made else set()
    images = {key: value for key, value in state.ran.items() if key in (roles - {release}) | same}
    images |= {release: tuple(ran)} if ran else {}
    return replace(state, made={**kept, release: made}, ran=images)


def judged_before(state: State, release: str, demands: str) -> Judged | None:
    """The verdict that stands on a release under these demands, or their first part as before."""
    known = (demands, demands.partition("-")[0])
    return next((j for j in state.judged if j.release == release and j.demands in known), None)


def stands(found: Judged, tries: int | None = None) -> bool:
    """Whether a release is not started again by itself. tries: how often one that could not start,
    or was not decided about, is; None: once where what serves was stopped for it, else three
    times."""
    most = tries or (TRIES_INTERRUPTING if found.strategy == "replace" else TRIES)
    return found.verdict not in OPEN or found.tries >= most


def breached(state: State) -> bool:
    """What serves has failed its soak, and nobody has gone back yet."""
    return state.phase == "soaking" and state.breach != ""


def unfinished(state: State) -> bool:
    """The soak of what serves has come to no end yet."""
    return state.phase == "soaking" and not state.breach


def way_back(state: State, there: Container[str]) -> Release | None:
    """The release that is gone back to once the candidate serves: the last one that has proven
    itself. Where none has, what serves now.

    there: ids of the releases that have a Deployment.
    """
    stable, before = state.stable, state.previous
    if stable is None or not in_doubt(state, stable.id):
        return stable
    if before is None or before.id not in there or before == state.candidate:
        return stable
    return stable if in_doubt(state, before.id) else before


def kept_for_rollback(state: State) -> Release | None:
    """What stays for a way back once stable has proven itself: nothing that has not."""
    previous = state.previous
    return None if previous is None or in_doubt(state, previous.id) else previous


def promoted(state: State, there: Container[str]) -> State:
    """The candidate became stable, what is gone back to becomes previous. Idempotent."""
    if state.candidate is None or state.candidate == state.stable:
        return replace(state, candidate=None)
    back = way_back(state, there)
    return replace(state, stable=state.candidate, previous=back, candidate=None)


def as_named(state: State) -> str:
    """As a command names it: two namespaces may each have one of that name."""
    return f"{state.name} -n {state.namespace}" if state.namespace else state.name
