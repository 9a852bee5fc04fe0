"""What each step puts on record, one model a step.

Reading is lenient (an older version, or a hand, wrote it): a field that is missing has its default,
one that nobody knows is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)

VerdictWord = Annotated[
    Literal["pass", "fail", "inconclusive"],
    BeforeValidator(lambda word: word if word in ("pass", "fail") else "inconclusive"),
]


class Part(BaseModel):
    """A piece of a record.

    Where a validation context holds a set `unreadable`, fields that do not fit are left out of the
    piece they stand in, and named there.
    """

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    @model_validator(mode="wrap")
    @classmethod
    def _lenient(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            if info.context is None or not isinstance(data, Mapping):
                raise
            wrong = {str(item["loc"][0]) if item["loc"] else "" for item in error.errors()}
            place = "" if "rollout" in cls.model_fields else f"{cls.__name__}."
            info.context["unreadable"] |= {f"{place}{name}" for name in wrong}
            return handler({key: value for key, value in data.items() if key not in wrong})


class StepTaken(Part):
    """One step: how it went, how long it took (s), what it said."""

    step: str = "?"
    state: str = ""
    seconds: float | None = None
    sentence: str = ""


class ResolveModel(Part):
    """What is rolled out. bytes, files: of the weights. manifest: digest of the list of files."""

    model: str = ""
    revision: str = ""
    commit: str = ""
    manifest: str = ""
    files: int | None = None
    bytes: int | None = None
    release: str = ""
    deployment: str = ""
    image: str = ""
    trust_remote_code: bool = False


class NodeFound(Part):
    """One node's verdict. reasons: as tasks.nodes.reasons.Reason has them."""

    name: str = "?"
    usable: bool = False
    driver: str | None = None
    cards: str | None = None
    cpu: str | None = None
    resource: str | None = None
    reasons: list[dict[str, Any]] = Field(default_factory=list)


class ValidateNodes(Part):
    """Every candidate node."""

    nodes: list[NodeFound] = Field(default_factory=list)


class PlanMade(Part):
    """The plan, as tasks.release.plan.Plan has it; what the report reads is named."""

    strategy: str = ""
    sentence: str = ""
    serving: str | None = None
    interruption: str = ""
    approval: str = ""
    bytes_to_fetch: int | None = None
    devices_needed: int | None = None
    devices_free: int | None = None
    resource: str = ""
    differences: list[str] = Field(default_factory=list)
    digest: str = ""


class FetchedNode(Part):
    """What a fetch Job said when it was done."""

    bytes_fetched: int = 0


class FetchWeights(Part):
    """Every node that got the weights."""

    nodes: list[FetchedNode] = Field(default_factory=list)


class PodPlace(Part):
    """A pod and its node."""

    name: str = ""
    node: str | None = None


class Deploy(Part):
    """The candidate's pods, and what they run: imageID as the nodes tell it. not_known: of what
    served making room, whether it could come back."""

    pods: list[PodPlace] = Field(default_factory=list)
    image_digests: list[str] = Field(default_factory=list)
    not_known: list[str] = Field(default_factory=list)


class CheckMade(Part):
    """One smoke check."""

    name: str = "?"
    ok: bool = False
    found: str = ""
    expected: str = ""


class CardHeld(Part):
    """A card once the model was loaded. MiB; null: the vendor's tool does not say. before: held
    when the rollout's probe looked. role: loaded, other (another pod's), idle or untold."""

    node: str = "?"
    index: int = 0
    model: str = ""
    used_mib: float | None = None
    total_mib: float | None = None
    before_mib: float | None = None
    role: str = ""


class Smoke(Part):
    """By which means the candidate was reached, what it answered, what its nodes' cards held."""

    how: str = ""
    url: str = ""
    checks: list[CheckMade] = Field(default_factory=list)
    cards: list[CardHeld] = Field(default_factory=list)


class ExamAnswer(Part):
    """One question of the exam."""

    question: str = ""
    expected: str = ""
    answer: str = ""
    right: bool = False
    error: str = ""


class Exam(Part):
    """questions: the set's name or file. errors: without an answer. files: evalscope's."""

    questions: str = ""
    asked: int = 0
    right: int = 0
    errors: int = 0
    verdict: str = ""
    reason: str = ""
    rows: list[ExamAnswer] = Field(default_factory=list)
    files: str = ""


class RoundMeasured(Part):
    """One round; its rows lie beside the record. window: of the rows that count (s, their clock).
    client, server: as tasks.measure.round has them."""

    index: int = 0
    load: str = ""
    release: str = ""
    seed: int | None = None
    window: tuple[float, float] | None = None
    requests: int = 0
    succeeded: int = 0
    client: dict[str, Any] = Field(default_factory=dict)
    server: dict[str, Any] = Field(default_factory=dict)
    problems: list[str] = Field(default_factory=list)


class BenchmarkRun(Part):
    """replicas: of the candidate, when it was measured. note: what the figures do not show. files:
    evalscope's."""

    rounds: list[RoundMeasured] = Field(default_factory=list)
    requests: int = 0
    nodes_with_watched_cards: int = 0
    replicas: int | None = None
    files: str = ""
    note: str = ""


class TargetJudged(Part):
    """One target at one load point, as tasks.verdict.targets.TargetVerdict has it. n_requests: what
    it rests on."""

    metric: str = "?"
    load: str = ""
    limit: float | None = None
    unit: str = ""
    direction: str = "at_least"
    measured: float | None = None
    low: float | None = None
    high: float | None = None
    n_requests: int | None = None
    verdict: VerdictWord = "inconclusive"
    reason: str = ""
    advisory: bool = False
    requests_more: int | None = None
    versus_stable_percent: float | None = None
    stable_measured: float | None = None


class Earlier(Part):
    """An earlier rollout of the same model, in short. finished: ISO 8601. targets: that bind."""

    rollout: str = ""
    finished: str = ""
    outcome: str = ""
    deployment: str = ""
    commit: str = ""
    targets: list[TargetJudged] = Field(default_factory=list)


class Gate(Part):
    """What the second witness said. suite, result: Great Expectations' own, by table."""

    success: bool = False
    suite: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)


class Judge(Part):
    """The verdict. data_docs: a page."""

    verdict: str = ""
    targets: list[TargetJudged] = Field(default_factory=list)
    gate: Gate | None = None
    data_docs: str = ""


class Promote(Part):
    """What was seen of it after the switch.

    pods, restarts_before: its pods, and their restarts, at the first look. looks, bad, blind: how
    many, and of them those against it and those that saw nothing. requests: of others than
    ourselves, by its engines' counters; errors, tokens: theirs. said: all that in a sentence.
    notes: what was not seen.
    """

    restarts_before: int = 0
    pods: list[str] = Field(default_factory=list)
    looks: int = 0
    bad: int = 0
    blind: int = 0
    worst_ttft_ms: float | None = None
    requests: int = 0
    errors: int = 0
    tokens: int = 0
    said: str = ""
    notes: list[str] = Field(default_factory=list)
