"""What a site allows, whatever a spec says: read from a file that no spec can name.

deployments/cluster/components/admission has the same rules: the API server holds whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

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
    "resourceClaims",
    "unconfined",
]
VolumeKind = Literal[
    "hostPath",
    "emptyDir",
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
    "persistentVolumeClaim",
    "ephemeral",
    "csi",
    "nfs",
]
# what a pod that `exempt` names may have all the same: the rows of the accelerator table that need
# more than others say why, and no row needs more than this
EXEMPT_CAPABILITIES = ("SYS_PTRACE",)
PUBLIC_HUB = "https://modelscope.cn"
READ_ONLY = ":ro"
PROBE = ["rollout", "job", "probe"]
NOT_OF_A_PROBE = frozenset(
    (
        *("args", "envFrom", "workingDir", "volumeDevices", "lifecycle", "restartPolicy"),
        *("livenessProbe", "readinessProbe", "startupProbe", "resizePolicy"),
    )
)
_CALM = re.compile(
    r"(NVIDIA_[A-Z_]+|(METAX|MTHREADS|IX|ENFLAME)_VISIBLE_DEVICES"
    r"|TZ|LANG|LC_[A-Z]+|(HTTPS?|NO)_PROXY|(https?|no)_proxy)"
)
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}\Z")


class Policy(Strict):
    """Every part left out allows what it is about."""

    stores: list[str] | None = Field(None, description="Folders below which weights may lie")
    host_paths: list[str] | None = Field(
        None, description="Other host paths that pods may mount; with :ro only for reading"
    )
    probe_paths: list[str] = Field(
        default_factory=list, description="What the node probe may mount besides, for reading"
    )
    probe_images: list[str] | None = Field(
        None, description="Images of the node probe, or beginnings that end with *"
    )
    images: list[str] | None = Field(None, description="Images, or beginnings that end with *")
    digests: bool = Field(False, description="Images are named by digest")
    hubs: list[str] | None = Field(None, description="Addresses of hubs")
    volumes: list[VolumeKind] | None = Field(None, description="Kinds of volumes")
    secrets: list[str] | None = Field(
        None, description="Secrets that pods may read, or beginnings that end with *"
    )
    root: list[str] | None = Field(
        None, description="Images that may run as root, or beginnings that end with *"
    )
    forbid: list[PodField] = Field(default_factory=list, description="What no pod may have")
    exempt: list[str] = Field(
        default_factory=list,
        description="Resources, or claims/TEMPLATE, or beginnings that end with *: a pod that asks "
        "for one may run with seccomp Unconfined and add SYS_PTRACE, as the vendor's driver needs",
    )
    local_files: bool = Field(
        True, description="Files that a spec names may lie outside the working folder"
    )

    @field_validator("stores", "host_paths", "probe_paths")
    @classmethod
    def _absolute(cls, value: list[str] | None) -> list[str] | None:
        for item in value or ():
            path = item.removesuffix(READ_ONLY)
            if not path.startswith("/") or path.endswith("/") or ".." in path.split("/"):
                raise ValueError(f"'{item}' is no absolute path without '..' and a last '/'")
        return value

    @field_validator("images", "probe_images", "secrets", "root", "exempt")
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
    return [
        *_images(policy, pod),
        *_paths(policy, pod),
        *_volumes(policy, pod),
        *_secrets(policy, pod),
        *_root(policy, pod),
        *_fields(policy, pod),
    ]


def _containers(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod.get(kind) or ()


def _images(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    for image in dict.fromkeys(str(c.get("image", "")) for c in _containers(pod)):
        yield from image_violations(policy, image)


def image_violations(policy: Policy, image: str) -> Iterator[str]:
    """Why an image is not allowed."""
    if policy.images is not None and not _any_matches(image, policy.images):
        known = ", ".join(policy.images) or "none"
        yield f"image {image} is not allowed here; allowed are: {known}"
    if policy.digests and not _DIGEST.search(image):
        yield f"image {image} is not named by digest; write it as NAME@sha256:DIGEST"


def _any_matches(name: str, patterns: Sequence[str]) -> bool:
    return any(
        name.startswith(item[:-1]) if item.endswith("*") else name == item for item in patterns
    )


def below(path: str, root: str) -> bool:
    """Whether a path is a folder or lies in it, by its words alone."""
    return ".." not in path.split("/") and (path == root or path.startswith(f"{root}/"))


def _below_any(path: str, roots: Sequence[str]) -> bool:
    return any(below(path, root) for root in roots)


def _paths(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    """Stores are known by `stores`; what else of a host is mounted stands in `host_paths`, and for
    the probe alone, which shows of it what it was written to show, in `probe_paths`."""
    if policy.host_paths is None:
        return
    writable = [item for item in policy.host_paths if not item.endswith(READ_ONLY)]
    readable = [item.removesuffix(READ_ONLY) for item in policy.host_paths]
    if is_probe(policy, pod):
        readable += policy.probe_paths
    for volume in pod.get("volumes") or ():
        path = str((volume.get("hostPath") or {}).get("path", ""))
        if not path or _below_any(path, [*(policy.stores or ()), *writable]):
            continue
        if _below_any(path, readable) and _read_only(pod, volume["name"]):
            continue
        known = ", ".join([*(policy.stores or ()), *policy.host_paths]) or "none"
        yield f"host path {path} is not allowed here; allowed are: {known}"


def is_probe(policy: Policy, pod: Mapping[str, Any]) -> bool:
    """Whether a pod runs the node probe and nothing else: the image's own program, led astray by no
    variable and by nothing of the host that lies over the image's files."""
    hosts = {volume["name"] for volume in pod.get("volumes") or () if "hostPath" in volume}
    return not exempt(policy, pod) and all(
        container.get("name") == "runner"
        and (
            policy.probe_images is None
            or _any_matches(str(container.get("image", "")), policy.probe_images)
        )
        and (container.get("command") or ())[:3] == PROBE
        and not set(container) & NOT_OF_A_PROBE
        and all(_calm(item) for item in container.get("env") or ())
        and all(
            mount["mountPath"].startswith("/host/") or mount["name"] not in hosts
            for mount in container.get("volumeMounts") or ()
        )
        for container in _containers(pod)
    )


