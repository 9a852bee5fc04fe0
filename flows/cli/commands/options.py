"""What several commands take, said once. Nothing heavy is imported here, nor in the commands beside
it: `rollout --help` and a shell's completion read these modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from cyclopts import Parameter

from tasks.base.names import no_label

Format = Literal["table", "json", "yaml"]


def a_label(_: object, value: str | None) -> None:
    """Raises ValueError for what no rollout and no namespace is called."""
    if value is not None and (why := no_label(value)):
        raise ValueError(why)


SpecFile = Annotated[str, Parameter(help="Rollout spec, a YAML file.")]
RolloutName = Annotated[str, Parameter(help="The spec's name.", validator=a_label)]
Yes = Annotated[bool, Parameter(help="Do not ask first.")]


@Parameter(name="*")
@dataclass(frozen=True)
class ClusterOptions:
    """Which cluster."""

    kubeconfig: Annotated[
        str | None, Parameter(help="Default: KUBECONFIG or ~/.kube/config.", metavar="FILE")
    ] = None
    context: Annotated[
        str | None,
        Parameter(help="Context of the kubeconfig; default: the current one.", metavar="NAME"),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class NamespaceOptions(ClusterOptions):
    """Which namespace of which cluster."""

    namespace: Annotated[
        str | None,
        Parameter(
            name=["--namespace", "-n"],
            help="Default: the context's, and `default` where it has none.",
            metavar="NAME",
            validator=a_label,
        ),
    ] = None

    @property
    def space(self) -> str:
        """The namespace that is meant."""
        from tasks.outside.kubernetes.client import namespace_of

        return self.namespace or namespace_of(self.kubeconfig, self.context)


@Parameter(name="*")
@dataclass(frozen=True)
class ChangeOptions:
    """What of the spec file is overridden."""

    sets: Annotated[
        list[str],
        Parameter(
            name="--set",
            metavar="KEY=VALUE",
            help="Override one field of the spec, such as serving.port=9000; may be repeated.",
        ),
    ] = field(default_factory=list)
    targets: Annotated[
        list[str],
        Parameter(
            name="--target",
            metavar="METRIC=LIMIT",
            help="Override one target, such as ttft_p95_ms=800; may be repeated.",
        ),
    ] = field(default_factory=list)


@Parameter(name="*")
@dataclass(frozen=True)
class OutputOptions:
    """How what was read is shown."""

    output: Annotated[
        Format,
        Parameter(
            name=["--output", "-o"],
            help="How it is shown; json and yaml carry a `schema`, which grows compatibly. "
            "Default: table.",
        ),
    ] = "table"
    json: Annotated[bool, Parameter(help="The same as -o json.")] = False

    @property
    def form(self) -> Format:
        """What is asked for."""
        return "json" if self.json else self.output


@Parameter(name="*")
@dataclass(frozen=True)
class MeantOptions:
    """Which held candidate is meant."""

    rollout: Annotated[
        str, Parameter(help="Id of the rollout that tested what is meant.", metavar="ID")
    ] = ""
    plan: Annotated[
        str, Parameter(help="Under which plan; asked at a terminal.", metavar="DIGEST")
    ] = ""


ANY_CLUSTER = ClusterOptions()
ANY_NAMESPACE = NamespaceOptions()
NO_CHANGES = ChangeOptions()
AS_TABLE = OutputOptions()
ANY_MEANT = MeantOptions()
