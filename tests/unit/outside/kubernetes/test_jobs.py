"""A Job is run once however often it is asked for, and a Deployment's trouble is heard at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.base.errors import LockLost, StepFailed
from tasks.base.progress import Progress
from tasks.outside.kubernetes import ready
from tasks.outside.kubernetes.jobs import JobResult, marked, run_job
from tasks.outside.kubernetes.ready import NotReady, wait_ready
from tasks.outside.kubernetes.rest import unfenced
from tests.support.cluster.cluster_fake import FakeObjects
from tests.support.cluster.jobs_fake import Controller, ended, job, pod
from tests.support.cluster.pod_cases import load

Object = dict[str, Any]


def run(api: FakeObjects, work: str = "fetch", **kwargs: Any) -> tuple[JobResult, list[str]]:
    lines: list[str] = []
    kwargs = {"fence": unfenced, **kwargs}
    result = run_job(api, job(work), timeout_s=120, on_line=lines.append, **kwargs)  # type: ignore[arg-type]
    return result, lines


@pytest.fixture
def api() -> FakeObjects:
    return FakeObjects()


def test_a_job_runs_and_its_lines_are_heard(api: FakeObjects) -> None:
    Controller(api, 0)
    result, lines = run(api)
    assert result == JobResult(True, 0, ("first", "ended with 0"), None)
    assert lines == ["first", "ended with 0"]
    assert api.get("Job", "fetch-w1") is not None


@pytest.mark.parametrize("change", ["nothing", "other work", "failed", "pod gone"])
def test_what_has_ended_is_run_anew(api: FakeObjects, change: str) -> None:
    """A finished Job is memory: the folder it made may be gone, the node another one."""
    Controller(api, 3 if change == "failed" else 0)
    run(api)
    Controller(api, 0)
    if change == "pod gone":
        api.objects.pop(("Pod", "fetch-w1-abcde"))
    result, _ = run(api, "other" if change == "other work" else "fetch")
    assert result.succeeded
    assert [call[0] for call in api.calls] == ["create", "delete", "create"]


@pytest.mark.parametrize(
    ("age_s", "code", "work", "again"),
    [
        (60, 0, "fetch", False),
        (3601, 0, "fetch", True),  # the node may be another one by now
        (60, 3, "fetch", True),  # somebody may have mended it
        (60, 0, "other", True),
    ],
)
def test_one_that_ended_well_a_moment_ago_is_believed(
    api: FakeObjects, age_s: float, code: int, work: str, again: bool
) -> None:
    Controller(api, code)
    run(api)
    over = api.get("Job", "fetch-w1")
    assert over is not None
    over["status"]["completionTime"] = (api.now() - timedelta(seconds=age_s)).isoformat()
    api.set(over)
    Controller(api, 0)
    result, lines = run(api, work, fresh_s=3600)
    assert result.succeeded and lines == ["first", "ended with 0"]
    assert [call[0] for call in api.calls] == ["create", *(["delete", "create"] if again else [])]


@pytest.mark.parametrize("left", ["gone", "Failed"])
def test_one_that_ended_well_and_whose_pod_is_gone_can_say_nothing(
    api: FakeObjects, left: str
) -> None:
    """A drain, a pod collector or a hand took it: the work is done again."""
    Controller(api, 0)
    run(api)
    over = api.get("Job", "fetch-w1")
    assert over is not None
    over["status"]["completionTime"] = api.now().isoformat()
    api.set(over)
    pod = api.objects.pop(("Pod", "fetch-w1-abcde"))
    if left == "Failed":
        api.set({**pod, "status": {**pod["status"], "phase": "Failed"}})
    Controller(api, 0)
    result, lines = run(api, fresh_s=3600)
    assert result.succeeded and lines == ["first", "ended with 0"]
    assert [call[0] for call in api.calls] == ["create", "delete", "create"]


def test_a_job_that_goes_away_is_not_adopted(api: FakeObjects) -> None:
    """It runs still, but somebody deleted it."""
    theirs = marked(job())
    theirs["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.set(theirs)
    told = api.wait_for

    def gone(*args: Any, **kwargs: Any) -> Any:
        api.objects.pop(("Job", "fetch-w1"))
        return told(*args, **kwargs)

    api.wait_for = gone  # type: ignore[method-assign]
    Controller(api, 0)
    assert run(api)[0].succeeded
    assert api.calls == [("create", "Job", "fetch-w1")]


def test_a_running_job_is_adopted(api: FakeObjects) -> None:
    made = api.set(marked(job()))
    api.said["fetch-w1-abcde"] = ["went on"]
    api.set(pod(0))

    # It ends just when its pods begin to be watched.
    told = api.watch

    def ending(kind: str, *args: Any, **kwargs: Any) -> Any:
        if kind == "Pod":
            api.set(ended(made, "Complete"))
        return told(kind, *args, **kwargs)

    api.watch = ending  # type: ignore[method-assign]
    result, lines = run(api)
    assert result.succeeded and lines == ["went on"] and api.calls == []


def test_a_job_of_someone_else_is_left_alone(api: FakeObjects) -> None:
    api.set(job())
    with pytest.raises(StepFailed, match="not of model-rollout"):
        run(api)
    assert api.calls == []


def test_a_failed_job_tells_why(api: FakeObjects) -> None:
    Controller(api, 7)
    result, _ = run(api)
    assert not result.succeeded and result.exit_code == 7
    assert result.log_tail == ("first", "ended with 7")
    assert result.diagnosis is not None and "exited with 7" in result.diagnosis.summary


def test_a_pod_that_cannot_start_is_not_waited_for(api: FakeObjects) -> None:
    def stuck(made: Object) -> None:
        broken = load("image-not-found")["pod"]
        broken["metadata"]["namespace"] = "llm"
        api.set(broken)

    api.on_create = stuck
    result, _ = run(api, delete=True)
    assert not result.succeeded and result.exit_code is None
    assert result.diagnosis is not None and result.diagnosis.code == "image-not-found"
    assert api.calls[-1] == ("delete", "Job", "fetch-w1")


def event(about: Object, message: str) -> Object:
    """What the Job's controller says when it may not make a pod."""
    meta = about["metadata"]
    return {
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.1", "namespace": "llm"},
        "involvedObject": {"kind": "Job", "name": meta["name"], "uid": meta["uid"]},
        "reason": "FailedCreate",
        "message": f'Error creating: pods "x" is forbidden: {message}',
        "lastTimestamp": "2026-11-23T08:00:10Z",
    }


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('violates PodSecurity "restricted:latest": hostPath', "pod-security"),
        ('error looking up service account: serviceaccount "x" not found', "service-account"),
    ],
)
def test_a_job_that_may_make_no_pod_tells_why_at_once(
    api: FakeObjects, message: str, code: str
) -> None:
    api.on_create = lambda made: api.set(event(made, message)) and None
    result = run_job(api, job(), fence=unfenced, timeout_s=500, delete=True)  # type: ignore[arg-type]
    assert not result.succeeded and result.diagnosis is not None
    assert result.diagnosis.code == code and message in result.sentence()
    assert api.calls[-1] == ("delete", "Job", "fetch-w1")


