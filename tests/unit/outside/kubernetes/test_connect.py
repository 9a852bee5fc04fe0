"""The cluster's address and credentials, and a local port whose connections end in a pod."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.base.errors import OutsideError, SpecError
from tasks.outside.kubernetes import client as module
from tasks.outside.kubernetes.client import Cluster, namespace_of
from tasks.outside.kubernetes.forward import forwarded
from tests.support.cluster.cluster_script import answer


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    contexts = [
        {"name": name, "context": {"cluster": name, "user": "u"}} for name in ("blue", "green")
    ]
    clusters = [
        {"name": name, "cluster": {"server": f"http://{name}.example:6443/"}}
        for name in ("blue", "green")
    ]
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "blue",
        "contexts": contexts,
        "clusters": clusters,
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    return path


def test_the_named_kubeconfig_and_context(kubeconfig: Path) -> None:
    assert Cluster.connect(str(kubeconfig)).address == "http://blue.example:6443"
    assert Cluster.connect(str(kubeconfig), "green").address == "http://green.example:6443"


def test_the_environment_names_it_else(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert Cluster.connect().address == "http://blue.example:6443"


def test_credentials_go_with_each_request_and_stay_out_of_errors(
    kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster.connect(str(kubeconfig))
    asked: list[tuple[str, dict[str, str]]] = []

    def request(method: str, url: str, **kwargs: Any) -> Any:
        asked.append((url, kwargs["headers"]))
        return answer({"message": "no"}, 401)

    monkeypatch.setattr(cluster._api.rest_client.pool_manager, "request", request)
    with pytest.raises(OutsideError, match="credentials were not accepted") as caught:
        cluster.get("Pod", "p", "n")
    url, headers = asked[0]
    assert url == "http://blue.example:6443/api/v1/namespaces/n/pods/p"
    assert headers["authorization"] == "Bearer s3cret" and headers["Accept"] == "application/json"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("named", ["token", "absolute"])
def test_a_token_file_is_read_again_as_it_is_renewed(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Tokens of an account live for hours; a rollout with a long soak may outlast one."""
    file = tmp_path / "token"
    file.write_text("first\n")
    body = yaml.safe_load(kubeconfig.read_text())
    body["users"][0]["user"] = {"tokenFile": str(file) if named == "absolute" else "token"}
    kubeconfig.write_text(yaml.safe_dump(body))
    cluster = Cluster.connect(str(kubeconfig), "green")
    sent: list[str] = []

    def request(method: str, url: str, **kwargs: Any) -> Any:
        sent.append(kwargs["headers"]["authorization"])
        return answer({"metadata": {"name": "p"}})

    monkeypatch.setattr(cluster._api.rest_client.pool_manager, "request", request)
    cluster.get("Pod", "p", "n")
    file.write_text("second")
    cluster.get("Pod", "p", "n")
    file.unlink()
    cluster.get("Pod", "p", "n")
    assert sent == ["Bearer first", "Bearer second", "Bearer second"]


@pytest.mark.parametrize(("path", "context"), [("absent", None), ("config", "purple")])
def test_a_wrong_argument_is_the_users(kubeconfig: Path, path: str, context: str | None) -> None:
    with pytest.raises(SpecError, match="kubeconfig: cannot use"):
        Cluster.connect(str(kubeconfig.parent / path), context)


def test_no_configuration_at_all(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(kubeconfig.parent))
    with pytest.raises(OutsideError, match="pass --kubeconfig"):
        Cluster.connect()


def test_a_pod_uses_its_service_account(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("pod-token")
    monkeypatch.setattr(module, "TOKEN_FILE", token)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    used: list[str] = []

    def load(client_configuration: Any) -> None:
        used.append("service account")
        client_configuration.host = "https://10.0.0.1:443"

    monkeypatch.setattr(module.kube_config, "load_incluster_config", load)
    assert Cluster.connect().address == "https://10.0.0.1:443" and used
    # An explicit kubeconfig wins over the pod's own account.
    assert Cluster.connect(str(kubeconfig)).address == "http://blue.example:6443"


# -- port-forward ------------------------------------------------------------------------------


class Link:
    """What the client library's PortForward offers, over a socket pair with an echo behind it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        threading.Thread(target=self._echo, daemon=True).start()

    def _echo(self) -> None:
        while data := self.far.recv(65536):
            self.far.sendall(data.upper())
        self.far.close()

    def socket(self, port: int) -> socket.socket:
        assert port == 8000
        return self.near

    def error(self, port: int) -> str | None:
        return None

    def close(self) -> None:
        self.near.close()


def talk(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(data)
        got = b""
        while len(got) < len(data):
            got += end.recv(65536)
        return got


def test_bytes_go_both_ways_on_several_connections() -> None:
    links: list[Link] = []

    def dial() -> Link:
        links.append(Link())
        return links[-1]

    with forwarded(dial, 8000) as port:
        big = b"x" * 300_000
        assert talk(port, b"hello") == b"HELLO"
        assert talk(port, big) == big.upper()
        assert len(links) == 3  # one to try the way, one for each connection
        with socket.create_connection(("127.0.0.1", port), timeout=60) as open_end:
            open_end.sendall(b"a")
            assert open_end.recv(10) == b"A"
            left = open_end.dup()
    with left:
        left.settimeout(60)
        assert left.recv(10) == b""
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_pod_that_cannot_be_dialled_is_heard_at_once() -> None:
    def dial() -> Link:
        raise OutsideError("no such pod")

    with pytest.raises(OutsideError, match="no such pod"), forwarded(dial, 8000):
        pass


def test_a_later_failure_ends_the_one_connection() -> None:
    answers = [Link()]

    def dial() -> Link:
        if not answers:
            raise OutsideError("the pod went away")
        return answers.pop()

    with forwarded(dial, 8000) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
            assert end.recv(10) == b""
        answers.append(Link())
        assert talk(port, b"again") == b"AGAIN"


@pytest.mark.parametrize(
    ("context", "namespace"), [(None, "models"), ("green", "default"), ("nobodys", "default")]
)
def test_the_namespace_is_the_contexts(
    kubeconfig: Path, context: str | None, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = yaml.safe_load(kubeconfig.read_text())
    body["contexts"][0]["context"]["namespace"] = "models"
    kubeconfig.write_text(yaml.safe_dump(body))
    assert namespace_of(str(kubeconfig), context) == namespace
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert namespace_of(None, context) == namespace


@pytest.mark.parametrize("text", ["", "contexts: 3", "{", "- a list"])
def test_where_no_configuration_can_be_read_it_is_default(kubeconfig: Path, text: str) -> None:
    kubeconfig.write_text(text)
    assert namespace_of(str(kubeconfig)) == "default"
    assert namespace_of(str(kubeconfig.with_name("none"))) == "default"


def test_a_pods_own_account_has_its_own_namespace(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    for name, text in (("TOKEN_FILE", "t"), ("NAMESPACE_FILE", "models\n")):
        file = tmp_path / name
        file.write_text(text)
        monkeypatch.setattr(module, name, file)
    assert namespace_of() == "models"
    assert namespace_of(str(kubeconfig)) == "default"
