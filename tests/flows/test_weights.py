"""Weights on a node are what its disk holds now, whatever an earlier Job said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.outside.disk.files import delete_tree
from tests.flows.house import MODEL, House, record_of

pytestmark = pytest.mark.timeout(900)


def fetched(home: House) -> tuple[int, int]:
    """(bytes of the model, bytes fetched) in the last rollout."""
    record: dict[str, Any] = record_of(home)
    return record["resolve_model"]["bytes"], record["fetch_weights"]["nodes"][0]["bytes_fetched"]


def test_a_finished_fetch_is_no_proof(home: House) -> None:
    """Within the hour that a finished Job is kept, the folder goes, comes back, is written over."""
    commit = home.publish(1)
    # rejected at the first question, so that each rollout is short and leaves nothing deployed
    spec = str(home.spec(smoke=[{"prompt": "Where?", "contains": ["Atlantis"]}]))
    home.rollout("run", spec, expect=3)
    total, got = fetched(home)
    assert got == total and len(home.objects("Job")) == 1

    folder = published(home, commit)
    folder.chmod(0o755)
    delete_tree(folder)
    said = home.rollout("run", spec, expect=3)
    assert fetched(home) == (total, total) and f"{total:,} bytes fetched" in said
    assert len(home.objects("Job")) == 1

    shard = next(folder.glob("*.safetensors"))
    shard.chmod(0o644)
    body = shard.read_bytes()
    shard.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    said = home.rollout("run", spec, expect=1)
    assert "was damaged" in said and shard.name in said
    assert home.objects("Deployment") == [] and home.state().phase == "idle"


def published(home: House, commit: str) -> Path:
    """The folder on the stand-in's node."""
    found = list((home.folder / "node").glob(f"**/{MODEL}/{commit}"))
    assert len(found) == 1, found
    return found[0]
