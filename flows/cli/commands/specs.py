"""The commands about specs, of which none needs a cluster. What they need is imported once they
run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.commands.options import (
    ANY_NAMESPACE,
    AS_TABLE,
    NO_CHANGES,
    ChangeOptions,
    NamespaceOptions,
    OutputOptions,
    a_label,
)


def explain(
    field: Annotated[
        str, Parameter(help="Dotted, such as promotion.soak; default: the whole spec.")
    ] = "",
    /,
    *,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """What a field of the spec means: type, default, limits, and the fields below it."""
    from flows.cli.reading.explain import show_field

    return show_field(field, shown.form)


def validate(
    specs: Annotated[list[Path], Parameter(name="SPEC", help="Rollout specs, YAML files.")],
    /,
    *,
    changes: ChangeOptions = NO_CHANGES,
    shown: OutputOptions = AS_TABLE,
) -> int:
    """Check specs without a cluster, the site's policy too; 2 with every problem of each."""
    from flows.cli.reading.validated import show_problems

    return show_problems(specs, changes.sets, changes.targets, shown.form)


def init(
    name: Annotated[
        str, Parameter(help="Name of the rollout, and of its Service.", validator=a_label)
    ] = "chat",
    /,
    *,
    there: NamespaceOptions = ANY_NAMESPACE,
    model: Annotated[str, Parameter(help="ModelScope id of the model.", metavar="OWNER/NAME")] = "",
    accelerator: Annotated[
        str, Parameter(help="Accelerator profile; default: what the nodes offer.")
    ] = "",
    file: Annotated[
        Path | None, Parameter(help="Where it is written; default: NAME.yaml.", metavar="FILE")
    ] = None,
) -> int:
    """Write a commented spec for this cluster, or with placeholders where none answers.

    A file that is there is not written over.
    """
    from flows.cli.reading.starter import write

    where = (there.space, there.kubeconfig, there.context)
    return write(name, *where, model=model, accelerator=accelerator, file=file)
