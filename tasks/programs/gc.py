"""The Job on a node that removes weights nobody names: `rollout job gc`.

Looks only, unless it is told to mark or to delete. Between the two the flow looks once more who
names what: one deletes only what bears the mark of the other still (tasks.outside.disk.doomed). A
folder leaves its name in one step, so a Job that is killed leaves whole folders and trash, and the
next one goes on. Speaks JSON lines on stdout: garbage, error, cleared. Exit 0, or 1 after
an error line.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tasks.base.scrub import watch
from tasks.outside.disk.store import WeightStore
from tasks.programs.telling import ended, say
from tasks.weights.garbage import garbage
from tasks.weights.manifest import safe_commit, safe_model
from tasks.weights.messages import Cleared, Garbage


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; exits 2 with a usage message when it is wrong."""
    parser = argparse.ArgumentParser(prog="rollout job gc", description=__doc__)
    parser.add_argument("--model", required=True, help="owner/name; only its folders may go")
    parser.add_argument("--store", required=True, type=Path, help="root of the store")
    parser.add_argument("--keep", action="append", default=[], metavar="COMMIT")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--mark", metavar="WORD", help="as what --delete WORD may remove")
    does.add_argument("--delete", metavar="WORD", help="remove what is marked with it still")
    args = parser.parse_args(argv)
    try:
        safe_model(args.model)
        for commit in args.keep:
            safe_commit(commit)
    except ValueError as error:
        parser.error(str(error))
    return args


def run(args: argparse.Namespace) -> None:
    """Do what the arguments ask."""
    store = WeightStore(args.store)
    there = [(item.model, item.commit) for item in store.list()]
    every = sum(model == args.model for model, _ in there)
    freed, gone, deletes = 0, 0, args.delete is not None
    for model, commit in garbage(there, args.model, args.keep):
        if args.mark is not None:
            store.doom(model, commit).mark(args.mark)
        size = store.remove(model, commit, dry_run=not deletes, word=args.delete)
        if size:
            freed, gone = freed + size, gone + 1
            say(Garbage(commit, size, deletes))
    if deletes:
        store.sweep()
    say(Cleared(freed, every - gone, deletes))


def main(argv: list[str] | None = None) -> int:
    """Entry of the Job; returns the exit status."""
    watch(os.environ)
    args = parse(argv)
    return ended(lambda: run(args), args.store)
