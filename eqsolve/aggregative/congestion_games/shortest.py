"""Shortest paths in road networks: one tree per origin, zones closed to trips of others, parallel links told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.arrays import FloatArray, IntArray

TREES = 256
"""Trees that are held at once."""
MOST_STEPS = 5_000_000
"""Steps of the enumeration of routes."""


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A network laid out for trees from some origins.

    An origin that is a zone gets a vertex of its own, from which its links leave; the zone itself is only arrived at, so that
    one graph serves all trees.

    Parameters
    ----------
    n_vertices : V, nodes and the origins' own vertices. origins : (K,) nodes, increasing. source : (K,) the vertex of each.
    tail, head : (R,) vertices of each link; no tail (-1) for links out of zones that no trip begins at.
    pair : (R,) number of the two ends of each link, which parallel links share; -1 without a tail.
    pair_head, pair_indptr : heads of the pairs, in order of the tails, and where those of each vertex begin.
    """

    n_vertices: int
    origins: IntArray
    source: IntArray
    tail: IntArray
    head: IntArray
    pair: IntArray
    pair_head: IntArray
    pair_indptr: IntArray

    @staticmethod
    def of(network: RoadNetwork, origin: IntArray) -> Forest:
        """For trees from the distinct ones of ``origin``."""
        n, origins = network.n_nodes, np.unique(origin)
        zones = origins[origins < network.first_through]
        moved = np.full(n, -1, dtype=np.int64)
        moved[zones] = n + np.arange(len(zones))
        closed = network.tail < network.first_through
        tail = np.where(closed, moved[network.tail], network.tail)
        source = np.where(moved[origins] >= 0, moved[origins], origins)
        V = n + len(zones)
        # A link out of a zone that no trip begins at is used by nobody.
        key = np.where(tail >= 0, tail * V + network.head, -1)
        pairs, pair = np.unique(key, return_inverse=True)
        if len(pairs) and pairs[0] < 0:
            pairs, pair = pairs[1:], pair - 1
        indptr = np.searchsorted(pairs // V, np.arange(V + 1))
        return Forest(V, origins, source, tail, network.head, pair, pairs % V, indptr)

    def cheapest_links(self, cost: FloatArray) -> IntArray:
        """The cheapest link of each pair, the first of several."""
        if len(self.pair) == len(self.pair_head):
            order = np.empty(len(self.pair), dtype=np.int64)
            order[self.pair] = np.arange(len(self.pair))
            return order
        order = np.lexsort((cost, self.pair))
        order = order[np.searchsorted(self.pair[order], 0) :]
        first = np.ones(len(order), dtype=bool)
        first[1:] = self.pair[order[1:]] != self.pair[order[:-1]]
        return order[first]

    def routes(self, cost: FloatArray, origin: IntArray, destination: IntArray) -> tuple[FloatArray, IntArray, IntArray]:
        """Costs (T,), pointers (T+1,) and links of shortest paths; a pair that is not connected has infinite cost and no links."""
        link = self.cheapest_links(cost)
        graph = sparse.csr_array((cost[link], self.pair_head, self.pair_indptr), shape=(self.n_vertices, self.n_vertices))
        tree = np.searchsorted(self.origins, origin)
        least = np.empty(len(origin))
        lengths, parts, owners = np.zeros(len(origin), dtype=np.int64), [], []
        for begin in range(0, len(self.origins), TREES):
            own = np.flatnonzero((tree >= begin) & (tree < begin + TREES))
            distance, before = csgraph.dijkstra(graph, indices=self.source[begin : begin + TREES], return_predecessors=True)
            row = tree[own] - begin
            least[own] = distance[row, destination[own]]
            types, links, lengths[own] = self._traced(before, row, destination[own], link)
            owners.append(own[types])
            parts.append(links)
        # Traced from the end: within a type, the first link found comes last.
        owner, links = np.concatenate([*owners, np.zeros(0, dtype=np.int64)]), np.concatenate([*parts, np.zeros(0, dtype=np.int64)])
        backwards = np.argsort(owner[::-1], kind="stable")
        return least, np.concatenate(([0], np.cumsum(lengths))), links[::-1][backwards]

    def _traced(
        self, before: IntArray, row: IntArray, destination: IntArray, link: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Types and links of all steps back from the destinations, and the number of steps of each type."""
        here, alive = destination.astype(np.int64), np.arange(len(row))
        lengths = np.zeros(len(row), dtype=np.int64)
        types, links = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        V = self.n_vertices
        key = np.repeat(np.arange(V), np.diff(self.pair_indptr)) * V + self.pair_head
        while True:
            there = before[row[alive], here[alive]].astype(np.int64)
            on = there >= 0
            alive, there = alive[on], there[on]
            if not len(alive):
                return np.concatenate(types), np.concatenate(links), lengths
            types.append(alive)
            links.append(link[np.searchsorted(key, there * V + here[alive])])
            lengths[alive] += 1
            here[alive] = there


def simple_paths(network: RoadNetwork, origin: int, destination: int, most: int) -> list[list[int]] | None:
    """All routes that pass no node twice, as lists of links, in the order of the links; None where there are more than ``most``."""
    leaving: list[list[int]] = [[] for _ in range(network.n_nodes)]
    for r, node in enumerate(network.tail.tolist()):
        leaving[node].append(r)
    heads = network.head.tolist()
    found: list[list[int]] = []
    path: list[int] = []
    seen = {origin}
    open_links = [iter(leaving[origin])]
    for _ in range(MOST_STEPS):
        r = next(open_links[-1], -1)
        if r < 0:
            open_links.pop()
            if not open_links:
                return found
            seen.discard(heads[path.pop()])
            continue
        node = heads[r]
        if node in seen:
            continue
        if node == destination:
            if len(found) >= most:
                return None
            found.append([*path, r])
        elif node >= network.first_through:
            seen.add(node)
            path.append(r)
            open_links.append(iter(leaving[node]))
    return None
