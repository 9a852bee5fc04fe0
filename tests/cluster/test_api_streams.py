"""Logs and port-forward."""

from __future__ import annotations

import http.client
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local.kube.store import Store
from tests.cluster.api_fixture import PODS, Api, pod, serving

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
    with serving(
        tmp_path, logs=Files(tmp_path), pod_address=lambda _ns, name: ADDRESSES.get(name)
    ) as served:
        two = pod()
        two["spec"]["containers"].append({"name": "side", "image": "image:1"})
        served.cluster.create(two)
        yield served


ADDRESSES = {"p": "127.0.0.1"}


def write(folder: Path, name: str, lines: list[str]) -> None:
    (folder / f"default-p-{name}").write_text("".join(f"{line}\n" for line in lines))


def running(store: Store, state: str) -> None:
    entry = {"name": "main", "state": {state: {}}}
    store.set_status("pods", "default", "p", {"containerStatuses": [entry]})


def test_a_log_is_told_as_asked(api: Api, tmp_path: Path) -> None:
    write(tmp_path, "main", LINES)
    write(tmp_path, "side", LINES[:1])
    write(tmp_path, "main-previous", LINES[3:])
    for query, text in (
        ("", "one\ntwo words\n\nfour\n"),
        ("container=side", "one\n"),
        ("previous=true", "four\n"),
        ("tailLines=2", "\nfour\n"),
        ("tailLines=0", ""),
        ("tailLines=1&timestamps=true", f"{LINES[3]}\n"),
        ("sinceTime=2026-01-01T10:00:02Z", "\nfour\n"),
        ("sinceTime=2026-01-01T12:00:03%2B02:00", "four\n"),
        ("limitBytes=6", "one\ntw"),
    ):
        code, answer = api.send("GET", f"{PODS}/p/log?{query}")
        assert (code, answer) == (200, text), query


def test_a_log_that_is_not_there_says_why(api: Api) -> None:
    for query, said in (
        ("", "is waiting to start"),
        ("previous=true", "previous terminated container"),
        ("container=none", "is not valid for pod p"),
        ("sinceTime=soon", "is no time"),
    ):
        code, body = api.send("GET", f"{PODS}/p/log?{query}")
        assert (code, said in body["message"]) == (400, True), query
    assert api.send("GET", f"{PODS}/none/log")[0] == 404


def test_a_followed_log_goes_on_until_the_container_ends(api: Api, tmp_path: Path) -> None:
    path = tmp_path / "default-p-main"
    path.write_text(f"{LINES[0]}\n{LINES[1][:20]}")
    running(api.store, "running")
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
            connection = http.client.HTTPConnection("127.0.0.1", local, timeout=20)
            connection.request("POST", "/", body)
            assert connection.getresponse().read() == body
            connection.close()


def test_a_port_forward_without_its_protocol_or_pod_is_refused(api: Api) -> None:
    code, body = api.send("GET", f"{PODS}/p/portforward?ports=80")
    assert (code, "v4.channel.k8s.io" in body["message"]) == (400, True)
    assert api.send("GET", f"{PODS}/p/portforward?ports=x")[0] == 400
    assert api.send("GET", f"{PODS}/none/portforward?ports=80")[0] == 404
