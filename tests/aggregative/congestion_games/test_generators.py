"""Standard instances: textbook numbers, sizes, and the same game for the same seed."""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative.congestion_games import (
    PathEquilibrium,
    braess,
    grid_city,
    parallel_links,
    pigou,
    random_listed,
    random_routed,
)
from eqsolve.aggregative.congestion_games.generators import GENERATORS, NEW_ROAD
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidGame
from tests.aggregative.congestion_games.roads import relative_gap


def equilibrium(game, tolerance=1e-12):
    result = eqsolve.solve(game, PathEquilibrium(tolerance))
    assert relative_gap(game, result.policy) <= 2 * tolerance
    return result


def test_the_new_road_of_braess_costs_everybody_nine():
    """92 with it, 83 without: the numbers of the paper."""
    game = braess()
    for one, time in ((game, 92.0), (game.without([NEW_ROAD]), 83.0)):
        result = equilibrium(one)
        used = result.policy.flow > 1e-6
        costs = result.policy.path_costs(one.costs.cost(one.aggregator(result.policy)))
        assert costs[used] == pytest.approx(time, rel=1e-9)
        assert result.value == pytest.approx(6 * time, rel=1e-9)


@pytest.mark.parametrize("power", [1, 4])
def test_pigou(power):
    """All on the second road at cost 1; at the optimum the second has the share (p + 1)^(-1/p)."""
    game = pigou(vehicles=10, power=power)
    result = equilibrium(game)
    assert result.value == pytest.approx(10.0)
    share = (power + 1.0) ** (-1.0 / power)
    best = 10 * (1 - share + share ** (power + 1))
    anarchy = 1.0 / (1.0 - power * (power + 1.0) ** (-(power + 1.0) / power))
    assert result.value / best == pytest.approx(anarchy)
    assert game.social_cost(np.array([10 * (1 - share), 10 * share])) == pytest.approx(best)


@pytest.mark.parametrize("name", GENERATORS)
def test_one_seed_one_game(name):
    make = GENERATORS[name]
    assert to_bytes(make()) == to_bytes(make())
    if "seed" in signature(make).parameters:
        assert to_bytes(make(seed=1)) != to_bytes(make(seed=2))


def test_sizes():
    city = grid_city(7, 9, zones=10, seed=3)
    assert city.network.n_nodes == 63
    assert city.n_coordinates == 2 * (7 * 8 + 6 * 9)
    assert len(np.unique(city.actions.origin)) <= 10
    assert city.is_atomic
    assert parallel_links(4, 11, types=3).count.tolist() == [4, 4, 3]
    listed = random_listed(types=2, resources=3, actions=7, vehicles=5)
    assert listed.actions.n_actions.tolist() == [7, 7]
    assert random_listed(types=1, resources=1, actions=3, vehicles=5).actions.n_actions.tolist() == [1]
    routed = random_routed(nodes=3, links=9, types=6, weighted=True, seed=5)
    assert (routed.network.n_nodes, routed.n_coordinates, routed.n_types) == (3, 9, 6)
    assert set(routed.weight) <= {1.0, 2.0, 3.0}


def test_a_city_with_as_many_pairs_as_a_trip_has_numbers():
    """Three rows of three numbers are still a list of trips, not a table of zones."""
    city = grid_city(2, 2, zones=3, load=0.0006, seed=7)
    assert city.n_types == 3
    assert city.count.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("load", [0.2, 1.0])
def test_the_load_of_a_city_is_the_mean_flow_on_straight_ways(load):
    city = grid_city(12, 12, load=load, seed=1)
    at = city.network.position
    steps = np.abs(at[city.actions.origin] - at[city.actions.destination]).sum(axis=1)
    mean = float(steps @ city.demand) / city.n_coordinates
    assert mean == pytest.approx(load * 1000.0, rel=0.05)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: braess(0), "vehicles is 0, less than 1"),
        (lambda: pigou(power=0), "power is 0"),
        (lambda: parallel_links(types=5, vehicles=4), "vehicles is 4, less than 5"),
        (lambda: grid_city(1, 5), "rows is 1"),
        (lambda: grid_city(101, 100), "rows times columns is 10,100, more than 10,000 nodes"),
        (lambda: grid_city(2, 2, zones=5), "zones is 5, more than 4"),
        (lambda: grid_city(load=0.0), "load is 0, not above 0"),
        (lambda: random_listed(seed=-1), "seed is -1"),
        (lambda: random_routed(nodes=5, links=4), "links is 4, less than 5"),
        (lambda: random_routed(nodes=True), "nodes is True, not a whole number"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()
