"""Where notices go: how an address is written, what each channel is sent, and what it says to it.

Slack, DingTalk, Feishu and WeCom are spoken to by their webhooks' own addresses. Apprise speaks to
the last three as well, but takes a refusal for a success: they refuse with status 200.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlencode, urlsplit

from tasks.base.errors import SpecError

Channel = Literal["slack", "dingtalk", "feishu", "wecom", "webhook", "apprise"]
HOSTS: Mapping[str, Channel] = {
    "hooks.slack.com": "slack",
    "hooks.slack-gov.com": "slack",
    "oapi.dingtalk.com": "dingtalk",
    "open.feishu.cn": "feishu",
    "open.larksuite.com": "feishu",
    "qyapi.weixin.qq.com": "wecom",
}
_BY_APPRISE: Mapping[str, Channel] = {
    "dingtalk": "dingtalk",
    "feishu": "feishu",
    "lark": "feishu",
    "wecombot": "wecom",
}
# Apprise's schemes whose host is a public name. Many others have a key or a topic in its place, and
# so may one that comes: a test holds these to what Apprise says of them
PUBLIC = frozenset(
    kind + secured
    for kind in ("mailto", "json", "xml", "form", "gotify", "mmost")
    for secured in ("", "s")
)
# bytes of a whole message that a channel takes
_MOST: Mapping[Channel, int] = {
    "slack": 30_000,
    "dingtalk": 18_000,
    "feishu": 18_000,
    "wecom": 2_048,
}
_MOST_TITLE = 300  # names have an end, what a person called an automation has none
_LINK = re.compile(r"(?P<label>[\w ]+): (?P<address>https?://\S+)")
_EXPECTED = (
    "expected an https:// address of a webhook (Slack, DingTalk, Feishu and WeCom are known by "
    "their hosts), `slack+https://...` and the like for a host of your own, or an address that "
    "Apprise knows, as mailtos://USER:PASSWORD@HOST?to=ADDRESS"
)


@dataclass(frozen=True)
class Recipient:
    """One that is told. secret: it signs with that. Neither is for a log: `shown` is."""

    channel: Channel
    url: str = field(repr=False)
    secret: str = field(default="", repr=False)

    @property
    def written(self) -> str:
        """As it is read."""
        if self.channel == "apprise":
            return self.url
        return f"{self.channel}+{self.url}{f'#{self.secret}' if self.secret else ''}"

    @property
    def host(self) -> str:
        """Where it is, for a person; '' where that may be a part of what lets one write there."""
        parts = urlsplit(self.url)
        if self.channel == "apprise" and parts.scheme not in PUBLIC:
            return ""
        # behind an @ that comes so late the host would be: a / in a password is not quoted
        return "" if "@" in parts.path else parts.hostname or ""

    @property
    def shown(self) -> str:
        """Without what lets one write there."""
        kind = urlsplit(self.url).scheme if self.channel == "apprise" else self.channel
        return f"{kind} at {self.host}" if self.host else kind


def addresses(text: str, where: str) -> list[Recipient]:
    """Addresses, one a line, or apart by blanks; a line that begins with # is a remark.

    where: what gave them. Raises SpecError, which repeats none of them.
    """
    lines = enumerate(text.splitlines(), 1)
    words = [(at, word) for at, line in lines if not line.startswith("#") for word in line.split()]
    found, wrong = [], []
    for at, word in words:
        try:
            found.append(_address(word))
        except ValueError as error:
            wrong.append(f"{where}: line {at}: {error}")
    if not words:
        wrong.append(f"{where}: no address; {_EXPECTED}")
    if wrong:
        raise SpecError(wrong)
    return list(dict.fromkeys(found))


def _address(word: str) -> Recipient:
    kind, plus, rest = word.partition("+")
    known = {name: name for name in get_args(Channel) if name != "apprise"}
    if plus and "://" not in kind and rest.startswith(("http://", "https://")):
        if kind not in known:
            raise ValueError(f"the channel before + is not known; one of {', '.join(known)}")
        channel, url = known[kind], rest
    else:
        channel, url = None, word
    try:
        parts = urlsplit(url)
    except ValueError:  # which says the address, with what is secret in it
        raise ValueError(_EXPECTED) from None
    if not parts.scheme or "://" not in url:
        raise ValueError(_EXPECTED)
    if parts.scheme not in ("http", "https"):
        if (better := _BY_APPRISE.get(parts.scheme)) is not None:
            raise ValueError(
                f"{parts.scheme}:// does not tell a refusal; give the https:// address of the "
                f"{better} webhook as its page shows it, with #SECRET at its end where it signs"
            )
        return Recipient("apprise", url)
    if not parts.hostname:
        raise ValueError(_EXPECTED)
    channel = channel or HOSTS.get(parts.hostname, "webhook")
    return Recipient(channel, parts._replace(fragment="").geturl(), parts.fragment)


def request(to: Recipient, title: str, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """Where a notice is posted, and what, as JSON."""
    url, body = to.url, _fitting(to.channel, title, text)
    if not to.secret:
        return url, body
    if to.channel == "dingtalk":
        stamp = str(int(now.timestamp() * 1000))
        more = urlencode({"timestamp": stamp, "sign": _sign(to.secret, f"{stamp}\n{to.secret}")})
        url = f"{url}{'&' if '?' in url else '?'}{more}"
    if to.channel == "feishu":
        stamp = str(int(now.timestamp()))
        body |= {"timestamp": stamp, "sign": _sign(f"{stamp}\n{to.secret}", "")}
    return url, body


def _fitting(channel: Channel, title: str, text: str) -> dict[str, Any]:
    """A message that is not too large as it is sent: with its title, and what a channel's own
    writing makes of a text."""
    title = title.encode()[:_MOST_TITLE].decode(errors="ignore")
    left = most = _MOST.get(channel, 1 << 20)
    while True:
        body = _message(channel, title, fitted(text, left))
        size = len(json.dumps(body, ensure_ascii=False).encode())
        if size <= most:
            return body
        left = left * most // size


def _message(channel: Channel, title: str, text: str) -> dict[str, Any]:
    match channel:
        case "slack":
            return {"text": f"*{_slack(title)}*\n{_slack(text)}"}
        case "dingtalk" | "wecom":
            return {"msgtype": "text", "text": {"content": f"{title}\n{text}"}}
        case "feishu":
            lines = [_feishu(line) for line in text.splitlines() if line]
            post = {"zh_cn": {"title": title, "content": lines}}
            return {"msg_type": "post", "content": {"post": post}}
        case _:
            return {"title": title, "text": text}


def refusal(channel: Channel, status: int, answer: str) -> str:
    """Why a channel did not take a notice; '' where it did."""
    short = " ".join(answer.split())[:300]
    if not 200 <= status < 300:
        return f"status {status}: {short}" if short else f"status {status}"
    if channel not in ("dingtalk", "feishu", "wecom"):
        return ""
    try:
        said = json.loads(answer)
        code = said.get("errcode", said.get("code", said.get("StatusCode")))
    except (ValueError, AttributeError):
        return f"it answered as no {channel} does: {short}"
    if code == 0:
        return ""
    return f"{code}: {said.get('errmsg') or said.get('msg') or short}"


def fitted(text: str, most: int) -> str:
    """A text of at most so many bytes: what is too much goes from its middle, since what it is
    about comes first and the links come last."""
    data = text.encode()
    if len(data) <= most:
        return text
    mark = "\n…\n"
    tail = most // 2
    head = most - tail - len(mark.encode())
    return data[:head].decode(errors="ignore") + mark + data[-tail:].decode(errors="ignore")


def _sign(key: str, message: str) -> str:
    return base64.b64encode(
        hmac.new(key.encode(), message.encode(), hashlib.sha256).digest()
    ).decode()


def _slack(text: str) -> str:
    """Its three signs: what stands between them would be a link, or call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _feishu(line: str) -> list[dict[str, str]]:
    if (link := _LINK.fullmatch(line)) is None:
        return [{"tag": "text", "text": line}]
    return [
        {"tag": "text", "text": f"{link['label']}: "},
        {"tag": "a", "text": link["address"], "href": link["address"]},
    ]
