"""What a site allows, whatever a spec says: read from a file that no spec can name.

The same rules stand in deployments/cluster/admission.yaml, which the API server holds whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator

from tasks.base.errors import SpecError
from tasks.spec.base import Strict
from tasks.spec.hubs import origin, plain_address
from tasks.spec.rollout import Rollout

PodField = Literal[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "hostPort",
    "privileged",
    "allowPrivilegeEscalation",
    "capabilities",
    "serviceAccountName",
    "automountServiceAccountToken",
    "priorityClassName",
    "nodeName",
]
PUBLIC_HUB = "https://modelscope.cn"
READ_ONLY = ":ro"
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")


class Policy(Strict):
    """Every part left out allows what it is about."""

    stores: list[str] | None = Field(None, description="Folders below which weights may lie")
    host_paths: list[str] | None = Field(
        None, description="Other host paths that pods may mount; with :ro only for reading"
    )
    images: list[str] | None = Field(None, description="Images, or beginnings that end with *")
    digests: bool = Field(False, description="Images are named by digest")
    hubs: list[str] | None = Field(None, description="Addresses of hubs")
    forbid: list[PodField] = Field(default_factory=list, description="What no pod may have")
    local_files: bool = Field(
        True, description="Files that a spec names may lie outside the working folder"
    )

    @field_validator("stores", "host_paths")
    @classmethod
    def _absolute(cls, value: list[str] | None) -> list[str] | None:
        for item in value or ():
            path = item.removesuffix(READ_ONLY)
            if not path.startswith("/") or path.endswith("/") or ".." in path.split("/"):
                raise ValueError(f"'{item}' is no absolute path without '..' and a last '/'")
        return value

    @field_validator("images")
    @classmethod
    def _beginnings(cls, value: list[str] | None) -> list[str] | None:
        for item in value or ():
            if "*" in item[:-1]:
                raise ValueError(f"'{item}': a * stands at the end only")
        return value

    @field_validator("hubs")
    @classmethod
    def _addresses(cls, value: list[str] | None) -> list[str] | None:
        return [origin(plain_address(item)) for item in value] if value is not None else None


def parse_policy(text: str, name: str) -> Policy:
    """From YAML. Raises SpecError with a line for each problem."""
    try:
        data = yaml.safe_load(text)
        return Policy.model_validate({} if data is None else data)
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError([f"{name}: this is not valid YAML; correct the site's policy"]) from error
    except ValidationError as error:
        places = ((".".join(map(str, item["loc"])), item["msg"]) for item in error.errors())
        raise SpecError(
            [f"{name}: {place or 'the policy'}: {said}" for place, said in places]
        ) from error


def hub_violations(policy: Policy, endpoint: str | None) -> list[str]:
    """Why a hub may not be asked. endpoint: None is the public one."""
    found = origin(endpoint or PUBLIC_HUB)
    if policy.hubs is None or found in policy.hubs:
        return []
    known = ", ".join(policy.hubs) or "none"
    return [f"hub {endpoint or PUBLIC_HUB} is not allowed here; allowed are: {known}"]


def violations(
    policy: Policy,
    spec: Rollout,
    objects: Sequence[Mapping[str, Any]],
    *,
    endpoint: str | None = None,
    outside: Mapping[str, str] | None = None,
) -> list[str]:
    """Every reason why the site does not take a rollout; empty where it does.

    objects: the Deployments and Jobs it would make. endpoint: of the hub where the spec names none.
    outside: files that the spec names and that lie outside the working folder, by place.
    """
    out = hub_violations(policy, spec.model.endpoint or endpoint)
    store = spec.store.path
    if policy.stores is not None and not _below_any(store, policy.stores):
        known = ", ".join(policy.stores) or "none"
        out.append(f"store.path {store} is not allowed here; it must lie below: {known}")
    if not policy.local_files:
        out += [
            f"{place} {file} lies outside the working folder, which is not allowed here"
            for place, file in (outside or {}).items()
        ]
    for item in objects:
        what = f"{item['kind']} {item['metadata']['name']}"
        pod = item["spec"]["template"]["spec"]
        out += [f"{what}: {reason}" for reason in pod_violations(policy, pod)]
    return list(dict.fromkeys(out))


def pod_violations(policy: Policy, pod: Mapping[str, Any]) -> list[str]:
    """Every reason against one PodSpec."""
    return [*_images(policy, pod), *_paths(policy, pod), *_fields(policy, pod)]


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(kind) or ()


def _images(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    for image in dict.fromkeys(str(c.get("image", "")) for c in _containers(pod)):
        if policy.images is not None and not any(_matches(image, item) for item in policy.images):
            known = ", ".join(policy.images) or "none"
            yield f"image {image} is not allowed here; allowed are: {known}"
        if policy.digests and not _DIGEST.search(image):
            yield f"image {image} is not named by digest; write it as NAME@sha256:DIGEST"


def _matches(image: str, pattern: str) -> bool:
    return image.startswith(pattern[:-1]) if pattern.endswith("*") else image == pattern


def below(path: str, root: str) -> bool:
    """Whether a path is a folder or lies in it, by its words alone."""
    return ".." not in path.split("/") and (path == root or path.startswith(f"{root}/"))


def _below_any(path: str, roots: Sequence[str]) -> bool:
    return any(below(path, root) for root in roots)


def _paths(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    """Stores are known by `stores`; what else of a host is mounted stands in `host_paths`."""
    if policy.host_paths is None:
        return
    writable = [item for item in policy.host_paths if not item.endswith(READ_ONLY)]
    readable = [item.removesuffix(READ_ONLY) for item in policy.host_paths]
    for volume in pod.get("volumes") or ():
        path = str((volume.get("hostPath") or {}).get("path", ""))
        if not path or _below_any(path, [*(policy.stores or ()), *writable]):
            continue
        if _below_any(path, readable) and _read_only(pod, volume["name"]):
            continue
        known = ", ".join([*(policy.stores or ()), *policy.host_paths]) or "none"
        yield f"host path {path} is not allowed here; allowed are: {known}"


def _read_only(pod: Mapping[str, Any], volume: str) -> bool:
    return all(
        mount.get("readOnly") is True
        for container in _containers(pod)
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") == volume
    )


def _fields(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    for name in policy.forbid:
        where = "the pod" if _pod_has(pod, name) else ""
        found = [str(c.get("name")) for c in _containers(pod) if _container_has(c, name)]
        if where or found:
            held = where or f"container {', '.join(found)}"
            yield f"{name} is forbidden here, and {held} has it; leave it out of the spec"


def _pod_has(pod: Mapping[str, Any], name: str) -> bool:
    if name == "serviceAccountName":
        return pod.get(name) not in (None, "", "default")
    if name == "automountServiceAccountToken":
        return pod.get(name) is not False  # absent means that it is mounted
    return bool(pod.get(name))


def _container_has(container: Mapping[str, Any], name: str) -> bool:
    security = container.get("securityContext") or {}
    if name == "capabilities":
        return bool((security.get(name) or {}).get("add"))
    if name == "allowPrivilegeEscalation":
        return security.get(name) is not False  # absent means that it is allowed
    if name == "hostPort":
        return any(port.get(name) for port in container.get("ports") or ())
    return name == "privileged" and bool(security.get(name))


FIELDS: tuple[str, ...] = get_args(PodField)
