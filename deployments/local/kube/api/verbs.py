"""Writes as the API server does them: checked, defaulted, admitted, owned, stored."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from deployments.local.kube.admit import schema, validation
from deployments.local.kube.admit.defaults import defaulted
from deployments.local.kube.api import apply as server_side
from deployments.local.kube.api.patches import json_patch, merge_patch, strategic_patch
from deployments.local.kube.api.target import Options, Target
from deployments.local.kube.objects import pods, podsecurity
from deployments.local.kube.objects.kinds import BY_PLURAL, Kind
from deployments.local.kube.objects.status import StatusError, conflict, invalid
from deployments.local.kube.objects.store import Object, Store

Admit = Callable[[str, Object, Object | None], Object]
OnDelete = Callable[[Object, str], None]
Warnings = list[str]
PATCH_TYPES = {
    "application/json-patch+json": json_patch,
    "application/merge-patch+json": merge_patch,
    "application/strategic-merge-patch+json": strategic_patch,
}
APPLY_TYPE = "application/apply-patch+yaml"


class Verbs:
    """The writing verbs over a store.

    admit: called with plural, new and old object, gives the object to store (Service addresses).
    on_delete: called with each object that a DELETE asked for and its propagation policy.
    """

    def __init__(
        self, store: Store, admit: Admit | None = None, on_delete: OnDelete | None = None
    ) -> None:
        self.store = store
        self._admit = admit or (lambda _plural, obj, _old: obj)
        self._on_delete = on_delete or (lambda _obj, _policy: None)

    def create(self, target: Target, body: Any, options: Options, warnings: Warnings) -> Object:
        """POST to a collection."""
        obj = self._shaped(target, body, options, warnings)
        if obj["metadata"].get("resourceVersion"):
            raise StatusError(
                400, "BadRequest", "resourceVersion should not be set on objects to be created"
            )
        obj["metadata"].pop("managedFields", None)
        return self._create(target, obj, options, None)

    def update(self, target: Target, body: Any, options: Options, warnings: Warnings) -> Object:
        """PUT to an object or its status or scale."""
        with self.store.lock:
            old = self.store.must(target.plural, target.ns, target.name)
            if target.sub == "scale":
                return self._rescale(target, old, body, options)
            obj = self._shaped(target, body, options, warnings)
            return self._store(target, old, obj, options)

    def patch(
        self, target: Target, content_type: str, body: Any, options: Options, warnings: Warnings
    ) -> Object:
        """PATCH an object or its status or scale; an apply, of whole objects, creates what is
        absent."""
        if content_type == APPLY_TYPE and not target.sub:
            return self._apply(target, body, options, warnings)
        if content_type not in PATCH_TYPES:
            known = ", ".join([*PATCH_TYPES, APPLY_TYPE])
            raise StatusError(
                415,
                "UnsupportedMediaType",
                f"the body of the request was in an unknown format - accepted media types: {known}",
            )
        with self.store.lock:
            old = self.store.must(target.plural, target.ns, target.name)
            if target.sub == "scale":
                changed = PATCH_TYPES[content_type](scale_of(target.kind, old), body)
                return self._rescale(target, old, changed, options)
            obj = PATCH_TYPES[content_type](old, body)
            obj = self._shaped(target, obj, options, warnings)
            return self._store(target, old, obj, options)

    def delete(self, target: Target, body: Any, options: Options) -> Object | None:
        """DELETE an object; gives it while it lives on (grace, finalizers), None when it is gone.

        body: DeleteOptions or None. Orphan frees the dependants, Foreground deletes them first.
        """
        wish = body if isinstance(body, Mapping) else {}
        policy = str(wish.get("propagationPolicy") or "Background")
        if policy not in ("Background", "Foreground", "Orphan"):
            raise StatusError(400, "BadRequest", f"propagationPolicy: {policy!r} is not known")
        dry = options.dry_run or bool(wish.get("dryRun"))
        preconditions = wish.get("preconditions") or {}
        with self.store.lock:
            old = self.store.must(target.plural, target.ns, target.name)
            for field in ("uid", "resourceVersion"):
                if preconditions.get(field) not in (None, "", old["metadata"][field]):
                    raise conflict(target.plural, target.name)
            if not dry:
                if policy != "Background":
                    self._dependants(old["metadata"]["uid"], policy)
                self._on_delete(old, policy)
                if target.plural == "namespaces":
                    self._empty(target.name)
            self.store.delete(
                target.plural,
                target.ns,
                target.name,
                grace=wish.get("gracePeriodSeconds"),
                preconditions=preconditions,
                dry_run=dry,
            )
            return self.store.get(target.plural, target.ns, target.name)

    # -- inside

    def _empty(self, ns: str) -> None:
        """Delete what is in a namespace."""
        for plural, kind in BY_PLURAL.items():
            for obj in self.store.list(plural, ns) if kind.namespaced else ():
                self.store.delete(plural, ns, obj["metadata"]["name"])

    def _dependants(self, uid: str, policy: str) -> None:
        for plural in BY_PLURAL:
            for obj in self.store.list(plural):
                meta = obj["metadata"]
                references = meta.get("ownerReferences") or []
                if not any(ref.get("uid") == uid for ref in references):
                    continue
                left = [ref for ref in references if ref.get("uid") != uid]
                if policy == "Orphan" or left:
                    freed = {k: v for k, v in meta.items() if k != "resourceVersion"}
                    freed["ownerReferences"] = left
                    self.store.update(plural, {**obj, "metadata": freed})
                else:
                    self._dependants(meta["uid"], policy)
                    self.store.delete(plural, meta.get("namespace", ""), meta["name"])

    def _shaped(
        self, target: Target, body: Any, options: Options, warnings: Warnings
    ) -> dict[str, Any]:
        """The body as an object of the target's kind and place, of the right shape."""
        kind = target.kind
        if not isinstance(body, Mapping):
            raise StatusError(400, "BadRequest", f"the body is no {kind.kind}: expected an object")
        for field, expected in (("apiVersion", kind.api_version), ("kind", kind.kind)):
            if body.get(field) not in (None, expected):
                raise StatusError(
                    400,
                    "BadRequest",
                    f"the {field} in the data ({body[field]}) does not match the expected "
                    f"{field} ({expected})",
                )
        obj = {**body, "apiVersion": kind.api_version, "kind": kind.kind}
        if not isinstance(obj.setdefault("metadata", {}), Mapping):
            raise _unreadable(kind, "metadata: expected an object")
        meta = obj["metadata"] = dict(obj["metadata"] or {})
        obj = self._checked(kind, obj, options, warnings)
        meta = obj["metadata"]
        if kind.namespaced:
            if meta.get("namespace") not in (None, "", target.ns):
                raise StatusError(
                    400,
                    "BadRequest",
                    "the namespace of the provided object does not match the namespace sent on "
                    f"the request ({meta['namespace']} and {target.ns})",
                )
            meta["namespace"] = target.ns
        else:
            meta.pop("namespace", None)  # kustomize writes one where it does not know the kind
        if target.name:
            if meta.get("name") not in (None, "", target.name):
                raise StatusError(
                    400,
                    "BadRequest",
                    f"the name of the object ({meta['name']}) does not match the name on the "
                    f"URL ({target.name})",
                )
            meta["name"] = target.name
        self._warn(target, obj, warnings)
        return obj

    def _warn(self, target: Target, obj: Object, warnings: Warnings) -> None:
        """PodSecurity refuses pods only; of what will make such pods it warns."""
        spec = ((obj.get("spec") or {}).get("template") or {}).get("spec")
        if isinstance(spec, Mapping) and not target.sub:
            space = self.store.get("namespaces", "", target.ns)
            if text := podsecurity.refusal(space, spec, "warn"):
                warnings.append(text)

    @staticmethod
    def _checked(kind: Kind, obj: Object, options: Options, warnings: Warnings) -> Object:
        found = schema.check(kind, obj)
        if found.wrong:
            raise _unreadable(kind, "; ".join(found.wrong))
        if found.unknown:
            said = [f'unknown field "{schema.dotted(path)}"' for path in found.unknown]
            if options.validation == "Strict":
                raise _unreadable(kind, f"strict decoding error: {', '.join(said)}")
            if options.validation == "Warn":
                warnings += said
            for path in found.unknown:
                obj = schema.prune(obj, path)
        if found.missing:
            name = str(obj["metadata"].get("name") or "")
            lacking = ", ".join(f"{path}: Required value" for path in found.missing)
            raise invalid(f"{kind.kind}", name, lacking)
        return obj

    def _validated(self, plural: str, obj: Object, old: Object | None) -> Object:
        obj = defaulted(plural, obj)
        if wrong := validation.problems(plural, obj, old):
            name = str(obj["metadata"].get("name") or "")
            said = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
            error = invalid(BY_PLURAL[plural].kind, name, said)
            causes = [
                {
                    "reason": "FieldValueInvalid",
                    "message": item.partition(": ")[2],
                    "field": item.partition(": ")[0],
                }
                for item in wrong
            ]
            error.details = {"name": name, "kind": BY_PLURAL[plural].kind, "causes": causes}
            raise error
        return obj

    def _create(
        self, target: Target, obj: Object, options: Options, owned: Object | None
    ) -> Object:
        """owned: the object with the managedFields of an apply, else the manager is updating."""
        plural = target.plural
        if "status" in target.kind.subresources and plural != "nodes":
            obj = {key: value for key, value in obj.items() if key != "status"}
        given = obj
        obj = self._validated(plural, _encoded(plural, obj), None)
        if plural in ("pods", "namespaces"):
            obj["status"] = {"phase": "Pending" if plural == "pods" else "Active"}
        with self.store.lock:
            self._refuse_in_terminating(target)
            obj = self._admit(plural, obj, None)
            if owned is None:
                fields = server_side.written(None, given, options.manager)["metadata"]
            else:
                fields = owned["metadata"]
            meta = {**obj["metadata"], "managedFields": fields["managedFields"]}
            for field in ("uid", "creationTimestamp", "deletionTimestamp", "generation"):
                meta.pop(field, None)
            return self.store.create(plural, {**obj, "metadata": meta}, dry_run=options.dry_run)

    def _refuse_in_terminating(self, target: Target) -> None:
        """What is created while a namespace is emptied would never be deleted."""
        if not target.kind.namespaced:
            return
        found = self.store.get("namespaces", "", target.ns)
        if found is not None and pods.terminating(found):
            raise StatusError(
                403,
                "Forbidden",
                f"{target.plural} is forbidden: unable to create new content in namespace "
                f"{target.ns} because it is being terminated",
                {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]},
            )

    def _store(
        self, target: Target, old: Object, obj: Object, options: Options, *, owned: bool = False
    ) -> Object:
        """Store a shaped object over `old`; owned: its managedFields are already right."""
        plural = target.plural
        version = obj["metadata"].get("resourceVersion")
        if version not in (None, "", old["metadata"]["resourceVersion"]):
            raise conflict(plural, target.name)
        if target.sub == "status":
            return self.store.update(plural, obj, status_only=True, dry_run=options.dry_run)
        new = _encoded(plural, obj)
        if plural == "services" and (address := old["spec"].get("clusterIP")):
            # What was allocated stays where an update says nothing of it.
            new = {**new, "spec": {"clusterIP": address, **(new.get("spec") or {})}}
        if plural == "services":
            new = _without_node_ports(old, new)
        new = self._validated(plural, new, old)
        new = self._admit(plural, new, old)
        if not owned:
            new = server_side.written(old, new, options.manager)
        return self.store.update(plural, new, dry_run=options.dry_run)

    def _apply(self, target: Target, body: Any, options: Options, warnings: Warnings) -> Object:
        obj = self._shaped_apply(target, body, options, warnings)
        with self.store.lock:
            old = self.store.get(target.plural, target.ns, target.name)
            version = obj["metadata"].get("resourceVersion")
            if version and (old is None or version != old["metadata"]["resourceVersion"]):
                raise conflict(target.plural, target.name)
            new = server_side.apply(old, obj, options.manager, force=options.force)
            # What is merged must have every field the kind requires.
            new = self._checked(target.kind, new, options, warnings)
            if old is None:
                return self._create(target, new, options, new)
            return self._store(target, old, new, options, owned=True)

    def _shaped_apply(
        self, target: Target, body: Any, options: Options, warnings: Warnings
    ) -> Object:
        """The body of an apply, which may leave out what others give."""
        if isinstance(body, Mapping):
            for field in ("apiVersion", "kind"):
                if not body.get(field):
                    raise StatusError(400, "BadRequest", f"an applied object needs '{field}'")
            if (body.get("metadata") or {}).get("managedFields"):
                raise StatusError(
                    400, "BadRequest", "metadata.managedFields must be nil in an applied object"
                )
        try:
            return self._shaped(target, body, options, warnings)
        except StatusError as error:
            if error.code != 422:
                raise
        # Only required fields were missing: the merged object is checked again.
        obj: Object = {**body, "metadata": dict(body.get("metadata") or {})}
        for path in schema.check(target.kind, obj).unknown:
            obj = schema.prune(obj, path)
        obj["metadata"]["name"] = target.name
        if target.kind.namespaced:
            obj["metadata"]["namespace"] = target.ns
        return obj

    def _rescale(self, target: Target, old: Object, body: Any, options: Options) -> Object:
        """Write spec.replicas of a Scale object."""
        replicas = (
            (body.get("spec") or {}).get("replicas", 0) if isinstance(body, Mapping) else None
        )
        if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
            raise invalid("Scale", target.name, "spec.replicas: must be an integer >= 0")
        version = (body.get("metadata") or {}).get("resourceVersion")
        new = {**old, "metadata": {**old["metadata"]}, "spec": {**old["spec"]}}
        new["spec"]["replicas"] = replicas
        new["metadata"]["resourceVersion"] = version or old["metadata"]["resourceVersion"]
        new = server_side.written(old, new, options.manager, "scale")
        plain = Target(target.kind, target.ns, target.name)
        return scale_of(target.kind, self._store(plain, old, new, options, owned=True))


