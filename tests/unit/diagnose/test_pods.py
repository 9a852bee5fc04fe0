"""Every state a pod can be stuck in, as the API reports it, gets its own diagnosis."""

from __future__ import annotations

import copy
from datetime import UTC, datetime

import pytest

from tasks.diagnose.containers import failing_container, phase_text
from tasks.diagnose.pods import diagnose_pod
from tests.support.cluster.pod_cases import CASES, load


@pytest.mark.parametrize("name", CASES)
def test_recorded_state(name: str) -> None:
    case = load(name)
    want = case["expect"]
    found = diagnose_pod(case["pod"], case["events"], case["logs"], nodes=case["nodes"])
    assert (found and found.code) == want["code"], found
    if found is None:
        return
    assert found.fatal is want["fatal"], found
    assert want["says"] in found.summary
    assert want["action"] in found.action and found.action
    assert case["pod"]["metadata"]["name"] in found.summary


def test_every_state_differs() -> None:
    assert len(CASES) >= 40


@pytest.mark.parametrize(("minute", "fatal"), [(0, False), (2, True)])
def test_a_busy_accelerator_is_waited_for_and_then_not(minute: int, fatal: bool) -> None:
    case = load("schedule-busy")
    now = datetime(2026, 11, 23, 8, minute, 30, tzinfo=UTC)
    found = diagnose_pod(case["pod"], nodes=case["nodes"], now=now, grace_s=60)
    assert found is not None and found.fatal is fatal


@pytest.mark.parametrize(("attempts", "fatal"), [(1, False), (2, False), (3, True)])
def test_a_container_that_is_never_made_is_given_up(attempts: int, fatal: bool) -> None:
    pod = load("creating")["pod"]
    words = "failed to generate spec: no runtime for handler is configured"
    waiting = {"reason": "CreateContainerError", "message": words}
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": waiting}
    about = {"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    events = [
        {"involvedObject": about, "reason": "Failed", "message": f"Error: {number} {words}"}
        for number in range(attempts)
    ]
    found = diagnose_pod(pod, events)
    assert found is not None and (found.code, found.fatal) == ("container-create", fatal)
    assert words in found.text()
    waiting["message"] = 'path "/proc" is mounted on "/proc" but it is not a shared or slave mount'
    told = diagnose_pod(pod, events)
    assert told is not None and told.fatal and "make-rshared" in told.action


def test_without_nodes_nothing_is_impossible() -> None:
    for name in ("schedule-renamed", "schedule-too-large", "schedule-taint", "schedule-selector"):
        found = diagnose_pod(load(name)["pod"])
        assert found is not None and not found.fatal, name


def test_events_of_another_pod_say_nothing() -> None:
    case = load("image-backoff-not-found")
    for event in case["events"]:
        event["involvedObject"]["uid"] = "another"
    found = diagnose_pod(case["pod"], case["events"])
    assert found is not None and found.code == "image-pull" and not found.fatal


def test_a_registrys_words_are_told_once() -> None:
    # as Kubernetes 1.36 words it: the back-off repeats the event
    case, words = load("image-registry-timeout"), "failed to resolve: i/o timeout"
    status = case["pod"]["status"]["containerStatuses"][0]
    status["state"]["waiting"]["message"] = f'Back-off pulling image "i": ErrImagePull: {words}'
    pull = next(event for event in case["events"] if event["reason"] == "Failed")
    pull["message"] = f'Failed to pull image "i": {words}'
    found = diagnose_pod(case["pod"], case["events"])
    assert found is not None and found.text().count(words) == 1
    status["state"]["waiting"]["message"] = 'Back-off pulling image "i"'
    found = diagnose_pod(case["pod"], case["events"])
    assert found is not None and found.text().count(words) == 1


