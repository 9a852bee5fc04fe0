"""Credentials written into a spec: a spec is read by many, and so are PodSpecs and arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.base.scrub import looks_secret, says_secret
from tasks.spec.flags import flags

_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def _advice(name: str) -> str:
    return (
        "this looks like a credential, and a spec is read by many; put it into a Secret, and name "
        f"that in serving.pod or runner.pod: env: [{{name: {name}, valueFrom: "
        "{secretKeyRef: {name: SECRET, key: KEY}}}]"
    )


def literal(name: str, value: str | None) -> bool:
    """Whether a value is a credential by its own look, or by the name it stands under."""
    return bool(value) and (looks_secret(str(value)) or says_secret(name, str(value)))


def literals_of_env(env: Mapping[str, str], place: str) -> Iterator[str]:
    """A line for each variable that holds a credential; never the value."""
    for name, value in env.items():
        if literal(name, value):
            yield f"{place}.{name}: {_advice(name)}"


def literals_of_args(args: Sequence[Any], place: str) -> Iterator[str]:
    """The same for the arguments of a command."""
    words = [str(arg) for arg in args]
    for flag in flags(words):
        if literal(flag.told.lstrip("-"), flag.value):
            name = flag.told.lstrip("-").replace("-", "_").upper()
            yield f"{place}: {flag.told}: an argument is visible to everyone; {_advice(name)}"
    loose = [word for word in words if not word.startswith("-") and looks_secret(word)]
    named = {flag.value for flag in flags(words)}
    for _ in [word for word in loose if word not in named]:
        yield f"{place}: an argument {_advice('NAME')}"


def literals_of_pod(pod: Mapping[str, Any], place: str) -> Iterator[str]:
    """The same for a partial PodSpec: variables, commands and arguments of its containers."""
    for kind in _CONTAINERS:
        found = pod.get(kind)
        for at, container in enumerate(found if isinstance(found, list) else ()):
            if isinstance(container, Mapping):
                yield from _of_container(container, f"{place}.{kind}.{at}")


def _of_container(container: Mapping[str, Any], here: str) -> Iterator[str]:
    env = container.get("env")
    for item in env if isinstance(env, list) else ():
        if isinstance(item, Mapping) and isinstance(item.get("value"), str):
            yield from literals_of_env({str(item.get("name")): item["value"]}, f"{here}.env")
    for part in ("command", "args"):
        words = container.get(part)
        if isinstance(words, list):
            yield from literals_of_args(words, f"{here}.{part}")
