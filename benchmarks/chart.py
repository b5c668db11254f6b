"""Bars as an SVG file: what is longer is faster. No library, no script inside; its own white ground, for dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
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
