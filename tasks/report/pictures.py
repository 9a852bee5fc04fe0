"""The report's figures as images that stand by themselves, for pages that take images alone."""

from __future__ import annotations

import re

from tasks.report.style import CSS

WIDTH = 880
# what a figure needs around its plot and that one's padding: caption, names of the axes, note
AROUND = 150
_FIGURE = re.compile(r'<h2[^>]*>(.*?)</h2>|(<figure class="plot">.*?</figure>)', re.S)
_PADDING = re.compile(r"padding-(?:top|bottom):(\d+)px")
_HEIGHT = re.compile(r'<svg role="img"[^>]* height="(\d+)"')
_LABEL = re.compile(r'<svg role="img" aria-label="([^"]*)"')


def pictures(page: str) -> list[tuple[str, str, str]]:
    """(section, what it shows, SVG document) of each figure of a report, in its order; the first
    two as HTML text."""
    found, section = [], ""
    for title, figure in _FIGURE.findall(page):
        section = title or section
        if not figure:
            continue
        height, label = _HEIGHT.search(figure), _LABEL.search(figure)
        tall = (int(height[1]) if height else 0) + AROUND
        tall += sum(map(int, _PADDING.findall(figure)))
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{tall}">'
            f'<foreignObject width="{WIDTH}" height="{tall}">'
            f'<div xmlns="http://www.w3.org/1999/xhtml"><style>{CSS}'
            "section{margin:0;padding:14px 24px;font:14px/1.5 system-ui,sans-serif;"
            "color:var(--ink)}figure{margin:0}</style>"
            f"<section>{_own_space(figure)}</section></div></foreignObject></svg>"
        )
        found.append((section, label[1] if label else "", svg))
    return found


def _own_space(figure: str) -> str:
    """XML needs the namespace that HTML knows by itself."""
    return figure.replace('<svg role="img"', '<svg xmlns="http://www.w3.org/2000/svg" role="img"')
