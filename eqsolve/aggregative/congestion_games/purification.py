"""From any nonnegative solution of linear equations to a vertex, many columns at once."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray, IntArray

RANK = 1e-9
"""Size of a pivot, relative to the largest entry of a row, below which columns count as dependent."""
NOISE = 1e-11
"""Size of an entry of a direction, relative to the largest, that counts as 0."""


def purified_solution(A: FloatArray, f: FloatArray, c: FloatArray, zero: FloatArray) -> FloatArray:
    r"""A vertex of :math:`\{g \ge 0 : A g = A f\}` with :math:`c \cdot g \le c \cdot f`.

    Columns come in batches. A basis of the null space of those in hand comes from one factorisation; along each of its directions
    the point moves, down the objective, until a column is at 0. That column leaves the other directions by one elimination, so that
    every factorisation gives up as many columns as the null space has dimensions.

    Parameters
    ----------
    A : (M, P). f : (P,) the point. c : (P,) objective to minimise. zero : (P,) what counts as 0.
    """
    f = np.where(f <= zero, 0.0, f)
    pending = np.flatnonzero(f)
    batch = max(len(A), 1)
    hand = np.zeros(0, dtype=np.int64)
    while len(pending):
        hand = np.concatenate((hand, pending[:batch]))
        pending = pending[batch:]
        f[hand] = _moved(_null_space(A[:, hand]), f[hand], c[hand], zero[hand])
        hand = hand[f[hand] > 0]
    return f


def _null_space(A: FloatArray) -> FloatArray:
    """(n, k) a basis of the null space of (M, n), by elimination with complete pivoting, one outer product after the other."""
    A = A / np.maximum(np.abs(A).max(axis=1, initial=0.0), np.finfo(np.float64).tiny)[:, None]
    n = A.shape[1]
    pivot_row: list[int] = []
    pivot_column: list[int] = []
    left = A.copy()
    while len(pivot_row) < min(A.shape):
        at = int(np.argmax(np.abs(left)))
        i, j = divmod(at, n)
        if abs(left[i, j]) <= RANK:
            break
        A[i] /= A[i, j]
        column = A[:, j].copy()
        column[i] = 0.0
        A -= np.outer(column, A[i])
        A[:, j] = 0.0
        A[i, j] = 1.0
        pivot_row.append(i)
        pivot_column.append(j)
        left = A.copy()
        left[pivot_row] = 0.0
    free = np.setdiff1d(np.arange(n), pivot_column)
    basis = np.zeros((n, len(free)))
    basis[pivot_column] = -A[pivot_row][:, free]
    basis[free, np.arange(len(free))] = 1.0
    return basis


def _moved(basis: FloatArray, f: FloatArray, c: FloatArray, zero: FloatArray) -> FloatArray:
    """The point after a move along every direction, each to the first column at 0."""
    for k in range(basis.shape[1]):
        way = basis[:, k] / np.abs(basis[:, k]).max()
        way[np.abs(way) < NOISE] = 0.0
        rise = float(np.einsum("n,n->", c, way))
        if rise > 0 or (rise == 0 and way.min() >= 0):
            way = -way
        falling: IntArray = np.flatnonzero(way < 0)
        if not len(falling):  # only where the equations do not bound the point
            continue
        room = f[falling] / -way[falling]
        step = room.min()
        tied = falling[room <= step * (1 + 1e-12)]
        out = int(tied[np.argmin(way[tied])])
        f = f + step * way
        f[out] = 0.0
        f[f <= zero] = 0.0
        basis[:, k + 1 :] -= np.outer(way / way[out], basis[out, k + 1 :])
        basis[out, k + 1 :] = 0.0
    return f
