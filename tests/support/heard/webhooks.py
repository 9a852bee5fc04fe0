"""What is told to webhooks, heard on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.heard.serving import served


@dataclass
class Webhooks:
    """A server of webhooks: what came (path with its query, body as JSON), and how it answers: by
    path without its query, (status, body); else as all channels do where they take it."""

    port: int = 0
    came: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, path: str) -> list[Any]:
        """What was posted there."""
        return [body for found, body in self.came if found.partition("?")[0] == path]


@contextmanager
def webhooks() -> Iterator[Webhooks]:
    """On a port of its own."""
    heard = Webhooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.came.append((self.path, body))
            taken = (200, '{"errcode": 0, "errmsg": "ok", "code": 0, "msg": "success"}')
            status, said = heard.answers.get(self.path.partition("?")[0], taken)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard.port = server.server_port
    with served(server):
        yield heard
