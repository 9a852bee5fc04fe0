"""Logs and port-forward."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployments.local.kube.objects.store import Store
from tasks.base.errors import OutsideError
from tests.support.cluster.api_fixture import PODS, Api, pod, serving
from tests.support.waiting import until

LINES = [
    "2026-01-01T10:00:00.100000000Z one",
    "2026-01-01T10:00:01.200000000Z two words",
    "2026-01-01T10:00:02.300000000Z ",
    "2026-01-01T10:00:03.400000000Z four",
]


class Files:
    """The log files of one pod's containers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, ns: str, name: str, container: str, previous: bool) -> Path | None:
        return self.folder / f"{ns}-{name}-{container}{'-previous' if previous else ''}"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    def forward(_ns: str, name: str, port: int) -> tuple[str, int] | None:
        return ("127.0.0.1", port) if name == "p" and port != DEAF else None

    with serving(tmp_path, logs=Files(tmp_path), forward=forward) as served:
        two = pod()
        two["spec"]["containers"].append({"name": "side", "image": "image:1"})
        two["spec"]["nodeName"] = "n"
        served.cluster.create(two)
        yield served


DEAF = 9  # a port of the pod on which nothing listens


def write(folder: Path, name: str, lines: list[str]) -> None:
    (folder / f"default-p-{name}").write_text("".join(f"{line}\n" for line in lines))


def states(store: Store, state: dict[str, Any], last: dict[str, Any] | None = None) -> None:
    """Give both containers a state."""
    entries = [{"name": name, "state": state, "lastState": last or {}} for name in ("main", "side")]
    store.set_status("pods", "default", "p", {"containerStatuses": entries})


RUNNING: dict[str, Any] = {"running": {}}
ENDED: dict[str, Any] = {"terminated": {"exitCode": 1}}


def waits(reason: str) -> dict[str, Any]:
    return {"waiting": {"reason": reason}}


def test_a_log_is_told_as_asked(api: Api, tmp_path: Path) -> None:
    write(tmp_path, "main", LINES)
    write(tmp_path, "side", LINES[:1])
    write(tmp_path, "main-previous", LINES[3:])
    states(api.store, RUNNING, ENDED)
    for query, text in (
        ("", "one\ntwo words\n\nfour\n"),
        ("previous=true", "four\n"),
        ("tailLines=2", "\nfour\n"),
        ("tailLines=0", ""),
        ("tailLines=1&timestamps=true", f"{LINES[3]}\n"),
        ("sinceTime=2026-01-01T10:00:02Z", "\nfour\n"),
        ("sinceTime=2026-01-01T12:00:03%2B02:00", "four\n"),
        ("limitBytes=6", "one\ntw"),
    ):
        code, answer = api.send("GET", f"{PODS}/p/log?container=main&{query}")
        assert (code, answer) == (200, text), query
    assert api.send("GET", f"{PODS}/p/log?container=side") == (200, "one\n")


NOT_HERE = 'previous terminated container "main" in pod "p" not found'
START = 'container "main" in pod "p" is waiting to start: '


@pytest.mark.parametrize(
    ("state", "last", "previous", "code", "said"),
    [
        (RUNNING, None, False, 200, "now"),
        (RUNNING, None, True, 400, NOT_HERE),
        (RUNNING, ENDED, True, 200, "before"),
        (ENDED, None, False, 200, "now"),
        (ENDED, None, True, 400, NOT_HERE),
        (waits("ContainerCreating"), None, False, 400, f"{START}ContainerCreating"),
        (waits("ContainerCreating"), None, True, 400, NOT_HERE),
        (waits("ErrImagePull"), None, False, 400, f"{START}image can't be pulled"),
        (
            waits("ImagePullBackOff"),
            None,
            False,
            400,
            f"{START}trying and failing to pull image",
        ),
        (waits("CrashLoopBackOff"), ENDED, False, 200, "now"),
        (waits("CrashLoopBackOff"), ENDED, True, 200, "before"),
    ],
)
def test_whether_there_is_a_log_follows_the_containers_state(
    api: Api,
    tmp_path: Path,
    state: dict[str, Any],
    last: dict[str, Any] | None,
    previous: bool,
    code: int,
    said: str,
) -> None:
    write(tmp_path, "main", [f"{LINES[0][:30]} now"])
    write(tmp_path, "main-previous", [f"{LINES[0][:30]} before"])
    states(api.store, state, last)
    query = f"container=main&previous={'true' if previous else 'false'}"
    found, body = api.send("GET", f"{PODS}/p/log?{query}")
    text = body.strip() if isinstance(body, str) else body["message"]
    assert (found, text) == (code, said)


def test_a_log_that_cannot_be_asked_for_says_why(api: Api) -> None:
    for query, said in (
        ("", "a container name must be specified for pod p, choose one of: [main side]"),
        ("container=none", "container none is not valid for pod p"),
        ("container=main", 'container "main" in pod "p" is not available'),
        ("container=main&sinceTime=soon", "sinceTime: 'soon' is no time"),
    ):
        code, body = api.send("GET", f"{PODS}/p/log?{query}")
        assert (code, body["message"]) == (400, said), query
    assert api.send("GET", f"{PODS}/none/log")[0] == 404


def test_the_log_of_a_pod_on_no_node_is_empty(api: Api) -> None:
    api.cluster.create(pod("free"))
    assert api.send("GET", f"{PODS}/free/log") == (204, "")


def test_a_followed_log_goes_on_until_the_container_ends(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "default-p-main"
    path.write_text(f"{LINES[0]}\n{LINES[1][:20]}")
    states(api.store, RUNNING)
    lines = api.cluster.follow_logs("p", "default", "main")
    heard = [next(lines)]
    with path.open("a") as file:
        file.write(f"{LINES[1][20:]}\n{LINES[3]}\n")
    heard += [next(lines), next(lines)]
    with path.open("a") as file:
        file.write("2026-01-01T10:00:04.000000000Z cut short")
    last = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": {}}}]}
    api.store.set_status("pods", "default", "p", last)
    assert [*heard, *lines] == ["one", "two words", "four", "cut short"]


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers a POST with its body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def echo() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_bytes_go_through_a_port_forward_unchanged(api: Api, echo: int) -> None:
    body = bytes(range(256)) * 4000
    with api.cluster.port_forward("p", "default", echo) as local:
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", local, timeout=60)
            connection.request("POST", "/", body)
            assert connection.getresponse().read() == body
            connection.close()


def test_a_port_on_which_nothing_listens_closes_and_says_so(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        api.cluster.port_forward("p", "default", DEAF) as local,
        pytest.raises((http.client.RemoteDisconnected, ConnectionError)),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", local, timeout=60)
        connection.request("GET", "/")
        connection.getresponse()
    # the pod's word comes by a channel of its own, after the connection has closed
    words = "dial tcp4 127.0.0.1:9: connect: connection refused"
    until(lambda: words in caplog.text, every_s=0.05)


def test_a_port_forward_without_its_protocol_or_pod_is_refused(api: Api) -> None:
    code, body = api.send("GET", f"{PODS}/p/portforward?ports=80")
    assert (code, "v4.channel.k8s.io" in body["message"]) == (400, True)
    assert api.send("GET", f"{PODS}/p/portforward?ports=x")[0] == 400
    assert api.send("GET", f"{PODS}/none/portforward?ports=80")[0] == 404
    api.cluster.create(pod("free"))
    with (
        pytest.raises(OutsideError, match="does not have a host assigned"),
        api.cluster.port_forward("free", "default", 80),
    ):
        pass
