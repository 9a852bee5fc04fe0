"""This machine is asked through no proxy."""

from __future__ import annotations

import httpx
import pytest

from tasks.base.loopback import straight

PROXY = {"http_proxy": "http://proxy:3128"}


def test_where_there_is_no_proxy_nothing_is_said() -> None:
    assert straight({"HOME": "/h", "HTTP_PROXY": ""}) == {"HOME": "/h", "HTTP_PROXY": ""}


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_is_said_already_stays(name: str) -> None:
    found = straight({**PROXY, name: "db.example, 127.0.0.1"})
    assert found["no_proxy"] == found["NO_PROXY"] == "db.example,127.0.0.1,localhost,::1"
    assert straight(found) == found
    assert straight({**PROXY, name: "*"})[name] == "*"


def test_each_name_keeps_its_own() -> None:
    found = straight({**PROXY, "no_proxy": "a", "NO_PROXY": "b"})
    assert found["no_proxy"].startswith("a,127") and found["NO_PROXY"].startswith("b,127")


def test_what_speaks_http_here_goes_straight(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in straight({**PROXY, "HTTPS_PROXY": "http://proxy:3128"}).items():
        monkeypatch.setenv(name, value)
    with httpx.Client() as client:
        for host in ("127.0.0.1:4200", "localhost", "[::1]:4200"):
            assert client._transport_for_url(httpx.URL(f"http://{host}/api")) is client._transport
        assert client._transport_for_url(httpx.URL("http://hub.example")) is not client._transport
