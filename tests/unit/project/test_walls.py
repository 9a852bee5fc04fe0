"""Every wall refuses everything that breaks it, the moment a module does.

In a copy every room, and one that does not exist yet, imports every room and every library; what
lint-imports prints must name each import that a wall is there to refuse.
"""

from __future__ import annotations

import importlib.metadata
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.places import ROOT

TREES = ("flows", "tasks", "deployments")
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
WALLS: dict[str, dict[str, Any]] = {each["name"]: each for each in LINTER["contracts"]}
# what no room that decides may ever be given a row for
NEVER = (
    "_socket asyncio builtins ctypes fcntl ftplib http imaplib mmap multiprocessing nntplib poplib "
    "pty select selectors shutil smtplib socket socketserver sqlite3 ssl subprocess telnetlib "
    "tempfile wsgiref xmlrpc aiohttp boto3 botocore evalscope great_expectations httpx kubernetes "
    "modelscope modelscope_hub openai pandas requests sqlalchemy torch transformers urllib3 "
    "websocket websockets"
)
# a circle of two modules, and of two rooms, at every depth
CIRCLES = (
    ("tasks.verdict.one", "tasks.verdict.two"),
    ("tasks.outside.disk.one", "tasks.outside.s3.two"),
    ("tasks.base.one", "tasks.verdict.one"),
    ("flows.one", "flows.cli.two"),
    ("deployments.local.kube.node.one", "deployments.local.kube.node.two"),
    ("deployments.local.kube.api.one", "deployments.local.kube.objects.two"),
)

Pair = tuple[str, str]


def named() -> set[str]:
    """Libraries that a wall names, and those of NEVER."""
    keys = ("forbidden_modules", "protected_modules")
    found = {name for wall in WALLS.values() for key in keys for name in wall.get(key, [])}
    return (found | set(NEVER.split())) - {*TREES, "*"}


def libraries() -> set[str]:
    """What may be imported that is not ours: of Python, and of what is installed here."""
    names = {*sys.stdlib_module_names, *importlib.metadata.packages_distributions()}
    return {name for name in names - {*TREES, "tests", "__main__"} if name.isidentifier()}


def copied(to: Path) -> Path:
    for name in TREES:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", to)
    return to


