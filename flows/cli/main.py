"""The `rollout` command.

Exit status of every command that rolls out: 0 promoted (or nothing to do), 1 error, 2 usage,
3 judged and failed, 4 inconclusive or held, 5 refused before anything was changed.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flows.cli.run import read, run_spec
from flows.cli.screen import Screen
from flows.cli.up_parser import add_service
from tasks.base.errors import Exit, RolloutError, SpecError
from tasks.base.scrub import mask, masked, watch
from tasks.release.wish import BOUND
from tasks.report.html import plain


def prefect_settings() -> None:
    """Defaults for running a flow in this process; what the user has set stays."""
    defaults = {
        # below it the run's page in the UI has no log; the terminal's part is log_to_terminal's
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        # without a configured server Prefect starts one of its own; give it time
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
        "DO_NOT_TRACK": "1",
    }
    for key, value in defaults.items():
        os.environ.setdefault(key, value)


class _Masked(logging.Filter):
    """Takes the credentials of this process out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return masked(record)


class _NotOfPrefect(logging.Filter):
    """Keeps Prefect's own log off the terminal: what it tells of a failed task, with a traceback,
    is told once by the command itself. Its server gets it all the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] != "prefect"


def log_to_terminal(*, verbose: bool = False) -> None:
    """What is logged goes to stderr; Prefect's part only where it is asked for."""
    handler = logging.StreamHandler()
    handler.addFilter(_Masked())
    if not verbose:
        handler.addFilter(_NotOfPrefect())
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])


def _spec_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="rollout spec, a YAML file")
    _change_arguments(parser)
    _cluster_arguments(parser)


def _change_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one field of the spec, such as serving.port=9000",
    )
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="METRIC=LIMIT",
        help="override one target, such as ttft_p95_ms=800",
    )


def _cluster_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", help="default: KUBECONFIG or ~/.kube/config")
    parser.add_argument("--context", help="context of the kubeconfig")


def _name_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the spec's name")
    _where_arguments(parser)


