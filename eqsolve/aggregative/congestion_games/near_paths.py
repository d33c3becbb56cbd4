"""The actions that cost little more than the cheapest ones, listed in order of their costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.aggregative.congestion_games.actions import ListedActions, Routes, gathered
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import BoolArray, FloatArray, IntArray, float_array, real_number, whole_number
from eqsolve.errors import InvalidData

MOST_PATHS = 100
"""Paths of a type that are listed."""
MOST_STEPS = 20_000
"""Beginnings of paths of a type that are looked at."""
TIE = 1e-12
"""Rounding of a path's cost, relative to it, that still counts as within eta."""


@dataclass(frozen=True, slots=True, eq=False)
class NearPaths:
    """The actions of each type that cost at most eta more than its cheapest one.

    Parameters
    ----------
    paths : in order of type, the cheapest first. complete : (T,) whether these are all; else the list was cut.
    """

    paths: PathSet
    complete: BoolArray


def paths_within(game: CongestionGame, cost: FloatArray, eta: float, most: int = MOST_PATHS) -> NearPaths:
    """The actions of each type that cost at most eta more than its cheapest one, the cheapest ``most`` of them.

    Routes pass no node twice. They are grown from the origin in order of what they cost together with the distance that is left,
    which finds them in order of their costs.

    Parameters
    ----------
    cost : (R,) 0 or more. eta : 0 or more, in units of cost.

    Raises
    ------
    InvalidData : numbers out of range, actions of an unknown kind.
    """
    c = float_array("cost", cost, (game.n_coordinates,))
    eta, most = real_number("eta", eta, least=0.0), whole_number("most", most, 1)
    if c.min() < 0:
        r = int(np.argmin(c))
        raise InvalidData(f"cost of {game.resource_label(r)} is {c[r]:g}, not 0 or more")
    if isinstance(game.actions, ListedActions):
        return _listed_within(game.actions, c, eta, most)
    if not isinstance(game.actions, Routes):
        raise InvalidData(f"the actions are {type(game.actions).__name__}", "Paths are listed for Routes and ListedActions.")
    return _routes_within(game.actions, c, eta, most)


def _listed_within(actions: ListedActions, cost: FloatArray, eta: float, most: int) -> NearPaths:
    total = actions.costs(cost)
    least = np.minimum.reduceat(total, actions.offsets[:-1])
    inside = np.flatnonzero(total <= (least * (1 + TIE) + eta)[actions.owner])
    order = inside[np.lexsort((total[inside], actions.owner[inside]))]
    owner = actions.owner[order]
    rank = np.arange(len(order)) - np.searchsorted(owner, owner)
    complete = np.bincount(owner, minlength=actions.n_types) <= most
    kept = order[rank < most]
    owner = actions.owner[kept]
    return NearPaths(PathSet(owner, *gathered(actions.indptr, actions.resources, kept), np.zeros(len(kept))), complete)


def _routes_within(routes: Routes, cost: FloatArray, eta: float, most: int) -> NearPaths:
    net = routes.network
    leaving: list[list[int]] = [[] for _ in range(net.n_nodes)]
    for r, node in enumerate(net.tail.tolist()):
        leaving[node].append(r)
    heads, price = net.head.tolist(), cost.tolist()
    targets, row = np.unique(routes.destination, return_inverse=True)
    away = _distances_to(routes, cost, targets)
    cheapest = routes.cheapest(cost)
    found: list[list[int]] = []
    types: list[int] = []
    complete = np.ones(routes.n_types, dtype=bool)
    for t in range(routes.n_types):
        origin, target = int(routes.origin[t]), int(routes.destination[t])
        rest = away[int(row[t])].tolist()

        def steps(node: int, target: int = target) -> list[tuple[int, int]]:
            return [(r, heads[r]) for r in leaving[node] if heads[r] == target or heads[r] >= net.first_through]

        own, complete[t] = _grown(origin, target, steps, price, rest, eta, most)
        own = own or [cheapest.resources[cheapest.indptr[t] : cheapest.indptr[t + 1]].tolist()]
        found += own
        types += [t] * len(own)
    indptr = np.concatenate(([0], np.cumsum([len(path) for path in found]))).astype(np.int64)
    flat = np.array([r for path in found for r in path], dtype=np.int64)
    return NearPaths(PathSet(np.array(types, dtype=np.int64), indptr, flat, np.zeros(len(found))), complete)


def _grown(
    origin: int,
    target: int,
    steps: Callable[[int], list[tuple[int, int]]],
    price: list[float],
    rest: list[float],
    eta: float,
    most: int,
) -> tuple[list[list[int]], bool]:
    """Paths in order of cost up to eta above the first one, and whether these are all; of equal beginnings the last goes first."""
    found: list[list[int]] = []
    limit = min(price[r] + rest[node] for r, node in steps(origin)) * (1 + TIE) + eta
    queue: list[tuple[float, int, float, int, tuple[int, ...], frozenset[int]]] = [(0.0, 0, 0.0, origin, (), frozenset((origin,)))]
    number = 0
    for _ in range(MOST_STEPS):
        if not queue:
            return found, True
        _, _, paid, node, path, seen = heappop(queue)
        if node == target:
            if len(found) == most:
                return found, False
            found.append(list(path))
            continue
        for r, head in steps(node):
            total = paid + price[r]
            if head not in seen and total + rest[head] <= limit:
                number -= 1
                heappush(queue, (total + rest[head], number, total, head, (*path, r), seen | {head}))
    return found, not queue


def _distances_to(routes: Routes, cost: FloatArray, targets: IntArray) -> FloatArray:
    """(K, N) the distance from every node to some targets, on roads that do not begin in a zone."""
    net = routes.network
    use = np.flatnonzero(net.tail >= net.first_through)
    pairs, pair = np.unique(net.head[use] * net.n_nodes + net.tail[use], return_inverse=True)
    least = np.full(len(pairs), np.inf)
    np.minimum.at(least, pair, cost[use])
    indptr = np.searchsorted(pairs // net.n_nodes, np.arange(net.n_nodes + 1))
    graph = sparse.csr_array((least, pairs % net.n_nodes, indptr), shape=(net.n_nodes, net.n_nodes))
    return np.asarray(csgraph.dijkstra(graph, indices=targets))
