"""The end of a pod that serves: its hook first, then SIGTERM, and its connections meanwhile."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.conftest import Kube
from tests.support.cluster.servers import server

BLUE, GREEN = {"colour": "blue"}, {"colour": "green"}
POLITE = """
import signal, sys, time
def bye(*_):
    print('TERM', time.time(), flush=True); time.sleep(1); sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print('up', flush=True)
while True: time.sleep(0.05)
"""


def run(kube: Kube, name: str, hook: dict[str, Any], grace: int) -> None:
    container = kube.container(POLITE, lifecycle={"preStop": hook})
    kube.pod(name, container, terminationGracePeriodSeconds=grace)
    kube.until(lambda: kube.phase(name) == "Running" and "up" in kube.log(name), "it runs")


def ended(kube: Kube, name: str) -> float:
    """Delete it, and wait for its end; gives the seconds from the deletion to SIGTERM."""
    # followed from before the end: with its pod the log is gone
    with kube.core.read_namespaced_pod_log(
        name, kube.ns, follow=True, _preload_content=False
    ) as log:
        assert log.readline() == b"up\n"
        begun = time.time()
        kube.core.delete_namespaced_pod(name, kube.ns)
        said = log.read().decode()
    return float(said.split("TERM")[1].split()[0]) - begun


def test_sigterm_comes_when_the_hook_is_over(kube: Kube) -> None:
    run(kube, "sleeps", {"sleep": {"seconds": 3}}, 30)
    assert ended(kube, "sleeps") >= 2.9
    run(kube, "runs", {"exec": {"command": ["python", "-c", "import time; time.sleep(2)"]}}, 30)
    assert 1.9 <= ended(kube, "runs") < 28


def test_a_hook_is_cut_by_the_grace_period(kube: Kube) -> None:
    run(kube, "long", {"exec": {"command": ["python", "-c", "import time; time.sleep(300)"]}}, 3)
    assert ended(kube, "long") >= 2.9
    assert kube.until(lambda: kube.said("FailedPreStopHook"), "its event")


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ({"sleep": {"seconds": 31}}, "terminationGracePeriodSeconds"),
        ({"sleep": {"seconds": 1}, "exec": {"command": ["true"]}}, "more than 1 handler"),
        ({}, "must specify a handler type"),
    ],
)
def test_a_hook_that_cannot_be_is_refused(kube: Kube, hook: dict[str, Any], why: str) -> None:
    container = kube.container("pass", lifecycle={"preStop": hook})
    with pytest.raises(ApiException) as caught:
        kube.pod("odd", container, terminationGracePeriodSeconds=30)
    assert caught.value.status == 422 and why in caught.value.body


def test_a_connection_stays_with_its_pod_until_that_ends(kube: Kube) -> None:
    """As conntrack has it: the switch is for new connections."""
    for word in ("blue", "green"):
        kube.deploy(word, server(kube, word), labels={"colour": word})
    port = {"port": 80, "targetPort": "http"}
    body = {"metadata": {"name": "front"}, "spec": {"selector": BLUE, "ports": [port]}}
    address = kube.core.create_namespaced_service(kube.ns, body).spec.cluster_ip
    for word in ("blue", "green"):
        kube.until(lambda word=word: kube.complete(word), f"{word} is ready")

    def ask(link: http.client.HTTPConnection) -> str:
        link.request("GET", "/")
        return link.getresponse().read().decode()

    def anew() -> str:
        link = http.client.HTTPConnection(address, 80, timeout=60)
        try:
            return ask(link)
        except OSError:
            return ""  # its rules are not there yet
        finally:
            link.close()

    kube.until(lambda: anew() == "blue", "blue answers")
    kept = http.client.HTTPConnection(address, 80, timeout=60)
    assert ask(kept) == "blue"
    kube.core.patch_namespaced_service("front", kube.ns, {"spec": {"selector": GREEN}})
    kube.until(lambda: anew() == "green", "green answers")
    assert ask(kept) == "blue" and anew() == "green"
    kube.apps.patch_namespaced_deployment_scale("blue", kube.ns, {"spec": {"replicas": 0}})
    kube.until(lambda: not kube.pods("app=blue"), "blue is gone")
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(kept)
    assert anew() == "green"
