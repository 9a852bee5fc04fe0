"""`rollout validate`: whether specs would be taken, as far as that is known without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.cli.output import document, show
from flows.cli.run import read
from flows.cli.screen import Screen
from tasks.accelerators.profiles import profile
from tasks.base.errors import Exit, SpecError
from tasks.outside.disk.site import files_outside, site_policy
from tasks.outside.modelscope.place import hub_endpoint
from tasks.render.devices import pod_needs
from tasks.render.jobs import fetch_job
from tasks.render.release import deployment, release_of
from tasks.spec.policy import Policy, violations
from tasks.spec.rollout import Rollout
from tasks.verdict.earned import never_back

# in place of what only the hub knows; no rule of a policy is about them
COMMIT, DIGEST = "0" * 40, f"sha256:{'0' * 64}"
NOT_KNOWN = (
    "what the engine's pod may do is not checked: the site's policy goes by the resource it asks "
    "for, and which one that is the nodes say; name it in nodes.resource, or use `rollout plan`"
)


def against(policy: Policy, spec: Rollout) -> tuple[list[str], str]:
    """Every reason of the site's policy against a spec, and what is not known of that, or ''."""
    row = profile(spec.nodes.accelerator)
    resource = spec.nodes.resource or ""
    needs = pod_needs(row, resource)
    known = bool(resource or spec.nodes.claim_template or not row.has_devices or not policy.exempt)
    made = [fetch_job(spec, "any-node", COMMIT, DIGEST, hub_endpoint())]
    if known:
        release = release_of(spec, COMMIT, DIGEST, needs)
        made.append(deployment(spec, release, needs, ["any-node"]))
    outside = files_outside(spec)
    reasons = violations(policy, spec, made, endpoint=hub_endpoint(), outside=outside)
    return reasons, "" if known else NOT_KNOWN


@dataclass(frozen=True)
class Checked:
    """What became of one file. spec: None where it cannot be read. note: what is not known (see
    `against`), and what is asked for in vain."""

    path: Path
    spec: Rollout | None
    problems: tuple[str, ...]
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """In the document of `validate`."""
        spec = self.spec
        return {
            "file": str(self.path),
            "ok": not self.problems,
            "namespace": spec.namespace if spec else "",
            "name": spec.name if spec else "",
            "model": spec.model.id if spec else "",
            "revision": spec.model.revision if spec else "",
            "accelerator": spec.nodes.accelerator if spec else "",
            "problems": list(self.problems),
            "note": self.note,
        }


def checked(policy: Policy, path: Path, sets: Sequence[str], targets: Sequence[str]) -> Checked:
    """One file, with every problem of it."""
    try:
        spec: Rollout = read(path, sets, targets)
    except SpecError as error:
        return Checked(path, None, tuple(error.problems))
    reasons, unknown = against(policy, spec)
    said = [f"{path}: the site's policy does not allow it: {reason}" for reason in reasons]
    return Checked(path, spec, tuple(said), "; ".join(filter(None, (unknown, never_back(spec)))))


def show_problems(
    paths: Sequence[Path], sets: Sequence[str], targets: Sequence[str], form: str = "table"
) -> int:
    """Print what each spec is about; the exit status. In a table, raises SpecError with every
    problem of every file; a document has them in it."""
    policy = site_policy()
    found = [checked(policy, path, sets, targets) for path in paths]
    problems = [problem for item in found for problem in item.problems]
    if form != "table":
        show(document("validate", {"specs": [item.as_dict() for item in found]}), form)
        return Exit.USAGE if problems else Exit.DONE
    console = Screen()
    for item in found:
        if item.spec is not None and not item.problems:
            spec = item.spec
            what = f"{spec.namespace}/{spec.name}: {spec.model.id} @ {spec.model.revision}"
            console.print(f"{item.path}: ok: {what} on {spec.nodes.accelerator}", soft_wrap=True)
        if item.note:
            console.print(f"{item.path}: note: {item.note}", soft_wrap=True)
    if problems:
        raise SpecError(problems)
    return Exit.DONE
