"""A look at one node's hardware: the probe Job, and the document it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tasks.base.errors import StepFailed
from tasks.nodes.assess import ApiFacts, exporter_url
from tasks.nodes.document import ProbeDoc, last_document
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.jobs import run_job
from tasks.outside.kubernetes.rest import unfenced
from tasks.run.findings import Survey


class ProbeFailed(StepFailed):
    """The probe Job did not run to its end. action: what to do about it, '' not known."""

    def __init__(
        self, message: str, logs: Mapping[str, str] | None = None, action: str = ""
    ) -> None:
        super().__init__(message, logs)
        self.action = action

    def __reduce__(self) -> tuple[type[ProbeFailed], tuple[object, ...]]:
        return (type(self), (str(self), self.logs, self.action))


def read_node(cluster: Cluster, survey: Survey, fact: ApiFacts, run: str) -> ProbeDoc:
    """Run the probe on one node and read what it says.

    Raises ProbeFailed, OutsideError where the cluster cannot be asked, and ValueError for a
    document nobody can read.
    """
    lines: list[str] = []
    result = run_job(
        cluster,
        survey.probe_job(fact.name, run, exporter_url(survey.profile, fact)),
        timeout_s=survey.spec.nodes.probe_timeout_s,
        on_line=lines.append,
        fence=unfenced,  # a probe is this run's own, and changes nothing
        delete=True,
    )
    if not result.succeeded:
        action = result.diagnosis.action if result.diagnosis else ""
        raise ProbeFailed(f"the probe Job failed: {result.sentence()}", result.logs, action)
    return ProbeDoc.from_json(json.loads(last_document("\n".join(lines))))
