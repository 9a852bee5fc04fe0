"""Apply a vendor's components (label-node, device plugin, exporter) and wait for their effect."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from tasks.accelerators.profiles import profile
from tasks.base import clock
from tasks.base.errors import SpecError, StepFailed
from tasks.base.progress import Progress, emit
from tasks.nodes.components import missing, read_manifests
from tasks.nodes.facts import ApiFacts, api_facts, group_pods
from tasks.objects.pods import counted
from tasks.outside.kubernetes.client import Cluster
from tasks.outside.kubernetes.rest import unfenced
from tasks.outside.prefect import artifacts

POLL_S = 2.0


def _read(files: list[str]) -> dict[str, str]:
    out = {}
    for name in files:
        path = Path(name)
        paths = sorted([*path.glob("*.yaml"), *path.glob("*.yml")]) if path.is_dir() else [path]
        for item in paths:
            try:
                out[str(item)] = item.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise SpecError([f"{item}: cannot be read ({error})"]) from error
    return out


def _facts(cluster: Cluster, expected: list[str], *, hints: bool = False) -> list[ApiFacts]:
    """The expected nodes; with hints also their vendor pods, which takes reading all pods."""
    pods = group_pods(cluster.list("Pod", keep=counted)) if hints else {}
    daemonsets = cluster.list("DaemonSet") if hints else []
    return [
        api_facts(node, pods.get(node["metadata"]["name"], ()), daemonsets)
        for node in cluster.list("Node")
        if node["metadata"]["name"] in expected
    ]


@flow(name="prepare-cluster", persist_result=False)
def prepare_cluster(
    accelerator: str,
    manifests: list[str],
    nodes: list[str],
    timeout_s: float = 600,
    dry_run: bool = False,
    kubeconfig: str | None = None,
    context: str | None = None,
) -> list[str]:
    """Apply the vendor's manifests, wait until labels and resources appear on the nodes.

    Args:
        accelerator: Accelerator profile, such as hygon-dcu.
        manifests: YAML files, or folders of them, that the operator downloaded from the vendor.
        nodes: Nodes that must offer the accelerator in the end.
        timeout_s: How long to wait for them.
        dry_run: Let the cluster check the objects and change nothing.
        kubeconfig: Path of a kubeconfig; default: the pod's service account or ~/.kube/config.
        context: Context of the kubeconfig.
    """
    try:
        row = profile(accelerator)
    except ValueError as error:
        raise SpecError([f"accelerator: {error}"]) from error
    if not nodes:
        raise SpecError(["nodes: name the nodes that must offer the accelerator in the end"])
    objects = read_manifests(_read(manifests))
    applied = []
    with Cluster.connect(kubeconfig, context) as cluster:
        # no lock guards what a vendor installs: an apply of the same manifests changes nothing
        write = cluster.trial() if dry_run else cluster.writer(unfenced)
        for item in objects:
            if cluster.resource(item["kind"], item["apiVersion"]).namespaced:
                item["metadata"].setdefault("namespace", "default")  # as kubectl does
            write.apply(item)
            applied.append(f"{item['kind']} {item['metadata']['name']}")
            emit(Progress("prepare_cluster", "running", applied[-1], "applied"))
        if dry_run:
            return applied
        deadline = clock.monotonic() + timeout_s
        while lacking := missing(row, _facts(cluster, nodes), nodes):
            if clock.monotonic() > deadline:
                lacking = missing(row, _facts(cluster, nodes, hints=True), nodes) or lacking
                raise StepFailed(
                    f"after {timeout_s:g} s the cluster is not ready for {accelerator}: "
                    + "; ".join(lacking)
                )
            emit(Progress("prepare_cluster", "running", "", lacking[0].split(" (", 1)[0]))
            clock.sleep(POLL_S)
    artifacts.markdown(
        "prepare-cluster", "\n".join(f"- {artifacts.escape(line)}" for line in applied)
    )
    return applied
