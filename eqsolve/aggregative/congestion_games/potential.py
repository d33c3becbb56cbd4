"""The potentials of congestion games: Beckmann's of flows, Rosenthal's of vehicles."""

from __future__ import annotations

from math import fsum

import numpy as np

from eqsolve.aggregative.congestion_games.costs import Costs
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame

AT_ONCE = 2_000_000
"""Costs evaluated at once."""
HEAD = 64
"""Vehicles whose powers are added up one by one."""
MOST = 100_000_000
"""Vehicles on all resources that are added up one by one at most."""
WHOLE = 1e-6
"""Distance of a load from a whole number of vehicles that counts as rounding, relative to 1 + that number."""


def beckmann(game: CongestionGame, x: FloatArray) -> float:
    r"""Beckmann's potential :math:`\sum_r \int_0^{x_r} c_r` of flows (R,): least at a Wardrop equilibrium."""
    return fsum(game.costs.integral(x))


def has_potential(game: CongestionGame) -> bool:
    """Whether the atomic game is known to have an exact potential: all weights are equal, or all costs affine."""
    return _one_weight(game) is not None or _affine(game.costs) is not None


def vehicle_potential(game: CongestionGame, flows: PathFlows) -> float | None:
    """Rosenthal's potential where all weights are equal, the weighted one of affine costs otherwise.

    None where neither exists, and where costs are no formulas and there are too many vehicles to be added up one by one.
    """
    if _one_weight(game) is not None:
        formulas = game.costs.powers() is not None or game.costs.breakpoints() is not None
        x = game.aggregator(flows)
        return rosenthal(game, x) if formulas or _vehicles(game, x)[1].sum() <= MOST else None
    return weighted_potential(game, flows) if _affine(game.costs) is not None else None


def rosenthal(game: CongestionGame, x: FloatArray) -> float:
    r"""Rosenthal's potential of a profile of vehicles of one weight w.

    .. math:: \Phi(x) = \sum_r \sum_{k=1}^{x_r / w} c_r(k w)

    A vehicle that moves changes it by exactly what its own cost changes. Costs that are sums of powers are summed by Euler and
    Maclaurin's formula, piecewise linear ones piece by piece, others one vehicle after the other: O(vehicles on all resources).

    Parameters
    ----------
    x : (R,) loads, whole multiples of w.

    Raises
    ------
    InvalidGame : the weights differ, a load is no whole number of vehicles, or there are too many to be added up.

    Notes
    -----
    Source: Rosenthal (1973), A class of games possessing pure-strategy Nash equilibria.
    """
    w, n = _vehicles(game, x)
    powers, points = game.costs.powers(), game.costs.breakpoints()
    if powers is not None:
        return fsum(_power_sums(powers, w, n).ravel())
    if points is not None:
        return fsum(_hinge_sums(points, w, n))
    if n.sum() > MOST:
        raise InvalidGame(f"the costs are no formulas, and {n.sum():,} vehicles on all resources are too many to add up one by one")
    return fsum(_climb(game.costs, w, np.zeros(len(n), dtype=np.int64), n))


def rosenthal_change(game: CongestionGame, before: FloatArray, after: FloatArray) -> float:
    """Rosenthal's potential of one profile of loads minus that of another, from the vehicles that differ alone.

    The sign can be relied on for changes far below the rounding of the potential itself.

    Raises
    ------
    InvalidGame : see ``rosenthal``.
    """
    w, start = _vehicles(game, before)
    _, stop = _vehicles(game, after)
    moved = np.flatnonzero(start != stop)
    costs, a, b = game.costs.take(moved), start[moved], stop[moved]
    return fsum(np.sign(b - a) * _climb(costs, w, np.minimum(a, b), np.maximum(a, b)))


def weighted_potential(game: CongestionGame, flows: PathFlows) -> float:
    r"""The potential of vehicles of any weights under affine costs :math:`c_r(x) = a_r + b_r x`.

    .. math:: \Phi = \sum_r a_r x_r + \frac{b_r}{2} \Bigl(x_r^2 + \sum_{i : r \in p_i} w_i^2\Bigr)

    A vehicle that moves changes it by its weight times what its own cost changes.

    Raises
    ------
    InvalidGame : a cost is not affine.

    Notes
    -----
    Source: Fotakis, Kontogiannis and Spirakis (2005), Selfish unsplittable flows.
    """
    affine = _affine(game.costs)
    if affine is None:
        raise InvalidGame("a cost is not affine, and vehicles of different weights have no potential")
    a, b = affine
    x = game.aggregator(flows)
    share = np.repeat(flows.flow * game.weight[flows.type_of] ** 2, np.diff(flows.indptr))
    squares = np.bincount(flows.resources, weights=share, minlength=len(x))
    return fsum(np.concatenate((a * x, b * x * x / 2, b * squares / 2)))


