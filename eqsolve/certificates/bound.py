"""Rigorous bounds of the optimal value from any multipliers, also slightly wrong ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array
from eqsolve.certificates.curvature import curvature_floor
from eqsolve.certificates.dualcone import into_dual_cone
from eqsolve.certificates.implied import implied_bounds
from eqsolve.certificates.minform import MinForm, dual_vector, min_form
from eqsolve.certificates.repair import free_radius, toward_feasible
from eqsolve.certificates.rounding import TINY, exact_signs, interval_product_down, product_down, residual_interval, sum_down
from eqsolve.programs import Program

REPAIRS = 10
PATIENCE = 4


@dataclass(frozen=True, slots=True, eq=False)
class RigorousBound:
    """A true bound of the optimal value: below it for "min", above it for "max".

    Parameters
    ----------
    value : the bound, or None when these multipliers prove none.
    reason : why there is none; where ``repairs`` led to one, why the multipliers as given prove none.
    exact : computed in rational arithmetic, then rounded outward once.
    y : (M,) the multipliers that prove it, moved slightly where needed, in the user's sign.
    repairs : what was done to the multipliers or the bounds of the columns, each one sentence.
    assumptions : what was not proved; empty for LP.
    """

    value: float | None
    reason: str = ""
    exact: bool = False
    y: FloatArray | None = None
    repairs: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class DualPoint:
    """Everything that one evaluation of the bound uses, as a minimisation.

    ``y`` (M,) is dual feasible in sign; ``y_radius`` (M,), if any, is the distance to the multipliers that are meant. The
    objective is replaced by its tangent at ``x0`` plus ``curvature`` (N,) times (x - x0)^2 / 2. Only points of value at most
    ``cutoff`` count, if it is given.
    """

    form: MinForm
    y: FloatArray
    lower: FloatArray
    upper: FloatArray
    x0: FloatArray | None = None
    curvature: FloatArray | None = None
    cutoff: float | None = None
    y_radius: FloatArray | None = None


def rigorous_bound(program: Program, y: npt.ArrayLike, x: npt.ArrayLike | None = None, *, exact: bool = False) -> RigorousBound:
    r"""A true bound of the optimal value from multipliers that need not be right.

    .. math:: b(y) = \sum_i \min_{L_i \le a \le U_i} y_i a - \sum_K y_K' h_K + \sum_j \min_{l_j \le x_j \le u_j} (c - A'y)_j x_j

    for a minimisation, every rounding error accounted for, in O(nnz). A QP is replaced by its tangent at ``x``. Where a column
    without bound has a reduced cost of the wrong sign, the multipliers are repaired: bounds implied by the rows and by the
    value of ``x`` are used, then the multipliers are moved by least squares, and for free columns onto the exact solution of
    their equations, enclosed in an interval. Integrality is relaxed.

    Parameters
    ----------
    y : (M,) multipliers in the sign of ``Outcome.y``.
    x : (N,) a point near the optimum, in any case only a help; a QP without one is taken at the point nearest to 0.
    exact : evaluate in rational arithmetic; not for exponential cones, nor with free columns that need an interval.

    Raises
    ------
    InvalidData : a vector of another length, or not finite.

    References
    ----------
    Neumaier, Shcherbina (2004), Safe bounds in linear and mixed-integer linear programming. Jansson (2004), Rigorous lower and
    upper bounds in linear programming. Both extended here to cones and to convex Q.

    Examples
    --------
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("two", sense="max")
    >>> x = b.columns("x", 2, upper=1.0)
    >>> total = b.rows("total", upper=1.5)
    >>> b.add(total, x, [0, 0], [0, 1])
    >>> b.objective(x, [1.0, 2.0])
    >>> bound = rigorous_bound(b.build(), [1.0 + 1e-12])
    >>> 2.5 <= bound.value <= 2.5 + 1e-11
    True
    """
    point = None if x is None else float_array("x", x, (program.n_columns,))
    return bound_of(min_form(program), dual_vector(program, "y", y), point, exact)


def bound_of(form: MinForm, y: FloatArray, x: FloatArray | None, exact: bool) -> RigorousBound:
    """``rigorous_bound`` of a form; ``y`` in the user's sign."""
    program = form.program
    assumptions: tuple[str, ...] = ()
    point = DualPoint(form, into_dual_cone(form, form.sign * y), program.col_lower, program.col_upper)
    if form.Q is not None:
        x0 = np.clip(np.zeros(program.n_columns) if x is None else x, program.col_lower, program.col_upper)
        curvature, assumptions = curvature_floor(form.Q)
        point = replace(point, x0=x0, curvature=curvature)
    if any(cone.kind == "exp" for cone in program.cones):
        assumptions = (*assumptions, "exp is computed to within 8 units in the last place")
    bad, reason = _bad(point)[0], ""
    repairs: tuple[str, ...] = ()
    if len(bad):
        reason = _reason(point, bad)
        point, repairs, bad = _repaired(point, x)
    if len(bad):
        return RigorousBound(None, _reason(point, bad), False, None, repairs, assumptions)
    value, is_exact = (None, False) if not exact else exact_value(point)
    if value is None:
        value = float_value(point)
    if not np.isfinite(value):
        return RigorousBound(None, "the bound overflows: multipliers or bounds are too large", False, None, repairs, assumptions)
    return RigorousBound(form.sign * value, reason, is_exact, form.sign * point.y, repairs, assumptions)


