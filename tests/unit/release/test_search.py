"""Every interleaving in a small scope: what a process does, dies of or sends too late, what pods,
a neighbour and a person do. What the model leaves out: tests/support/search/search.py; larger
scopes: `python -m tests.support.search`."""

from __future__ import annotations

from functools import cache

import pytest

from tests.support.search import begins, mutants
from tests.support.search.known import APPLIED, DELETED, HARM, KNOWN, Known
from tests.support.search.rules import ALL, AT_HAND, STRENGTHENED, Rules
from tests.support.search.search import Found, search

# where it begins, what goes wrong in it, and how many processes start
SCOPES = [("left", 1, 1), ("late", 1, 1), ("rest", 2, 1), ("first", 1, 2)]


@cache
def found(begin: str, trouble: int, starts: int, rules: Rules = AT_HAND) -> Found:
    out = search(getattr(begins, begin)(trouble, starts), rules=rules)
    print(f"{begin}, trouble {trouble}, starts {starts}: {out}")
    assert out.complete
    return out


@cache
def at_hand() -> dict[str, str]:
    """A shortest trace for everything that is wrong today."""
    traces: dict[str, list[str]] = {}
    for scope in SCOPES:
        for sign, trace in found(*scope).wrong.items():
            if sign not in traces or len(trace) < len(traces[sign]):
                traces[sign] = trace
    return {sign: "\n".join([sign, *trace]) for sign, trace in traces.items()}


def signed(known: Known, sign: str) -> bool:
    return sign.startswith(known.signs)


@pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: "-".join(map(str, scope)))
def test_nothing_else_goes_wrong(scope: tuple[str, int, int]) -> None:
    for sign, trace in found(*scope).wrong.items():
        if not any(signed(known, sign) for known in KNOWN.values()):
            pytest.fail("\n".join([sign, *trace]))


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=pytest.mark.xfail(strict=True, reason=f"{it.trace} ({it.rule})"))
        for what, it in KNOWN.items()
    ],
)
def test_it_does_not_come_to(what: str) -> None:
    traces = [text for sign, text in at_hand().items() if signed(KNOWN[what], sign)]
    if traces:
        pytest.fail("\n\n".join(traces))


def test_no_late_write_of_a_predecessor_lands_once_its_objects_are_stamped() -> None:
    """With what is being built: see STRENGTHENED."""
    late = (f"{HARM} [scale, late]", DELETED, APPLIED)
    assert any(sign.startswith(late) for sign in found("late", 0, 1).wrong)
    left = found("late", 0, 1, STRENGTHENED).wrong
    assert not [sign for sign in left if sign.startswith(late)]


def test_what_preconditions_can_exclude_is_excluded_by_all_of_them() -> None:
    left = {sign for sign in found("left", 1, 1, ALL).wrong if sign[0] in "1236"}
    assert left == set()


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_wrong_decision_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutants.MUTANTS[name]
    scope = getattr(begins, mutant.begin)(mutant.trouble, 1)
    before = search(scope, consent=mutant.consent).wrong
    mutants.put_in(monkeypatch, mutant)
    after = search(scope, consent=mutant.consent).wrong
    more = [sign for sign in after if sign not in before]
    assert any(sign.startswith(mutant.shows) for sign in more), more
