"""The Job on a node that hashes published weights again: `rollout job verify`.

It goes by what was written when they were published, and asks no hub: what serves may be of a
branch that has moved since. Speaks JSON lines on stdout: progress, done, error. Exit 0, or 1 after
an error line.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tasks.base import clock
from tasks.base.errors import StepFailed
from tasks.base.scrub import watch
from tasks.outside.disk.store import AGAIN, WeightStore
from tasks.programs.telling import ended, say, transfers
from tasks.weights.manifest import Manifest, safe_commit, safe_model
from tasks.weights.messages import Done


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits 2 with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="rollout job verify", description=__doc__)
    parser.add_argument("--model", required=True, help="owner/name")
    parser.add_argument("--commit", required=True, help="whose folder it is")
    parser.add_argument("--digest", required=True, help="of its manifest, sha256:...")
    parser.add_argument("--store", required=True, type=Path, help="root of the store")
    args = parser.parse_args(argv)
    try:
        safe_model(args.model)
        safe_commit(args.commit)
    except ValueError as error:
        parser.error(str(error))
    return args


def run(args: argparse.Namespace) -> None:
    """Do what the arguments ask; StepFailed, with every difference, where a byte is another."""
    store, started = WeightStore(args.store), clock.monotonic()
    manifest = _published(store, args)

    try:
        path = store.prove(manifest, transfers())
    except StepFailed as error:  # an engine may serve from it: whoever asked knows what to do
        raise StepFailed(str(error).removesuffix(AGAIN)) from error
    if path is None:
        raise _missing(store, args)
    say(
        Done(
            path=str(path),
            commit=manifest.commit,
            digest=manifest.digest,
            seconds=round(clock.monotonic() - started, 3),
            unhashed=tuple(entry.path for entry in manifest.files if entry.sha256 is None),
            bytes_rehashed=manifest.total_bytes,
        )
    )


def _published(store: WeightStore, args: argparse.Namespace) -> Manifest:
    found = store.record(args.model, args.commit)
    if found is None:
        raise _missing(store, args)
    where = store.path(args.model, args.commit)
    try:
        manifest = Manifest.from_dict(found.get("manifest") or {})
    except ValueError as error:
        raise StepFailed(f"{where} does not say what it holds ({error})") from error
    if manifest.digest != args.digest:
        raise StepFailed(f"{where} holds {manifest.short_digest}, expected {args.digest[:19]}")
    return manifest


def _missing(store: WeightStore, args: argparse.Namespace) -> StepFailed:
    return StepFailed(f"{store.path(args.model, args.commit)} is not there")


def main(argv: list[str] | None = None) -> int:
    """Entry of the Job; returns the exit status."""
    watch(os.environ)
    args = parse(argv)
    return ended(lambda: run(args), args.store)
