"""An API server over an empty store with the namespace 'default', and raw requests to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from deployments.local.kube.api.server import ApiServer, write_kubeconfig
from deployments.local.kube.objects.store import Store
from tests.support.cluster.hand import Hand

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIGS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


class Api:
    """A server, its store, the project's own client and raw HTTP."""

    def __init__(self, server: ApiServer, folder: Path, token: str | None) -> None:
        self.server, self.store, self.token = server, server.store, token
        self.kubeconfig = folder / "kubeconfig"
        write_kubeconfig(self.kubeconfig, server.url, token)
        self.cluster = Hand.connect(str(self.kubeconfig), timeout_s=60, patience_s=0.5)
        self.pool = urllib3.PoolManager()

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> tuple[int, Any]:
        """(HTTP status, decoded answer)."""
        sent = {"Content-Type": content_type, **headers}
        if self.token:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = None if body is None else json.dumps(body).encode()
        answer = self.pool.request(
            method, self.server.url + path, body=data, headers=sent, retries=False
        )
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            return answer.status, answer.data.decode()

    def events(self, path: str) -> Iterator[tuple[str, Any]]:
        """The events of a watch until the server ends it."""
        answer = self.pool.request(
            "GET", self.server.url + path, preload_content=False, retries=False, timeout=120
        )
        try:
            tail = b""
            while chunk := answer.read1(65536):
                *lines, tail = (tail + chunk).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield event["type"], event["object"]
        finally:
            answer.close()


@contextmanager
def serving(
    folder: Path, *, token: str | None = None, window: int = 20_000, **options: Any
) -> Iterator[Api]:
    """Serve for the length of a with block; options go to ApiServer."""
    store = Store(window)
    store.create("namespaces", {"metadata": {"name": "default"}})
    server = ApiServer(store, token=token, **options)
    server.start()
    api = Api(server, folder, token)
    try:
        yield api
    finally:
        api.cluster.close()
        api.pool.clear()
        server.stop()


def deployment(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A small Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "image:1"}]},
            },
            **spec,
        },
    }


def config(name: str = "c", data: dict[str, str] | None = None, **meta: Any) -> dict[str, Any]:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default", **meta},
        "data": data or {},
    }


def pod(name: str = "p", **meta: Any) -> dict[str, Any]:
    """A Pod of one container."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **meta},
        "spec": {"containers": [{"name": "main", "image": "image:1"}]},
    }
