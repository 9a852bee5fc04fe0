"""The resources the stand-in serves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One resource: API group ('' for core), version, plural, kind, scope, short names."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """'v1' or 'apps/v1'."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def model(self) -> str:
        """Name of the official client's model class, such as V1Deployment."""
        prefix = {"events": "CoreV1"}.get(self.plural, "V1")
        return f"{prefix}{self.kind}"


_APPS, _RBAC = "apps", "rbac.authorization.k8s.io"
_ADMIT = "admissionregistration.k8s.io"
KINDS: tuple[Kind, ...] = (
    Kind("", "v1", "namespaces", "Namespace", False, ("ns",), ("status",)),
    Kind("", "v1", "nodes", "Node", False, ("no",), ("status",)),
    Kind("", "v1", "pods", "Pod", True, ("po",), ("status", "log", "portforward")),
    Kind("", "v1", "services", "Service", True, ("svc",), ("status",)),
    Kind("", "v1", "endpoints", "Endpoints", True, ("ep",)),
    Kind("", "v1", "configmaps", "ConfigMap", True, ("cm",)),
    Kind("", "v1", "secrets", "Secret"),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", True, ("sa",)),
    Kind("", "v1", "resourcequotas", "ResourceQuota", True, ("quota",), ("status",)),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True, ("pvc",), ("status",)),
    Kind("", "v1", "events", "Event", True, ("ev",)),
    Kind(_APPS, "v1", "deployments", "Deployment", True, ("deploy",), ("status", "scale")),
    Kind(_APPS, "v1", "replicasets", "ReplicaSet", True, ("rs",), ("status", "scale")),
    Kind(_APPS, "v1", "daemonsets", "DaemonSet", True, ("ds",), ("status",)),
    Kind("batch", "v1", "jobs", "Job", True, (), ("status",)),
    # kept and shown, and nothing comes of them here: no schedule starts, no policy is asked
    Kind("batch", "v1", "cronjobs", "CronJob", True, ("cj",), ("status",)),
    Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", True, ("netpol",)),
    Kind(_ADMIT, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False),
    Kind(
        _ADMIT,
        "v1",
        "validatingadmissionpolicybindings",
        "ValidatingAdmissionPolicyBinding",
        False,
    ),
    Kind("coordination.k8s.io", "v1", "leases", "Lease"),
    Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Kind("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False, ("pc",)),
    Kind("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", False),
    Kind(_RBAC, "v1", "roles", "Role"),
    Kind(_RBAC, "v1", "rolebindings", "RoleBinding"),
    Kind(_RBAC, "v1", "clusterroles", "ClusterRole", False),
    Kind(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False),
)
BY_PLURAL = {kind.plural: kind for kind in KINDS}
BY_KIND = {kind.kind: kind for kind in KINDS}
NAMESPACE = "kubernetes"  # the finalizer that keeps a namespace until it is empty
