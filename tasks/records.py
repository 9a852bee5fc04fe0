"""The record of a rollout on this machine's disk. THIN."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from tasks.errors import OutsideError, SpecError

ENV = "MODEL_ROLLOUT_HOME"
FILE = "record.json"
_SECRET = re.compile(r"(?i)(authorization|api[_-]?key|token|secret|password)")


def home() -> Path:
    """Where records go: MODEL_ROLLOUT_HOME, else ~/.model-rollout."""
    return Path(os.environ.get(ENV) or Path.home() / ".model-rollout")


def folder(name: str, rollout: str) -> Path:
    """The folder of one rollout's record and reports; created."""
    path = home() / "rollouts" / name / rollout
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideError(
            f"the record's folder {path} cannot be made ({error.strerror}); set {ENV} to a "
            "folder that can be written"
        ) from error
    return path


def scrub(value: Any, key: str = "") -> Any:
    """The value without anything under a key that names a credential."""
    if isinstance(value, dict):
        return {k: scrub(v, str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(item, key) for item in value]
    counted = key.endswith(("tokens", "token_secret", "tok_s"))
    if isinstance(value, str) and value and _SECRET.search(key) and not counted:
        return "***"
    return value


def _plain(value: Any) -> Any:
    """JSON's own types for what the statistics leave behind."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def write(path: Path, data: dict[str, Any]) -> Path:
    """Write a JSON document in one step: a reader sees the old one or the new one, whole."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(scrub(data), file, indent=1, ensure_ascii=False, default=_plain)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutsideError(
            f"{path} cannot be written ({error.strerror}); free space or set {ENV}"
        ) from error
    return path


def latest(name: str) -> Path:
    """The newest record file of a rollout name; SpecError when there is none."""
    base = home() / "rollouts" / name
    found = sorted(base.glob(f"*/{FILE}"))
    if not found:
        raise SpecError([f"{base} holds no record; run `rollout run` or set {ENV}"])
    return found[-1]


def read(path: Path) -> dict[str, Any]:
    """Read a record; SpecError when it can't be read."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return data
    except (OSError, ValueError) as error:
        raise SpecError([f"{path} is not a readable record ({error})"]) from error
