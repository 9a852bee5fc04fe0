"""Where a browser finds a rollout's report, on whatever machine it runs."""

from __future__ import annotations

import logging
import posixpath
from dataclasses import dataclass

from tasks.base.errors import OutsideError
from tasks.outside.disk.records import LOGS
from tasks.outside.prefect import artifacts, report
from tasks.outside.s3.mirror import BucketMirror
from tasks.record.record import Record
from tasks.report.page import FILES
from tasks.report.words.speech import NAMES
from tasks.spec.places import Mirror

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportPlace:
    """Where a report is. page: its path below the address of Prefect's UI; ui: that with the
    address. address: for a browser anywhere, in the bucket, else in the UI; in the bucket it is
    signed, so that what is masked breaks it. Each is '' where it is on the disk of whoever ran the
    rollout alone."""

    page: str = ""
    ui: str = ""
    address: str = ""


def bucket_of(where: Mirror | None) -> BucketMirror | None:
    """The bucket that a spec keeps its records in; None where it names none."""
    if where is None:
        return None
    return BucketMirror(where.bucket, where.prefix, where.endpoint, where.region)


def in_bucket(record: Record) -> dict[str, str]:
    """Addresses in the bucket of the page in each language, by the language's own name, and of the
    whole logs, by file name; each needs no login for a week at most. Empty where they are not
    there. Whoever has one may read what it names."""
    where = record.spec.get("records")
    if not record.mirror or record.mirror_error or not isinstance(where, dict):
        return {}
    names = {NAMES[one]: name for one, name in FILES.items()}
    names |= {log: f"{LOGS}/{log}" for log in map(posixpath.basename, record.logs)}
    try:
        bucket = bucket_of(Mirror.model_validate(where))
        if bucket is None:
            return {}
        return {said: bucket.presigned(key_of(record, name)) for said, name in names.items()}
    except OutsideError as error:
        _log.warning("the report's addresses in the bucket are not known: %s", error)
        return {}


def key_of(record: Record, name: str) -> str:
    """What a file of a rollout is called in the bucket."""
    return f"{record.namespace}/{record.name}/{record.rollout}/{name}"


def publish(record: Record) -> ReportPlace:
    """Show the report in Prefect's UI, where there is one and something to report."""
    there, base = in_bucket(record), artifacts.ui()
    page = report.publish(record, there) if record.plan is not None or record.judge else None
    own = f"{base}{page}" if page and base else ""
    return ReportPlace(page or "", own, next(iter(there.values()), own))
