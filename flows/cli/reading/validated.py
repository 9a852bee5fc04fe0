"""`rollout validate`: whether specs would be taken, as far as that is known without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flows.cli.run import read
from flows.cli.screen import Screen
from tasks.accelerators.profiles import profile
from tasks.base.errors import SpecError
from tasks.outside.disk.site import files_outside, site_policy
from tasks.outside.modelscope.place import hub_endpoint
from tasks.render.devices import pod_needs
from tasks.render.jobs import fetch_job
from tasks.render.release import deployment, release_of
from tasks.spec.policy import Policy, violations
from tasks.spec.rollout import Rollout

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


def show_problems(paths: Sequence[Path], sets: Sequence[str], targets: Sequence[str]) -> int:
    """Print what each spec is about. Raises SpecError with every problem of every file."""
    policy, console, problems = site_policy(), Screen(), list[str]()
    for path in paths:
        try:
            spec: Rollout = read(path, sets, targets)
        except SpecError as error:
            problems += error.problems
            continue
        reasons, unknown = against(policy, spec)
        problems += [f"{path}: the site's policy does not allow it: {said}" for said in reasons]
        if not reasons:
            what = f"{spec.namespace}/{spec.name}: {spec.model.id} @ {spec.model.revision}"
            console.print(f"{path}: ok: {what} on {spec.nodes.accelerator}", soft_wrap=True)
        if unknown:
            console.print(f"{path}: note: {unknown}", soft_wrap=True)
    if problems:
        raise SpecError(problems)
    return 0
