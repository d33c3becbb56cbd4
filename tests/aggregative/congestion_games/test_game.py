"""Congestion games: what they are made of, what they become, and how they read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eqsolve
from eqsolve.aggregative import AffinePayoffs, CallablePayoffs, FixedPointNash, PolynomialPayoffs
from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    CongestionGame,
    ListedActions,
    PathFlows,
    PiecewiseLinearCosts,
    RoadNetwork,
    braess,
    describe,
    random_listed,
    random_routed,
)
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidGame
from tests.aggregative.congestion_games.roads import bpr_square, through_town, two_roads


def test_sizes_and_words():
    game = through_town()
    assert (game.n_types, game.n_players, game.n_coordinates) == (3, 19, 7)
    assert describe(game) == "3 types, 19 vehicles, 7 roads, 5 nodes"
    assert describe(random_listed(types=1, vehicles=1, resources=1)) == "1 type, 1 vehicle, 1 resource"
    assert game.type_label(0) == "type 0-2"
    assert game.resource_label(2) == "0-3"
    assert game.is_atomic
    half = replace(game, count=game.count / 4)
    assert not half.is_atomic
    assert describe(half).startswith("3 types, 4.75 vehicles")


def test_trips_as_a_table_and_as_a_list_are_the_same():
    net, costs = RoadNetwork(3, [0, 1, 2], [1, 2, 0]), AffineCosts([1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    one = CongestionGame.from_trips(net, costs, np.array([[7, 2, 0], [0, 0, 3], [0, 0, 0]]))
    two = CongestionGame.from_trips(net, costs, [(0, 0, 7), (0, 1, 2), (1, 2, 3), (2, 1, 0)])
    for game in (one, two):
        assert game.actions.origin.tolist() == [0, 1]
        assert game.actions.destination.tolist() == [1, 2]
        assert game.count.tolist() == [2.0, 3.0]


def flows_of(game, seed=0):
    """All vehicles at random over the listed actions."""
    listed = game.actions.listed()
    rng = np.random.default_rng(seed)
    flow = np.concatenate([rng.multinomial(int(n), np.full(m, 1 / m)) for n, m in zip(game.count, listed.n_actions, strict=True)])
    return PathFlows(listed.owner, listed.indptr, listed.resources, flow.astype(float), atomic=True), flow


@given(seed=st.integers(0, 10**6), routed=st.booleans())
@settings(max_examples=10, deadline=None)
def test_the_aggregative_game_is_the_same_game(seed, routed):
    game = random_routed(nodes=4, links=8, seed=seed, weighted=True) if routed else random_listed(seed=seed, weighted=True)
    same = game.as_aggregative()
    flows, plays = flows_of(game, seed)
    flows.check(game)
    x = game.aggregator(flows)
    assert same.aggregator(plays) == pytest.approx(x)
    cost = game.costs.cost(x)
    assert -same.payoff.batch(x[None])[0] == pytest.approx(flows.path_costs(cost))
    by_hand = sum(f * game.weight[t] * c for f, t, c in zip(flows.flow, flows.type_of, flows.path_costs(cost), strict=True))
    assert game.social_cost(x) == pytest.approx(by_hand)
    assert game.welfare(x) == -game.social_cost(x)
    assert (same.players == game.count).all()
    assert same.check_lipschitz(samples=20, seed=seed) <= 1.0


LINES = PiecewiseLinearCosts(([0.0, 3.0, 8.0], [0.0, 3.0, 8.0]), ([1.0, 2.0, 9.0], [2.0, 2.5, 3.0]))


@pytest.mark.parametrize(
    "costs", [LINES, CallableCosts(lambda x: 1 + x**2, lambda x: 2 * x, 2), BPRCosts([1.0, 2.0], 0.15, 4.0, 2.5)]
)
def test_costs_that_are_no_polynomials_become_a_function(costs):
    game = CongestionGame(costs, ListedActions.of([[[0], [1]], [[0, 1], []]], 2), [4, 4])
    same = game.as_aggregative()
    assert isinstance(same.payoff, CallablePayoffs)
    x = np.array([2.0, 5.0])
    c = costs.cost(x)
    assert same.payoff.batch(x[None])[0] == pytest.approx([-c[0], -c[1], -c.sum(), 0.0])
    assert same.check_lipschitz(samples=50) <= 1.0
    assert same.actions == ("0", "1", "0, 1", "nothing")


def test_the_general_methods_answer_it():
    same = two_roads().as_aggregative()
    assert isinstance(same.payoff, PolynomialPayoffs | AffinePayoffs)
    assert same.actions == ("0-1", "0-1")
    result = eqsolve.solve(same, FixedPointNash())
    assert result.gap.upper <= 1e-9
    assert result.policy.plays.tolist() in ([9, 3], [10, 2])


def test_braess_without_the_new_road():
    game = braess().without([2])
    assert (game.n_coordinates, game.network.n_links) == (4, 4)
    assert game.costs.cost(np.full(4, 3.0)).tolist() == [30.0, 53.0, 53.0, 30.0]
    assert braess().tolled([0, 0, 100, 0, 0]).costs.cost(np.zeros(5)).tolist() == [0.0, 50.0, 110.0, 50.0, 0.0]
    assert braess().with_costs(AffineCosts(np.ones(5), np.zeros(5))).social_cost(np.ones(5)) == 5.0


def test_names_stay_with_what_is_left():
    game = CongestionGame(
        AffineCosts([1.0, 2.0, 3.0], [0.0] * 3), ListedActions.of([[[0], [2]]], 3), [2], resources=("a", "b", "c")
    )
    assert game.without([1]).resources == ("a", "c")
    assert game.without([1]).actions.resources.tolist() == [0, 1]


@pytest.mark.parametrize("game", [through_town(), bpr_square(), random_listed(weighted=True)], ids=lambda one: one.name)
def test_files_give_it_back(game):
    back = from_bytes(to_bytes(game), "the game")
    assert repr(back) == repr(game)
    assert to_bytes(back) == to_bytes(game)
    cost = game.costs.cost(np.ones(game.n_coordinates))
    assert (back.actions.cheapest(cost).resources == game.actions.cheapest(cost).resources).all()


NET = RoadNetwork(3, [0, 1], [1, 2])
ONES = AffineCosts([1.0, 1.0], [1.0, 1.0])
LISTED = ListedActions.of([[[0]], [[0, 1]]], 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CongestionGame(3, LISTED, [1, 1]), "costs is 3"),
        (lambda: CongestionGame(ONES, [[0]], [1, 1]), "not action sets"),
        (lambda: CongestionGame(ONES, ListedActions.of([[[0]]], 3), [1]), "costs of 2 resources, and actions over 3"),
        (lambda: CongestionGame(ONES, LISTED, [1, 0]), r"count\[1\] is 0, not above 0"),
        (lambda: CongestionGame(ONES, LISTED, [1, np.inf]), r"count\[1\] is inf"),
        (lambda: CongestionGame(ONES, LISTED, [1, 1], weight=[1, -1]), r"weight\[1\] is -1"),
        (lambda: CongestionGame(ONES, LISTED, [1.0, 2.0**60]), "at most 2\\^53 can be counted"),
        (lambda: CongestionGame(ONES, LISTED, [1, 1], types=("a",)), "1 names of types, expected 2"),
        (lambda: CongestionGame(ONES, ListedActions([], [0], [], 2), []), "the game has no types"),
        (
            lambda: CongestionGame(AffineCosts([1.0, 1.0], [1.0, -1.0]), LISTED, [5, 5]),
            "the cost of resource 1 is -0.25 at flow 1.25",
        ),
        (lambda: CongestionGame.from_trips(NET, ONES, np.zeros((3, 3))), "no trips: all demand is zero"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 1, 0)]), "all demand is zero"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 1, -2)]), "trips from 0 to 1 are -2"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 3, 2)]), "trips lead from 0 to 3; the nodes are 0 to 2"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(2, 0, 2)]), r"no road leads from node 2 to node 0 \(type 0\)"),
        (lambda: CongestionGame.from_trips(NET, ONES, np.ones(4)), "trips has shape 4"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 0.5, 2)]), r"trips\[:, 1\]\[0\] is 0.5, not a whole number"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 1, 2)]).without([2]), "resource 2 does not exist"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 1, 2)]).without([0]), "no road leads from node 0 to node 1"),
        (lambda: CongestionGame.from_trips(NET, ONES, [(0, 1, 1.5)]).as_aggregative(), "count of type 0-1 is 1.5"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        (lambda: PathFlows([0], [0, 1], [0], [-1.0]), r"flow\[0\] is -1"),
        (lambda: PathFlows([0], [0, 1], [0], [0.5], atomic=True), r"flow\[0\] is 0.5, not a whole number"),
        (lambda: PathFlows([0], [0, 2], [0], [0.5]), "indptr goes from 0 to 2, not from 0 to 1"),
        (lambda: PathFlows([2, 0], [0, 1, 2], [0, 0], [1, 1]), r"type_of\[0\] is 2; the game has 0 to 1"),
        (lambda: PathFlows([1, 0], [0, 1, 2], [0, 3], [1, 1]), r"resources\[1\] is 3"),
        (lambda: PathFlows([0, 1], [0, 1, 2], [0, 0], [1, 1]), "path 1 is no action of type 1: the resources \\[0\\]"),
        (lambda: PathFlows([0, 1], [0, 1, 3], [0, 0, 1], [1, 0.5]), "the flows of type 1 add up to 0.5, not to 1 vehicles"),
        (lambda: PathFlows([1], [0, 2], [0, 1], [1]), "the flows of type 0 add up to 0"),
    ],
)
def test_flows_that_are_not_of_the_game(flows, words):
    with pytest.raises(InvalidGame, match=words):
        flows().check(CongestionGame(ONES, LISTED, [1, 1]))


def test_indivisible_vehicles_of_a_game_that_has_none():
    flows = PathFlows([0, 1], [0, 1, 3], [0, 0, 1], [1, 1], atomic=True)
    with pytest.raises(InvalidGame, match="counts are not whole"):
        flows.check(CongestionGame(ONES, LISTED, [1, 1.5]))
