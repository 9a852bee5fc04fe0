"""The commands that change a cluster, or this machine. What they need is imported once they run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flows.cli.commands.options import (
    ANY_CLUSTER,
    ANY_MEANT,
    ANY_NAMESPACE,
    AS_TABLE,
    NO_CHANGES,
    ChangeOptions,
    ClusterOptions,
    MeantOptions,
    NamespaceOptions,
    OutputOptions,
    RolloutName,
    SpecFile,
    Yes,
    a_label,
)

Unchecked = Annotated[
    bool,
    Parameter(help="In an emergency: without proof that what is gone back to can start."),
]
PastQueue = Annotated[
    bool,
    Parameter(
        help="In an emergency: although others wait for the seats that this frees; they may be "
        "placed first, and then neither release may find its seats."
    ),
]


def run(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    plan: Annotated[
        str | None,
        Parameter(help="Refuse unless the plan is still this one.", metavar="DIGEST"),
    ] = None,
    yes: Annotated[bool, Parameter(help="Do not ask before an interruption.")] = False,
    access: Annotated[
        Literal["cluster", "pod-ip", "node-port", "port-forward"] | None,
        Parameter(help="How the candidate is reached; default: the spec's access.mode."),
    ] = None,
) -> int:
    """Roll a model out on a cluster."""
    from flows.cli import look, named
    from flows.cli import run as running
    from flows.cli.screen import Screen

    found = running.read(spec, changes.sets, changes.targets, access)
    agreed = yes
    if not agreed:
        question = look.interruption(found, at.kubeconfig, at.context)
        named.agree(question, interrupts=bool(question))
        agreed = bool(question)
    where = (found.name, found.namespace, at.kubeconfig, at.context)
    with named.ending_with_what_is_there(*where):
        code, _ = running.run_spec(
            found,
            Screen(),
            kubeconfig=at.kubeconfig,
            context=at.context,
            why="rollout run",
            plan=plan,
            may_interrupt=agreed,
        )
    return code


def _by_name(
    what: str,
    name: str,
    there: NamespaceOptions,
    *,
    meant: MeantOptions = ANY_MEANT,
    **how: Any,
) -> int:
    from flows.cli.named import by_name
    from tasks.release.wish import Meant

    where = (name, there.space, there.kubeconfig, there.context)
    return by_name(what, *where, meant=Meant(meant.rollout, meant.plan), **how)


def approve(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    meant: MeantOptions = ANY_MEANT,
    yes: Yes = False,
) -> int:
    """Promote the held candidate of one rollout."""
    return _by_name("approve", name, there, meant=meant, yes=yes)


def reject(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    meant: MeantOptions = ANY_MEANT,
    yes: Yes = False,
) -> int:
    """Remove a held candidate."""
    return _by_name("reject", name, there, meant=meant, yes=yes)


def promote(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    meant: MeantOptions = ANY_MEANT,
    unwatched: Annotated[
        bool,
        Parameter(
            help="Keep what serves unproven without a look: nothing more is known of it then."
        ),
    ] = False,
    yes: Yes = False,
) -> int:
    """Promote a held candidate, or finish a promotion."""
    return _by_name("promote", name, there, meant=meant, unwatched=unwatched, yes=yes)


def rollback(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    allow_interruption: Annotated[
        bool, Parameter(help="Scale the serving release down first, to make room.")
    ] = False,
    unchecked: Unchecked = False,
    past_queue: PastQueue = False,
    yes: Yes = False,
) -> int:
    """Go back to the previous release."""
    return _by_name(
        "rollback",
        name,
        there,
        allow_interruption=allow_interruption,
        unchecked=unchecked,
        past_queue=past_queue,
        yes=yes,
    )


def undo(
    name: RolloutName,
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    unchecked: Unchecked = False,
    past_queue: PastQueue = False,
    yes: Yes = False,
) -> int:
    """Take the last promotion back, asking where it interrupts."""
    return _by_name("undo", name, there, unchecked=unchecked, past_queue=past_queue, yes=yes)


def recover(
    name: RolloutName, /, *, there: NamespaceOptions = ANY_NAMESPACE, yes: Yes = False
) -> int:
    """Settle what a dead rollout left behind."""
    return _by_name("recover", name, there, yes=yes)


def abort(
    name: RolloutName, /, *, there: NamespaceOptions = ANY_NAMESPACE, yes: Yes = False
) -> int:
    """Stop a rollout, wherever it runs; it cleans up."""
    return _by_name("abort", name, there, yes=yes)


def adopt(
    name: Annotated[
        str, Parameter(help="Name of the rollout, and of its Service.", validator=a_label)
    ],
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    service: Annotated[
        str | None, Parameter(help="Must be NAME: a rollout is called as its Service is.")
    ] = None,
    deployment: Annotated[
        str | None, Parameter(help="Default: the one whose pods the Service chooses.")
    ] = None,
    force: Annotated[bool, Parameter(help="Also what Helm, Argo CD or an owner manages.")] = False,
    leaves: Annotated[
        list[str] | None,
        Parameter(
            metavar="SERVICE",
            help="Another Service on its pods, or a port of this one as NAME/PORT, that leads "
            "nowhere later on: agreed to by name, and remembered; may be repeated.",
        ),
    ] = None,
) -> int:
    """Take over a vLLM that somebody deployed by hand."""
    from flows.adopt import adopt as taken_over
    from flows.cli.named import ending_with_what_is_there
    from flows.cli.screen import say

    space = there.space
    with ending_with_what_is_there(name, space, there.kubeconfig, there.context):
        sentence = taken_over(
            name,
            space,
            service=service,
            deployment=deployment,
            force=force,
            leaves=leaves or [],
            kubeconfig=there.kubeconfig,
            context=there.context,
        )
        say(sentence)
    return 0


def verify(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """Measure what serves again, as the spec's `verify` says; a miss is announced."""
    from flows.cli.reading.earned import show_verify
    from flows.cli.run import read

    found = read(spec, changes.sets, changes.targets)
    return show_verify(found, at.kubeconfig, at.context, form=shown.form, why="rollout verify")


