"""The work of path-based methods: new paths, and sweeps of pairwise Newton steps towards equal costs of the known ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from eqsolve.aggregative.congestion_games.actions import Routes
from eqsolve.aggregative.congestion_games.costs import Costs
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import FloatArray, IntArray

SMALL = 12
"""Types up to which numpy is quick enough, and numba is not loaded."""
OVERSHOT, ENOUGH = 0.1, 0.5
"""How negative, and how positive, the difference of two paths' costs may be after a step that was too long, relative to before."""
TRIES = 30
"""Shorter steps at most."""
SKIPPED = 0.8
"""Types with less than this share of the mean excess wait for a later sweep; below 1, so that not all do."""
PARTIAL, LEFT = 10, 0.1
"""Sweeps over types of much excess between two over all, at most, and the share of the excess at which they end."""


class PathWork(ABC):
    """What a step does to a set of paths."""

    def __init__(self, game: CongestionGame) -> None:
        self.game = game

    def widened(self, paths: PathSet) -> tuple[PathSet, int]:
        """With the cheapest actions that cost less than all known ones of their type, and how many these are."""
        cost = self.game.costs.cost(paths.load(self.game))
        return paths.with_cheaper(self.game, self.game.actions.cheapest(cost), paths.path_costs(cost))

    @abstractmethod
    def levelled(self, paths: PathSet, excess: float, most: int, between: Callable[[], object] = int) -> tuple[PathSet, int]:
        """After sweeps until one meets at most ``excess``, relative to all cost, or ``most`` of them; and their number.

        ``between`` is called before each sweep, and may end it all by an error.
        """

    def least(self, cost: FloatArray) -> FloatArray:
        """(T,) the cost of a cheapest action of each type."""
        return self.game.actions.cheapest(cost).least


def path_work(game: CongestionGame) -> PathWork:
    """Compiled for many types whose costs are sums of powers, else interpreted."""
    return Interpreted(game) if game.n_types <= SMALL or game.costs.powers() is None else Compiled(game)


class Compiled(PathWork):
    """By ``path_kernels``; routes are found one origin after the other, each at the flows that those before it left."""

    def __init__(self, game: CongestionGame) -> None:
        from eqsolve.aggregative.congestion_games import path_kernels

        super().__init__(game)
        self.kernels = path_kernels
        powers = game.costs.powers()
        assert powers is not None
        self.powers = tuple(np.array(one) for one in powers)
        self.weight = np.array(game.weight)
        R = game.n_coordinates
        self.scratch = np.zeros(R, dtype=np.uint8), np.zeros(R, dtype=np.uint64), np.zeros(R, dtype=np.uint8)
        self.routes = _origins(game.actions) if isinstance(game.actions, Routes) else None

    def roads(self, x: FloatArray) -> Any:
        """The arrays of the resources that kernels change together."""
        found = (*self.powers, x, np.empty_like(x), np.empty_like(x))
        self.kernels.evaluate_all(found)
        return found

    def widened(self, paths: PathSet) -> tuple[PathSet, int]:
        """As described, where the actions are routes."""
        if self.routes is None:
            return super().widened(paths)
        T = self.game.n_types
        new = new_type, new_end, new_flow = np.empty(T, dtype=np.int64), np.empty(T, dtype=np.int64), np.empty(T)
        star, by_origin, trees, tails = self.routes
        flow, known = paths.flow.copy(), _writeable(paths, T)
        roads = self.roads(paths.load(self.game))
        scratch = (*self.scratch, np.empty(0))
        n, found = self.kernels.find_paths(by_origin, star, tails, known, flow, self.weight, roads, scratch, trees, new)
        indptr = np.concatenate(([0], new_end[:n]))
        return paths.with_flow(flow).merged(new_type[:n], indptr, found.astype(np.int64), new_flow[:n]), int(n)

    def levelled(self, paths: PathSet, excess: float, most: int, between: Callable[[], object] = int) -> tuple[PathSet, int]:
        """Sweeps over all types, and between them some over those with much excess."""
        T = self.game.n_types
        flow, known, roads = paths.flow.copy(), _writeable(paths, T), self.roads(paths.load(self.game))
        width = np.diff(known[0])
        several, met = np.flatnonzero(width > 1), np.zeros(T)
        scratch = (*self.scratch, np.empty(int(width.max())))

        def sweep(types: IntArray, threshold: float) -> float:
            return float(self.kernels.sweep(types, known, flow, self.weight, threshold, met, roads, scratch))

        threshold, sweeps = 0.0, 0
        while sweeps < most:
            between()
            sweeps += 1
            together = sweep(several, threshold)
            if together <= excess * float(np.sum(roads[2] * roads[3])):
                break
            threshold = SKIPPED * together / len(several)
            busy = several[met[several] > threshold]
            begun = float(np.sum(met[busy]))
            for _ in range(PARTIAL):
                if sweep(busy, threshold) <= LEFT * begun:
                    break
        return paths.with_flow(flow), sweeps

    def least(self, cost: FloatArray) -> FloatArray:
        """By one tree per origin."""
        if self.routes is None:
            return super().least(cost)
        star, by_origin, trees, _ = self.routes
        least = np.empty(self.game.n_types)
        self.kernels.distances(by_origin, star, cost, least, trees)
        return least


