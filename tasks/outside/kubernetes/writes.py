"""Objects of a Kubernetes API: written, under a fence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal

from tasks.base.errors import OutsideError, Refused
from tasks.objects.kinds import Resource
from tasks.objects.labels import FIELD_MANAGER
from tasks.objects.ours import must_be_kept
from tasks.objects.pods import Object
from tasks.outside.kubernetes.rest import ApiRequest, Fence, NotFound, Rest


class Writer:
    """Writes objects; see Objects for what they are and what it raises. Refused where the answer is
    not told by the marks that were sent (see must_be_kept); what was created so is deleted again.

    fence: called right before each attempt. dry_run: the server checks and answers, and stores
    nothing.
    """

    def __init__(
        self,
        rest: Rest,
        resource: Callable[[str, str | None], Resource],
        fence: Fence,
        *,
        dry_run: bool = False,
    ) -> None:
        self._rest, self._resource = rest, resource
        self._fence, self._dry_run = fence, dry_run

    def apply(self, obj: Object, *, force: bool = True) -> Object:
        """Server-side apply: create it, or own the fields given here; absent ones are given up."""
        query = {"force": "true" if force else "false"}
        return self._whole("PATCH", "patch", obj, query, "application/apply-patch+yaml")

    def create(self, obj: Object) -> Object:
        """Create it, by its name. Raises AlreadyExists, also where the answer to our own creation
        was lost: whoever creates looks at what is there then."""
        made = self._sent("POST", "create", obj)
        try:
            must_be_kept(obj, made)
        except Refused:
            meta = made["metadata"]
            if not self._dry_run:
                with suppress(OutsideError):
                    self.delete(obj["kind"], meta["name"], meta.get("namespace"), uid=meta["uid"])
            raise
        return made

    def replace(self, obj: Object) -> Object:
        """Write the whole object over the version it was read at.

        Raises Conflict when it has changed since, ValueError without a resourceVersion.
        """
        if not obj["metadata"].get("resourceVersion"):
            raise ValueError(
                "replace needs metadata.resourceVersion, or it would overwrite blindly"
            )
        return self._whole("PUT", "update", obj)

    def patch(self, kind: str, name: str, ns: str | None, body: Object, sub: str = "") -> Object:
        """Change some fields, by a merge patch. metadata.resourceVersion in it makes it conditional
        (Conflict when the object has changed). sub: a subresource such as 'scale'."""
        res = self._resource(kind, None)
        answer = self._rest.json(
            ApiRequest(
                "PATCH",
                res.path(ns, name, sub),
                "patch",
                res.where(ns, f"{name}/{sub}" if sub else name),
                self._query({"fieldManager": FIELD_MANAGER}),
                body,
                "application/merge-patch+json",
                fence=self._fence,
            )
        )
        # what the rest of its spec comes to is for who has read it
        must_be_kept({key: value for key, value in body.items() if key != "spec"}, answer)
        return answer

    def delete(
        self,
        kind: str,
        name: str,
        ns: str | None = None,
        *,
        propagation: Literal["Background", "Foreground"] = "Background",
        uid: str | None = None,
        version: str | None = None,
    ) -> bool:
        """Delete it; False where there was none. With `uid`, Conflict when it is another object;
        with `version` (a resourceVersion), when it has changed since."""
        res = self._resource(kind, None)
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if demands := {k: v for k, v in (("uid", uid), ("resourceVersion", version)) if v}:
            body["preconditions"] = demands
        if self._dry_run:
            body["dryRun"] = ["All"]
        path, what = res.path(ns, name), res.where(ns, name)
        asked = ApiRequest("DELETE", path, "delete", what, self._query({}), body, fence=self._fence)
        try:
            self._rest.raw(asked)
        except NotFound:
            return False
        return True

    def _whole(
        self,
        method: str,
        verb: str,
        obj: Object,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        answer = self._sent(method, verb, obj, query, content_type)
        must_be_kept(obj, answer)
        return answer

    def _sent(
        self,
        method: str,
        verb: str,
        obj: Object,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        res = self._resource(obj["kind"], obj.get("apiVersion"))
        ns, name = obj["metadata"].get("namespace"), obj["metadata"].get("name")
        creating = method == "POST"
        return self._rest.json(
            ApiRequest(
                method,
                res.path(ns, None if creating else name),
                verb,
                res.where(ns, name),
                self._query({"fieldManager": FIELD_MANAGER, **(query or {})}),
                obj,
                content_type,
                fence=self._fence,
            )
        )

    def _query(self, query: dict[str, str]) -> dict[str, str]:
        return {**query, "dryRun": "All"} if self._dry_run else query
