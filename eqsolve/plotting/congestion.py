"""Figures of congestion games: the map coloured by use, how a run converged, how much vehicles regret their routes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import InvalidData
from eqsolve.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, legend_above, new_figure

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from eqsolve.aggregative.congestion_games.game import CongestionGame
    from eqsolve.aggregative.congestion_games.network import RoadNetwork

ASIDE = 0.012
"""How far a road is drawn to the right of the line between its ends, in widths of the map."""
LABELLED = 60
"""The most nodes that are named, and the most of which the directions of the roads are shown."""
LINES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"), (ORANGE, "v", "-"), (SKY, "x", "--"))
"""Colour, marker and line of a run."""


def map_figure(game: CongestionGame, x: FloatArray, capacity: FloatArray | None = None) -> Figure:
    """The roads on a map, coloured by flow over capacity, the wider the more flow; directions and parallel roads side by side.

    Parameters
    ----------
    x : (R,) flows. capacity : (R,), 0 where a road has none; those of BPR costs when left out. Without any, the colour is the flow.

    Raises
    ------
    InvalidData : not a game of roads, shapes.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    network = game.network
    if network is None:
        raise InvalidData("the game has listed actions and no map", "Maps are drawn of games of routes through a road network.")
    given = _capacity(game.costs) if capacity is None else capacity
    flow = float_array("x", x, (game.n_coordinates,))
    shade = flow
    if given is not None:
        room = float_array("capacity", given, flow.shape)
        shade = np.divide(flow, room, out=np.zeros_like(flow), where=room > 0)
    place = places(network)
    ends, unit, span = _lines(network, place)
    figure = new_figure(7.0, 6.4)
    axis = figure.subplots()
    share = flow / max(float(flow.max()), 1e-300)
    style: dict[str, Any] = {"array": shade, "cmap": _colours(), "clim": (0.0, float(shade.max()) or 1.0)}
    roads = LineCollection(list(ends), linewidths=(0.8 + 4.2 * share).tolist(), capstyle="butt", **style)
    axis.add_collection(roads)
    few = network.n_nodes <= LABELLED
    if few:
        long = (span * (0.012 + 0.01 * share))[:, None] * unit
        wide = 0.6 * np.column_stack((long[:, 1], -long[:, 0]))
        tip = 0.4 * ends[:, 0] + 0.6 * ends[:, 1] + long
        heads = np.stack((tip, tip - 2 * long + wide, tip - 2 * long - wide), axis=1)
        axis.add_collection(PolyCollection(list(heads), **style))
    axis.plot(*place.T, linestyle="", marker="o", markersize=11 if few else 3, color="white", markeredgecolor=GREY)
    if few:
        for node, (at, up) in enumerate(place):
            axis.annotate(network.node_label(node), (at, up), ha="center", va="center", fontsize=7)
    axis.set_aspect("equal", adjustable="datalim")
    axis.autoscale_view()
    axis.margins(0.04)
    axis.set_axis_off()
    figure.colorbar(roads, ax=axis, shrink=0.7, label="flow" if given is None else "flow / capacity")
    return figure


def places(network: RoadNetwork) -> FloatArray:
    """(n_nodes, 2) where nodes are drawn: their positions, or where they have none by the lengths of the ways between them."""
    import networkx as nx

    if network.position is not None:
        return network.position
    graph = nx.Graph()
    graph.add_nodes_from(range(network.n_nodes))
    graph.add_edges_from(zip(network.tail.tolist(), network.head.tolist(), strict=True))
    whole = 2 < network.n_nodes <= LABELLED and nx.is_connected(graph)
    found = nx.kamada_kawai_layout(graph) if whole else nx.spring_layout(graph, seed=0)
    return np.array([found[node] for node in range(network.n_nodes)])


def _lines(network: RoadNetwork, place: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """(R, 2, 2) the lines, (R, 2) their directions, and the width of the map; a road without a neighbour is in the middle."""
    ends = place[np.column_stack((network.tail, network.head))]
    along = ends[:, 1] - ends[:, 0]
    unit = along / np.maximum(np.hypot(*along.T), 1e-12)[:, None]
    span = float(np.ptp(place, axis=0).max()) or 1.0
    links = list(zip(network.tail.tolist(), network.head.tolist(), strict=True))
    total, met, aside = Counter(links), Counter[tuple[int, int]](), np.zeros(len(links))
    for r, link in enumerate(links):
        back = link[::-1] in total
        aside[r] = 1 + 2 * met[link] if back else 2 * met[link] - (total[link] - 1)
        met[link] += 1
    shift = (ASIDE * span * aside)[:, None] * np.column_stack((unit[:, 1], -unit[:, 0]))
    return np.asarray(ends + shift[:, None, :]), unit, span


def _capacity(costs: Any) -> FloatArray | None:
    """The capacities of BPR costs, also below tolls."""
    while not hasattr(costs, "capacity") and hasattr(costs, "costs"):
        costs = costs.costs
    return getattr(costs, "capacity", None)


def _colours() -> Colormap:
    """From a green that is seen on white to nearly black."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis_r"](np.linspace(0.12, 1.0, 256)), name="use")


def convergence_figure(**results: Any) -> Figure:
    """The relative gap against the iterations and against the seconds, a line per run.

    Parameters
    ----------
    results : by name; their histories have the column ``relative_gap``.
    """
    figure = new_figure(8.0, 3.8)
    axes = figure.subplots(1, 2, sharey=True)
    for k, (name, result) in enumerate(results.items()):
        gaps = np.asarray(result.history["relative_gap"], dtype=np.float64)
        color, marker, line = LINES[k % len(LINES)]
        style = {"color": color, "marker": marker, "linestyle": line, "markersize": 3, "label": name.replace("_", " ")}
        for axis, steps in zip(axes, (np.arange(1, len(gaps) + 1), result.history.seconds), strict=True):
            axis.plot(steps, np.where(gaps > 0, gaps, np.nan), **style)
    for axis, label in zip(axes, ("iterations", "seconds"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel=label)
        axis.grid(visible=True, alpha=0.3)
    axes[0].set_ylabel("relative gap")
    legend_above(figure, axes[:1], 4)
    return figure


def regret_figure(result: Any, bins: int = 30) -> Figure:
    """How many vehicles could gain how much by another route: exact for vehicles one by one, else the excess over the cheapest."""
    from eqsolve.aggregative.congestion_games.certificate import regret_histogram

    edges, vehicles = regret_histogram(result.game, result.policy, bins)
    most = result.gap.upper
    figure = new_figure(6.0, 3.6)
    axis = figure.subplots()
    axis.stairs(vehicles, edges, fill=True, color=BLUE, label="vehicles" if most else "all vehicles: none would save anything")
    axis.axvline(most, color=BLACK, linestyle="--", linewidth=1, label=f"Nash gap {most:.3g}")
    axis.set(xlabel="what another route would save", ylabel="vehicles", yscale="symlog", ylim=(0, 3 * vehicles.max()))
    axis.margins(x=0.02)
    legend_above(figure, [axis], 2)
    return figure
