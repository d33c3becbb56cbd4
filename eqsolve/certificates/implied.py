"""Bounds of columns that rows, cones and a value of the objective imply, rounded outward."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.certificates.minform import MinForm
from eqsolve.certificates.rounding import UNIT, gamma

PASSES = 8
FAR = 1e100
"""Implied bounds beyond this are not worth having, and can be an overflow."""
Bounds = tuple[FloatArray, FloatArray]


def implied_bounds(form: MinForm, cutoff: float | None = None) -> Bounds:
    """Bounds (N,), (N,) of the columns, finite where the program or something it implies makes them so.

    Only infinite bounds are replaced. ``cutoff`` restricts to the points with c'x <= cutoff; what is concluded then holds for
    these points only.
    """
    program = form.program
    A = sparse.csc_array(form.A)
    row_lower, row_upper = program.row_lower.copy(), program.row_upper.copy()
    if cutoff is not None:
        A = sparse.csc_array(sparse.vstack([A, sparse.csc_array(form.c[None, :])]))
        row_lower, row_upper = np.append(row_lower, -np.inf), np.append(row_upper, cutoff)
    lower, upper = program.col_lower.copy(), program.col_upper.copy()
    for _ in range(PASSES):
        missing = int(np.isinf(lower).sum() + np.isinf(upper).sum())
        with np.errstate(over="ignore", invalid="ignore"):
            _bound_cones(form, A, lower, upper, row_lower, row_upper)
            _tighten(A, 1.0, row_upper, lower, upper)
            _tighten(A, -1.0, -row_lower, lower, upper)
        left = int(np.isinf(lower).sum() + np.isinf(upper).sum())
        if left == 0 or left == missing:
            break
    return lower, upper


def row_activity(A: sparse.csc_array, lower: FloatArray, upper: FloatArray) -> Bounds:
    """Proven bounds (M,), (M,) of Ax over a box."""
    least, _, endless, slack = _least_activity(A, 1.0, lower, upper)
    most, _, endless_up, slack_up = _least_activity(A, -1.0, lower, upper)
    return np.where(endless > 0, -np.inf, least - slack), np.where(endless_up > 0, np.inf, slack_up - most)


def _least_activity(
    A: sparse.csc_array, sign: float, lower: FloatArray, upper: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Finite part (M,) of the least value of the rows of sign A, its entries (nnz,), infinite entries (M,), error bound (M,)."""
    m = A.shape[0]
    values, column = sign * A.data, np.repeat(np.arange(A.shape[1]), np.diff(A.indptr))
    least = np.where(values == 0.0, 0.0, values * np.where(values == 0.0, 0.0, np.where(values > 0, lower[column], upper[column])))
    finite = np.asarray(np.where(np.isinf(least), 0.0, least), dtype=np.float64)
    total = np.asarray(np.bincount(A.indices, finite, m), dtype=np.float64)
    endless = np.asarray(np.bincount(A.indices, np.isinf(least).astype(np.float64), m), dtype=np.float64)
    count = np.bincount(A.indices, minlength=m)
    slack = gamma(3 * count + 16) * np.bincount(A.indices, np.abs(finite), m) + count * 1e-320
    return total, least, endless, slack


def _tighten(A: sparse.csc_array, sign: float, limit: FloatArray, lower: FloatArray, upper: FloatArray) -> None:
    """Replace infinite bounds by what ``sign A x <= limit`` implies."""
    total, least, endless, slack = _least_activity(A, sign, lower, upper)
    row, values = A.indices, sign * A.data
    own = np.isinf(least)
    usable = (endless[row] == own) & np.isfinite(limit[row]) & (values != 0.0)
    if not usable.any():
        return
    rest = total[row] - np.where(own, 0.0, least)
    room = np.where(usable, limit[row] - rest, 0.0)
    room += np.where(
        usable, slack[row] + 8 * UNIT * (np.abs(room) + np.abs(rest) + np.abs(least, where=~own, out=np.zeros_like(least))), 0.0
    )
    room += np.where(usable, 8 * UNIT * np.abs(np.where(np.isfinite(limit[row]), limit[row], 0.0)), 0.0)
    bound = room / np.where(values == 0.0, 1.0, values)
    usable &= np.abs(bound) < FAR
    above = np.where(usable & (values > 0), np.nextafter(bound, np.inf), np.inf)
    below = np.where(usable & (values < 0), np.nextafter(bound, -np.inf), -np.inf)
    filled = np.flatnonzero(np.diff(A.indptr))
    starts = A.indptr[:-1][filled]
    upper[filled] = np.where(np.isposinf(upper[filled]), np.minimum.reduceat(above, starts), upper[filled])
    lower[filled] = np.where(np.isneginf(lower[filled]), np.maximum.reduceat(below, starts), lower[filled])


def _bound_cones(
    form: MinForm, A: sparse.csc_array, lower: FloatArray, upper: FloatArray, row_lower: FloatArray, row_upper: FloatArray
) -> None:
    """Give the rows of cones the bounds that their cone implies over the box."""
    if not form.program.cones:
        return
    _, most = row_activity(A, lower, upper)
    for cone in form.program.cones:
        rows, shift = cone.rows, cone.shift
        heads = {"soc": slice(0, 1), "rsoc": slice(0, 2), "exp": slice(1, 3)}[cone.kind]
        row_lower[rows[heads]] = -shift[heads]
        if cone.kind == "exp" or not np.isfinite(most[rows[heads]]).all():
            continue
        top = np.maximum(most[rows[heads]] + shift[heads], 0.0) + 4 * UNIT * (np.abs(most[rows[heads]]) + np.abs(shift[heads]))
        radius = float(top[0] if cone.kind == "soc" else top.sum()) * (1 + 4 * UNIT)
        tail = slice(heads.stop, None)
        pad = 4 * UNIT * (radius + np.abs(shift[tail]))
        row_lower[rows[tail]] = -radius - shift[tail] - pad
        row_upper[rows[tail]] = radius - shift[tail] + pad
