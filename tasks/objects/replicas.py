"""How many replicas a Deployment of ours asks for, and how many it serves with."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.objects.labels import FIELD_MANAGER, REPLICAS_ANNOTATION, SCALED_ANNOTATION
from tasks.objects.made import is_made_of
from tasks.objects.pods import ReadObject

# whoever the API server had not written down when something was applied for the first time
UNTRACKED = "before-first-apply"
MOST_DIGITS = 5  # of replicas, as a spec may ask for them


@dataclass(frozen=True)
class Replicas:
    """asked: now. serves_with: when nothing is taken from it. stopped: it asks for fewer, and we
    made it so. beyond: how many of those asked for only somebody else asks for."""

    asked: int
    serves_with: int
    stopped: bool = False
    beyond: int = 0

    @property
    def lent(self) -> bool:
        """Some of its replicas are taken from it, and the rest run."""
        return self.stopped and self.asked > 0


def replicas_of(deploy: ReadObject) -> Replicas:
    """What a Deployment says. Scaled by hand, or by an autoscaler, it serves with what it asks for;
    where we scaled it, and nobody has since, with what stands on it."""
    marks = deploy["metadata"].get("annotations") or {}
    asked = int(deploy["spec"].get("replicas", 1))
    ours = marks.get(SCALED_ANNOTATION) == str(asked) and _set_by_us(deploy)
    said = str(marks.get(REPLICAS_ANNOTATION) or "")
    # what a person wrote there instead is no number of ours
    noted = int(said) if said.isdecimal() and len(said) <= MOST_DIGITS else 0
    serves = max(asked, noted or 1) if ours or not asked else asked
    beyond = max(0, asked - noted) if noted and not ours else 0
    return Replicas(asked, serves, ours and asked < serves, beyond)


def due_of(deploy: ReadObject) -> int:
    """How many of its replicas are waited for: what only somebody else asks for (an autoscaler may
    ask for more than there are seats) is not."""
    found = replicas_of(deploy)
    return found.asked - found.beyond


def unmet_of(deploy: ReadObject) -> int:
    """How many replicas only somebody else asks for, that do not answer: nothing is to be lost by
    them, and a seat they may never get."""
    found = replicas_of(deploy)
    return min(found.beyond, max(0, found.asked - available_of(deploy)))


def scaled_marks(replicas: int, serves_with: int) -> dict[str, str]:
    """What we note on a Deployment as we scale it."""
    return {REPLICAS_ANNOTATION: str(serves_with), SCALED_ANNOTATION: str(replicas)}


def _set_by_us(deploy: ReadObject) -> bool:
    """Whether its replicas are as we wrote them: the API server keeps who set a field, and takes it
    from all others whenever its value changes. No generation can say that: what else is changed
    raises it too, a mark of ours as well.

    One that applies the value that stands there owns it beside us, since, and has set it. One that
    updated it owned it before we applied the same. A write through /scale of the value that stands
    there may leave it with nobody, and those that follow too (seen of Kubernetes 1.36): theirs. On
    what is not tracked (a tool took managedFields off) what we noted has to do.
    """
    tracked = deploy["metadata"].get("managedFields") or []
    who = {(entry.get("manager"), entry.get("operation")) for entry in tracked if _owns(entry)}
    if not tracked or {manager for manager, _ in who} == {UNTRACKED}:
        return True
    others = {how for manager, how in who if manager not in (FIELD_MANAGER, UNTRACKED)}
    return "Apply" not in others and any(manager == FIELD_MANAGER for manager, _ in who)


def _owns(entry: ReadObject) -> bool:
    """An entry of managedFields is about the replicas."""
    return "f:replicas" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})


def mixed_of(deploy: ReadObject, noted: str = "") -> str:
    """Why its pods are not known to be of its pod template, in words; '' where they are: what
    answers then is what it is made from. What is not told counts as so. noted: what it was made of
    when it was judged, or served: where it is that still it is being restarted, and comes back as
    that."""
    if is_made_of(deploy, noted):
        return ""
    if behind(deploy):
        return "its controller has not seen its newest edit yet"
    status = deploy.get("status") or {}
    every, newest = (int(status.get(key) or 0) for key in ("replicas", "updatedReplicas"))
    if every > newest:
        return f"{every - newest} of its {every} pod(s) are of an earlier pod template"
    return ""


def behind(deploy: ReadObject) -> bool:
    """Its controller has not seen its newest edit: its status is of what it was before."""
    status = deploy.get("status") or {}
    seen, now = status.get("observedGeneration"), deploy["metadata"].get("generation")
    return seen is not None and now is not None and int(seen) < int(now)


def available_of(deploy: ReadObject) -> int:
    """How many of its replicas answer."""
    return int((deploy.get("status") or {}).get("availableReplicas") or 0)
