"""What the API says about itself: groups, resources, version, a minimal OpenAPI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployments.local.kube.objects.kinds import KINDS, Kind

VERSION = {
    "major": "1",
    "minor": "31",
    "gitVersion": "v1.31.0+standin",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2024-08-13T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
VERBS = [
    "create",
    "delete",
    "get",
    "list",
    "patch",
    "update",
    "watch",
]
# portforward is asked for with GET, which is a create since 1.35
_SUBRESOURCE_VERBS = {"log": ["get"], "portforward": ["create"]}
REVIEW = Kind(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False
)


def _served() -> Iterable[Kind]:
    return (*KINDS, REVIEW)


def verbs_of(sub: str) -> list[str]:
    """The verbs of objects ('') or of a subresource."""
    return _SUBRESOURCE_VERBS.get(sub, ["get", "patch", "update"]) if sub else VERBS


def api_versions() -> dict[str, Any]:
    """GET /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups() -> dict[str, Any]:
    """GET /apis."""
    names = sorted({(kind.group, kind.version) for kind in _served() if kind.group})
    found = []
    for group, version in names:
        entry = {"groupVersion": f"{group}/{version}", "version": version}
        found.append({"name": group, "versions": [entry], "preferredVersion": entry})
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}


def group(name: str) -> dict[str, Any] | None:
    """GET /apis/GROUP."""
    for entry in groups()["groups"]:
        if entry["name"] == name:
            return {"kind": "APIGroup", "apiVersion": "v1", **entry}
    return None


def resources(api_version: str) -> dict[str, Any] | None:
    """GET /api/v1 or /apis/GROUP/VERSION."""
    found: list[dict[str, Any]] = []
    for kind in _served():
        if kind.api_version != api_version:
            continue
        entry: dict[str, Any] = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": ["create"] if kind is REVIEW else VERBS,
        }
        if kind.short:
            entry["shortNames"] = list(kind.short)
        if kind.plural in ("pods", "services", "deployments", "replicasets", "daemonsets", "jobs"):
            entry["categories"] = ["all"]
        found.append(entry)
        found += [_subresource(kind, sub) for sub in kind.subresources]
    if not found:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": found,
    }


def _subresource(kind: Kind, sub: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": f"{kind.plural}/{sub}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs_of(sub),
    }
    if sub == "scale":
        entry |= {"kind": "Scale", "group": "autoscaling", "version": "v1"}
    elif sub == "portforward":
        entry |= {"kind": "PodPortForwardOptions"}
    return entry


def _root(api_version: str) -> str:
    return f"apis/{api_version}" if "/" in api_version else f"api/{api_version}"


def openapi_index() -> dict[str, Any]:
    """GET /openapi/v3."""
    roots = sorted({_root(kind.api_version) for kind in _served()})
    return {"paths": {root: {"serverRelativeURL": f"/openapi/v3/{root}"} for root in roots}}


def openapi(root: str) -> dict[str, Any] | None:
    """GET /openapi/v3/api/v1: the PATCH parameters, by which kubectl learns that the server
    validates fields itself. It has no schemas, so `kubectl explain` does not work."""
    paths: dict[str, Any] = {}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    for kind in _served():
        if _root(kind.api_version) != root:
            continue
        place = "/namespaces/{namespace}" if kind.namespaced else ""
        paths[f"/{root}{place}/{kind.plural}/{{name}}"] = {
            "patch": {
                "operationId": f"patch{kind.kind}",
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": {
                    "group": kind.group,
                    "version": kind.version,
                    "kind": kind.kind,
                },
            }
        }
    if not paths:
        return None
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
