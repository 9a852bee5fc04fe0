"""Whether what the API server has is what was sent to it: by what it means, never by its text.

On its way in it writes amounts in their canonical form, leaves out what is empty and fills in
defaults; whoever it asks adds fields of their own. What was sent has to be in what it has, at every
depth; what was not sent does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from tasks.nodes.facts import quantity
from tasks.objects.merge import MERGE_KEYS

# maps of amounts, and fields that are one
_AMOUNTS = frozenset({"limits", "requests", "overhead"})
_AMOUNT = frozenset({"sizeLimit", "divisor"})
# maps whose keys are no fields: each counts, an empty value too
_FREE = frozenset({"labels", "annotations", "matchLabels", "nodeSelector"})
# fields that were not given where they are empty: the default takes their place
_FILLED = frozenset(
    {"periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold", "imagePullPolicy"}
    | {"terminationMessagePath", "terminationMessagePolicy", "protocol", "path", "scheme"}
    | {"restartPolicy", "dnsPolicy", "schedulerName", "serviceAccountName", "apiVersion"}
)
# as a Quantity holds them in a resource list: no finer than this, no more than that
_FINEST, _MOST = Decimal("0.001"), Decimal(2**63 - 1)


def kept(sent: Any, found: Any, field: str = "") -> bool:
    """Whether `found`, as the API server has it, is `sent`. field: the name of the field of a
    PodSpec that they are the value of, such as 'env' or 'limits'. None: not there."""
    if field in _AMOUNT and sent is not None and found is not None:
        return same_amount(sent, found)
    if isinstance(sent, Mapping):
        return _map_kept(sent, found, field)
    if isinstance(sent, Sequence) and not isinstance(sent, str):
        return _list_kept(sent, found, field)
    if not sent and (found is None or sent is None):
        return True  # what is empty is left out
    unset = not sent and field in _FILLED
    return unset or (type(sent) is type(found) and bool(sent == found))


def same_amount(sent: Any, found: Any) -> bool:
    """Whether two amounts of a resource are the same one. One that cannot be read here says
    nothing: the API server took it."""
    if sent is None or found is None:
        return sent is found
    try:
        return _held(sent) == _held(found)
    except ValueError:
        return True


def by_name(items: Sequence[Mapping[str, Any]] | None) -> dict[str, Mapping[str, Any]]:
    """The variables of an environment; of two with one name the last one counts, as in a pod."""
    return {str(item.get("name")): item for item in items or ()}


def _held(amount: Any) -> Decimal:
    exact = min(quantity(str(amount)), _MOST)
    return exact.quantize(_FINEST, rounding=ROUND_CEILING) if exact < _MOST else exact


def _map_kept(sent: Mapping[str, Any], found: Any, field: str) -> bool:
    if found is not None and not isinstance(found, Mapping):
        return False
    there = found or {}
    if field in _FREE:
        return sent.items() <= there.items()
    if field in _AMOUNTS:
        return all(same_amount(amount, there.get(name)) for name, amount in sent.items())
    return all(kept(value, there.get(key), key) for key, value in sent.items())


def _list_kept(sent: Sequence[Any], found: Any, field: str) -> bool:
    there = found or []
    if not isinstance(there, Sequence) or isinstance(there, str):
        return False
    if not all(isinstance(item, Mapping) for item in (*sent, *there)):
        return list(sent) == list(there)  # command, args: their order counts, and nothing is added
    if field == "env":
        here = by_name(there)
        return all(_variable_kept(item, here.get(name)) for name, item in by_name(sent).items())
    return all(any(_told(item, other, field) for other in there) for item in sent)


def _told(item: Mapping[str, Any], other: Mapping[str, Any], field: str) -> bool:
    """Items of one name are compared; of a list without names any may be the one."""
    key = MERGE_KEYS.get(field)
    return (key is None or item.get(key) == other.get(key)) and kept(item, other)


def _variable_kept(item: Mapping[str, Any], found: Mapping[str, Any] | None) -> bool:
    if found is None:
        return False
    if item.get("valueFrom"):
        return not found.get("value") and kept(item["valueFrom"], found.get("valueFrom"))
    same = (item.get("value") or "") == (found.get("value") or "")
    return same and not found.get("valueFrom")
