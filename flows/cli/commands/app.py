"""The command line: which commands there are, in which groups, and what is said to a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    ValidationError,
)
from cyclopts.exceptions import UnusedCliTokensError

from flows.cli.commands import act, look, service, specs
from flows.cli.commands.chinese import said
from tasks.base.errors import SpecError
from tasks.report.words.speech import PageLanguage

if TYPE_CHECKING:
    from cyclopts.help import DefaultFormatter

BEFORE = Group("Before any command", sort_key=0)
READS = Group("Look, and change nothing", sort_key=1)
WRITES = Group("Write and check a spec", sort_key=2)
ROLLS = Group("Roll out", sort_key=3)
DECIDES = Group("Decide about a rollout", sort_key=4)
KEEPS = Group("Keep in order", sort_key=5)
ABOUT = Group("About this command", sort_key=6)
NEGATED: tuple[str, ...] = ()  # no option has a --no-... of its own making
TAKEN = Parameter(negative=NEGATED, show_default=False)
STATUS = (
    "Exit status: 0 promoted (or nothing to do), 1 error, 2 usage, 3 judged and failed, "
    "4 inconclusive or held, 5 refused before anything was changed, 130 "
    "interrupted (143 by SIGTERM, 129 by a closed terminal)."
)
COMPLETES = (
    "Install this shell's completion: its script and, but for fish, a line in ~/.bashrc, ~/.zshrc "
    "or PowerShell's profile."
)
GROUPS: dict[Group, dict[str, Callable[..., int]]] = {
    READS: {
        "list": look.list_rollouts,
        "status": look.status,
        "history": look.history,
        "report": look.report,
        "plan": look.plan,
        "check-nodes": look.check_nodes,
        "bench": look.bench,
        "metrics": look.metrics,
    },
    WRITES: {"init": specs.init, "explain": specs.explain, "validate": specs.validate},
    ROLLS: {"run": act.run, "adopt": act.adopt, "demo": act.demo},
    DECIDES: {
        "approve": act.approve,
        "promote": act.promote,
        "reject": act.reject,
        "abort": act.abort,
        "rollback": act.rollback,
        "undo": act.undo,
    },
    KEEPS: {
        "up": service.up,
        "down": service.down,
        "notify": service.notify,
        "recover": act.recover,
        "verify": act.verify,
        "guard": act.guard,
    },
}


def version() -> str:
    """This release, for a person."""
    from tasks.outside.disk.pages import versions

    return f"model-rollout {versions().get('model-rollout', 'not installed')}"


def build(
    prog: str = "rollout",
    begin: Callable[[bool], None] = lambda verbose: None,
    speech: PageLanguage = "en",
) -> App:
    """The command called `prog`. begin: called before a command, with whether Prefect's log is
    asked for. speech: what its help speaks.

    It gives a command's exit status; None where help or version was shown. Raises CycloptsError for
    what it does not understand, SpecError where a command is missing.
    """

    app = App(
        name=prog,
        help="Roll a new model out on Kubernetes, and let it serve only if it earned it.",
        help_format="plaintext",
        help_formatter=_formatter(speech),
        help_epilogue=said(STATUS) if speech == "zh" else STATUS,
        version=version,
        group_commands=ABOUT,
        default_parameter=TAKEN,
        exit_on_error=False,
        print_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    app.meta.suppress_keyboard_interrupt = False
    app.meta.group_parameters = BEFORE
    for group, commands in GROUPS.items():
        for name, does in commands.items():
            # one without a name of its own is called as this process is
            app.command(App(name=name, default_command=does, group=group))
    # what it has it says itself: its page of the documentation is made without what is above it
    weights = "The weights on the nodes."
    store = App(
        name="store", help=weights, group=KEEPS, group_commands=KEEPS, default_parameter=TAKEN
    )
    store.command(App(name="gc", default_command=act.store_gc))
    app.command(store)
    app.register_install_completion_command(help=COMPLETES, usage="")

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        verbose: Annotated[
            bool, Parameter(name=["--verbose", "-v"], help="Show Prefect's log too.")
        ] = False,
    ) -> int | None:
        _, apps, rest = app.parse_commands(tokens)
        if apps[-1].default_command is None and not rest:
            chain = " ".join([prog, *(one.name[0] for one in apps[1:])])
            known = ", ".join(sorted(name for name in apps[-1] if not name.startswith("-")))
            raise SpecError([f"a command is missing, one of {known}: `{chain} --help`"])
        begin(verbose)
        status: int | None = app(tokens)
        return status

    return app


def _formatter(speech: PageLanguage) -> DefaultFormatter | None:
    """What draws the help; None: as cyclopts does. Imported where it is needed: a shell's
    completion reads this module, and is to be quick."""
    if speech == "en":
        return None
    from flows.cli.commands.translated import Translated

    return Translated()


def sentence(error: CycloptsError, prog: str) -> str:
    """What was wrong with a command line, and what to do."""
    chain = " ".join([prog, *(error.command_chain or ())])
    said = str(error)
    if isinstance(error, UnusedCliTokensError):
        more = " ".join(error.unused_tokens or ())
        said = f"'{more}' is more than it takes."
    elif isinstance(error, CoercionError) and error.target_type is timedelta and error.token:
        said = f"'{error.token.value}' is no duration; give one such as 90s, 30m or 2h."
    elif isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.argument.name
        said = f"{name} is missing." if not name.startswith("-") else f"{name} needs a value."
    elif isinstance(error, ValidationError):
        said = f"{said};"
    return f"{said} `{chain} --help` says what it takes"
