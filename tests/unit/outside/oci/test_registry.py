"""A registry as the OCI distribution API has it, on loopback: asked by HEAD, with a login only
where it wants one, and only where nobody reads it on the way."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.base.scrub import mask
from tasks.outside.oci import registry
from tasks.outside.oci.logins import KeyRing
from tasks.outside.oci.registry import digest_of_image as asked_with

MANIFEST = b'{"schemaVersion": 2, "manifests": []}'
KIND = "application/vnd.oci.image.index.v1+json"
NONCES = (str(at).encode() for at in count())
DIGEST = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"


WORD = "s3cret-of-the-bot"
LOGIN = "Basic " + b64encode(f"bot:{WORD}".encode()).decode()


def digest_of_image(image: str) -> str:
    """With the logins of this process's docker configuration alone."""
    return asked_with(image, KeyRing((), lambda name: pytest.fail(f"asked for Secret {name}")))


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The docker configuration of this process; it is not there yet."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


@dataclass
class Registry:
    """How it answers, and what it was asked. token: what it wants, from `realm`; says: whether it
    names the digest; kind, manifest: what it sends; login_page: where it sends one instead of that.
    scheme: of its challenge. login: what it takes for its token, '' for anything. gives: status and
    body of the realm, where it gives no token. heard: every Authorization, by path. moved: where
    the realm sends one on. dribbles: until then, its headers come byte by byte."""

    port: int = 0
    token: str = ""
    realm: str = ""
    status: int = 200
    says: bool = True
    kind: str = KIND
    manifest: bytes = MANIFEST
    login_page: str = ""
    gives: tuple[int, bytes] | None = None
    dribbles: Event | None = None
    scheme: str = "Bearer"
    login: str = ""
    moved: str = ""
    heard: list[tuple[str, str]] = field(default_factory=list)
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
            if state.dribbles:
                while not state.dribbles.wait(0.01):
                    self.wfile.write(b"H")
                return None
            if self.path.startswith("/login"):
                return self.answer(200, {"Content-Type": "text/html"}, b"<html>" + next(NONCES))
            if state.login_page:
                return self.answer(302, {"Location": state.login_page})
            said = self.headers.get("Authorization", "")
            if said:
                state.heard.append((self.path.partition("?")[0], said))
            if self.path.startswith("/token"):
                if state.moved:
                    return self.answer(302, {"Location": state.moved})
                if state.login and said != state.login:
                    return self.answer(401, {})
                given = state.gives or (200, json.dumps({"token": state.token}).encode())
                return self.answer(given[0], {"Content-Type": "text/plain"}, given[1])
            wanted = state.login if state.scheme == "Basic" else f"Bearer {state.token}"
            if state.token and said != wanted:
                login = f'{state.scheme} realm="{state.realm}",service="here",scope="x"'
                return self.answer(401, {"WWW-Authenticate": login})
            digest = {"Docker-Content-Digest": DIGEST} if state.says else {}
            return self.answer(state.status, {**digest, "Content-Type": state.kind}, state.manifest)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    state.realm = f"http://127.0.0.1:{state.port}/token"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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
    with pytest.raises(OutsideError, match=r"manifests/1 answered application/.* of more than 3 b"):
        digest_of_image(served.image)


def test_a_login_page_before_it_is_no_image(served: Registry) -> None:
    served.login_page = "/login?signature=1"
    for _ in range(2):  # each has another nonce, and would have another hash
        with pytest.raises(OutsideError) as found:
            digest_of_image(served.image)
        assert (
            f"http://127.0.0.1:{served.port}/login answered text/html that begins '<html>"
        ) in str(found.value)
        assert "the manifest of an image was expected: is that the registry" in str(found.value)
        assert "signature" not in str(found.value)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b"\xff", b"[" * 9999, b'{"schemaVersion": 2}'),
        *(b'{"schemaVersion": 1, "layers": []}', b'{"errors": [{"code": "DENIED"}]}'),
    ],
)
@pytest.mark.parametrize("kind", [KIND, "application/json"])
def test_what_is_no_manifest_has_no_digest(served: Registry, kind: str, body: bytes) -> None:
    served.says, served.kind, served.manifest = False, kind, body
    with pytest.raises(OutsideError, match=f"manifests/1 answered {kind.partition('+')[0]}"):
        digest_of_image(served.image)