def scale_of(kind: Kind, obj: Object) -> Object:
    """The autoscaling/v1 Scale of a Deployment or ReplicaSet."""
    meta = obj["metadata"]
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    labels = ((obj["spec"].get("selector") or {}).get("matchLabels") or {}).items()
    status = obj.get("status") or {}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in shown if key in meta},
        "spec": {"replicas": obj["spec"].get("replicas", 1)},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels),
        },
    }


def _unreadable(kind: Kind, message: str) -> StatusError:
    return StatusError(
        400,
        "BadRequest",
        f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {message}',
    )


def _without_node_ports(old: Object, new: Object) -> Object:
    """A Service that becomes a ClusterIP one loses the node ports that it had, unless the update
    names others: these are refused."""
    spec, was = new["spec"], old["spec"]
    had = {port.get("nodePort") for port in was.get("ports") or []}
    ports = spec.get("ports") or []
    given = {port["nodePort"] for port in ports if port.get("nodePort")}
    typed = was.get("type") in ("NodePort", "LoadBalancer")
    if not typed or (spec.get("type") or "ClusterIP") != "ClusterIP" or not given <= had:
        return new
    bare = [{k: v for k, v in port.items() if k != "nodePort"} for port in ports]
    return {**new, "spec": {**spec, "ports": bare}}


def _encoded(plural: str, obj: Object) -> Object:
    """A Secret's stringData is written into its data."""
    if plural != "secrets" or "stringData" not in obj:
        return obj
    new = {key: value for key, value in obj.items() if key != "stringData"}
    texts = (obj["stringData"] or {}).items()
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts}
    return {**new, "data": {**(obj.get("data") or {}), **data}}
