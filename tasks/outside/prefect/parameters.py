"""What a flow run is given: its spec, and its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.runtime import flow_run

from tasks.base.errors import SpecError
from tasks.spec.file import changed, read_spec
from tasks.spec.overrides import Override, of_fields
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import safe_commit


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


def run_name() -> str:
    """A flow run is named for what it rolls out."""
    return f"rollout {_subject()}".strip()


def verify_name() -> str:
    """Or for what it verifies."""
    return f"verify {_subject()}".strip()


def _subject() -> str:
    given = flow_run.parameters or {}
    spec = given.get("spec")
    name = spec.get("name") if isinstance(spec, dict) else getattr(spec, "name", None)
    return str(name or given.get("spec_file") or "")
