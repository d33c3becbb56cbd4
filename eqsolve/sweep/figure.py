"""Gap and value of a sweep against its first varied setting, with their spread over the seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {"gap_upper": "gap", "value": "value"}
LARGEST = 1e300
"""From here on numbers stand as words along the axis."""
MOST_LINES = 10
"""Combinations of the other settings that are drawn as lines of their own; more are left to the table."""


def sweep_figure(rows: Sequence[Mapping[str, Any]], settings: Mapping[str, Sequence[Any]]) -> Figure | None:
    """Two panels: means over the seeds as lines, from the least to the largest as bands; None when no run has a finite answer.

    Along the axis stands the first setting of several values, or the seed when there is none; every combination of the others is
    a line.
    """
    answered = [row for row in rows if all(isinstance(row[column], float | int) for column in SHOWN)]
    if not answered:
        return None
    from matplotlib.figure import Figure

    varied = [key for key, values in settings.items() if len(values) > 1]
    along = varied[0] if varied else "seed"
    values = list(settings[along]) if varied else sorted({row["seed"] for row in answered})
    numeric = all(isinstance(one, float | int) and not isinstance(one, bool) and abs(one) < LARGEST for one in values)
    places = dict(zip(map(_mark, values), values if numeric else range(len(values)), strict=True))
    lines: dict[str, dict[float, list[Mapping[str, Any]]]] = {}
    for row in answered:
        name = ", ".join(f"{key.rpartition('.')[2]} {_mark(row[key])}" for key in varied[1:])
        lines.setdefault(name, {}).setdefault(places[_mark(row[along])], []).append(row)
    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    for axis, (column, label) in zip(axes, SHOWN.items(), strict=True):
        for name, points in list(lines.items())[:MOST_LINES]:
            x = sorted(points)
            spread = np.array([[f(row[column] for row in points[one]) for f in (min, _mean, max)] for one in x], dtype=np.float64)
            (drawn,) = axis.plot(x, spread[:, 1], marker="o", label=name)
            axis.fill_between(x, spread[:, 0], spread[:, 2], color=drawn.get_color(), alpha=0.2, linewidth=0)
        axis.set_ylabel(label)
        axis.grid(visible=True, alpha=0.3)
    axes[-1].set_xlabel(along)
    if not numeric:
        axes[-1].set_xticks(range(len(values)), [_mark(one) for one in values])
    if len(varied) > 1:
        axes[0].legend(fontsize=8)
        if len(lines) > MOST_LINES:
            figure.suptitle(f"{MOST_LINES} of {len(lines)} combinations", fontsize=10)
    return figure


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _mark(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
