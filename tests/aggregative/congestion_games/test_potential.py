"""Potentials against sums vehicle by vehicle, and their decrease along the polish."""

from __future__ import annotations

from math import fsum

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    CongestionGame,
    ListedActions,
    PiecewiseLinearCosts,
    SumOfPowers,
)
from eqsolve.aggregative.congestion_games.certificate import certify
from eqsolve.aggregative.congestion_games.polish import sweep
from eqsolve.aggregative.congestion_games.potential import (
    beckmann,
    has_potential,
    rosenthal,
    rosenthal_change,
    vehicle_potential,
    weighted_potential,
)
from eqsolve.errors import InvalidGame
from tests.aggregative.congestion_games.atomic_games import (
    COSTS,
    MAKERS,
    brute_force_gains,
    flows_of,
    listed_game,
    random_costs,
    random_flows,
    routed_game,
)

CURVES = PiecewiseLinearCosts([[0.0, 2.0, 40.0], [0.0, 1.5, 3.0, 500.0]], [[1.0, 1.0, 4.0], [3.0, 2.0, 5.0, 6.0]])
FLAT = PiecewiseLinearCosts([[0.0], [0.0, 1.0]], [[1.5], [1.0, 2.0]])


def one_by_one(game, x):
    """Rosenthal's sum, vehicle by vehicle."""
    w = game.weight[0]
    total = []
    for r in range(game.n_coordinates):
        for k in range(1, round(x[r] / w) + 1):
            load = np.zeros(game.n_coordinates)
            load[r] = k * w
            total.append(game.costs.cost(load)[r])
    return fsum(total)


@pytest.mark.parametrize("kind", COSTS)
def test_rosenthal_adds_up_the_vehicles(kind):
    rng = np.random.default_rng(1)
    game = listed_game(rng, kind)
    flows, others = random_flows(game, rng), random_flows(game, rng)
    x, y = game.aggregator(flows), game.aggregator(others)
    assert rosenthal(game, x) == pytest.approx(one_by_one(game, x), rel=1e-13)
    assert rosenthal_change(game, x, y) == pytest.approx(one_by_one(game, y) - one_by_one(game, x), rel=1e-10)
    assert vehicle_potential(game, flows) == rosenthal(game, x)


def test_closed_form_of_many_vehicles():
    costs = BPRCosts([3.0, 5.0], 0.15, [20_000.0, 9_000.0], 4.0)
    game = CongestionGame(costs, ListedActions.of([[[0], [1]]], 2), [50_000.0])
    x = np.array([30_000.0, 20_000.0])
    plain = CallableCosts(costs.cost, costs.derivative, 2, costs.integral)
    slow = game.with_costs(plain)
    assert rosenthal(game, x) == pytest.approx(rosenthal(slow, x), rel=1e-13)
    one_moved = x + np.array([1.0, -1.0])
    exact = costs.cost(one_moved)[0] - costs.cost(x)[1]
    assert rosenthal_change(game, x, one_moved) == exact
    # The integral is below the sum of a rising cost, by half of the last cost at most or so.
    assert beckmann(game, x) < rosenthal(game, x) < beckmann(game, x) + costs.cost(x).sum()


@pytest.mark.parametrize(
    "costs", [SumOfPowers([[1.0, 0.3], [2.0, 0.01]], [[0.0, 4.6], [1.5, 2.25]]), CURVES, FLAT], ids=["powers", "curves", "flat"]
)
@pytest.mark.parametrize("loads", [(0, 7), (63, 64), (65, 3000)])
def test_formulas_add_up_the_vehicles(costs, loads):
    game = CongestionGame(costs, ListedActions.of([[[0], [1]]], 2), [float(sum(loads))], [0.75])
    x = 0.75 * np.array(loads, dtype=float)
    assert rosenthal(game, x) == pytest.approx(one_by_one(game, x), rel=1e-13)


