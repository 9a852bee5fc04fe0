"""How many ranks vLLM makes of one replica, and thus how many devices it takes.

Source: vllm/config/parallel.py and vllm/engine/arg_utils.py (vLLM 0.32): one engine has tensor x
pipeline x prefill context ranks, and a node holds as many engines as its part of the data parallel
size. Expert and decode context parallelism divide what these ranks hold and add none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.spec.flags import (
    DATA,
    DATA_LOCAL,
    DATA_RANK,
    DECODE_CONTEXT,
    EXPERTS,
    PIPELINE,
    PREFILL_CONTEXT,
    is_on,
    number_of,
    value_of,
)


@dataclass(frozen=True)
class Ranks:
    """tensor, pipeline, prefill, decode: sizes in one engine. data: engines in all, here: in this
    pod. experts: whether experts are divided among ranks instead of cut."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    here: int = 1
    prefill: int = 1
    decode: int = 1
    experts: bool = False

    @classmethod
    def of(cls, tensor: int, args: Sequence[str]) -> Ranks:
        """Read from the tensor parallel size and vLLM's further flags."""

        def size(name: str) -> int:
            return max(1, int(number_of(args, name) or 1))

        data = size(DATA)
        here = size(DATA_LOCAL) if number_of(args, DATA_LOCAL) else data
        if value_of(args, DATA_RANK) is not None:
            here = 1  # the other ranks are started by somebody else
        return cls(
            tensor=tensor,
            pipeline=size(PIPELINE),
            data=data,
            here=min(here, data),
            prefill=size(PREFILL_CONTEXT),
            decode=size(DECODE_CONTEXT),
            experts=is_on(args, EXPERTS),
        )

    @property
    def devices(self) -> int:
        """Devices of one pod; on CPUs the workers in it."""
        return self.tensor * self.pipeline * self.prefill * self.here

    @property
    def cut(self) -> int:
        """Among how many ranks of a stage the experts are divided or cut: tensor x data."""
        return self.tensor * self.data * self.prefill

    def __str__(self) -> str:
        parts = [f"tensor parallel {self.tensor}"]
        parts += [f"pipeline {self.pipeline}"] * (self.pipeline > 1)
        parts += [f"prefill context {self.prefill}"] * (self.prefill > 1)
        parts += [f"data parallel {self.here}"] * (self.here > 1)
        return " x ".join(parts)
