"""Curves inside a page: a line chart as an SVG."""

from collections.abc import Sequence
from typing import NamedTuple

LEFT, RIGHT, ABOVE, BELOW = 44, 8, 22, 34  # the margins around the axes, in units of the drawing


class LineChart(NamedTuple):
    """Axes from 0 to `right` and from 0 to `top`. What is higher stands at the top, and so does NaN."""

    right: float
    top: float
    width: int = 320  # of the drawing, in its units: letters are 11 high
    height: int = 200

    def x(self, value: float) -> float:
        """Where a value stands, from the left."""
        return LEFT + value / self.right * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value stands, from above."""
        share = min(value / self.top, 1.0) if value == value else 1.0
        return self.height - BELOW - share * (self.height - BELOW - ABOVE)

    def curve(self, points: Sequence[tuple[float, float]], colour: str, thick: float = 1.8, dash: str = "none") -> str:
        """A line through points; a dot where there is only one."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{thick}" '
        return f'{line}stroke-dasharray="{dash}"/>{self.dot(*points[0], colour) if len(points) == 1 else ""}'

    def level(self, y: float, colour: str = "currentColor", thick: float = 1, dash: str = "2 3", name: str = "") -> str:
        """A dashed line from side to side, with its name over its end."""
        line = self.curve([(0, y), (self.right, y)], colour, thick, dash)
        return line + _text(self.width - RIGHT - 2, self.y(y) - 4, name, "end")

    def dot(self, x: float, y: float, colour: str, radius: float = 2.5) -> str:
        """A point of a curve."""
        return f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius}" fill="{colour}"/>'

    def svg(
        self, title: str, below: str, across: Sequence[float], up: Sequence[float], drawn: str, form: str = "{:g}"
    ) -> str:
        """What is drawn, in its axes: what they show, where their ticks are, and the form of the numbers that go up.

        It is hidden from screen readers: words around it have to say what it shows.
        """
        floor, edge = self.height - BELOW, self.width - RIGHT
        grid = "".join(f'<path d="M{LEFT} {self.y(y):.1f}H{edge}" stroke="currentColor" opacity=".15"/>' for y in up)
        ticks = "".join(_text(LEFT - 5, self.y(y) + 4, form.format(y), "end") for y in up) + "".join(
            _text(self.x(x), floor + 15, f"{x:g}", "end" if x == self.right else "middle") for x in across
        )
        names = f'<text x="{LEFT}" y="13" font-weight="600">{title}</text>'
        names += _text((LEFT + self.width) / 2, self.height - 4, below)
        style = "width: 100%; color: var(--jp-ui-font-color1, inherit); font: 11px var(--jp-ui-font-family, sans-serif)"
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" style="{style}" fill="currentColor" aria-hidden="true">'
            f"{grid}{ticks}{names}{drawn}</svg>"
        )


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'
