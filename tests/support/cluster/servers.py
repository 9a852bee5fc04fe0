"""A container that answers, for a cluster of any kind."""

from __future__ import annotations

import urllib.request
from typing import Any

from tests.cluster.conftest import Kube

SERVER = """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        global warm
        warm = warm or self.path == '/warm'
        ok = self.path != '/health' or warm
        body = {word!r}.encode()
        self.send_response(200 if ok else 503)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
warm = {warm}
http.server.ThreadingHTTPServer((os.environ['IP'], 8000), H).serve_forever()
"""


PORTS = [{"name": "http", "containerPort": 8000}]


PROBE = {
    "httpGet": {"path": "/health", "port": "http"},
    "periodSeconds": 1,
    "failureThreshold": 1,
    "timeoutSeconds": 60,  # a busy machine is no finding
}


def server(kube: Kube, word: str, warm: bool = True) -> dict[str, Any]:
    """A container that answers with `word`; one that is not warm is ready once `heat` told it."""
    program = SERVER.format(word=word, warm=warm)
    return kube.container(program, ports=PORTS, readinessProbe=PROBE)


def heat(ip: str) -> bool:
    """Have the server at a pod's address be ready; False while it does not listen yet."""
    try:
        with urllib.request.urlopen(f"http://{ip}:8000/warm", timeout=60):
            return True
    except OSError:
        return False


def first(kube: Kube, name: str) -> Any:
    """The first container's status; None before there is one."""
    statuses = kube.core.read_namespaced_pod(name, kube.ns).status.container_statuses
    return statuses[0] if statuses else None
