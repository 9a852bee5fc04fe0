"""Units of GKE's nodes, which carry no label of gpu-feature-discovery.

Labels as https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus (2025-07-16) has
them; amounts follow from them: constructed nodes.
"""

from __future__ import annotations

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.assess import api_facts
from tasks.nodes.units.form import SeenCards
from tasks.nodes.units.reading import read_units

GKE = "cloud.google.com/gke-"


@pytest.mark.parametrize(
    ("labels", "units", "card_mib", "kind", "most_mib", "single"),
    [
        ({"gpu-partition-size": "1g.5gb"}, 7, 40960, "slice", 5120, False),
        ({"gpu-partition-size": "3g.40gb"}, 2, 81920, "slice", 40960, False),
        (
            {"gpu-sharing-strategy": "mps", "max-shared-clients-per-gpu": "3"},
            *(3, 23034, "share", 7678, True),
        ),
        (
            {"gpu-sharing-strategy": "time-sharing", "max-shared-clients-per-gpu": "4"},
            *(4, 23034, "share", 23034, True),
        ),
    ],
    ids=["1g.5gb", "3g.40gb", "mps", "time sharing"],
)
def test_gkes_labels_say_what_a_unit_is(
    labels: dict[str, str], units: int, card_mib: float, kind: str, most_mib: float, single: bool
) -> None:
    amounts = {"nvidia.com/gpu": str(units)}
    node = {
        "metadata": {"name": "n", "labels": {GKE + key: value for key, value in labels.items()}},
        "status": {"capacity": amounts, "allocatable": amounts},
    }
    seen = SeenCards(on_bus=1, rows=1, addresses=1, memory_mib=card_mib)
    found = read_units(profile("nvidia-gpu"), api_facts(node, [], []), "nvidia.com/gpu", seen)
    assert (found.kind, found.cards, found.single, found.guessed) == (kind, 1, single, False)
    memory = (found.memory_bytes or 0) / 2**20
    assert 0.89 * most_mib <= memory <= most_mib
