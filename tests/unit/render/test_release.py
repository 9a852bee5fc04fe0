"""What is rendered from a spec, and how a release is named."""

from __future__ import annotations

from typing import Any

import pytest

from deployments.local.kube.objects import podsecurity
from tasks.accelerators.profiles import PROFILES, profile
from tasks.base.errors import SpecError
from tasks.objects.labels import KIND_LABEL
from tasks.objects.replicas import Replicas, replicas_of
from tasks.render import live
from tasks.render.devices import probe_mounts, probe_root
from tasks.render.jobs import STORE_ROOT, fetch_job, gc_job, on_host, probe_job, verify_job
from tasks.render.release import PodNeeds, deployment, release_of, selector
from tasks.render.services import service
from tasks.spec.file import build_spec, read_spec
from tasks.spec.rollout import Rollout
from tests.support.places import ROOT

SPEC = read_spec(ROOT / "deployments" / "models" / "smollm2-135m-cpu.yaml")
COMMIT, DIGEST = "c" * 40, "sha256:" + "d" * 64


def changed(**parts: Any) -> Rollout:
    data = SPEC.model_dump(mode="json", exclude_unset=True)
    for path, value in parts.items():
        node = data
        *heads, last = path.split("__")
        for head in heads:
            node = node.setdefault(head, {})
        node[last] = value
    return build_spec(data, "changed")


def test_the_same_inputs_name_the_same_release_and_others_do_not() -> None:
    base = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    assert base == release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    assert base.deployment == f"smollm2-{base.id}"
    others = [
        release_of(SPEC, "e" * 40, DIGEST, PodNeeds()),
        release_of(SPEC, COMMIT, "sha256:0", PodNeeds()),
        release_of(SPEC, COMMIT, DIGEST, PodNeeds(env={"A": "1"})),
        release_of(changed(serving__image="vllm-cpu:0.33.0"), COMMIT, DIGEST, PodNeeds()),
        release_of(changed(serving__max_num_seqs=8), COMMIT, DIGEST, PodNeeds()),
        release_of(changed(serving__pod={"priorityClassName": "p"}), COMMIT, DIGEST, PodNeeds()),
        release_of(changed(serving__replicas=3), COMMIT, DIGEST, PodNeeds()),
    ]
    assert len({base.id, *(other.id for other in others)}) == 8
    # how it is judged and where it may run say nothing about what is served
    same = changed(targets={"ttft_p95_ms": 1}, nodes__minimum=2)
    assert release_of(same, COMMIT, DIGEST, PodNeeds()).id == base.id
    # nor does how a need is worded
    assert release_of(SPEC, COMMIT, DIGEST, PodNeeds(reasons=("why",))).id == base.id


def test_a_priority_class_is_the_pods_and_names_another_release() -> None:
    ranked = changed(serving__priority_class="serving")
    release = release_of(ranked, COMMIT, DIGEST, PodNeeds())
    assert release.id != release_of(SPEC, COMMIT, DIGEST, PodNeeds()).id
    body = deployment(ranked, release, PodNeeds(), ["node-a"])
    assert body["spec"]["template"]["spec"]["priorityClassName"] == "serving"


def test_one_that_starts_with_fewer_replicas_says_how_many_it_serves_with() -> None:
    three = changed(serving__replicas=3)
    release = release_of(three, COMMIT, DIGEST, PodNeeds())
    whole = deployment(three, release, PodNeeds(), ["node-a"])
    assert replicas_of(whole) == Replicas(3, 3)
    fewer = deployment(three, release, PodNeeds(), ["node-a"], 1)
    assert replicas_of(fewer) == Replicas(1, 3, stopped=True) and replicas_of(fewer).lent
    assert fewer["spec"]["template"] == whole["spec"]["template"]


def test_the_job_that_hashes_what_serves_again() -> None:
    release = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    pod = verify_job(SPEC, release, "/data", "node-a")["spec"]["template"]["spec"]
    command = pod["containers"][0]["command"]
    assert command[:3] == ["rollout", "job", "verify"] and f"--digest={DIGEST}" in command
    # where it is not, nothing is made in its place
    assert pod["volumes"][0]["hostPath"] == {"path": "/data", "type": "Directory"}


