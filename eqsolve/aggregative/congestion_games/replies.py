"""Best responses of single vehicles, which see what they leave and what they join at different loads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from heapq import heappop, heappush

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.aggregative.congestion_games.actions import Actions, ListedActions, Routes
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame


class Replies(ABC):
    """Finds an action that costs a vehicle less than a given amount: now where it is already, joined elsewhere."""

    def turn_to(self, now: FloatArray, joined: FloatArray) -> None:
        """Look at other costs (R,), which the caller may change in place afterwards."""
        self.now, self.joined = now, joined

    @abstractmethod
    def best(self, kind: int, own: IntArray, below: float) -> IntArray | None:
        """A cheapest action of one type for a vehicle that uses ``own``; None where none costs less than ``below``.

        It may be none of the cheapest once costs have fallen since ``turn_to``.
        """

    @staticmethod
    def of(actions: Actions) -> Replies:
        """For the actions of a game.

        Raises
        ------
        InvalidGame : actions of an unknown kind.
        """
        if isinstance(actions, Routes):
            return RouteReplies(actions)
        if isinstance(actions, ListedActions):
            return ListReplies(actions)
        raise InvalidGame(f"actions are {type(actions).__name__}", "Give Routes or ListedActions.")


class ListReplies(Replies):
    """All actions of a type are evaluated."""

    def __init__(self, actions: ListedActions) -> None:
        self.actions = actions

    def best(self, kind: int, own: IntArray, below: float) -> IntArray | None:
        """The first of the cheapest."""
        cost = self.joined.copy()
        cost[own] = self.now[own]
        first, stop = self.actions.offsets[kind], self.actions.offsets[kind + 1]
        costs = self.actions.incidence[first:stop] @ cost
        k = int(np.argmin(costs))
        return self.actions.action(int(first) + k) if costs[k] < below else None


class RouteReplies(Replies):
    """A* towards the destination, by distances to it at the costs of the last turn: near an equilibrium it looks at few nodes."""

    def __init__(self, routes: Routes) -> None:
        network = routes.network
        self.routes, self.n, self.through = routes, network.n_nodes, network.first_through
        self.leaving: list[list[tuple[int, int]]] = [[] for _ in range(self.n)]
        for link, (tail, head) in enumerate(zip(network.tail.tolist(), network.head.tolist(), strict=True)):
            self.leaving[tail].append((head, link))
        # Towards a destination, roads out of zones matter at the origin only, where nothing is left to estimate.
        inner = np.flatnonzero(network.tail >= self.through)
        key = network.head[inner] * self.n + network.tail[inner]
        self.links = inner[np.argsort(key, kind="stable")]
        pairs, self.first = np.unique(np.sort(key), return_index=True)
        self.back_head = pairs % self.n
        self.back_indptr = np.searchsorted(pairs // self.n, np.arange(self.n + 1))

    def turn_to(self, now: FloatArray, joined: FloatArray) -> None:
        """Distances are found anew when they are asked for."""
        super().turn_to(now, joined)
        floor = np.minimum(now, joined)[self.links]
        arc = np.minimum.reduceat(floor, self.first) if len(floor) else floor
        self.back = sparse.csr_array((arc, self.back_head, self.back_indptr), shape=(self.n, self.n))
        self.left: dict[int, memoryview] = {}

    def best(self, kind: int, own: IntArray, below: float) -> IntArray | None:
        """The first path that reaches the destination."""
        origin, target = int(self.routes.origin[kind]), int(self.routes.destination[kind])
        if target not in self.left:
            self.left[target] = np.asarray(csgraph.dijkstra(self.back, indices=target), dtype=np.float64).data
        left, now, joined, mine = self.left[target], self.now.data, self.joined.data, set(own.tolist())
        reached = {origin: 0.0}
        came: dict[int, tuple[int, int]] = {}
        heap = [(0.0, 0.0, origin)]
        while heap:
            _, cost, node = heappop(heap)
            if node == target:
                return _traced(came, origin, target)
            if cost > reached[node] or (node < self.through and node != origin):
                continue
            for head, link in self.leaving[node]:
                there = cost + (now[link] if link in mine else joined[link])
                ahead = there + left[head]
                if ahead < below and there < reached.get(head, np.inf):
                    reached[head], came[head] = there, (node, link)
                    heappush(heap, (ahead, there, head))
        return None


def _traced(came: dict[int, tuple[int, int]], origin: int, node: int) -> IntArray:
    links = []
    while node != origin:
        node, link = came[node]
        links.append(link)
    return np.array(links[::-1], dtype=np.int64)
