"""Where a hub's token may go: to the hub it was given for, over https, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tasks.base.names import no_label

TOKEN_ENV = "MODELSCOPE_API_TOKEN"  # noqa: S105 - a variable's name
OTHER_TOKEN_ENV = "MODEL_ROLLOUT_HUB_TOKEN"  # noqa: S105
OTHER_FOR_ENV = "MODEL_ROLLOUT_HUB_TOKEN_FOR"

# Source: DEFAULT_ENDPOINT, DEFAULT_MODELSCOPE_DOMAIN and DEFAULT_INTL_ENDPOINT of
# modelscope_hub 0.5.1 (constants.py). Two sites; what a row names is one hub.
MODELSCOPE = (
    frozenset({"https://modelscope.cn", "https://www.modelscope.cn"}),
    frozenset({"https://modelscope.ai", "https://www.modelscope.ai"}),
)
_LOOPBACK = re.compile(r"http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
# Narrower than any client reads an address: where two of them might see different hosts
# (a user part, a backslash), there is no origin, and no token is sent.
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:(?P<port>\d{1,5}))?(?=[/?#]|\Z)",
    re.IGNORECASE,
)
_GROUP = re.compile("[0-9a-f]{1,4}")
_DEFAULT_PORT = {"http": "80", "https": "443"}
MOST_PORT = 65_535


def origin(address: str) -> str:
    """scheme://host[:port] of an address, '' where it is no plain one."""
    match = _ADDRESS.match(address)
    if match is None or int(match["port"] or 0) > MOST_PORT:
        return ""
    scheme, host, port = match["scheme"].lower(), match["host"].lower(), match["port"]
    if not (_is_six(host[1:-1]) if host[0] == "[" else _is_host(host)):
        return ""
    known = port is None or port == _DEFAULT_PORT[scheme]
    return f"{scheme}://{host}" if known else f"{scheme}://{host}:{port}"


def _is_host(text: str) -> bool:
    return not any(map(no_label, text.removesuffix(".").split(".")))


def _is_six(text: str) -> bool:
    head, gap, tail = text.partition("::")
    groups = [group for part in (head, tail) if part for group in part.split(":")]
    sound = all(_GROUP.fullmatch(group) for group in groups)
    return sound and (len(groups) < 8 if gap else len(groups) == 8)


def plain_address(address: str) -> str:
    """The address. Raises ValueError where it holds a login, or is none."""
    if not origin(address):
        raise ValueError(
            "an address such as https://hub.example was expected, without a user name or password; "
            "a login stands in a Secret"
        )
    return address


def is_modelscope(endpoint: str) -> bool:
    """Whether it is one of ModelScope's own addresses."""
    return any(origin(endpoint) in hub for hub in MODELSCOPE)


def origins(endpoint: str) -> frozenset[str]:
    """What a token for this hub may be sent to; empty where nothing may."""
    found = origin(endpoint)
    own = next((hub for hub in MODELSCOPE if found in hub), None)
    if own is not None:
        return own
    safe = found.startswith("https://") or _LOOPBACK.fullmatch(found)
    return frozenset({found} if safe else ())


def token_for(endpoint: str, given: Mapping[str, str]) -> str | None:
    """The token among environment variables that this hub may have; None: ask without one."""
    if is_modelscope(endpoint):
        return given.get(TOKEN_ENV) or None
    named = origin(given.get(OTHER_FOR_ENV, ""))
    if named and named == origin(endpoint) and origins(endpoint):
        return given.get(OTHER_TOKEN_ENV) or None
    return None


def token_advice(endpoint: str) -> str:
    """How a token is given to this hub, in a few words."""
    if is_modelscope(endpoint):
        return TOKEN_ENV
    if origins(endpoint):
        return (
            f"{OTHER_TOKEN_ENV} with {OTHER_FOR_ENV}={origin(endpoint)} "
            f"(in a spec model.endpoint_token); {TOKEN_ENV} goes to ModelScope alone"
        )
    return "the address: a token goes over https alone, or over http to this machine"
