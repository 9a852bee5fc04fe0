"""What goes wrong with the stand-in itself."""

from __future__ import annotations


class StandInError(RuntimeError):
    """A part of the stand-in cannot be built or started; the message says what to do."""
