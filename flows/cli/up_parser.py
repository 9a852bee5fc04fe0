"""The command line of `rollout up` and `rollout down`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from flows.cli.screen import Screen

Add = Callable[[str, str, Callable[[argparse.Namespace], int]], Any]


def add_service(add: Add) -> None:
    """Both commands, with their options."""
    up = add("up", "a Prefect server, a worker and deployments for a folder of specs", _up)
    up.add_argument(
        "--specs", action="append", default=[], metavar="PATH", help="a folder of specs, or a spec"
    )
    up.add_argument("--state", metavar="FOLDER", help="default: ~/.model-rollout/service")
    up.add_argument("--port", type=int, help="of the server, on this machine; default: 4200")
    up.add_argument("--limit", type=int, metavar="N", help="rollouts at once; at first: 4")
    up.add_argument("--pool", default="model-rollout", help="the work pool")
    up.add_argument(
        "--database-file",
        metavar="FILE",
        help="holds the address of a PostgreSQL database; or set "
        "PREFECT_SERVER_DATABASE_CONNECTION_URL; default: SQLite in the state folder",
    )
    up.add_argument("--foreground", action="store_true", help="stay, and end both when ended")
    up.add_argument(
        "--apply", action="store_true", help="to the server of PREFECT_API_URL; start nothing"
    )
    up.add_argument("--print", action="store_true", help="print prefect.yaml, and do nothing")
    up.add_argument("--demo", action="store_true", help="on an embedded cluster, hub and model")
    up.add_argument(
        "--new-version", action="store_true", help="publish a new commit on the demo's hub"
    )

    down = add("down", "end what `rollout up` started", _down)
    down.add_argument("--state", metavar="FOLDER", help="default: ~/.model-rollout/service")
    down.add_argument("--demo", action="store_true", help="the demo, and its cluster and hub")
    down.add_argument("--yes", action="store_true", help="do not ask first")


def _up(args: argparse.Namespace) -> int:
    from flows.cli.up import up

    return up(
        args.specs,
        Screen(),
        state=args.state,
        port=args.port,
        limit=args.limit,
        pool=args.pool,
        database_file=args.database_file,
        foreground=args.foreground,
        apply_only=args.apply,
        printing=args.print,
        demo=args.demo,
        new_version=args.new_version,
    )


def _down(args: argparse.Namespace) -> int:
    from flows.cli.up import down

    return down(Screen(), state=args.state, demo=args.demo, yes=args.yes)
