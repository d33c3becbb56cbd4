"""Shortest distances that are proved by dual feasible node potentials, for certificates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData

LARGE = float(np.finfo(np.float64).max)
AT_ONCE = 4_000_000
"""Node and arc potentials held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Arcs:
    """Directed arcs between n nodes, in order of their tails and heads, each pair of ends once.

    Parameters
    ----------
    n : number of nodes. tail, head : (M,) of each arc.
    """

    n: int
    tail: IntArray
    head: IntArray

    def trees(self, cost: FloatArray, source: IntArray) -> Trees:
        r"""Shortest trees (K,) from some nodes when the arcs cost ``cost`` (M,), all 0 or more.

        The distances come from Dijkstra's method of scipy and are not taken on trust: node potentials u with

        .. math:: u_j \le u_i + c_{ij} \quad \text{for every arc}

        prove that no path from the source to j costs less than :math:`u_j - u_{source}`, by adding up along it.
        """
        indptr = np.searchsorted(self.tail, np.arange(self.n + 1))
        graph = sparse.csr_array((cost, self.head, indptr), shape=(self.n, self.n))
        distance, before = csgraph.dijkstra(graph, indices=source, return_predecessors=True)
        slack = np.empty(len(source))
        step = max(1, AT_ONCE // max(len(cost), 1))
        for k in range(0, len(source), step):
            rows = distance[k : k + step]
            over = rows[:, self.head] - np.minimum(rows[:, self.tail] + cost, LARGE)
            # Of a head that is not reached from a tail that is, nothing is proved.
            unreached = np.isinf(rows[:, self.tail])
            slack[k : k + step] = np.where(unreached, 0.0, over).max(axis=1, initial=0.0)
        slack = np.maximum(slack, 0.0) * np.where(slack > 0, self.n - 1, 1)
        slack += np.maximum(distance[np.arange(len(source)), source], 0.0)
        return Trees(source, distance, np.asarray(before), slack)

    def reversed(self) -> tuple[Arcs, IntArray]:
        """The arcs the other way, and which arc each was."""
        order = np.lexsort((self.tail, self.head))
        return Arcs(self.n, self.head[order], self.tail[order]), order

    def among(self, arcs: IntArray) -> tuple[Arcs, IntArray]:
        """Some arcs in order, with the nodes that they touch numbered anew; and these nodes, increasing."""
        nodes, ends = np.unique(np.concatenate((self.tail[arcs], self.head[arcs])), return_inverse=True)
        return Arcs(len(nodes), ends[: len(arcs)], ends[len(arcs) :]), nodes

    def path(self, before: IntArray, source: int, node: int) -> IntArray:
        """The arcs by which a tree (n,) reaches a node.

        Raises
        ------
        InvalidData : the tree does not.
        """
        nodes = [node]
        while node != source and 0 <= node < self.n and len(nodes) <= self.n:
            node = int(before[node])
            nodes.append(node)
        ends = np.array(nodes[::-1], dtype=np.int64)
        keys, wanted = self.tail * self.n + self.head, ends[:-1] * self.n + ends[1:]
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        if node != source or (keys[found] != wanted).any():
            raise InvalidData("the search for a shortest path handed back none")
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Shortest trees from several sources, with their proof.

    Parameters
    ----------
    source : (K,) the node that each starts at. distance, before : (K, n) the distance of each node and the node before it.
    slack : (K,) by how much a path may be shorter than the distance says: 0 where the potentials are dual feasible.
    """

    source: IntArray
    distance: FloatArray
    before: IntArray
    slack: FloatArray

    @property
    def least(self) -> FloatArray:
        """(K, n) proven lower bounds of the costs of all paths to each node; infinite where there is none."""
        known = np.where(np.isfinite(self.slack), self.slack, LARGE)
        return np.asarray(np.maximum(self.distance - known[:, None], 0.0))


class ProvenRoads:
    """The roads of a network laid out for searching, with zones that are not passed through.

    A zone below ``first_through`` is two nodes, one that roads lead to and one that they start from, so that no path passes it.
    Parallel roads are one arc, of the cheapest of them.
    """

    def __init__(self, network: RoadNetwork) -> None:
        self.n_nodes, self.zones = network.n_nodes, network.first_through
        n = self.n_nodes + self.zones
        tail = np.where(network.tail < self.zones, network.tail + self.n_nodes, network.tail)
        key = tail * n + network.head
        self.order = np.argsort(key, kind="stable")
        pairs, self.first = np.unique(key[self.order], return_index=True)
        self.many = np.diff(np.append(self.first, len(key))) - 1
        self.arcs = Arcs(n, *np.divmod(pairs, n))

    def source(self, origin: IntArray) -> IntArray:
        """The node that trips from an origin start at."""
        return np.where(origin < self.zones, origin + self.n_nodes, origin)

    def arc_costs(self, cost: FloatArray) -> FloatArray:
        """(M,) the costs of the arcs when the roads cost ``cost`` (R,)."""
        return np.asarray(np.minimum.reduceat(cost[self.order], self.first))

    def roads(self, arcs: IntArray, cost: FloatArray) -> IntArray:
        """The road of each arc, the cheapest of parallel ones."""
        found = self.order[self.first[arcs]]
        for k in np.flatnonzero(self.many[arcs]).tolist():
            parallel = self.order[self.first[arcs[k]] : self.first[arcs[k]] + self.many[arcs[k]] + 1]
            found[k] = parallel[np.argmin(cost[parallel])]
        return found
