"""Jobs in a cluster in memory, and who ends them."""

from __future__ import annotations

import copy
from typing import Any

from tests.support.cluster.cluster_fake import FakeObjects

Object = dict[str, Any]


def job(work: str = "fetch") -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "fetch-w1", "namespace": "llm"},
        "spec": {"template": {"spec": {"containers": [{"name": "c", "args": [work]}]}}},
    }


def pod(code: int | None, name: str = "fetch-w1-abcde") -> Object:
    state: Object = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
    phase = {None: "Running", 0: "Succeeded"}.get(code, "Failed")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "llm"},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": "c", "state": state, "restartCount": 0}],
        },
    }


def ended(made: Object, kind: str) -> Object:
    made = copy.deepcopy(made)
    condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded"}
    made["status"] = {"conditions": [condition]}
    return made


class Controller:
    """Ends every Job that is created, as its pod did."""

    def __init__(self, api: FakeObjects, code: int) -> None:
        self.api, self.code = api, code
        api.on_create = self.run
        api.said["fetch-w1-abcde"] = ["first", f"ended with {code}"]

    def run(self, made: Object) -> None:
        self.api.set(pod(self.code))
        self.api.set(ended(made, "Failed" if self.code else "Complete"))
