"""What the processes that run evalscope are asked, as a file beside what they write, and what they
say."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from tasks.base.messages import Messages

FILE = "config.json"
ACCOUNT = "client.json"


@dataclass(frozen=True)
class _Order:
    """url: of the API. api_key_env: names the variable with the key, never the key. out_dir: gets
    evalscope's files and ours. request_timeout_s: for one request."""

    url: str
    model: str
    api_key_env: str | None
    out_dir: str
    request_timeout_s: int

    @property
    def api_key(self) -> str | None:
        """The key, from the environment."""
        return os.environ.get(self.api_key_env) if self.api_key_env else None

    def write(self) -> Path:
        """Put it into its folder; gives the file."""
        file = Path(self.out_dir) / FILE
        file.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        return file

    @classmethod
    def read(cls, file: str | Path) -> Self:
        """The order in a file."""
        return cls(**json.loads(Path(file).read_text(encoding="utf-8")))


@dataclass(frozen=True)
class ExamOrder(_Order):
    """An exam. questions: file of them. concurrency: questions in flight."""

    questions: str
    max_tokens: int
    concurrency: int


@dataclass(frozen=True)
class LoadOrder(_Order):
    """One run of load. prompts: file of request bodies, the first `warmup` of them before the
    `number` that count. concurrency in flight, or rate arrivals a second. duration_s: for all.
    break_after, break_after_timeouts: failures in a row after which no more is sent."""

    prompts: str
    number: int
    warmup: int
    concurrency: int | None
    rate: float | None
    temperature: float
    seed: int
    break_after: int
    break_after_timeouts: int
    duration_s: float


@dataclass(frozen=True)
class Ready:
    """The load generator has imported what it needs."""


@dataclass(frozen=True)
class Advanced:
    """How far a run of load is. done: measured requests. figures: so far, by metric."""

    done: int = 0
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class RunEnded:
    """A run of load has ended. error: of evalscope, '' where there was none."""

    error: str = ""


Event = Ready | Advanced | RunEnded
_EVENTS = Messages[Event]({"ready": Ready, "progress": Advanced, "done": RunEnded})
line_of, event_of = _EVENTS.line_of, _EVENTS.message_of


@dataclass(frozen=True)
class Account:
    """What evalscope cannot say of a run itself, as a file beside its own.

    errors: why a request failed, by id. unsent: ids of those given up before they were sent. sent:
    measured ones. lags, cpu: (moment, s) of the event loop's lag and of the process's time.
    """

    errors: dict[str, str]
    unsent: list[str]
    sent: int
    lags: list[tuple[float, float]]
    cpu: list[tuple[float, float]]

    def write(self, folder: Path) -> None:
        """Leave it beside evalscope's own files."""
        (folder / ACCOUNT).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The account in a folder. Raises OSError, ValueError or TypeError where there is none."""
        found = cls(**json.loads((folder / ACCOUNT).read_text(encoding="utf-8")))
        return replace(
            found,
            lags=[(at, lag) for at, lag in found.lags],
            cpu=[(at, used) for at, used in found.cpu],
        )


@dataclass(frozen=True)
class Unanswered:
    """A question of an exam that got no answer. index: of the question."""

    index: int = 0
    error: str = ""


_UNANSWERED = Messages[Unanswered]({"unanswered": Unanswered})
unanswered_line, unanswered_of = _UNANSWERED.line_of, _UNANSWERED.message_of
