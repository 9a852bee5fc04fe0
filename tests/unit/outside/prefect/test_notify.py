"""Each channel, told on loopback by the block that Prefect's server uses, as that does it.

Slack, DingTalk, Feishu and WeCom are named (`slack+http://...`), since their own hosts are not
here; mail goes by Apprise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from apprise import NotifyBase, NotifyFormat
from prefect.blocks.abstract import NotificationError
from pydantic import SecretStr

from tasks.base import clock
from tasks.base.clock import FakeClock
from tasks.outside.prefect import notify
from tasks.outside.prefect.notify import (
    DEADLINE_S,
    HUNG_S,
    PAUSES_S,
    SHORT_S,
    RolloutNotices,
    told,
)
from tasks.service.channels import Recipient
from tests.support.heard.mail import mailbox
from tests.support.heard.serving import served
from tests.support.heard.webhooks import Webhooks, webhooks
from tests.support.places import ROOT
from tests.support.waiting import until

TITLE = "models/chat: rejected"
SENTENCE = "ttft_p95_ms @ c4 <= 800: measured 950"
LINK = "https://reports.example/chat/r-1/report.html"
TEXT = f"{SENTENCE}\nmet: success_rate_percent\nreport: {LINK}"


@pytest.fixture
def heard() -> Iterator[Webhooks]:
    with webhooks() as found:
        yield found


async def tell(*addresses: str) -> None:
    """As the action `send-notification` does."""
    block = RolloutNotices(addresses=SecretStr("\n".join(addresses)))
    with block.raise_on_failure():
        await block.notify(subject=TITLE, body=TEXT)


def signed(key: str, message: str) -> str:
    return base64.b64encode(hmac.digest(key.encode(), message.encode(), hashlib.sha256)).decode()


async def test_slack(heard: Webhooks) -> None:
    await tell(f"slack+{heard.url}/services/T/B/x")
    (body,) = heard.bodies("/services/T/B/x")
    title, *lines = body["text"].splitlines()
    assert title == f"*{TITLE}*"
    assert lines[0] == SENTENCE.replace("<", "&lt;") and lines[-1] == f"report: {LINK}"


async def test_dingtalk_with_its_signature(heard: Webhooks) -> None:
    await tell(f"dingtalk+{heard.url}/robot/send?access_token=tok-1#SECsesame")
    ((path, body),) = heard.came
    asked = parse_qs(urlsplit(path).query)
    (stamp,) = asked["timestamp"]
    assert asked["access_token"] == ["tok-1"]
    assert asked["sign"] == [signed("SECsesame", f"{stamp}\nSECsesame")]
    assert body == {"msgtype": "text", "text": {"content": f"{TITLE}\n{TEXT}"}}


async def test_feishu_with_its_signature(heard: Webhooks) -> None:
    await tell(f"feishu+{heard.url}/open-apis/bot/v2/hook/tok-1#sesame")
    (body,) = heard.bodies("/open-apis/bot/v2/hook/tok-1")
    assert body["sign"] == signed(f"{body['timestamp']}\nsesame", "")
    post = body["content"]["post"]["zh_cn"]
    assert (body["msg_type"], post["title"]) == ("post", TITLE)
    assert post["content"][0] == [{"tag": "text", "text": SENTENCE}]
    assert post["content"][-1][-1] == {"tag": "a", "text": LINK, "href": LINK}


async def test_wecom(heard: Webhooks) -> None:
    await tell(f"wecom+{heard.url}/cgi-bin/webhook/send?key=k-1")
    ((path, body),) = heard.came
    assert path == "/cgi-bin/webhook/send?key=k-1"
    assert body == {"msgtype": "text", "text": {"content": f"{TITLE}\n{TEXT}"}}


async def test_a_webhook_of_ones_own(heard: Webhooks) -> None:
    await tell(f"{heard.url}/hooks/rollouts?key=k-1")
    assert heard.came == [("/hooks/rollouts?key=k-1", {"title": TITLE, "text": TEXT})]


async def test_mail() -> None:
    with mailbox() as (port, came):
        await tell(f"mailto://127.0.0.1:{port}?from=rollouts@example.com&to=ops@example.com")
    (mail,) = came
    assert mail["subject"] == TITLE and "ops@example.com" in mail["to"]
    body = mail.get_body(("plain",))
    assert body is not None
    said = body.get_content()
    assert SENTENCE in said and LINK in said


MARKUP = "it said <a href='https://evil.example'>sign in</a> [sign in](https://evil.example)"


def test_a_mail_is_text_line_by_line() -> None:
    """What a model or a hub says stands in it, and is nobody's page."""
    with mailbox() as (port, came):
        to = Recipient("apprise", f"mailto://127.0.0.1:{port}?from=a@example.com&to=b@example.com")
        assert told(to, TITLE, f"{MARKUP}\n{TEXT}") == ""
    (mail,) = came
    assert [part.get_content_type() for part in mail.walk()] == ["text/plain"]
    assert mail.get_content().splitlines() == [MARKUP, *TEXT.splitlines()]


