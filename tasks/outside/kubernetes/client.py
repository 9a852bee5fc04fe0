"""The Kubernetes cluster. The only module that imports the Kubernetes client.

The client library gives us configuration (kubeconfig, in-cluster, exec credentials, TLS, proxies),
the connection pool and port-forwarding. Objects are plain dicts straight from JSON: building the
library's model classes costs many times the parsing of a large list.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client as kube_client
from kubernetes import config as kube_config_module
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import ws_client as kube_ws_module

from tasks.base.errors import OutsideError, SpecError
from tasks.base.scrub import hold
from tasks.objects.kinds import KINDS
from tasks.objects.pods import Object
from tasks.outside.kubernetes.forward import forwarded
from tasks.outside.kubernetes.objects import Objects
from tasks.outside.kubernetes.rest import (
    AlreadyExists,
    ApiError,
    Conflict,
    Fence,
    Forbidden,
    NotFound,
    Rest,
)

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Cluster",
    "Conflict",
    "Fence",
    "Forbidden",
    "NotFound",
    "Object",
]

# The library ships types for its models and none for these two.
kube_config: Any = kube_config_module
kube_ws: Any = kube_ws_module

TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
NAMESPACE_FILE = TOKEN_FILE.with_name("namespace")
_CONNECT_S = 10.0
LOOK_S = 10.0
# the library reads a kubeconfig of another shape as far as it goes
UNREADABLE = (
    *(kube_config.ConfigException, OSError, ValueError, TypeError, AttributeError),
    yaml.YAMLError,
)


def namespace_of(kubeconfig: str | None = None, context: str | None = None) -> str:
    """The namespace that a command means where nobody names one: the context's, inside a cluster
    the pod's own, else `default`; also where no configuration can be read: `connect` says why."""
    with suppress(*UNREADABLE, KeyError, StopIteration):
        if _in_pod(kubeconfig):
            return NAMESPACE_FILE.read_text().strip() or "default"
        every, current = kube_config.list_kube_config_contexts(_place(kubeconfig))
        if context:
            current = next(item for item in every if item["name"] == context)
        return str(current["context"].get("namespace") or "default")
    return "default"


def _place(kubeconfig: str | None) -> str:
    """Named in full: the library reads KUBECONFIG once, when it is imported."""
    return kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"


def _in_pod(kubeconfig: str | None) -> bool:
    """Whether the pod's own account is used."""
    there = "KUBERNETES_SERVICE_HOST" in os.environ and TOKEN_FILE.is_file()
    return kubeconfig is None and "KUBECONFIG" not in os.environ and there


class Cluster(Objects):
    """One Kubernetes cluster; see Objects for what can be done with it."""

    def __init__(
        self, api: kube_client.ApiClient, *, timeout_s: float = 30, patience_s: float = 60
    ) -> None:
        self._api = api
        self._host = str(api.configuration.host).rstrip("/")
        super().__init__(Rest(self._send, self._host, timeout_s=timeout_s, patience_s=patience_s))

    @classmethod
    def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        *,
        timeout_s: float = 30,
        patience_s: float = 60,
    ) -> Cluster:
        """Read the configuration; nothing is asked of the cluster yet.

        Without `kubeconfig` the pod's service account is used inside a cluster, else KUBECONFIG or
        ~/.kube/config. Raises SpecError for a kubeconfig or context that is not there, OutsideError
        when no configuration is found.
        """
        settings: Any = kube_client.Configuration()  # its hook is typed as None
        where = _place(kubeconfig)
        try:
            if _in_pod(kubeconfig):
                kube_config.load_incluster_config(client_configuration=settings)
            else:
                kube_config.load_kube_config(
                    config_file=where,
                    context=context,
                    client_configuration=settings,
                    persist_config=False,
                )
                if file := _token_file(where, context):
                    settings.refresh_api_key_hook = _read_again(file)
        except UNREADABLE as error:
            if kubeconfig or context:
                wanted = f" with context '{context}'" if context else ""
                raise SpecError([f"kubeconfig: cannot use {where}{wanted}: {error}"]) from error
            raise OutsideError(
                f"no cluster to talk to: {where} cannot be used ({error}); pass --kubeconfig"
            ) from error
        settings.connection_pool_maxsize = 32
        return cls(kube_client.ApiClient(settings), timeout_s=timeout_s, patience_s=patience_s)

    @classmethod
    def looking(cls, kubeconfig: str | None = None, context: str | None = None) -> Cluster:
        """As `connect`, for a command that only reads: a person waits for it, and hears soon that
        nothing answers."""
        return cls.connect(kubeconfig, context, timeout_s=LOOK_S, patience_s=LOOK_S)

    @property
    def address(self) -> str:
        """URL of the API server."""
        return self._host

    def close(self) -> None:
        """Close the pooled connections."""
        self._api.rest_client.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def port_forward(self, pod: str, ns: str, port: int) -> AbstractContextManager[int]:
        """A local port (127.0.0.1) whose connections end at the pod's `port`."""

        def dial() -> Any:
            headers = self._headers({})
            url = self._host + KINDS["Pod"].path(ns, pod, "portforward")
            try:
                return kube_ws.portforward_call(
                    self._api.configuration,
                    "GET",
                    url,
                    query_params=[("ports", str(port))],
                    headers=headers,
                )
            except ApiException as error:
                raise ApiError(
                    f"Kubernetes API {self._host}: port-forward to pods {pod} in {ns} port {port} "
                    f"failed ({error.reason}); the verb 'create' (older API servers: 'get') on "
                    "pods/portforward is needed",
                ) from error

        return forwarded(dial, port)

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Add the credentials. The library renews an exec plugin's and a pod's own here, and a
        kubeconfig's token file is read again: a rollout may outlast one token."""
        headers = {**self._api.default_headers, **headers}
        self._api.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        for name, value in headers.items():
            if name.lower() == "authorization":
                hold(str(value).partition(" ")[2])
        return headers

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None, read_s: float
    ) -> urllib3.BaseHTTPResponse:
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        return pool.request(
            method,
            self._host + url,
            body=body,
            headers=self._headers(headers),
            timeout=urllib3.Timeout(connect=_CONNECT_S, read=read_s),
            retries=False,
            redirect=False,
            preload_content=False,
        )


def _token_file(where: str, context: str | None) -> Path | None:
    """The file a kubeconfig's user has its token in; None where it has none.

    where: path, or several joined as in KUBECONFIG, of which the first to name something counts.
    """
    files = [Path(part).expanduser() for part in where.split(os.pathsep) if part]
    try:
        read = [(path, yaml.safe_load(path.read_text()) or {}) for path in files if path.is_file()]
        name = context or next(body["current-context"] for _, body in read)
        held = [item for _, body in read for item in body.get("contexts") or []]
        user = next(item["context"]["user"] for item in held if item["name"] == name)
        users = [(path, item) for path, body in read for item in body.get("users") or []]
        path, found = next((path, item["user"]) for path, item in users if item["name"] == user)
    except (OSError, KeyError, TypeError, AttributeError, StopIteration, yaml.YAMLError):
        return None
    file = None if found.get("token") else found.get("tokenFile")
    return path.parent / file if file else None


def _read_again(file: Path) -> Callable[[kube_client.Configuration], None]:
    """Puts the file's token in force; a file that is away for a moment changes nothing."""

    def renew(settings: kube_client.Configuration) -> None:
        with suppress(OSError):
            if token := file.read_text().strip():
                settings.api_key["BearerToken"] = f"Bearer {token}"

    return renew
