"""Where each Kubernetes kind lives in the API: group, plural, scope."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.base.names import must_be_label, must_be_subdomain

RBAC = "rbac.authorization.k8s.io/v1"


@dataclass(frozen=True)
class Resource:
    """One kind of object as the API serves it, e.g. apps/v1 Deployment at deployments."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """API group as RBAC names it; '' is the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def label(self) -> str:
        """The resource as kubectl and RBAC messages write it, e.g. deployments.apps."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, ns: str | None = None, name: str | None = None, sub: str = "") -> str:
        """URL path of the collection, or of one object (and its subresource).

        Raises ValueError when a namespaced object is named without its namespace, SpecError for
        what is no name: '' and '../x' would lead elsewhere.
        """
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        parts = [root]
        if self.namespaced:
            if ns is not None:
                parts += ["namespaces", must_be_label(ns, "namespace")]
            elif name is not None:
                raise ValueError(f"{self.kind} '{name}' needs a namespace")
        parts.append(self.plural)
        if name is not None:
            # what RBAC has may have ':' in its names, which part nothing of a path
            told = name.replace(":", "-") if self.api_version == RBAC else name
            must_be_subdomain(told, f"the name of {self.label}")
            parts.append(name)
        if sub:
            parts.append(sub)
        return "/".join(parts)

    def where(self, ns: str | None, name: str | None = None) -> str:
        """What is spoken of, for messages: 'pods web-1 in default'."""
        named = f"{self.label} {name}" if name else self.label
        if not self.namespaced:
            return named
        return f"{named} in {ns}" if ns else f"{named} in all namespaces"


def _table() -> dict[str, Resource]:
    rows = {
        "v1": "Pod:pods Service:services ConfigMap:configmaps Secret:secrets Event:events "
        "Endpoints:endpoints ServiceAccount:serviceaccounts ResourceQuota:resourcequotas "
        "LimitRange:limitranges PersistentVolumeClaim:persistentvolumeclaims "
        "Node:nodes:cluster Namespace:namespaces:cluster "
        "PersistentVolume:persistentvolumes:cluster",
        "apps/v1": "Deployment:deployments ReplicaSet:replicasets DaemonSet:daemonsets "
        "StatefulSet:statefulsets",
        "autoscaling/v2": "HorizontalPodAutoscaler:horizontalpodautoscalers",
        "batch/v1": "Job:jobs CronJob:cronjobs",
        "coordination.k8s.io/v1": "Lease:leases",
        "discovery.k8s.io/v1": "EndpointSlice:endpointslices",
        "policy/v1": "PodDisruptionBudget:poddisruptionbudgets",
        "networking.k8s.io/v1": "NetworkPolicy:networkpolicies Ingress:ingresses",
        RBAC: "Role:roles RoleBinding:rolebindings "
        "ClusterRole:clusterroles:cluster ClusterRoleBinding:clusterrolebindings:cluster",
        "authorization.k8s.io/v1": "SelfSubjectAccessReview:selfsubjectaccessreviews:cluster",
        "scheduling.k8s.io/v1": "PriorityClass:priorityclasses:cluster",
        "node.k8s.io/v1": "RuntimeClass:runtimeclasses:cluster",
        "storage.k8s.io/v1": "StorageClass:storageclasses:cluster",
        "apiextensions.k8s.io/v1": "CustomResourceDefinition:customresourcedefinitions:cluster",
    }
    table = {}
    for api_version, kinds in rows.items():
        for entry in kinds.split():
            kind, plural, *scope = entry.split(":")
            table[kind] = Resource(api_version, kind, plural, namespaced=not scope)
    return table


KINDS = _table()


def from_discovery(api_version: str, answer: dict[str, object], kind: str) -> Resource | None:
    """Find a kind in the answer of GET /apis/<group>/<version> (an APIResourceList)."""
    resources = answer.get("resources")
    for entry in resources if isinstance(resources, list) else []:
        if entry.get("kind") == kind and "/" not in entry.get("name", "/"):
            return Resource(api_version, kind, entry["name"], bool(entry.get("namespaced")))
    return None
