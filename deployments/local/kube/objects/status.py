"""Errors as the Kubernetes API says them."""

from __future__ import annotations

from typing import Any


class StatusError(Exception):
    """A metav1.Status failure with its HTTP code."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def body(self) -> dict[str, Any]:
        """The Status object."""
        out: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            out["details"] = self.details
        return out


def not_found(plural: str, name: str) -> StatusError:
    """404."""
    return StatusError(
        404, "NotFound", f'{plural} "{name}" not found', {"name": name, "kind": plural}
    )


def already_exists(plural: str, name: str) -> StatusError:
    """409 on create."""
    return StatusError(
        409, "AlreadyExists", f'{plural} "{name}" already exists', {"name": name, "kind": plural}
    )


def conflict(plural: str, name: str) -> StatusError:
    """409 on a stale resourceVersion."""
    return StatusError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {plural} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again",
        {"name": name, "kind": plural},
    )


def invalid(plural: str, name: str, message: str) -> StatusError:
    """422."""
    return StatusError(
        422, "Invalid", f'{plural} "{name}" is invalid: {message}', {"name": name, "kind": plural}
    )


def gone(message: str = "too old resource version") -> StatusError:
    """410, reason Expired."""
    return StatusError(410, "Expired", message)
