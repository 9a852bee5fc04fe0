"""The site's policy as shipped, and cluster/components/admission as an API server evaluates it.

The expressions are Kubernetes' CEL: what its libraries add to the language is here in Python. Types
are not checked, as an API server does when it takes the policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import cel
import yaml

from tasks.spec.file import read_spec
from tasks.spec.policy import Policy, parse_policy
from tests.support.places import ROOT
from tests.support.surveys import survey

CLUSTER = ROOT / "deployments" / "cluster"
FILE = CLUSTER / "components" / "admission" / "admission.yaml"
SHIPPED = parse_policy((CLUSTER / "base" / "policy.yaml").read_text(), "policy.yaml")
EXAMPLE = read_spec(ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml")
POLICY, BINDING = yaml.safe_load_all(FILE.read_text())


def _substring(text: str, begin: int, end: int | None = None) -> str:
    return text[begin:end]


# kubernetes.io: "Common Expression Language in Kubernetes", strings and lists
LIBRARY: dict[str, Any] = {
    "split": lambda text, mark: text.split(mark),
    "join": lambda items, mark="": mark.join(items),
    "substring": _substring,
    "replace": lambda text, old, new: text.replace(old, new),
}


def pod_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The PodSpec of a Deployment, a Job or a Pod."""
    found: Mapping[str, Any] = body["spec"]
    return found if body["kind"] == "Pod" else found["template"]["spec"]


@cache
def _compiled(expression: str) -> cel.Program:
    return cel.compile(expression)


class Admission:
    """One request. body: the object; old: what it replaces. site: other values than the file's.
    trial: with dryRun."""

    def __init__(
        self,
        body: Mapping[str, Any],
        *,
        user: str = "someone",
        old: Mapping[str, Any] | None = None,
        site: Mapping[str, list[str]] | None = None,
        trial: bool = False,
    ) -> None:
        self.variables: dict[str, Any] = {}
        self.site = site
        self.names: dict[str, Any] = {
            "object": body,
            "oldObject": old,
            "request": {
                "operation": "UPDATE" if old else "CREATE",
                "namespace": body["metadata"].get("namespace", ""),
                "kind": {"kind": body["kind"]},
                "userInfo": {"username": user},
                "dryRun": trial,
            },
            "variables": self.variables,
        }

    def evaluate(self, expression: str) -> Any:
        """What an expression gives. Raises RuntimeError, TypeError, ValueError as CEL would."""
        # only what it names: everything is carried over to CEL each time
        used = {name: value for name, value in self.names.items() if name in expression}
        if "variables" in used:
            named = set(re.findall(r"variables\.(\w+)", expression))
            used["variables"] = {k: v for k, v in self.variables.items() if k in named}
        return _compiled(expression).execute(cel.Context(variables=used, functions=LIBRARY))

    def asked(self) -> bool:
        """Whether the policy is asked about this request."""
        return all(
            self.evaluate(item["expression"]) is True for item in POLICY["spec"]["matchConditions"]
        )

    def refusals(self) -> list[str]:
        """What the API server would say, a line for each rule that is broken."""
        for item in POLICY["spec"]["variables"]:
            given = self.site if item["name"] == "site" else None
            self.variables[item["name"]] = (
                self.evaluate(item["expression"]) if given is None else given
            )
        return [
            item["message"] if "message" in item else self.evaluate(item["messageExpression"])
            for item in POLICY["spec"]["validations"]
            if self.evaluate(item["expression"]) is not True
        ]


def made(spec: Any = EXAMPLE) -> list[dict[str, Any]]:
    found = survey(spec)
    return [found.deployment([]), found.fetch_job("n"), found.probe_job("n", "r")]


def values(policy: Policy) -> dict[str, list[str]]:
    """What the API server's file says of the same policy: its variable `site`."""
    named = policy.model_dump(exclude={"digests", "local_files"}, exclude_none=True)
    return {**named, "digests": [str(policy.digests).lower()]}
