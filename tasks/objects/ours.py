"""Whether an object is this rollout's: by its labels, never by its name alone; and whether it still
is once the API server, and whoever it asks, have taken it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.base.errors import Refused
from tasks.objects.labels import (
    INSTANCE_LABEL,
    KIND_LABEL,
    MANAGED_LABEL,
    MANAGER,
    OUR_PREFIX,
)
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


def must_be_kept(sent: ReadObject, answer: ReadObject) -> None:
    """What the API server answers to a write is told by the same marks as what was sent: else
    nobody would find it again, to lead to it or to remove it. Raises Refused."""
    if not (found := list(changes(sent, answer))):
        return
    meta = answer.get("metadata") or {}
    raise Refused(
        f"{answer.get('kind', 'object')} {meta.get('namespace', '')}/{meta.get('name', '')} is not "
        f"taken in as it was sent: {'; '.join(found)}. A mutating webhook or policy of the cluster "
        "changes it, and it would not be found again; exempt the namespace, or what carries "
        f"{MANAGED_LABEL}={MANAGER}, from it (`kubectl get mutatingwebhookconfigurations` lists "
        "them)"
    )


def changes(sent: ReadObject, answer: ReadObject) -> Iterator[str]:
    """What became of the marks by which an object, its pods and its data are told, in words."""
    here, there = sent.get("metadata") or {}, answer.get("metadata") or {}
    for key in ("name", "namespace"):
        if here.get(key) and here[key] != there.get(key, here[key]):
            yield _apart(f"metadata.{key}", there.get(key), here[key])
    for part in ("labels", "annotations"):
        yield from _of_marks(f"metadata.{part}", here.get(part), there.get(part))
    yield from _of_spec(sent.get("spec") or {}, answer.get("spec") or {})
    for key, value in (sent.get("data") or {}).items():
        if value != (answer.get("data") or {}).get(key):
            yield f"data.{key} is another"


def _of_spec(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    chosen = here.get("selector")
    if isinstance(chosen, Mapping):
        wanted = {key: value for key, value in chosen.items() if value is not None}
        found = there.get("selector") or {}
        if wanted != found:
            yield _apart("spec.selector", found, wanted)
    marks, kept = (
        ((spec.get("template") or {}).get("metadata") or {}).get("labels") for spec in (here, there)
    )
    yield from _of_marks("spec.template.metadata.labels", marks, kept)


def _of_marks(where: str, here: Any, there: Any) -> Iterator[str]:
    for key, value in (here or {}).items():
        ours = key.startswith(OUR_PREFIX) or key in (MANAGED_LABEL, INSTANCE_LABEL)
        if ours and (there or {}).get(key) != value:
            yield _apart(f"{where}[{key}]", (there or {}).get(key), value)


def _apart(where: str, found: object, sent: object) -> str:
    return f"{where} is {found if found is not None else 'gone'}, sent was {sent}"


def with_marks(found: ReadObject, body: ReadObject) -> dict[str, Any]:
    """The marks that a merge patch leaves an object with."""
    here, there = found["metadata"], body.get("metadata") or {}
    meta = {key: here[key] for key in ("name", "namespace") if key in here}
    for part in ("labels", "annotations"):
        meta[part] = {**(here.get(part) or {}), **(there.get(part) or {})}
    spec = {"template": (found.get("spec") or {}).get("template") or {}}
    whole = {"metadata": meta, "spec": {**spec, **(body.get("spec") or {})}}
    chosen = (found.get("spec") or {}).get("selector")
    if isinstance(chosen, Mapping):
        more = (body.get("spec") or {}).get("selector") or {}
        whole["spec"]["selector"] = {**chosen, **more}
    return whole
