"""How many replicas a Deployment of ours asks for, and how many it serves with."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.objects.labels import REPLICAS_ANNOTATION, SCALED_ANNOTATION
from tasks.objects.pods import ReadObject


@dataclass(frozen=True)
class Replicas:
    """asked: now. serves_with: when nothing is taken from it. stopped: it asks for fewer, and we
    made it so."""

    asked: int
    serves_with: int
    stopped: bool = False

    @property
    def lent(self) -> bool:
        """Some of its replicas are taken from it, and the rest run."""
        return self.stopped and self.asked > 0


def replicas_of(deploy: ReadObject) -> Replicas:
    """What a Deployment says. Scaled by hand, or by an autoscaler, it serves with what it asks for;
    where we scaled it, with what stands on it."""
    marks = deploy["metadata"].get("annotations") or {}
    asked = int(deploy["spec"].get("replicas", 1))
    ours = marks.get(SCALED_ANNOTATION) == str(asked)
    noted = int(marks.get(REPLICAS_ANNOTATION) or 1)
    serves = max(asked, noted) if ours or not asked else asked
    return Replicas(asked, serves, ours and asked < serves)


def available_of(deploy: ReadObject) -> int:
    """How many of its replicas answer."""
    return int((deploy.get("status") or {}).get("availableReplicas") or 0)
