"""Every interleaving in a small scope: what a process does, dies of or sends too late, what pods,
a neighbour and a person do. What the model leaves out: tests/support/search/search.py; larger
scopes: `python -m tests.support.search --table`."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.support.places import ROOT
from tests.support.search import begins, mutants
from tests.support.search.rules import AT_HAND, UNMARKED, Rules, toggled
from tests.support.search.search import Found, search
from tests.support.search.signs import (
    ALL,
    APPLIED,
    CANDIDATE,
    DELETED,
    EDITED,
    HARM,
    NOT_WHOLE,
    SERVICE,
)
from tests.support.search.table import LARGE, SAID, SMALL, Scope

WRITTEN = (ROOT / "docs" / "architecture.md").read_text()


@cache
def found(scope: Scope, rules: Rules = AT_HAND) -> Found:
    out = scope.look(rules)
    print(f"{scope}: {out}")
    assert out.complete
    return out


@pytest.mark.parametrize("scope", SMALL, ids=lambda s: f"{s.begin}-{s.trouble}-{s.starts}")
def test_nothing_goes_wrong(scope: Scope) -> None:
    for sign, trace in found(scope).wrong.items():
        pytest.fail("\n".join([sign, *trace]))


@pytest.mark.parametrize("scope", SMALL, ids=lambda s: f"{s.begin}-{s.trouble}-{s.starts}")
def test_the_documentation_says_what_was_looked_at(scope: Scope) -> None:
    """`python -m tests.support.search --table` prints the table anew."""
    assert scope.row(found(scope)) in WRITTEN


def test_the_documentation_has_a_row_for_every_scope() -> None:
    rows = [
        line
        for line in WRITTEN.splitlines()
        if line.startswith(tuple(f"| {s}" for s in SAID.values()))
    ]
    kinds = [row.split("|")[1:4] for row in rows]
    empty = Found()
    assert kinds == [scope.row(empty).split("|")[1:4] for scope in (*SMALL, *LARGE)]


def test_a_sign_names_a_row_of_what_holds() -> None:
    rows = set(re.findall(r"^\| (\d+) \| ", WRITTEN, re.M))
    assert {sign.split()[0] for sign in ALL} == rows - {"8"}


def test_a_late_write_of_a_predecessor_lands_where_nothing_is_marked() -> None:
    signs = found(Scope("late", 0, 1), UNMARKED).wrong
    for late in (f"{HARM} [scale, late]", DELETED, APPLIED):
        assert any(sign.startswith(late) for sign in signs), signs.keys()


@pytest.mark.parametrize(
    ("switch", "begin", "sign"),
    [
        ("idle_if_whole", "left", NOT_WHOLE),
        ("scale_serving", "left", HARM),
        ("apply_serving", "left", APPLIED),
        ("stamp_ours", "left", SERVICE),
        ("candidate_ours", "left", CANDIDATE),
        ("makes_missing", "late", NOT_WHOLE),
    ],
)
def test_a_precondition_that_is_left_out_is_missed(switch: str, begin: str, sign: str) -> None:
    scope = getattr(begins, begin)(0 if begin == "late" else 1, 1)
    signs = search(scope, rules=toggled(AT_HAND, switch), stop_at=sign).wrong
    assert any(said.startswith(sign) for said in signs), signs.keys()


def test_nothing_goes_wrong_where_a_person_set_more_replicas() -> None:
    found = search(begins.scaled(1, 1))
    assert found.complete and found.wrong == {}


def test_what_is_edited_after_a_decision_is_not_stopped_by_it() -> None:
    """It was to be interrupted."""
    for rules, shown in ((AT_HAND, False), (toggled(AT_HAND, "scale_edited"), True)):
        signs = search(begins.rest(1, 1), rules=rules, consent=True, stop_at=EDITED).wrong
        assert any(sign.startswith(EDITED) for sign in signs) is shown


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_wrong_decision_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = mutants.MUTANTS[name]
    scope = getattr(begins, mutant.begin)(mutant.trouble, 1)
    mutants.put_in(monkeypatch, mutant)
    signs = search(scope, consent=mutant.consent, stop_at=mutant.shows).wrong
    assert any(sign.startswith(mutant.shows) for sign in signs), signs.keys()