def test_the_images_own_name_is_no_evidence() -> None:
    case = load("image-registry-timeout")
    name = case["pod"]["status"]["containerStatuses"][0]
    name["image"] = "registry.local/unauthorized/x509:not-found"
    name["state"]["waiting"]["message"] = f'failed to pull "{name["image"]}": odd answer'
    found = diagnose_pod(case["pod"])
    assert found is not None and found.code == "image-pull"


def test_the_last_log_lines_come_along() -> None:
    case = load("crash-known-log")
    found = diagnose_pod(case["pod"], case["events"], case["logs"])
    assert found is not None and "attention heads (28)" in found.log_tail[-1]
    assert "attention heads (28)" in found.text()


def test_a_known_signature_in_the_log_of_a_running_pod_is_no_diagnosis() -> None:
    case = load("starting")
    assert diagnose_pod(case["pod"], case["events"], "HIP out of memory, retrying") is None


def test_a_pod_that_recovered_is_not_held_its_past_against() -> None:
    case = copy.deepcopy(load("crash-known-log"))
    case["pod"]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert diagnose_pod(case["pod"], case["events"], case["logs"]) is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("image-not-found", "ErrImagePull"),
        ("crash-loop", "CrashLoopBackOff (2 restarts)"),
        ("crash-once", "Running, not ready yet (1 restarts)"),
        ("schedule-busy", "Pending: Unschedulable"),
        ("oom-killed", "OOMKilled"),
        ("evicted", "Evicted"),
        ("ready", "Ready"),
        ("creating", "ContainerCreating"),
    ],
)
def test_phase_is_told_as_kubectl_tells_it(name: str, text: str) -> None:
    assert phase_text(load(name)["pod"]) == text


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("crash-once", ("vllm", True)),  # runs again: its previous life says why
        ("crash-loop", ("vllm", False)),
        ("init-crash-loop", ("verify", False)),
        ("oom-killed", ("vllm", False)),
        ("image-not-found", None),
    ],
)
def test_whose_log_to_read(name: str, container: tuple[str, bool] | None) -> None:
    assert failing_container(load(name)["pod"]) == container


def crashed(exit_code: int) -> dict[str, object]:
    pod = load("creating")["pod"]
    done = {"terminated": {"exitCode": exit_code, "reason": "Error"}}
    pod["status"]["containerStatuses"][0].update(state=done, restartCount=0, ready=False)
    return pod  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("code", "said", "fatal"), [(132, "cpu-unsupported", True), (135, "shared-memory", False)]
)
def test_a_signal_without_a_log_says_something(code: int, said: str, fatal: bool) -> None:
    found = diagnose_pod(crashed(code))
    assert found is not None and (found.code, found.fatal) == (said, fatal)


def test_who_killed_it_goes_before_that_it_was_killed() -> None:
    pod = crashed(143)
    words = "Container engine failed startup probe, will be restarted"
    event = {"involvedObject": {"name": pod["metadata"]["name"]}, "reason": "Killing"}  # type: ignore[index]
    logs = "KeyboardInterrupt: terminated\n"  # vllm-project/vllm#15997
    found = diagnose_pod(pod, [{**event, "message": words}], logs)
    assert found is not None and found.code == "startup-probe"
    alone = diagnose_pod(pod, (), logs)
    assert alone is not None and alone.code == "terminated"


def test_the_process_that_told_it_is_named() -> None:
    logs = "(Worker_TP1 pid=7) ERROR 09-19 21:54:09 [w.py:1] RuntimeError: CUDA out of memory\n"
    found = diagnose_pod(crashed(1), (), logs)
    assert found is not None and found.code == "device-memory"
    assert "found: Worker_TP1: RuntimeError: CUDA out of memory" in found.text()


def test_where_nothing_fits_the_exceptions_stand_before_the_last_lines() -> None:
    logs = "ValueError: first\nINFO 09-19 21:54:09 [w.py:1] last words, then exit\n"
    found = diagnose_pod(crashed(1), (), logs)
    assert found is not None and found.code == "crash"
    assert found.log_tail[0] == "ValueError: first" and found.log_tail[-1].endswith("then exit")