def guard(
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
    once: Annotated[
        bool,
        Parameter(help="End once everything is at rest; what is busy is looked at every minute."),
    ] = False,
) -> int:
    """Settle what nobody looks after any more, every minute."""
    from flows.cli.screen import say
    from flows.guard import stand
    from tasks.base.errors import Exit

    last = {}  # what failed at one look may be settled at a later one
    for item in stand(namespace, at.kubeconfig, at.context, once=once):
        say(item)
        last[item.key] = item.end
    return Exit.ERROR if "failed" in last.values() else Exit.DONE


def store_gc(
    spec: SpecFile,
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    at: ClusterOptions = ANY_CLUSTER,
    shown: OutputOptions = AS_TABLE,
    delete: Annotated[bool, Parameter(help="Remove them; default: say which.")] = False,
) -> int:
    """Weights of a spec's model that no rollout names any more."""
    from flows.cli import store
    from flows.cli.run import read

    found = read(spec, changes.sets, changes.targets)
    swept = store.collect(found, at.kubeconfig, at.context, delete=delete)
    return store.show_swept(swept, found, shown.form)


def demo(
    *,
    changes: ChangeOptions = NO_CHANGES,
    keep: Annotated[bool, Parameter(help="Leave everything running afterwards.")] = False,
    down: Annotated[bool, Parameter(help="End what --keep left running.")] = False,
    new_version: Annotated[bool, Parameter(help="Publish a new commit first.")] = False,
) -> int:
    """A real model through every step, on an embedded cluster."""
    from flows.cli.screen import Screen
    from tasks.base.errors import SpecError

    try:
        from flows.cli import demo as embedded
    except ImportError as error:
        raise SpecError([f"demo: needs the project's own folder ({error})"]) from error
    if down:
        return embedded.down(Screen())
    story = embedded.Story(changes.sets, changes.targets, new_version)
    return embedded.demo(Screen(), story, keep=keep)
