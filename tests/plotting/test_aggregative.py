"""The figures of aggregative Markov games: what is drawn is what the result says."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative.markov import AggreVI, StateWise, random_markov
from eqsolve.aggregative.markov.generators import learning_instance
from eqsolve.plotting.aggregative import LINES, aggregator_figure, gap_figure, learning_figure, occupancy, occupancy_figure


@pytest.fixture(scope="module", params=[1, LINES + 1], ids=["few coordinates", "many coordinates"])
def result(request):
    game = random_markov(8, (1, 3), request.param, states=2, horizon=3)
    return eqsolve.solve(game, StateWise(cells=1))


def by_enumeration(result):
    """Expected aggregators (H, d) and action shares by walking over all paths of states."""
    game, H = result.game, result.game.horizon
    path, shares = np.zeros((H, game.n_coordinates)), [{} for _ in range(H)]
    walks = [(s, p) for s, p in enumerate(game.initial) if p > 0]
    for h in range(H):
        following = []
        for s, p in walks:
            columns = [int(game.offsets[t]) + int(a) for t, a in zip(game.player_types, result.actions[h, s], strict=True)]
            x = sum(game.contribution[h, c] for c in columns)
            path[h] += p * x
            for c in columns:
                label = game.action_label(c)
                shares[h][label] = shares[h].get(label, 0.0) + p / game.n_players
            following += [(t, p * q) for t, q in enumerate(game.transition.at(h, s, x)) if q > 0]
        walks = following
    return path, shares


def test_the_path_of_the_aggregator(result, tmp_path):
    figure = aggregator_figure(result)
    figure.savefig(tmp_path / "a.png")
    path, _ = by_enumeration(result)
    if result.game.n_coordinates <= LINES:
        drawn = np.stack([line.get_ydata() for line in figure.axes[0].lines], axis=1)
    else:
        drawn = figure.axes[0].images[0].get_array().T
    np.testing.assert_allclose(drawn, path, atol=1e-12)


def test_the_shares_of_the_actions(result, tmp_path):
    occupancy_figure(result).savefig(tmp_path / "a.png")
    names, shares = occupancy(result)
    _, expected = by_enumeration(result)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    for h, row in enumerate(expected):
        np.testing.assert_allclose(shares[h], [row.get(name, 0.0) for name in names], atol=1e-12)


def test_the_gap_beside_the_bounds(result, tmp_path):
    figure = gap_figure(result)
    figure.savefig(tmp_path / "a.png")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[0] == "exact gap"
    assert set(names[1:]) <= {bound.name for bound in result.bounds}


def test_a_learning_curve(tmp_path):
    game = learning_instance(4)
    learned = eqsolve.solve(game, AggreVI(episodes=2000, width=0.9, bonus="span"))
    figure = learning_figure(learned)
    figure.savefig(tmp_path / "a.png")
    above, below = figure.axes
    now, best, exact = above.lines
    np.testing.assert_array_equal(now.get_ydata(), learned.history["delta"])
    np.testing.assert_array_equal(best.get_ydata(), np.minimum.accumulate(learned.history["delta"]))
    assert exact.get_ydata()[0] == max(learned.gap.upper, 1e-300)
    np.testing.assert_array_equal(below.lines[0].get_ydata(), learned.history["upper"])
