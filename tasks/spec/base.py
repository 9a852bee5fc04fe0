"""What every part of the spec shares."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from tasks.base.names import LABEL

DNS_LABEL = rf"^{LABEL}$"
# The most that a number of a spec may be: nothing that is computed from it (an end, a size, a field
# of 32 bits) can overflow. Every number of the spec has a bound (tests/unit/spec/test_bounds.py).
WEEK_S = 7 * 24 * 3600.0
YEAR_H = 366 * 24.0
MANY = 1_000_000  # replicas, requests, rounds
TOKENS = 1_000_000_000


class Strict(BaseModel):
    """Unknown keys are errors: a misspelt target must not be silently no target."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )
