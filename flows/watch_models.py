"""Look for new versions, and tell the rollout's trigger with an event.

An event is a hint and may be lost; this flow runs on a schedule, remembers in the cluster what it
told, and tells it again until it is taken up, a few times and ever more seldom. What it decides is
in tasks/release/versions, one look in tasks/run/versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.events import emit_event

from tasks.base.errors import RolloutError, SpecError, StepFailed
from tasks.outside.disk.site import spec_below
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.prefect import artifacts, own, told
from tasks.release.versions.decide import event_id
from tasks.run.versions.look import Sighting, VersionWatch
from tasks.service.notices import TROUBLE
from tasks.service.wanted import NEW_VERSION as EVENT
from tasks.service.wanted import resource_of
from tasks.spec.file import read_spec

WIDTH = 8  # specs looked at at once
KEY = "watch-models"

own.install()  # a look at many models with a hub that is down takes long, too


@flow(name="watch-models", flow_run_name="watch-models", persist_result=False)
def watch_models(
    spec_files: list[str],
    kubeconfig: str | None = None,
    context: str | None = None,
) -> list[str]:
    """Compare what the hub has with what serves; gives one sentence for each spec.

    Every spec is looked at, whatever becomes of the others; the run fails where one could not be
    and that is a person's matter: a spec that is wrong, or a hub that failed `watch.tries` times in
    a row.

    Args:
        spec_files: Rollout specs to watch; a folder means every *.yaml in it.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    found, failed = _expand(spec_files)
    said: list[str] = []
    rows = [{**_ROW, "rollout": line, "what": "failed"} for line in failed]
    with Cluster.connect(kubeconfig, context) as cluster:
        for path, seen in _looks(VersionWatch(cluster), found):
            if isinstance(seen, Exception):  # whatever it is, it must not hide the others
                why = str(seen) if isinstance(seen, RolloutError) else repr(seen)
                failed.append(f"{path}: {why}")
                rows.append({**_ROW, "rollout": str(path), "what": "failed", "said": why})
                continue
            said.append(f"{seen.name}: {seen.said}")
            _tell(path, seen)
            if seen.wrong:
                failed.append(f"{path}: {seen.said}")
            rows.append(_row(seen))
    what = f"{len(rows)} looked at, {sum(row['what'] == 'new' for row in rows)} new"
    artifacts.table(KEY, sorted(rows, key=_rank), what)
    if failed:
        raise StepFailed(
            f"{len(failed)} of {len(rows)} could not be looked at: " + "; ".join(failed)
        )
    return said


_ROW = dict.fromkeys(
    ("rollout", "model", "follows", "serves", "found", "bytes", "what", "said"), ""
)


def _row(seen: Sighting) -> dict[str, str]:
    return {
        "rollout": f"{seen.namespace}/{seen.name}",
        "model": seen.model,
        "follows": seen.follows,
        "serves": seen.serves[:12],
        "found": seen.found[:12],
        "bytes": f"{seen.size:,}" if seen.size else "",
        "what": seen.sign,
        "said": seen.said,
    }


def _rank(row: Mapping[str, str]) -> tuple[bool, str]:
    """What serves already comes last."""
    return row["what"] == "serves", row["rollout"]


def _looks(watch: VersionWatch, paths: list[Path]) -> Iterator[tuple[Path, Sighting | Exception]]:
    """Each spec apart, WIDTH at once, as they end."""

    def look(path: Path) -> Sighting:
        return watch.look(read_spec(spec_below(str(path), "spec_files")))

    with ThreadPoolExecutor(WIDTH, "watch") as pool:
        runs = {pool.submit(look, path): path for path in paths}
        for run in as_completed(runs):
            error = run.exception()
            if error is not None and not isinstance(error, Exception):
                raise error
            yield runs[run], error if error is not None else run.result()


def _tell(path: Path, seen: Sighting) -> None:
    told.say(
        f"{seen.namespace}/{seen.name}: {seen.model} @ {seen.follows}: {seen.sign}: {seen.said}"
    )
    if seen.trouble:
        _emit(TROUBLE, seen, {"spec_file": str(path), "what": seen.sign, "said": seen.said})
    if seen.event:
        ident = event_id(seen.namespace, seen.name, seen.wish, seen.times)
        _emit(EVENT, seen, {"spec_file": str(path), **seen.event}, ident)


def _emit(event: str, seen: Sighting, payload: dict[str, Any], ident: UUID | None = None) -> None:
    emit_event(
        event=event,
        resource={
            "prefect.resource.id": resource_of((seen.namespace, seen.name)),
            "prefect.resource.name": seen.name,
            "model-rollout.model": seen.model,
        },
        # the trigger hands the commit on: it is what gets rolled out
        payload=payload,
        id=ident,
    )


def _expand(paths: list[str]) -> tuple[list[Path], list[str]]:
    """The spec files; and what is wrong with paths that name none."""
    found: list[Path] = []
    wrong = []
    for item in paths:
        path = Path(item)
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        found += files
        if not files:
            wrong.append(f"{path}: a folder without any *.yaml")
    if not found and not wrong:
        raise SpecError(["spec_files: it is empty; name a spec file, or a folder of them"])
    return list(dict.fromkeys(found)), wrong