def test_too_many_vehicles_for_a_function():
    by_function = CallableCosts(lambda x: 1.0 + x, lambda x: np.ones_like(x), 1)
    game = CongestionGame(by_function, ListedActions.of([[[0]]], 1), [1e9])
    with pytest.raises(InvalidGame, match="1,000,000,000 vehicles on all resources are too many"):
        rosenthal(game, np.array([1e9]))
    assert vehicle_potential(game, flows_of(game, [([0], 1e9)], atomic=True)) is None
    affine = game.with_costs(AffineCosts([1.0], [1.0]))
    assert rosenthal(affine, np.array([1e9])) == pytest.approx(1e9 + 1e9 * (1e9 + 1) / 2, rel=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_weighted_potential_of_affine_costs(seed):
    rng = np.random.default_rng(seed)
    game = listed_game(rng, "affine", equal=False)
    flows = random_flows(game, rng)
    before = weighted_potential(game, flows)
    listed = game.actions.listed()
    p = int(rng.integers(flows.n_paths))
    t = int(flows.type_of[p])
    q = int(rng.integers(listed.offsets[t], listed.offsets[t + 1]))
    own, other, x = set(flows.path(p).tolist()), set(listed.action(q).tolist()), game.aggregator(flows)
    here, there = game.costs.cost(x), game.costs.cost(x + game.weight[t])
    rise = sum(there[r] for r in other - own) - sum(here[r] for r in own - other)
    paths = [(flows.path(k).tolist(), flows.flow[k] - (k == p)) for k in range(flows.n_paths)] + [(listed.action(q).tolist(), 1.0)]
    moved = flows_of(game, paths, kinds=[*flows.type_of.tolist(), t], atomic=True)
    assert weighted_potential(game, moved) - before == pytest.approx(game.weight[t] * rise, abs=1e-10)
    if game.n_types > 1:
        assert vehicle_potential(game, flows) == before


def test_games_without_potential():
    rng = np.random.default_rng(0)
    actions = ListedActions.of([[[0]], [[1], [0]]], 2)
    game = CongestionGame(random_costs(2, rng, "bpr"), actions, [2.0, 3.0], [1.0, 2.0])
    flows = flows_of(game, [([0], 2.0), ([1], 3.0)], kinds=[0, 1], atomic=True)
    assert not has_potential(game)
    assert vehicle_potential(game, flows) is None
    with pytest.raises(InvalidGame, match="different weights have no Rosenthal potential"):
        rosenthal(game, game.aggregator(flows))
    with pytest.raises(InvalidGame, match="a cost is not affine"):
        weighted_potential(game, flows)
    whole = CongestionGame(AffineCosts([1.0, 1.0], 1.0), actions, [2.0, 3.0])
    with pytest.raises(InvalidGame, match=r"the load of resource 1 is 2\.5 vehicles"):
        rosenthal(whole, np.array([2.0, 2.5]))


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("make", MAKERS)
def test_polish_lowers_the_potential_to_an_equilibrium(make, kind, equal):
    for seed in range(7):
        rng = np.random.default_rng(100 + seed)
        game = make(rng, kind, equal=equal)
        flows = random_flows(game, rng)
        value = vehicle_potential(game, flows)
        for _ in range(200):
            found = sweep(game, flows, most=1)
            if not found.replies:
                break
            assert found.gain > 0
            after = vehicle_potential(game, found.flows)
            if value is not None:
                assert after is not None
                assert after < value
            if equal:
                assert rosenthal_change(game, game.aggregator(flows), game.aggregator(found.flows)) < 0
            flows, value = found.flows, after
        assert (found.is_complete, found.replies, found.gain) == (True, 0, 0.0)
        assert brute_force_gains(game, flows).max() <= 1e-12 * max(1.0, game.costs.cost(game.aggregator(flows)).max())


def test_polish_moves_as_many_as_gain():
    game = CongestionGame(AffineCosts([0.0, 0.0], [1.0, 1.0]), ListedActions.of([[[0], [1]]], 2), [1_000_001.0])
    found = sweep(game, flows_of(game, [([0], 1_000_001.0)], atomic=True))
    # The m-th to move gains 1,000,001 - (m - 1) - m, which is more than 0 up to m = 500,000.
    assert (found.replies, found.vehicles, found.gain) == (1, 500_000.0, 1_000_000.0)
    assert found.flows.flow.tolist() == [500_001.0, 500_000.0]
    assert certify(game, found.flows).upper == 0.0


def test_polish_leaves_gains_up_to_the_tolerance():
    rng = np.random.default_rng(7)
    game = routed_game(rng)
    flows = random_flows(game, rng)
    gap = certify(game, flows).upper
    assert gap > 0
    assert not sweep(game, flows, tolerance=gap * (1 + 1e-9)).replies
    assert sweep(game, flows, tolerance=gap * (1 - 1e-9)).replies
