"""PodSecurity admission: what a namespace's label lets pods ask for.

The levels baseline and restricted as the Pod Security Standards have them, for Linux containers,
for the fields that a rollout's pods may set; versions are read as 'latest'. Words and order are
those of Kubernetes 1.36 (k8s.io/pod-security-admission).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]
Finding = tuple[str, str]  # reason, detail
LABEL = "pod-security.kubernetes.io/"
_CAPABILITIES = frozenset(
    (
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    )
)
_VOLUMES = frozenset(
    (
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"),
        *("persistentVolumeClaim", "projected", "secret"),
    )
)
_SECCOMP = ("RuntimeDefault", "Localhost")


def refusal(namespace: Object | None, spec: Object, mode: str = "enforce") -> str:
    """What the namespace's level forbids in a PodSpec; '' where nothing.

    mode: 'enforce' gives 'violates PodSecurity ...', 'warn' 'would violate PodSecurity ...'.
    """
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    verb = "violates" if mode == "enforce" else "would violate"
    # what is enforced for pods is warned of for workloads, unless another level is asked for
    mode = mode if labels.get(f"{LABEL}{mode}") else "enforce"
    level = str(labels.get(f"{LABEL}{mode}") or "privileged")
    version = str(labels.get(f"{LABEL}{mode}-version") or "latest")
    found = violations(level, spec)
    if not found:
        return ""
    return f'{verb} PodSecurity "{level}:{version}": {", ".join(found)}'


def violations(level: str, spec: Object) -> list[str]:
    """Each 'reason (detail)'. A level that is not known forbids as restricted does."""
    if level == "privileged":
        return []
    checks = _BASELINE if level == "baseline" else _RESTRICTED
    return [f"{reason} ({detail})" for check in checks for reason, detail in check(spec)]


# -- saying -----------------------------------------------------------------------------------


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _some(word: str, names: list[str]) -> str:
    """'container "a"' or 'containers "a", "b"'."""
    return f"{word}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _containers(spec: Object) -> Iterator[tuple[str, Object, Object]]:
    """Name, container, securityContext."""
    for group in ("initContainers", "containers"):
        for item in spec.get(group) or []:
            yield str(item["name"]), item, item.get("securityContext") or {}


def _setters(spec: Object, bad: Callable[[Object], bool]) -> list[str]:
    """'pod' and the containers whose securityContext is bad, for 'and' between them."""
    pod = ["pod"] if bad(spec.get("securityContext") or {}) else []
    names = [name for name, _, security in _containers(spec) if bad(security)]
    return [*pod, *([_some("container", names)] if names else [])]


# -- baseline ---------------------------------------------------------------------------------


def _capabilities(spec: Object) -> Iterator[Finding]:
    names, wrong = _adding(spec, _CAPABILITIES)
    if names:
        detail = f"must not include {_quoted(wrong)} in securityContext.capabilities.add"
        yield "non-default capabilities", f"{_some('container', names)} {detail}"


def _adding(spec: Object, allowed: frozenset[str]) -> tuple[list[str], list[str]]:
    names, wrong = [], set()
    for name, _, security in _containers(spec):
        more = set((security.get("capabilities") or {}).get("add") or []) - allowed
        if more:
            names.append(name)
            wrong |= more
    return names, sorted(wrong)


def _namespaces(spec: Object) -> Iterator[Finding]:
    found = [f"{key}=true" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    if found:
        yield "host namespaces", ", ".join(found)


def _host_paths(spec: Object) -> Iterator[Finding]:
    names = [str(v["name"]) for v in spec.get("volumes") or [] if v.get("hostPath")]
    if names:
        yield "hostPath volumes", _some("volume", names)


def _host_ports(spec: Object) -> Iterator[Finding]:
    names, ports = [], set()
    for name, container, _ in _containers(spec):
        own = {str(p["hostPort"]) for p in container.get("ports") or [] if p.get("hostPort")}
        if own:
            names.append(name)
            ports |= own
    if names:
        use = "use" if len(names) > 1 else "uses"
        word = "hostPorts" if len(ports) > 1 else "hostPort"
        yield "hostPort", f"{_some('container', names)} {use} {word} {', '.join(sorted(ports))}"


def _privileged(spec: Object) -> Iterator[Finding]:
    names = [name for name, _, security in _containers(spec) if security.get("privileged")]
    if names:
        detail = "must not set securityContext.privileged=true"
        yield "privileged", f"{_some('container', names)} {detail}"


def _seccomp(spec: Object) -> Iterator[Finding]:
    wrong: set[str] = set()

    def bad(security: Object) -> bool:
        kind = (security.get("seccompProfile") or {}).get("type")
        if kind and kind not in _SECCOMP:
            wrong.add(kind)
            return True
        return False

    if setters := _setters(spec, bad):
        detail = "must not set securityContext.seccompProfile.type to"
        yield "seccompProfile", f"{' and '.join(setters)} {detail} {_quoted(sorted(wrong))}"


# -- restricted -------------------------------------------------------------------------------


def _escalation(spec: Object) -> Iterator[Finding]:
    names = [
        name
        for name, _, security in _containers(spec)
        if security.get("allowPrivilegeEscalation") is not False
    ]
    if names:
        detail = "must set securityContext.allowPrivilegeEscalation=false"
        yield "allowPrivilegeEscalation != false", f"{_some('container', names)} {detail}"


def _few_capabilities(spec: Object) -> Iterator[Finding]:
    details = []
    names = [
        name
        for name, _, security in _containers(spec)
        if "ALL" not in ((security.get("capabilities") or {}).get("drop") or [])
    ]
    if names:
        must = 'must set securityContext.capabilities.drop=["ALL"]'
        details.append(f"{_some('container', names)} {must}")
    names, wrong = _adding(spec, frozenset({"NET_BIND_SERVICE"}))
    if names:
        must = f"must not include {_quoted(wrong)} in securityContext.capabilities.add"
        details.append(f"{_some('container', names)} {must}")
    if details:
        yield "unrestricted capabilities", "; ".join(details)


def _few_volumes(spec: Object) -> Iterator[Finding]:
    names, kinds = [], set()
    for volume in spec.get("volumes") or []:
        own = {key for key, value in volume.items() if key != "name" and value is not None}
        if own - _VOLUMES:
            names.append(str(volume["name"]))
            kinds |= own - _VOLUMES
    if names:
        use = "use restricted volume type" if len(names) > 1 else "uses restricted volume type"
        use += "s" if len(kinds) > 1 else ""
        yield "restricted volume types", f"{_some('volume', names)} {use} {_quoted(sorted(kinds))}"


def _non_root(spec: Object) -> Iterator[Finding]:
    reason, field = "runAsNonRoot != true", "securityContext.runAsNonRoot"
    if setters := _setters(spec, lambda security: security.get("runAsNonRoot") is False):
        yield reason, f"{' and '.join(setters)} must not set {field}=false"
    elif names := _unset(spec, "runAsNonRoot"):
        yield reason, f"pod or {_some('container', names)} must set {field}=true"


def _unset(spec: Object, field: str) -> list[str]:
    """Containers that have a field neither of their own nor from the pod."""
    if (spec.get("securityContext") or {}).get(field) is not None:
        return []
    return [name for name, _, security in _containers(spec) if security.get(field) is None]


def _user(spec: Object) -> Iterator[Finding]:
    if setters := _setters(spec, lambda security: security.get("runAsUser") == 0):
        yield "runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0"


def _some_seccomp(spec: Object) -> Iterator[Finding]:
    found = list(_seccomp(spec))
    if not found and (names := _unset(spec, "seccompProfile")):
        detail = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        found = [("seccompProfile", f"pod or {_some('container', names)} {detail}")]
    yield from found


_Check = Callable[[Object], Iterator[Finding]]
_BASELINE: tuple[_Check, ...] = (
    _capabilities,
    _namespaces,
    _host_paths,
    _host_ports,
    _privileged,
    _seccomp,
)
_RESTRICTED: tuple[_Check, ...] = (
    _namespaces,
    _host_ports,
    _privileged,
    _escalation,
    _few_capabilities,
    _few_volumes,
    _non_root,
    _user,
    _some_seccomp,
)