def _where_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--namespace", default="default")
    _cluster_arguments(parser)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="rollout", description=__doc__.split("\n", 1)[0])
    parser.add_argument("-v", "--verbose", action="store_true", help="show Prefect's log too")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str, handler: Callable[[argparse.Namespace], int]) -> Any:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(handler=handler)
        return sub

    run = add("run", "roll a model out on a cluster", _run)
    _spec_arguments(run)
    run.add_argument("--plan", metavar="DIGEST", help="refuse unless the plan is still this one")
    run.add_argument("--yes", action="store_true", help="do not ask before an interruption")
    run.add_argument("--access", choices=["cluster", "pod-ip", "node-port", "port-forward"])

    plan = add("plan", "show what a rollout would do, and change nothing", _plan)
    _spec_arguments(plan)
    plan.add_argument("--json", action="store_true")
    plan.add_argument("--manifests", action="store_true", help="print the objects of the rollout")
    plan.add_argument(
        "--probe", action="store_true", help="also run the probe Jobs: weights there, card sizes"
    )

    check = add("check-nodes", "look at the nodes, with a probe Job on each", _check_nodes)
    _spec_arguments(check)
    check.add_argument("--json", action="store_true")

    for name, text, handler in (
        ("status", "who serves, who is tested, who served before", _status),
        ("approve", "promote the held candidate of one rollout", _by_name("approve")),
        ("promote", "promote a held candidate, or finish a promotion", _by_name("promote")),
        ("reject", "remove a held candidate", _by_name("reject")),
        ("rollback", "go back to the previous release", _by_name("rollback")),
        ("undo", "take the last promotion back, asking where it interrupts", _by_name("undo")),
        ("recover", "settle what a dead rollout left behind", _by_name("recover")),
        ("abort", "stop a rollout, wherever it runs; it cleans up", _by_name("abort")),
    ):
        sub = add(name, text, handler)
        _name_arguments(sub)
        if name == "rollback":
            sub.add_argument(
                "--allow-interruption",
                action="store_true",
                help="scale the serving release down first, to make room",
            )
        if name in ("rollback", "undo"):
            sub.add_argument(
                "--unchecked",
                action="store_true",
                help="in an emergency: without proof that what is gone back to can start",
            )
            sub.add_argument(
                "--past-queue",
                action="store_true",
                help="in an emergency: although others wait for the seats that this frees; they "
                "may be placed first, and then neither release may find its seats",
            )
        if name == "promote":
            sub.add_argument(
                "--unwatched",
                action="store_true",
                help="keep what serves unproven without a look: nothing more is known of it then",
            )
        if name in BOUND:
            sub.add_argument("--rollout", metavar="ID", help="which one tested what is meant")
            sub.add_argument(
                "--plan", metavar="DIGEST", help="under which plan; asked at a terminal"
            )
        if name != "status":
            sub.add_argument("--yes", action="store_true", help="do not ask first")

    guard = add("guard", "settle what nobody looks after any more, every minute", _guard)
    guard.add_argument("-n", "--namespace", help="default: all namespaces")
    guard.add_argument(
        "--once",
        action="store_true",
        help="end once everything is at rest; what is busy is looked at every minute",
    )
    _cluster_arguments(guard)

    adopt = add("adopt", "take over a vLLM that somebody deployed by hand", _adopt)
    adopt.add_argument("name", metavar="NAME", help="name of the rollout, and of its Service")
    adopt.add_argument("--service", help="must be NAME: a rollout is called as its Service is")
    adopt.add_argument("--deployment", help="default: the one whose pods the Service chooses")
    adopt.add_argument(
        "--force", action="store_true", help="also what Helm, Argo CD or an owner manages"
    )
    adopt.add_argument(
        "--leaves",
        action="append",
        default=[],
        metavar="SERVICE",
        help="another Service on its pods, or a port of this one as NAME/PORT, that leads "
        "nowhere later on: agreed to by name, and remembered",
    )
    _where_arguments(adopt)

    report = add("report", "the report of a rollout, as a page, JSON or JUnit XML", _report)
    report.add_argument("name", metavar="NAME", help="the spec's name, or NAME/ROLLOUT")
    report.add_argument("--json", action="store_true", help="print the record")
    report.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    report.add_argument("--no-open", action="store_true", help="only say where the page is")

    store = add("store", "the weights on the nodes", _store_gc)
    verbs = store.add_subparsers(dest="verb", required=True, metavar="VERB")
    gc = verbs.add_parser("gc", help="weights of a spec's model that no rollout names any more")
    _spec_arguments(gc)
    gc.add_argument("--delete", action="store_true", help="remove them; default: say which")

    add_service(add)
    demo = add("demo", "a real model through every step, on an embedded cluster", _demo)
    _change_arguments(demo)
    demo.add_argument("--keep", action="store_true", help="leave everything running afterwards")
    demo.add_argument("--down", action="store_true", help="end what --keep left running")
    demo.add_argument("--new-version", action="store_true", help="publish a new commit first")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `rollout` command."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["job"]:
        return job(given[1:])
    args = build_parser().parse_args(given)
    watch(os.environ)
    log_to_terminal(verbose=args.verbose)
    prefect_settings()
    try:
        handler: Callable[[argparse.Namespace], int] = args.handler
        return handler(args)
    except RolloutError as error:
        print(f"rollout: {plain(mask(str(error)))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(
            "rollout: interrupted; what serves serves on: `rollout status NAME` shows what there "
            "is, and `rollout recover NAME` settles what a line above names",
            file=sys.stderr,
        )
        return Exit.ERROR


def job(argv: Sequence[str]) -> int:
    """`rollout job PROGRAM ...`: what the Jobs of a rollout run in a container on a node.

    Command line and output are read by flows of other versions, too: they change compatibly.
    """
    parser = argparse.ArgumentParser(prog="rollout job", description="what runs on a node")
    parser.add_argument("program", choices=["fetch", "probe", "gc", "verify"])
    program = parser.parse_args(argv[:1]).program
    if program == "fetch":
        from tasks.programs import fetch

        return fetch.main(list(argv[1:]))
    if program == "verify":
        from tasks.programs import verify

        return verify.main(list(argv[1:]))
    if program == "gc":
        from tasks.programs import gc

        return gc.main(list(argv[1:]))
    from tasks.programs import probe

    return probe.main(argv[1:])


