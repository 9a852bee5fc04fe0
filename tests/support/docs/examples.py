"""The examples of the documentation: blocks of code in pages, and what is in them."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

from tasks.spec.rollout import Rollout
from tests.support.places import ROOT

# what is shown, and no example: output, drawings, the usage that the command prints
SHOWN = {"", "text", "console"}
UNCHECKED = re.compile(r"<!-- unchecked: \S.* -->")
_SPLIT = "&|;()<>"


@dataclass(frozen=True)
class Block:
    """A block of code. page: in the repository; line: its first; language: as the page says, '' for
    none; unchecked: the page says why it cannot be."""

    page: str
    line: int
    language: str
    text: str
    unchecked: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every page that a user or a contributor reads."""
    beside = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "AGENTS.md")]
    return [
        *beside,
        *sorted((ROOT / "deployments").rglob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
    ]


def blocks() -> list[Block]:
    """Every block that is an example, whatever it is in."""
    reader, found = MarkdownIt("commonmark"), list[Block]()
    for path in pages():
        before = ""
        for token in reader.parse(path.read_text()):
            if token.type in ("fence", "code_block"):
                language = token.info.strip() if token.type == "fence" else _told(token.content)
                line, unchecked = (token.map or [0])[0] + 1, bool(UNCHECKED.match(before))
                page = path.relative_to(ROOT).as_posix()
                found.append(Block(page, line, language, token.content, unchecked))
            before = token.content if token.type == "html_block" else ""
    return [block for block in found if block.language not in SHOWN]


def commands(text: str) -> list[list[str]]:
    """The words of each command of a shell's text, comments left out."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=_SPLIT)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that goes on in the next line
            continue
        command = list[str]()
        for word in [*words, ";"]:
            if set(word) <= set(_SPLIT):
                found.append(command)
                command = []
            else:
                command.append(word)
    return [command for command in found if command]


def _told(text: str) -> str:
    """The language of a block that is only indented."""
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError:
        return "sh"
    return "yaml" if isinstance(told, dict) and set(told) <= set(Rollout.model_fields) else "sh"


def whole(part: dict[str, Any]) -> dict[str, Any]:
    """A spec with this part, and with the loads that it names."""
    loads = {"c8", *re.findall(r'"load": "([^"]+)"', json.dumps(part, default=str))}
    least = {
        "name": "example",
        "model": {"id": "owner/model"},
        "nodes": {"accelerator": "nvidia-gpu"},
        "serving": {"image": "vllm:v0.11.0"},
        "benchmark": {"loads": [{"name": name, "concurrency": 8} for name in sorted(loads)]},
        "targets": {"ttft_p95_ms": 1000},
    }
    return _merged(least, part)


def _merged(here: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    out = dict(here)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(here.get(key), dict) and key != "targets"
        out[key] = _merged(here[key], value) if both else value
    return out
