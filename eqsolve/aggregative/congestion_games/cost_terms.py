"""Costs taken apart into what programs are made of: constants, powers, and straight pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.congestion_games.costs import Costs
from eqsolve.aggregative.congestion_games.derived_costs import MarginalCosts, MixedCosts, TolledCosts
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame


class NoConvexProgram(InvalidGame):
    """Costs that fall with the flow, or that no cone describes."""


@dataclass(frozen=True, slots=True, eq=False)
class CostTerms:
    r"""c_r(x) = constant[r] + sum of powers + straight pieces.

    Parameters
    ----------
    constant : (R,). resource, coefficient, exponent : (K,) the powers, of exponents above 0 and coefficients other than 0.
    piece_of, start, cost, slope : (L,) pieces of piecewise linear costs in order: resource, flow and cost at the beginning,
        slope; the last one of a resource goes on for ever.
    """

    constant: FloatArray
    resource: IntArray
    coefficient: FloatArray
    exponent: FloatArray
    piece_of: IntArray
    start: FloatArray
    cost: FloatArray
    slope: FloatArray

    @property
    def width(self) -> FloatArray:
        """(L,) lengths of the pieces, infinite for the last one of a resource."""
        last = np.append(self.piece_of[1:] != self.piece_of[:-1], True) if len(self.piece_of) else np.zeros(0, dtype=bool)
        return np.where(last, np.inf, np.append(self.start[1:], 0.0) - self.start)


def cost_terms(costs: Costs) -> CostTerms | None:
    """The terms of costs; None where there is a family that is neither a sum of powers nor piecewise linear."""
    powers, points = costs.powers(), costs.breakpoints()
    if powers is not None:
        return _from_powers(*powers)
    if points is not None:
        return _from_points(points)
    if isinstance(costs, TolledCosts):
        inner = cost_terms(costs.costs)
        return None if inner is None else _changed(inner, constant=inner.constant + costs.toll)
    if isinstance(costs, MarginalCosts):
        inner = cost_terms(costs.costs)
        if inner is None:
            return None
        rise = inner.coefficient * (1.0 + inner.exponent)
        return _changed(inner, coefficient=rise, cost=inner.cost + inner.start * inner.slope, slope=2.0 * inner.slope)
    if isinstance(costs, MixedCosts):
        found = [(np.flatnonzero(costs.which == k), cost_terms(one)) for k, one in enumerate(costs.families)]
        parts = [(own, terms) for own, terms in found if terms is not None]
        return _side_by_side(costs.size, parts) if len(parts) == len(found) else None
    return None


def require_nondecreasing(costs: Costs, what: str) -> None:
    """Refuse costs that fall with the flow, or for which nobody says that they do not.

    Raises
    ------
    NoConvexProgram : with the way out.
    """
    if not costs.is_nondecreasing:
        raise NoConvexProgram(
            f"{what} has costs that may fall with the flow: there is no convex program of it",
            "The fixed-point route: FixedPointNash on game.as_aggregative(); or AtomicRouting, without a potential.",
        )


def convex_terms(costs: Costs, what: str, label: Callable[[int], str]) -> CostTerms:
    """The terms of costs that do not fall.

    Raises
    ------
    NoConvexProgram : costs that fall, or given by functions, which no cone describes.
    """
    require_nondecreasing(costs, what)
    terms = cost_terms(costs)
    if terms is None:
        r = next((k for k in range(costs.size) if cost_terms(costs.take(np.array([k]))) is None), 0)
        raise NoConvexProgram(
            f"the cost of {label(r)} is given by a function, which no cone describes",
            "piecewise_program and LinearMasters take any nondecreasing costs.",
        )
    return terms


def _changed(terms: CostTerms, **parts: FloatArray) -> CostTerms:
    own = {name: getattr(terms, name) for name in CostTerms.__slots__}
    return CostTerms(**(own | parts))


def _from_powers(a: FloatArray, e: FloatArray) -> CostTerms:
    r, m = np.nonzero((a != 0.0) & (e != 0.0))
    none = np.zeros(0)
    return CostTerms(np.where(e == 0.0, a, 0.0).sum(axis=1), r, a[r, m], e[r, m], np.zeros(0, dtype=np.int64), none, none, none)


def _from_points(points: tuple[tuple[FloatArray, FloatArray], ...]) -> CostTerms:
    count = np.array([len(x) for x, _ in points], dtype=np.int64)
    slope: list[FloatArray] = []
    for x, c in points:
        own = np.diff(c) / np.diff(x)
        slope.append(np.append(own, own[-1] if len(own) else 0.0))
    start, cost, rise = (np.concatenate([*parts, np.zeros(0)]) for parts in ([x for x, _ in points], [c for _, c in points], slope))
    owner = np.repeat(np.arange(len(points)), count)
    # The last line goes on: the piece that would begin at the last point is part of the one before it.
    ends = np.cumsum(count) - 1
    extra = np.zeros(len(start), dtype=bool)
    extra[ends[count > 1]] = True
    none = np.zeros(0)
    kept = ~extra
    return CostTerms(
        np.zeros(len(points)), np.zeros(0, dtype=np.int64), none, none, owner[kept], start[kept], cost[kept], rise[kept]
    )


def _side_by_side(size: int, parts: list[tuple[IntArray, CostTerms]]) -> CostTerms:
    constant = np.zeros(size)
    for own, terms in parts:
        constant[own] = terms.constant
    resource = np.concatenate([own[terms.resource] for own, terms in parts])
    piece_of = np.concatenate([own[terms.piece_of] for own, terms in parts])
    order, pieces = np.argsort(resource, kind="stable"), np.argsort(piece_of, kind="stable")

    def joined(name: str, where: IntArray) -> FloatArray:
        return np.asarray(np.concatenate([getattr(terms, name) for _, terms in parts])[where])

    return CostTerms(
        constant,
        resource[order],
        joined("coefficient", order),
        joined("exponent", order),
        piece_of[pieces],
        joined("start", pieces),
        joined("cost", pieces),
        joined("slope", pieces),
    )
