"""Figures of the reproduction of the Bayesian-network paper, made of the rows of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.plotting.style import BLACK, BLUE, GREEN, GREY, PURPLE, SKY, VERMILION, legend_above, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

NETWORKS = {"product": (VERMILION, "o", "-"), "chain": (GREEN, "s", "-"), "dense": (BLUE, "^", "-")}
"""Colour, marker and line of a network."""
METHODS = {
    "LBFGS": (-0.15, "o", "L-BFGS"),
    "AgentwiseBarrierIteration": (0.15, "s", "barrier steps"),
    "BarrierPolicyIteration": (0.15, "s", "barrier steps"),
}
"""Place, marker and name of a method."""
VARIANTS = {
    "paper": (SKY, "--", "as printed"),
    "corrected": (BLACK, "-.", "corrected"),
    "sharp": (PURPLE, ":", "sharp or telescoped"),
    "telescoped": (PURPLE, ":", "sharp or telescoped"),
}
"""Colour, line and name of a form of a theorem."""
GAPS = ("least_nash_gap", "least_optimality_gap")


def stuck_figure(rows: Rows) -> Figure:
    """The optimality gap of every run by lambda: a panel per game, colours by network, markers by method."""
    games = _distinct(rows, "game")
    figure = new_figure(3.3 * len(games), 3.6)
    axes = figure.subplots(1, len(games), sharey=True, squeeze=False)[0]
    lambdas = sorted({row["lambda"] for row in rows})
    for axis, game in zip(axes, games, strict=True):
        here = [row for row in rows if row["game"] == game]
        pays = [next(row["lambda_M"] for row in here if row["lambda"] == lam) for lam in lambdas]
        places = np.arange(len(lambdas))
        axis.hlines(pays, places - 0.35, places + 0.35, color=BLACK, linestyle="--", linewidth=1.2, label="lambda M")
        for network, (method, (shift, marker, name)) in product(("product", "dense"), METHODS.items()):
            found = [row for row in here if (row["network"], row["method"]) == (network, method)]
            x, y = [lambdas.index(row["lambda"]) + shift for row in found], [row["optimality_gap"] for row in found]
            style = {"marker": marker, "color": NETWORKS[network][0], "fillstyle": "none", "markersize": 7, "linestyle": ""}
            if found:
                axis.plot(x, y, label=f"{network}, {name}", **style)
        axis.set(yscale="log", xlabel="lambda", xlim=(-0.6, len(lambdas) - 0.4))
        axis.set_xticks(places, [f"{lam:g}" for lam in lambdas])
        axis.set_title(game, fontsize=10)
        axis.grid(visible=True, axis="y", alpha=0.3)
    axes[0].set_ylabel("optimality gap")
    legend_above(figure, axes, 5)
    return figure


def convergence_figure(rows: Rows) -> Figure:
    """The least gaps so far against the iterations: a column of panels per game, a line per network."""
    figure, axes = _panels(rows)
    for game, column in axes.items():
        for network, here in _by_network(rows, game).items():
            _measured(column, network, here)
        first = next(row for row in rows if row["game"] == game)
        pays = first["lambda"] * first["M"]
        for axis, factor, name in ((column[0], 2.0, "2 lambda M"), (column[1], 1.0, "lambda M")):
            axis.axhline(factor * pays, color=GREY, linestyle=":", linewidth=1.2)
            axis.annotate(
                name,
                (0.02, factor * pays),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                fontsize=8,
            )
    legend_above(figure, [column[0] for column in axes.values()], 3)
    return figure


def bounds_figure(rows: Rows, promises: Rows) -> Figure:
    """The same beside what Theorems 1 and 2 promise for the dense network.

    Parameters
    ----------
    promises : with the keys game, theorem, variant, T and gap.
    """
    figure, axes = _panels(rows)
    for game, column in axes.items():
        here = [row for row in rows if row["game"] == game]
        for network, measured in _by_network(rows, game).items():
            _measured(column, network, measured)
        for axis, theorem in zip(column, ("theorem 1", "theorem 2"), strict=True):
            told = [row for row in promises if (row["game"], row["theorem"]) == (game, theorem)]
            for variant in _distinct(told, "variant"):
                curve = [(row["T"], row["gap"]) for row in told if row["variant"] == variant]
                color, line, name = VARIANTS[variant]
                axis.plot(*zip(*curve, strict=True), color=color, linestyle=line, linewidth=1.4, label=f"bound for dense, {name}")
        for axis, key in zip(column, GAPS, strict=True):
            low, high = min(row[key] for row in here) / 2, here[0]["span"] * 8
            axis.axhspan(here[0]["span"], high, color=GREY, alpha=0.2, linewidth=0, label="more than any policy loses")
            axis.set_ylim(low, high)
    legend_above(figure, [axis for column in axes.values() for axis in column], 4)
    return figure


def structure_figure(rows: Rows) -> Figure:
    """For every search the network with the worth of its edges, and value and objective against the number of edges."""
    games = _distinct(rows, "game")
    figure = new_figure(9.0, 3.8 * len(games))
    axes = figure.subplots(len(games), 2, squeeze=False)
    for (graph, curve), game in zip(axes, games, strict=True):
        here = [row for row in rows if row["game"] == game]
        _draw_network(graph, here)
        graph.set_title(f"{game}: what each edge adds to the objective", fontsize=10)
        edges = [row["edges"] for row in here]
        curve.plot(edges, [row["value"] for row in here], marker="o", color=BLUE, label="value")
        curve.plot(edges, [row["objective"] for row in here], marker="s", color=VERMILION, linestyle="--", label="objective")
        curve.set(xlabel="number of edges", xticks=edges)
        curve.grid(visible=True, alpha=0.3)
        curve.legend(fontsize=8)
    return figure


def _draw_network(axis: Axes, rows: Rows) -> None:
    """Agents on a circle; the wider an edge, the more it is worth."""
    import networkx as nx
    from matplotlib.patches import FancyArrowPatch

    worth = {tuple(map(int, row["edge"].split(" -> "))): row["gain"] for row in rows if row["edge"]}
    places = nx.circular_layout(range(rows[0]["agents"]))
    most = max(worth.values(), default=1.0)
    for (parent, child), gain in worth.items():
        begin, end = places[parent], places[child]
        width = 1.0 + 4.0 * np.sqrt(gain / most)
        arrow = FancyArrowPatch(
            begin,
            end,
            arrowstyle="-|>",
            mutation_scale=10 + 2 * width,
            linewidth=width,
            color=SKY,
            shrinkA=13,
            shrinkB=13,
            zorder=1,
        )
        axis.add_patch(arrow)
        middle = 0.5 * (begin + end)
        axis.text(
            middle[0],
            middle[1],
            f"{gain:+.3g}",
            ha="center",
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )
    for agent, place in places.items():
        axis.plot(*place, marker="o", markersize=22, color="white", markeredgecolor=BLACK, zorder=2)
        axis.text(place[0], place[1], str(agent), ha="center", va="center", zorder=3)
    axis.set_aspect("equal")
    axis.margins(0.2)
    axis.axis("off")


def _panels(rows: Rows) -> tuple[Figure, dict[str, Any]]:
    """Two rows of panels, of the Nash and the optimality gap, and a column per game."""
    from matplotlib.ticker import NullFormatter

    games = _distinct(rows, "game")
    figure = new_figure(3.4 * len(games), 5.6)
    axes = figure.subplots(2, len(games), sharex="col", squeeze=False)
    for column, game in enumerate(games):
        axes[0, column].set_title(game, fontsize=10)
        axes[1, column].set_xlabel("iterations T")
        for axis in axes[:, column]:
            axis.set(xscale="log", yscale="log")
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.grid(visible=True, alpha=0.3)
    axes[0, 0].set_ylabel("least Nash gap")
    axes[1, 0].set_ylabel("least optimality gap")
    return figure, {game: axes[:, column] for column, game in enumerate(games)}


def _measured(axes: Any, network: str, rows: Rows) -> None:
    color, marker, line = NETWORKS[network]
    T = [row["T"] for row in rows]
    for axis, key in zip(axes, GAPS, strict=True):
        axis.plot(T, [row[key] for row in rows], color=color, marker=marker, markersize=3, linestyle=line, label=network)


def _by_network(rows: Rows, game: str) -> dict[str, list[Mapping[str, Any]]]:
    here = [row for row in rows if row["game"] == game]
    return {network: [row for row in here if row["network"] == network] for network in _distinct(here, "network")}


def _distinct(rows: Rows, key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))
