"""Figures of aggregative Markov games: where the aggregator goes, who plays what when, gaps beside bounds, learning curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.plotting.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eqsolve.aggregative.markov.result import PureMarkov
    from eqsolve.arrays import FloatArray

COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK, GREY)
LINES = 8
"""Coordinates or actions that a panel shows as lines or areas; more make a heat map, or a rest."""


def aggregator_figure(result: PureMarkov) -> Figure:
    """The expected aggregator by step, a line per coordinate or a heat map of many, above the probabilities of the states."""
    game, path, visits = result.game, result.mean_aggregator(), result.visits()
    names = game.coordinates or tuple(f"coordinate {k}" for k in range(game.n_coordinates))
    figure = new_figure(7.0, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    steps = np.arange(game.horizon)
    if len(names) <= LINES:
        for k, name in enumerate(names):
            above.plot(steps, path[:, k], color=COLORS[k], marker="o", markersize=4, label=name)
        above.set_ylabel("expected aggregator")
        above.legend(fontsize=8, frameon=False)
        above.grid(visible=True, alpha=0.3)
    else:
        _heat(figure, above, path.T, "expected aggregator")
        above.set_ylabel("coordinate")
    states = game.states or tuple(f"state {s}" for s in range(game.n_states))
    _heat(figure, below, visits.T, "probability")
    below.set(xlabel="step", ylabel="state", xticks=_ticks(game.horizon))
    if len(states) <= LINES:
        below.set_yticks(range(len(states)), states, fontsize=8)
    return figure


def occupancy_figure(result: PureMarkov) -> Figure:
    """The expected share of players on every action by step, actions of one name being one."""
    names, shares = occupancy(result)
    figure = new_figure(7.0, 3.8)
    axis = figure.subplots()
    order = np.argsort(-shares.sum(axis=0), kind="stable")
    shown, rest = order[:LINES], order[LINES:]
    parts, labels = [shares[:, k] for k in shown], [names[k] for k in shown]
    if len(rest):
        parts.append(shares[:, rest].sum(axis=1))
        labels.append(f"{len(rest)} others")
    palette = (*COLORS, "#dddddd")
    axis.stackplot(range(len(shares)), *parts, labels=labels, colors=palette[: len(parts)], step="mid", alpha=0.85)
    axis.set(xlabel="step", ylabel="share of players", ylim=(0, 1), xlim=(0, max(len(shares) - 1, 1)), xticks=_ticks(len(shares)))
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure


def occupancy(result: PureMarkov) -> tuple[list[str], FloatArray]:
    """The names of the actions, and the expected share of players on each by step (H, names)."""
    game, visits = result.game, result.visits()
    labels = [game.action_label(c) for c in range(game.n_columns)]
    names = list(dict.fromkeys(labels))
    at = np.array([names.index(one) for one in labels])
    shares = np.zeros((game.horizon, len(names)))
    for h in range(game.horizon):
        for s in np.flatnonzero(visits[h]):
            plays = np.bincount(game.column_of(result.actions[h, s]), minlength=game.n_columns)
            shares[h] += visits[h, s] * np.bincount(at, weights=plays, minlength=len(names)) / game.n_players
    return names, shares


def gap_figure(result: PureMarkov) -> Figure:
    """The exact gap, and every bound that holds as a bar made of its terms, on a logarithmic scale."""
    of_gaps = [one for one in result.bounds if "welfare" not in one.name]
    bounds = [one for one in of_gaps if one.value is not None and np.isfinite(one.value) and one.value > 0]
    figure = new_figure(7.0, 1.4 + 0.5 * (len(bounds) + 1))
    axis = figure.subplots()
    gap = result.gap.upper
    least = min([one.value for one in bounds if one.value is not None] + ([gap] if gap > 0 else [])) if bounds or gap > 0 else 1.0
    floor = 0.3 * least
    axis.barh(0, max(gap, floor), color=BLACK)
    axis.text(max(gap, floor), 0, f" {gap:.3g}", va="center", fontsize=8)
    for row, bound in enumerate(bounds, start=1):
        assert bound.value is not None
        terms = bound.terms or {"": bound.value}
        total = sum(terms.values())
        # On a logarithmic axis lengths do not add up, so that a bar of the bound's length is cut in the proportions of its terms.
        at, reach = np.log(floor), np.log(bound.value) - np.log(floor)
        for k, (name, term) in enumerate(sorted(terms.items(), key=lambda one: -one[1])):
            share = reach * term / total
            axis.barh(row, np.exp(at + share) - np.exp(at), left=np.exp(at), color=COLORS[k % len(COLORS)], alpha=0.85)
            if share > 0.12 * len(name):  # in powers of e, of which the axis has about ten
                axis.text(np.exp(at + 0.5 * share), row, name, ha="center", va="center", fontsize=7, color="white")
            at += share
        axis.text(bound.value, row, f" {bound.value:.3g}", va="center", fontsize=8)
    axis.set(xscale="log", xlabel="gap, in units of reward", xlim=(floor, None))
    axis.set_yticks(range(len(bounds) + 1), ["exact gap", *(one.name for one in bounds)], fontsize=8)
    axis.margins(x=0.15)
    axis.invert_yaxis()
    return figure


def learning_figure(result: Any) -> Figure:
    """The width of the confidence bounds of the best iterate against the episodes played, above the bounds themselves.

    Parameters
    ----------
    result : of a learner, whose history has the columns ``episodes``, ``delta``, ``best``, ``upper`` and ``lower``.
    """
    history = result.history
    episodes = np.maximum(history["episodes"], 1)  # the first plan rests on none
    figure = new_figure(7.0, 5.2)
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(episodes, history["delta"], color=SKY, linewidth=1, label="width of the present policy")
    above.plot(episodes, history["best"], color=BLUE, label="least so far")
    above.axhline(max(result.gap.upper, 1e-300), color=VERMILION, linestyle="--", label="exact gap of the policy handed back")
    above.set(xscale="log", yscale="log", ylabel="width")
    above.legend(fontsize=8, frameon=False)
    below.fill_between(episodes, history["lower"], history["upper"], color=SKY, alpha=0.4, label="confidence bounds")
    below.plot(episodes, history["upper"], color=BLUE, linewidth=1)
    below.plot(episodes, history["lower"], color=BLUE, linewidth=1)
    below.set(xlabel="episodes", ylabel="value, widest player")
    below.legend(fontsize=8, frameon=False)
    for axis in (above, below):
        axis.grid(visible=True, alpha=0.3)
    return figure


def _heat(figure: Figure, axis: Any, values: FloatArray, name: str) -> None:
    image = axis.imshow(values, aspect="auto", origin="lower", cmap="viridis", vmin=0.0 if values.min() >= 0 else None)
    figure.colorbar(image, ax=axis, label=name)


def _ticks(steps: int) -> list[int]:
    return list(range(0, steps, max(1, -(-steps // 12))))
