"""The history of a run as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.errors import InvalidData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eqsolve.driver.result import Result

DECADES = 100.0
"""Ratio of the largest to the smallest positive value from which an axis is logarithmic."""


def history_figure(result: Result[Any, Any, Any], columns: tuple[str, ...]) -> Figure:
    """One panel per column over the iterations, without any window: ``figure.savefig`` writes it.

    Raises
    ------
    InvalidData : the run has no iterations. UnknownName : no such column.
    """
    from matplotlib.figure import Figure

    history = result.history
    names = columns or history.columns
    if not len(history):
        raise InvalidData("the run has no iterations to plot")
    series = {name: history[name].astype(np.float64) for name in names}
    figure = Figure(figsize=(7.0, 1.2 + 1.7 * len(names)), layout="constrained")
    axes = np.atleast_1d(figure.subplots(len(names), 1, sharex=True))
    for axis, (name, values) in zip(axes, series.items(), strict=True):
        axis.plot(np.arange(1, len(values) + 1), values, marker="." if len(values) < 50 else "")
        axis.set_ylabel(name)
        axis.grid(visible=True, alpha=0.3)
        finite = values[np.isfinite(values)]
        if finite.size and finite.min() > 0 and finite.max() > DECADES * finite.min():
            axis.set_yscale("log")
    axes[-1].set_xlabel("iteration")
    model = getattr(result.game, "name", result.system.name)
    figure.suptitle(f"{model}: {type(result.algorithm).__name__}, {result.status}", fontsize=10)
    return figure
