"""What a Deployment is made of: which object it is, and what its pods are made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from tasks.objects.pods import ReadObject

# `kubectl rollout restart` starts the same pods again
RESTARTED = "kubectl.kubernetes.io/restartedAt"
# and so do the buttons of other tools: annotations of a pod template that say nothing but when
RESTARTS = (
    RESTARTED,
    "cattle.io/timestamp",  # Rancher: Redeploy
    "kubesphere.io/restartedAt",  # KubeSphere: Recreate
)
# on a Deployment: 'before>after', the hashes of its pod template when we held it to other nodes; it
# is the same release as long as nothing else is changed of it
PLACED = "model-rollout/placed"
# containerd's and dockershim's ways to begin an imageID
_SCHEMES = ("docker-pullable://", "docker://")


def made_of(deploy: ReadObject) -> str:
    """'uid/hash of its pod template', as the API server has them. Replicas are no part of it, nor
    is that we held it to other nodes."""
    now = _hashed(deploy["spec"].get("template") or {})
    mark = str((deploy["metadata"].get("annotations") or {}).get(PLACED, ""))
    before, _, after = mark.partition(">")
    uid = str(deploy["metadata"].get("uid") or "")
    return f"{uid}/{before if before and after == now else now}"


def placed_mark(deploy: ReadObject, template: ReadObject) -> str:
    """What PLACED says of a Deployment that gets this pod template, for other nodes alone."""
    return f"{template_in(made_of(deploy))}>{_hashed(template)}"


def _hashed(template: ReadObject) -> str:
    meta = template.get("metadata") or {}
    noted = {k: v for k, v in (meta.get("annotations") or {}).items() if k not in RESTARTS}
    # none and empty are the same
    plain = {key: value for key, value in {**meta, "annotations": noted}.items() if value}
    body = json.dumps({**template, "metadata": plain}, sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:12]


def is_made_of(deploy: ReadObject, noted: str) -> bool:
    """Its pod template is the one that was noted, but for a restart; no where none was."""
    return bool(noted) and template_in(made_of(deploy)) == template_in(noted)


def template_in(made: str) -> str:
    """The hash of the pod template."""
    return made.rpartition("/")[2]


def other_image(measured: Iterable[str], now: Iterable[str]) -> str:
    """Which image runs that was not measured, in words; '' where none does, or nothing was noted,
    or nothing can be told. A tag that moves changes no template. Both: imageIDs of pods, as nodes
    tell them.

    A node tells an image that it pulled by its registry's digest, and one that was imported there
    by its own: the two say nothing of each other.
    """
    known, here = ({image_told(item) for item in items if item} for items in (measured, now))
    kinds = {pulled for pulled, _ in known}
    other = sorted(digest for pulled, digest in here - known if pulled in kinds)
    if not other:
        return ""
    ran = sorted(digest for _, digest in known)
    return (
        f"its pods ran {', '.join(ran)} when they were measured and run "
        f"{', '.join(other)} now: the tag has moved, and they were made anew"
    )


def image_told(ident: str) -> tuple[bool, str]:
    """Whether an imageID names the image by a registry's digest, and that digest, or its own. A
    mirror's name is no other image."""
    for scheme in _SCHEMES:
        ident = ident.removeprefix(scheme)
    _, at, digest = ident.rpartition("@")
    return bool(at), digest


def apart(noted: str, now: str, *, which: bool = True) -> str:
    """What is other than it was noted, in words; '' where nothing is, or nothing was noted. which:
    the object itself counts, too: its pods were measured."""
    if not noted or noted == now:
        return ""
    here, there = template_in(noted), template_in(now)
    if here != there:
        return f"its pod template was {here} then and is {there} now: somebody changed it"
    if not which:
        return ""
    uids = [text.rpartition("/")[0] for text in (noted, now)]
    return f"it was Deployment {uids[0]} then and is {uids[1]} now: somebody made it anew"
