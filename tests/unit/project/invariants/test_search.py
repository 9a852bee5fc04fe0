"""Every interleaving in a small scope: what a process does, dies of or sends too late, what pods,
a neighbour and a person do. What the model leaves out: tests/support/search/search.py; larger
scopes: `python -m tests.support.search --larger`."""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.search import begins, mutants
from tests.support.search.rules import AT_HAND, UNMARKED, Rules, toggled
from tests.support.search.search import Found, search
from tests.support.search.signs import APPLIED, DELETED, HARM, NOT_WHOLE

# where it begins, what goes wrong in it, and how many processes start
SCOPES = [("left", 1, 1), ("rest", 1, 1), ("late", 0, 1), ("first", 0, 2)]


@cache
def found(begin: str, trouble: int, starts: int, rules: Rules = AT_HAND) -> Found:
    out = search(getattr(begins, begin)(trouble, starts), rules=rules)
    print(f"{begin}, trouble {trouble}, starts {starts}: {out}")
    assert out.complete
    return out


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: "-".join(map(str, scope)))
def test_nothing_goes_wrong(scope: tuple[str, int, int]) -> None:
    for sign, trace in found(*scope).wrong.items():
        pytest.fail("\n".join([sign, *trace]))


def test_a_late_write_of_a_predecessor_lands_where_nothing_is_marked() -> None:
    signs = found("late", 0, 1, UNMARKED).wrong
    for late in (f"{HARM} [scale, late]", DELETED, APPLIED):
        assert any(sign.startswith(late) for sign in signs), signs.keys()


@pytest.mark.parametrize(
    ("switch", "begin", "sign"),
    [
        ("idle_if_whole", "left", NOT_WHOLE),
        ("scale_serving", "left", HARM),
        ("apply_serving", "left", APPLIED),
        ("stamp_ours", "left", "6 somebody else's Service"),
        ("candidate_ours", "left", "6 somebody else's candidate Service"),
        ("makes_missing", "late", NOT_WHOLE),
    ],
)
def test_a_precondition_that_is_left_out_is_missed(switch: str, begin: str, sign: str) -> None:
    scope = getattr(begins, begin)(0 if begin == "late" else 1, 1)
    signs = search(scope, rules=toggled(AT_HAND, switch), stop_at=sign).wrong
    assert any(said.startswith(sign) for said in signs), signs.keys()


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_wrong_decision_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutants.MUTANTS[name]
    scope = getattr(begins, mutant.begin)(mutant.trouble, 1)
    mutants.put_in(monkeypatch, mutant)
    signs = search(scope, consent=mutant.consent, stop_at=mutant.shows).wrong
    assert any(sign.startswith(mutant.shows) for sign in signs), signs.keys()
