"""The block that knows whom to tell. Prefect's server sends notices by it, and so nobody is left
untold because a worker has died: where model-rollout is installed beside the server, that finds
this class by its entry point (`prefect.collections`).
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import httpx
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.notifications import AppriseNotificationBlock
from prefect.utilities.asyncutils import run_sync_in_worker_thread
from pydantic import Field, SecretStr

from tasks.base import clock
from tasks.base.errors import SpecError
from tasks.base.scrub import hold, mask, masked
from tasks.service.channels import Recipient, addresses, refusal, request
from tasks.service.notices import BLOCK

TIMEOUT_S = 10.0
PAUSES_S = (2.0, 8.0)  # between tries, where it may be a trouble that passes
_TELLING = 16  # shorter words of a path are words
_log = logging.getLogger(__name__)

for _name in ("httpx", "httpcore", "apprise"):  # they tell addresses as they are
    logging.getLogger(_name).addFilter(masked)


class _Passing(Exception):
    """It may go by itself."""


class RolloutNotices(NotificationBlock):
    """Tells people what becomes of rollouts, at Slack, DingTalk, Feishu, WeCom, any webhook, and
    whatever Apprise knows."""

    _block_type_name = "Model Rollout Notices"
    _block_type_slug = BLOCK

    addresses: SecretStr = Field(
        title="Addresses",
        description="Of webhooks, as their pages show them, and of Apprise (mailtos://...); apart "
        "by blanks. One that signs has #SECRET at its end.",
    )

    async def notify(self, body: str, subject: str | None = None) -> None:
        """Tell all of them; what one of them does not take keeps the others from nothing.

        Raises NotificationError, with a line for each that was not told.
        """
        failed: list[str] = await run_sync_in_worker_thread(self._tell, body, subject or "")
        for line in failed:
            _log.error("%s", line)
        if failed and self._raise_on_failure:
            raise NotificationError("\n".join(failed))

    def _tell(self, body: str, subject: str) -> list[str]:
        try:
            known = addresses(self.addresses.get_secret_value(), "the block's addresses")
        except SpecError as error:
            return error.problems
        with ThreadPoolExecutor(len(known), "notice") as pool:
            said = pool.map(partial(told, title=subject, text=body), known)
            return [
                f"{to.shown} was not told: {why}"
                for to, why in zip(known, said, strict=True)
                if why
            ]


def told(to: Recipient, title: str, text: str) -> str:
    """Tell one; why it was not, '' where it was."""
    hold(to.url, to.secret, *_telling(to.url))
    send = _by_apprise if to.channel == "apprise" else _posted
    for pause in (*PAUSES_S, None):
        try:
            return mask(send(to, title, text))
        except _Passing as error:
            if pause is None:
                return mask(str(error))
            clock.sleep(pause)
    raise AssertionError("the last try has returned")


def _telling(url: str) -> list[str]:
    """What of an address lets others write there: an answer repeats it without scheme and host."""
    asked = urlsplit(url)
    words = [word for word in asked.path.split("/") if len(word) >= _TELLING]
    return [*words, *(value for _, value in parse_qsl(asked.query)), asked.query]


def _posted(to: Recipient, title: str, text: str) -> str:
    url, body = request(to, title, text, clock.now())
    hold(url)
    try:
        answer = httpx.post(url, json=body, timeout=TIMEOUT_S)
    except httpx.HTTPError as error:
        raise _Passing(str(error) or repr(error)) from error
    why = refusal(to.channel, answer.status_code, answer.text)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise _Passing(why)
    return why


class _OfApprise(AppriseNotificationBlock):
    """One address, whatever kind of; it is never put on a server."""


def _by_apprise(to: Recipient, title: str, text: str) -> str:
    block = _OfApprise(url=SecretStr(to.url))
    try:
        with block.raise_on_failure():
            block.notify(text, title)
    except NotificationError as error:
        raise _Passing(" ".join(error.log.split()) or "Apprise does not say why") from error
    return ""
