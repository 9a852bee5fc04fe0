"""How deployments are called, and whose they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.service.names import DEEDS, ModelKey, called, owner, tags_of

LABELS = st.from_regex(r"[a-z]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)
MODELS = st.sets(st.tuples(LABELS, LABELS), max_size=8)


def test_a_model_is_called_by_its_name_alone() -> None:
    assert called([("models", "chat"), ("models", "code")]) == {
        ("models", "chat"): "chat",
        ("models", "code"): "code",
    }


def test_neither_of_two_keeps_the_short_name() -> None:
    assert called([("a", "chat"), ("b", "chat"), ("b", "code")]) == {
        ("a", "chat"): "chat.a",
        ("b", "chat"): "chat.b",
        ("b", "code"): "code",
    }


def test_what_takes_a_whole_spec_keeps_its_name() -> None:
    assert called([("models", "any")]) == {("models", "any"): "any.models"}


@given(MODELS)
def test_no_two_are_called_the_same(models: set[ModelKey]) -> None:
    names = called(models)
    made = [f"{does}-{name}" for name in names.values() for does in DEEDS]
    assert len(set(made)) == len(made) and "rollout-any" not in made


@given(MODELS)
def test_a_deployment_tells_whose_it_is(models: set[ModelKey]) -> None:
    for model, name in called(models).items():
        assert {owner(f"{does}-{name}", [*tags_of(model), "mine"]) for does in DEEDS} == {model}


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("rollout-chat (copy)", tags_of(("models", "chat"))),
        ("nightly", tags_of(("models", "chat"))),
        ("rollout-chat", ["model-rollout"]),
        ("rollout-chat", ["model:chat", "namespace:models"]),
        ("guard", ["model-rollout"]),
        ("rollout-", ["model-rollout", "model:", "namespace:"]),
    ],
)
def test_what_a_person_made_is_nobodys(name: str, tags: list[str]) -> None:
    assert owner(name, tags) is None