def _calm(variable: Mapping[str, Any]) -> bool:
    """A variable by which no other code is loaded."""
    name, value = variable["name"], variable.get("value")
    return (value == "/scratch") if name in ("HOME", "TMPDIR") else bool(_CALM.fullmatch(name))


def _read_only(pod: Mapping[str, Any], volume: str) -> bool:
    return all(
        mount.get("readOnly") is True
        for container in _containers(pod)
        for mount in container.get("volumeMounts") or ()
        if mount.get("name") == volume
    )


def _volumes(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    """A kind that is not listed is refused, and so is one that we have never heard of."""
    for volume in (pod.get("volumes") or ()) if policy.volumes is not None else ():
        for kind in (set(volume) - {"name"}) or {"emptyDir"}:
            if kind not in (policy.volumes or ()):
                known = ", ".join(policy.volumes or ()) or "none"
                yield f"volume {volume['name']}: {kind} is not allowed here; allowed are: {known}"


def secrets_read(pod: Mapping[str, Any]) -> list[str]:
    """The Secrets that a pod's containers get to read, in whichever way."""
    found: list[Any] = []
    for container in _containers(pod):
        for item in container.get("env") or ():
            found.append((item.get("valueFrom") or {}).get("secretKeyRef"))
        found += [item.get("secretRef") for item in container.get("envFrom") or ()]
    for volume in pod.get("volumes") or ():
        found.append({"name": (volume.get("secret") or {}).get("secretName")})
        parts = (volume.get("projected") or {}).get("sources") or ()
        found += [item.get("secret") for item in parts]
    return list(dict.fromkeys(str(item["name"]) for item in found if item and item.get("name")))


def _secrets(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    for name in secrets_read(pod) if policy.secrets is not None else ():
        if not _any_matches(name, policy.secrets or ()):
            known = ", ".join(policy.secrets or ()) or "none"
            yield f"Secret {name} is not allowed here; allowed are: {known}"


def _root(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    """An image's own user is known to nobody here, so a pod says that it is not root."""
    whole = pod.get("securityContext") or {}
    for container in _containers(pod) if policy.root is not None else ():
        if _any_matches(str(container.get("image", "")), policy.root or ()):
            continue
        found = {**whole, **(container.get("securityContext") or {})}
        if found.get("runAsNonRoot") is not True or found.get("runAsUser") == 0:
            known = ", ".join(policy.root or ()) or "none"
            yield (
                f"container {container.get('name')} may run as root; set serving.run_as_user or "
                f"runner.run_as_user, as only these images may: {known}"
            )


def exempt(policy: Policy, pod: Mapping[str, Any]) -> bool:
    """Whether a pod asks for a whole device whose driver needs more than others."""
    claims = [item.get("resourceClaimTemplateName") for item in pod.get("resourceClaims") or ()]
    if any(name and _any_matches(f"claims/{name}", policy.exempt) for name in claims):
        return True
    return any(
        _any_matches(name, policy.exempt) and re.fullmatch("[1-9][0-9]*", str(value))
        for container in pod.get("containers") or ()
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items()
    )


def _fields(policy: Policy, pod: Mapping[str, Any]) -> Iterator[str]:
    free = exempt(policy, pod)
    for name in policy.forbid:
        where = "the pod" if _pod_has(pod, name) else ""
        found = [str(c.get("name")) for c in _containers(pod) if _container_has(pod, c, name, free)]
        if where or found:
            held = where or f"container {', '.join(found)}"
            yield f"{name} is forbidden here, and {held} has it; {_instead(name)}"


def _instead(name: str) -> str:
    if name == "capabilities":
        return "drop ALL, and add none"
    if name == "unconfined":
        return "give it the seccompProfile RuntimeDefault, and no AppArmor profile of its own"
    return "leave it out of the spec"


def _pod_has(pod: Mapping[str, Any], name: str) -> bool:
    if name == "serviceAccountName":
        return pod.get(name) not in (None, "", "default")
    if name == "automountServiceAccountToken":
        # absent means that it is mounted; a volume brings one, too
        sources = [
            item
            for volume in pod.get("volumes") or ()
            for item in (volume.get("projected") or {}).get("sources") or ()
        ]
        return pod.get(name) is not False or any("serviceAccountToken" in i for i in sources)
    return bool(pod.get(name))


def _container_has(
    pod: Mapping[str, Any], container: Mapping[str, Any], name: str, free: bool
) -> bool:
    """free: of what a driver needs."""
    security = container.get("securityContext") or {}
    if name == "capabilities":
        found = security.get(name) or {}
        added = set(found.get("add") or ()) - set(EXEMPT_CAPABILITIES if free else ())
        return bool(added) or "ALL" not in (found.get("drop") or ())
    if name == "unconfined":
        both = {**(pod.get("securityContext") or {}), **security}
        seccomp, armor = (both.get(key) or {} for key in ("seccompProfile", "appArmorProfile"))
        # absent means none, but on nodes whose kubelet has a default of its own
        return armor.get("type") == "Unconfined" or not (
            free or seccomp.get("type") in ("RuntimeDefault", "Localhost")
        )
    if name == "allowPrivilegeEscalation":
        return security.get(name) is not False  # absent means that it is allowed
    if name == "hostPort":
        return any(port.get(name) for port in container.get("ports") or ())
    return name == "privileged" and (
        bool(security.get(name)) or security.get("procMount") == "Unmasked"
    )