@pytest.mark.parametrize(
    ("address", "format_"),
    [
        ("mailto://u:p@smtp.example?to=b@example.com&format=html", NotifyFormat.TEXT),
        # it takes HTML alone, and Apprise escapes what is none
        ("tgram://123456789:AAHabcdefghijklmnopqrstuvwxyz-12345/1234", NotifyFormat.HTML),
        # of Markdown it escapes nothing
        ("workflows://w.example/workflow/signature", NotifyFormat.TEXT),
        ("ntfys://topic", NotifyFormat.TEXT),
    ],
)
def test_no_channel_is_sent_markup(address: str, format_: NotifyFormat) -> None:
    client = notify._OfApprise(url=SecretStr(address))._apprise_client
    (service,) = client
    assert isinstance(service, NotifyBase) and service.notify_format is format_
    calls = client._create_notify_gen(f"{MARKUP}\n<b>", TITLE)  # type: ignore[no-untyped-call]
    for _, sent in calls:
        assert sent["body_format"] is NotifyFormat.TEXT
        assert ("<a href" in sent["body"]) == (format_ is NotifyFormat.TEXT)


async def test_who_takes_nothing_is_named_and_keeps_the_others_from_nothing(
    heard: Webhooks, caplog: pytest.LogCaptureFixture
) -> None:
    """DingTalk, WeCom and Feishu refuse with status 200."""
    heard.answers = {
        "/ding": (200, '{"errcode": 310000, "errmsg": "sign not match for tok-sesame-1"}'),
        "/fei": (200, '{"code": 19021, "msg": "sign match fail"}'),
        "/we": (200, '{"errcode": 93000, "errmsg": "invalid webhook url"}'),
        "/slack": (404, "no_team"),
    }
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotificationError) as caught:
        await tell(
            f"dingtalk+{heard.url}/ding?access_token=tok-sesame-1#SEC-sesame-2",
            f"feishu+{heard.url}/fei",
            f"wecom+{heard.url}/we",
            f"slack+{heard.url}/slack",
            f"{heard.url}/good",
        )
    said = caught.value.log.splitlines()
    assert [line.partition(" at ")[0] for line in said] == ["dingtalk", "feishu", "wecom", "slack"]
    for line, why in zip(
        said, ("310000: sign", "19021: sign", "93000: inv", "404: no_"), strict=True
    ):
        assert why in line
    assert len(heard.bodies("/good")) == 1 and len(heard.came) == 5
    assert "sesame-2" not in caplog.text and "access_token=tok" not in caplog.text


async def test_an_answer_that_repeats_the_address_tells_nobody_the_way_in(heard: Webhooks) -> None:
    word = "0f1e2d3c4b5a69788796"
    path = f"/hook/{word}"
    heard.answers = {path: (404, f"Cannot POST {path}?key=open-sesame: no key open-sesame")}
    with pytest.raises(NotificationError) as caught:
        await tell(f"{heard.url}{path}?key=open-sesame")
    assert "404: Cannot POST /hook/***" in caught.value.log
    assert word not in caught.value.log and "sesame" not in caught.value.log


async def test_of_an_apprise_address_its_kind_alone_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(to: Recipient, *_: object) -> str:
        who, at, place = urlsplit(to.url).netloc.rpartition("@")
        return f"no {who}{at}{place}, {place.lower()}, {unquote(place)}"

    monkeypatch.setattr(notify, "_send", refused)
    with pytest.raises(NotificationError) as caught:
        await tell("pagerduty://Sesame-1@Sesame-2", "ntfy://sesame-topic", "ntfy://sesame%20four")
    lines = caught.value.log.splitlines()
    assert [line.partition(" was not told: ")[0] for line in lines] == [
        "pagerduty", "ntfy (address 2)", "ntfy (address 3)",
    ]  # fmt: skip
    assert "sesame" not in (caught.value.log + caplog.text).lower()