def linted(copy: Path) -> dict[str, str]:
    """What lint-imports prints of each broken wall."""
    lint = Path(sys.executable).with_name("lint-imports")
    wide = {**os.environ, "COLUMNS": "1000"}
    done = subprocess.run(
        [lint, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False, env=wide
    )
    assert done.returncode == 1, done.stdout + done.stderr
    told = re.split(r"^(\S.*)\n-+\n", done.stdout, flags=re.MULTILINE)
    said = dict(zip(told[1::2], told[2::2], strict=True))
    return {wall: said[wall] for wall in re.findall(r"^(.*) BROKEN", done.stdout, re.MULTILINE)}


def members(place: str) -> list[str]:
    """What lies directly in a package, and a room that does not exist yet."""
    paths = (ROOT / place.replace(".", "/")).glob("[a-z]*")
    return [f"{place}.{name}" for name in sorted({path.stem for path in paths} | {"slack"})]


def neighbours(wall: dict[str, Any]) -> Iterator[Pair]:
    """Who must not import whom, where a wall stands between rooms."""
    if wall["type"] == "independence":
        tall = [members(name.removesuffix(".*")) for name in wall["modules"]]
    elif wall["type"] == "layers":
        place = "".join(f"{name}." for name in wall.get("containers", []))
        tall = [[place + name for name in re.findall(r"\w+", row)] for row in wall["layers"]]
    else:
        tall = []
    for level, floor in enumerate(tall):
        beside = [] if ":" in wall.get("layers", [""] * 9)[level] else floor
        above = [name for higher in tall[:level] for name in higher]
        yield from ((a, b) for a, b in product(floor, [*beside, *above]) if a != b)


def within(name: str, rooms: list[str]) -> bool:
    return any(f"{name}.".startswith(f"{room}.") for room in rooms)


def given(wall: dict[str, Any], importer: str) -> set[str]:
    """Libraries that rows of a wall give this module."""
    out = set()
    for row in wall.get("ignore_imports", []):
        who, what = row.split(" -> ")
        pattern = re.escape(who).replace(r"\*\*", ".+").replace(r"\*", "[^.]+")
        if re.fullmatch(pattern, importer):
            out.add(what)
    return out


def refused(wall: dict[str, Any], breaches: dict[str, set[str]]) -> set[str]:
    """What must be printed of a wall that these breaches break."""
    out = {f"{a} is not allowed to import {b}:" for a, b in neighbours(wall)}
    if wall["type"] == "forbidden":
        pairs = product(wall["source_modules"], wall["forbidden_modules"])
        out |= {f"{a} is not allowed to import {b}:" for a, b in pairs}
    kept = wall.get("protected_modules", [])
    for name, imported in breaches.items() if kept else ():
        if not within(name, [*wall["allowed_importers"], *kept]):
            hit = {each for each in imported if "*" in kept or within(each, kept)}
            hit -= {each for each in hit if "*" in kept and within(each, [*TREES])}
            out |= {f"- {name} -> {each} (l." for each in hit - given(wall, name)}
    return out


@pytest.fixture(scope="module")
def breaches() -> dict[str, set[str]]:
    """Module -> what it imports: one in each room, and every module that is a room to a wall."""
    pairs = {pair for wall in WALLS.values() for pair in neighbours(wall)}
    closed = {name for wall in WALLS.values() for name in wall.get("containers", [])}
    found = [path.parent for top in TREES for path in (ROOT / top).rglob("__init__.py")]
    rooms = {".".join(path.relative_to(ROOT).parts) for path in found}
    out = {}
    for room in rooms | {room for pair in pairs for room in pair}:
        if (ROOT / room.replace(".", "/")).with_suffix(".py").exists():
            out[room] = {other for who, other in pairs if who == room}
        elif room not in closed:
            out[f"{room}.breach"] = named() | {b for a, b in pairs if within(room, [a])}
            out[f"{room}.breach"] |= {other for other in rooms if not within(room, [other])}
    out["tasks.verdict.breach"] |= libraries()
    return out


def write(copy: Path, name: str, imported: Iterable[str]) -> None:
    """Have a module import these, at its end."""
    file = (copy / name.replace(".", "/")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    (file.parent / "__init__.py").touch()
    with file.open("a") as out:
        out.writelines(f"\nimport {each}" for each in sorted(imported))


@pytest.fixture(scope="module")
def broken(
    breaches: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    copy = copied(tmp_path_factory.mktemp("walls"))
    for name, imported in breaches.items():
        write(copy, name, imported)
    return linted(copy)


def test_no_room_that_decides_may_be_given_these() -> None:
    rows = WALLS["only outside touches the outside"]["ignore_imports"]
    assert not {row.split(" -> ")[1] for row in rows} & set(NEVER.split())
    assert {row.split(" -> ")[0] for row in rows if row.endswith(" -> os")} == {"flows.cli.*"}


@pytest.mark.parametrize("wall", WALLS)
def test_a_wall_holds(broken: dict[str, str], breaches: dict[str, set[str]], wall: str) -> None:
    expected = refused(WALLS[wall], breaches)
    assert expected or WALLS[wall]["type"] == "acyclic_siblings"
    assert not sorted(each for each in expected if each not in broken[wall])


def test_circles_and_rooms_that_do_not_exist_yet(tmp_path: Path) -> None:
    copy = copied(tmp_path)
    for one, two in CIRCLES:
        write(copy, one, [two])
        write(copy, two, [one])
    write(copy, "tasks.advise.breach", NEVER.split())
    said = linted(copy)
    for one, two in CIRCLES:
        place = posixpath.commonpath([one.replace(".", "/"), two.replace(".", "/")])
        assert f"No cycles are allowed in {place.replace('/', '.')}." in said["no circles"]
    assert "tasks.advise" in said["rooms"]
    for each in NEVER.split():
        assert f"tasks.advise.breach -> {each} (l." in said["only outside touches the outside"]
