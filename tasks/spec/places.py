"""The parts of the spec that say where things lie and how they are reached."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from tasks.spec.base import MANY, Strict
from tasks.spec.hubs import plain_address

Address = Annotated[str, AfterValidator(plain_address), Field(pattern=r"^https?://")]


class Store(Strict):
    """Where weights lie on each node."""

    path: str = Field("/var/lib/model-rollout/models", description="Host path")
    keep_free_gib: float = Field(
        5.0, ge=0, le=MANY, description="Disk to leave free after the fetch (GiB)"
    )
    eviction_percent: float = Field(
        15.0,
        ge=0,
        le=90,
        description="Free space of the store's file system below which its kubelet evicts (%); "
        "the default is imagefs.available's, nodefs.available's is 10; 0: it looks at another",
    )

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        path = PurePosixPath(value)
        if not path.is_absolute() or ".." in path.parts or str(path) == "/":
            raise ValueError(f"'{value}' is not an absolute path below the root without '..'")
        return str(path)


class Access(Strict):
    """How the flow reaches the candidate."""

    mode: Literal["cluster", "pod-ip", "node-port", "port-forward"] = "cluster"
    benchmark_through_port_forward: bool = Field(
        False, description="Allow it although a port-forward bends TTFT"
    )


class Mirror(Strict):
    """An S3 bucket for records; credentials come from the environment."""

    bucket: str = Field(min_length=3, max_length=63)
    prefix: str = "model-rollout"
    endpoint: Address | None = None
    region: str | None = None
