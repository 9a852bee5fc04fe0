"""A canary token through the real client: it is found in no request to another origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployments.local.hub import Fault, LocalHub
from tasks.outside.modelscope.hub import Hub
from tests.support.hubs import MODEL, QUICK, publish_tiny

CANARY = "canary-7f3a91c0d2"


@contextmanager
def listener(answer: str = "") -> Iterator[tuple[str, list[str]]]:
    """A server that notes every request whole. answer: where it redirects to, '': nowhere."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.requestline}\n{self.headers}")
            self.send_response(302 if answer else 404)
            if answer:
                self.send_header("Location", answer + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable that may hold a hub's token holds the same one."""
    for name in ("MODELSCOPE_API_TOKEN", "MODEL_ROLLOUT_HUB_TOKEN"):
        monkeypatch.setenv(name, CANARY)


@pytest.mark.usefixtures("canary")
def test_another_hub_hears_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as (url, heard):
        for named in ("", "https://www.modelscope.cn", "http://127.0.0.1:9"):
            monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN_FOR", named)
            with pytest.raises(Exception, match=r"404.*MODEL_ROLLOUT_HUB_TOKEN"):
                Hub.from_env(url, QUICK).resolve(MODEL, "master")
        assert heard and not [said for said in heard if CANARY in said]
        monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN_FOR", url)
        with pytest.raises(Exception, match="404"):
            Hub.from_env(url, QUICK).resolve(MODEL, "master")
        assert CANARY in heard[-1]


@pytest.mark.usefixtures("canary")
def test_a_redirect_to_another_origin_carries_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_tiny(tmp_path / "hub")
    with LocalHub(tmp_path / "hub", [Fault("redirect", times=None)], token=CANARY) as hub:
        monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN_FOR", hub.url)
        mine = Hub.from_env(hub.url, QUICK)
        manifest = mine.resolve(MODEL, "master")
        for entry in manifest.files:
            mine.download(manifest, entry, tmp_path / "out")
        assert hub.counters["cdn_requests"] == 3
        assert hub.counters["cdn_logins"] == 0  # neither header nor cookie, on the same host
    with listener() as (far, heard), listener(far) as (near, first):
        monkeypatch.setenv("MODEL_ROLLOUT_HUB_TOKEN_FOR", near)
        with pytest.raises(Exception, match="404"):
            Hub.from_env(near, QUICK).resolve(MODEL, "master")
        assert CANARY in first[0]
        assert heard and not [said for said in heard if CANARY in said]
