"""How deployments are called, and how it is told which are ours, and whose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

TAG = "model-rollout"
# what a model can be asked for in the UI
Deed = Literal["rollout", "approve", "reject", "abort", "rollback", "verify"]
DEEDS: tuple[Deed, ...] = get_args(Deed)
MODEL, NAMESPACE = "model:", "namespace:"
# `rollout-any` takes a whole spec
ANY_SPEC = "rollout-any"
ModelKey = tuple[str, str]  # namespace, name


def called(models: Iterable[ModelKey]) -> dict[ModelKey, str]:
    """What the deployments of each model end with: its name, and its namespace where another model
    has the same name, or where the name is spoken for. Neither keeps the short name then: what a
    bookmark leads to never becomes another model's."""
    models = list(models)
    often = Counter(name for _, name in models)
    taken = {ANY_SPEC.partition("-")[2]}
    # names are DNS labels, so none has a dot
    return {
        (space, name): f"{name}.{space}" if often[name] > 1 or name in taken else name
        for space, name in models
    }


def tags_of(model: ModelKey) -> tuple[str, ...]:
    """What the deployments of a model are marked with."""
    space, name = model
    return (TAG, f"{MODEL}{name}", f"{NAMESPACE}{space}")


def owner(name: str, tags: Iterable[str]) -> ModelKey | None:
    """The model whose deployment we made under this name; None where it is not one of ours: a copy
    that a person made carries our tags, too, but no name that we give."""
    found: Mapping[str, str] = dict(tag.split(":", 1) for tag in tags if ":" in tag)
    model = found.get(MODEL[:-1], ""), found.get(NAMESPACE[:-1], "")
    ours = {f"{does}-{model[0]}{end}" for does in DEEDS for end in ("", f".{model[1]}")}
    return (model[1], model[0]) if TAG in tags and all(model) and name in ours else None
