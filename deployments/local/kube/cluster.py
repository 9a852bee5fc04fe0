"""A whole cluster in this process."""

from __future__ import annotations

import platform
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from deployments.local.kube.admit.admission import Admission
from deployments.local.kube.api.server import ApiServer, write_kubeconfig
from deployments.local.kube.api.tls import make_certificate
from deployments.local.kube.api.trouble import Trouble
from deployments.local.kube.control.controllers import Controllers
from deployments.local.kube.control.scheduler import Scheduler
from deployments.local.kube.network.addresses import NODES, PODS, SERVICES, Addresses
from deployments.local.kube.network.proxy import Proxy
from deployments.local.kube.node.kubelet import Home, Kubelets
from deployments.local.kube.objects.index import Index
from deployments.local.kube.objects.record import Recorder
from deployments.local.kube.objects.store import Object, Store, now
from deployments.local.kube.settings import Image, NodeDef, Settings

VERSION = "v1.34.0"
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def node_object(node: NodeDef, address: str, images: Sequence[str] = ()) -> Object:
    """The Node of a definition, with the condition that its kubelet would report."""
    stamp = now()
    word = "KubeletReady" if node.ready else "NodeStatusUnknown"
    text = "kubelet is posting ready status" if node.ready else "Kubelet stopped posting status."
    conditions = [
        {
            "type": kind,
            "status": "False",
            "reason": f"KubeletHasSufficient{kind.removesuffix('Pressure')}",
            "lastTransitionTime": stamp,
            "lastHeartbeatTime": stamp,
        }
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    ready = {
        "type": "Ready",
        "status": "True" if node.ready else "Unknown",
        "reason": word,
        "message": text,
        "lastTransitionTime": stamp,
        "lastHeartbeatTime": stamp,
    }
    capacity = {"pods": "110", **node.capacity}
    spec: dict[str, Any] = {}
    if node.taints:
        spec["taints"] = [dict(taint) for taint in node.taints]
    if node.unschedulable:
        spec["unschedulable"] = True
    return {
        "metadata": {
            "name": node.name,
            "labels": {
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "arm64" if platform.machine() == "aarch64" else "amd64",
                **node.labels,
            },
            "annotations": dict(node.annotations),
        },
        "spec": spec,
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": [*conditions, ready],
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": node.name},
            ],
            "images": [{"names": [name]} for name in images],
            "nodeInfo": {
                "architecture": "arm64" if platform.machine() == "aarch64" else "amd64",
                "bootID": "",
                "containerRuntimeVersion": "local://processes",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": VERSION,
                "kubeletVersion": VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "model-rollout embedded cluster",
                "systemUUID": "",
            },
        },
    }


class LocalCluster:
    """API server, controllers, scheduler, kubelets and Service proxy over one Store.

    A context manager. `data_dir` holds the kubeconfig, pods' folders and the file by which the
    next start ends what a crash left running. token: the bearer token demanded, '' for a new
    one, None for none at all: kubectl sends no token over plain HTTP.
    """

    def __init__(
        self,
        data_dir: Path,
        nodes: Sequence[NodeDef],
        images: Mapping[str, Image],
        settings: Settings | None = None,
        token: str | None = "",
    ) -> None:
        self._data, self._nodes = data_dir, list(nodes)
        self.settings = settings or Settings()
        self.token = secrets.token_urlsafe(24) if token == "" else token
        self.store = Store()
        self._index = Index(self.store)
        self._record = Recorder(self.store, self.settings.events_kept)
        addresses = Addresses(NODES)
        self._node_addresses = {node.name: addresses.take() for node in self._nodes}
        self._homes = {
            node.name: Home(
                self._node_addresses[node.name],
                Path(node.host_root or data_dir / "nodes" / node.name).absolute(),
            )
            for node in self._nodes
            if node.kubelet
        }
        node_ports = {name: home.address for name, home in self._homes.items()}
        self.admit = Admission(self.store, Addresses(SERVICES), lambda: node_ports)
        self._images = dict(images)
        self._kubelets = Kubelets(
            self.store,
            self._record,
            self.settings,
            self._homes,
            self._images,
            data_dir.absolute() / "kubelet",
            Addresses(PODS),
        )
        self._controllers = Controllers(self.store, self._index, self._record, self.settings)
        self._scheduler = Scheduler(self.store, self._index, self._record, self.settings.resync_s)
        self.proxy = Proxy(self.store, node_ports, self.settings.proxy_sync_s)
        data_dir.mkdir(parents=True, exist_ok=True)
        self._certificate = make_certificate(data_dir)
        self._api = ApiServer(
            self.store,
            certificate=self._certificate,
            token=self.token,
            logs=self._kubelets.logs,
            forward=self._kubelets.loopback,
            admit=self.admit,
            port=self.settings.port,
        )
        self.kubeconfig = data_dir.absolute() / "kubeconfig"

    def befall(self, trouble: Trouble | None) -> None:
        """Let trouble befall the API's requests from now on; None: no more."""
        self._api.trouble = trouble

    def warn(self) -> None:
        """Only warn of unknown fields from now on, as a real server does."""
        self._api.validation = "Warn"

    def kubeconfig_of(self, ns: str, account: str) -> Path:
        """Write a kubeconfig of a ServiceAccount, which may do what roles in the cluster let it."""
        path = self.kubeconfig.with_name(f"kubeconfig-{ns}-{account}")
        token = self._api.accounts.token_of(ns, account)
        write_kubeconfig(path, self.url, token, self._certificate.pem)
        return path

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return str(self._api.url)

    @property
    def notes(self) -> list[str]:
        """What this machine does not give, for whoever starts the cluster."""
        return list(self._kubelets.notes)

    @property
    def audit(self) -> Any:
        """The API server's audit: what was asked of it."""
        return self._api.audit

    def host_root(self, node: str) -> Path:
        """The folder that plays a node's root."""
        return self._homes[node].root

    def start(self) -> LocalCluster:
        """Start everything and write the kubeconfig."""
        self._data.mkdir(parents=True, exist_ok=True)
        for name in NAMESPACES:
            space = {"metadata": {"name": name}}
            self.store.create("namespaces", self.admit("namespaces", space, None))
            self.store.create(
                "serviceaccounts", {"metadata": {"name": "default", "namespace": name}}
            )
        for node in self._nodes:
            if node.name in self._homes:
                self._homes[node.name].root.mkdir(parents=True, exist_ok=True)
            address = self._node_addresses[node.name]
            self.store.create("nodes", node_object(node, address, list(self._images)))
        self._kubelets.start()
        self._controllers.start()
        self._scheduler.start()
        self.proxy.start()
        self._api.start()
        write_kubeconfig(self.kubeconfig, self.url, self.token, self._certificate.pem)
        return self

    def stop(self) -> None:
        """End every process and thread of the cluster."""
        self._scheduler.stop()
        self._controllers.stop()
        self._api.stop()
        self._kubelets.stop()
        self.proxy.stop()

    def __enter__(self) -> LocalCluster:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
