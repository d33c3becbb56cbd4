"""What a result of a congestion game tells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    AtomicRouting,
    CongestionGame,
    ListedActions,
    PathEquilibrium,
    PathFlows,
    certify,
)
from eqsolve.aggregative.congestion_games.generators import braess
from eqsolve.aggregative.congestion_games.result import CongestionResult
from eqsolve.driver import Result, solve
from tests.aggregative.congestion_games.atomic_games import brute_force_gains, routed_game


def test_atomic_result_in_words_and_numbers():
    result = solve(braess(), AtomicRouting())
    text = str(result)
    # 92 for each of 6 vehicles: the textbook numbers.
    for line in ("Nash gap       0 ", "nobody gains", "share of trip  0 %", "social cost    552 ", "92 in the mean", "converged"):
        assert line in text
    more = result.details()
    assert (more["atomic"], more["social_cost"], more["mean_cost"], more["paths"], more["extra_paths"]) == (True, 552.0, 92.0, 3, 2)
    assert json.loads(json.dumps(result.to_json()))["value"] == 552.0
    assert result.aggregator.tolist() == [4.0, 2.0, 2.0, 2.0, 4.0]
    assert result.costs.tolist() == [40.0, 52.0, 12.0, 52.0, 40.0]


def test_the_bound_of_the_price_speaks_of_divisible_traffic_alone():
    """Three players of affine costs whose worst equilibrium costs 5/2 of the optimum (Awerbuch, Azar and Epstein 2005), not 4/3."""
    h, g = [0, 1, 2], [3, 4, 5]
    alone = [[h[i], g[i]] for i in range(3)]
    crossing = [[g[(i + 1) % 3], h[(i + 2) % 3], h[(i + 1) % 3]] for i in range(3)]
    actions = ListedActions.of([list(pair) for pair in zip(alone, crossing, strict=True)])
    game = CongestionGame(AffineCosts([0.0] * 6, [1.0] * 6), actions, [1, 1, 1])
    stuck = PathFlows([0, 1, 2], [0, 3, 6, 9], np.concatenate(crossing), [1, 1, 1], atomic=True)
    good = PathFlows([0, 1, 2], [0, 2, 4, 6], np.concatenate(alone), [1, 1, 1], atomic=True)
    assert certify(game, stuck).upper == certify(game, good).upper == 0.0
    assert [game.social_cost(game.aggregator(flows)) for flows in (stuck, good)] == [15.0, 6.0]
    whole, divided = solve(game, AtomicRouting()), solve(game, PathEquilibrium())
    assert divided.anarchy.value == pytest.approx(4 / 3)
    assert whole.anarchy.value is None
    assert "indivisible" in whole.anarchy.failed[0]
    assert "price of anarchy" in str(divided)
    assert "price of anarchy" not in str(whole)


def test_share_of_trip_is_the_largest_over_all_vehicles():
    game = routed_game(np.random.default_rng(11))
    result = solve(game, AtomicRouting(None, moves=0))
    gains = np.maximum(brute_force_gains(game, result.policy), 0.0)
    cost = result.policy.path_costs(result.costs)
    assert result.share == pytest.approx((gains / cost).max(), rel=1e-9)
    assert result.gains == pytest.approx(gains, rel=1e-9)
    assert "worst: a vehicle of type" in str(result)


def test_tables_add_up():
    game = routed_game(np.random.default_rng(3))
    result = solve(game, AtomicRouting())
    tables = result.tables()
    head, *rows = tables["resources.csv"]
    assert head == ("resource", "name", "flow", "cost")
    assert [row[2] for row in rows] == result.aggregator.tolist()
    assert sum(row[2] * row[3] for row in rows) == pytest.approx(result.social_cost)
    head, *rows = tables["paths.csv"]
    assert head == ("type", "path", "vehicles", "cost", "gain")
    assert sum(row[2] for row in rows) == game.count.sum()
    assert sum(row[2] * row[3] for row in rows) == pytest.approx(result.social_cost)


def test_fractional_result(tmp_path):
    game = routed_game(np.random.default_rng(3))
    result = solve(game, PathEquilibrium(1e-9))
    assert isinstance(result, CongestionResult)
    more = result.details()
    assert not more["atomic"]
    assert more["wardrop_regret"] == pytest.approx(result.gap.upper, abs=1e-12)
    assert more["relative_gap"] <= 1e-9
    assert "divisible traffic" in str(result)
    back = Result.load(result.save(tmp_path))
    assert back.recertified() == result.gap
    assert (tmp_path / "paths.csv").read_text().startswith("type,path,vehicles,cost,gain")
