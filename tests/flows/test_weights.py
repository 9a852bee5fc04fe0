"""Weights on a node are what its disk holds now, whatever an earlier Job said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.outside.disk.files import delete_tree
from tests.flows.house import MODEL, NAMESPACE, House, record_of

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


def commits(home: House) -> set[str]:
    """What lies in the node's store."""
    found = (home.folder / "node").glob(f"**/models/{MODEL}/*")
    return {path.name for path in found if path.is_dir()}


def test_what_a_state_names_stays(home: House) -> None:
    spec = str(home.spec())
    first = home.publish(1)
    home.rollout("run", spec, expect=0)
    second = home.publish(2)
    home.rollout("run", spec, expect=0)
    # any rollout of the cluster may name them: more than the roles for one namespace show
    said = home.rollout("store", "gc", spec, expect=5)
    assert "list ConfigMaps of the whole cluster" in said
    gc = ["store", "gc", spec, "--kubeconfig", str(home.cluster.kubeconfig)]
    assert "0 bytes to be freed" in home.rollout(*gc, expect=0)
    third = home.publish(3)
    home.rollout("run", spec, expect=0)
    assert commits(home) == {first, second, third}

    said = home.rollout(*gc, expect=0)
    assert f"{first}: " in said and "would be removed" in said and second not in said
    assert commits(home) == {first, second, third}
    said = home.rollout(*gc, "--delete", expect=0)
    assert f"{first}: " in said and "removed" in said
    assert commits(home) == {second, third}
    # what is previous is there for the way back, after which nobody names what was left
    home.rollout("rollback", "tiny", "-n", NAMESPACE, expect=0)
    assert f"{third}: " in home.rollout(*gc, "--delete", expect=0)
    assert commits(home) == {second}
