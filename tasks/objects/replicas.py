"""How many replicas a Deployment of ours asks for, and how many it serves with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tasks.objects.labels import REPLICAS_ANNOTATION, SCALED_ANNOTATION, SCALED_AT_ANNOTATION
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
    where we scaled it, and nobody has since, with what stands on it."""
    marks = deploy["metadata"].get("annotations") or {}
    asked = int(deploy["spec"].get("replicas", 1))
    ours = marks.get(SCALED_ANNOTATION) == str(asked) and _stands(deploy)
    noted = int(marks.get(REPLICAS_ANNOTATION) or 1)
    serves = max(asked, noted) if ours or not asked else asked
    return Replicas(asked, serves, ours and asked < serves)


def scaled_marks(deploy: ReadObject, replicas: int, serves_with: int) -> dict[str, str]:
    """What we note on a Deployment as we scale it: valid for the spec that it has then, so that a
    number which somebody set since, and be it the same one, is theirs."""
    meta = deploy["metadata"]
    bumped = int(meta.get("generation") or 0) + (replicas != int(deploy["spec"].get("replicas", 1)))
    return {
        REPLICAS_ANNOTATION: str(serves_with),
        SCALED_ANNOTATION: str(replicas),
        SCALED_AT_ANNOTATION: f"{bumped}/{_rest(deploy)}" if meta.get("generation") else "",
    }


def _stands(deploy: ReadObject) -> bool:
    """Its replicas are those of the spec in which we scaled it. A generation that moved on by what
    else stands there says nothing of them."""
    meta = deploy["metadata"]
    noted = (meta.get("annotations") or {}).get(SCALED_AT_ANNOTATION) or ""
    generation, _, rest = noted.partition("/")
    return not noted or generation == str(meta.get("generation")) or rest != _rest(deploy)


def _rest(deploy: ReadObject) -> str:
    """A hash of a Deployment's spec but for its replicas."""
    rest = {key: value for key, value in deploy["spec"].items() if key != "replicas"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:12]


def available_of(deploy: ReadObject) -> int:
    """How many of its replicas answer."""
    return int((deploy.get("status") or {}).get("availableReplicas") or 0)
