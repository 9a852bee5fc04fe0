"""The rollout spec: one model on one cluster.

A pydantic model, so that the same definition checks the YAML file, is the flow's parameter and
draws the form in the Prefect UI. `file` reads files and turns errors into lines.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.accelerators.profiles import PROFILES, profile
from tasks.spec.base import DNS_LABEL, MANY, TOKENS, WEEK_S, Strict
from tasks.spec.flags import SHUTDOWN, second_voice, shutdown_fault, value_of
from tasks.spec.literals import literals_of_args, literals_of_env, literals_of_pod
from tasks.spec.measure import (
    Benchmark,
    Budget,
    Lengths,
    LoadPoint,
    Quality,
    SmokePrompt,
    Target,
    Workload,
)
from tasks.spec.parallel import Ranks
from tasks.spec.places import Access, Mirror, ModelRef, Store
from tasks.spec.promotion import Promotion, Soaking
from tasks.spec.starts.verify import Verify, verify_faults
from tasks.spec.starts.watch import Watch
from tasks.spec.starts.windows import Schedule, Window
from tasks.spec.voices import command_voice, env_voices

__all__ = [
    "Benchmark",
    "Budget",
    "Lengths",
    "LoadPoint",
    "ModelRef",
    "Nodes",
    "Promotion",
    "Quality",
    "Rollout",
    "Serving",
    "SmokePrompt",
    "Soaking",
    "Store",
    "Target",
    "Toleration",
    "Workload",
]

# Names grow by -candidate or -<release id>, and a Service name ends at 63 characters.
MAX_NAME = 45
# as it is remembered in a ConfigMap of 1 MiB: of what serves, what is tested and what served before
SPEC_BYTES = 1 << 18
USERS = (1 << 31) - 1  # the highest number Kubernetes takes for one
# of the Service a candidate is reached by; no rollout is called so
CANDIDATE_SUFFIX = "-candidate"
GRACE = "terminationGracePeriodSeconds"
PRIORITY_CLASS = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
PodFields = Annotated[
    dict[str, Any],
    Field(description="Partial PodSpec, merged the Kubernetes way over what we render"),
]


class Toleration(Strict):
    """A Kubernetes toleration."""

    key: str | None = Field(None, description="Taint key; empty with Exists: every taint")
    operator: Literal["Exists", "Equal"] = Field("Equal", description="How value is compared")
    value: str | None = Field(None, description="Taint value, with Equal")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="Default: every effect"
    )


def _known(name: str) -> str:
    profile(name)  # raises ValueError, which names the rows there are
    return name


Accelerator = Annotated[
    str,
    AfterValidator(_known),
    # the form of Prefect's UI offers the rows of the table
    Field(description="Accelerator profile", json_schema_extra={"enum": list(PROFILES)}),
]


class Nodes(Strict):
    """Which nodes may serve."""

    accelerator: Accelerator
    selector: dict[str, str] = Field(default_factory=dict, description="Labels a node must carry")
    names: list[str] = Field(default_factory=list, description="Only these nodes; empty: any")
    tolerations: list[Toleration] = Field(
        default_factory=list, description="Of the Jobs and of the engine"
    )
    minimum: int = Field(1, ge=1, le=MANY, description="Usable nodes the rollout needs at least")
    model: str | None = Field(None, description="Card model demanded, such as K100_AI")
    resource: str | None = Field(
        None, description="Extended resource to ask for; default: discovered from the nodes"
    )
    claim_template: str | None = Field(
        None,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="ResourceClaimTemplate to ask for instead of an extended resource (DRA)",
    )
    device_memory_gib: float | None = Field(
        None,
        gt=0,
        le=MANY,
        description="Memory of one device (GiB) where no tool tells it: devices that take of the "
        "host's memory (GB10, AMD APUs), and tools that see nothing",
    )
    missing_cards: int = Field(
        0,
        ge=0,
        le=MANY,
        description="Cards a node may lack on bus, tool or device plugin: a dead one that waits "
        "for its exchange, or cards left out on purpose. A warning then, not CARD_LOST",
    )
    probe_timeout_s: float = Field(180, gt=0, le=WEEK_S, description="For one probe (s)")
    probe_parallelism: int = Field(16, ge=1, le=1000, description="Nodes probed at a time")
    measure_disk: bool = Field(False, description="Also measure the store's write rate")
    check_loaded: bool = Field(
        True,
        description="Once the candidate is ready, run the vendor's tool on its nodes again: every "
        "card asked for must hold the model's share of memory and be healthy",
    )


class Resources(Strict):
    """Requests of the serving container; limits equal them for accelerators and memory."""

    cpu: str | None = Field(
        None, pattern=r"^\d{1,12}(\.\d{1,9})?m?$", description="Cores, a Kubernetes quantity"
    )
    memory: str | None = Field(
        None,
        pattern=r"^\d{1,12}(\.\d{1,9})?(Ki|Mi|Gi|Ti|k|M|G|T)?$",
        description="Bytes, a Kubernetes quantity such as 64Gi",
    )
    shm_gib: float = Field(
        16, ge=0, le=MANY, description="Shared memory for the workers (GiB); 0: none"
    )


class Serving(Strict):
    """How vLLM serves the model."""

    image: str = Field(min_length=1, description="The engine's image")
    served_model_name: str | None = Field(None, description="Default: the model's name")
    replicas: int = Field(1, ge=1, le=10_000, description="Engines, a pod each")
    tensor_parallel_size: int = Field(
        1, ge=1, le=10_000, description="Devices over which each layer is split"
    )
    accelerators: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="Devices a replica; default: vLLM's ranks in a pod (cpu: none)",
    )
    max_model_len: int | None = Field(None, ge=1, le=TOKENS, description="Tokens")
    max_num_seqs: int | None = Field(None, ge=1, le=MANY, description="Sequences in one batch")
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = Field(
        "auto", description="Of weights and activations"
    )
    gpu_memory_utilization: float | None = Field(
        None, gt=0, le=1, description="Share of a device's memory; default: vLLM's"
    )
    enforce_eager: bool = Field(False, description="No graphs: starts sooner, serves slower")
    port: int = Field(8000, ge=1024, le=65535, description="Of the engine and of the Service")
    command: list[str] = Field(
        default_factory=lambda: ["python3", "-m", "vllm.entrypoints.openai.api_server"],
        min_length=1,
        description="The program alone; its flags follow from the fields here",
    )
    extra_args: list[str] = Field(
        default_factory=list, description="More vLLM flags, whole, as --flag=value"
    )
    env: dict[str, str] = Field(default_factory=dict, description="The engine's environment")
    resources: Resources = Resources()
    toolkit: str | None = Field(
        None, description="Toolkit in the image (DTK, CUDA, ROCm, CANN); default: read from its tag"
    )
    startup_timeout_s: float = Field(1800, gt=0, le=WEEK_S, description="From apply to ready")
    host_network: bool = Field(False, description="The node's network instead of the pod's own")
    run_as_user: int | None = Field(
        None, ge=1, le=USERS, description="Run the engine as this user; default: the image's"
    )
    read_only_root: bool = Field(
        False, description="The image's files stay as they are; the engine writes below /tmp alone"
    )
    priority_class: str | None = Field(
        None,
        pattern=PRIORITY_CLASS,
        description="PriorityClass of the cluster: keeps the seats of a release, and takes them "
        "before pods of less",
    )
    pod: PodFields = Field(default_factory=dict)

    @field_validator("extra_args")
    @classmethod
    def _no_second_voice(cls, value: list[str]) -> list[str]:
        if reason := second_voice(value) or shutdown_fault(value):
            raise ValueError(reason)
        return value

    @property
    def ranks(self) -> Ranks:
        """vLLM's ranks, by the tensor parallel size and extra_args."""
        return Ranks.of(self.tensor_parallel_size, self.extra_args)

    @field_validator("command")
    @classmethod
    def _only_a_program(cls, value: list[str]) -> list[str]:
        if reason := command_voice(value):
            raise ValueError(reason)
        return value


