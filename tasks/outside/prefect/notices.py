"""Events of what becomes of rollouts, on the Prefect server that there is; and who is told of them
there. A rollout never fails because nobody could be told."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings
from pydantic import SecretStr

from tasks.base import clock
from tasks.base.errors import OutsideError
from tasks.base.scrub import mask
from tasks.outside.prefect.notify import RolloutNotices
from tasks.service.notices import BLOCK, TEST, Notice

_log = logging.getLogger(__name__)
PATIENCE_S = 10.0
TRIES = 2
TEST_S = 90.0  # for all channels, with their tries
_ACTIONS = "prefect.automation.action."


@contextmanager
def briefly() -> Iterator[SyncPrefectClient]:
    """A client that gives a server up soon: what it has to say is worth no longer wait."""
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: TRIES}),
        get_client({"timeout": PATIENCE_S}, sync_client=True) as client,
    ):
        yield client


def emit(notice: Notice) -> None:
    """Tell the server, where one is named; at once, since a process that ends has no time later."""
    if not PREFECT_API_URL.value():
        return
    try:
        with briefly() as client:
            _post(client, notice.event, notice.resource, notice.payload, _run())
    except Exception as error:
        _log.warning("people are not told that it is %s: %s", notice.moment, mask(str(error)))


def _run() -> list[dict[str, str]]:
    """The flow run that it comes from, if any."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None:
        return []
    return [
        {
            "prefect.resource.id": f"prefect.flow-run.{run.id}",
            "prefect.resource.role": "flow-run",
            "prefect.resource.name": run.name,
        }
    ]


def _post(
    client: SyncPrefectClient,
    event: str,
    resource: Mapping[str, str],
    payload: Mapping[str, Any],
    related: Sequence[Mapping[str, str]] = (),
) -> str:
    ident = str(uuid4())
    body = {
        "id": ident,
        "occurred": clock.now().isoformat(),
        "event": event,
        "resource": dict(resource),
        "related": [dict(item) for item in related],
        "payload": dict(payload),
    }
    client.request("POST", "/events", json=[body])
    return ident


def kept(client: SyncPrefectClient, addresses: str) -> tuple[str, str]:
    """The block's document with these addresses, '' for those that it has; (its id, what was done
    to it: made, changed or ''). Without any, and where there is none, its id is ''."""
    found = _document(client)
    if not addresses:
        return (found["id"], "") if found else ("", "")
    if found and found["data"].get("addresses") == addresses:
        return found["id"], ""
    block = RolloutNotices(addresses=SecretStr(addresses))
    return str(block.save(BLOCK, overwrite=True)), "changed" if found else "made"


def _document(client: SyncPrefectClient) -> dict[str, Any] | None:
    wanted = {
        "block_documents": {"name": {"any_": [BLOCK]}},
        "block_types": {"slug": {"any_": [BLOCK]}},
        "include_secrets": True,
    }
    answer = client.request("POST", "/block_documents/filter", json=wanted)
    return next(iter(answer.json()), None)


def tested(client: SyncPrefectClient, title: str, text: str) -> str:
    """Have the server tell all of them something; why one was not told, '' where all were.

    Raises OutsideError where it knows nobody to tell, or does nothing about it.
    """
    if _document(client) is None:
        raise OutsideError(
            "the server knows nobody to tell: `rollout up --notify-file FILE` says who"
        )
    payload = {"title": title, "text": text}
    resource = {"prefect.resource.id": f"{TEST}.{uuid4()}"}
    ident = _post(client, TEST, resource, payload)
    until = clock.monotonic() + TEST_S
    while clock.monotonic() < until:
        for event in _after(client, ident):
            said: Mapping[str, Any] = event["payload"]
            if event["event"] == f"{_ACTIONS}executed":
                return ""
            if event["event"] == f"{_ACTIONS}failed":
                return str(said.get("notification_log") or said.get("reason"))
        clock.sleep(1.0)
    raise OutsideError(
        f"the server told nobody in {TEST_S:g} s: is its automation 'notice: a test' switched on?"
    )


def _after(client: SyncPrefectClient, ident: str) -> list[dict[str, Any]]:
    """What actions the server took because of an event."""
    names = [f"{_ACTIONS}{end}" for end in ("executed", "failed")]
    body = {"filter": {"event": {"name": names}}, "limit": 50}
    found = client.request("POST", "/events/filter", json=body).json()["events"]
    return [
        event
        for event in found
        if any(item["prefect.resource.id"] == f"prefect.event.{ident}" for item in event["related"])
        or event.get("follows") == ident
    ]
