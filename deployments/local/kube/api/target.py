"""What a request is about: its resource, names and options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.local.kube.objects.kinds import BY_PLURAL, Kind
from deployments.local.kube.objects.status import StatusError


@dataclass(frozen=True)
class Target:
    """A collection (name '') or an object, and its subresource; ns '' is all or cluster scope."""

    kind: Kind
    ns: str = ""
    name: str = ""
    sub: str = ""

    @property
    def plural(self) -> str:
        """Plural name of the resource."""
        return self.kind.plural

    @property
    def label(self) -> str:
        """The resource as messages write it: deployments.apps."""
        return f"{self.kind.plural}.{self.kind.group}" if self.kind.group else self.kind.plural


def parse_path(path: str) -> Target | None:
    """The target of a URL path below /api or /apis; None where nothing is served."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"]:
        group, version, rest = "", parts[1:2], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 2:
        group, version, rest = parts[1], parts[2:3], parts[3:]
    else:
        return None
    ns = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        ns, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:
        return None
    kind = BY_PLURAL.get(rest[0])
    if kind is None or kind.group != group or [kind.version] != version:
        return None
    name, sub = (rest[1] if len(rest) > 1 else ""), (rest[2] if len(rest) > 2 else "")
    fits_scope = not ns or kind.namespaced
    named_in_full = not name or bool(ns) == kind.namespaced
    if not fits_scope or not named_in_full or (sub and sub not in kind.subresources):
        return None
    return Target(kind, ns, name, sub)


@dataclass(frozen=True)
class Options:
    """Options of a write. validation: Strict, Warn or Ignore unknown fields."""

    manager: str
    dry_run: bool = False
    force: bool = False
    validation: str = "Strict"


def parse_options(query: Mapping[str, str], user_agent: str, validation: str = "Strict") -> Options:
    """Read a write's query; StatusError 400 for values that are none. validation: what holds where
    it says nothing of unknown fields."""
    dry = query.get("dryRun", "")
    if dry not in ("", "All"):
        raise StatusError(400, "BadRequest", f"dryRun: Unsupported value: {dry!r}: may be 'All'")
    validation = query.get("fieldValidation") or validation
    if validation not in ("Strict", "Warn", "Ignore"):
        raise StatusError(
            400, "BadRequest", f"fieldValidation: {validation!r} is not Strict, Warn or Ignore"
        )
    manager = query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
    return Options(manager[:128], dry == "All", query.get("force") in ("true", "1"), validation)
