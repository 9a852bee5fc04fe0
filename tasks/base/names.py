"""What Kubernetes lets an object and a namespace be called (DNS-1123): nothing else becomes part of
the path of a request."""

from __future__ import annotations

import re

from tasks.base.errors import SpecError

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL = re.compile(LABEL)
_SUBDOMAIN = re.compile(rf"{LABEL}(\.{LABEL})*")
LABEL_MOST = 63
SUBDOMAIN_MOST = 253


def must_be_label(value: str, what: str) -> str:
    """A namespace, or the name of a rollout, as it was given. what: how it is spoken of. Raises
    SpecError."""
    if why := no_label(value):
        raise SpecError([f"{what} {value!r}: {why}"])
    return value


def no_label(value: str) -> str:
    """Why it is none; '' where it is one."""
    if len(value) <= LABEL_MOST and _LABEL.fullmatch(value):
        return ""
    return (
        f"expected at most {LABEL_MOST} lower-case letters, digits and '-', the first and the last "
        "of which are no '-'"
    )


def must_be_subdomain(value: str, what: str) -> str:
    """The name of an object, which may have dots, as it was given. Raises SpecError."""
    if len(value) > SUBDOMAIN_MOST or not _SUBDOMAIN.fullmatch(value):
        raise SpecError(
            [
                f"{what} {value!r}: expected at most {SUBDOMAIN_MOST} lower-case letters, digits, "
                "'-' and '.', each part of which begins and ends with a letter or a digit"
            ]
        )
    return value
