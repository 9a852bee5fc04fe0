"""The vendor's tool is run again once the model is loaded: what its cards hold decides, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.local.kube.settings import NodeDef
from tests.flows.house import House, house, read_until, record_named
from tests.support import hostroot

DCU = "hygon.com/dcu"
# device files cannot be made here
PLAIN = {"name": "runner", "env": [{"name": "MODEL_ROLLOUT_PLAIN_DEVICES", "value": "1"}]}
IDLE = '"vram Total Used Memory (MiB)": "2"'


@pytest.fixture
def dressed(tmp_path: Path, prefect_api: str) -> Iterator[House]:
    """A node with eight K100_AI cards."""
    root = hostroot.build(tmp_path / "host")
    # the engine mounts it, below another root
    (root / "opt/hyhal").unlink()
    (root / "opt/hyhal").symlink_to("../usr/local/hyhal")
    labels = {DCU: "true", f"{DCU}.name": "K100_AI", f"{DCU}.vram": "64G"}
    capacity = {"cpu": "64", "memory": "512Gi", DCU: "8"}
    node = NodeDef("node-a", labels=labels, capacity=capacity, host_root=root)
    with house(tmp_path, prefect_api, node=node) as found:
        yield found


def held(smi: Path, plain: str, cards: int) -> None:
    """The tool says that so many cards hold something."""
    parts = plain.split(IDLE)
    idle, full = IDLE.replace("2", "0"), IDLE.replace("2", "60000")
    marks = [full if card < cards else idle for card in range(len(parts) - 1)]
    text = "".join(part + mark for part, mark in zip(parts, [*marks, ""], strict=True))
    smi.with_suffix(".new").write_text(text)
    smi.with_suffix(".new").chmod(0o755)
    smi.with_suffix(".new").replace(smi)


def test_a_candidate_on_fewer_cards_than_it_asked_for_goes(dressed: House) -> None:
    dressed.publish(1)
    smi = dressed.folder / "host/usr/local/hyhal/bin/hy-smi"
    plain = smi.read_text()
    spec = str(
        dressed.spec(
            nodes={"accelerator": "hygon-dcu"},
            serving__toolkit="DTK 25.04.1",
            serving__tensor_parallel_size=2,
            runner__pod={"containers": [PLAIN]},
        )
    )

    def rolled_out(cards: int) -> tuple[int, str]:
        """With so many cards in use once it is up: exit status, and what was said."""
        held(smi, plain, 0)
        with dressed.start("run", spec) as process:
            said = read_until(process, "[deploy] started")
            held(smi, plain, cards)
            assert process.stdout is not None
            said += process.stdout.read()
        return process.returncode, said

    status, said = rolled_out(1)
    why = "1 of the 2 cards asked for hold the model's share of 1 MiB; card 1: 0 of 65,520 MiB"
    assert status == 3 and why in said
    record = record_named(said)
    assert [(c["index"], c["used_mib"], c["role"]) for c in record["smoke"]["cards"]][:2] == [
        (0, 60000.0, "loaded"),
        (1, 0.0, "idle"),
    ]
    assert "Cards after the load" in Path(record["report"]).read_text()
    assert dressed.state().stable is None and dressed.objects("Deployment") == []

    status, said = rolled_out(2)
    assert status == 0
    roles = [card["role"] for card in record_named(said)["smoke"]["cards"]]
    assert roles == ["loaded"] * 2 + ["idle"] * 6
