"""Whether an object is this rollout's: by its labels, never by its name alone."""

from __future__ import annotations

from tasks.base.errors import Refused
from tasks.objects.labels import INSTANCE_LABEL, KIND_LABEL, MANAGED_LABEL, MANAGER
from tasks.objects.pods import ReadObject


def marks(name: str, role: str) -> dict[str, str]:
    """The labels of what rollout `name` makes. role: what it is for."""
    return {**marks_of_all(role), INSTANCE_LABEL: name}


def marks_of_all(role: str) -> dict[str, str]:
    """What every rollout's objects of a role carry."""
    return {MANAGED_LABEL: MANAGER, KIND_LABEL: role}


def is_ours(found: ReadObject, name: str, role: str) -> bool:
    """Whether an object carries them."""
    return marks(name, role).items() <= (found["metadata"].get("labels") or {}).items()


def must_be_ours(found: ReadObject, name: str, role: str, instead: str = "") -> None:
    """Raises Refused for somebody else's. instead: another way out, in words, with a comma."""
    if is_ours(found, name, role):
        return
    meta = found["metadata"]
    here = ", ".join(f"{k}={v}" for k, v in sorted((meta.get("labels") or {}).items())) or "none"
    wanted = ", ".join(f"{key}={value}" for key, value in marks(name, role).items())
    raise Refused(
        f"{found.get('kind', 'object')} {meta.get('namespace', '')}/{meta['name']} exists and is "
        f"not this rollout's: found labels {here}; expected {wanted}. Nothing was changed; "
        f"{instead}give the rollout another name, or move that object away"
    )
