"""The operating characteristic as a picture that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 230, 52, 56, 66
COLUMNS = 2
COLOURS = ("#0072b2", "#009e73", "#e69f00", "#d55e00")  # told apart by the colour-blind, too
STYLE = """
  svg { font: 12px system-ui, sans-serif; background: #fff; }
  text { fill: #222; } .grid { stroke: #ddd; } .limit { stroke: #888; }
  .level { stroke: #b00; stroke-dasharray: 2 3; } .line { fill: none; stroke-width: 2; }
  .naive { stroke: #777; stroke-dasharray: 6 4; } .title { font-weight: 600; }
"""


@dataclass(frozen=True)
class Line:
    """Shares (0 to 1) by distance; dashed: what is compared with."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


@dataclass(frozen=True)
class Panel:
    """One statistic."""

    title: str
    lines: Sequence[Line]


def draw(panels: Sequence[Panel], level: float) -> str:
    """The whole figure as SVG text; level: the error rate that is promised (a share)."""
    rows = -(-len(panels) // COLUMNS)
    wide = LEFT + COLUMNS * (WIDTH + GAP)
    high = TOP + rows * (HEIGHT + TOP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img">',
        "<title>Share of candidates promoted, by distance of the truth from the limit</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{wide}" height="{high}" fill="#fff"/>',
        _legend(panels[0].lines),
    ]
    for at, panel in enumerate(panels):
        x = LEFT + (at % COLUMNS) * (WIDTH + GAP)
        y = TOP + (at // COLUMNS) * (HEIGHT + TOP)
        parts.append(f'<g transform="translate({x} {y})">{_panel(panel, level)}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _legend(lines: Sequence[Line]) -> str:
    parts, x = [], LEFT
    for at, line in enumerate(lines):
        name = line.name if line.dashed else f"noise {line.name}"
        parts.append(f'<line x1="{x}" x2="{x + 26}" y1="16" y2="16" {_look(at, line)}/>')
        parts.append(f'<text x="{x + 32}" y="20">{name}</text>')
        x += 50 + 8 * len(name)
    return "".join(parts)


def _look(at: int, line: Line) -> str:
    if line.dashed:
        return 'class="line naive"'
    return f'class="line" stroke="{COLOURS[at % len(COLOURS)]}"'


def _panel(panel: Panel, level: float) -> str:
    low, high = panel.lines[0].points[0][0], panel.lines[0].points[-1][0]

    def place(distance: float, share: float) -> tuple[float, float]:
        return WIDTH * (distance - low) / (high - low), HEIGHT * (1 - share)

    parts = [f'<text x="0" y="-10" class="title">{panel.title}: promoted</text>']
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        _, y = place(low, share)
        parts.append(f'<line x1="0" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="-6" y="{y + 4:.1f}" text-anchor="end">{share:.0%}</text>')
    for tick in (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2):
        x, _ = place(tick, 0)
        said = "limit" if tick == 0 else f"{100 * tick:+.0f} %"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT + 16}" text-anchor="middle">{said}</text>')
    zero, promised = place(0, 0)[0], place(low, level)[1]
    parts.append(f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{HEIGHT}" class="limit"/>')
    parts.append(
        f'<line x1="0" x2="{WIDTH}" y1="{promised:.1f}" y2="{promised:.1f}" class="level"/>'
    )
    for at, line in enumerate(panel.lines):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(d, s) for d, s in line.points))
        parts.append(f'<polyline points="{points}" {_look(at, line)}/>')
    return "".join(parts)
