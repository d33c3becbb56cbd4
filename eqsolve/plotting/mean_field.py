"""Figures of games of one global agent and many local ones: returns and gaps against k, run times, where agents are over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.plotting.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, legend_above, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from eqsolve.mean_field.online.execution import Rollouts

Rows = Sequence[Mapping[str, Any]]

METHODS = {
    "exact": (BLUE, "o", "-"),
    "sampled": (VERMILION, "s", "--"),
    "steer to the mode": (GREEN, "^", ":"),
    "authors": (ORANGE, "D", "-."),
    "ascent": (PURPLE, "v", "-"),
}
"""Colour, marker and line of a method."""
OTHER = (GREY, "x", "-")
ASIDE = 1.02
"""Factor between the places of two methods at the same k, so that their intervals are told apart."""


def returns_figure(rows: Rows) -> Figure:
    """Returns with their intervals against k, above the certified distances to the best: a column per form of the rewards.

    Parameters
    ----------
    rows : with the keys rewards, method, k, return, half_width, gap and gap_half_width; a gap may be None.
    """
    forms = list(dict.fromkeys(row["rewards"] for row in rows))
    figure = new_figure(4.6 * len(forms), 6.4)
    axes = figure.subplots(2, len(forms), sharex=True, squeeze=False)
    for column, form in enumerate(forms):
        above, below = axes[:, column]
        methods = _by_method(rows, form)
        for place, (method, here) in enumerate(methods.items()):
            aside = ASIDE ** (place - (len(methods) - 1) / 2)
            color, marker, line = METHODS.get(method, OTHER)
            style = {"color": color, "marker": marker, "linestyle": line, "markersize": 5, "capsize": 2, "label": method}
            proved = [row for row in here if row["gap"] is not None]
            for axis, found, keys in ((above, here, ("return", "half_width")), (below, proved, ("gap", "gap_half_width"))):
                if found:
                    mean, half = (_of(found, key) for key in keys)
                    axis.errorbar([aside * k for k in _of(found, "k")], mean, yerr=half, **style)
        above.set_title(f"{form} rewards", fontsize=10)
        below.set(ylim=(0, None))
        for axis in (above, below):
            _against_k(axis, rows)
        above.set_xlabel("")
    axes[0, 0].set_ylabel("discounted return")
    axes[1, 0].set_ylabel("bound of the best minus return")
    legend_above(figure, axes[0], len(METHODS))
    return figure


def seconds_figure(rows: Rows) -> Figure:
    """Seconds to find the policy against k, a line per method and form of the rewards."""
    figure = new_figure(7.4, 3.8)
    axis = figure.subplots()
    for form, style in zip(dict.fromkeys(row["rewards"] for row in rows), ("full", "none"), strict=False):
        for method, here in _by_method(rows, form).items():
            timed = [row for row in here if row["seconds"]]
            color, marker, line = METHODS.get(method, OTHER)
            if timed:
                label = f"{method}, {form} rewards"
                axis.plot(
                    _of(timed, "k"), _of(timed, "seconds"), color=color, marker=marker, linestyle=line, fillstyle=style, label=label
                )
    axis.set(yscale="log", ylabel="seconds")
    _against_k(axis, rows)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure


def zones_figure(runs: Mapping[int, Rollouts], names: Sequence[str] = (), chosen: str = "choice of the global agent") -> Figure:
    """The share of local agents in each state over time, with the choice of the global agent and the true mode, a panel per k.

    Parameters
    ----------
    runs : by k; the first recorded rollout of each is drawn. names : of the local states.
    """
    figure = new_figure(8.0, 2.0 * len(runs) + 0.6)
    axes = figure.subplots(len(runs), 1, sharex=True, squeeze=False)[:, 0]
    image: Any = None
    most = max(float((run.counts[0] / run.counts[0].sum(axis=1, keepdims=True)).max()) for run in runs.values())
    for axis, (k, run) in zip(axes, runs.items(), strict=True):
        shares = run.counts[0].T / run.counts[0][0].sum()
        steps = np.arange(shares.shape[1])
        image = axis.imshow(shares, aspect="auto", origin="lower", cmap="Greys", vmin=0.0, vmax=most)
        axis.step(steps, run.choices[0], where="mid", color=BLUE, linewidth=1.4, label=chosen)
        axis.step(
            steps, run.modes[0], where="mid", color=VERMILION, linewidth=1.4, linestyle="--", label="state of most local agents"
        )
        hits = float(np.mean(run.choices[0] == run.modes[0]))
        axis.set_title(f"k = {k}: the choice is the mode in {100 * hits:.0f} % of the steps", fontsize=9)
        labels = list(names) or [str(z) for z in range(len(shares))]
        axis.set_yticks(range(len(shares)), labels, fontsize=8)
    axes[-1].set_xlabel("step")
    figure.colorbar(image, ax=list(axes), label="share of the local agents", shrink=0.8)
    legend_above(figure, axes[:1], 2)
    return figure


def surrogate_figure(rows: Rows) -> Figure:
    """The best value of the k-surrogate, which falls, beside the return among all agents, which rises, against k.

    Parameters
    ----------
    rows : with the keys k, surrogate, return and half_width.
    """
    figure = new_figure(5.6, 3.6)
    axis = figure.subplots()
    axis.plot(_of(rows, "k"), _of(rows, "surrogate"), color=SKY, marker="s", label="value of the k-surrogate")
    axis.errorbar(
        _of(rows, "k"), _of(rows, "return"), yerr=_of(rows, "half_width"), color=BLUE, marker="o", label="return among all"
    )
    axis.set_ylabel("discounted reward")
    _against_k(axis, rows)
    legend_above(figure, [axis], 2)
    return figure


def _against_k(axis: Axes, rows: Rows) -> None:
    """A logarithmic axis of the k that there are."""
    ks = sorted({int(row["k"]) for row in rows})
    axis.set(xscale="log", xlabel="k, local agents seen")
    axis.set_xticks(ks, [str(k) for k in ks])
    axis.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    axis.grid(visible=True, alpha=0.3)


def _by_method(rows: Rows, form: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted((row for row in rows if row["rewards"] == form), key=lambda one: int(one["k"])):
        found.setdefault(row["method"], []).append(row)
    return found


def _of(rows: Rows, key: str) -> list[float]:
    return [float(row[key]) for row in rows]
