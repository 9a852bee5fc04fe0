"""What a flow run is given: its spec, and its name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.runtime import flow_run

from tasks.base.errors import Refused, SpecError
from tasks.base.scrub import mask
from tasks.outside.prefect.others import ROLLOUT
from tasks.service.names import MODEL, NAMESPACE, TAG
from tasks.spec.file import changed, read_spec
from tasks.spec.overrides import Override, of_fields
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import safe_commit

_log = logging.getLogger(__name__)


def of_parameters(
    spec: Rollout | None,
    spec_file: str | None,
    revision: str | None,
    commit: str | None = None,
    targets: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Rollout:
    """The spec from either parameter, with what the others change of it.

    Raises SpecError unless exactly one of `spec` and `spec_file` is given and right, with those
    changes, and `commit`, where it is given, can be one.
    """
    if (spec is None) == (spec_file is None):
        raise SpecError(["parameters: give exactly one of 'spec' and 'spec_file'"])
    if commit is not None:
        try:
            safe_commit(commit)
        except ValueError as error:
            raise SpecError(
                [
                    f"parameters.commit: {error}; an event that starts a rollout names the commit "
                    "in its payload, and who names none rolls out what the revision is now"
                ]
            ) from error
    overrides = of_fields(targets, changes)
    if revision is not None:
        told = f"parameters.revision {revision!r}"
        overrides.append(Override(("model", "revision"), revision, told))
    if spec is None:
        return read_spec(str(spec_file), overrides)
    return changed(spec, overrides, "parameters.spec") if overrides else spec


def must_be_its_own(name: str, namespace: str) -> None:
    """Raises Refused where a model's own deployment, whose tags say which, is given another one.
    Outside of one, and of a deployment for any model, silent."""
    tags = flow_run.tags or ()
    names = [tag.removeprefix(MODEL) for tag in tags if tag.startswith(MODEL)]
    spaces = [tag.removeprefix(NAMESPACE) for tag in tags if tag.startswith(NAMESPACE)]
    if TAG in tags and names and spaces and not (name in names and namespace in spaces):
        raise Refused(
            f"this deployment is of {spaces[0]}/{names[0]}, and {namespace}/{name} was given; "
            "start the one of that model"
        )


def run_name() -> str:
    """A rollout's flow run is named for its model, until the release is known."""
    return f"rollout {_subject()}".strip()


def verify_name() -> str:
    """Or for what it verifies."""
    return f"verify {_subject()}".strip()


def _subject() -> str:
    given = flow_run.parameters or {}
    spec = given.get("spec")
    name = spec.get("name") if isinstance(spec, dict) else getattr(spec, "name", None)
    tags = [tag for tag in flow_run.tags or () if tag.startswith(MODEL)]
    # a deployment's: its spec file may be called otherwise
    name = name or (tags[0].removeprefix(MODEL) if tags else given.get("spec_file"))
    return str(name or "")


def wish_name() -> str:
    """What is asked of a rollout by name, and of which. One that was asked about is named so."""
    given = flow_run.parameters or {}
    about = f" (rollout {given['rollout']})" if given.get("rollout") else ""
    name = f"{given.get('what') or 'rollback'} {given.get('name', '')}"
    return flow_run.name if str(flow_run.name).startswith(f"{name}-") else f"{name}{about}"


def guard_name() -> str:
    """Whom the guard looks after."""
    return f"guard {(flow_run.parameters or {}).get('namespace') or 'of all namespaces'}"


def rename(name: str, rollout: str) -> None:
    """Call the flow run that runs here by what is known of it by now, and tag it with the id of its
    rollout, so that whoever settles that finds it. Outside of one, and where its API fails, silent.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    try:
        with get_client(sync_client=True) as client:
            tags = [*context.flow_run.tags, f"{ROLLOUT}{rollout}"]
            client.update_flow_run(context.flow_run.id, name=mask(name), tags=tags)
    except Exception:
        _log.warning("the flow run could not be named", exc_info=True)