def test_a_digest_counts_beside_a_manifest_alone(served: Registry) -> None:
    served.kind, served.manifest = "text/html", b"<html>"
    with pytest.raises(OutsideError, match="answered text/html that begins '<html>'"):
        digest_of_image(served.image)
    served.kind, served.manifest = f"{KIND}; charset=utf-8", b""
    assert digest_of_image(served.image) == DIGEST


def test_an_answer_that_dribbles_ends(served: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "ANSWER_S", 0.1)
    served.dribbles = Event()
    with pytest.raises(OutsideError, match=r"is now \(no whole answer in 0\.1 s\); it is asked ag"):
        digest_of_image(served.image)
    served.dribbles.set()


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        ((200, b"<html>"), "token answered text/plain that begins '<html>', and a token was exp"),
        ((200, b'{"token": ["x"]}'), "token answered text/plain, and a token was expected"),
        ((200, b"{}"), "token answered text/plain that begins '{}', and a token was expected"),
        ((429, b""), "429"),
        ((503, b""), "503"),
    ],
)
def test_a_realm_that_does_not_answer_is_told_itself(
    served: Registry, gives: tuple[int, bytes], said: str
) -> None:
    served.token, served.gives = "pull-token", gives
    with pytest.raises(OutsideError, match=said) as found:
        digest_of_image(served.image)
    assert "give it a login" not in str(found.value)


def test_a_token_for_anybody_is_asked_for_where_it_says(served: Registry) -> None:
    served.token = served.realm[-5:]
    assert digest_of_image(served.image) == DIGEST
    assert "scope=repository%3Ateam%2Fvllm%3Apull&service=here" in served.asked[1]


@pytest.mark.parametrize("realm", ["http://evil.example/token", "", "ftp://x"])
def test_a_token_is_asked_for_in_the_clear_nowhere(served: Registry, realm: str) -> None:
    served.token, served.realm = "secret", realm
    with pytest.raises(OutsideError, match=r"what .* is \(401\).*name the image by its"):
        digest_of_image(served.image)
    assert len(served.asked) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, r"does not tell what .* is \(403\): give it a login"),
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


def knows(config: Path, served: Registry, place: str = "") -> None:
    """The docker configuration has a login for it."""
    auths = {place or f"127.0.0.1:{served.port}": {"auth": LOGIN.removeprefix("Basic ")}}
    config.write_text(json.dumps({"auths": auths}))


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_login_goes_where_the_registry_says(served: Registry, config: Path, scheme: str) -> None:
    served.token, served.scheme, served.login = "pull-token", scheme, LOGIN
    knows(config, served)
    assert digest_of_image(served.image) == DIGEST
    manifest = "/v2/team/vllm/manifests/1"
    first = ("/token", LOGIN) if scheme == "Bearer" else (manifest, LOGIN)
    assert served.heard[0] == first
    assert served.heard[1:] == ([(manifest, "Bearer pull-token")] if scheme == "Bearer" else [])
    # whatever tells of it from here on hides it
    assert WORD not in mask(f"it said {WORD}") and LOGIN[6:] not in mask(f"it said {LOGIN}")


def test_who_is_not_asked_for_a_login_gets_none(served: Registry, config: Path) -> None:
    knows(config, served)
    assert digest_of_image(served.image) == DIGEST and served.heard == []


@pytest.mark.parametrize("realm", ["http://evil.example/token", "ftp://x", ""])
def test_a_login_goes_nowhere_in_the_clear(served: Registry, config: Path, realm: str) -> None:
    served.token, served.realm = "pull-token", realm
    knows(config, served)
    with pytest.raises(OutsideError, match=r"\(401\)"):
        digest_of_image(served.image)
    assert served.heard == []


def test_a_login_follows_no_redirection(served: Registry, config: Path) -> None:
    served.token, served.moved = "pull-token", f"http://localhost:{served.port}/v2/elsewhere"
    knows(config, served)
    with pytest.raises(OutsideError, match=r"\(401\)"):
        digest_of_image(served.image)
    assert [path for path, _ in served.heard] == ["/token"]


def test_a_login_of_another_registry_is_not_used(served: Registry, config: Path) -> None:
    served.token, served.login = "pull-token", LOGIN
    knows(config, served, "registry.example")
    with pytest.raises(OutsideError) as found:
        digest_of_image(served.image)
    assert served.heard == [] and f"looked for in {config}" in str(found.value)
    assert WORD not in str(found.value)
