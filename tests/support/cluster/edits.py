"""What a person does to what serves, in the cluster in memory."""

from __future__ import annotations

from typing import Any, cast

from tests.support.cluster.actor_world import NAME, World
from tests.support.cluster.bodies import ident_of


class Half(World):
    """Pods of the earlier pod template of `halves` serve on, those of the newest never start: once
    it was at zero nothing of it comes up any more."""

    halves: set[str]
    fell: set[str]

    def _control(self) -> None:
        super()._control()
        for item in self._deployments():
            ident, status = ident_of(item), item["status"]
            if ident not in self.halves:
                continue
            if not item["spec"]["replicas"]:
                self.fell.add(ident)
            up = 0 if ident in self.fell else status["availableReplicas"]
            item["status"] = {
                "observedGeneration": item["metadata"].get("generation", 1),
                "replicas": up + 1,
                "updatedReplicas": 1,
                "availableReplicas": up,
            }


def half_updated(at: World, ident: str = "old") -> World:
    """`ident` is edited so that it does not start: its former pods go on."""
    at.__class__ = Half
    found = cast(Half, at)
    found.halves, found.fell = {ident}, set()
    edited(at, ident, args=["--max-model-len=999999999"])
    return at


def undone(at: World) -> None:
    """`kubectl rollout undo`."""
    found = cast(Half, at)
    (ident,) = found.halves
    found.halves = set()
    edited(at, ident, args=None)


def edited(at: World, ident: str = "old", **fields: Any) -> None:
    """Fields of its container are other ones; None takes one away."""
    body = at.objects["Deployment", f"{NAME}-{ident}"]
    engine = body["spec"]["template"]["spec"]["containers"][0]
    engine.update(fields)
    for key, value in fields.items():
        if value is None:
            del engine[key]
    at.put(body)


class Tags(World):
    """`digest` is what a tag leads to now, `ran` what the pods of a release were made with."""

    digest = "sha256:" + "a" * 64
    ran: dict[str, str]

    def _pod(self, item: dict[str, Any], number: object, ready: str) -> dict[str, Any]:
        pod = super()._pod(item, number, ready)
        digest = self.ran.get(ident_of(item), self.digest)
        image = {"name": "engine", "imageID": f"reg/img@{digest}"}
        pod["status"]["containerStatuses"] = [image]
        return pod
