"""What a flow run is given: its spec, and its name."""

from __future__ import annotations

from prefect.runtime import flow_run

from tasks.base.errors import SpecError
from tasks.spec.file import changed, read_spec
from tasks.spec.overrides import Override
from tasks.spec.rollout import Rollout
from tasks.weights.manifest import safe_commit


def of_parameters(
    spec: Rollout | None, spec_file: str | None, revision: str | None, commit: str | None = None
) -> Rollout:
    """The spec from either parameter, with another revision where one is given.

    Raises SpecError unless exactly one of `spec` and `spec_file` is given and right, and `commit`,
    where it is given, can be one.
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
    found = spec if spec is not None else read_spec(str(spec_file))
    if revision is None:
        return found
    told = f"parameters.revision {revision!r}"
    return changed(found, [Override(("model", "revision"), revision, told)], told)


def run_name() -> str:
    """A flow run is named for what it rolls out."""
    given = flow_run.parameters or {}
    spec = given.get("spec")
    name = spec.get("name") if isinstance(spec, dict) else getattr(spec, "name", None)
    return f"rollout {name or given.get('spec_file') or ''}".strip()
