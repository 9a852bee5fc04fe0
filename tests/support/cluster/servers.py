"""A container that answers, for a cluster of any kind."""

from __future__ import annotations

from typing import Any

from tests.cluster.conftest import Kube

SERVER = """
import http.server, os, sys, time
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        ok = self.path != '/health' or time.time() - born > {warm}
        body = {word!r}.encode()
        self.send_response(200 if ok else 503)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
born = time.time()
http.server.ThreadingHTTPServer((os.environ['IP'], 8000), H).serve_forever()
"""


PORTS = [{"name": "http", "containerPort": 8000}]


PROBE = {
    "httpGet": {"path": "/health", "port": "http"},
    "periodSeconds": 1,
    "failureThreshold": 1,
    "timeoutSeconds": 10,  # a busy machine is no finding
}


def server(kube: Kube, word: str, warm: float = 0.0) -> dict[str, Any]:
    """A container that answers with `word` and is ready after `warm` seconds."""
    program = SERVER.format(word=word, warm=warm)
    return kube.container(program, ports=PORTS, readinessProbe=PROBE)


def first(kube: Kube, name: str) -> Any:
    """The first container's status; None before there is one."""
    statuses = kube.core.read_namespaced_pod(name, kube.ns).status.container_statuses
    return statuses[0] if statuses else None
