"""Small road networks, the real one that stays outside of the project, and shortest paths by an independent library."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import AffineCosts, BPRCosts, CongestionGame, RoadNetwork, read_flow, read_game

TRANSPORT = Path(__file__).resolve().parents[4] / "shared" / "data" / "transport"
needs_data = pytest.mark.skipif(not TRANSPORT.is_dir(), reason="the files of shared/data/transport are not there")
OBJECTIVE = 42.31335287107440e5
"""Least Beckmann objective of Sioux Falls, as published with its files."""


@cache
def sioux_falls() -> CongestionGame:
    return read_game(*(TRANSPORT / f"SiouxFalls_{one}.tntp" for one in ("net", "trips", "node")))


@cache
def best_known_flow():
    return read_flow(TRANSPORT / "SiouxFalls_flow.tntp", sioux_falls().network)


def through_town(around=10.0) -> CongestionGame:
    """Zones 0, 1, 2 and junctions 3, 4: the short way from 0 to 2 would be by zone 1; two parallel roads from 3 to 4."""
    tail = np.array([0, 1, 0, 3, 3, 4, 1])
    head = np.array([1, 2, 3, 4, 4, 2, 3])
    network = RoadNetwork(5, tail, head, first_through=3)
    costs = AffineCosts([1.0, 1.0, around, around, around, around, 1.0], [0.1] * 7)
    return CongestionGame.from_trips(network, costs, [(0, 2, 10), (0, 1, 5), (1, 2, 4)], name="through town")


def two_roads(vehicles=12) -> CongestionGame:
    """Two parallel roads of costs 1 + x / 4 and 2 + x / 2: equal at x = (28, 8) / 36 of 12, where both cost 10 / 3."""
    network = RoadNetwork(2, [0, 0], [1, 1])
    return CongestionGame.from_trips(network, AffineCosts([1.0, 2.0], [0.25, 0.5]), [(0, 1, vehicles)], name="two roads")


def bpr_square(vehicles=40) -> CongestionGame:
    """Four corners and a diagonal with BPR costs, trips both ways."""
    tail, head = np.array([0, 0, 1, 2, 1, 3, 3, 2]), np.array([1, 2, 3, 3, 2, 1, 2, 0])
    costs = BPRCosts(np.linspace(1.0, 2.0, 8), 0.15, np.linspace(5.0, 12.0, 8), 4.0)
    trips = [(0, 3, vehicles), (3, 0, vehicles / 2), (1, 2, vehicles / 4)]
    return CongestionGame.from_trips(RoadNetwork(4, tail, head), costs, trips, name="square")


def cheapest_by_networkx(game: CongestionGame, cost) -> np.ndarray:
    """(T,) costs of shortest paths: one graph per origin, without the links that leave other zones."""
    network = game.network
    least = np.empty(game.n_types)
    for t, (o, d) in enumerate(zip(game.actions.origin.tolist(), game.actions.destination.tolist(), strict=True)):
        graph = nx.MultiDiGraph()
        graph.add_nodes_from(range(network.n_nodes))
        for a, b, c in zip(network.tail.tolist(), network.head.tolist(), np.asarray(cost).tolist(), strict=True):
            if a >= network.first_through or a == o:
                graph.add_edge(a, b, weight=c)
        least[t] = nx.dijkstra_path_length(graph, o, d)
    return least


def cheapest_by_listing(game: CongestionGame, cost) -> np.ndarray:
    """(T,) costs of cheapest listed actions."""
    listed = game.actions
    total = [float(sum(cost[r] for r in listed.action(k))) for k in range(len(listed.owner))]
    return np.array([min(total[listed.offsets[t] : listed.offsets[t + 1]]) for t in range(game.n_types)])


def relative_gap(game: CongestionGame, flows) -> float:
    """Of path flows, from the game alone."""
    flows.check(game)
    x = np.zeros(game.n_coordinates)
    for p in range(flows.n_paths):
        np.add.at(x, flows.path(p), flows.flow[p] * game.weight[flows.type_of[p]])
    cost = game.costs.cost(x)
    least = (cheapest_by_networkx if game.network is not None else cheapest_by_listing)(game, cost)
    total = float(x @ cost)
    return (total - float(least @ (game.count * game.weight))) / total
