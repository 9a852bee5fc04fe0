"""The commands that look and change nothing. What they need is imported once they run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli.commands.options import (
    ANY_CLUSTER,
    ANY_NAMESPACE,
    AS_TABLE,
    NO_CHANGES,
    ChangeOptions,
    ClusterOptions,
    NamespaceOptions,
    OutputOptions,
    RolloutName,
    SpecFile,
    a_label,
)

LOOK_EVERY = timedelta(seconds=30)


def plan(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    shown: OutputOptions = AS_TABLE,
    manifests: Annotated[
        bool, Parameter(help="Print the objects of the rollout, for kubectl.")
    ] = False,
    probe: Annotated[
        bool, Parameter(help="Also run the probe Jobs: weights there, card sizes.")
    ] = False,
) -> int:
    """Show what a rollout would do, and change nothing.

    The API server is asked, in a dry run, whether it would take what the rollout writes.
    """
    from flows.cli.look import show_plan
    from flows.cli.run import read

    return show_plan(
        read(spec, changes.sets, changes.targets),
        at.kubeconfig,
        at.context,
        form=shown.form,
        with_manifests=manifests,
        probe=probe,
    )


def check_nodes(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """Look at the nodes, with a probe Job on each."""
    from flows.cli.look import show_nodes
    from flows.cli.run import read

    found = read(spec, changes.sets, changes.targets)
    return show_nodes(found, at.kubeconfig, at.context, form=shown.form)


def status(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    shown: OutputOptions = AS_TABLE,
    watch: Annotated[
        bool,
        Parameter(
            help="Draw it anew, with pods and Jobs, until it is at rest; a rollout that a worker "
            "runs as well."
        ),
    ] = False,
    wait: Annotated[
        bool,
        Parameter(
            help="End when it is at rest, with 0 where it was promoted or serves well, else with "
            "the exit status of its last outcome; 1 when --timeout is over before."
        ),
    ] = False,
    timeout: Annotated[
        timedelta | None,
        Parameter(
            help="How long --watch or --wait last at most, such as 90s, 30m or 2h.",
            metavar="DURATION",
        ),
    ] = None,
) -> int:
    """Who serves, who is tested, who served before."""
    where = (name, there.space, there.kubeconfig, there.context)
    if not (watch or wait):
        from flows.cli.reading.states import show_status

        return show_status(*where, shown.form)
    from flows.cli.reading.live import follow
    from tasks.base.errors import SpecError

    if watch and shown.form != "table":
        raise SpecError(
            [f"status: --watch draws, and -o {shown.form} asks for a document; leave one out"]
        )
    seconds = timeout.total_seconds() if timeout is not None else None
    return follow(*where, draws=watch, judges=wait, timeout_s=seconds, form=shown.form)


def list_rollouts(
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    all_namespaces: Annotated[
        bool, Parameter(name=["--all-namespaces", "-A"], help="Of the whole cluster.")
    ] = False,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """Every rollout: its phase, what serves, since when, how the last one ended."""
    from flows.cli.reading.states import show_list

    space = None if all_namespaces else there.space
    return show_list(space, there.kubeconfig, there.context, shown.form)


def history(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """How the rollouts of a name ended, by the cluster's own memory."""
    from flows.cli.reading.states import show_history

    return show_history(name, there.space, there.kubeconfig, there.context, shown.form)


def report(
    name: Annotated[
        str, Parameter(help="The spec's name, for the last one, or NAME/ROLLOUT of any kind.")
    ],
    /,
    *,
    shown: OutputOptions = AS_TABLE,
    kind: Annotated[
        Literal["rollout", "verify", "bench"] | None,
        Parameter(help="The last of what `rollout run`, verify or bench left; default: rollout."),
    ] = None,
    junit: Annotated[Path | None, Parameter(help="Also write JUnit XML.", metavar="FILE")] = None,
    no_open: Annotated[bool, Parameter(help="Only say where the page is.")] = False,
    lang: Annotated[
        Literal["en", "zh"] | None, Parameter(help="Of the page; default: the locale's.")
    ] = None,
    namespace: Annotated[
        str | None,
        Parameter(
            name=["--namespace", "-n"],
            help="Of no other namespace; default: whichever the last one is of.",
            metavar="NAME",
            validator=a_label,
        ),
    ] = None,
) -> int:
    """The report of a rollout, as a page, its record or JUnit XML."""
    from flows.cli.report import show_report

    return show_report(name, shown.form, junit, not no_open, lang, kind, namespace)


def metrics(
    *,
    at: ClusterOptions = ANY_CLUSTER,
    namespace: Annotated[
        str | None,
        Parameter(
            name=["--namespace", "-n"],
            help="Default: all namespaces.",
            metavar="NAME",
            validator=a_label,
        ),
    ] = None,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0: a free one.")] = 9300,
    every: Annotated[timedelta, Parameter(help="Between looks at the cluster.")] = LOOK_EVERY,
) -> int:
    """Tell a Prometheus server of every rollout, until it is ended."""
    from flows.cli.metrics import serve

    seconds = every.total_seconds()
    serve(namespace, at.kubeconfig, at.context, host=host, port=port, every_s=seconds)
    return 0


def bench(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    url: Annotated[
        str | None,
        Parameter(help="Measure the engine at this address, and ask no cluster.", metavar="URL"),
    ] = None,
    load: Annotated[
        list[str] | None,
        Parameter(help="Only this load of the spec; may be repeated.", metavar="NAME"),
    ] = None,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """Measure what serves, and judge it by the spec's targets; it ends once others wait for it."""
    from flows.cli.reading.earned import show_bench
    from flows.cli.run import read

    return show_bench(
        read(spec, changes.sets, changes.targets),
        at.kubeconfig,
        at.context,
        url=url,
        loads=load or [],
        form=shown.form,
    )
