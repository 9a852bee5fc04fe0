"""Random walks through the search's world, with more of everything; more of them:
`python -m tests.support.walks --walks 5000 --seed 1`."""

from __future__ import annotations

import pytest

from tests.support.places import ROOT
from tests.support.search import mutants
from tests.support.walks.walk import walks

SEED, WALKS = 9, 300
# moves, and looks of the guard, from the end of all trouble to a settled state
MOVES, LOOKS = 60, 4


def test_nothing_goes_wrong_on_long_walks() -> None:
    found = walks(range(WALKS), SEED)
    print(found)
    for number, trace in found.wrong.items():
        pytest.fail("\n".join([f"walk {number} of seed {SEED}:", *trace]))
    assert (found.walks, found.worst <= MOVES, found.looks <= LOOKS) == (WALKS, True, True)
    # long ones, in trouble, with writes that come late
    assert found.steps > 100 * WALKS and found.troubles > 10 * WALKS and found.late > WALKS / 6


def test_a_walk_is_drawn_by_its_seed_and_number() -> None:
    assert walks(range(3, 6), SEED).steps == walks(range(3, 6), SEED).steps
    assert walks(range(3, 6), SEED).steps != walks(range(3, 6), SEED + 1).steps


@pytest.mark.parametrize(
    "name",
    [
        "a promotion that stops before it moves",
        "a promotion without a soak",
        "a recovery that leaves what served down",
        "a way back without a way home",
    ],
)
def test_a_wrong_decision_is_met(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutants.MUTANTS[name]
    mutants.put_in(monkeypatch, mutant)
    wrong = walks(range(40), SEED).wrong
    assert any(trace[-1].startswith(mutant.shows) for trace in wrong.values()), wrong.keys()


def test_the_documentation_says_how_many() -> None:
    written = (ROOT / "docs" / "architecture.md").read_text().replace("\n", " ")
    assert f"{WALKS} walks" in written
    assert f"within {MOVES} moves and {LOOKS} looks of the guard" in written
