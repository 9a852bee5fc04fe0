"""The two patches by which what somebody deployed by hand becomes a release. Labels and annotations
alone: no pod is touched, and the Service goes on choosing what it chose."""

from __future__ import annotations

import json

from tasks.base.errors import Refused
from tasks.objects.labels import (
    FORMER_ANNOTATION,
    INSTANCE_LABEL,
    KIND_LABEL,
    LEAVES_ANNOTATION,
    MANAGED_LABEL,
    MANAGER,
    REACHED_ANNOTATION,
    RELEASE_LABEL,
    REPLICAS_ANNOTATION,
)
from tasks.objects.pods import Object
from tasks.release.adopt import Adoption
from tasks.render.services import our_port


def adopted_deployment(found: Object, name: str, adoption: Adoption) -> Object:
    """The merge patch of a Deployment of rollout `name`. Raises Refused where it was replaced."""
    if found["metadata"]["uid"] != adoption.uid:
        raise Refused(
            f"Deployment {adoption.release.deployment} was deleted and made anew meanwhile; "
            "run `rollout adopt` again"
        )
    body = _marked(found, name, "engine", adoption)
    body["metadata"]["annotations"][REPLICAS_ANNOTATION] = str(found["spec"].get("replicas", 1))
    if adoption.leaves:
        body["metadata"]["annotations"][LEAVES_ANNOTATION] = ",".join(adoption.leaves)
    return body


def adopted_service(found: Object, name: str, adoption: Adoption) -> Object:
    """The merge patch of the Service in front of it. Raises Refused where it leads elsewhere by
    now, or has no port that a switch could turn."""
    spec = found["spec"]
    where = f"Service {found['metadata'].get('namespace')}/{name}"
    if (spec.get("selector") or {}) != adoption.reached.selector:
        raise Refused(f"the selector of {where} was changed meanwhile; run `rollout adopt` again")
    our_port(spec.get("ports") or [], where)
    return _marked(found, name, "stable", adoption)


def _marked(found: Object, name: str, kind: str, adoption: Adoption) -> Object:
    marks = {
        INSTANCE_LABEL: name,
        MANAGED_LABEL: MANAGER,
        KIND_LABEL: kind,
        RELEASE_LABEL: adoption.release.id,
    }
    meta = found["metadata"]
    labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
    former = json.dumps({key: labels.get(key) for key in marks}, sort_keys=True)
    return {
        "metadata": {
            "labels": marks,
            "annotations": {
                REACHED_ANNOTATION: adoption.reached.text(),
                # of the first time: by now the labels may be ours
                FORMER_ANNOTATION: notes.get(FORMER_ANNOTATION, former),
            },
        }
    }
