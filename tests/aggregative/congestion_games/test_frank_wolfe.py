"""The method of Frank and Wolfe: its gap by other means, its line search, runs that are cut."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative.congestion_games import AffineCosts, FrankWolfe, PathEquilibrium, braess, grid_city, random_listed
from eqsolve.aggregative.congestion_games.frank_wolfe import best_share
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.congestion_games.roads import bpr_square, needs_data, relative_gap, sioux_falls, through_town, two_roads


@pytest.mark.parametrize("game", [bpr_square(), through_town(), random_listed(seed=2, weighted=True)], ids=lambda one: one.name)
def test_it_comes_to_the_same_objective(game):
    result = eqsolve.solve(game, FrankWolfe(5e-3))
    assert result.status is Status.CONVERGED
    assert relative_gap(game, result.policy) <= 5.01e-3
    best = eqsolve.solve(game, PathEquilibrium(1e-11)).state.objective
    (bound,) = result.bounds
    assert -1e-9 <= result.state.objective - best <= bound.value
    assert (np.diff(result.history["objective"]) <= 1e-12 * best).all()


def test_two_roads_need_one_step():
    result = eqsolve.solve(two_roads(), FrankWolfe(1e-9))
    assert result.iterations == 1
    assert result.history["share"][0] == pytest.approx(8 / 36)


def test_braess():
    result = eqsolve.solve(braess(), FrankWolfe(1e-3))
    assert result.value == pytest.approx(6 * 92.0, rel=1e-2)


def test_the_line_search_finds_the_least_of_the_way():
    game, rng = bpr_square(), np.random.default_rng(0)
    for _ in range(10):
        x, y = rng.uniform(0, 30, (2, 8))
        share = best_share(game.costs, x, y - x)
        objective = [float(game.costs.integral(x + s * (y - x)).sum()) for s in (share, *np.linspace(0, 1, 101))]
        assert objective[0] <= min(objective) + 1e-9 * abs(objective[0])
    assert best_share(game.costs, x, np.full(8, -1.0)) == 1.0
    assert best_share(game.costs, x, np.full(8, 1.0)) == 0.0


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    game = grid_city(4, 4, zones=6, seed=1)
    whole = eqsolve.solve(game, FrankWolfe(1e-3))
    eqsolve.solve(game, FrankWolfe(1e-3), checkpoint=Checkpoints(tmp_path), limits=Limits(iterations=2))
    resumed = eqsolve.solve(game, FrankWolfe(1e-3), checkpoint=Checkpoints(tmp_path, resume=True))
    assert to_bytes(resumed.state) == to_bytes(whole.state)
    assert resumed.history.equals(whole.history)


def test_it_is_refused_what_it_cannot_do():
    with pytest.raises(InvalidData, match="tolerance is -1, not above 0"):
        FrankWolfe(-1.0)
    with pytest.raises(InvalidGame, match="no convex program"):
        eqsolve.solve(two_roads().with_costs(AffineCosts([9.0, 9.0], [-0.1, 0.5])), FrankWolfe())


@needs_data
def test_sioux_falls_to_two_digits():
    result = eqsolve.solve(sioux_falls(), FrankWolfe(1e-2))
    assert relative_gap(sioux_falls(), result.policy) <= 1.01e-2
    assert result.algorithm.program(result).n_columns > 0