class Waited(FakeClock):
    """And when it was slept."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


@pytest.mark.parametrize(
    ("path", "said"), [("/busy", "503: soon"), ("/many", "status 429"), ("", "refused")]
)
async def test_a_trouble_that_may_pass_is_tried_again(
    heard: Webhooks, path: str, said: str
) -> None:
    heard.answers = {"/busy": (503, "soon"), "/many": (429, "")}
    with clock.use(Waited()) as time, pytest.raises(NotificationError) as caught:
        await tell(f"{heard.url}{path}" if path else "http://127.0.0.1:9/gone")
    assert isinstance(time, Waited) and tuple(time.slept) == PAUSES_S
    assert said in caught.value.log.lower() and len(heard.bodies(path)) == (3 if path else 0)


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[int]]]:
    """An address that takes a message and never answers, and how often it was called. What has two
    seconds has one here; the others have all their time, also on a busy machine."""
    monkeypatch.setattr(notify, "SHORT_S", 1.0)
    monkeypatch.setattr(notify, "_hung", {})
    over, called = threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            called.append(1)
            over.wait(60)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with served(server):
        try:
            yield f"http://127.0.0.1:{server.server_port}/x", called
        finally:
            over.set()


async def test_one_that_hangs_is_called_once_and_the_others_are_told(
    heard: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hanging(monkeypatch) as (address, called):
        for said in ("no answer in 10 s", "no answer in 1 s"):  # it hung lately: one short try
            with pytest.raises(NotificationError) as caught:
                await tell(address, f"{heard.url}/good")
            assert caught.value.log == f"webhook at 127.0.0.1 (address 1) was not told: {said}"
        until(lambda: len(called) == 2, every_s=0.02)  # it may hear of a call when that is over
    assert len(heard.bodies("/good")) == 2


def test_what_hung_long_ago_or_answers_again_has_its_time_again(
    heard: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = Recipient("webhook", f"{heard.url}/good")
    monkeypatch.setattr(notify, "_hung", {to: 0.0})
    with clock.use(FakeClock()) as time:
        assert notify._patience(to) == SHORT_S
        assert told(to, TITLE, TEXT, SHORT_S) == ""
        assert notify._patience(to) == DEADLINE_S
        monkeypatch.setattr(notify, "_hung", {to: 0.0})
        time.sleep(HUNG_S)
        assert notify._patience(to) == DEADLINE_S


def test_the_tries_of_one_message_have_one_deadline() -> None:
    assert sum(PAUSES_S) < DEADLINE_S and SHORT_S < DEADLINE_S


async def test_an_address_that_a_person_wrote_wrong_in_the_ui_is_told() -> None:
    with pytest.raises(NotificationError) as caught:
        await tell("dingtalk://sesame")
    assert "the block's addresses: line 1: dingtalk:// does not tell a refusal" in caught.value.log
    assert "sesame" not in caught.value.log


async def test_an_address_that_no_client_opens_is_told_at_once_and_without_it() -> None:
    with pytest.raises(NotificationError) as caught:
        await tell(f"http://{'a' * 70}.example/sesame-open")
    assert "its address or its answer is none" in caught.value.log
    assert "no answer in" not in caught.value.log and "sesame" not in caught.value.log


def test_the_addresses_are_a_secret_of_the_block() -> None:
    block = RolloutNotices(addresses=SecretStr("https://hooks.example/sesame"))
    assert "sesame" not in repr(block)
    assert RolloutNotices.model_json_schema()["secret_fields"] == ["addresses"]
    assert block.get_block_capabilities() >= {"notify"}


def test_the_server_finds_the_block_by_its_entry_point() -> None:
    """Where this fails for the second one, the environment is older than pyproject.toml: `make
    setup`."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert asked == {"prefect.collections": {"model_rollout": RolloutNotices.__module__}}
    found = {item.value for item in entry_points(group="prefect.collections")}
    assert RolloutNotices.__module__ in found
