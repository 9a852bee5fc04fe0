"""Paths of a container made paths of this machine, for there is no mount namespace. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

# A path begins at the start of a word and ends at a separator: components are matched whole.
_BEFORE, _AFTER = r"(?<![\w./~@%+-])", r"(?=$|[\s:,;'\"()\[\]{}<>=&|#*])"
_ANY_ADDRESS = re.compile(r"(^|=)0\.0\.0\.0(?=$|:)")


def ancestors(mounts: Mapping[str, str]) -> set[str]:
    """Proper ancestors of mount paths that are no mounts themselves; never '/'."""
    found = {str(parent) for path in mounts for parent in PurePosixPath(path).parents}
    return {path for path in found if path not in mounts and path != "/"}


class Translator:
    """mounts: mount path -> real folder or file. mirror: where the ancestors' folders are."""

    def __init__(self, mounts: Mapping[str, str], mirror: str) -> None:
        self._real = {path.rstrip("/") or "/": real for path, real in mounts.items()}
        self._real.pop("/", None)
        above = {path: f"{mirror}{path}" for path in ancestors(self._real)}
        below = sorted(self._real, key=len, reverse=True)
        self._below = self._pattern(below, "(?=/|" + _AFTER.removeprefix("(?="))
        self._above = self._pattern(sorted(above, key=len, reverse=True), "/?" + _AFTER)
        self._mirrored = above

    @staticmethod
    def _pattern(paths: list[str], after: str) -> re.Pattern[str] | None:
        if not paths:
            return None
        choice = "|".join(re.escape(path) for path in paths)
        return re.compile(f"{_BEFORE}(?P<path>{choice}){after}")

    def text(self, value: str) -> str:
        """Every mounted path in a text replaced; the longest mount path wins.

        An ancestor of mounts is replaced only where it stands alone: /dev above a mounted
        /dev/shm must not take /dev/null with it.
        """
        spans: list[tuple[int, int, str]] = []
        if self._below is not None:
            spans += [(*m.span(), self._real[m["path"]]) for m in self._below.finditer(value)]
        if self._above is not None:
            spans += [(*m.span(), self._mirrored[m["path"]]) for m in self._above.finditer(value)]
        out, last = [], 0
        for start, end, new in sorted(spans):
            if start < last:
                continue
            out += [value[last:start], new]
            last = end
        return "".join(out) + value[last:]

    def mirrored(self) -> Mapping[str, str]:
        """Symlinks to make: mirrored path -> real path, for mounts below an ancestor."""
        out = {}
        for path, real in self._real.items():
            parents = {str(parent) for parent in PurePosixPath(path).parents}
            tops = sorted(parents & self._mirrored.keys(), key=len)
            if tops and not parents & self._real.keys():
                top = tops[0]
                out[self._mirrored[top] + path[len(top) :]] = real
        return out


def any_address(value: str, address: str) -> str:
    """0.0.0.0, alone or after '=', is the pod's own address: pods share one loopback."""
    return _ANY_ADDRESS.sub(rf"\g<1>{address}", value)


_VARIABLE = re.compile(r"\$(\$)?\(([A-Za-z_][\w.-]*)\)")


def expand(value: str, env: Mapping[str, str]) -> str:
    """$(NAME) by its value; $$(NAME) is the text $(NAME); an unknown name stays."""

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        return env.get(match[2], match[0])

    return _VARIABLE.sub(one, value)