# -- commands ---------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    spec = read(args, args.spec)
    agreed = args.yes
    if not agreed:
        from flows.cli.look import interruption
        from flows.cli.named import agree

        question = interruption(spec, args.kubeconfig, args.context)
        agree(question, interrupts=bool(question))
        agreed = bool(question)
    from flows.cli.named import ending_with_what_is_there

    with ending_with_what_is_there(spec.name, spec.namespace, args.kubeconfig, args.context):
        code, _ = run_spec(
            spec,
            Screen(),
            kubeconfig=args.kubeconfig,
            context=args.context,
            why="rollout run",
            plan=args.plan,
            may_interrupt=agreed,
        )
    return code


def _plan(args: argparse.Namespace) -> int:
    from flows.cli.look import show_plan

    return show_plan(
        read(args, args.spec),
        args.kubeconfig,
        args.context,
        as_json=args.json,
        with_manifests=args.manifests,
        probe=args.probe,
    )


def _check_nodes(args: argparse.Namespace) -> int:
    from flows.cli.look import show_nodes

    return show_nodes(read(args, args.spec), args.kubeconfig, args.context, as_json=args.json)


def _status(args: argparse.Namespace) -> int:
    from flows.cli.look import show_status

    return show_status(args.name, args.namespace, args.kubeconfig, args.context)


def _by_name(what: str) -> Callable[[argparse.Namespace], int]:
    def handler(args: argparse.Namespace) -> int:
        from flows.cli.named import by_name
        from tasks.release.wish import Meant

        meant = Meant(getattr(args, "rollout", "") or "", getattr(args, "plan", "") or "")
        return by_name(
            what,
            args.name,
            args.namespace,
            args.kubeconfig,
            args.context,
            allow_interruption=getattr(args, "allow_interruption", False),
            unchecked=getattr(args, "unchecked", False),
            past_queue=getattr(args, "past_queue", False),
            yes=getattr(args, "yes", False),
            meant=meant,
            unwatched=getattr(args, "unwatched", False),
        )

    return handler


def _adopt(args: argparse.Namespace) -> int:
    from flows.adopt import adopt
    from flows.cli.named import ending_with_what_is_there

    with ending_with_what_is_there(args.name, args.namespace, args.kubeconfig, args.context):
        sentence = adopt(
            args.name,
            args.namespace,
            service=args.service,
            deployment=args.deployment,
            force=args.force,
            leaves=args.leaves,
            kubeconfig=args.kubeconfig,
            context=args.context,
        )
        print(plain(mask(sentence)))
    return 0


def _guard(args: argparse.Namespace) -> int:
    from flows.guard import stand

    last = {}  # what failed at one look may be settled at a later one
    for item in stand(args.namespace, args.kubeconfig, args.context, once=args.once):
        print(plain(mask(str(item))), flush=True)
        last[item.key] = item.end
    return Exit.ERROR if "failed" in last.values() else Exit.DONE


def _report(args: argparse.Namespace) -> int:
    from flows.cli.report import show_report

    return show_report(args.name, args.json, args.junit, not args.no_open)


def _store_gc(args: argparse.Namespace) -> int:
    from flows.cli.store import collect, show

    spec = read(args, args.spec)
    swept = collect(spec, args.kubeconfig, args.context, delete=args.delete)
    return show(swept, spec, Screen())


def _demo(args: argparse.Namespace) -> int:
    try:
        from flows.cli.demo import demo, down
    except ImportError as error:
        raise SpecError([f"demo: needs the project's own folder ({error})"]) from error
    return down(Screen()) if args.down else demo(args, Screen())


if __name__ == "__main__":
    sys.exit(main())
