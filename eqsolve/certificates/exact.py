"""The same numbers in rational arithmetic: every float is an integer times a power of two, so nothing is lost."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import isqrt
from operator import mul
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.programs import Program
from eqsolve.programs.cone import Cone

if TYPE_CHECKING:
    from eqsolve.certificates.bound import DualPoint

Scaled = tuple[list[int], int]
"""Integers and one exponent: the values are integer * 2**exponent."""


def scaled(values: FloatArray) -> Scaled:
    """The exact values of floats, infinities as 0."""
    finite = np.where(np.isfinite(values), values, 0.0)
    mantissa, exponent = np.frexp(finite)
    whole, exponent = (mantissa * 2.0**53).astype(np.int64), exponent.astype(np.int64) - 53
    least = int(exponent[whole != 0].min(initial=0)) if whole.any() else 0
    shift = np.where(whole != 0, exponent - least, 0)
    return [m << s for m, s in zip(whole.tolist(), shift.tolist(), strict=True)], least


def add(left: Scaled, right: Scaled) -> Scaled:
    """Entry by entry."""
    least = min(left[1], right[1])
    a, b = left[1] - least, right[1] - least
    return [(p << a) + (q << b) for p, q in zip(left[0], right[0], strict=True)], least


def transposed_product(A: sparse.csc_array, y: Scaled) -> Scaled:
    """A'y exactly, (N,)."""
    data, exponent = scaled(A.data)
    terms = list(map(mul, data, map(y[0].__getitem__, A.indices.tolist())))
    starts = A.indptr.tolist()
    return [sum(terms[a:b]) for a, b in pairwise(starts)], exponent + y[1]


def dot(left: Scaled, right: Scaled) -> Fraction:
    """The inner product."""
    return fraction(sum(map(mul, left[0], right[0])), left[1] + right[1])


def fraction(whole: int, exponent: int) -> Fraction:
    """``whole * 2**exponent``."""
    return Fraction(whole << exponent) if exponent >= 0 else Fraction(whole, 1 << -exponent)


def float_down(value: Fraction) -> float:
    """The largest float that is at most ``value``."""
    try:
        near = float(value)
    except OverflowError:
        return -np.inf
    return near if Fraction(near) <= value else float(np.nextafter(near, -np.inf))


def exact_bound(point: DualPoint) -> float:
    """``float_value`` of the bound without rounding, but for one at the end; -inf where there is none."""
    form, program = point.form, point.form.program
    y = scaled(point.y)
    side = np.where(point.y > 0, program.row_lower, program.row_upper)
    for cone in program.cones:
        side[cone.rows] = -cone.shift
    if (np.isinf(side) & (point.y != 0)).any():
        return -np.inf
    total = Fraction(form.offset) + dot(y, scaled(side))
    c = scaled(form.c)
    if point.x0 is not None and form.Q is not None:
        x0 = scaled(point.x0)
        slope = transposed_product(form.Q, x0)
        total -= dot(slope, x0) / 2
        c = add(c, slope)
    priced = transposed_product(form.A, y)
    reduced = add(c, ([-one for one in priced[0]], priced[1]))
    positive = np.array([one > 0 for one in reduced[0]], dtype=bool)
    nonzero = np.array([one != 0 for one in reduced[0]], dtype=bool)
    at = np.where(positive, point.lower, point.upper)
    curved = np.zeros(len(at), dtype=bool) if point.curvature is None else point.curvature != 0
    if (nonzero & np.isinf(at) & ~curved).any():
        return -np.inf
    total += dot(reduced, scaled(np.where(curved, 0.0, at)))
    for j in np.flatnonzero(curved).tolist():
        term = _curved_term(point, j, fraction(reduced[0][j], reduced[1]), float(at[j]))
        if term is None:
            return -np.inf
        total += term
    value = float_down(total)
    return value if point.cutoff is None else min(value, point.cutoff)


def _curved_term(point: DualPoint, j: int, r: Fraction, at: float) -> Fraction | None:
    """A lower bound of r x + d (x - x0)^2 / 2 over the box."""
    assert point.curvature is not None
    assert point.x0 is not None
    d, x0 = Fraction(float(point.curvature[j])), Fraction(float(point.x0[j]))
    lower, upper = float(point.lower[j]), float(point.upper[j])
    if d > 0:
        vertex = x0 - r / d
        inside = max(vertex, Fraction(lower)) if np.isfinite(lower) else vertex
        inside = min(inside, Fraction(upper)) if np.isfinite(upper) else inside
        return r * inside + d * (inside - x0) ** 2 / 2
    if not np.isfinite(lower) or not np.isfinite(upper):
        return None
    reach = max(abs(Fraction(upper) - x0), abs(Fraction(lower) - x0))
    return r * Fraction(at) + d * reach**2 / 2


def exact_objective(program: Program, x: FloatArray) -> float:
    """The objective at a point, rounded once."""
    point = scaled(x)
    value = Fraction(program.offset) + dot(scaled(program.c), point)
    if program.Q is not None:
        value += dot(transposed_product(program.Q, point), point) / 2
    return float(value)


def exact_activity(A: sparse.csc_array, x: FloatArray) -> Scaled:
    """Ax exactly, (M,)."""
    return transposed_product(sparse.csc_array(A.T), scaled(x))


def excess(value: Scaled, lower: FloatArray, upper: FloatArray) -> dict[int, Fraction]:
    """By how much values are outside their bounds, where they are."""
    out: dict[int, Fraction] = {}
    for bound, sign in ((lower, 1), (upper, -1)):
        limit = scaled(bound)
        beyond = add(([sign * one for one in limit[0]], limit[1]), ([-sign * one for one in value[0]], value[1]))
        for i in np.flatnonzero(np.isfinite(bound)).tolist():
            if beyond[0][i] > 0:
                out[i] = fraction(beyond[0][i], beyond[1])
    return out


def exact_cone_violation(cone: Cone, activity: Scaled) -> float | None:
    """The least t >= 0 that moves the rows into the cone along its axis, rounded up; None for the exponential cone."""
    if cone.kind == "exp":
        return None
    z = [
        fraction(activity[0][i], activity[1]) + Fraction(shift)
        for i, shift in zip(cone.rows.tolist(), cone.shift.tolist(), strict=True)
    ]
    if cone.kind == "soc":
        head, square = z[0], sum((one * one for one in z[1:]), Fraction(0))
    else:
        head = (z[0] + z[1]) / 2
        square = ((z[0] - z[1]) / 2) ** 2 + sum((one * one for one in z[2:]), Fraction(0)) / 2
    if head >= 0 and head * head >= square:
        return 0.0
    return -float_down(head - _root_up(square))


def _root_up(square: Fraction) -> Fraction:
    """An upper bound of the square root, relative error below 2**-60."""
    scale = max(0, 130 - square.numerator.bit_length() + square.denominator.bit_length())
    scale += scale % 2
    whole = (square.numerator << scale) // square.denominator + 1
    return Fraction(isqrt(whole) + 1) / (1 << (scale // 2))
