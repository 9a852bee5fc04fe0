"""What the cluster says of rollouts: one, all of a namespace, and how they ended; as rows for a
person and as documents for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.table import Table

from flows.cli.known import must_be_known
from flows.cli.output import document, show
from flows.cli.reading.verified import last_verified, verified_of, verified_row
from flows.cli.screen import Screen
from tasks.base.errors import Exit, RolloutError
from tasks.objects.labels import ADOPTED
from tasks.outside.kubernetes.access import rollouts
from tasks.outside.kubernetes.actor import Actor
from tasks.outside.kubernetes.client import Cluster
from tasks.record.record import Record
from tasks.record.record import read as read_record
from tasks.release.course import Observed
from tasks.release.state import Release, State
from tasks.release.words import (
    BENT,
    drift_told,
    next_step,
    not_as_judged,
    phase_told,
    strangers_told,
    why_so,
)
from tasks.run.locked import not_held
from tasks.run.measuring.remember import recall_verified

WIDTH = 8  # rollouts looked at at once
LAST = 10  # endings that a status has
NARROW = 60  # columns; below it a table would cut names and times, and each row is a block

Row = tuple[str, str]


def observer(cluster: Cluster, namespace: str, name: str) -> Actor:
    """What looks at a rollout, and writes nothing."""
    return Actor(cluster, namespace, name, fence=not_held, epoch=0)


# -- one


def status_rows(seen: Observed, gone: str, verified: Record | None = None) -> list[Row]:
    """Who serves, who is tested, who served before, what is wrong and what to do, as (label, text).
    gone: that nodes of what serves are gone, in words. verified: the last verification."""
    state = seen.state
    serving = seen.view(seen.serving)
    served = f"{serving.name}, {serving.available} available" if serving else "nothing"
    if serving and seen.bent:
        served = f"nothing: the Service names {serving.name} and {BENT}"
    phase = phase_told(seen)
    rows = [
        ("phase", f"{phase} since {state.since}" if state.since else phase),
        ("down", seen.down.why if seen.down else ""),
        ("nodes", gone),
        ("why", why_so(state)),
        ("serving", served + drift_told(seen)),
        ("verified", verified_row(verified, seen.serving)),
        ("stable", _named(state.stable) if state.stable else "none"),
        ("candidate", _changed(seen, state.candidate, "deployment", which=True)),
        ("previous", _changed(seen, state.previous, "whole", which=False)),
        ("next", next_step(seen)),
        ("strangers", strangers_told(seen).removeprefix("; ")),
    ]
    return [(label, text) for label, text in rows if text]


def _changed(seen: Observed, release: Release | None, how: str, *, which: bool) -> str:
    if release is None:
        return "none"
    name = release.deployment if how == "deployment" else _named(release)
    return name + not_as_judged(seen, release, which=which)


def _named(release: Release) -> str:
    if release.id.startswith(ADOPTED):
        return f"{release.deployment}, adopted ({release.image})"
    return f"{release.deployment} @ {release.commit}"


def status_of(
    namespace: str,
    seen: Observed,
    gone: str = "",
    holder: str = "",
    verified: Record | None = None,
    progress: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of `status`. holder: who has the rollout's lease, '' for nobody. verified: the
    last verification. progress: what the holder is at (see reading.steps)."""
    state, view = seen.state, seen.view(seen.serving)
    roles = {"stable": state.stable, "candidate": state.candidate, "previous": state.previous}
    body = {
        "namespace": namespace,
        "name": state.name,
        "phase": state.phase,
        "since": state.since,
        "holder": holder,
        "progress": progress,
        "answers": bool(view and view.available and not seen.down and not seen.bent),
        "down": seen.down.why if seen.down else "",
        "why": why_so(state),
        "nodes_gone": gone,
        "serving": {
            "release": view.release,
            "deployment": view.name,
            "replicas": view.serves_with,
            "available": view.available,
            "drift": drift_told(seen).removeprefix(", and "),
        }
        if view
        else None,
        **{role: _release(seen, item, role) for role, item in roles.items()},
        "verdict": state.verdict,
        "rollout": state.rollout,
        "plan": state.plan,
        "approve_until": state.until,
        "next": next_step(seen),
        "strangers": strangers_told(seen).removeprefix("; "),
        "verified": verified_of(verified),
        "history": [ending_of(raw) for raw in state.history[:LAST]],
    }
    return document("status", body)


def _release(seen: Observed, item: Release | None, role: str) -> dict[str, Any] | None:
    if item is None:
        return None
    changed = seen.changed(item.id, which=role != "previous") if role != "stable" else ""
    return {
        "release": item.id,
        "deployment": item.deployment,
        "model": item.model,
        "revision": item.revision,
        "commit": item.commit,
        "image": item.image,
        "changed": changed,
    }


def ending_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """One ending of a rollout's history."""
    found = read_record(raw)
    release = found.resolve_model
    return {
        "kind": found.kind,
        "rollout": found.rollout,
        "started": found.started,
        "finished": found.finished,
        "outcome": found.outcome,
        "exit_code": found.exit_code,
        "sentence": found.sentence,
        "deployment": found.deployment,
        "commit": release.commit if release else "",
        "who": found.who,
        "why": found.why,
    }


