"""A registry as the OCI distribution API has it, on loopback: asked by HEAD, without a login."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.oci import registry
from tasks.outside.oci.registry import digest_of_image

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


@dataclass
class Registry:
    """How it answers, and what it was asked. token: what it wants, from `realm`; says: whether it
    names the digest."""

    port: int = 0
    token: str = ""
    realm: str = ""
    status: int = 200
    says: bool = True
    asked: list[str] = field(default_factory=list)

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.port}/team/vllm:1"


@pytest.fixture
def served() -> Iterator[Registry]:
    state = Registry()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            state.asked.append(f"{self.command} {self.path}")
            if self.path.startswith("/token"):
                return self.answer(200, {}, json.dumps({"token": state.token}).encode())
            if state.token and self.headers.get("Authorization") != f"Bearer {state.token}":
                login = f'Bearer realm="{state.realm}",service="here",scope="x"'
                return self.answer(401, {"WWW-Authenticate": login})
            digest = {"Docker-Content-Digest": DIGEST} if state.says else {}
            return self.answer(state.status, digest, MANIFEST)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    state.realm = f"http://127.0.0.1:{state.port}/token"
    Thread(target=server.serve_forever, daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def test_one_request_that_brings_no_image(served: Registry) -> None:
    assert digest_of_image(served.image) == DIGEST
    assert served.asked == ["HEAD /v2/team/vllm/manifests/1"]


def test_a_registry_that_does_not_say_it_is_asked_for_the_manifest(served: Registry) -> None:
    served.says = False
    assert digest_of_image(served.image) == DIGEST
    assert [line.partition(" ")[0] for line in served.asked] == ["HEAD", "GET"]


def test_a_manifest_that_does_not_end_is_not_read(
    served: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.says = False
    monkeypatch.setattr(registry, "MOST_BYTES", 3)
    with pytest.raises(OutsideError, match="a manifest of more than 3 bytes"):
        digest_of_image(served.image)


def test_a_token_for_anybody_is_asked_for_where_it_says(served: Registry) -> None:
    served.token = served.realm[-5:]
    assert digest_of_image(served.image) == DIGEST
    assert "scope=repository%3Ateam%2Fvllm%3Apull&service=here" in served.asked[1]


@pytest.mark.parametrize("realm", ["http://evil.example/token", "", "ftp://x"])
def test_a_token_is_asked_for_in_the_clear_nowhere(served: Registry, realm: str) -> None:
    served.token, served.realm = "secret", realm
    with pytest.raises(OutsideError, match=r"without a login \(401\).*name the image by its dig"):
        digest_of_image(served.image)
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, r"without a login \(403\)"),
        (404, r"does not know .*/team/vllm:1 \(404\)"),
        (500, "did not tell what .* is now .*500"),
    ],
)
def test_what_it_does_not_tell_is_an_error_with_words(
    served: Registry, status: int, said: str
) -> None:
    served.status = status
    with pytest.raises(OutsideError, match=said):
        digest_of_image(served.image)


def test_a_registry_that_is_down(served: Registry) -> None:
    with pytest.raises(OutsideError, match=r"registry 127\.0\.0\.1:9 did not tell"):
        digest_of_image("127.0.0.1:9/team/vllm:1")


def test_an_image_by_digest_is_that_and_nobody_is_asked(served: Registry) -> None:
    assert digest_of_image(f"{served.image}@{DIGEST}") == DIGEST and not served.asked


def test_what_is_no_image() -> None:
    with pytest.raises(OutsideError, match=r"serving\.image: 'A B' names no image"):
        digest_of_image("A B")
