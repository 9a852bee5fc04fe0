"""The parts of the spec that say where things lie and how they are reached, weights first."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.spec.base import DNS_LABEL, MANY, Strict
from tasks.spec.hubs import is_modelscope, origins, plain_address

Address = Annotated[str, AfterValidator(plain_address), Field(pattern=r"^https?://")]


class SecretRef(Strict):
    """A key of a Secret in the rollout's namespace; its value never enters the spec."""

    name: str = Field(pattern=DNS_LABEL, description="Of the Secret")
    key: str = Field("token", description="In the Secret")


class ModelRef(Strict):
    """Which weights."""

    id: str = Field(
        pattern=r"^[A-Za-z0-9][\w.\-]*/[\w\-][\w.\-]*$", description="ModelScope id, owner/name"
    )
    revision: str = Field("master", min_length=1, description="Branch, tag or commit")
    endpoint: Address | None = Field(
        None, description="Hub address; default: MODELSCOPE_ENDPOINT or the public hub"
    )
    token_secret: SecretRef | None = Field(
        None, description="For private models of ModelScope; goes to its own addresses alone"
    )
    endpoint_token: SecretRef | None = Field(
        None, description="For private models of the hub at endpoint; goes to that address alone"
    )
    trust_remote_code: bool = Field(False, description="Run Python code from the model repository")
    exclude: list[str] = Field(
        default_factory=list, description="Glob patterns of repository files not to fetch"
    )

    @model_validator(mode="after")
    def _tokens_at_home(self) -> Self:
        where, ours = self.endpoint, self.endpoint is None or is_modelscope(self.endpoint)
        if self.token_secret and not ours:
            raise ValueError(
                f"token_secret goes to ModelScope's own addresses alone, and endpoint is {where}; "
                "name a Secret for that hub in endpoint_token"
            )
        if self.endpoint_token and (where is None or ours):
            raise ValueError(
                "endpoint_token is for the hub that endpoint names, and that is "
                f"{where or 'none'}; use token_secret for ModelScope"
            )
        if self.endpoint_token and where and not origins(where):
            raise ValueError(
                f"endpoint_token would go to {where} in the clear; give endpoint an https address"
            )
        return self


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

    mode: Literal["cluster", "pod-ip", "node-port", "port-forward"] = Field(
        "cluster",
        description="cluster: by Service name or address, from within; node-port, port-forward: "
        "from outside",
    )
    benchmark_through_port_forward: bool = Field(
        False, description="Allow it although a port-forward bends TTFT"
    )


class Mirror(Strict):
    """An S3 bucket for records; credentials come from the environment."""

    bucket: str = Field(
        min_length=3, max_length=63, pattern=r"^[A-Za-z0-9._\-]+$", description="Its name"
    )
    prefix: str = Field("model-rollout", description="Of every key")
    endpoint: Address | None = Field(None, description="Default: AWS")
    region: str | None = Field(None, description="Default: the environment's")
