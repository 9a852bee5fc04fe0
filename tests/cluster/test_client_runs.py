"""The client against running containers: logs, Jobs, readiness, port-forward."""

from __future__ import annotations

import http.client
import urllib.request
from typing import Any

import pytest

from tasks.base.progress import Progress
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.jobs import run_job
from tasks.outside.kubernetes.ready import NotReady, wait_ready
from tasks.outside.kubernetes.rest import unfenced
from tests.cluster.client_fixture import client, namespace
from tests.cluster.conftest import Kube

__all__ = ["client", "namespace"]

# listens where its arguments say; $IP is the pod's own address
SERVE = (
    "import http.server, os, sys\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(b'served')\n"
    "server = http.server.HTTPServer((os.path.expandvars(sys.argv[1]), int(sys.argv[2])), H)\n"
    "print('up', server.server_port, flush=True)\n"
    "server.serve_forever()\n"
)


def job(kube: Kube, program: str, name: str = "work") -> dict[str, Any]:
    pod = {"restartPolicy": "Never", "containers": [kube.container(program)]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": kube.ns},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def test_a_jobs_lines_come_once_and_in_order(client: Cluster, kube: Kube) -> None:
    body = job(
        kube,
        "import time\nfor n in range(6):\n    print('line', n, flush=True); time.sleep(.1)",
    )
    lines: list[str] = []
    result = run_job(client, body, fence=unfenced, timeout_s=300, on_line=lines.append)
    assert result.succeeded and result.exit_code == 0
    assert lines == [f"line {n}" for n in range(6)]
    first = client.get("Job", "work", kube.ns)
    assert run_job(client, body, fence=unfenced, timeout_s=300).log_tail == tuple(lines)
    again = client.get("Job", "work", kube.ns)
    assert first is not None and again is not None
    # one that has ended says what was true then, and is run anew
    assert first["metadata"]["uid"] != again["metadata"]["uid"]


def test_a_failed_job_tells_why_and_is_run_anew(client: Cluster, kube: Kube) -> None:
    failed = run_job(
        client,
        job(kube, "print('about to fail'); raise SystemExit(3)"),
        fence=unfenced,
        timeout_s=300,
    )
    assert not failed.succeeded and failed.exit_code == 3
    assert failed.log_tail == ("about to fail",)
    assert failed.diagnosis is not None and failed.diagnosis.code == "crash"
    better = run_job(client, job(kube, "print('well')"), fence=unfenced, timeout_s=300, delete=True)
    assert better.succeeded and better.log_tail == ("well",)
    assert client.get("Job", "work", kube.ns) is None


def test_a_job_whose_image_is_wrong_is_not_waited_for(client: Cluster, kube: Kube) -> None:
    body = job(kube, "pass")
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "UPPER/is:no:image"
    result = run_job(client, body, fence=unfenced, timeout_s=300, delete=True)
    assert not result.succeeded and result.diagnosis is not None
    assert result.diagnosis.code.startswith("image-") and result.diagnosis.fatal


def test_ready_and_reached_through_a_forwarded_port(client: Cluster, kube: Kube) -> None:
    probe = {"tcpSocket": {"port": 8000}}
    kube.deploy("web", kube.container(SERVE, args=["0.0.0.0", "8000"], readinessProbe=probe))
    told: list[Progress] = []
    wait_ready(client, kube.ns, "web", timeout_s=300, on_progress=told.append)
    pods = client.list("Pod", kube.ns, "app=web")
    assert len(pods) == 1 and {event.subject for event in told} <= {pods[0]["metadata"]["name"]}
    with client.port_forward(pods[0]["metadata"]["name"], kube.ns, 8000) as port:
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                assert answer.read() == b"served"


def ask(client: Cluster, kube: Kube, pod: str) -> bytes:
    """One request through a forwarded port, once the pod serves."""
    kube.until(lambda: kube.phase(pod) == "Running" and "up" in kube.log(pod), "it serves")
    with client.port_forward(pod, kube.ns, int(kube.log(pod).split()[1])) as local:
        link = http.client.HTTPConnection("127.0.0.1", local, timeout=60)
        link.request("GET", "/")
        return link.getresponse().read()


def test_a_forwarded_port_ends_on_the_pods_loopback(client: Cluster, kube: Kube) -> None:
    # a port that is free then: the pods of the embedded cluster share one loopback
    kube.pod("inside", kube.container(SERVE, args=["127.0.0.1", "0"]))
    assert ask(client, kube, "inside") == b"served"


def test_what_listens_on_the_pods_address_alone_is_not_reached(
    client: Cluster, kube: Kube, caplog: pytest.LogCaptureFixture
) -> None:
    kube.pod("outside", kube.container(SERVE, args=["$IP", "8000"]))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(client, kube, "outside")
    # the pod's word comes by a channel of its own, after the connection has closed
    words = "dial tcp4 127.0.0.1:8000: connect: connection refused"
    kube.until(lambda: words in caplog.text, "the reason")


def test_a_hopeless_crash_ends_the_wait_with_its_last_lines(client: Cluster, kube: Kube) -> None:
    words = "Total number of attention heads (28) must be divisible by tensor parallel size (8)."
    # Without a probe a container counts as ready the moment it runs.
    probe = {"tcpSocket": {"port": 8000}}
    program = f"print({words!r}, flush=True); raise SystemExit(1)"
    kube.deploy("bad", kube.container(program, readinessProbe=probe))
    with pytest.raises(NotReady, match="28 attention heads") as caught:
        wait_ready(client, kube.ns, "bad", timeout_s=300)
    assert caught.value.diagnosis is not None and caught.value.diagnosis.code == "tp-heads"
    assert words in str(caught.value)


def test_what_no_node_could_ever_give_is_known_at_once(client: Cluster, kube: Kube) -> None:
    asked = {"limits": {"memory": "5000Ti"}, "requests": {"memory": "5000Ti"}}
    kube.deploy("big", kube.container("pass", resources=asked))
    with pytest.raises(NotReady) as caught:
        wait_ready(client, kube.ns, "big", timeout_s=300)
    assert caught.value.diagnosis is not None
    assert caught.value.diagnosis.code == "too-large"
