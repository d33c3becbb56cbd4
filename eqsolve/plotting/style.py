"""What the figures have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7"
"""The palette of Okabe and Ito, which colour-blind readers tell apart."""
GREY = "#888888"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def legend_above(figure: Figure, axes: Any, columns: int) -> None:
    """One legend for all panels, above them, in the order of the panel that has most lines."""
    found: dict[str, Any] = {}
    for axis in sorted(axes, key=lambda one: -len(one.get_legend_handles_labels()[1])):
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=columns, fontsize=8, frameon=False)
