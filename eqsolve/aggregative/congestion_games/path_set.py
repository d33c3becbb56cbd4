"""The paths that a method works on: sorted by type, each once, with their flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.actions import Cheapest, gathered
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import BoolArray, FloatArray, IntArray

CHEAPER = 1e-13
"""By how much, relative to its cost, an action must be cheaper than the known ones of its type to be taken in."""


@dataclass(frozen=True, slots=True, eq=False)
class PathSet:
    """P paths in order of their types.

    Parameters
    ----------
    type_of : (P,) increasing. indptr, resources : (P+1,) and flat. flow : (P,) vehicles.
    """

    type_of: IntArray
    indptr: IntArray
    resources: IntArray
    flow: FloatArray

    @staticmethod
    def all_or_nothing(game: CongestionGame, cost: FloatArray) -> PathSet:
        """Everybody on one cheapest action at the costs (R,)."""
        found = game.actions.cheapest(cost)
        return PathSet(np.arange(game.n_types), found.indptr, found.resources, game.count.copy())

    @property
    def n_paths(self) -> int:
        """Number of paths P."""
        return len(self.flow)

    def first(self, n_types: int) -> IntArray:
        """(T+1,) where the paths of each type begin."""
        return np.searchsorted(self.type_of, np.arange(n_types + 1))

    def path_costs(self, cost: FloatArray) -> FloatArray:
        """(P,) the sums of the costs (R,) along the paths, each in the order of its resources."""
        owner = np.repeat(np.arange(self.n_paths), np.diff(self.indptr))
        return np.asarray(np.bincount(owner, weights=cost[self.resources], minlength=self.n_paths), dtype=np.float64)

    def load(self, game: CongestionGame) -> FloatArray:
        """x (R,), the weighted flow on each resource."""
        flow = np.repeat(self.flow * game.weight[self.type_of], np.diff(self.indptr))
        return np.asarray(np.bincount(self.resources, weights=flow, minlength=game.n_coordinates), dtype=np.float64)

    def with_flow(self, flow: FloatArray) -> PathSet:
        """The same paths with other flows."""
        return PathSet(self.type_of, self.indptr, self.resources, flow)

    def balanced(self, game: CongestionGame) -> PathSet:
        """The paths with flow, the largest flow of each type set to what the others leave of its vehicles."""
        kept = self.chosen(self.flow > 0.0)
        first = kept.first(game.n_types)
        most = np.maximum.reduceat(kept.flow, first[:-1])
        at = np.flatnonzero(kept.flow == most[kept.type_of])
        largest = at[np.unique(kept.type_of[at], return_index=True)[1]]
        others = kept.flow.copy()
        others[largest] = 0.0
        flow = kept.flow.copy()
        flow[largest] = game.count - np.add.reduceat(others, first[:-1])
        return kept.with_flow(flow)

    def chosen(self, keep: BoolArray) -> PathSet:
        """Some of the paths."""
        if keep.all():
            return self
        indptr, resources = gathered(self.indptr, self.resources, np.flatnonzero(keep))
        return PathSet(self.type_of[keep], indptr, resources, self.flow[keep])

    def with_cheaper(self, game: CongestionGame, found: Cheapest, own: FloatArray) -> tuple[PathSet, int]:
        """With the cheapest actions of types whose known paths, of costs ``own`` (P,), all cost more; and how many these are."""
        known = np.minimum.reduceat(own, self.first(game.n_types)[:-1])
        return self.joined(game, found, np.flatnonzero(found.least < known - CHEAPER * np.abs(known)))

    def joined(self, game: CongestionGame, found: Cheapest, types: IntArray) -> tuple[PathSet, int]:
        """With the cheapest actions of some types where they are not known, without flow; and how many were not."""
        indptr, resources = gathered(found.indptr, found.resources, types)
        word = _words(game.n_coordinates)
        new = ~np.isin(_keys(word, types, indptr, resources), _keys(word, self.type_of, self.indptr, self.resources))
        if not new.any():
            return self, 0
        indptr, resources = gathered(found.indptr, found.resources, types[new])
        return self.merged(types[new], indptr, resources, np.zeros(int(new.sum()))), int(new.sum())

    def merged(self, type_of: IntArray, indptr: IntArray, resources: IntArray, flow: FloatArray) -> PathSet:
        """With some more paths, each after the known ones of its type."""
        types = np.concatenate((self.type_of, type_of))
        pointers = np.concatenate((self.indptr, self.indptr[-1] + indptr[1:]))
        order = np.argsort(types, kind="stable")
        pointers, flat = gathered(pointers, np.concatenate((self.resources, resources)), order)
        return PathSet(types[order], pointers, flat, np.concatenate((self.flow, flow))[order])

    def find(self, game: CongestionGame, found: Cheapest) -> IntArray:
        """(T,) the path that is the cheapest action of each type; all are known."""
        word = _words(game.n_coordinates)
        mine = _keys(word, self.type_of, self.indptr, self.resources)
        order = np.argsort(mine, kind="stable")
        theirs = _keys(word, np.arange(game.n_types), found.indptr, found.resources)
        return np.asarray(order[np.searchsorted(mine[order], theirs)])

    def flows(self) -> PathFlows:
        """The policy, without unused paths."""
        used = self.chosen(self.flow > 0.0)
        return PathFlows(used.type_of, used.indptr, used.resources, used.flow)


def _words(n_resources: int) -> npt.NDArray[np.uint64]:
    return np.random.default_rng(0).integers(0, 2**64, n_resources, dtype=np.uint64)


def _keys(word: npt.NDArray[np.uint64], type_of: IntArray, indptr: IntArray, resources: IntArray) -> npt.NDArray[np.uint64]:
    """A number of 64 bits for each (type, set of resources); two different ones share it once in 10^19 pairs."""
    total = np.zeros(len(resources) + 1, dtype=np.uint64)
    np.cumsum(word[resources], out=total[1:])
    own = (type_of.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return np.asarray((total[indptr[1:]] - total[indptr[:-1]]) ^ own)
