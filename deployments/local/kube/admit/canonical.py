"""What the API server writes down of what it was given: amounts in canonical form, and nothing that
is empty where its types leave that out.

Source: Quantity's ParseQuantity and CanonicalizeBytes in k8s.io/apimachinery/pkg/api/resource, the
`omitempty` of k8s.io/api/core/v1, and what Kubernetes 1.36 answered (tests/standin/recorded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Any

from deployments.local.kube.admit import schema
from deployments.local.kube.objects.amounts import quantity

_FORM = re.compile(r"([+-]?)0*(\d*)(?:\.(\d*))?(.*)")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_POWER = {suffix: power for power, suffix in _DECIMAL.items()}
_MOST = Decimal(2**63 - 1)
_LISTS = frozenset({"limits", "requests", "overhead"})
_SINGLE = frozenset({"sizeLimit", "divisor"})
# pointers: an empty one is a value
_KEPT = frozenset(
    {"activeDeadlineSeconds", "allowPrivilegeEscalation", "automountServiceAccountToken"}
    | {"defaultMode", "enableServiceLinks", "fsGroup", "hostUsers", "mode", "optional"}
    | {"preemptionPolicy", "priority", "privileged", "procMount", "readOnlyRootFilesystem"}
    | {"runAsGroup", "runAsNonRoot", "runAsUser", "runtimeClassName", "setHostnameAsFQDN"}
    | {"shareProcessNamespace", "terminationGracePeriodSeconds", "tolerationSeconds", "service"}
    | {"expirationSeconds", "minDomains", "storageClassName", "type", "mountPropagation"}
)


def canonical(amount: Any, *, listed: bool = False) -> str:
    """An amount as it is written down. listed: in a list of resources, which holds thousandths at
    least. ValueError when it is no quantity."""
    text = str(amount)
    with localcontext() as context:
        context.prec = 80
        exact = quantity(text)
        if _as_it_came(text, listed=listed):
            return text
        if listed:
            exact = exact.quantize(Decimal("0.001"), rounding=ROUND_CEILING)
        if not exact:
            return "0"
        suffix = _suffix(text)
        if suffix in _BINARY[1:]:
            exact = min(exact, _MOST)
            if exact == exact.to_integral_value() and abs(exact) >= 1024:
                return _of_1024(int(exact))
        return _of_1000(exact, scientific=suffix not in _BINARY and suffix not in _POWER)


def _suffix(text: str) -> str:
    match = _FORM.fullmatch(text)
    return match[4] if match else ""


def _as_it_came(text: str, *, listed: bool) -> bool:
    """What the server's reader takes for canonical it does not write anew: '+8', '1.500', '01Gi'
    too."""
    match = _FORM.fullmatch(text)
    if match is None:
        return False
    whole, part, suffix = match[2] or "0", match[3] or "", match[4]
    digits = whole + part
    if suffix in _BINARY[1:]:
        long = len(whole) + int(_BINARY.index(suffix) * 10 * 3 / 10) > 14
        return not part and not long and bool(int(whole) & 7)
    scale = (_POWER[suffix] if suffix in _POWER else int(suffix[1:])) - len(part)
    plain = scale % 3 == 0 and not digits.endswith("000") and not digits.startswith("0")
    return plain and len(digits) <= 18 and scale >= (-3 if listed else -9)


def _of_1024(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY) - 1:
        value, power = value // 1024, power + 1
    return f"{value}{_BINARY[power]}"


def _of_1000(exact: Decimal, *, scientific: bool) -> str:
    sign, digits, exponent = exact.normalize().as_tuple()
    assert isinstance(exponent, int)
    number, power = int("".join(map(str, digits))), exponent - exponent % 3
    number *= 10 ** (exponent % 3)
    end = _DECIMAL.get(power) if not scientific else f"e{power}" if power else ""
    return f"{'-' if sign else ''}{number}{f'e{power}' if end is None else end}"


def _amount(value: Any, *, listed: bool = False) -> Any:
    try:
        return canonical(value, listed=listed)
    except ValueError:
        return value  # for whoever refuses it


def written_down(value: Any, model: str, field: str = "") -> Any:
    """A copy of a well-shaped value of a model class, or of a list or map of some."""
    if isinstance(value, list):
        inner = model.removeprefix("List[").removesuffix("]")
        return [written_down(item, inner) for item in value]
    if not isinstance(value, Mapping):
        return _amount(value) if field in _SINGLE else value
    if model.startswith("Dict["):
        if field in _LISTS:
            return {name: _amount(amount, listed=True) for name, amount in value.items()}
        return dict(value)
    known = schema.fields(model)
    out = {}
    for key, item in value.items():
        kind = known[key].type if key in known else "object"
        if not _left_out(key, item, kind):
            out[key] = written_down(item, kind, key)
    return out


def _left_out(key: str, item: Any, kind: str) -> bool:
    if isinstance(item, Mapping | list):
        return not item and kind.startswith(("Dict[", "List["))
    return not item and key not in _KEPT and kind in ("str", "int", "bool")