def show_status(
    name: str, namespace: str, kubeconfig: str | None, context: str | None, form: str = "table"
) -> int:
    """Print who serves, who is tested, who served before, how what serves was verified last, and
    the last rollouts. Raises Refused
    where there is no such rollout."""
    from flows.cli.reading.steps import progress_of
    from tasks.outside.kubernetes.lease import holder_in, lease_of
    from tasks.record.news import news_in
    from tasks.run.nodes.placing import some_gone

    with Cluster.looking(kubeconfig, context) as cluster:
        must_be_known(cluster, name, namespace)
        seen = observer(cluster, namespace, name).observe()
        gone = some_gone(cluster, namespace, seen)
        lease = lease_of(cluster, namespace, name)
        verified = last_verified(cluster, namespace, name)
    if form != "table":
        progress = progress_of(news_in(lease))
        show(status_of(namespace, seen, gone, holder_in(lease), verified, progress), form)
        return 0
    console = Screen()
    for label, text in status_rows(seen, gone, verified):
        console.print(f"{label + ':':<11}{text}", soft_wrap=True)
    for entry in map(read_record, seen.state.history[:LAST]):
        line = f"{entry.finished}  {entry.outcome}: {entry.sentence}"
        console.print(line, soft_wrap=True)
    return 0


# -- all


def listed(namespace: str, name: str, found: Observed | RolloutError) -> dict[str, Any]:
    """A rollout in the document of `list`. found: or why it cannot be read."""
    row: dict[str, Any] = {"namespace": namespace, "name": name}
    if isinstance(found, RolloutError):
        found, error = Observed(State(name), None), str(found)
        return {**row, **_listed(found), "phase": "unreadable", "error": error}
    return {**row, **_listed(found), "error": ""}


def _listed(seen: Observed) -> dict[str, Any]:
    state, view = seen.state, seen.view(seen.serving)
    last = ending_of(state.history[0]) if state.history else None
    return {
        "phase": state.phase,
        "since": state.since,
        "answers": bool(view and view.available and not seen.down and not seen.bent),
        "serving": view.name if view else "",
        "available": view.available if view else 0,
        "replicas": view.serves_with if view else 0,
        "candidate": state.candidate.deployment if state.candidate else "",
        "last": {key: last[key] for key in ("outcome", "finished", "rollout")} if last else None,
    }


def list_rows(rollouts: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row each of `list`: namespace, name, phase, serving, since, last."""
    rows = list[tuple[str, ...]]()
    for item in rollouts:
        serving = f"{item['serving']} {item['available']}/{item['replicas']}"
        silent = item["serving"] and not item["answers"]
        phase = f"{item['phase']}, does not answer" if silent else item["phase"]
        last = item["last"]
        ended = f"{last['outcome']} {last['finished']}".strip() if last else "none"
        nothing = "unknown" if item["error"] else "nothing"
        rows.append(
            (
                item["namespace"],
                item["name"],
                phase,
                serving if item["serving"] else nothing,
                item["since"],
                item["error"] or ended,
            )
        )
    return rows


def show_list(
    namespace: str | None, kubeconfig: str | None, context: str | None, form: str = "table"
) -> int:
    """Print every rollout. namespace: None for all. Gives 1 where one cannot be read."""
    with Cluster.looking(kubeconfig, context) as cluster:

        def look(key: tuple[str, str]) -> dict[str, Any]:
            try:
                return listed(*key, observer(cluster, *key).observe())
            except RolloutError as error:
                return listed(*key, error)

        with ThreadPoolExecutor(WIDTH, "look") as pool:
            found = list(pool.map(look, rollouts(cluster, namespace)))
    if form != "table":
        show(document("list", {"namespace": namespace, "rollouts": found}), form)
    elif not found:
        where = f"namespace {namespace}; -A looks in all" if namespace else "any namespace"
        Screen(stderr=True).print(f"no rollout in {where}")
    else:
        heads = ("namespace", "name", "phase", "serving", "since", "last")
        first = 1 if namespace else 0
        _table(heads[first:], [row[first:] for row in list_rows(found)])
    return Exit.ERROR if any(item["error"] for item in found) else Exit.DONE


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    screen = Screen()
    if screen.width < NARROW:
        for number, row in enumerate(rows):
            if number:
                screen.print()
            for head, text in zip(heads, row, strict=True):
                screen.print(f"{head + ':':<11}{text}", soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for head in heads:
        table.add_column(head.upper(), overflow="fold")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


# -- how they ended


def history_rows(endings: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row each of `history`: finished, kind, outcome, release, rollout, who, what was said."""
    keys = ("finished", "kind", "outcome", "deployment", "rollout", "who", "sentence")
    return [tuple(str(item[key] or "") for key in keys) for item in endings]


def newest_first(endings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By when they ended; what ended in the same second stays as it was given."""
    return sorted(endings, key=lambda item: str(item["finished"]), reverse=True)


def show_history(
    name: str, namespace: str, kubeconfig: str | None, context: str | None, form: str = "table"
) -> int:
    """Print how the rollouts of a name ended, and what verifications of what serves came to, the
    newest first. Raises Refused where there is no such rollout."""
    with Cluster.looking(kubeconfig, context) as cluster:
        must_be_known(cluster, name, namespace)
        state, _ = observer(cluster, namespace, name).read_state()
        again, _ = recall_verified(cluster, namespace, name)
    found = newest_first([*map(ending_of, state.history), *map(ending_of, again)])
    if form != "table":
        body = {"namespace": namespace, "name": name, "history": found}
        show(document("history", body), form)
    elif not found:
        Screen(stderr=True).print(f"no rollout of {namespace}/{name} has ended yet")
    else:
        heads = ("finished", "kind", "outcome", "release", "rollout", "who", "said")
        _table(heads, history_rows(found))
    return 0
