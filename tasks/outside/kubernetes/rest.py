"""Requests to the Kubernetes API: time-outs, retries, and errors a person can act on.

Works on a `send` function, so that it knows of neither credentials nor the client library.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import (
    HTTPError,
    SSLError,
)

from tasks.base import clock
from tasks.base.errors import OutsideError

_log = logging.getLogger(__name__)

Fence = Callable[[], None]


def unfenced() -> None:
    """In place of a fence, where no lock guards what is written."""


# method, path with query, headers, body, read time-out (s) -> response, body not yet read
Send = Callable[[str, str, dict[str, str], bytes | None, float], urllib3.BaseHTTPResponse]

_T = TypeVar("_T")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_LONGEST_RETRY_AFTER_S = 30.0
_TRANSIENT = {500, 502, 503, 504}
TELL_AFTER_S = 2.5  # whoever waits at a terminal is told what for


class ApiError(OutsideError):
    """The Kubernetes API refused or did not answer.

    status: HTTP status, 0 when there was no answer; reason: the API's reason, e.g. 'NotFound'.
    """

    def __init__(self, message: str, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason

    def __reduce__(self) -> tuple[type[ApiError], tuple[str, int, str]]:
        return (type(self), (str(self), self.status, self.reason))


class Conflict(ApiError):
    """409: the object is not in the state the write demanded (version, uid, field owner)."""


class AlreadyExists(Conflict):
    """409 on create: an object of that name exists."""


class NotFound(ApiError):
    """404 where absence is not an answer."""


class Forbidden(ApiError):
    """403: RBAC, a quota or an admission rule refused."""


class Expired(ApiError):
    """410: the resourceVersion or the continue token is too old (or from another life)."""


@dataclass(frozen=True)
class ApiRequest:
    """One request. Repeating it after a lost answer does no harm: what is created has a name, what
    is changed a version.

    verb, what: as RBAC and a person name it ('list', 'pods in default').
    fence: called before each attempt of a write; raises when this process must not write.
    """

    method: str
    path: str
    verb: str
    what: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"
    accept: str = "application/json"
    fence: Fence | None = None

    @property
    def url(self) -> str:
        """Path with its query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


def message_of(data: bytes) -> tuple[str, str]:
    """(reason, message) of an API answer that is a Status; plain text is the message."""
    try:
        status = json.loads(data)
        return str(status.get("reason") or ""), str(status.get("message") or "")
    except (ValueError, AttributeError):
        return "", data.decode("utf-8", "replace").strip()[:500]


def failure(address: str, ask: ApiRequest, status: int, data: bytes) -> ApiError:
    """The error for an answer that is not a success."""
    reason, message = message_of(data)
    start = f"Kubernetes API {address}: {ask.verb} {ask.what}"
    if status == 401:
        return ApiError(
            f"{start}: the credentials were not accepted (401 {message}); renew the token or "
            "client certificate of the kubeconfig",
            status,
            reason,
        )
    if status == 403:
        if "cannot " in message or not message:
            hint = (
                f"RBAC lacks the verb '{ask.verb}' on {ask.what}; "
                "grant it (deployments/cluster has the roles)"
            )
        else:
            hint = "a quota or admission rule refused it; change the object or the rule"
        return Forbidden(f"{start} is forbidden (403): {message}; {hint}", status, reason)
    if status == 410 or "Too large resource version" in message:
        return Expired(f"{start}: the version asked for is gone ({message})", status, reason)
    kinds: dict[int, type[ApiError]] = {404: NotFound, 409: Conflict}
    kind = kinds.get(status, ApiError)
    if status == 409 and reason == "AlreadyExists":
        kind = AlreadyExists
    return kind(f"{start} answered {status} {reason}: {message}", status, reason)


