"""What the processes that run evalscope are asked, as a file beside what they write."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

FILE = "config.json"


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
