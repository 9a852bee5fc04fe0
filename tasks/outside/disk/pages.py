"""The report of a rollout beside its record: written when it ends, drawn again on demand."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from tasks.base.errors import Refused, SpecError
from tasks.base.scrub import mask
from tasks.measure.round import Round
from tasks.outside.disk import records
from tasks.record.record import RecordKind
from tasks.record.record import read as read_record
from tasks.report import page as report
from tasks.report import rows as round_rows
from tasks.report.words.speech import PageLanguage

_log = logging.getLogger(__name__)
_PACKAGES = (
    "model-rollout",
    "evalscope",
    "great-expectations",
    "kubernetes",
    "modelscope",
    "numpy",
    "prefect",
    "scipy",
)


def versions() -> dict[str, str]:
    """Versions of what measured and judged, for the record; what is not installed is left out."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def keep_rows(folder: Path, rounds: Sequence[Round]) -> Path:
    """Store the measured rows beside the record. Raises OutsideError when that is impossible."""
    return put(folder / round_rows.FILE, round_rows.dump(rounds))


def rows_of(folder: Path) -> tuple[Round, ...]:
    """The rows kept beside a record; empty where none are. Raises SpecError for broken ones."""
    path = folder / round_rows.FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise SpecError([f"{path} cannot be read ({error.strerror})"]) from error
    return round_rows.load(data)


def write(record_file: Path, language: PageLanguage = "en") -> Path:
    """Draw the pages of a record on disk, with the rows beside it, one a language and each leading
    to the other; gives the path of the one in `language`.

    Raises SpecError for a record or rows that cannot be read, OutsideError for a full disk.
    """
    record = read_record(records.scrub(records.read(record_file)))
    rounds = rows_of(record_file.parent)
    drawn = {one: mask(report.render(record, rounds, one)) for one in report.FILES}
    for one, page in drawn.items():
        put(record_file.with_name(report.FILES[one]), page.encode("utf-8", "replace"))
    return record_file.with_name(report.FILES[language])


def try_write(record_file: Path) -> Path | None:
    """As `write`, but a page that cannot be drawn is logged: it must not change an outcome."""
    try:
        return write(record_file)
    except Exception as error:
        _log.error(
            "the report of %s was not drawn (%s); `rollout report` tries again",
            record_file,
            error,
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )
        return None


def find(name: str, kind: RecordKind | None = None, namespace: str | None = None) -> Path:
    """The newest record of a name, or the one that NAME/ROLLOUT names, whatever it is of. kind:
    None for a rollout's. namespace: of no other one; None: of any. Raises Refused where there is
    none, SpecError for what can be no name."""
    head, slash, rollout = name.partition("/")
    parts = (head, rollout) if slash else (head,)
    if any(part in ("", ".", "..") or Path(part).name != part for part in parts):
        raise SpecError([f"'{name}' is no rollout; give NAME, or NAME/ROLLOUT for an older one"])
    if not slash:
        return records.latest(head, kind or "rollout", namespace)
    if kind is not None:
        raise SpecError([f"'{name}' names one record; leave out the id, or --kind {kind}"])
    path = records.home() / "rollouts" / head / rollout / records.FILE
    if not path.is_file():
        there = sorted(path.parents[1].glob(f"*/{records.FILE}"))
        known = ", ".join(f"{item.parent.name}{_of_kind(item)}" for item in there)
        raise Refused(f"{path} does not exist; rollouts of '{head}' are: {known or 'none'}")
    if namespace is not None and (of := records.kind_and_namespace(path)[1]) != namespace:
        raise Refused(f"{path} is a record of namespace {of or 'unknown'}, not of {namespace}")
    return path


def _of_kind(path: Path) -> str:
    """Of what a record is, in brackets; '' of a rollout's, which is what most are."""
    try:
        found, _ = records.kind_and_namespace(path)
    except SpecError:
        return " (not readable)"
    return "" if found == "rollout" else f" ({found})"


def put(path: Path, data: bytes) -> Path:
    """Write in one step, as records are. Raises OutsideError."""
    return records.put(path, data, advice="free space, or choose another place")
