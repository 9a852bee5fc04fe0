"""Jobs: success, retries, the ways to fail, and their own deletion."""

from __future__ import annotations

from typing import Any

from kubernetes.client.exceptions import ApiException

from tests.cluster.conftest import Kube


def ended(kube: Kube, name: str) -> Any:
    """The Job's status once it is over."""

    def check() -> Any:
        status = kube.batch.read_namespaced_job_status(name, kube.ns).status
        kinds = {c.type: c for c in status.conditions or [] if c.status == "True"}
        over = kinds.get("Complete") or kinds.get("Failed")
        return (status, over) if over else None

    return kube.until(check, f"Job {name} is over")


def test_success_counts_completions(kube: Kube) -> None:
    kube.job("good", kube.container("print('done')"), completions=3, parallelism=2)
    status, over = ended(kube, "good")
    assert (over.type, status.succeeded, status.failed) == ("Complete", 3, None)
    assert status.start_time <= status.completion_time and not status.active
    pods = kube.pods("job-name=good")
    assert {pod.status.phase for pod in pods} == {"Succeeded"} and len(pods) == 3
    assert kube.log(pods[0].metadata.name).strip() == "done"


def test_failures_up_to_the_backoff_limit(kube: Kube) -> None:
    kube.job("bad", kube.container("import sys; sys.exit(3)"), backoffLimit=1)
    status, over = ended(kube, "bad")
    assert (over.type, over.reason, status.failed) == ("Failed", "BackoffLimitExceeded", 2)
    assert len(kube.pods("job-name=bad")) == 2  # kept, so that they can be read
    assert status.completion_time is None


def test_on_failure_restarts_in_place(kube: Kube) -> None:
    program = (
        "import os, sys\ntry: os.mkdir('/s/x')\nexcept FileExistsError: sys.exit(0)\nsys.exit(1)"
    )
    container = kube.container(program, volumeMounts=[{"name": "s", "mountPath": "/s"}])
    pod = {"restartPolicy": "OnFailure", "volumes": [{"name": "s", "emptyDir": {}}]}
    kube.job("again", container, pod=pod, backoffLimit=4)
    status, over = ended(kube, "again")
    assert (over.type, status.succeeded, status.failed) == ("Complete", 1, None)
    assert kube.pods("job-name=again")[0].status.container_statuses[0].restart_count == 1


def test_a_deadline_ends_a_job_and_its_pod(kube: Kube) -> None:
    pod = {"terminationGracePeriodSeconds": 1}
    program = "import time; time.sleep(300)"
    kube.job("long", kube.container(program), pod=pod, activeDeadlineSeconds=2)
    _, over = ended(kube, "long")
    assert (over.type, over.reason) == ("Failed", "DeadlineExceeded")
    kube.until(lambda: not kube.pods("job-name=long"), "its pod is gone")


def test_a_finished_job_goes_with_its_pods_after_its_ttl(kube: Kube) -> None:
    # not asked for its end: the Job may be gone before anybody looks
    kube.job("brief", kube.container("print(1)"), ttlSecondsAfterFinished=2)

    def gone() -> bool:
        try:
            kube.batch.read_namespaced_job("brief", kube.ns)
        except ApiException as error:
            return bool(error.status == 404)
        return False

    kube.until(gone, "the Job is gone")
    kube.until(lambda: not kube.pods(), "its pods are gone")


def test_deleting_a_job_deletes_its_pods(kube: Kube) -> None:
    pod = {"terminationGracePeriodSeconds": 1}
    kube.job("gone", kube.container("import time; time.sleep(300)"), pod=pod)
    kube.until(lambda: [p for p in kube.pods() if p.status.phase == "Running"], "it runs")
    kube.batch.delete_namespaced_job("gone", kube.ns, propagation_policy="Background")
    kube.until(lambda: not kube.pods(), "its pods are gone")