def _one_weight(game: CongestionGame) -> float | None:
    weight = np.asarray(game.weight)
    return float(weight[0]) if (weight == weight[0]).all() else None


def _affine(costs: Costs) -> tuple[FloatArray, FloatArray] | None:
    """Constants and slopes (R,), or None."""
    powers = costs.powers()
    if powers is None:
        return None
    coefficient, exponent = powers
    if not ((coefficient == 0) | (exponent == 0) | (exponent == 1)).all():
        return None
    return (coefficient * (exponent == 0)).sum(axis=1), (coefficient * (exponent == 1)).sum(axis=1)


def _vehicles(game: CongestionGame, x: FloatArray) -> tuple[float, IntArray]:
    w = _one_weight(game)
    if w is None:
        raise InvalidGame(
            "vehicles of different weights have no Rosenthal potential", "Affine costs have one of their own: weighted_potential."
        )
    n = np.rint(x / w)
    off = np.abs(x / w - n) > WHOLE * (1.0 + np.abs(n))
    if off.any():
        r = int(np.argmax(off))
        raise InvalidGame(f"the load of resource {r} is {x[r] / w:.12g} vehicles, not a whole number")
    return w, n.astype(np.int64)


def _climb(costs: Costs, w: float, start: IntArray, stop: IntArray) -> FloatArray:
    """(R,) the sums of c_r(k w) over start < k <= stop."""
    total = np.zeros(len(start))
    k = 0
    while True:
        live = np.flatnonzero(stop - start > k)
        if not len(live):
            return total
        rows = max(1, min(AT_ONCE // len(live), int((stop - start)[live].max()) - k))
        step = np.arange(k + 1, k + rows + 1)[:, None]
        inside = step <= (stop - start)[live]
        loads = np.asarray((start[live] + step) * w, dtype=np.float64)
        values = costs.take(live).cost(loads)
        total[live] += np.where(inside, values, 0.0).sum(axis=0)
        k += rows


def _power_sums(powers: tuple[FloatArray, FloatArray], w: float, n: IntArray) -> FloatArray:
    """(R, M) coefficient times the sum of (k w)^exponent over 1 <= k <= n.

    The first ``HEAD`` are added up, the others by Euler and Maclaurin's formula, whose error is below the rounding from there on.
    """
    coefficient, exponent = powers
    count = n.astype(np.float64)[:, None]
    total = np.zeros_like(coefficient)
    for e in np.unique(exponent[coefficient != 0]).tolist():
        k = np.arange(1.0, HEAD + 1)
        sums = np.cumsum(k**e)[np.clip(n, 1, HEAD) - 1][:, None] * (count > 0)
        sums = sums + np.where(count > HEAD, _tail(np.maximum(count, HEAD), e) - _tail(np.full((1, 1), float(HEAD)), e), 0.0)
        total += np.where(exponent == e, coefficient * w**e * sums, 0.0)
    return total


def _tail(n: FloatArray, e: float) -> FloatArray:
    """An Euler-Maclaurin primitive of k^e: its differences are sums over the whole numbers above the lower end."""
    total = n ** (e + 1) / (e + 1) + n**e / 2
    falling = 1.0
    for order, weight in enumerate((1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240, 0.0, -1 / 1209600)):
        falling *= e - order
        total = total + weight * falling * n ** (e - order - 1)
    return total


def _hinge_sums(points: tuple[tuple[FloatArray, FloatArray], ...], w: float, n: IntArray) -> FloatArray:
    """(R,) the sums of piecewise linear costs over k w, 1 <= k <= n: a line and its changes of slope, an arithmetic series each."""
    total = np.zeros(len(points))
    for r, (flow, cost) in enumerate(points):
        m = float(n[r])
        slope = np.diff(cost) / np.diff(flow) if len(flow) > 1 else np.zeros(1)
        first = cost[0] - slope[0] * flow[0]
        total[r] = first * m + slope[0] * w * m * (m + 1) / 2
        for start, change in zip(flow[1:-1], np.diff(slope), strict=True):
            before = min(float(np.floor(start / w)), m)
            total[r] += change * (w * (m * (m + 1) - before * (before + 1)) / 2 - start * (m - before))
    return total
