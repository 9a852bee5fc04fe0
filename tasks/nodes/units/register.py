"""What a plugin wrote on the node about the cards it shares out: HAMi's annotations.

Two formats (HAMi docs/protocol, 2026-08-21): `uuid,split,memory MiB,cores,type,numa,healthy[,index,
mode]` joined by colons, and a JSON list. A handshake beside it says whether the plugin still lives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r".+?/node-(?:register-(?P<after>.+)|(?P<before>.+)-register)")


@dataclass(frozen=True)
class Registered:
    """One card: how many shares it is offered as, and the memory (MiB) the plugin hands out of it,
    which may be more than it has."""

    ident: str
    shares: int
    memory_mib: float
    healthy: bool


@dataclass(frozen=True)
class Register:
    """What one annotation says. gone: the plugin's registration was taken back. key: of the
    annotation. broken: why it cannot be read, '' when it can."""

    key: str
    cards: tuple[Registered, ...]
    gone: str = ""
    broken: str = ""

    @property
    def shares(self) -> int:
        """Shares of all cards."""
        return sum(card.shares for card in self.cards)


def registers(annotations: Mapping[str, str], rule: str, resource: str) -> tuple[Register, ...]:
    """The annotations of a vendor (regex over their keys), read.

    Where several are of one vendor, a chip model each, the one that ends as the resource does.
    """
    if not rule:
        return ()
    keys = [key for key in sorted(annotations) if re.fullmatch(rule, key)]
    name = resource.rsplit("/", 1)[-1].lower()
    own = [key for key in keys if key.lower().endswith(f"-{name}")]
    return tuple(_register(annotations, key) for key in own or keys)


def _register(annotations: Mapping[str, str], key: str) -> Register:
    token = _TOKEN.fullmatch(key)
    of = (token["after"] or token["before"]) if token else ""
    prefix = key.partition("/")[0]
    names = (f"{prefix}/node-handshake-{of}", f"{prefix}/node-handshake" if of == "nvidia" else "")
    said = next((annotations[name] for name in names if name in annotations), "")
    gone = said if said.startswith("Deleted") else ""
    try:
        return Register(key, read_cards(annotations[key]), gone)
    except (ValueError, TypeError) as error:
        return Register(key, (), gone, f"annotation {key} cannot be read: {error}")


def read_cards(text: str) -> tuple[Registered, ...]:
    """Cards of one annotation, in either format. Raises ValueError."""
    text = text.strip()
    if text.startswith("["):
        return tuple(_of_json(item) for item in json.loads(text))
    return tuple(_of_line(item) for item in text.split(":") if item.strip())


def _of_json(item: Any) -> Registered:
    if not isinstance(item, Mapping):
        raise ValueError(f"expected an object a card, found {item!r}")
    # what is zero, NUMA node or index, may be left out
    return Registered(
        str(item.get("id", "")),
        int(item.get("count", 0)),
        float(item.get("devmem", 0)),
        bool(item.get("health", True)),
    )


def _of_line(item: str) -> Registered:
    fields = [part.strip() for part in item.split(",")]
    if len(fields) < 3:
        raise ValueError(f"expected uuid,split,memory,..., found '{item}'")
    words = [part.lower() for part in fields[3:]]
    return Registered(fields[0], int(fields[1]), float(fields[2]), "false" not in words)
