"""To whom a hub's token may go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.spec.file import build_spec
from tasks.spec.hubs import is_modelscope, origin, origins, token_for
from tests.support.specs import minimal

OURS = {"https://modelscope.cn", "https://www.modelscope.cn", "https://modelscope.ai"}
GIVEN = {
    "MODELSCOPE_API_TOKEN": "of-modelscope",
    "MODEL_ROLLOUT_HUB_TOKEN": "of-mirror",
    "MODEL_ROLLOUT_HUB_TOKEN_FOR": "https://mirror.example:8443/",
}


@pytest.mark.parametrize(
    ("endpoint", "token"),
    [
        ("https://modelscope.cn", "of-modelscope"),
        ("https://WWW.modelscope.cn:443/api", "of-modelscope"),
        ("https://www.modelscope.ai/", "of-modelscope"),
        ("https://mirror.example:8443/path", "of-mirror"),
        ("http://modelscope.cn", None),
        ("https://modelscope.cn:8443", None),
        ("https://modelscope.cn.evil.example", None),
        ("https://evil.example/modelscope.cn", None),
        ("https://modelscope.cn@evil.example", None),
        ("https://modelscope.cn\\@evil.example", None),
        ("https://evil.example\\.modelscope.cn", None),
        ("https://modelscope.cn.", None),
        ("https://mirror.example", None),
        ("http://mirror.example:8443", None),
        ("", None),
    ],
)
def test_who_gets_which_token(endpoint: str, token: str | None) -> None:
    assert token_for(endpoint, GIVEN) == token


@pytest.mark.parametrize(
    "address",
    [
        *("http://-a:9", "http://a-:9", "http://a..b:9", "http://.a", f"http://{'a' * 64}"),
        *("http://[1:::2]", "http://[::1", "http://[1.2.3.4]", "http://a:65536", "http://a:b"),
    ],
)
def test_what_no_client_could_open_is_no_address(address: str) -> None:
    assert origin(address) == ""
    with pytest.raises(SpecError, match="an address such as"):
        build_spec(minimal({"records": {"bucket": "records", "endpoint": address}}), "spec")


def test_over_http_only_to_this_machine() -> None:
    for here in ("http://127.0.0.1:81", "http://localhost", "http://[::1]:8000"):
        given_ = {**GIVEN, "MODEL_ROLLOUT_HUB_TOKEN_FOR": here}
        assert token_for(f"{here}/x", given_) == "of-mirror"
    for there in ("http://127.0.0.1.evil.example", "http://10.0.0.1", "http://localhost.example"):
        assert token_for(there, {**GIVEN, "MODEL_ROLLOUT_HUB_TOKEN_FOR": there}) is None


@given(st.text("htps:/@\\.?#modelscope.cn[]%evil \t\n", max_size=40))
@example("https://modelscope.cn\n.evil.example")
def test_an_address_is_modelscopes_only_where_it_begins_with_its_origin(text: str) -> None:
    if is_modelscope(text):
        assert origin(text) in OURS | {"https://www.modelscope.ai"}
        assert text.lower().startswith(origin(text))
        assert text[len(origin(text)) :][:1] in ("", "/", "?", "#", ":")
    assert origins(text) <= {origin(text)} or is_modelscope(text)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"endpoint": "https://m.example", "token_secret": {"name": "s"}}, "endpoint_token"),
        ({"endpoint_token": {"name": "s"}}, "use token_secret"),
        ({"endpoint": "https://modelscope.cn", "endpoint_token": {"name": "s"}}, "token_secret"),
        ({"endpoint": "http://m.example", "endpoint_token": {"name": "s"}}, "https"),
        ({"endpoint": "https://me:pw@m.example"}, "Secret"),
    ],
)
def test_a_spec_that_would_send_a_token_elsewhere_is_refused(
    model: dict[str, Any], words: str
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        build_spec(minimal({"model": model}), "f")
    assert "model" in caught.value.problems[0]


def test_a_hub_of_ones_own_has_its_own_token() -> None:
    model = {"id": "o/n", "endpoint": "https://m.example", "endpoint_token": {"name": "s"}}
    assert build_spec(minimal({"model": model}), "f").model.endpoint_token
