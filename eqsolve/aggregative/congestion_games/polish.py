"""Best-response polish of whole vehicles: from nearly an equilibrium to one in which nobody gains."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

import numpy as np

from eqsolve.aggregative.congestion_games.costs import Costs
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.replies import Replies
from eqsolve.arrays import FloatArray, IntArray

ROUNDING = 1e-14
"""Gain, relative to the cost of the path driven, that is rounding: nobody moves for less."""
ONE_BY_ONE = 4096
"""Vehicles that move together at most where a cost may fall with its flow: each is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """What one pass over all used paths has done.

    Parameters
    ----------
    flows : after it. replies : moves of vehicles of one path to another. vehicles : that have moved.
    gain : the largest gain of one that moved; 0 when nobody did, and then nobody gains more than was asked for.
    is_complete : whether all paths were looked at, before the moves ran out.
    """

    flows: PathFlows
    replies: int
    vehicles: float
    gain: float
    is_complete: bool


def sweep(game: CongestionGame, flows: PathFlows, tolerance: float = 0.0, most: int | None = None) -> Sweep:
    r"""The vehicles of each used path, one path after the other, take best responses to the flows as they then are.

    Of the vehicles on a path as many move together as keeps the last of them gaining more than the tolerance,

    .. math:: \sum_{r \in p \setminus q} c_r(x_r - (m - 1) w) - \sum_{r \in q \setminus p} c_r(x_r + m w) > \tau,

    which for costs that do not fall is found by bisection. Every vehicle gains when it moves, so that each move of m vehicles
    lowers Rosenthal's potential where the weights are equal. Paths from which bounds leave nothing to gain are passed over. The
    search for better routes goes by distances from the beginning of the sweep, so that a response may miss the best one once costs
    have fallen; a sweep that moves nobody has looked at all there are.

    Parameters
    ----------
    flows : atomic. tolerance : in units of cost. most : replies at most.
    """
    fleet = _Fleet(game, flows)
    replies, vehicles, gain = 0, 0.0, 0.0
    for w in np.unique(game.weight):
        fleet.turn_to(float(w))
        for p in fleet.candidates(tolerance):
            while fleet.flow[p] > 0 and (reply := fleet.reply(p, tolerance)) is not None:
                if most is not None and replies >= most:
                    return Sweep(fleet.flows(), replies, vehicles, gain, False)
                replies, vehicles, gain = replies + 1, vehicles + fleet.move(p, reply), max(gain, reply.gain)
    return Sweep(fleet.flows(), replies, vehicles, gain, True)


@dataclass(frozen=True, slots=True, eq=False)
class _Reply:
    """A better action for the vehicles on a path, and the gain of the first of them; gains up to ``floor`` are left."""

    action: IntArray
    leaving: IntArray
    joining: IntArray
    gain: float
    floor: float