def test_the_engine_container() -> None:
    release = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    body = deployment(SPEC, release, PodNeeds(), ["node-b", "node-a"])
    pod = body["spec"]["template"]["spec"]
    engine = pod["containers"][0]
    assert "--max-model-len=1024" in engine["args"] and "--enforce-eager" in engine["args"]
    assert not any("trust-remote-code" in arg for arg in engine["args"])
    weights = next(v for v in pod["volumes"] if v["name"] == "weights")
    assert weights["hostPath"] == {
        "path": f"/var/lib/model-rollout/models/{SPEC.model.id}/{COMMIT}",
        "type": "Directory",
    }
    assert next(m for m in engine["volumeMounts"] if m["name"] == "weights")["readOnly"] is True
    assert engine["securityContext"]["allowPrivilegeEscalation"] is False
    assert "hostNetwork" not in pod and pod["enableServiceLinks"] is False
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == ["node-a", "node-b"]
    rolling = body["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}
    assert body["spec"]["selector"]["matchLabels"] == selector("smollm2", release.id)


def test_probes_survive_a_load_as_long_as_the_time_out() -> None:
    spec = changed(serving__startup_timeout_s=1800)
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    pod = deployment(spec, release, PodNeeds(), ["n"])["spec"]["template"]["spec"]
    startup = pod["containers"][0]["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 1800
    liveness = pod["containers"][0]["livenessProbe"]
    assert liveness["timeoutSeconds"] >= 30 and liveness["failureThreshold"] >= 5


def test_large_numbers_keep_all_their_digits() -> None:
    spec = changed(serving__max_model_len=1_048_576)
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    pod = deployment(spec, release, PodNeeds(), ["n"])["spec"]["template"]["spec"]
    assert "--max-model-len=1048576" in pod["containers"][0]["args"]


def test_a_sites_own_pod_fields_win() -> None:
    spec = changed(
        serving__pod={
            "imagePullSecrets": [{"name": "registry"}],
            "containers": [{"name": "engine", "env": [{"name": "X", "value": "1"}]}],
        },
        runner__pod={"tolerations": [{"operator": "Exists"}]},
    )
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    pod = deployment(spec, release, PodNeeds(), ["n"])["spec"]["template"]["spec"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert {"name": "X", "value": "1"} in pod["containers"][0]["env"]
    job = fetch_job(spec, "n", COMMIT, DIGEST)
    assert job["spec"]["template"]["spec"]["tolerations"] == [{"operator": "Exists"}]
    with pytest.raises(SpecError, match=r"serving.pod: pod.containers"):
        release_of(changed(serving__pod={"containers": {"a": 1}}), COMMIT, DIGEST, PodNeeds())


def test_devices_are_asked_for_by_the_discovered_name() -> None:
    spec = changed(nodes__accelerator="hygon-dcu", serving__tensor_parallel_size=8)
    needs = PodNeeds(resource="hygon.com/hcu", container_security={"capabilities": {"add": ["X"]}})
    release = release_of(spec, COMMIT, DIGEST, needs)
    engine = deployment(spec, release, needs, ["n"])["spec"]["template"]["spec"]["containers"][0]
    assert engine["resources"]["requests"]["hygon.com/hcu"] == "8"
    assert engine["resources"]["limits"]["hygon.com/hcu"] == "8"
    assert engine["securityContext"]["capabilities"] == {"add": ["X"]}


def test_jobs_are_pinned_and_carry_no_credential() -> None:
    spec = changed(model__token_secret={"name": "hub", "key": "t"})
    job = fetch_job(spec, "node-1", COMMIT, DIGEST, "https://www.modelscope.cn")
    pod = job["spec"]["template"]["spec"]
    term = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["nodeSelectorTerms"][0]["matchFields"][0]["values"] == ["node-1"]
    env = {e["name"]: e for e in pod["containers"][0]["env"]}
    secret = env["MODELSCOPE_API_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": "hub", "key": "t"}
    assert "--endpoint=https://www.modelscope.cn" in pod["containers"][0]["command"]
    assert job["metadata"]["name"] != fetch_job(spec, "node-2", COMMIT, DIGEST)["metadata"]["name"]
    probe = probe_job(spec, "node-1", "run", [], [])
    assert probe["spec"]["backoffLimit"] == 0 and len(probe["metadata"]["name"]) <= 63


def test_a_hubs_token_goes_into_no_job_of_another_hub() -> None:
    spec = changed(model__token_secret={"name": "hub", "key": "t"})
    for other in ("http://127.0.0.1:1", "https://mirror.example", "http://modelscope.cn"):
        assert "secretKeyRef" not in str(fetch_job(spec, "n", COMMIT, DIGEST, other))
    own = changed(
        model__endpoint="https://mirror.example:443/ms", model__endpoint_token={"name": "m"}
    )
    env = fetch_job(own, "n", COMMIT, DIGEST)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [item["name"] for item in env] == [
        "HOME",
        "TMPDIR",
        "MODEL_ROLLOUT_HUB_TOKEN",
        "MODEL_ROLLOUT_HUB_TOKEN_FOR",
    ]
    assert env[3]["value"] == "https://mirror.example"


@pytest.mark.parametrize("user", [None, 10001])
def test_jobs_are_restricted_but_for_the_hosts_folders(user: int | None) -> None:
    spec = changed(runner__run_as_user=user)
    volumes, mounts = probe_mounts(profile("cpu"), spec.store.path)
    for job in (
        fetch_job(spec, "n", COMMIT, DIGEST),
        probe_job(spec, "n", "run", volumes, mounts),
    ):
        pod = job["spec"]["template"]["spec"]
        found = [line.split(" (")[0] for line in podsecurity.violations("restricted", pod)]
        said = job["metadata"]["annotations"].get("model-rollout/exceptions", "")
        root = user is None and job["metadata"]["labels"][KIND_LABEL] == "fetch"
        left = ["runAsNonRoot != true", "runAsUser=0"] if root else []
        assert said == (STORE_ROOT if root else "")
        assert found == ["restricted volume types", *left]
        assert [line.split(" (")[0] for line in podsecurity.violations("baseline", pod)] == [
            "hostPath volumes"
        ]
        container = pod["containers"][0]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        env = {item["name"]: item.get("value") for item in container["env"]}
        assert env["HOME"] == env["TMPDIR"] == "/scratch"


def who(job: dict[str, Any]) -> tuple[int, str]:
    """The user of a Job's pod, and why it is root."""
    security = job["spec"]["template"]["spec"]["securityContext"]
    assert security["runAsGroup"] == security["runAsUser"]
    assert security.get("runAsNonRoot", False) == bool(security["runAsUser"])
    annotations = job["metadata"]["annotations"]
    return security["runAsUser"], annotations.get("model-rollout/exceptions", "")


def test_a_job_is_root_with_a_reason_or_not_at_all() -> None:
    release = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    for job in (
        fetch_job(SPEC, "n", COMMIT, DIGEST),
        verify_job(SPEC, release, "/data", "n"),
        gc_job(SPEC, "n", [], "run", does="delete"),
        probe_job(changed(nodes__measure_disk=True), "n", "run", [], []),
    ):
        assert who(job) == (0, STORE_ROOT)
    assert who(probe_job(SPEC, "n", "run", [], [])) == (10001, "")
    own = changed(runner__run_as_user=7, nodes__measure_disk=True)
    for row in PROFILES.values():
        root = probe_root(row)
        # a tool of the image's own, or none, reads what everybody may
        assert all(tool.in_container for tool in row.smi) == (root == "")
        job = probe_job(SPEC, "n", "run", [], [], root=root)
        assert who(job) == ((0, root) if root else (10001, ""))
        assert who(probe_job(own, "n", "run", [], [], root=root)) == (7, "")
    assert who(fetch_job(own, "n", COMMIT, DIGEST)) == (7, "")


@pytest.mark.parametrize("user", [None, 10001])
@pytest.mark.parametrize("read_only", [False, True])
def test_an_engine_is_as_restricted_as_its_image_allows(user: int | None, read_only: bool) -> None:
    spec = changed(serving__run_as_user=user, serving__read_only_root=read_only)
    asked = user is not None or read_only
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    pod = deployment(spec, release, PodNeeds(), ["n"])["spec"]["template"]["spec"]
    found = [line.split(" (")[0] for line in podsecurity.violations("restricted", pod)]
    assert found == ["restricted volume types", *([] if user else ["runAsNonRoot != true"])]
    (container,) = pod["containers"]
    assert container["securityContext"].get("readOnlyRootFilesystem", False) == read_only
    mounts = {item["mountPath"] for item in container["volumeMounts"]}
    env = {item["name"]: item.get("value") for item in container["env"]}
    assert ("/tmp" in mounts) == (env.get("HOME") == "/tmp") == ("USER" in env) == asked


def test_the_restrictions_are_part_of_the_release() -> None:
    free = {"serving__run_as_user": None, "serving__read_only_root": False}
    found = {
        release_of(changed(**{**free, **more}), COMMIT, DIGEST, PodNeeds()).id
        for more in ({}, {"serving__run_as_user": 10001}, {"serving__read_only_root": True})
    }
    assert len(found) == 3


def test_names_fit_when_the_rollouts_name_is_as_long_as_allowed() -> None:
    spec = changed(name="a" * 45)
    release = release_of(spec, COMMIT, DIGEST, PodNeeds())
    names = [
        release.deployment,
        service(spec, release, candidate=True)["metadata"]["name"],
        fetch_job(spec, "n", COMMIT, DIGEST)["metadata"]["name"],
    ]
    assert all(len(name) <= 63 for name in names)


def test_a_pod_that_was_changed_on_its_way_is_noticed() -> None:
    release = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    planned = deployment(SPEC, release, PodNeeds(), ["n"])
    pod = {"spec": {**planned["spec"]["template"]["spec"], "nodeName": "n"}}
    assert live.differences(planned, pod, ["n"]) == []
    engine = pod["spec"]["containers"][0]
    bent = {**engine, "image": "other", "args": [*engine["args"], "--x"], "env": []}
    found = live.differences(planned, {"spec": {"containers": [bent], "nodeName": "m"}}, ["n"])
    assert [line.split(":")[0] for line in found if not line.startswith("env")] == [
        "image",
        "args",
        "node",
    ]
    assert any(line.startswith("env HF_HUB_OFFLINE") for line in found)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("/store/o/m/c has 5 bytes", "/data/o/m/c has 5 bytes"),
        ("no room below /store: 1 GiB", "no room below /data: 1 GiB"),
        ("(/store), /srv/store/x and /stores", "(/data), /srv/store/x and /stores"),
        ("the disk is full", "the disk is full"),
    ],
)
def test_what_a_job_says_names_the_nodes_own_paths(said: str, told: str) -> None:
    release = release_of(SPEC, COMMIT, DIGEST, PodNeeds())
    assert on_host(verify_job(SPEC, release, "/data", "node-a"), said) == told
