"""What a result of a congestion game tells."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eqsolve.aggregative.congestion import PathEquilibrium
from eqsolve.aggregative.congestion.atomic import AtomicRouting
from eqsolve.aggregative.congestion.generators import braess
from eqsolve.aggregative.congestion.result import CongestionResult
from eqsolve.driver import Result, solve
from tests.aggregative.congestion.atomic_games import brute_force_gains, routed_game


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
