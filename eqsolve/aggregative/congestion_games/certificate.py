"""Exact gaps of congestion games, computed from the game and the flows by code that no method uses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.action_search import BoundedSearch, action_search
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.certificates.gap import EXACT_WIDTH
from eqsolve.errors import InvalidData, InvalidGame

ROUNDING = 1e-12
"""Difference of two costs of one path, relative to it, that is rounding."""
NOISE = 1e-14
"""Room for a gain, relative to the cost of the path, that is none: what is left when equal sums are taken in different orders."""


@dataclass(frozen=True, slots=True, eq=False)
class Deviation:
    """The best that a traveller on one path can do.

    Parameters
    ----------
    path : index into the flows. resources : of the better action.
    cost : of the path driven. gain : by the better action. most : what no action gains more than.
    """

    path: int
    resources: IntArray
    cost: float
    gain: float
    most: float


@dataclass(frozen=True, slots=True, eq=False)
class WardropGaps:
    """How far path flows are from a Wardrop equilibrium.

    Parameters
    ----------
    excess : (P,) by how much each path costs more than the least of its type, against proven distances.
    regret : the largest excess of a used path.
    relative_gap : (total cost - total of the least costs) / total cost. average_excess_cost : the same over the total demand.
    """

    excess: FloatArray
    regret: float
    relative_gap: float
    average_excess_cost: float


def certify(game: CongestionGame, flows: PathFlows) -> GapCertificate:
    r"""The exact gap of flows, in units of cost: of the atomic game where they are atomic, otherwise Wardrop's.

    Atomic: the largest gain of one vehicle of type t that leaves its path p for another action q,

    .. math:: \max_{t, p, q}\ \sum_{r \in p \setminus q} c_r(x_r) - \sum_{r \in q \setminus p} c_r(x_r + w_t),

    over all paths p in use and all actions q, listed or not. Otherwise: the largest amount by which a used path costs more than the
    cheapest action, at the costs c(x).

    Returns
    -------
    GapCertificate "NE"; "exact" where node potentials prove the distances that it rests on, up to the rounding of sums, as they
    always should. The witness names the type, the path driven and the better one, and the gain as a share of the trip.

    Raises
    ------
    InvalidGame : the flows are not those of the game; a cost is negative or not finite at their loads.
    """
    flows.check(game)
    found = atomic_deviation(game, flows) if flows.atomic else wardrop_deviation(game, flows)
    witness = None
    if found.gain > 0:
        who = f"a vehicle of {game.type_label(int(flows.type_of[found.path]))}"
        share = f"{100 * found.gain / found.cost:.3g} % of a trip of {found.cost:.4g}"
        witness = Witness(who, _move(game, flows.path(found.path), found.resources), found.gain, share)
    lower, upper = max(found.gain, 0.0), max(found.most, 0.0)
    exact = upper - lower <= EXACT_WIDTH * (1.0 + upper)
    return GapCertificate("NE", lower, upper, "exact" if exact else "bracket", witness)


def atomic_deviation(game: CongestionGame, flows: PathFlows) -> Deviation:
    """The deviation of one vehicle that gains most (the first one among equals).

    A path is searched from only if a bound leaves room for more than what is known: with c the costs now and c' those with one
    more vehicle, no q gains more than the cost of p under c minus the distance under min(c, c'), nor more than the cost of p under
    max(c, c') minus the distance under c'. Near an equilibrium few are left.
    """
    best: Deviation | None = None
    most = 0.0
    for part in _parts(game, flows):
        for k in np.argsort(-part.ceiling, kind="stable"):
            if best is not None and part.ceiling[k] <= best.gain:
                break
            found = part.exact(int(k))
            if best is None or found.gain > best.gain:
                best = found
            most = max(most, found.most)
    assert best is not None
    return replace(best, most=most)


def vehicle_gains(game: CongestionGame, flows: PathFlows) -> FloatArray:
    """(P,) the exact best gain of one vehicle on each path by leaving it alone, 0 where nothing gains or nobody drives.

    Atomic flows; for others the excess over the cheapest action.
    """
    flows.check(game)
    if not flows.atomic:
        return np.where(flows.flow > 0, np.maximum(wardrop_gaps(game, flows).excess, 0.0), 0.0)
    gains = np.zeros(len(flows.flow))
    for part in _parts(game, flows):
        for k in np.flatnonzero(part.ceiling > 0):
            gains[part.paths[k]] = max(part.exact(int(k)).gain, 0.0)
    return gains


def regret_histogram(game: CongestionGame, flows: PathFlows, bins: int | npt.ArrayLike = 20) -> tuple[FloatArray, FloatArray]:
    """How many vehicles could gain how much.

    Parameters
    ----------
    bins : their number, or the edges in units of cost, increasing.

    Returns
    -------
    Edges (B+1,) and vehicles (B,) per bin.
    """
    gains = vehicle_gains(game, flows)
    how = bins if isinstance(bins, int) else np.asarray(bins, dtype=np.float64)
    if isinstance(how, int) and how < 1:
        raise InvalidData(f"bins is {how}", "Give a whole number of at least 1, or edges.")
    top = float(gains.max()) or 1.0
    vehicles, edges = np.histogram(gains, how, (0.0, top) if isinstance(how, int) else None, weights=flows.flow)
    return np.asarray(edges, dtype=np.float64), np.asarray(vehicles, dtype=np.float64)


def wardrop_gaps(game: CongestionGame, flows: PathFlows) -> WardropGaps:
    """Wardrop regret, relative gap and average excess cost of flows, whole or not, against proven distances."""
    cost = _costs(game, game.aggregator(flows))
    least = action_search(game.actions).least(cost, np.arange(game.n_types))
    costs = flows.path_costs(cost)
    excess = costs - least[flows.type_of]
    load = flows.flow * game.weight[flows.type_of]
    lost, total = fsum(load * excess), fsum(load * costs)
    regret = float(excess[flows.flow > 0].max())
    return WardropGaps(excess, regret, lost / total if total else 0.0, lost / fsum(load))


def wardrop_deviation(game: CongestionGame, flows: PathFlows) -> Deviation:
    """The used path that costs most in excess of the cheapest action."""
    cost = _costs(game, game.aggregator(flows))
    gaps = wardrop_gaps(game, flows)
    p = int(np.argmax(np.where(flows.flow > 0, gaps.excess, -np.inf)))
    search = action_search(game.actions).above(cost)
    found = _searched(search, int(flows.type_of[p]), p, flows.path(p), cost, cost, cost)
    return Deviation(p, found.resources, found.cost, found.gain, max(found.most, found.gain))


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """The used paths of the types of one weight, with bounds on what a vehicle on them gains."""

    search: BoundedSearch
    flows: PathFlows
    paths: IntArray
    ceiling: FloatArray
    now: FloatArray
    joined: FloatArray

    def exact(self, k: int) -> Deviation:
        p = int(self.paths[k])
        own = self.flows.path(p)
        cost = self.joined.copy()
        cost[own] = self.now[own]
        return _searched(self.search, int(self.flows.type_of[p]), p, own, cost, self.now, self.joined)


def _costs(game: CongestionGame, x: FloatArray) -> FloatArray:
    """The costs (R,) at some loads, of which those beyond the whole demand, that nobody can meet, count as the whole demand.

    Raises
    ------
    InvalidGame : a cost that is negative or not finite there, which no sample had shown.
    """
    x = np.minimum(x, float(game.demand.sum()))
    cost = game.costs.cost(x)
    wrong = ~(np.isfinite(cost) & (cost >= 0))
    if wrong.any():
        r = int(np.argmax(wrong))
        raise InvalidGame(f"the cost of resource {game.resource_label(r)} is {cost[r]:g} at flow {x[r]:g}, not 0 or more")
    return cost


def _parts(game: CongestionGame, flows: PathFlows) -> list[_Part]:
    x = game.aggregator(flows)
    now = _costs(game, x)
    search = action_search(game.actions)
    used = np.flatnonzero(flows.flow > 0)
    weight = game.weight[flows.type_of[used]]
    parts = []
    for w in np.unique(weight):
        joined = _costs(game, x + w)
        paths = used[weight == w]
        types, row = np.unique(flows.type_of[paths], return_inverse=True)
        above = search.above(np.minimum(now, joined))
        near, far = above.least(types)[row], search.least(joined, types)[row]
        here, there = flows.path_costs(now)[paths], flows.path_costs(np.maximum(now, joined))[paths]
        ceiling = np.minimum(here - near, there - far)
        ceiling[ceiling <= NOISE * there] = 0.0
        parts.append(_Part(above, flows, paths, ceiling, now, joined))
    return parts


def _searched(
    search: BoundedSearch, kind: int, p: int, own: IntArray, cost: FloatArray, now: FloatArray, joined: FloatArray
) -> Deviation:
    """The best deviation from one path, at the costs that its driver would meet; shared resources cancel exactly."""
    driven = fsum(now[own])
    least, better = search.cheapest(cost, kind, driven)
    attained = fsum(cost[better])
    here, there = set(own.tolist()), set(better.tolist())
    gain = fsum([*now[list(here - there)], *-joined[list(there - here)]])
    unproved = attained - least
    return Deviation(p, better, driven, gain, gain + (unproved if unproved > ROUNDING * attained else 0.0))


def _move(game: CongestionGame, driven: IntArray, better: IntArray) -> str:
    """From one action to another in words; where the nodes are the same, by the numbers of the roads."""
    here, there = game.action_label(driven), game.action_label(better)
    if here == there:
        here, there = (", ".join(map(str, one.tolist())) for one in (driven, better))
        return f"roads {here} -> {there}"
    return f"{here} -> {there}"