def exact_value(point: DualPoint) -> tuple[float | None, bool]:
    """The bound in rational arithmetic, where that can be done."""
    from eqsolve.certificates.exact import exact_bound

    if point.y_radius is not None or any(cone.kind == "exp" for cone in point.form.program.cones):
        return None, False
    return exact_bound(point), True


def float_value(point: DualPoint) -> float:
    """The bound in float arithmetic with all errors accounted for; -inf where there is none."""
    program, y = point.form.program, point.y
    radius = np.zeros(len(y)) if point.y_radius is None else point.y_radius
    # A multiplier of one sign meets one side; with a radius it keeps its sign (see free_radius), or both sides are finite.
    side_low = np.where((y > 0) | (radius > 0), program.row_lower, program.row_upper)
    side_high = np.where((y < 0) | (radius > 0), program.row_upper, program.row_lower)
    side_low = np.where((radius > 0) & np.isinf(side_low), side_high, side_low)
    side_high = np.where((radius > 0) & np.isinf(side_high), side_low, side_high)
    for cone in program.cones:
        side_low[cone.rows] = side_high[cone.rows] = -cone.shift
    y_low = np.where(radius > 0, np.nextafter(y - radius, -np.inf), y)
    y_high = np.where(radius > 0, np.nextafter(y + radius, np.inf), y)
    parts = [np.array([point.form.offset]), interval_product_down(y_low, y_high, side_low, side_high)]
    r_low, r_high = _reduced_costs(point)
    parts.append(_column_terms(point, r_low, r_high))
    if point.x0 is not None and point.form.Q is not None:
        # - x0'Qx0/2 = x0'(0 - Qx0)/2
        middle, error = residual_interval(np.zeros(len(point.x0)), point.form.Q, point.x0)
        parts.append(0.5 * interval_product_down(middle - error, middle + error, point.x0, point.x0) - TINY)
    value = sum_down(np.concatenate(parts))
    return value if point.cutoff is None else min(value, point.cutoff)


def _reduced_costs(point: DualPoint) -> tuple[FloatArray, FloatArray]:
    """Ends (N,), (N,) of intervals that hold the tangent's c - A'y; where a bound is infinite, of proven sign if it can be."""
    form = point.form
    c, c_radius = form.c, None
    if form.Q is not None and point.x0 is not None:
        c, c_radius = residual_interval(form.c, form.Q, -point.x0)
    with np.errstate(over="ignore", invalid="ignore"):
        middle, radius = residual_interval(c, form.A, point.y, c_radius, point.y_radius)
        low, high = middle - radius, middle + radius
    low, high = np.where(np.isfinite(low), low, -np.inf), np.where(np.isfinite(high), high, np.inf)
    unsure = (np.isposinf(point.upper) & (low < 0)) | (np.isneginf(point.lower) & (high > 0))
    if c_radius is not None:
        unsure &= c_radius == 0
    if point.y_radius is not None:
        unsure = _settle_free(point, low, high, unsure)
    columns = np.flatnonzero(unsure)
    if len(columns):
        sharp, proven = exact_signs(np.asarray(c), form.A, point.y, columns)
        columns, sharp = columns[proven], sharp[proven]
        low[columns] = np.where(sharp == 0, 0.0, np.nextafter(sharp, -np.inf))
        high[columns] = np.where(sharp == 0, 0.0, np.nextafter(sharp, np.inf))
    return low, high