class _Fleet:
    """Vehicles on paths, and what the resources cost now and with one more vehicle of the present weight."""

    def __init__(self, game: CongestionGame, flows: PathFlows) -> None:
        self.game = game
        self.kinds: list[int] = flows.type_of.tolist()
        self.paths: list[IntArray] = [np.sort(flows.path(p)) for p in range(flows.n_paths)]
        self.order: list[IntArray] = [flows.path(p) for p in range(flows.n_paths)]
        self.flow: list[float] = flows.flow.tolist()
        self.known: dict[tuple[int, bytes], int] = {}
        for p in range(flows.n_paths - 1, -1, -1):
            self.known[self._key(self.kinds[p], self.paths[p])] = p
        self.x = game.aggregator(flows)
        # Loads beyond the whole demand are met by nobody, and costs need not be sensible there.
        self.most = float(game.demand.sum())
        self.replies = Replies.of(game.actions)

    def turn_to(self, weight: float) -> None:
        """Look at the vehicles of another weight."""
        self.weight = weight
        self.joined = self.game.costs.cost(np.minimum(self.x + weight, self.most)).copy()
        self.now = self.game.costs.cost(self.x).copy()
        self.replies.turn_to(self.now, self.joined)

    def candidates(self, tolerance: float) -> list[int]:
        """The used paths from which a vehicle may gain more than the tolerance, by bounds; those with most room first."""
        actions, now, joined = self.game.actions, self.now, self.joined
        near = actions.cheapest(np.minimum(now, joined)).least
        far = actions.cheapest(joined).least
        top = np.maximum(now, joined)
        room = []
        for p, kind in enumerate(self.kinds):
            if self.flow[p] > 0 and self.game.weight[kind] == self.weight:
                own = self.paths[p]
                here, there = now[own].sum(), top[own].sum()
                ceiling = float(min(here - near[kind], there - far[kind]))
                if ceiling > tolerance + ROUNDING * there:
                    room.append((-ceiling, p))
        return [p for _, p in sorted(room)]

    def reply(self, p: int, tolerance: float) -> _Reply | None:
        """The best response of a vehicle on a path; None where it gains no more than the tolerance."""
        own = self.paths[p]
        driven = fsum(self.now[own])
        links = self.replies.best(self.kinds[p], own, driven - tolerance)
        if links is None:
            return None
        better = np.sort(links)
        leaving, joining = np.setdiff1d(own, better, assume_unique=True), np.setdiff1d(better, own, assume_unique=True)
        floor = tolerance + ROUNDING * driven
        gain = fsum([*self.now[leaving], *-self.joined[joining]])
        return _Reply(links, leaving, joining, gain, floor) if gain > floor else None

    def move(self, p: int, reply: _Reply) -> float:
        """Move as many vehicles of a path as gain by it: their number."""
        leaving, joining = reply.leaving, reply.joining
        moved = self._together(leaving, joining, self.flow[p], reply.floor)
        self.flow[p] -= moved
        self._arrive(self.kinds[p], reply.action, moved)
        changed = np.concatenate((leaving, joining))
        self.x[leaving] -= moved * self.weight
        self.x[joining] += moved * self.weight
        costs = self.game.costs.take(changed)
        self.now[changed] = costs.cost(self.x[changed])
        self.joined[changed] = costs.cost(np.minimum(self.x[changed] + self.weight, self.most))
        return moved

    def flows(self) -> PathFlows:
        """The flows as they are."""
        used = [p for p, f in enumerate(self.flow) if f > 0]
        lengths = [len(self.order[p]) for p in used]
        resources = np.concatenate([self.order[p] for p in used])
        kinds, flow = np.array([self.kinds[p] for p in used]), np.array([self.flow[p] for p in used])
        return PathFlows(kinds, np.concatenate(([0], np.cumsum(lengths))), resources, flow, atomic=True)

    def _together(self, leaving: IntArray, joining: IntArray, most: float, floor: float) -> float:
        """The largest number m of vehicles, up to ``most``, such that the m-th still gains more than ``floor``."""
        left, new = self.game.costs.take(leaving), self.game.costs.take(joining)
        x, y, w = self.x[leaving], self.x[joining], self.weight

        def gains(m: float) -> bool:
            return _gain(left, new, x - (m - 1) * w, y + m * w) > floor

        if not self.game.costs.is_nondecreasing:
            return next((float(m - 1) for m in range(2, int(min(most, ONE_BY_ONE)) + 1) if not gains(m)), min(most, ONE_BY_ONE))
        if gains(most):
            return most
        low, high = 1.0, most
        while high - low > 1:
            middle = float(np.floor((low + high) / 2))
            low, high = (middle, high) if gains(middle) else (low, middle)
        return low

    def _arrive(self, kind: int, links: IntArray, vehicles: float) -> None:
        path = np.sort(links)
        key = self._key(kind, path)
        if key not in self.known:
            self.known[key] = len(self.flow)
            self.kinds.append(kind)
            self.paths.append(path)
            self.order.append(links)
            self.flow.append(0.0)
        self.flow[self.known[key]] += vehicles

    @staticmethod
    def _key(kind: int, path: IntArray) -> tuple[int, bytes]:
        return kind, path.tobytes()


def _gain(left: Costs, new: Costs, x: FloatArray, y: FloatArray) -> float:
    """What leaving some resources saves, less what the new ones cost."""
    return fsum([*left.cost(x), *-new.cost(y)])
