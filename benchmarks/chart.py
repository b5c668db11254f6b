"""Bars and lines as SVG files. No library, no script inside; their own white ground, for dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10
from pathlib import Path

WIDTH = 760
LEFT = 330
ROW = 30
TOP = 46


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the chart."""

    label: str
    value: float
    ours: bool = False


def draw(path: Path, title: str, bars: Sequence[Bar]) -> None:
    """Write the chart; the bars are scaled to the longest."""
    longest = max(bar.value for bar in bars)
    height = TOP + ROW * len(bars) + 10
    label = escape(title, quote=True)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}"',
        ' font-family="system-ui, sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="16" y="28" fill="#14191e" font-weight="600">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        y = TOP + ROW * number
        length = max(2.0, (WIDTH - LEFT - 80) * bar.value / longest)
        colour = "#17604f" if bar.ours else "#8b98a5"
        lines += [
            f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end" fill="#232a31">{escape(bar.label)}</text>',
            f'<rect x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="20" rx="3" fill="{colour}"/>',
            f'<text x="{LEFT + length + 8:.1f}" y="{y + 17}" fill="#232a31">{bar.value:.2f}</text>',
        ]
    path.write_text("\n".join([*lines, "</svg>", ""]))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart of growth."""

    label: str
    points: Sequence[tuple[float, float]]
    """How many, and what it cost."""


GROUND = 260
RIGHT = 610
COLOURS = ("#17604f", "#8a4b08", "#3b4cc0")


def draw_growth(path: Path, title: str, lines: Sequence[Line]) -> None:
    """Write a chart with logarithmic axes, so that what grows as its audience does is a straight slope."""
    points = [point for line in lines for point in line.points]
    if not points:
        return
    low_x, high_x = (log10(pick(x for x, _ in points)) for pick in (min, max))
    low_y, high_y = (log10(pick(y for _, y in points)) for pick in (min, max))
    low_y, high_y = low_y - 0.35, max(high_y, low_y + 0.5) + 0.15

    def place(x: float, y: float) -> tuple[float, float]:
        across = 90 + (RIGHT - 90) * (log10(x) - low_x) / max(high_x - low_x, 0.1)
        return across, GROUND - (GROUND - 60) * (log10(y) - low_y) / (high_y - low_y)

    label = escape(title, quote=True)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 310" role="img" aria-label="{label}"',
        ' font-family="system-ui, sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="310" fill="#ffffff"/>',
        f'<text x="16" y="28" fill="#14191e" font-weight="600">{escape(title)}</text>',
        f'<line x1="70" y1="{GROUND + 8}" x2="{RIGHT + 20}" y2="{GROUND + 8}" stroke="#8b98a5"/>',
    ]
    for x in sorted({x for x, _ in points}):
        across = place(x, 10**low_y)[0]
        drawn.append(f'<text x="{across:.0f}" y="{GROUND + 28}" text-anchor="middle" fill="#232a31">{x:,.0f}</text>')
    # The dearest first: its figures stand above their points, those of the others below; so do the names at the end.
    ordered = sorted(lines, key=lambda line: -line.points[-1][1])
    ends: list[float] = []
    for number, line in enumerate(ordered):
        places = [place(*point) for point in line.points]
        ends.append(max(places[-1][1] + 5, ends[-1] + 16 if ends else 0.0))
        colour = COLOURS[lines.index(line) % len(COLOURS)]
        drawn += _drawn(line, places, colour, above=number == 0, end=ends[-1])
    path.write_text("\n".join([*drawn, "</svg>", ""]))


def _drawn(line: Line, places: Sequence[tuple[float, float]], colour: str, *, above: bool, end: float) -> list[str]:
    trace = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    drawn = [f'<polyline points="{trace}" fill="none" stroke="{colour}" stroke-width="2"/>']
    away = -10 if above else 20
    for (x, y), (_, value) in zip(places, line.points, strict=True):
        words = f"{value:,.0f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 - more digits say nothing.
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{y + away:.1f}" text-anchor="middle" fill="{colour}">{words}</text>')
    drawn.append(f'<text x="{places[-1][0] + 30:.1f}" y="{end:.1f}" fill="{colour}">{escape(line.label)}</text>')
    return drawn