def _writeable(paths: PathSet, n_types: int) -> tuple[IntArray, IntArray, Any]:
    """First path of each type, pointers and resources: kernels are compiled for arrays that may be written to, and read 32 bits."""
    return paths.first(n_types), paths.indptr.copy(), paths.resources.astype(np.uint32)


def _origins(routes: Routes) -> tuple[Any, Any, Any, IntArray]:
    """Forward star of the forest, its types by origin, room for one tree, and the tails of the star's links."""
    forest = routes.forest
    used = np.flatnonzero(forest.tail >= 0)
    order = used[np.argsort(forest.tail[used], kind="stable")]
    tails = forest.tail[order]
    star = np.searchsorted(tails, np.arange(forest.n_vertices + 1)), forest.head[order], order
    tree = np.searchsorted(forest.origins, routes.origin)
    by_origin = np.argsort(tree, kind="stable")
    groups = np.searchsorted(tree[by_origin], np.arange(len(forest.origins) + 1))
    V = forest.n_vertices
    room = np.empty(V), np.zeros(V, dtype=np.int64), np.empty(len(order) + 1), np.zeros(len(order) + 1, dtype=np.int64)
    return star, (forest.source, groups, by_origin, np.array(routes.destination)), room, tails


class Interpreted(PathWork):
    """In numpy, for any costs; every step evaluates all of them."""

    def levelled(self, paths: PathSet, excess: float, most: int, between: Callable[[], object] = int) -> tuple[PathSet, int]:
        """Sweeps over all types with several paths."""
        game = self.game
        flow, first, costs, x = paths.flow.copy(), paths.first(game.n_types), game.costs, paths.load(game)
        routes = [paths.resources[i:j] for i, j in zip(paths.indptr[:-1], paths.indptr[1:], strict=True)]
        sweeps, several = 0, np.flatnonzero(np.diff(first) > 1)
        while sweeps < most:
            between()
            sweeps += 1
            met = 0.0
            for t in several.tolist():
                x, more = _level(costs, routes, flow, x, range(first[t], first[t + 1]), float(game.weight[t]))
                met += more
            if met <= excess * float(np.sum(x * costs.cost(x))):
                break
        return paths.with_flow(flow), sweeps


def _level(
    costs: Costs, routes: list[IntArray], flow: FloatArray, x: FloatArray, own: range, weight: float
) -> tuple[FloatArray, float]:
    """Move vehicles of one type from its dearer paths to its cheapest: the flows x after it, and the excess before."""
    cost = costs.cost(x)
    total = np.array([cost[routes[p]].sum() for p in own])
    q = own[int(np.argmin(total))]
    excess = weight * float(np.sum(flow[own.start : own.stop] * (total - total.min())))
    for p in own:
        if p == q or flow[p] <= 0.0:
            continue
        direction = np.zeros(len(x))
        direction[routes[q]] += 1.0
        direction[routes[p]] -= 1.0
        ahead = -float(np.sum(direction * costs.cost(x)))
        if not ahead > 0.0:
            continue
        steep = float(np.sum(np.abs(direction) * costs.derivative(x)))
        here = weight * float(flow[p])
        step = here if steep * here <= ahead else ahead / steep
        step = _shortened(costs, x, direction, step, ahead)
        x = x + step * direction
        moved = float(flow[p]) if step >= here else step / weight
        flow[p], flow[q] = flow[p] - moved, flow[q] + moved
    return x, excess


def _shortened(costs: Costs, x: FloatArray, direction: FloatArray, step: float, ahead: float) -> float:
    """A step after which the costs of the two paths are nearer to each other than the difference ``ahead`` before it."""
    left = -float(np.sum(direction * costs.cost(x + step * direction)))
    if left >= -OVERSHOT * ahead:
        return step
    low, high, at_low, at_high = 0.0, step, ahead, left
    for _ in range(TRIES):
        step = low + (high - low) * min(max(at_low / (at_low - at_high), 0.05), 0.95)
        left = -float(np.sum(direction * costs.cost(x + step * direction)))
        if left < 0.0:
            high, at_high = step, left
        else:
            low, at_low = step, left
        if -OVERSHOT * ahead <= left <= ENOUGH * ahead:
            break
    return step
