"""Pages lead somewhere on GitHub and in the site, and both languages keep step."""

from __future__ import annotations

import functools
import importlib.util
import posixpath
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from tests.support.docs.examples import blocks, pages
from tests.support.places import ROOT

MOST_LINES = 400
GENERATED = {"cli.md"}  # by the command itself
CHINESE = sorted((ROOT / "docs" / "zh").rglob("*.md"))
FOLLOWS = re.compile(r"^英文页(（本页为摘要）)?：\[.*\]\((.*)\)$", re.MULTILINE)
WHOLE = [path for path in CHINESE if "（本页为摘要）" not in path.read_text()]
NAV = {"zensical.toml": "en/", "zensical.zh.toml": "zh/"}
READER = MarkdownIt("commonmark")


def staging() -> Any:
    """The script that lays pages out, a module of no package."""
    place = ROOT / "docs" / "site" / "stage.py"
    spec = importlib.util.spec_from_file_location("stage", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STAGE = staging()
KNOWN = STAGE.pages(ROOT)
BY_PLACE = {to: ROOT / path for path, to in KNOWN.items()}


def headings(text: str) -> list[tuple[int, str]]:
    """Level and words of each heading."""
    tokens = READER.parse(text)
    return [
        (int(token.tag[1]), tokens[number + 1].content)
        for number, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


@functools.cache
def anchors(path: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    seen, found = Counter[str](), set[str]()
    for _, words in headings(path.read_text()):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def links(text: str) -> list[str]:
    """Where a page's links and pictures lead, those with a scheme left out."""
    inline = [token for token in READER.parse(text) if token.type == "inline"]
    parts = [child for token in inline for child in token.children or ()]
    found = [part.attrGet("href") or part.attrGet("src") for part in parts]
    return [unquote(str(link)) for link in found if link and not re.match(r"\w+:", str(link))]


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path.read_text()):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_a_page_ends() -> None:
    for path in (ROOT / "docs").rglob("*.md"):
        if path.name not in GENERATED:
            assert len(path.read_text().splitlines()) <= MOST_LINES, path


def listed(nav: Any) -> list[str]:
    """The pages of a nav, whatever they lie in."""
    if isinstance(nav, str):
        return [nav]
    items = nav.values() if isinstance(nav, dict) else nav
    return [page for item in items for page in listed(item)]


@pytest.mark.parametrize("name", NAV)
def test_every_page_is_in_the_nav(name: str) -> None:
    """A new page needs its line there, once."""
    found = listed(tomllib.loads((ROOT / name).read_text())["project"]["nav"])
    half = NAV[name]
    have = {to if to.startswith("zh/") else f"en/{to}" for to in KNOWN.values()}
    assert sorted(found) == sorted(to.removeprefix(half) for to in have if to.startswith(half))


def test_nothing_of_the_site_is_loaded_from_elsewhere() -> None:
    for name in NAV:
        assert tomllib.loads((ROOT / name).read_text())["project"]["theme"]["font"] is False


def english_of(path: Path) -> Path:
    """The page that lies in the English half where this one lies in the Chinese."""
    return BY_PLACE[path.relative_to(ROOT / "docs" / "zh").as_posix()]


@pytest.mark.parametrize("path", CHINESE, ids=lambda path: path.stem)
def test_a_chinese_page_follows_an_english_one(path: Path) -> None:
    """It has its headings, level by level; one in short has no more than its second levels."""
    text = path.read_text()
    (match,) = FOLLOWS.finditer(text)
    english = (path.parent / match[2]).resolve()
    assert english == english_of(path)
    ours, theirs = ([level for level, _ in headings(p.read_text())] for p in (path, english))
    if match[1]:
        assert set(ours) <= {1, 2}
    else:
        assert ours == theirs


def named(path: Path) -> tuple[list[str], set[str]]:
    """What a page has of examples, without their comments, and of names in a line."""
    page = path.relative_to(ROOT).as_posix()
    texts = [one.text for one in blocks() if one.page == page and not one.unchecked]
    inside = (child for token in READER.parse(path.read_text()) for child in token.children or ())
    words = {child.content for child in inside if child.type == "code_inline"}
    plain = [re.sub(r"(?m)(^|\s+)#.*$", "", text).strip() for text in texts]
    return plain, {word for word in words if " " not in word}  # no sentences


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_chinese_page_has_the_examples_and_the_names_of_its_english_one(path: Path) -> None:
    assert named(path) == named(english_of(path))


def shown(path: str, text: str) -> str:
    return str(STAGE.staged(path, text, KNOWN))


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("docs/nodes.md", "[a](watch.md#b)", "[a](watch.md#b)"),
        ("docs/nodes.md", "[`a`](../tasks/nodes) b", "`a` b"),
        ("docs/nodes.md", "[a](../CHANGELOG.md)", "[a](changelog.md)"),
        ("SECURITY.md", "[a](docs/nodes.md#b)", "[a](nodes.md#b)"),
        ("docs/zh/how-to/dcu.md", "[a](../../nodes.md#b)", '<a href="../../nodes.html#b">a</a>'),
        ("docs/zh/verdict.md", "![a](../figures/b.svg)", '<img alt="a" src="../figures/b.svg">'),
        ("docs/zh/verdict.md", "[a](how-to/dcu.md)", "[a](how-to/dcu.md)"),
        ("docs/decisions/README.md", "[a](https://b.example/c.md)", "[a](https://b.example/c.md)"),
        ("docs/nodes.md", "`[a](b)`\n```\n[a](b)\n```\n", "`[a](b)`\n```\n[a](b)\n```\n"),
        ("docs/nodes.md", "a:\n- b\n- c\n", "a:\n\n- b\n- c\n"),
        ("docs/zh/verdict.md", "# 甲\n乙，\n丙\n丁\n", "# 甲\n乙，丙丁\n"),
        ("docs/zh/verdict.md", "乙，\n`a` 丙\nb：\n- 丁\n", "乙，`a` 丙\nb：\n\n- 丁\n"),
        (
            "deployments/cluster/README.md",
            "# a\n[b](../../docs/nodes.md#c)\n",
            '# a\n\n<a href="zh/cluster.html" lang="zh">简体中文</a>\n[b](nodes.md#c)\n',
        ),
        ("docs/index.md", "# a\nb\n", '# a\n\n<a href="zh/index.html" lang="zh">简体中文</a>\nb\n'),
    ],
)
def test_how_a_page_is_laid_out(path: str, text: str, found: str) -> None:
    assert shown(path, text) == found


def test_what_leads_to_the_other_half_is_there() -> None:
    halves = {("zh/" if to.startswith("zh/") else "") for to in KNOWN.values()}
    assert halves == {"", "zh/"}
    made = {STAGE.html(to) for to in KNOWN.values()}
    for path, to in KNOWN.items():
        for away in re.findall(r'<a href="([^"#]*)', shown(path, (ROOT / path).read_text())):
            assert posixpath.normpath(posixpath.join(posixpath.dirname(to), away)) in made, away
