"""The vendor's exporter: read where it answers, and no error where it does not."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from tasks.outside.exporter.metrics import read

TEXT = 'dcu_temp{minor_number="0"} 60\n'


def test_an_exporter_is_read_and_one_that_is_away_is_no_error() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 500)
            self.end_headers()
            self.wfile.write(TEXT.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    assert read(f"{url}/metrics") == TEXT
    assert read(f"{url}/broken") is None
    server.shutdown()
    server.server_close()
    assert read(f"{url}/metrics") is None
