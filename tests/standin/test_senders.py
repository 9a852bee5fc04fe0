"""The stand-in answers what the product or kubectl sends, and nothing else: every verb, kind of
patch and subresource has its sender here, which is seen to send it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from deployments.local.kube.api import discovery
from deployments.local.kube.api.verbs import APPLY_TYPE, PATCH_TYPES, Verbs
from tasks.base.errors import OutsideError
from tasks.outside.kubernetes.client import Cluster
from tests.support.cluster.api_fixture import CONFIGS, Api, config, deployment, pod, serving

NS = "default"


def _forward(cluster: Cluster) -> None:
    with suppress(OutsideError), cluster.port_forward("p", NS, 80):
        pass


Call = Callable[[Cluster], object]
# (verb, subresource) -> the product's call
PRODUCT: dict[tuple[str, str], Call] = {
    ("get", ""): lambda c: c.get("ConfigMap", "c", NS),
    ("list", ""): lambda c: c.list("ConfigMap", NS),
    ("watch", ""): lambda c: next(c.watch("ConfigMap", NS, start=([], "1"), timeout_s=120)),
    ("create", ""): lambda c: c.create(config("d")),
    ("update", ""): lambda c: c.replace(c.get("ConfigMap", "c", NS) or {}),
    ("patch", ""): lambda c: c.patch("ConfigMap", "c", NS, {"data": {"a": "b"}}),
    ("delete", ""): lambda c: c.delete("ConfigMap", "c", NS),
    ("get", "log"): lambda c: c.logs("p", NS, "main"),
    ("create", "portforward"): _forward,
    ("patch", "scale"): lambda c: c.patch(
        "Deployment", "web", NS, {"spec": {"replicas": 1}}, sub="scale"
    ),
}
# (verb, subresource) -> kubectl's words
KUBECTL: dict[tuple[str, str], str] = {
    ("get", "status"): "get deployment web --subresource=status",
    ("update", "status"): "replace --subresource=status -f {file}",
    ("patch", "status"): "patch deployment web --subresource=status --type=merge -p {{}}",
    ("get", "scale"): "get deployment web --subresource=scale",
    ("update", "scale"): "scale deployment web --current-replicas=1 --replicas=2",
}
# kind of patch -> who sends it
PATCHES: dict[str, Call | str] = {
    "application/merge-patch+json": PRODUCT["patch", ""],
    APPLY_TYPE: lambda c: c.apply(config()),
    "application/strategic-merge-patch+json": "set image deployment web main=image:2",
    "application/json-patch+json": "patch deployment web --type=json -p []",
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with serving(tmp_path) as served:
        for body in (config(), deployment(replicas=1), pod()):
            served.cluster.create(body)
        served.server.audit.clear()
        yield served


def send(api: Api, sender: Call | str) -> None:
    """Have it sent; what came of it is another test's matter."""
    if not isinstance(sender, str):
        sender(api.cluster)
        return
    program = shutil.which("kubectl")
    if program is None:
        pytest.skip("kubectl is not installed")
    file = api.kubeconfig.parent / "web.yaml"
    file.write_text(yaml.safe_dump(deployment(replicas=1)))
    words = sender.format(file=file).split()
    command = [program, "--kubeconfig", str(api.kubeconfig), *words]
    # what it keeps at home is kept by address, and another's server may have had this one
    env = {**os.environ, "HOME": str(api.kubeconfig.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr


def answered() -> set[tuple[str, str]]:
    """(verb, subresource) of all that the API says of itself."""
    out = set()
    for version in ("v1", *(item["groupVersion"] for item in _versions())):
        for entry in (discovery.resources(version) or {})["resources"]:
            sub = entry["name"].partition("/")[2]
            out |= {(verb, sub) for verb in entry["verbs"]}
    return out


def _versions() -> list[dict[str, str]]:
    return [item["versions"][0] for item in discovery.groups()["groups"]]


def test_what_is_answered_has_a_sender() -> None:
    assert answered() == {*PRODUCT, *KUBECTL}
    assert {*PATCH_TYPES, APPLY_TYPE} == {*PATCHES}


@pytest.mark.parametrize(("verb", "sub"), [*PRODUCT, *KUBECTL])
def test_its_sender_sends_it(api: Api, verb: str, sub: str) -> None:
    send(api, PRODUCT.get((verb, sub)) or KUBECTL[verb, sub])
    assert (verb, sub) in {(entry[0], entry[3]) for entry in api.server.audit}


@pytest.mark.parametrize("kind", PATCHES)
def test_each_kind_of_patch_is_sent(api: Api, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    real = Verbs.patch

    def noted(self: Verbs, *given: object) -> object:
        sent.append(str(given[1]))
        return real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Verbs, "patch", noted)
    send(api, PATCHES[kind])
    assert kind in sent


@pytest.mark.parametrize(
    ("method", "path", "kind", "code"),
    [
        ("DELETE", CONFIGS, "", 405),  # a whole collection
        ("PUT", CONFIGS, "", 405),
        ("POST", f"{CONFIGS}/c", "", 405),
        ("PATCH", f"{CONFIGS}/c", "application/json", 415),
        ("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/status", APPLY_TYPE, 415),
        ("PATCH", "/api/v1/namespaces/default/pods/p/log", APPLY_TYPE, 405),
        ("POST", "/api/v1/namespaces/default/pods/p/log", "", 405),
        ("PUT", "/api/v1/namespaces/default/pods/p/portforward", "", 405),
        ("POST", "/apis/apps/v1/namespaces/default/deployments/web/scale", "", 405),
        ("POST", "/apis/apps/v1/namespaces/default/deployments/web/status", "", 405),
        ("DELETE", "/apis/apps/v1/namespaces/default/deployments/web/status", "", 405),
        ("POST", "/api/v1/namespaces/default/pods/p/eviction", "", 404),
        ("GET", "/apis/apps/v1/statefulsets", "", 404),
    ],
)
def test_what_nobody_sends_is_not_answered(
    api: Api, method: str, path: str, kind: str, code: int
) -> None:
    before = api.store.list("configmaps"), api.store.list("deployments")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert api.send(method, path, body, kind or "application/json")[0] == code
    assert (api.store.list("configmaps"), api.store.list("deployments")) == before
