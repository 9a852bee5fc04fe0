"""The commands that run this as a service. What they need is imported once they run."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from flows.cli.commands.options import Yes

ServiceFolder = Annotated[
    str | None,
    Parameter(
        help="Folder of server and worker; default: ~/.model-rollout/service.", metavar="FOLDER"
    ),
]


def up(
    *,
    specs: Annotated[
        tuple[str, ...], Parameter(help="A folder of specs, or a spec.", metavar="PATH")
    ] = (),
    state: ServiceFolder = None,
    port: Annotated[
        int | None, Parameter(help="Of the server, on this machine; at first: 4200.")
    ] = None,
    limit: Annotated[
        int | None, Parameter(help="Rollouts at once; at first: 4.", metavar="N")
    ] = None,
    pool: Annotated[
        str | None, Parameter(help="The work pool; at first: model-rollout.", metavar="NAME")
    ] = None,
    database_file: Annotated[
        str | None,
        Parameter(
            help="Holds the address of a PostgreSQL database; or set "
            "PREFECT_SERVER_DATABASE_CONNECTION_URL; at first: SQLite in the state folder.",
            metavar="FILE",
        ),
    ] = None,
    notify_file: Annotated[
        str | None,
        Parameter(
            help="Holds who is told of rollouts, an address a line (mode 600); or set "
            "MODEL_ROLLOUT_NOTIFY; default: whom the server knows.",
            metavar="FILE",
        ),
    ] = None,
    foreground: Annotated[
        bool, Parameter(help="Stay with what is started, and end it when ended.")
    ] = False,
    apply: Annotated[
        bool, Parameter(help="To the server of PREFECT_API_URL; start nothing.")
    ] = False,
    printing: Annotated[
        bool, Parameter(name="--print", help="Print prefect.yaml, and do nothing.")
    ] = False,
    demo: Annotated[bool, Parameter(help="On an embedded cluster, hub and model.")] = False,
    new_version: Annotated[bool, Parameter(help="Publish a new commit on the demo's hub.")] = False,
) -> int:
    """Run a Prefect server and a worker, with deployments for a folder of specs."""
    from flows.cli.screen import Screen
    from flows.cli.up import up as begin

    return begin(
        specs,
        Screen(),
        state=state,
        port=port,
        limit=limit,
        pool=pool,
        database_file=database_file,
        notify_file=notify_file,
        foreground=foreground,
        apply_only=apply,
        printing=printing,
        demo=demo,
        new_version=new_version,
    )


def down(
    *,
    state: ServiceFolder = None,
    demo: Annotated[bool, Parameter(help="The demo, and its cluster and hub.")] = False,
    yes: Yes = False,
) -> int:
    """End what `rollout up` started."""
    from flows.cli.screen import Screen
    from flows.cli.service.down import down as end

    return end(Screen(), state=state, demo=demo, yes=yes)


def notify(*, state: ServiceFolder = None) -> int:
    """Send a test to everybody whom the Prefect server tells of rollouts."""
    from flows.cli.notify import try_all
    from flows.cli.screen import Screen

    return try_all(Screen(), state=state)
