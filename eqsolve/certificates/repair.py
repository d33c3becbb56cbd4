"""Multipliers moved so that columns without bounds get reduced costs of the right sign."""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import lsqr

from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.certificates.minform import MinForm
from eqsolve.certificates.rounding import UNIT, gamma

DENSE_ENTRIES = 4_000_000
FREE_LIMIT = 1500


def toward_feasible(
    form: MinForm, y: FloatArray, reduced: FloatArray, columns: IntArray, lower: FloatArray, upper: FloatArray, attempt: int
) -> FloatArray:
    """Multipliers (M,) near ``y`` whose reduced costs on ``columns`` are 0 (free ones) or slightly on the right side."""
    rows = np.flatnonzero(_movable(form, y) | form.in_cone)
    if not len(rows):
        return y
    margin = 10.0 ** (attempt - 13) * (1.0 + float(np.abs(form.c).max(initial=0.0)))
    below, above = np.isneginf(lower[columns]), np.isposinf(upper[columns])
    aim = np.where(below & above, 0.0, np.where(above, margin, -margin))
    system = sparse.csr_array(form.A[:, columns][rows].T)
    wanted = reduced[columns] - aim
    if system.shape[0] * system.shape[1] <= DENSE_ENTRIES:
        step = np.linalg.lstsq(system.toarray(), wanted, rcond=None)[0]
    else:
        step = lsqr(system, wanted, atol=1e-14, btol=1e-14, iter_lim=100)[0]
    moved = y.copy()
    moved[rows] += step
    return moved if np.isfinite(moved).all() else y


def free_radius(
    form: MinForm, y: FloatArray, lower: FloatArray, upper: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray | None:
    """A radius (M,) around ``y`` in which multipliers lie that make the reduced cost of every free column exactly 0.

    They exist by a verified inverse: with R close to the inverse of the square system B and a = |I - RB| < 1 in the maximum
    norm, B is regular and the solution of B s = r has |s| <= |R r| / (1 - a). None where there are no free columns, too many,
    or no such system on rows that can be moved.
    """
    free = np.flatnonzero(np.isneginf(lower) & np.isposinf(upper))
    rows = np.flatnonzero(_movable(form, y))
    if not 0 < len(free) <= min(FREE_LIMIT, len(rows)) or not np.isfinite(low[free] + high[free]).all():
        return None
    system = form.A[:, free][rows].T.toarray()
    order = linalg.qr(system, mode="r", pivoting=True)[1]
    chosen = order[: len(free)]
    B = system[:, chosen]
    try:
        R = np.linalg.inv(B)
    except np.linalg.LinAlgError:
        return None
    k, residual = len(free), np.maximum(np.abs(low[free]), np.abs(high[free]))
    defect = np.abs(np.eye(k) - R @ B) + float(gamma(2 * k + 16)) * (np.abs(R) @ np.abs(B) + np.eye(k))
    a = float(defect.sum(axis=1).max()) * (1.0 + float(gamma(k + 16)))
    if not a < 0.5:
        return None
    size = float((np.abs(R) @ residual).max()) * (1.0 + float(gamma(2 * k + 16))) / (1.0 - a) * (1.0 + 8 * UNIT)
    radius = np.zeros(len(y))
    at = rows[chosen]
    radius[at] = max(size, 1e-300)
    one_sided = np.isinf(form.program.row_lower[at]) | np.isinf(form.program.row_upper[at])
    return None if (one_sided & (np.abs(y[at]) <= 2 * radius[at])).any() else radius


def _movable(form: MinForm, y: FloatArray) -> BoolArray:
    """Rows whose multiplier may take either sign, or is well away from 0."""
    program = form.program
    both = np.isfinite(program.row_lower) & np.isfinite(program.row_upper)
    away = np.abs(y) > 1e-7 * np.abs(y).max(initial=0.0)
    return np.asarray(~form.in_cone & (both | away))
