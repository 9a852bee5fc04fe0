"""Who asks a registry: logins of image pull Secrets, and of a docker configuration of this machine.

Programs that keep credentials (`credsStore`, `credHelpers`) are not run, and tokens of an identity
(`identitytoken`) are not handed in. What is read is held, so that it appears nowhere.
"""

from __future__ import annotations

import binascii
import json
import os
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tasks.base.errors import OutsideError
from tasks.base.scrub import hold
from tasks.spec.images import DOCKER_HUB, Reference

CONFIG_ENV = "DOCKER_CONFIG"
SECRET_KEY = ".dockerconfigjson"  # noqa: S105 - the name of a field
_HUB = ("index.docker.io", "registry-1.docker.io", "docker.io")


@dataclass(frozen=True)
class Login:
    """A name and its word for one registry."""

    user: str
    word: str = field(repr=False)


class KeyRing:
    """Logins by pull Secrets first, then by the docker configuration; each is read only once a
    registry wants a login.

    secrets: names of pull Secrets. read: one of them as the API has it, None where there is none;
    raises OutsideError where it may not be read.
    """

    def __init__(
        self, secrets: Sequence[str], read: Callable[[str], Mapping[str, Any] | None]
    ) -> None:
        self._secrets, self._read = tuple(secrets), read
        self.looked: list[str] = []  # where, in words

    def login(self, image: Reference) -> Login | None:
        """The login for an image's registry; None where none is known. `looked` says where."""
        for name in self._secrets:
            try:
                found = login_of(_of_secret(self._read(name)), image)
                self.looked.append(f"Secret {name}")
            except OutsideError as error:
                self.looked.append(f"Secret {name} ({error})")
                continue
            if found is not None:
                return found
        file = config_file()
        self.looked.append(str(file))
        return login_of(_of_file(file), image)


def config_file() -> Path:
    """The docker configuration of this process: below DOCKER_CONFIG, else ~/.docker."""
    folder = os.environ.get(CONFIG_ENV)
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def login_of(config: Mapping[str, Any], image: Reference) -> Login | None:
    """The login that a docker configuration has for an image: of the longest key that its registry,
    and where the key names one its repository, match."""
    auths = config.get("auths")
    known = auths.items() if isinstance(auths, Mapping) else ()
    fits = [(key, entry) for key, entry in known if _matches(str(key), image)]
    for _, entry in sorted(fits, key=lambda item: len(str(item[0])), reverse=True):
        if (found := _login(entry)) is not None:
            hold(found.word, f"{found.user}:{found.word}", str(entry.get("auth") or ""))
            return found
    return None


def _matches(key: str, image: Reference) -> bool:
    place = key.partition("://")[2] or key
    host, _, path = place.rstrip("/").partition("/")
    if image.registry == DOCKER_HUB:
        return host in _HUB and path in ("", "v1", "v2")
    labels, asked = host.split("."), image.registry.split(".")
    same = len(labels) == len(asked) and all(map(fnmatchcase, asked, labels))
    below = path in ("", "v1", "v2") or f"{image.repository}/".startswith(f"{path}/")
    return same and below


def _login(entry: Any) -> Login | None:
    if not isinstance(entry, Mapping):
        return None
    user, word = entry.get("username"), entry.get("password")
    if not (user and word):
        try:
            text = b64decode(str(entry.get("auth") or ""), validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        user, _, word = text.partition(":")
    return Login(str(user), str(word)) if user and word else None


def _of_secret(secret: Mapping[str, Any] | None) -> Mapping[str, Any]:
    try:
        text = b64decode(str(((secret or {}).get("data") or {})[SECRET_KEY])).decode()
    except (KeyError, ValueError):
        return {}
    return _document(text)


def _of_file(file: Path) -> Mapping[str, Any]:
    try:
        return _document(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return {}


def _document(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, Mapping) else {}