class Runner(Strict):
    """The Jobs we run on nodes (probe, fetch)."""

    image: str = Field("model-rollout:0.1.0", description="An image with this project installed")
    run_as_user: int | None = Field(
        None,
        ge=1,
        le=USERS,
        description="Run as this user, who must own the store's folder; default: root for what "
        "writes there, 10001 for the rest",
    )
    pod: PodFields = Field(default_factory=dict)


class Rollout(Strict):
    """One rollout spec."""

    name: str = Field(
        pattern=DNS_LABEL,
        max_length=MAX_NAME,
        json_schema_extra={"position": 0},
        description="Names the Service, and prefixes everything the rollout creates",
    )
    namespace: str = Field(
        "default",
        pattern=DNS_LABEL,
        max_length=63,
        json_schema_extra={"position": 1},
        description="Where everything of it lies",
    )
    model: ModelRef = Field(json_schema_extra={"position": 2})
    nodes: Nodes = Field(json_schema_extra={"position": 3})
    store: Store = Field(default_factory=Store, json_schema_extra={"position": 4})
    serving: Serving = Field(json_schema_extra={"position": 5})
    runner: Runner = Field(default_factory=Runner, json_schema_extra={"position": 6})
    access: Access = Field(default_factory=Access, json_schema_extra={"position": 7})
    smoke: list[SmokePrompt] = Field(default_factory=list, json_schema_extra={"position": 8})
    benchmark: Benchmark = Field(default_factory=Benchmark, json_schema_extra={"position": 9})
    targets: list[Target] = Field(
        min_length=1,
        json_schema_extra={"position": 10},
        description="A list, or in a file the short form {metric: limit}",
    )
    quality: Quality | None = Field(
        None,
        json_schema_extra={"position": 11},
        description="A small exam on the answers themselves; default: none",
    )
    promotion: Promotion = Field(default_factory=Promotion, json_schema_extra={"position": 12})
    records: Mirror | None = Field(None, json_schema_extra={"position": 13})
    schedule: Schedule | None = Field(
        None,
        json_schema_extra={"position": 14},
        description="When a rollout starts by itself, whatever is new; default: not at all",
    )
    watch: Watch = Field(
        default_factory=Watch,
        json_schema_extra={"position": 15},
        description="Which versions start a rollout by themselves",
    )
    maintenance_windows: list[Window] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"position": 16},
        description="When a rollout that nobody asked for by hand may begin, and change what "
        "serves; default: always",
    )
    quiet_hours: list[Window] = Field(
        default_factory=list,
        max_length=50,
        json_schema_extra={"position": 17},
        description="When it may not, whatever the windows say",
    )
    verify: Verify = Field(
        default_factory=Verify,
        json_schema_extra={"position": 18},
        description="How what serves is judged again while it serves",
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return [
                {"metric": name, **limit}
                if isinstance(limit, dict)
                else {"metric": name, "limit": limit}
                for name, limit in value.items()
            ]
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        serving, problems = self.serving, list[str]()
        if self.name.endswith(CANDIDATE_SUFFIX):
            problems.append(
                f"name: '{self.name}' is what the candidate's Service of a rollout "
                f"'{self.name.removesuffix(CANDIDATE_SUFFIX)}' is called; choose another"
            )
        devices, ranks = serving.accelerators, serving.ranks
        row = profile(self.nodes.accelerator)
        if self.nodes.claim_template and (self.nodes.resource or not row.has_devices):
            problems.append(
                "nodes.claim_template: a claim of devices in place of nodes.resource, on a profile "
                "that has some; leave one of them out"
            )
        if not row.has_devices:
            if devices:
                problems.append(
                    f"serving.accelerators: {devices} asked, the {self.nodes.accelerator} profile "
                    "has none; leave it out"
                )
        elif devices is not None and ranks.devices not in [devices * n for n in row.unit_devices]:
            problems.append(
                f"serving.tensor_parallel_size: {ranks} does not match the {devices} accelerators "
                f"asked; vLLM uses one device a rank, {ranks.devices} here, so make them equal"
            )
        loads = {load.name for load in self.benchmark.loads}
        for index, target in enumerate(self.targets):
            if target.load is not None and target.load not in loads:
                known = ", ".join(sorted(loads))
                problems.append(
                    f"targets.{index}.load: '{target.load}' is no load point; known are {known}"
                )
        if all(target.advisory for target in self.targets):
            problems.append(
                "targets: every target is advisory, so nothing decides; make one binding"
            )
        size = len(json.dumps(self.model_dump(mode="json", exclude_defaults=True)))
        if size > SPEC_BYTES:
            problems.append(
                f"the spec: {size:,} bytes found as JSON, at most {SPEC_BYTES:,} expected: it is "
                "remembered in the cluster; put long prompts into benchmark.workload.file"
            )
        told, grace = value_of(serving.extra_args, SHUTDOWN), serving.pod.get(GRACE)
        if told is not None and isinstance(grace, int) and int(told) > grace:
            problems.append(
                f"serving.pod.{GRACE}: {grace} s end before the {told} s of {SHUTDOWN}, and what "
                f"streams is cut there; make it at least {int(told) + 20}, or leave one out"
            )
        problems += [
            *verify_faults(self.verify, self.benchmark, self.targets),
            *env_voices(serving.env, "serving.env"),
            *literals_of_env(serving.env, "serving.env"),
            *literals_of_args(serving.command, "serving.command"),
            *literals_of_args(serving.extra_args, "serving.extra_args"),
            *literals_of_pod(serving.pod, "serving.pod"),
            *literals_of_pod(self.runner.pod, "runner.pod"),
        ]
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def served_name(self) -> str:
        """The name clients put in `model`."""
        return self.serving.served_model_name or self.model.id.split("/", 1)[1]

    @property
    def devices(self) -> int:
        """Accelerators one replica asks for (0 for the cpu profile)."""
        if not profile(self.nodes.accelerator).has_devices:
            return 0
        return self.serving.accelerators or self.serving.ranks.devices
