"""How addresses are written, what a channel is sent, and when it has taken it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import get_args

import pytest
from apprise import Apprise
from hypothesis import given
from hypothesis import strategies as st

from tasks.base.errors import SpecError
from tasks.service.channels import PUBLIC, Channel, Recipient, addresses, fitted, refusal, request

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "channel", "url", "secret"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack", "", ""),
        ("https://oapi.dingtalk.com/robot/send?access_token=t#SECs", "dingtalk", "", "SECs"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/t#s", "feishu", "", "s"),
        ("https://open.larksuite.com/open-apis/bot/v2/hook/t", "feishu", "", ""),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=k", "wecom", "", ""),
        ("https://alerts.example/hook?key=k", "webhook", "", ""),
        (
            "dingtalk+http://relay.example/send#SECs",
            "dingtalk",
            "http://relay.example/send",
            "SECs",
        ),
        ("mailtos://u:p@smtp.example?to=ops@example.com", "apprise", "", ""),
    ],
)
def test_an_address_says_what_is_there(text: str, channel: Channel, url: str, secret: str) -> None:
    (found,) = addresses(text, "here")
    assert found == Recipient(channel, url or text.partition("#")[0], secret)
    assert addresses(found.written, "here") == [found]  # as it is put on the server
    for shown in (found.shown, repr(found)):
        assert not any(word in shown for word in ("SECs", "access_token", "key=", "u:p", "T/B/x"))


@pytest.mark.parametrize(
    "address",
    [
        "pagerduty://Sesame-1@sesame-2",
        "opsgenie://sesame-1111-2222",
        "join://Sesame-key",
        "ntfy://sesame-topic",
        "ntfys://sesame-topic/?click=a+https://b.example",
        "pover://sesame-user@sesame-token",
        "tgram://sesame:AAH-sesame/12345",
        "a-service-of-tomorrow://sesame",
        # passwords that should have been quoted
        "mailto://sesame:a/b@smtp.example",
        "https://sesame:a/b@hooks.example",
    ],
)
def test_a_host_that_may_be_a_key_is_not_shown(address: str) -> None:
    (found,) = addresses(address, "here")
    assert found.shown == ("webhook" if found.channel == "webhook" else address.partition(":")[0])
    assert found.host == "" and "sesame" not in repr(found).lower()


def test_what_is_shown_as_a_host_is_one_to_apprise() -> None:
    told = {
        scheme: item["details"]
        for item in Apprise().details()["schemas"]
        for scheme in (*(item["protocols"] or ()), *(item["secure_protocols"] or ()))
    }
    for scheme in PUBLIC:
        assert not told[scheme]["tokens"]["host"].get("private")
        for template in told[scheme]["templates"]:
            assert re.match(r"\{schema\}://([^/]*@)?\{host\}", template), template


def test_a_file_of_addresses() -> None:
    text = "# the team\nhttps://a.example/x\n\nhttps://b.example/y https://a.example/x\n"
    assert [item.url for item in addresses(text, "f")] == [
        "https://a.example/x",
        "https://b.example/y",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f: no address; expected an https:// address"),
        ("# only a remark", "f: no address"),
        ("hooks.slack.com/services/sesame", "f: line 1: expected an https:// address"),
        ("https:///sesame", "f: line 1: expected"),
        ("https://me:sesame@a\u2100b.example", "f: line 1: expected"),
        ("https://me:sesame@[::1", "f: line 1: expected"),
        (
            "teams+https://a.example/sesame",
            "the channel before + is not known; one of slack, dingtalk",
        ),
        ("dingtalk://sesame", "give the https:// address of the dingtalk webhook"),
        ("wecombot://sesame", "of the wecom webhook"),
        ("lark://sesame", "of the feishu webhook"),
        ("sesame-open+https://a.example", "is not known; one of slack, dingtalk"),
    ],
)
def test_what_is_wrong_is_told_without_repeating_it(text: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        addresses(text, "f")
    assert said in str(caught.value) and "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("channel", "status", "answer", "said"),
    [
        ("slack", 200, "ok", ""),
        ("slack", 403, "invalid_token", "status 403: invalid_token"),
        ("webhook", 204, "", ""),
        ("webhook", 302, "", "status 302"),
        ("dingtalk", 200, '{"errcode": 0, "errmsg": "ok"}', ""),
        ("dingtalk", 200, '{"errcode": 310000, "errmsg": "keywords"}', "310000: keywords"),
        ("wecom", 200, '{"errcode": 45009, "errmsg": "too often"}', "45009: too often"),
        ("feishu", 200, '{"code": 0, "msg": "success", "data": {}}', ""),
        ("feishu", 200, '{"StatusCode": 0, "StatusMessage": "success"}', ""),
        ("feishu", 200, '{"code": 19024, "msg": "Key Words Not Found"}', "19024: Key Words"),
        ("feishu", 200, "<html>", "it answered as no feishu does: <html>"),
        ("wecom", 200, "[]", "it answered as no wecom does: []"),
    ],
)
def test_what_was_not_taken_is_said(channel: Channel, status: int, answer: str, said: str) -> None:
    found = refusal(channel, status, answer)
    assert found.startswith(said) and bool(found) == bool(said)


def test_nothing_in_a_text_calls_everybody() -> None:
    text = '<!channel> <at user_id="all">all</at> @all'
    _, slack = request(Recipient("slack", "https://s.example"), text, text, NOW)
    assert "<" not in slack["text"]
    _, feishu = request(Recipient("feishu", "https://f.example"), "t", text, NOW)
    assert feishu["content"]["post"]["zh_cn"]["content"] == [[{"tag": "text", "text": text}]]
    for channel in ("dingtalk", "wecom"):
        _, body = request(Recipient(channel, "https://d.example"), "t", text, NOW)
        assert set(body) == {"msgtype", "text"} and set(body["text"]) == {"content"}


@given(st.text(max_size=300), st.integers(20, 400))
def test_what_is_too_long_loses_its_middle(text: str, most: int) -> None:
    found = fitted(text, most)
    assert len(found.encode()) <= most
    assert found == text or "\n…\n" in found


LONG = "rollout models/qwen2-5-72b-instruct: needs approval"
MOST: dict[Channel, int] = {"wecom": 2048, "dingtalk": 20_000, "feishu": 20_000, "slack": 40_000}


@pytest.mark.parametrize("channel", get_args(Channel))
@pytest.mark.parametrize("title", [LONG, "t" * 300, "名" * 1000])
@pytest.mark.parametrize(
    "text", ["x" * 100_000, "它太慢了\n" * 30_000, "<&>\n" * 30_000, "\n" * 60_000]
)
def test_the_whole_of_a_message_fits(channel: Channel, title: str, text: str) -> None:
    """Of what it is sent, title and escapes included."""
    _, body = request(Recipient(channel, "https://c.example"), title, text, NOW)
    if channel in MOST:
        sent = body["text"]["content"] if channel in ("wecom", "dingtalk") else body
        data = sent if isinstance(sent, str) else json.dumps(sent, ensure_ascii=False)
        assert len(data.encode()) <= MOST[channel]


def test_the_link_is_not_what_is_cut() -> None:
    text = "它太慢了" * 600 + "\nreport: https://r.example/1"
    _, body = request(Recipient("wecom", "https://w.example"), "models/chat: rejected", text, NOW)
    content = body["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.startswith("models/chat: rejected\n它") and content.endswith("r.example/1")
