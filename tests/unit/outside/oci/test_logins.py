"""Which login of a docker configuration an image gets, and where it is looked for."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tasks.base.errors import OutsideError
from tasks.outside.oci.logins import KeyRing, Login, login_of
from tasks.spec.images import pull_secrets, reference

BOT = {"username": "bot", "password": "pull-it"}
IMAGE = "harbor.example:5443/hcu/vllm:1"


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def secret(**auths: Any) -> dict[str, Any]:
    return {"data": {".dockerconfigjson": encoded(json.dumps({"auths": auths}))}}


@pytest.mark.parametrize(
    ("key", "image", "fits"),
    [
        ("harbor.example:5443", IMAGE, True),
        ("https://harbor.example:5443/v2/", IMAGE, True),
        ("harbor.example:5443/hcu", IMAGE, True),
        ("harbor.example:5443/hc", IMAGE, False),
        ("harbor.example:5443/dcu", IMAGE, False),
        ("harbor.example", IMAGE, False),
        ("*.example:5443", IMAGE, True),
        ("*.example:5443", "a.b.example:5443/x:1", False),
        ("*", IMAGE, False),
        ("https://index.docker.io/v1/", "vllm/vllm-openai:v1", True),
        ("docker.io", "vllm/vllm-openai:v1", True),
        ("harbor.example:5443", "vllm/vllm-openai:v1", False),
        ("https://index.docker.io/v1/", IMAGE, False),
    ],
)
def test_whose_login_it_is(key: str, image: str, fits: bool) -> None:
    found = login_of({"auths": {key: BOT}}, reference(image))
    assert found == (Login("bot", "pull-it") if fits else None)


def test_the_narrowest_one_wins() -> None:
    auths = {
        "harbor.example:5443": BOT,
        "harbor.example:5443/hcu": {"auth": encoded("hcu:of:hcu")},
    }
    assert login_of({"auths": auths}, reference(IMAGE)) == Login("hcu", "of:hcu")


@pytest.mark.parametrize("entry", [{}, {"auth": "%"}, {"auth": encoded("bot")}, "x", None])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_no_login(entry: Any, whole: bool) -> None:
    config = {"auths": {"harbor.example:5443": entry}} if whole else {"auths": entry}
    assert login_of(config, reference(IMAGE)) is None


def test_a_login_does_not_show_its_word() -> None:
    assert "pull-it" not in repr(Login("bot", "pull-it"))


def test_pull_secrets_come_before_the_docker_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    file = {"username": "file", "password": "of-the-file"}
    text = json.dumps({"auths": {"harbor.example:5443": file}})
    (tmp_path / "config.json").write_text(text)

    def read(name: str) -> Any:
        if name == "barred":
            raise OutsideError("may not be read")
        return {"empty": secret(), "bot": secret(**{"harbor.example:5443": BOT})}.get(name)

    ring = KeyRing(("barred", "gone", "empty", "bot"), read)
    assert ring.login(reference(IMAGE)) == Login("bot", "pull-it")
    assert ring.looked[0] == "Secret barred (may not be read)" and len(ring.looked) == 4
    ring = KeyRing(("barred",), read)
    assert ring.login(reference(IMAGE)) == Login("file", "of-the-file")
    assert ring.login(reference("other.example/x:1")) is None


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"auths": []}'])
def test_a_configuration_that_cannot_be_read_has_no_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(text)
    assert KeyRing((), lambda name: None).login(reference(IMAGE)) is None


def test_the_secrets_that_a_pod_names() -> None:
    assert pull_secrets({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}) == ("a", "b")
    assert pull_secrets({}) == pull_secrets({"imagePullSecrets": "a"}) == ()
