"""The fetch Job on a node: `rollout job fetch`.

Resolves the revision again, refuses when it is no longer what the rollout planned, then fetches,
verifies and publishes. Speaks JSON lines on stdout, which the flow reads from the pod's log:
progress, message, verified, done, error. Exit 0, or 1 after an error line.
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tasks.base.errors import Exit, OutsideError, Refused, RolloutError
from tasks.base.scrub import watch
from tasks.outside.disk.store import Fetched, WeightStore
from tasks.outside.modelscope.hub import Hub, Limits
from tasks.programs.telling import say, transfers
from tasks.weights.disk import KeepFree
from tasks.weights.manifest import Manifest, safe_commit, safe_model
from tasks.weights.messages import Done, Failed, Said, Verified


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits 2 with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="rollout job fetch", description=__doc__)
    parser.add_argument("--model", required=True, help="owner/name")
    parser.add_argument("--revision", required=True, help="branch, tag or commit")
    parser.add_argument("--commit", required=True, help="what the rollout resolved it to")
    parser.add_argument("--digest", required=True, help="the manifest's digest, sha256:...")
    parser.add_argument("--store", required=True, type=Path, help="root of the store")
    parser.add_argument("--endpoint", help="hub address; default MODELSCOPE_ENDPOINT")
    parser.add_argument("--exclude", nargs="*", action="extend", default=[], metavar="GLOB")
    parser.add_argument("--keep-free-gib", type=float, default=5.0)
    parser.add_argument(
        "--eviction-percent",
        type=float,
        default=15.0,
        help="free space below which the node's kubelet evicts pods; 0: it looks elsewhere",
    )
    parser.add_argument("--parallel", type=int, default=4, help="files at once")
    parser.add_argument("--idle-timeout-s", type=float, default=Limits.idle_s)
    parser.add_argument(
        "--verify", action="store_true", help="hash a published folder again in any case"
    )
    args = parser.parse_args(argv)
    try:
        safe_model(args.model)
        safe_commit(args.commit)
    except ValueError as error:
        parser.error(str(error))
    return args


def run(args: argparse.Namespace) -> None:
    """Do what the arguments ask; raises RolloutError, with `kind` for the error line."""
    hub = Hub.from_env(args.endpoint, Limits(idle_s=args.idle_timeout_s))
    store = WeightStore(args.store)
    manifest = _planned(hub, args)
    try:
        done = _fetch(store, hub, manifest, args)
    except OutsideError:
        _planned(hub, args)  # wrong bytes because the branch moved? then say that
        raise
    say(
        Done(
            path=str(done.path),
            commit=done.commit,
            digest=done.digest,
            bytes_fetched=done.bytes_fetched,
            seconds=round(done.seconds, 3),
            unhashed=tuple(done.unhashed),
            bytes_rehashed=done.bytes_rehashed,
        )
    )


def _planned(hub: Hub, args: argparse.Namespace) -> Manifest:
    """The manifest as it is now; Refused when it is not the planned one."""
    manifest = hub.resolve(args.model, args.revision, args.exclude)
    if manifest.digest != args.digest:
        raise _Moved(
            f"{args.model} at {args.revision!r} has moved: the rollout planned commit "
            f"{args.commit} ({args.digest[:19]}), the hub now gives {manifest.commit} "
            f"({manifest.short_digest}); start the rollout again, or name a tag or commit"
        )
    return replace(manifest, commit=args.commit)


class _Moved(Refused):
    """The branch moved between plan and fetch."""


def _fetch(store: WeightStore, hub: Hub, manifest: Manifest, args: argparse.Namespace) -> Fetched:
    return store.fetch(
        manifest,
        hub,
        keep_free=KeepFree(args.keep_free_gib, args.eviction_percent),
        parallel=args.parallel,
        on_update=transfers(),
        on_verified=lambda path: say(Verified(path)),
        on_wait=lambda text: say(Said(text)),
        rehash=args.verify,
    )


def kind_of(error: RolloutError) -> str:
    """moved, disk (too small), outside (hub or disk failed) or damaged (what is published)."""
    if isinstance(error, _Moved):
        return "moved"
    if isinstance(error, Refused):
        return "disk"
    return "outside" if isinstance(error, OutsideError) else "damaged"


def _stop(number: int, _frame: FrameType | None) -> None:
    """End at once. As process 1 of a container nothing would end us by default, and the staging
    folder can be gone on with from any state."""
    os._exit(128 + number)


def main(argv: list[str] | None = None) -> int:
    """Entry of the Job; returns the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    watch(os.environ)
    try:
        run(parse(argv))
    except RolloutError as error:
        say(Failed(kind_of(error), str(error)))
        return Exit.ERROR
    return 0
