"""Deployments, probes, Services and deletion as a rollout sees them."""

from __future__ import annotations

import time

import pytest

from deployments.local.daemons import start_time
from tests.cluster.conftest import Kube
from tests.support.cluster.servers import SERVER, heat, server


def test_ready_only_behind_its_probe_then_scaled(kube: Kube) -> None:
    kube.deploy("web", server(kube, "a", warm=False))
    kube.until(lambda: kube.said("Unhealthy"), "a failed readiness probe")
    assert kube.ready("web") == 0
    pod = kube.pods("app=web")[0]
    assert pod.status.phase == "Running" and not pod.status.container_statuses[0].ready

    def complete() -> bool:
        return all(heat(pod.status.pod_ip) for pod in kube.pods("app=web")) and kube.complete("web")

    kube.until(complete, "the Deployment is complete")
    for size in (3, 0):
        kube.apps.patch_namespaced_deployment_scale("web", kube.ns, {"spec": {"replicas": size}})
        kube.until(complete, f"{size} replicas")
        kube.until(lambda size=size: len(kube.pods("app=web")) == size, f"{size} pods left")


def test_rolling_update_keeps_the_old_until_the_new_is_ready_and_undo(kube: Kube) -> None:
    body = kube.deploy(
        "web",
        server(kube, "a"),
        replicas=2,
        strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        progressDeadlineSeconds=3,
    )
    kube.until(lambda: kube.complete("web"), "the first version")
    container = body["spec"]["template"]["spec"]["containers"][0]
    good, container["image"] = container["image"], "no/such:image"
    kube.apps.replace_namespaced_deployment("web", kube.ns, body)

    def waiting() -> set[str]:
        states = [s.state for p in kube.pods("app=web") for s in p.status.container_statuses or []]
        return {state.waiting.reason for state in states if state.waiting}

    kube.until(lambda: "ImagePullBackOff" in waiting(), "ImagePullBackOff")

    def late() -> bool:
        found = kube.apps.read_namespaced_deployment("web", kube.ns).status.conditions
        return any(c.reason == "ProgressDeadlineExceeded" and c.status == "False" for c in found)

    kube.until(late, "ProgressDeadlineExceeded")
    assert kube.ready("web") == 2 and len(kube.pods("app=web")) == 3
    container["image"] = good
    container["command"][2] = SERVER.format(word="b", warm=True)
    kube.apps.replace_namespaced_deployment("web", kube.ns, body)
    fewest = 9

    def done() -> bool:
        nonlocal fewest
        fewest = min(fewest, kube.ready("web") % 10 or 0)
        return kube.complete("web")

    kube.until(done, "the second version")
    assert fewest >= 2
    found = kube.apps.read_namespaced_deployment("web", kube.ns)
    assert found.metadata.annotations["deployment.kubernetes.io/revision"] == "3"


def test_recreate_never_runs_both(kube: Kube) -> None:
    body = kube.deploy("web", server(kube, "a"), strategy={"type": "Recreate"})
    kube.until(lambda: kube.complete("web"), "the first version")
    first = kube.pods("app=web")[0].metadata.name
    body["spec"]["template"]["metadata"]["labels"]["v"] = "2"
    kube.apps.replace_namespaced_deployment("web", kube.ns, body)
    most = 0

    def running() -> list[str]:
        # a pod that has ended is listed until it is deleted
        pods = kube.pods("app=web")
        return [p.metadata.name for p in pods if p.status.phase in ("Pending", "Running")]

    def done() -> bool:
        nonlocal most
        now = running()
        most = max(most, len(now))
        return kube.complete("web") and now != [first]

    kube.until(done, "the second version")
    assert most == 1


def test_deletion_cascades_and_is_graceful(kube: Kube) -> None:
    program = (
        "import signal, sys, time\n"
        "def bye(*_):\n    print('bye', flush=True); time.sleep(0.5); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\nprint('up', flush=True)\n"
        "while True: time.sleep(0.05)\n"
    )
    kube.deploy("polite", kube.container(program))
    name = kube.until(lambda: kube.pods("app=polite"), "a pod")[0].metadata.name
    kube.until(lambda: kube.phase(name) == "Running" and "up" in kube.log(name), "it runs")
    # followed from before the end: with its pod the log is gone
    with kube.core.read_namespaced_pod_log(
        name, kube.ns, follow=True, _preload_content=False
    ) as log:
        assert log.readline() == b"up\n"
        kube.apps.delete_namespaced_deployment("polite", kube.ns)
        assert log.read() == b"bye\n", "SIGTERM was not heard"
    kube.until(lambda: not kube.pods("app=polite"), "the pod is gone")
    assert not kube.apps.list_namespaced_replica_set(kube.ns).items


def test_a_stubborn_program_is_killed_after_its_grace(kube: Kube) -> None:
    program = (
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\n"
        "time.sleep(60)"
    )
    kube.pod("deaf", kube.container(program), terminationGracePeriodSeconds=1)
    kube.until(lambda: kube.phase("deaf") == "Running" and "up" in kube.log("deaf"), "it runs")
    begun = time.monotonic()
    kube.core.delete_namespaced_pod("deaf", kube.ns)
    kube.until(lambda: not kube.pods(), "the pod is gone")
    assert time.monotonic() - begun >= 1.0


@pytest.mark.embedded("looks for the pod's processes on this machine")
def test_nothing_of_a_pod_stays(kube: Kube) -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'])\n"
        "print(child.pid, flush=True)\ntime.sleep(300)"
    )
    kube.pod("parent", kube.container(program), terminationGracePeriodSeconds=1)
    kube.until(lambda: kube.phase("parent") == "Running", "it runs")
    child = int(kube.until(lambda: kube.log("parent").strip(), "the child's pid"))
    assert start_time(child)
    kube.core.delete_namespaced_pod("parent", kube.ns)
    kube.until(lambda: not kube.pods(), "the pod is gone")
    assert not start_time(child)