def test_the_whole_log_of_a_failed_job_comes_along_without_credentials(api: FakeObjects) -> None:
    Controller(api, 7)
    many = [f"line {number}" for number in range(500)]
    api.said["fetch-w1-abcde"] = [*many, "api_key=sesame"]
    result, _ = run(api)
    assert list(result.logs) == ["fetch-w1-abcde-c.log"]
    assert result.logs["fetch-w1-abcde-c.log"] == "\n".join([*many, "api_key=***", ""])


def test_what_to_do_about_a_job_names_the_runner(api: FakeObjects) -> None:
    def stuck(made: Object) -> None:
        api.set(load("image-not-found")["pod"])

    api.on_create = stuck
    result, _ = run(api)
    assert result.diagnosis is not None
    assert "runner.image" in result.diagnosis.action and "serving" not in result.diagnosis.action


@pytest.mark.parametrize("ends", ["by its own deadline", "by ours"])
def test_a_time_out_tells_what_its_pod_waited_for(api: FakeObjects, ends: str) -> None:
    def stuck(made: Object) -> None:
        pod = load("image-registry-timeout")["pod"]
        api.set(pod)

        def gone() -> None:
            # its controller removes the pod when the Job's time is over
            api.remove("Pod", pod["metadata"]["name"])
            if ends == "by its own deadline":
                late = ended(made, "Failed")
                late["status"]["conditions"][0]["reason"] = "DeadlineExceeded"
                api.set(late)
            else:
                clock.sleep(2)

        api.on_events = gone

    api.on_create = stuck
    with clock.use(FakeClock()):
        result = run_job(api, job(), fence=unfenced, timeout_s=1)  # type: ignore[arg-type]
    assert result.diagnosis is not None and result.diagnosis.code == "job-timeout"
    assert "the registry could not be reached" in result.sentence()
    assert "check the registry" in result.diagnosis.action


def test_time_out_leaves_the_job(api: FakeObjects) -> None:
    result = run_job(api, job(), fence=unfenced, timeout_s=0.2)  # type: ignore[arg-type]
    assert result.diagnosis is not None and result.diagnosis.code == "job-timeout"
    assert api.get("Job", "fetch-w1") is not None


def test_without_the_lease_nothing_is_written(api: FakeObjects) -> None:
    def fence() -> None:
        raise LockLost("another holds it")

    with pytest.raises(LockLost):
        run(api, fence=fence)
    assert api.calls == [] and not api.objects


# -- Deployments