class Rest:
    """A Kubernetes API at one address.

    timeout_s: longest wait for one answer. patience_s: how long transient trouble (429, 5xx,
    no connection) is ridden out, counted from the first failure; an API server restart fits in.
    """

    def __init__(
        self,
        send: Send,
        address: str,
        *,
        timeout_s: float = 30,
        patience_s: float = 60,
        told: threading.Event | None = None,
    ) -> None:
        self._send = send
        self._told = told or threading.Event()  # that it does not answer: once until it does
        self.address = address
        self.timeout_s = timeout_s
        self.patience_s = patience_s
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The API server's time, UTC, to a second or so: ages of its objects are told by it."""
        return clock.now() + self._ahead

    def limited(self, timeout_s: float, patience_s: float) -> Rest:
        """The same API with other limits."""
        return Rest(
            self._send, self.address, timeout_s=timeout_s, patience_s=patience_s, told=self._told
        )

    def json(self, ask: ApiRequest) -> dict[str, Any]:
        """The answer as plain data. Raises ApiError or a subclass."""
        data = self.raw(ask)
        try:
            answer: dict[str, Any] = json.loads(data)
        except ValueError as error:
            raise ApiError(
                f"Kubernetes API {self.address}: {ask.verb} {ask.what} answered no JSON "
                f"({data[:80]!r}); is this address a Kubernetes API?"
            ) from error
        return answer

    def raw(self, ask: ApiRequest) -> bytes:
        """The body of the answer. Raises ApiError or a subclass."""
        return self._persist(ask, lambda: self._whole(ask))

    def open(self, ask: ApiRequest, idle_s: float) -> urllib3.BaseHTTPResponse:
        """An answer to be read as it comes; reading raises after `idle_s` seconds of silence.

        The caller closes it. Raises ApiError or a subclass.
        """
        return self._persist(ask, lambda: self._attempt(ask, idle_s))

    def _whole(self, ask: ApiRequest) -> bytes:
        response = self._attempt(ask, self.timeout_s)
        try:
            data = bytes(response.data)
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return data

    def _attempt(self, ask: ApiRequest, read_s: float) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": ask.accept}
        body = None
        if ask.body is not None:
            headers["Content-Type"] = ask.content_type
            body = json.dumps(ask.body).encode()
        if ask.fence is not None:
            ask.fence()
        response = self._send(ask.method, ask.url, headers, body, read_s)
        if date := response.headers.get("Date"):
            with suppress(ValueError, TypeError):
                self._ahead = parsedate_to_datetime(date) - clock.now()
        if 200 <= response.status < 300:
            return response
        data = bytes(response.data)
        response.release_conn()
        error = failure(self.address, ask, response.status, data)
        pause = _retry_after(response.headers.get("Retry-After"))
        transient = response.status == 429 or response.status in _TRANSIENT
        if transient and not isinstance(error, Expired):
            raise _Transient(error, pause)
        raise error

    def _persist(self, ask: ApiRequest, attempt: Callable[[], _T]) -> _T:
        """Try until it works, fails for good, or patience is spent; what takes long is told."""
        with self._telling(ask):
            return self._tried(ask, attempt)

    @contextmanager
    def _telling(self, ask: ApiRequest) -> Iterator[None]:
        if self.patience_s <= TELL_AFTER_S:
            yield
            return
        until = clock.now() + timedelta(seconds=self.patience_s)

        def tell() -> None:
            if not self._told.is_set():
                self._told.set()
                _log.warning(
                    "waiting for the Kubernetes API %s, which does not answer (%s %s), until %s "
                    "UTC at most",
                    *(self.address, ask.verb, ask.what, f"{until:%H:%M:%S}"),
                )

        timer = threading.Timer(TELL_AFTER_S, tell)
        timer.daemon = True
        timer.start()
        try:
            yield
            self._told.clear()
        finally:
            timer.cancel()

    def _tried(self, ask: ApiRequest, attempt: Callable[[], _T]) -> _T:
        started, rng, tries = clock.monotonic(), clock.rng(), 0
        while True:
            tries += 1
            asked = None
            try:
                return attempt()
            except _Transient as trouble:
                error, asked = trouble.error, trouble.pause
                cause: Exception = error
            except (HTTPError, OSError) as lost:
                spent = clock.monotonic() - started
                error = self._unanswered(ask, lost, spent, tries)
                if isinstance(lost, SSLError):
                    raise error from lost
                cause = lost
            pause = min(_FIRST_PAUSE_S * 2 ** (tries - 1), _LONGEST_PAUSE_S)
            pause *= 0.5 + rng.random() / 2
            if asked is not None:
                pause = max(pause, min(asked, _LONGEST_RETRY_AFTER_S))
            if clock.monotonic() - started + pause > self.patience_s:
                raise error from (cause if cause is not error else None)
            _log.debug("%s %s: %s; again in %.1f s", ask.verb, ask.what, error, pause)
            clock.sleep(pause)

    def _unanswered(self, ask: ApiRequest, lost: Exception, spent: float, tries: int) -> ApiError:
        if isinstance(lost, SSLError):
            advice = "its certificate is not trusted: check certificate-authority in the kubeconfig"
        else:
            advice = "check that the address is right and the API server is up"
        return ApiError(
            f"Kubernetes API {self.address} did not answer: {ask.verb} {ask.what}, after "
            f"{spent:.1f} s and {tries} tries ({type(lost).__name__}: {lost}); {advice}"
        )


class _Transient(Exception):
    """An answer worth asking again for, and the pause the server asked for (s)."""

    def __init__(self, error: ApiError, pause: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


def _retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header; the HTTP-date form, never sent by Kubernetes, is None."""
    try:
        return max(0.0, float(value)) if value else None
    except ValueError:
        return None
