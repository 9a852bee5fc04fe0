"""Lays the pages out for the site: `stage.py FOLDER` writes FOLDER/en and FOLDER/zh.

Pages are written for GitHub, and lead to files beside docs/ and to the other language. The site
has two halves, English and Chinese in zh/, each of which is built alone: a link from one to the
other becomes HTML, and a link to what the site does not have becomes its words.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# pages that lie beside docs/, and what they are called in the site
BESIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "deployments/cluster/README.md": "cluster.md",
}
CHINESE = "docs/zh/"
# code in a line, which is left alone, or a link: picture, text, where to, anchor
_LINK = re.compile(
    r"`[^`\n]+`|(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)"
)
_FENCE = re.compile(r"(?ms)^(```.*?^```[ \t]*$)")
_ITEM = r"(?:[-*]|\d+\.) "
_CHINESE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
_STOP = "[\u3000-\u303f\uff00-\uffef]"


def pages(root: Path) -> dict[str, str]:
    """Every page of the site: where it lies in the repository -> where in the site."""
    found = sorted((root / "docs").rglob("*.md"))
    inside = {path.relative_to(root).as_posix() for path in found}
    return {path: path.removeprefix("docs/") for path in inside} | BESIDE


def staged(path: str, text: str, known: dict[str, str]) -> str:
    """A page as the site can show it. path: in the repository; known: as of `pages`."""
    parts = _FENCE.split(text)
    parts[::2] = [_spaced(_LINK.sub(lambda found: _led(found, path, known), p)) for p in parts[::2]]
    there = CHINESE + known[path]
    if there in known:
        title, _, rest = "".join(parts).partition("\n")
        away = posixpath.relpath(html(known[there]), posixpath.dirname(known[path]))
        return f'{title}\n\n<a href="{away}" lang="zh">简体中文</a>\n{rest}'
    return "".join(parts)


def html(page: str) -> str:
    """What is made of a page."""
    return re.sub(r"(README)?\.md$", lambda name: "index.html" if name[1] else ".html", page)


def _led(found: re.Match[str], path: str, known: dict[str, str]) -> str:
    """A link of the page at `path` of the repository."""
    if found[3] is None:
        return found[0]
    picture, text, link, anchor = found[1], found[2], found[3], found[4] or ""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    to = known.get(target) or (target.removeprefix("docs/") if picture else None)
    if to is None:
        return text
    here = posixpath.dirname(known[path])
    if target.startswith(CHINESE) == path.startswith(CHINESE):
        return f"{picture}[{text}]({posixpath.relpath(to, here)}{anchor})"
    away = posixpath.relpath(html(to), here)  # the other half is not there while one is built
    return f'<img alt="{text}" src="{away}">' if picture else f'<a href="{away}{anchor}">{text}</a>'


def _spaced(text: str) -> str:
    """With an empty line before each list, which GitHub does without, and none of a line's end
    within Chinese, which would be a gap."""
    text = re.sub(rf"(?m)^(?!#)(.*{_CHINESE})\n(?={_CHINESE})", r"\1", text)
    text = re.sub(rf"(?m)^(?!#)(.*{_STOP})\n(?!{_ITEM})(?=[^\s#|>!-])", r"\1", text)
    return re.sub(rf"(?m)^(?!\s*(?:{_ITEM}|$))(.*\S.*)\n(?={_ITEM})", r"\1\n\n", text)


def main(folder: Path) -> None:
    """Write both halves, with what is no page beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    known = pages(ROOT)
    for path, to in known.items():
        half = "" if to.startswith("zh/") else "en/"
        place = folder / (half + to)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(staged(path, (ROOT / path).read_text(), known))
    shutil.copytree(ROOT / "docs" / "figures", folder / "en" / "figures")
    for half in ("en", "zh"):
        shutil.copy(Path(__file__).with_name("site.css"), folder / half)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
