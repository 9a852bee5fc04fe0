"""Which cluster is spoken to, with which credentials, and what a wrong configuration says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.base.errors import OutsideError, SpecError
from tasks.outside.kubernetes import client as module
from tasks.outside.kubernetes.client import Cluster
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
