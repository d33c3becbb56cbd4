"""Road networks, routes on them, and shortest paths against an independent library."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import ListedActions, RoadNetwork, Routes, grid_city, random_routed
from eqsolve.errors import InvalidGame
from tests.aggregative.congestion_games.roads import cheapest_by_networkx, through_town


@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_cheapest_routes_are_routes_and_cost_what_another_library_says(seed):
    game = random_routed(nodes=7, links=20, types=5, seed=seed)
    cost = np.random.default_rng(seed).integers(0, 4, game.n_coordinates).astype(float)  # zeros and ties
    found = game.actions.cheapest(cost)
    assert found.least == pytest.approx(cheapest_by_networkx(game, cost))
    assert game.actions.misfit(np.arange(game.n_types), found.indptr, found.resources) is None
    for t in range(game.n_types):
        assert cost[found.resources[found.indptr[t] : found.indptr[t + 1]]].sum() == pytest.approx(found.least[t])


@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_all_or_nothing_is_the_same_when_all_routes_are_listed(seed):
    game = random_routed(nodes=5, links=12, types=4, seed=seed)
    listed = game.actions.listed()
    cost = np.random.default_rng(seed).random(game.n_coordinates)
    x, least = game.actions.load(cost, game.demand)
    y, again = listed.load(cost, game.demand)
    assert x == pytest.approx(y)
    assert least == pytest.approx(again)
    assert x @ cost == pytest.approx(least @ game.demand)


def test_zones_are_not_passed_through():
    game = through_town()
    cost = game.costs.cost(np.zeros(7))
    found = game.actions.cheapest(cost)
    routes = [found.resources[found.indptr[t] : found.indptr[t + 1]].tolist() for t in range(3)]
    assert routes == [[2, 3, 5], [0], [1]]
    assert found.least == pytest.approx(cheapest_by_networkx(game, cost))
    assert game.actions.listed().n_actions.tolist() == [2, 1, 3]


def test_the_cheapest_of_parallel_roads_is_taken():
    game = through_town()
    cost = game.costs.cost(np.zeros(7))
    cost[3] += 1.0
    found = game.actions.cheapest(cost)
    assert found.resources[found.indptr[0] : found.indptr[1]].tolist() == [2, 4, 5]


def test_a_tree_per_origin_in_several_batches(monkeypatch):
    game = grid_city(6, 6, zones=12, seed=1)
    cost = np.random.default_rng(0).random(game.n_coordinates)
    whole = game.actions.cheapest(cost)
    monkeypatch.setattr("eqsolve.aggregative.congestion_games.shortest.TREES", 5)
    parts = game.actions.cheapest(cost)
    assert (whole.resources == parts.resources).all()
    assert (whole.indptr == parts.indptr).all()
    assert whole.least == pytest.approx(cheapest_by_networkx(game, cost))


def test_without_links():
    game = through_town()
    fewer = game.actions.without(np.array([3]))
    assert fewer.n_resources == 6
    assert fewer.cheapest(np.ones(6)).least.tolist() == [3.0, 1.0, 1.0]
    with pytest.raises(InvalidGame, match="no road leads from zone 0 to zone 2"):
        game.actions.without(np.array([3, 4]))


NET = RoadNetwork(4, [0, 1, 2, 0], [1, 2, 3, 3], first_through=0, names=("a", "b", "c", "d"))


def test_labels():
    assert NET.link_label(2) == "c-d"
    assert NET.route_label(np.array([0, 1, 2])) == "a-b-c-d"
    assert NET.route_label(np.array([], dtype=int)) == "nothing"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RoadNetwork(3, [0, 3], [1, 2]), r"tail\[1\] is 3; the nodes are 0 to 2"),
        (lambda: RoadNetwork(3, [0, 1], [1, -1]), r"head\[1\] is -1"),
        (lambda: RoadNetwork(3, [0, 1], [1, 1]), "link 1 leads from node 1 to itself"),
        (lambda: RoadNetwork(3, [0, 1], [1]), "head has shape 1, expected 2"),
        (lambda: RoadNetwork(3, [0], [1], first_through=4), "first_through is 4"),
        (lambda: RoadNetwork(3, [0], [1], position=[[0.0, 1.0]]), "position has shape 1 x 2, expected 3 x 2"),
        (lambda: RoadNetwork(3, [0], [1], names=("a",)), "1 names of nodes, expected 3"),
        (lambda: Routes(NET, [0, 3], [1, 1]), r"no road leads from node d to node b \(type 1\)"),
        (lambda: Routes(NET, [0, 2], [1, 2]), "type 1 goes from node c to itself"),
        (lambda: Routes(NET, [0], [4]), r"destination\[0\] is 4"),
        (lambda: Routes(NET, [0], [2]).listed(0), "there are more than 0 routes"),
        (lambda: ListedActions.of([[[0, 1]], []], 2), r"n_actions\[1\] is 0"),
        (lambda: ListedActions.of([[[0, 2]]], 2), "action 0 uses resource 2; the resources are 0 to 1"),
        (lambda: ListedActions.of([[[0], [1, 1]]], 2), "action 1 names resource 1 twice"),
        (lambda: ListedActions([1], [0, 3], [0, 1]), "indptr goes from 0 to 3, not from 0 to 2"),
        (lambda: ListedActions([2], [0, 3, 2], [0, 1]), "indptr falls from 3 to 2 at 1"),
        (lambda: ListedActions.of([[[0], [1]], [[1]]], 2).without(np.array([1])), "type 1 has no action without"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()


def test_listed_actions_without_a_resource():
    left = ListedActions.of([[[0], [1, 2]], [[2]]], 3).without(np.array([0]))
    assert left.resources.tolist() == [0, 1, 1]
    assert left.n_actions.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ([1, 2], "begins elsewhere"),
        ([0], "ends elsewhere"),
        ([0, 2], "do not follow"),
        ([], "no links"),
        ([0, 1, 2], None),
    ],
)
def test_what_is_no_route(links, why):
    found = Routes(NET, [0], [3]).misfit(np.array([0]), np.array([0, len(links)]), np.array(links, dtype=np.int64))
    assert (found is None) if why is None else (found is not None and why in found[1])


def test_a_route_through_a_zone_or_twice_over_a_link_is_none():
    town = through_town().actions
    assert "through a zone" in town.misfit(np.array([0]), np.array([0, 2]), np.array([0, 1]))[1]
    ring = Routes(RoadNetwork(3, [0, 1, 2], [1, 2, 0]), [0], [2])
    assert "a link twice" in ring.misfit(np.array([0]), np.array([0, 5]), np.array([0, 1, 2, 0, 1]))[1]
