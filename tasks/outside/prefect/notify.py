"""The block that knows whom to tell. Prefect's server sends notices by it, and so nobody is left
untold because a worker has died: where model-rollout is installed beside the server, that finds
this class by its entry point (`prefect.collections`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from threading import Thread
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from apprise import NotifyFormat
from apprise.plugins.email import NotifyEmail
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.notifications import AppriseNotificationBlock
from prefect.utilities.asyncutils import run_sync_in_worker_thread
from pydantic import Field, SecretStr

from tasks.base import clock
from tasks.base.errors import SpecError
from tasks.base.scrub import hold, mask, masked
from tasks.service.channels import Recipient, addresses, refusal, request
from tasks.service.notices import BLOCK

# of one message, for all channels and their tries: the server runs two actions at once, and what
# starts rollouts and settles crashed ones waits behind those that tell
DEADLINE_S = 10.0
SHORT_S = 2.0  # of one to an address that hung within the last HUNG_S: one try
HUNG_S = 600.0
PAUSES_S = (1.0, 3.0)  # between tries, where it may be a trouble that passes
_GRACE_S = 0.2  # to say that it did not answer
_TELLING = 16  # shorter words of a path are words
_log = logging.getLogger(__name__)
_hung: dict[Recipient, float] = {}  # when each that did not answer hung last, in this process

for _name in ("httpx", "httpcore", "apprise"):  # they tell addresses as they are
    logging.getLogger(_name).addFilter(masked)


class _Passing(Exception):
    """It may go by itself."""


class _Hangs(Exception):
    """It gave no answer in its time."""


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
        said: dict[Recipient, str] = {}

        def tell(to: Recipient, patience_s: float) -> None:
            try:
                said[to] = told(to, subject, body, patience_s)
            except Exception as error:  # of whatever library speaks to it
                said[to] = mask(f"its address or its answer is none: {error}")

        tries = [(_patience(to), to) for to in known]
        # daemons: one that dribbles its answer keeps neither this action nor the server's end
        threads = [
            (patience, to, Thread(target=tell, args=(to, patience), daemon=True))
            for patience, to in tries
        ]
        began = clock.monotonic()
        for _, _, thread in threads:
            thread.start()
        for patience, to, thread in threads:
            thread.join(max(0.0, began + patience - clock.monotonic()) + _GRACE_S)
            if thread.is_alive():
                _hung[to] = clock.monotonic()
        ended = {to: said.get(to, f"no answer in {patience:g} s") for patience, to in tries}
        names = _named(known)
        return [f"{names[to]} was not told: {why}" for to, why in ended.items() if why]


def _named(known: Sequence[Recipient]) -> dict[Recipient, str]:
    """As they are told apart in a log."""
    alike = Counter(to.shown for to in known)
    return {
        to: f"{to.shown} (address {at})" if alike[to.shown] > 1 else to.shown
        for at, to in enumerate(known, 1)
    }


def _patience(to: Recipient) -> float:
    """Seconds for one address."""
    hung = _hung.get(to)
    lately = hung is not None and clock.monotonic() - hung < HUNG_S
    return SHORT_S if lately else DEADLINE_S


def told(to: Recipient, title: str, text: str, patience_s: float = DEADLINE_S) -> str:
    """Tell one; why it was not, '' where it was. patience_s: for all tries; where it is less than
    DEADLINE_S there is one."""
    hold(to.url, to.secret, *_telling(to))
    until = clock.monotonic() + patience_s
    pauses = PAUSES_S if patience_s >= DEADLINE_S else ()
    for pause in (*pauses, None):
        try:
            why = mask(_send(to, title, text, until - clock.monotonic()))
        except _Hangs:
            _hung[to] = clock.monotonic()
            return f"no answer in {patience_s:g} s"
        except _Passing as error:
            if pause is None or clock.monotonic() + pause >= until:
                return mask(str(error))
            clock.sleep(pause)
        else:
            _hung.pop(to, None)
            return why
    raise AssertionError("the last try has returned")


def _send(to: Recipient, title: str, text: str, timeout_s: float) -> str:
    if to.channel == "apprise":
        return _by_apprise(to, title, text)
    return _posted(to, title, text, timeout_s)


def _telling(to: Recipient) -> list[str]:
    """What of an address lets others write there: an answer repeats it without the rest."""
    asked = urlsplit(to.url)
    who, _, place = asked.netloc.rpartition("@")
    words = asked.path.split("/")
    if to.host:
        words = [word for word in words if len(word) >= _TELLING]
    else:  # any part of it may be a key, as it is written or not
        words += [place, place.lower()]
    words += [*who.split(":"), *(value for _, value in parse_qsl(asked.query)), asked.query]
    return [*words, *map(unquote, words)]


def _posted(to: Recipient, title: str, text: str, timeout_s: float) -> str:
    url, body = request(to, title, text, clock.now())
    hold(url)
    try:
        answer = httpx.post(url, json=body, timeout=timeout_s)
    except httpx.TimeoutException as error:
        raise _Hangs from error
    except httpx.HTTPError as error:
        raise _Passing(str(error) or repr(error)) from error
    why = refusal(to.channel, answer.status_code, answer.text)
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise _Passing(why)
    return why


class _OfApprise(AppriseNotificationBlock):
    """One address, whatever kind of; it is never put on a server."""

    def block_initialization(self) -> None:
        """What it is given is text, whatever stands in it. Apprise escapes that for who takes HTML,
        and nothing for who takes Markdown; a mail that is text keeps its lines."""
        super().block_initialization()
        self._apprise_client.asset.body_format = NotifyFormat.TEXT  # type: ignore[assignment]
        for service in self._apprise_client:
            if isinstance(service, NotifyEmail) or service.notify_format is NotifyFormat.MARKDOWN:
                service.notify_format = NotifyFormat.TEXT


def _by_apprise(to: Recipient, title: str, text: str) -> str:
    block = _OfApprise(url=SecretStr(to.url))
    try:
        with block.raise_on_failure():
            block.notify(text, title)
    except NotificationError as error:
        raise _Passing(" ".join(error.log.split()) or "Apprise does not say why") from error
    return ""
