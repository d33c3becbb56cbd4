"""Exact gaps of flows against brute force, and certificates that cannot be fooled by a wrong search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csgraph

from eqsolve.aggregative import nash_gap
from eqsolve.aggregative.congestion_games import AffineCosts, CongestionGame, ListedActions, PathFlows, PolynomialCosts, RoadNetwork
from eqsolve.aggregative.congestion_games.certificate import certify, regret_histogram, vehicle_gains, wardrop_gaps
from eqsolve.aggregative.congestion_games.generators import braess, pigou
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.congestion_games.atomic_games import (
    COSTS,
    MAKERS,
    brute_force_gains,
    flows_of,
    listed_game,
    plays_of,
    random_flows,
    routed_game,
)


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
@pytest.mark.parametrize("kind", COSTS)
@pytest.mark.parametrize("make", MAKERS)
def test_gap_is_that_of_brute_force(make, kind, equal):
    for seed in range(7):
        rng = np.random.default_rng(seed)
        game = make(rng, kind, equal=equal)
        for atomic in (True, False):
            flows = random_flows(game, rng, atomic=atomic)
            expected = brute_force_gains(game, flows)
            scale = game.costs.cost(game.aggregator(flows)).max()
            found = certify(game, flows)
            assert found.method == "exact"
            assert found.upper == pytest.approx(max(expected.max(), 0.0), abs=1e-12 * scale)
            assert found.lower == pytest.approx(found.upper, abs=1e-12 * scale)
            assert vehicle_gains(game, flows) == pytest.approx(np.maximum(expected, 0.0), abs=1e-12 * scale)


@pytest.mark.parametrize("seed", range(12))
def test_listed_game_and_its_aggregative_form_have_one_gap(seed):
    rng = np.random.default_rng(seed)
    game = listed_game(rng, COSTS[seed % len(COSTS)], equal=seed % 2 == 0)
    flows = random_flows(game, rng)
    general = nash_gap(game.as_aggregative(), plays_of(game, flows))
    assert certify(game, flows).upper == pytest.approx(general.upper, rel=1e-9, abs=1e-12)


def test_witness_of_braess():
    game = braess()
    flows = flows_of(game, [([0, 2, 4], 6.0)], atomic=True)
    found = certify(game, flows)
    # All six by the new road: 60 + 16 + 60 = 136. By 0-1-3, or as well by 0-2-3: 60 + 51 = 111.
    assert (found.lower, found.upper) == (25.0, 25.0)
    assert found.witness is not None
    assert str(found.witness) == "a vehicle of type 0-3, 18.4 % of a trip of 136: 0-1-2-3 -> 0-2-3"
    assert not certify(game, flows_of(game, [([0, 3], 2.0), ([1, 4], 2.0), ([0, 2, 4], 2.0)], atomic=True)).upper


def test_witness_tells_parallel_roads_apart():
    game = pigou(vehicles=4)
    flows = flows_of(game, [([0], 4.0)], atomic=True)
    assert str(certify(game, flows).witness).endswith("roads 0 -> 1")


def test_wardrop_gaps_of_pigou():
    game = pigou(vehicles=4)
    flows = flows_of(game, [([0], 2.0), ([1], 2.0)], atomic=False)
    # Costs 1 and 1/2: half of the vehicles lose half a unit each, of a total of 3.
    gaps = wardrop_gaps(game, flows)
    assert gaps.excess.tolist() == [0.5, 0.0]
    assert (gaps.regret, gaps.average_excess_cost) == (0.5, 0.25)
    assert gaps.relative_gap == pytest.approx(1 / 3, abs=1e-15)
    assert certify(game, flows).upper == 0.5
    assert certify(game, PathFlows(flows.type_of, flows.indptr, flows.resources, flows.flow, atomic=True)).upper == 0.25


def test_unused_paths_do_not_count():
    game = pigou(vehicles=4)
    flows = flows_of(game, [([0], 0.0), ([1], 4.0)], atomic=False)
    assert certify(game, flows).upper == 0.0
    assert vehicle_gains(game, flows).tolist() == [0.0, 0.0]


def test_zones_are_not_passed_through():
    links = np.array([(0, 3), (3, 1), (1, 4), (4, 2), (3, 4), (0, 4)])
    network = RoadNetwork(5, links[:, 0], links[:, 1], first_through=3)
    # Through zone 1 it would be 3 instead of 11.
    game = CongestionGame.from_trips(network, AffineCosts([1.0, 0.5, 0.5, 1.0, 9.0, 20.0], 0.0), [(0, 2, 2), (0, 1, 1)])
    flows = flows_of(game, [([5, 3], 2.0), ([0, 1], 1.0)], kinds=[0, 1], atomic=True)
    found = certify(game, flows)
    assert found.upper == 10.0
    assert found.witness is not None
    assert found.witness.deviation == "0-4-2 -> 0-3-4-2"


@pytest.mark.parametrize("factor", [0.9, 1.1])
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "fractional"])
def test_wrong_distances_cannot_fool_the_certificate(monkeypatch, factor, atomic):
    rng = np.random.default_rng(3)
    game = routed_game(rng)
    flows = random_flows(game, rng, atomic=atomic)
    truth = max(brute_force_gains(game, flows).max(), 0.0)
    right = csgraph.dijkstra

    def wrong(*given, **more):
        distance, before = right(*given, **more)
        return distance * factor, before

    monkeypatch.setattr(csgraph, "dijkstra", wrong)
    found = certify(game, flows)
    assert found.method == "bracket"
    assert found.lower <= truth * (1 + 1e-12)
    assert found.upper >= truth * (1 - 1e-12)


@pytest.mark.parametrize("before", [-9999, 0])
def test_a_search_without_a_path_is_refused(monkeypatch, before):
    rng = np.random.default_rng(3)
    game = routed_game(rng)
    right = csgraph.dijkstra
    monkeypatch.setattr(
        csgraph, "dijkstra", lambda *given, **more: (right(*given, **more)[0], np.full_like(right(*given, **more)[1], before))
    )
    with pytest.raises(InvalidData, match="handed back none"):
        certify(game, random_flows(game, rng))


def test_histogram_counts_every_vehicle():
    rng = np.random.default_rng(5)
    game = routed_game(rng)
    flows = random_flows(game, rng)
    edges, vehicles = regret_histogram(game, flows, 6)
    assert len(edges) == 7
    assert vehicles.sum() == game.count.sum()
    gains = np.repeat(brute_force_gains(game, flows), flows.flow.astype(int))
    half = edges[3] * (1 - 1e-9)
    assert vehicles[3:].sum() == (gains >= half).sum()
    with pytest.raises(InvalidData, match="bins is 0"):
        regret_histogram(game, flows, 0)


def test_flows_of_another_game_are_refused():
    game = CongestionGame(AffineCosts([1.0, 2.0], 1.0), ListedActions.of([[[0], [1]]], 2), [3.0])
    with pytest.raises(InvalidGame, match="path 0 is no action of type 0"):
        certify(game, flows_of(game, [([0, 1], 3.0)], atomic=True))
    with pytest.raises(InvalidGame, match="add up to 2, not to 3"):
        certify(game, flows_of(game, [([0], 2.0)], atomic=True))


TRIANGLE = RoadNetwork(3, [0, 0, 1], [1, 2, 2])


def test_costs_beyond_the_whole_demand_are_met_by_nobody():
    # All ten are on 0-1-2, at cost 0; an eleventh would pay less than nothing, or more than a number can hold.
    falling = CongestionGame.from_trips(TRIANGLE, AffineCosts([10.0] * 3, [-1.0] * 3), [(0, 2, 10)])
    flows = flows_of(falling, [([0, 2], 10.0)], atomic=True)
    assert certify(falling, flows).upper == 0.0
    powers = np.zeros((3, 301))
    powers[:, [0, 300]] = 1.0
    rising = CongestionGame.from_trips(TRIANGLE, PolynomialCosts(powers), [(0, 2, 10)])
    assert certify(rising, flows).upper == pytest.approx(2e300, rel=1e-12)


def test_a_cost_that_is_negative_where_no_sample_looked_is_refused():
    costs = PolynomialCosts([[3.5**2 - 0.01, -7.0, 1.0]] * 3)
    game = CongestionGame.from_trips(TRIANGLE, costs, [(0, 2, 32)], weight=[0.5])
    flows = flows_of(game, [([0, 2], 7.0), ([1], 25.0)], atomic=True)
    with pytest.raises(InvalidGame, match=r"the cost of resource 0-1 is -0\.01 at flow 3\.5, not 0 or more"):
        certify(game, flows)
