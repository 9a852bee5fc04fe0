"""The record of a rollout on this machine's disk."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tasks.base.errors import OutsideError, Refused, SpecError, StepFailed
from tasks.base.scrub import scrub, scrub_text, watch
from tasks.record.record import RecordKind

__all__ = [
    "folder",
    "home",
    "keep_log",
    "keep_logs",
    "kind_and_namespace",
    "latest",
    "logs_kept",
    "put",
    "read",
    "scrub",
    "write",
]

_log = logging.getLogger(__name__)
ENV = "MODEL_ROLLOUT_HOME"
FILE = "record.json"
LOGS = "logs"
watch(os.environ)


def home() -> Path:
    """Where records go: MODEL_ROLLOUT_HOME, else ~/.model-rollout."""
    return Path(os.environ.get(ENV) or Path.home() / ".model-rollout")


def place(name: str, rollout: str) -> Path:
    """Where one rollout's record and reports lie; nothing is made."""
    return home() / "rollouts" / name / rollout


def folder(name: str, rollout: str) -> Path:
    """The folder of one rollout's record and reports; created. Raises OutsideError."""
    path = place(name, rollout)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutsideError(
            f"the record's folder {path} cannot be made ({error.strerror}); set {ENV} to a "
            "folder that can be written"
        ) from error
    return path


def _plain(value: Any) -> Any:
    """JSON's own types for what the statistics leave behind."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def put(
    path: Path, data: bytes, *, advice: str = f"free space or set {ENV}", parents: bool = False
) -> Path:
    """Write a file in one step: a reader sees the old one or the new one, whole. A link stays one;
    what is no file (a device, a pipe) is written to.

    parents: make its folder, too. Raises OutsideError, with the advice, when it can't be written.
    """
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        named = path.resolve()
        if named.exists() and not named.is_file():
            named.write_bytes(data)
        else:
            _replace(named, data)
    except OSError as error:
        raise OutsideError(f"{path} cannot be written ({error.strerror}); {advice}") from error
    return path


def write(path: Path, data: dict[str, Any]) -> Path:
    """Write a JSON document in one step, without credentials."""
    text = json.dumps(scrub(data), indent=1, ensure_ascii=False, default=_plain)
    # half a surrogate, which a model's answer may hold, is written as JSON escapes it
    return put(path, text.encode("utf-8", "backslashreplace"), parents=True)


def keep_log(folder: Path, name: str, text: str) -> Path:
    """Keep a container's log beside the record, without credentials; gives its file.

    name: of the file, as Evidence names it. Raises OutsideError when it can't be written.
    """
    return put(
        folder / LOGS / Path(name).name, scrub_text(text).encode("utf-8", "replace"), parents=True
    )


def keep_logs(name: str, rollout: str, logs: Mapping[str, str]) -> list[str]:
    """Write containers' logs (text by file name) into a rollout's folder; gives their paths.

    A disk that takes none must not hide the trouble that they tell of: it is only logged.
    """
    kept = []
    for file, text in sorted(logs.items()):
        try:
            kept.append(str(keep_log(folder(name, rollout), file, text)))
        except OutsideError as error:
            _log.error("the log %s is not kept: %s", file, error)
    return kept


@contextmanager
def logs_kept(name: str, rollout: str) -> Iterator[None]:
    """Keep the logs that an error carries, and let it name them, where there is no record."""
    try:
        yield
    except StepFailed as error:
        paths = keep_logs(name, rollout, error.logs)
        if not paths:
            raise
        raise StepFailed("\n".join([str(error), *(f"  log: {path}" for path in paths)])) from error


def latest(name: str, kind: RecordKind = "rollout", namespace: str | None = None) -> Path:
    """The newest record file of a rollout name, of one kind and one namespace (None: of any);
    Refused when there is none, SpecError when one that may be it can't be read."""
    base = home() / "rollouts" / name
    found = sorted((path for path in base.glob(f"*/{FILE}") if path.is_file()), reverse=True)
    if not found:
        raise Refused(f"{base} holds no record; run `rollout run` or set {ENV}")
    others = Counter[str]()
    for path in found:
        is_one, where = kind_and_namespace(path)
        if is_one == kind and namespace in (None, where):
            return path
        others[f"kind {is_one}" + (f" in {where or 'no namespace'}" if namespace else "")] += 1
    asked = f"kind {kind}" + (f" in {namespace}" if namespace else "")
    held = ", ".join(f"{count} of {words}" for words, count in others.items())
    shows = "`--kind` and `-n` show" if namespace else "`--kind` shows"
    raise Refused(f"{base} holds no record of {asked}; it holds {held}: {shows} one")


def kind_and_namespace(path: Path) -> tuple[str, str]:
    """Of what a record file is, and in which namespace; SpecError when it can't be read."""
    data = read(path)
    return str(data.get("kind", "rollout")), str(data.get("namespace", ""))


def read(path: Path) -> dict[str, Any]:
    """Read a record; SpecError when it can't be read."""
    try:
        data = _encodable(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise SpecError([f"{path} is not a readable record ({error})"]) from error
    if not isinstance(data, dict):
        found = type(data).__name__
        raise SpecError([f"{path} is not a readable record (a {found}, not a mapping)"])
    return data


def _encodable(value: Any) -> Any:
    """The document with text that can be shown: no half surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    return value
