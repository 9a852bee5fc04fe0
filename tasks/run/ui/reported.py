"""Where a browser finds a rollout's report, on whatever machine it runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from tasks.base.errors import OutsideError
from tasks.outside.prefect import artifacts, report
from tasks.outside.s3.mirror import BucketMirror
from tasks.record.record import Record
from tasks.report.page import FILE as PAGE
from tasks.spec.places import Mirror

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReportPlace:
    """Where a report is. page: its path below the address of Prefect's UI; address: for a browser
    anywhere, in the bucket, else in the UI. Each is '' where it is on the disk of whoever ran the
    rollout alone."""

    page: str = ""
    address: str = ""


def bucket_of(where: Mirror | None) -> BucketMirror | None:
    """The bucket that a spec keeps its records in; None where it names none."""
    if where is None:
        return None
    return BucketMirror(where.bucket, where.prefix, where.endpoint, where.region)


def in_bucket(record: Record) -> str | None:
    """An address of the page in the bucket, which needs no login for a week at most; None where it
    is not there. Whoever has it may read the page."""
    where = record.spec.get("records")
    if not record.mirror or record.mirror_error or not isinstance(where, dict):
        return None
    try:
        bucket = bucket_of(Mirror.model_validate(where))
        return bucket.presigned(key_of(record, PAGE)) if bucket else None
    except OutsideError as error:
        _log.warning("the report's address in the bucket is not known: %s", error)
        return None


def key_of(record: Record, name: str) -> str:
    """What a file of a rollout is called in the bucket."""
    return f"{record.namespace}/{record.name}/{record.rollout}/{name}"


def publish(record: Record) -> ReportPlace:
    """Show the report in Prefect's UI, where there is one and something to report."""
    there, base = in_bucket(record), artifacts.ui()
    page = report.publish(record, there) if record.plan is not None else None
    return ReportPlace(page or "", there or (f"{base}{page}" if page and base else ""))
