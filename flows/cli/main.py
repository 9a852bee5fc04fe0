"""The `rollout` command.

Exit status of every command that rolls out: 0 promoted (or nothing to do), 1 error, 2 usage,
3 judged and failed, 4 inconclusive or held, 5 refused before anything was changed, 130 interrupted
(128 and the signal's number), 141 nobody read on.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cyclopts import CycloptsError

from flows.cli.commands.app import GROUPS, READS, WRITES, build, sentence
from tasks.base.errors import Exit, RolloutError
from tasks.base.loopback import straight
from tasks.base.scrub import masked, watch
from tasks.outside.terminal import process
from tasks.report.words.speech import language_of

# what it warns of, a person at a terminal is to hear: that an API server is waited for
HEARD = "tasks.outside.kubernetes.rest"
PLUGIN = "kubectl-"  # how kubectl finds what it calls `kubectl NAME`


def prefect_settings() -> None:
    """Defaults for running a flow in this process; what the user has set stays. A server on this
    machine is asked through no proxy."""
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
    os.environ.update(straight(os.environ))


class _Masked(logging.Filter):
    """Takes the credentials of this process out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        return masked(record)


class _NotOfPrefect(logging.Filter):
    """Keeps Prefect's own log off the terminal: what it tells of a failed task, with a traceback,
    is told once by the command itself. Its server gets it all the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] != "prefect"


class _Told(logging.Formatter):
    """What is for the person who waits is a sentence of this command."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"rollout: {record.getMessage()}" if record.name == HEARD else text


def log_to_terminal(*, verbose: bool = False) -> None:
    """What is logged goes to stderr; Prefect's part only where it is asked for."""
    handler = logging.StreamHandler()
    handler.addFilter(_Masked())
    handler.setFormatter(_Told(logging.BASIC_FORMAT))
    if not verbose:
        handler.addFilter(_NotOfPrefect())
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
    if not verbose:
        logging.getLogger(HEARD).setLevel(logging.WARNING)


def called(program: str) -> str:
    """What a person types for this program: of a plugin, kubectl and the plugin's name."""
    name = Path(program).name
    if name.startswith(PLUGIN):
        return f"kubectl {name.removeprefix(PLUGIN).replace('_', '-')}"
    return "rollout"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `rollout` command."""
    given = list(sys.argv[1:] if argv is None else argv)
    if given[:1] == ["job"]:
        return job(given[1:])
    if argv is None:  # a process of its own
        process.begin(acts=acts(given))
    return _obeyed(given)


def acts(given: Sequence[str]) -> bool:
    """Whether a command line asks for more than to be told something: it has what is to be ended in
    order, whoever listens."""
    word = next((word for word in given if not word.startswith("-")), "")
    return word == "bench" or word not in ("", *GROUPS[READS], *GROUPS[WRITES])


def _obeyed(given: list[str]) -> int:
    prog = called(sys.argv[0])
    try:
        status: int | None = build(prog, _begin, language_of(os.environ)).meta(given)
        sys.stdout.flush()
        return _unless_lost(status or Exit.DONE)
    except CycloptsError as error:
        _tell(sentence(error, prog))
        return Exit.USAGE
    except RolloutError as error:
        _tell(str(error))
        return error.exit_code
    except (OSError, SystemExit):  # rich makes an end of its own of a broken pipe
        if process.lost() is None:
            raise
        return _unless_lost(Exit.ERROR)
    except KeyboardInterrupt:
        _tell(
            "interrupted; what serves serves on: `rollout status NAME` shows what there is, and "
            "`rollout recover NAME` settles what a line above names"
        )
        return process.interrupted()


def _unless_lost(status: int) -> int:
    """The exit status, where what was to be printed was taken."""
    error = process.lost()
    if error is None:
        return status
    if process.unread(error):
        return process.UNREAD
    _tell(f"what was to be printed was not taken ({error.strerror}); print it elsewhere")
    return Exit.ERROR


def _begin(verbose: bool) -> None:
    watch(os.environ)
    log_to_terminal(verbose=verbose)
    prefect_settings()


def _tell(text: str) -> None:
    from flows.cli.screen import say

    with suppress(OSError):  # nobody hears it; the exit status says it too
        say(f"rollout: {text}", file=sys.stderr)


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


if __name__ == "__main__":
    sys.exit(main())
