"""Amounts of resources as the API server and the scheduler read them.

Written apart from what the product reads amounts with, so that a mistake there shows here.
Source: the canonical form in k8s.io/apimachinery/pkg/api/resource, and the resources of sidecars
in KEP-753.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from itertools import takewhile
from typing import Any

Amounts = dict[str, Decimal]
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DIGITS = frozenset("0123456789.")


def quantity(text: str) -> Decimal:
    """An amount in base units, rounded up to a billionth, which is the least there is.

    ValueError when it is no quantity.
    """
    body = str(text).strip()
    number = body[1:] if body[:1] in ("+", "-") else body
    digits = "".join(takewhile(_DIGITS.__contains__, number))
    suffix = number.removeprefix(digits)
    try:
        amount = Decimal(digits)
        if suffix in _BINARY:
            amount *= 1 << _BINARY[suffix]
        elif suffix in _DECIMAL:
            amount = amount.scaleb(_DECIMAL[suffix])
        elif suffix[:1] in ("e", "E"):
            amount = amount.scaleb(int(suffix[1:]))
        elif suffix:
            raise ValueError(suffix)
    except (InvalidOperation, ValueError) as error:
        raise ValueError(f"{text!r} is no quantity") from error
    signed = -amount if body[:1] == "-" else amount
    return signed.quantize(Decimal("1e-9"), rounding=ROUND_CEILING)


def quantities(found: Mapping[str, Any] | None) -> Amounts:
    """A resource list, such as a node's allocatable."""
    return {name: quantity(str(amount)) for name, amount in (found or {}).items()}


def summed(left: Mapping[str, Decimal], right: Mapping[str, Decimal]) -> Amounts:
    """Both together."""
    out = dict(left)
    for name, amount in right.items():
        out[name] = out.get(name, Decimal()) + amount
    return out


def pod_requests(spec: Mapping[str, Any]) -> Amounts:
    """What a pod holds on its node from its first container to its last."""
    starting: Sequence[Mapping[str, Any]] = spec.get("initContainers") or []
    running: Sequence[Mapping[str, Any]] = spec.get("containers") or []
    whole = _asked(spec)
    names = {name for item in (*starting, *running) for name in _asked(item)}
    out: Amounts = {}
    for name in names | set(whole):
        beside = most = Decimal()  # sidecars so far; the largest moment of the start
        for item in starting:
            amount = _asked(item).get(name, Decimal())
            if item.get("restartPolicy") == "Always":
                beside += amount
                most = max(most, beside)
            else:
                most = max(most, beside + amount)
        together = beside + sum((_asked(item).get(name, Decimal()) for item in running), Decimal())
        out[name] = whole.get(name, max(together, most))
    return summed(out, quantities(spec.get("overhead")))


def _asked(holder: Mapping[str, Any]) -> Amounts:
    """Requests; where only a limit stands, it is the request."""
    resources = holder.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return quantities(asked)
