"""Cheapest actions with proven lower bounds, for certificates: by potentials on roads, by enumeration of lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache

import numpy as np
from scipy import sparse

from eqsolve.aggregative.congestion_games.actions import Actions, ListedActions, Routes
from eqsolve.aggregative.congestion_games.proven_distances import ProvenRoads
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame

MARGIN = 1e-9
"""By how much, relative to it, an action may exceed a known cost and still be looked at."""


class ActionSearch(ABC):
    """Finds cheapest actions of a game and proves how cheap any can be."""

    @abstractmethod
    def above(self, floor: FloatArray) -> BoundedSearch:
        """The search among costs of at least ``floor`` (R,), 0 or more."""

    def least(self, cost: FloatArray, types: IntArray) -> FloatArray:
        """Lower bounds (K,) of the costs of all actions of some types, attained up to rounding."""
        return self.above(cost).least(types)


class BoundedSearch(ABC):
    """Finds cheapest actions when no resource costs less than its floor."""

    @abstractmethod
    def least(self, types: IntArray) -> FloatArray:
        """Lower bounds (K,) of the costs of all actions of some types at the floor, attained there up to rounding."""

    @abstractmethod
    def cheapest(self, cost: FloatArray, kind: int, known: float) -> tuple[float, IntArray]:
        """A lower bound of the costs of all actions of one type, and the resources of an action that attains it.

        Parameters
        ----------
        cost : (R,) at least the floor. known : what some action of the type costs; dearer ones need not be looked at.
        """


class RouteSearch(ActionSearch):
    """Routes of a road network."""

    def __init__(self, routes: Routes) -> None:
        self.roads = ProvenRoads(routes.network)
        self.source = self.roads.source(np.asarray(routes.origin))
        self.target = np.asarray(routes.destination)
        self.back, self.back_order = self.roads.arcs.reversed()

    def above(self, floor: FloatArray) -> BoundedRoutes:
        """With trees at the floor."""
        return BoundedRoutes(self, floor)


class BoundedRoutes(BoundedSearch):
    """Searches only among the roads by which a path can be as cheap as one that is known.

    Let F and B be proven distances at the floor from the origin and to the destination. A path by the road from i to j costs at
    least :math:`F_i + floor_{ij} + B_j`; where that is more than what is known, the road is left out.
    """

    def __init__(self, search: RouteSearch, floor: FloatArray) -> None:
        self.search = search
        self.arc = search.roads.arc_costs(floor)
        self._ahead: dict[int, FloatArray] = {}
        self._behind: dict[int, FloatArray] = {}

    def least(self, types: IntArray) -> FloatArray:
        """By one tree per origin."""
        source, target = self.search.source[types], self.search.target[types]
        new = np.setdiff1d(source, np.fromiter(self._ahead, dtype=np.int64))
        if len(new):
            self._ahead.update(zip(new.tolist(), self.search.roads.arcs.trees(self.arc, new).least, strict=True))
        return np.array([self._ahead[o][d] for o, d in zip(source.tolist(), target.tolist(), strict=True)])

    def cheapest(self, cost: FloatArray, kind: int, known: float) -> tuple[float, IntArray]:
        """By a tree on the roads that matter; they are few near an equilibrium."""
        roads, source, target = self.search.roads, int(self.search.source[kind]), int(self.search.target[kind])
        if source not in self._ahead:
            self.least(np.array([kind]))
        ahead, behind = self._ahead[source], self._to(target)
        reach = ahead[roads.arcs.tail] + self.arc + behind[roads.arcs.head]
        near = np.flatnonzero(reach <= known * (1 + MARGIN))
        part, nodes = roads.arcs.among(near)
        start, stop = np.searchsorted(nodes, (source, target))
        trees = part.trees(roads.arc_costs(cost)[near], np.array([start]))
        path = near[part.path(trees.before[0], int(start), int(stop))]
        return float(trees.least[0, stop]), roads.roads(path, cost)

    def _to(self, target: int) -> FloatArray:
        if target not in self._behind:
            trees = self.search.back.trees(self.arc[self.search.back_order], np.array([target]))
            self._behind[target] = trees.least[0]
        return self._behind[target]


class ListSearch(ActionSearch):
    """Actions in a list."""

    def __init__(self, actions: ListedActions) -> None:
        counts = np.asarray(actions.n_actions)
        self.first = np.concatenate(([0], np.cumsum(counts)))
        self.indptr, self.resources = np.asarray(actions.indptr), np.asarray(actions.resources)
        shape = (int(self.first[-1]), actions.n_resources)
        self.uses = sparse.csr_array((np.ones(len(self.resources)), self.resources, self.indptr), shape=shape)

    def above(self, floor: FloatArray) -> BoundedList:
        """With the costs of all actions at the floor."""
        return BoundedList(self, floor)


class BoundedList(BoundedSearch):
    """Evaluates all actions of a type."""

    def __init__(self, search: ListSearch, floor: FloatArray) -> None:
        self.search = search
        self._least = np.minimum.reduceat(search.uses @ floor, search.first[:-1])

    def least(self, types: IntArray) -> FloatArray:
        """By one product with all actions."""
        return np.asarray(self._least[types])

    def cheapest(self, cost: FloatArray, kind: int, known: float) -> tuple[float, IntArray]:
        """By evaluation of the type's own actions."""
        search = self.search
        rows = slice(int(search.first[kind]), int(search.first[kind + 1]))
        costs = search.uses[rows] @ cost
        best = int(np.argmin(costs))
        start, stop = search.indptr[rows.start + best : rows.start + best + 2]
        return float(costs[best]), search.resources[start:stop]


@lru_cache(maxsize=4)
def action_search(actions: Actions) -> ActionSearch:
    """The search for the actions of a game.

    Raises
    ------
    InvalidGame : actions of a kind that no search is known for.
    """
    if isinstance(actions, Routes):
        return RouteSearch(actions)
    if isinstance(actions, ListedActions):
        return ListSearch(actions)
    raise InvalidGame(f"actions are {type(actions).__name__}", "Give Routes or ListedActions.")