def _settle_free(point: DualPoint, low: FloatArray, high: FloatArray, unsure: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """With an interval of multipliers: free columns have reduced cost 0 at the multipliers meant; others cannot be sharpened
    when a row of the interval enters them.
    """
    assert point.y_radius is not None
    free = np.isneginf(point.lower) & np.isposinf(point.upper)
    low[free] = high[free] = 0.0
    touched = abs(point.form.A).T @ point.y_radius > 0
    return np.asarray(unsure & ~free & ~touched)


def _column_terms(point: DualPoint, r_low: FloatArray, r_high: FloatArray) -> FloatArray:
    """Lower bounds (N,) of r_j x_j + d_j (x_j - x0_j)^2 / 2 over the box; -inf where there is none."""
    terms = interval_product_down(r_low, r_high, point.lower, point.upper)
    d, x0 = point.curvature, point.x0
    if d is None or x0 is None:
        return terms
    size = np.maximum(np.abs(r_low), np.abs(r_high))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        dip = np.where(d > 0, np.nextafter(size * np.nextafter(size, np.inf) / (2 * d), np.inf) * (1 + 1e-15), np.inf)
        tangent = interval_product_down(r_low, r_high, x0, x0) - np.where(size == 0, 0.0, dip)
        tangent = np.where(np.isfinite(tangent), np.nextafter(tangent, -np.inf), -np.inf)
        reach = np.nextafter(np.maximum(np.abs(point.upper - x0), np.abs(point.lower - x0)), np.inf)
        loss = product_down(np.minimum(d, 0.0) / 2, np.nextafter(reach * reach, np.inf))
    return np.maximum(np.nextafter(terms + loss, -np.inf), tangent)


def _bad(point: DualPoint) -> tuple[IntArray, FloatArray]:
    """The columns that have no lower bound of their term, and the reduced costs."""
    low, high = _reduced_costs(point)
    return np.flatnonzero(np.isneginf(_column_terms(point, low, high))), (low + high) / 2


def _repaired(point: DualPoint, x: FloatArray | None) -> tuple[DualPoint, tuple[str, ...], IntArray]:
    """The point with as few columns as possible that have no bound; what was done; and these columns."""
    bounded = _with_implied(point, x)
    bad, reduced = _bad(bounded)
    if not len(bad):
        return bounded, ("bounds of columns that the rows and the value of the point imply were used",), bad
    best, fewest = bounded, bad
    tried: set[int] = set()
    stalled = 0
    for attempt in range(REPAIRS):
        tried.update(bad.tolist())
        if not np.isfinite(reduced[bad]).all():
            break
        moved = toward_feasible(bounded.form, bounded.y, reduced, np.array(sorted(tried)), bounded.lower, bounded.upper, attempt)
        bounded = replace(bounded, y=into_dual_cone(bounded.form, moved))
        bad, reduced = _bad(bounded)
        stalled = 0 if len(bad) < len(fewest) else stalled + 1
        if stalled == PATIENCE:
            break
        if not stalled:
            best, fewest = bounded, bad
        if not len(bad):
            return bounded, ("the multipliers were moved by least squares",), bad
        radius = free_radius(bounded.form, bounded.y, bounded.lower, bounded.upper, *_reduced_costs(bounded))
        if radius is not None:
            enclosed = replace(bounded, y_radius=radius)
            still, _ = _bad(enclosed)
            if not len(still):
                how = f"{int((radius > 0).sum())} multipliers are known to an interval of width {2 * radius.max():.2g}"
                return enclosed, ("the multipliers were moved by least squares", how), still
    return best, (), fewest


def _with_implied(point: DualPoint, x: FloatArray | None) -> DualPoint:
    """The point with implied bounds; the cutoff lies a little above the value of ``x``."""
    form, cutoff = point.form, None
    convex = point.curvature is None or bool((point.curvature >= 0).all())
    if x is not None and convex:
        value = form.objective(x)
        cutoff = value + 1e-3 * (1.0 + abs(value))
    limit = None if cutoff is None else float(np.nextafter(cutoff - form.offset, np.inf))
    lower, upper = implied_bounds(form, limit)
    return replace(point, lower=lower, upper=upper, cutoff=cutoff)


def _reason(point: DualPoint, bad: IntArray) -> str:
    low, high = _reduced_costs(point)
    j = int(bad[0])
    sides = [word for word, bound in (("lower", point.lower[j]), ("upper", point.upper[j])) if np.isinf(bound)]
    more = f" ({len(bad)} columns are like it)" if len(bad) > 1 else ""
    side = " or ".join(sides) or "usable"
    return (
        f"column {point.form.program.column_name(j)} has no {side} bound and its reduced cost is in "
        f"[{low[j]:.3g}, {high[j]:.3g}]{more}; give the column bounds that the data justify"
    )
