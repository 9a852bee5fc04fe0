"""What of a host is shown to the probe of nodes alone: each way to be something else is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tasks.accelerators.profiles import PROFILES
from tasks.spec.file import build_spec
from tasks.spec.policy import pod_violations, violations
from tests.support.admission import EXAMPLE, SHIPPED, Admission, made, pod_of, values


def probe(accelerator: str = "hygon-dcu") -> dict[str, Any]:
    data = EXAMPLE.model_dump(mode="json", exclude_unset=True)
    data["nodes"] = {"accelerator": accelerator}
    return made(build_spec(data, "probed"))[2]


def refused(body: dict[str, Any]) -> bool:
    """By both, which agree."""
    here, there = pod_violations(SHIPPED, pod_of(body)), Admission(body).refusals()
    assert bool(here) is bool(there)
    return bool(here)


@pytest.mark.parametrize("name", PROFILES)
def test_the_probe_of_each_row_is_taken(name: str) -> None:
    assert not refused(probe(name))


BARE = {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False, "runAsUser": 0}
SECOND = {"name": "runner", "image": "model-rollout:1", "command": ["sh"], "securityContext": BARE}
OVER = {"name": "host-opt", "mountPath": "/usr/local/lib", "readOnly": True}
# what is laid over the pod, and over its container; lists are added to
OTHERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("another program", {}, {"command": ["rollout", "job", "fetch"]}),
    ("a shell", {}, {"command": ["sh", "-c", "rollout job probe"]}),
    ("a path", {}, {"command": ["/host/opt/rollout", "job", "probe"]}),
    ("no command", {}, {"command": None}),
    ("another image", {}, {"image": "rocm/vllm:1"}),
    ("another name", {}, {"name": "engine"}),
    ("a second container", {"containers": [SECOND]}, {}),
    ("one before it", {"initContainers": [SECOND]}, {}),
    ("over the image's files", {}, {"volumeMounts": [OVER]}),
    ("over the view", {}, {"volumeMounts": [{**OVER, "mountPath": "/host"}]}),
    *(
        (name, {}, {"env": [{"name": name, "value": "/host/opt"}]})
        for name in ("LD_PRELOAD", "PYTHONPATH", "PATH", "HOME", "TMPDIR", "BASH_ENV", "TZDIR")
    ),
    ("a home from elsewhere", {}, {"env": [{"name": "HOME", "valueFrom": {"fieldRef": {}}}]}),
    ("its device", {}, {"resources": {"limits": {"hygon.com/dcu": "1"}}}),
    ("a hook", {}, {"lifecycle": {"postStart": {"exec": {"command": ["sh"]}}}}),
    *(
        (f"a {kind}", {}, {f"{kind}Probe": {"exec": {"command": ["sh"]}}})
        for kind in ("liveness", "startup", "readiness")
    ),
    ("arguments", {}, {"args": ["x"]}),
    ("a folder", {}, {"workingDir": "/host/opt"}),
    ("variables from elsewhere", {}, {"envFrom": [{"configMapRef": {"name": "x"}}]}),
    ("written", {}, {"volumeMounts": [{"name": "host-opt", "mountPath": "/host/opt2"}]}),
]


@pytest.mark.parametrize(("what", "pod", "container"), OTHERS, ids=[item[0] for item in OTHERS])
def test_what_only_looks_like_it_is_refused(
    what: str, pod: dict[str, Any], container: dict[str, Any]
) -> None:
    body = probe()
    found = pod_of(body)
    for target, more in ((found, pod), (found["containers"][0], container)):
        for key, value in more.items():
            added = isinstance(value, list) and key != "command"
            target[key] = [*target.get(key, []), *value] if added else value  # type: ignore[index]
    if container.get("command", 0) is None:
        del found["containers"][0]["command"]
    assert refused(body)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "no_proxy", "NVIDIA_VISIBLE_DEVICES", "TZ"])
def test_a_site_says_where_its_proxy_is(variable: str) -> None:
    body = probe()
    pod_of(body)["containers"][0]["env"].append({"name": variable, "value": "x"})
    assert not refused(body)


def reader(image: str, path: str, *, dcu: bool) -> dict[str, Any]:
    """An engine that would read a part of its host, as root."""
    body = copy.deepcopy(made()[0])
    seccomp = {"type": "Unconfined" if dcu else "RuntimeDefault"}
    added = {"add": ["SYS_PTRACE"]} if dcu else {}
    pod = pod_of(body)
    pod["volumes"] = [{"name": "h", "hostPath": {"path": path}}]
    pod["containers"] = [
        {
            "name": "engine",
            "image": image,
            "command": ["vllm", "serve"],
            "resources": {"limits": {"hygon.com/dcu": "1"} if dcu else {}},
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "runAsUser": 0,
                "seccompProfile": seccomp,
                "capabilities": {"drop": ["ALL"], **added},
            },
            "volumeMounts": [{"name": "h", "mountPath": "/h", "readOnly": True}],
        }
    ]
    return body


@pytest.mark.parametrize("image", ["model-rollout:1", "rocm/vllm:1"])
@pytest.mark.parametrize("dcu", [False, True])
@pytest.mark.parametrize(
    "path",
    ["/", "/proc", "/sys", "/dev", "/etc", "/opt", "/usr/local", "/usr/bin", "/var/lib"]
    + [f"/var/lib/{name}" for name in ("kubelet/pods", "kubelet/pki", "etcd", "containerd")],
)
def test_no_engine_reads_its_host(image: str, path: str, dcu: bool) -> None:
    assert refused(reader(image, path, dcu=dcu))


def test_a_spec_cannot_ask_for_it() -> None:
    data = EXAMPLE.model_dump(mode="json", exclude_unset=True)
    data["serving"]["pod"] = {
        "containers": [
            {
                "name": "engine",
                "volumeMounts": [{"name": "h", "mountPath": "/h", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "h", "hostPath": {"path": "/var/lib/kubelet/pods"}}],
    }
    spec = build_spec(data, "bad")
    (said,) = violations(SHIPPED, spec, made(spec))
    assert "host path /var/lib/kubelet/pods is not allowed here" in said


def test_without_images_of_its_own_any_that_is_allowed_may_probe() -> None:
    policy = SHIPPED.model_copy(update={"probe_images": None})
    body = probe()
    pod_of(body)["containers"][0]["image"] = "rocm/vllm:1"
    assert pod_violations(policy, pod_of(body)) == []
    assert Admission(body, site=values(policy)).refusals() == []
