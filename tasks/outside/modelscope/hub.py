"""ModelScope through its own client: commits, listings, small files, weights.

The client's transport is used (addresses, login headers, redirects to the CDN, the watchdog that
ends a trickling connection); its folder handling is not: it reports an unknown revision as success
with an empty folder, leaves half-written repositories under their final names, and keeps its login
as a pickle below the home directory (measured with modelscope_hub 0.5.1). Nothing here reads or
writes that login; the token comes from the environment, is never logged, and goes to the hub's own
origin alone.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from modelscope_hub._download_control import _DownloadControl
from modelscope_hub.config import HubConfig
from modelscope_hub.errors import (
    AuthenticationError,
    HubError,
    NotExistError,
    PermissionDeniedError,
)
from modelscope_hub.version import __version__ as CLIENT_VERSION

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.base.progress import OnBytes
from tasks.base.scrub import hold
from tasks.outside.modelscope.answers import commits_in, entry_of, reason, revisions_in
from tasks.outside.modelscope.client import Client
from tasks.outside.modelscope.home import keep_home
from tasks.outside.modelscope.hubfile import Piece, Rejected, open_piece, receive
from tasks.outside.modelscope.place import hub_endpoint
from tasks.spec.hubs import origins, token_advice, token_for
from tasks.weights.manifest import HUB_COMMIT, FileEntry, Manifest, build, safe_model

T = TypeVar("T")
_FOR_EVER = 30 * 86400.0


@dataclass(frozen=True)
class Limits:
    """Time-outs in seconds, tries as counts.

    idle_s: a connection that brings less than min_rate bytes/s for so long is given up.
    tries: failures in a row without new bytes before a call or a file fails.
    integrity_tries: times a file is fetched from its start when its bytes are wrong.
    """

    connect_s: float = 10
    idle_s: float = 60
    call_s: float = 60
    listing_s: float = 600
    min_rate: int = 1024
    tries: int = 6
    integrity_tries: int = 3
    backoff_s: float = 1
    backoff_max_s: float = 30


class Hub:
    """One ModelScope hub.

    endpoint: address; None means MODELSCOPE_ENDPOINT, else the public hub. token: None for public
    models; it goes to this hub's origin, and nowhere over http but to this machine. Every method
    raises OutsideError, naming the address, when the hub fails.
    `bytes_received` counts the bytes of files that came over the network.
    """

    def __init__(
        self, endpoint: str | None = None, token: str | None = None, limits: Limits | None = None
    ) -> None:
        self.endpoint = HubConfig.normalize_endpoint(endpoint or hub_endpoint())
        self.limits = limits or Limits()
        self.bytes_received = 0
        self._lock = threading.Lock()
        # A user agent of its own keeps the client from making its default configuration,
        # which would read the pickled login and write a session file.
        home = origins(self.endpoint)
        hold(token)
        self._client = Client(
            (token or None) if home else None,
            self.endpoint,
            user_agent=f"modelscope_hub/{CLIENT_VERSION}; rollout",
        )
        for session in (self._client._session, self._client._read_session):
            keep_home(session, home)

    @classmethod
    def from_env(cls, endpoint: str | None = None, limits: Limits | None = None) -> Hub:
        """A hub with the token that the environment has for it, if any (see `token_for`)."""
        address = HubConfig.normalize_endpoint(endpoint or hub_endpoint())
        return cls(address, token_for(address, os.environ), limits)

    def head(self, model: str, revision: str) -> str | None:
        """Commit id of a branch or tag; '' where the hub knows none of it, None where it tells no
        commits at all."""
        if HUB_COMMIT.match(revision):
            return revision
        found = self.commits(model, revision, page=1, size=1)
        return found if found is None else "".join(found[:1])

    def commits(self, model: str, revision: str, *, page: int, size: int) -> list[str] | None:
        """A page of the commits that led to a branch or tag, the newest first, empty where the hub
        knows none; None where it has no such call, which it says with 404 or 405 alone (so it does
        for a model that it does not know: its listing tells that).

        The call is used by third parties; the client itself has none.
        """
        safe_model(model)
        try:
            return self.ask(
                f"models/{model}/commits",
                {"Ref": revision, "PageNumber": page, "PageSize": size},
                f"the commits of {model}",
                commits_in,
            )
        except OutsideError as error:
            if getattr(error.__cause__, "status_code", None) in (404, 405):
                return None
            raise

    def resolve(
        self,
        model: str,
        revision: str,
        exclude: Sequence[str] = (),
        include: Sequence[str] = (),
    ) -> Manifest:
        """What `revision` is now: its commit and the manifest of its files.

        Listed by commit where the hub serves commits; else by revision, between two looks at the
        head that must agree. OutsideError for an unknown model or revision, a refused login, an
        incomplete listing (the hub caps one folder at 3000 entries), an unsafe path.
        """
        safe_model(model)
        head = self.head(model, revision)
        for _ in range(3):
            rows = self._list(model, head, optional=True) if head else []
            ref = head or revision
            if not rows and head != revision:
                ref, rows = revision, self._list(model, revision)
                before, head = head, self.head(model, revision)
                if rows and head != before:
                    continue  # the branch moved while it was listed
            if not rows:
                raise self._unknown_revision(model, revision)
            if head == "":
                raise OutsideError(
                    f"hub {self.endpoint} lists files of {model} at {revision!r}, tells commits, "
                    "and none of that: what those files are a version of is not known; try again"
                )
            try:
                files = [entry_of(row) for row in rows if row.get("Type") != "tree"]
                return build(
                    model, revision, head, files, include=include, exclude=exclude, ref=ref
                )
            except ValueError as error:
                raise OutsideError(
                    f"hub {self.endpoint} lists files of {model} that cannot be fetched: {error}"
                ) from error
        raise OutsideError(
            f"{model} at {revision!r} kept moving while hub {self.endpoint} listed it; try again, "
            "or name a tag or commit"
        )

    def revisions(self, model: str) -> tuple[list[str], list[str]]:
        """Names of its branches, and of its tags."""
        safe_model(model)
        path = f"models/{model}/revisions"
        return self.ask(path, {}, f"the revisions of {model}", revisions_in)

    def read_small(
        self, model: str, manifest: Manifest, path: str, limit_bytes: int = 16 << 20
    ) -> bytes:
        """The whole bytes of a small file (config.json, a safetensors index), size and sha256
        checked. OutsideError when the manifest has no such file or it is above `limit_bytes`.
        """
        entry = manifest.entry(path)
        if entry is None:
            raise OutsideError(f"{model} at {manifest.commit} has no file {path}")
        if entry.size > limit_bytes:
            raise OutsideError(
                f"{path} of {model} has {entry.size} bytes; at most {limit_bytes} were expected"
            )

        def read() -> bytes:
            with self._control(self.limits.call_s) as control:
                piece = self._open(manifest, entry, 0, control)
                data = b"".join(piece.chunks)
            found = hashlib.sha256(data).hexdigest()
            if len(data) != entry.size or entry.sha256 not in (None, found):
                raise requests.ConnectionError(f"{len(data)} bytes that differ from the listing")
            return data

        return self._retrying(read, f"{path} of {model}")

    def download(
        self,
        manifest: Manifest,
        entry: FileEntry,
        target_dir: Path,
        on_bytes: OnBytes | None = None,
        cancel: threading.Event | None = None,
    ) -> str:
        """Fetch one file to target_dir/entry.path, going on where a partial file ends.

        Every byte is hashed, also those already there; the file is durable (fsync) on return.
        on_bytes(position, received): bytes of the file present, bytes just received (0 for those
        found on disk). Returns the sha256. OutsideError after `tries` failures in a row without a
        new byte, or when the bytes stay wrong (then nothing is left of the file).
        """
        what = f"{entry.path} of {manifest.model}"
        target = target_dir / entry.path

        def told(position: int, received: int) -> None:
            with self._lock:
                self.bytes_received += received
            if on_bytes is not None:
                on_bytes(position, received)

        for again in range(self.limits.integrity_tries):
            try:
                return self._retrying(
                    lambda: self._attempt(manifest, entry, target, told, cancel),
                    what,
                    progress=lambda: target.stat().st_size if target.exists() else 0,
                    cancel=cancel,
                )
            except Rejected as error:
                target.unlink(missing_ok=True)
                told(0, 0)
                if again + 1 == self.limits.integrity_tries:
                    raise OutsideError(
                        f"hub {self.endpoint} sent wrong bytes for {what} "
                        f"{self.limits.integrity_tries} times: {error}. The revision may have "
                        "moved since it was listed, or the hub's copy is damaged"
                    ) from error
                clock.sleep(self._pause(again, None))
        raise AssertionError("unreachable")

    def _attempt(
        self,
        manifest: Manifest,
        entry: FileEntry,
        target: Path,
        told: OnBytes,
        cancel: threading.Event | None,
    ) -> str:
        with self._control(_FOR_EVER, cancel) as control:
            return receive(
                entry, target, lambda offset: self._open(manifest, entry, offset, control), told
            )

    def _open(
        self, manifest: Manifest, entry: FileEntry, offset: int, control: _DownloadControl
    ) -> Piece:
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        response = self._client._request(
            "GET",
            f"models/{manifest.model}/repo",
            params={"Revision": manifest.fetch_ref, "FilePath": entry.path},
            headers=headers,
            timeout=(self.limits.connect_s, self.limits.idle_s),
            stream=True,
        )
        return open_piece(response, control.chunks(response, 1 << 20), offset, entry)

    @contextmanager
    def _control(
        self, total_s: float, cancel: threading.Event | None = None
    ) -> Iterator[_DownloadControl]:
        with (
            _DownloadControl(
                total_timeout=total_s,
                cancel_event=cancel,
                min_rate=self.limits.min_rate,
                speed_window=self.limits.idle_s,
            ) as control,
            self._client.read_context(control),
        ):
            yield control

    def _list(self, model: str, ref: str, optional: bool = False) -> list[dict[str, Any]]:
        started = clock.monotonic()
        try:
            with self._control(self.limits.listing_s):
                rows = self._client.list_repo_files(model, "model", revision=ref)
                cut = getattr(self._client._read_state, "listing_incomplete", False)
        except (HubError, requests.RequestException) as error:
            status = getattr(error, "status_code", None)
            if optional and status in (400, 404):
                return []
            raise self._outside(error, f"the files of {model}", started, None) from error
        if cut:
            raise OutsideError(
                f"hub {self.endpoint} cannot list all files of {model}: one folder holds 3000 or "
                "more, and the hub returns no more than that; split the folder"
            )
        return rows

    def _unknown_revision(self, model: str, revision: str) -> OutsideError:
        try:
            branches, tags = self.revisions(model)
            known = ", ".join([*branches, *tags][:20]) or "none"
        except OutsideError:
            known = "not told"
        return OutsideError(
            f"{model} has no revision {revision!r} on hub {self.endpoint} (its listing is empty); "
            f"known are: {known}"
        )

    def ask(
        self,
        path: str,
        params: dict[str, Any],
        what: str,
        read: Callable[[requests.Response], T],
    ) -> T:
        """One call of the API, tried again. what: is asked for, in words. read: see answers."""

        def once() -> T:
            with self._control(self.limits.call_s):
                response = self._client._request(
                    "GET",
                    path,
                    params=params,
                    timeout=(self.limits.connect_s, self.limits.idle_s),
                )
                return read(response)

        return self._retrying(once, what)

    def _retrying(
        self,
        call: Callable[[], T],
        what: str,
        progress: Callable[[], int] | None = None,
        cancel: threading.Event | None = None,
    ) -> T:
        started, failures, tries = clock.monotonic(), 0, 0
        while True:
            tries += 1
            before = progress() if progress else 0
            try:
                return call()
            except (HubError, requests.RequestException) as error:
                if cancel is not None and cancel.is_set():
                    raise
                failures = 1 if progress and progress() > before else failures + 1
                final = isinstance(error, HubError) and not error.retryable
                if final or failures >= self.limits.tries:
                    raise self._outside(error, what, started, tries) from error
                clock.sleep(self._pause(failures - 1, getattr(error, "retry_after", None)))

    def _pause(self, failures: int, asked: float | None) -> float:
        """Seconds to wait: what the hub asks for, else doubling, both capped and with jitter."""
        wait = self.limits.backoff_s * 2**failures if asked is None else float(asked)
        jitter: float = clock.rng().uniform(0.5, 1.0) if asked is None else 1.0
        return min(wait, self.limits.backoff_max_s) * jitter

    def _outside(
        self, error: Exception, what: str, started: float, tries: int | None
    ) -> OutsideError:
        seconds = clock.monotonic() - started
        spent = f"after {seconds:.1f} s" + (f" and {tries} tries" if tries and tries > 1 else "")
        hub = f"hub {self.endpoint}"
        if isinstance(error, NotExistError):
            return OutsideError(
                f"{hub} does not know {what} (404): check the model id and revision; a private "
                f"model needs a token; give {token_advice(self.endpoint)}"
            )
        if isinstance(error, AuthenticationError):
            return OutsideError(
                f"{hub} refused the login for {what} (401): check {token_advice(self.endpoint)}"
            )
        if isinstance(error, PermissionDeniedError):
            return OutsideError(
                f"{hub} does not allow {what} (403): the token's owner needs access to it"
            )
        return OutsideError(f"{hub} failed to give {what} {spent}: {reason(error)}")
