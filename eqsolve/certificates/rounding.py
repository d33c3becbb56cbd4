"""Floating-point sums and products with proven error bounds (round to nearest, gradual underflow)."""

from __future__ import annotations

from math import fsum

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray

UNIT = 2.0**-53
"""Unit roundoff of float64."""
TINY = 5e-324
"""Smallest positive float64: the largest error of a product that underflows."""
SPLITTER = 134217729.0
HUGE, SMALL = 1e290, 1e-290


def gamma(count: npt.ArrayLike) -> FloatArray:
    r""":math:`\gamma_k = k u / (1 - k u)`, the relative error of k roundings (Higham, Accuracy and Stability, Lemma 3.1)."""
    k = np.asarray(count, dtype=np.float64) * UNIT
    return np.asarray(k / (1.0 - k))


def residual_interval(
    c: FloatArray,
    A: sparse.csc_array,
    y: FloatArray,
    c_radius: FloatArray | None = None,
    y_radius: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Middle and radius (N,) of an interval that holds c - A'y, in O(nnz).

    ``c_radius``, ``y_radius`` are errors that c and y have already. Any order of summation is covered: a sum of k + 1 terms
    errs by at most gamma_(k+1) times the sum of the magnitudes; the rest of the factor pays for rounding in the radius itself.
    """
    count = np.diff(A.indptr)
    size = abs(A)
    middle = np.asarray(c - A.T @ y)
    radius = gamma(2 * count + 16) * (np.abs(c) + size.T @ np.abs(y)) + (count + 1.0) * TINY * (count > 0)
    if y_radius is not None:
        radius += (size.T @ y_radius) * (1.0 + gamma(2 * count + 16))
    if c_radius is not None:
        radius += c_radius
    return middle, np.asarray(radius * (1.0 + 8 * UNIT))


def two_product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Arrays p, e with p + e = a b exactly (Dekker, Veltkamp), and where that is proven (no over- or underflow)."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        p = a * b
        a_high = SPLITTER * a - (SPLITTER * a - a)
        b_high = SPLITTER * b - (SPLITTER * b - b)
        a_low, b_low = a - a_high, b - b_high
        e = a_low * b_low - (((p - a_high * b_high) - a_low * b_high) - a_high * b_low)
        zero = (a == 0.0) | (b == 0.0)
        fits = (np.abs(p) > SMALL) & (np.abs(p) < HUGE) & (np.abs(a) < HUGE) & (np.abs(b) < HUGE)
    return p, np.where(zero, 0.0, e), np.asarray(zero | fits)


def exact_signs(c: FloatArray, A: sparse.csc_array, y: FloatArray, columns: IntArray) -> tuple[FloatArray, BoolArray]:
    """(c - A'y) at some columns, each the exact value rounded once, so that its sign is the true one; and where proven."""
    part = A[:, columns]
    p, e, fits = two_product(part.data, np.asarray(y[part.indices]))
    starts, products, errors = part.indptr.tolist(), (-p).tolist(), (-e).tolist()
    values = [
        fsum((first, *products[a:b], *errors[a:b])) if fits[a:b].all() else np.nan
        for first, a, b in zip(c[columns].tolist(), starts[:-1], starts[1:], strict=True)
    ]
    result = np.asarray(values, dtype=np.float64)
    return result, np.isfinite(result)


def product_down(a: npt.ArrayLike, b: npt.ArrayLike) -> FloatArray:
    """Lower bounds of the exact products; 0 times infinity is 0."""
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return np.where((left == 0.0) | (right == 0.0), 0.0, np.nextafter(left * right, -np.inf))


def interval_product_down(lower: FloatArray, upper: FloatArray, other_lower: FloatArray, other_upper: FloatArray) -> FloatArray:
    """Lower bounds of a b over a in [lower, upper], b in [other_lower, other_upper]; -inf where there is none."""
    corners = [product_down(a, b) for a in (lower, upper) for b in (other_lower, other_upper)]
    return np.minimum(np.minimum(corners[0], corners[1]), np.minimum(corners[2], corners[3]))


def sum_down(terms: FloatArray) -> float:
    """A lower bound of the exact sum, at most two units in the last place below it; -inf when a term is."""
    if not len(terms) or not terms.any():
        return 0.0
    if np.isneginf(terms).any():
        return -np.inf
    return float(np.nextafter(fsum(terms.tolist()), -np.inf))