def deploy(api: FakeObjects, case: str, available: int = 0) -> Object:
    """A Deployment of one replica with its ReplicaSet and a recorded pod."""
    recorded = load(case)["pod"]
    owner = recorded["metadata"]["ownerReferences"][0]
    made = api.set(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "m", "namespace": "llm", "uid": "d", "generation": 1},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "m"}}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": available,
            },
        }
    )
    api.set(
        {
            "kind": "ReplicaSet",
            "metadata": {
                "name": owner["name"],
                "uid": owner["uid"],
                "ownerReferences": [{"uid": "d"}],
            },
        }
    )
    api.set(recorded)
    return made


def wait(
    api: FakeObjects, timeout_s: float = 120, react: Callable[[list[Progress]], object] = len
) -> list[Progress]:
    heard: list[Progress] = []

    def hear(event: Progress) -> None:
        heard.append(event)
        react(heard)

    wait_ready(api, "llm", "m", timeout_s=timeout_s, on_progress=hear)  # type: ignore[arg-type]
    return heard


def available(api: FakeObjects, made: Object) -> None:
    """Its one replica answers."""
    made["status"]["availableReplicas"] = 1
    api.set(made)


def wait_in_vain(api: FakeObjects) -> None:
    """The time is over once something was heard of a pod."""
    with clock.use(FakeClock()):
        wait_ready(api, "llm", "m", timeout_s=60, on_progress=lambda _: clock.sleep(61))  # type: ignore[arg-type]


def test_ready_is_ready(api: FakeObjects) -> None:
    deploy(api, "ready", available=1)
    assert wait(api) == []


def test_becoming_ready_is_heard_and_told(api: FakeObjects) -> None:
    made = deploy(api, "creating")
    heard = wait(api, react=lambda _: available(api, made))
    assert [(e.step, e.message) for e in heard] == [("deploy", "ContainerCreating")]


@pytest.mark.parametrize("case", ["oom-killed", "image-invalid-name", "command-not-found"])
def test_a_hopeless_pod_ends_the_wait_at_once(api: FakeObjects, case: str) -> None:
    deploy(api, case)
    api.said[load(case)["pod"]["metadata"]["name"]] = ["its last words"]
    with pytest.raises(NotReady, match="will not become ready") as caught:
        wait(api, timeout_s=500)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.code == load(case)["expect"]["code"]
    if case != "image-invalid-name":  # that one never ran
        assert "its last words" in str(caught.value)
        assert list(caught.value.logs.values()) == ["its last words"]


def test_every_state_of_a_pod_is_told(api: FakeObjects) -> None:
    made = deploy(api, "creating")

    def react(heard: list[Progress]) -> None:
        if heard[-1].message == "ContainerCreating":
            # both at once: the second state is heard together with the first
            api.set(load("starting")["pod"])
            api.set(load("ready")["pod"])
        elif heard[-1].message == "Ready":
            available(api, made)

    heard = [event.message for event in wait(api, react=react)]
    assert heard == ["ContainerCreating", "Running, not ready yet", "Ready"]


def test_a_state_that_lasts_is_told_again(
    api: FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who listens now and then only hears the newest in time."""
    monkeypatch.setattr(ready, "_AGAIN_S", 0.0)
    made = deploy(api, "creating")
    heard = wait(api, react=lambda heard: len(heard) == 2 and available(api, made))
    assert [event.message for event in heard[:2]] == ["ContainerCreating"] * 2


def test_a_pod_of_an_older_template_does_not_count(api: FakeObjects) -> None:
    deploy(api, "oom-killed")
    old = api.get("Pod", load("oom-killed")["pod"]["metadata"]["name"])
    assert old is not None
    old["metadata"]["ownerReferences"] = [{"uid": "an older ReplicaSet"}]
    api.set(old)
    with pytest.raises(NotReady, match="was not ready after 0 s"):
        wait(api, timeout_s=0.3)


def test_time_out_gives_the_best_reason_known(api: FakeObjects) -> None:
    deploy(api, "crash-once")
    api.said[load("crash-once")["pod"]["metadata"]["name"]] = ["RuntimeError: odd"]
    with pytest.raises(NotReady, match="not ready after") as caught:
        wait_in_vain(api)
    assert caught.value.diagnosis is not None and caught.value.diagnosis.code == "crash"
    assert "RuntimeError: odd" in str(caught.value)


def test_time_out_of_a_pod_that_only_loads_shows_its_log(api: FakeObjects) -> None:
    deploy(api, "starting")
    api.said[load("starting")["pod"]["metadata"]["name"]] = ["loading shard 3 of 8"]
    with pytest.raises(NotReady, match="loading shard 3 of 8") as caught:
        wait_in_vain(api)
    assert "startup_timeout_s" in str(caught.value)


def test_a_deployment_that_vanishes(api: FakeObjects) -> None:
    with pytest.raises(NotReady, match="there is no Deployment"):
        wait(api)
    deploy(api, "creating")
    with pytest.raises(NotReady, match="was deleted"):
        wait(api, react=lambda _: api.delete("Deployment", "m"))
