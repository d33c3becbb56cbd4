"""A Markov matrix as a chain of thinnings between two states, for the operator of the certificates."""

from __future__ import annotations

from itertools import permutations
from typing import NamedTuple

import numpy as np

from eqsolve.arrays import FloatArray, IntArray

ALL_ORDERS = 5
"""States up to which all pairs of orders are tried."""
TRIED = 2_000
"""Orders that are tried of more states."""
VANISHES = 1e-14
"""Absolute sum below which a row of the upper factor is what rounding has left of zeros."""


class Thinnings(NamedTuple):
    r"""Steps after which an agent in state z is in state s with probability P(s | z), up to rounding.

    First (in time) each agent in ``source[m]`` goes to ``target[m]`` with weight ``share[m]`` and stays with 1 minus that, for m in
    turn; then states are renamed, z to ``rename[z]``. Shares may lie outside [0, 1], and then the weights are no probabilities.

    Parameters
    ----------
    amplification : largest sum of the absolute weights of the paths of one agent, 1 where all are probabilities.
    deviation : by how much the rows of the product differ from P at most, in the sum of absolute values.
    """

    source: IntArray
    target: IntArray
    share: FloatArray
    rename: IntArray
    amplification: float
    deviation: float


def thinnings(rows: FloatArray) -> Thinnings:
    """The factorisation of rows (Z, Z) that amplifies least among the orders of rows and columns that are tried.

    In permuted order P = A B with A lower and B upper triangular, both with rows that sum to 1. An agent passes one row of each.
    """
    order, image = _orders(rows)
    lower, upper = _factors(rows[order[:, :, None], image[:, None, :]])
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.einsum("bij,bj->bi", np.abs(lower), np.abs(upper).sum(axis=2)).max(axis=1)
    size[~np.isfinite(size)] = np.inf
    best = Thinnings(*(np.zeros(0, dtype=np.int64),) * 2, np.zeros(0), np.arange(len(rows)), np.inf, np.inf)
    for b in np.argsort(size, kind="stable")[:8]:
        found = _chain(rows, order[b], image[b], lower[b], upper[b]) if size[b] < np.inf else best
        if found.amplification < best.amplification * (1.0 - 1e-12):
            best = found
    return best


def _orders(rows: FloatArray) -> tuple[IntArray, IntArray]:
    """(B, Z) orders of the rows and of the columns."""
    from scipy.optimize import linear_sum_assignment

    Z = len(rows)
    if Z <= ALL_ORDERS:
        every = np.array(list(permutations(range(Z))))
        return np.repeat(every, len(every), axis=0), np.tile(every, (len(every), 1))
    rng = np.random.default_rng(Z)
    order = np.stack([np.arange(Z), *(rng.permutation(Z) for _ in range(TRIED))])
    matched = linear_sum_assignment(rows, maximize=True)[1]
    return np.concatenate([order, order]), np.concatenate([order, matched[order]])


def _factors(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(B, Z, Z) lower and upper factors without pivoting, rescaled so that rows sum to 1; not finite where that fails."""
    upper = matrices.copy()
    Z = upper.shape[1]
    lower = np.tile(np.eye(Z), (len(upper), 1, 1))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for c in range(Z - 1):
            below = upper[:, c + 1 :, c]
            lower[:, c + 1 :, c] = np.where(below == 0.0, 0.0, below / upper[:, c, c, None])
            upper[:, c + 1 :] -= lower[:, c + 1 :, c, None] * upper[:, c, None]
            upper[:, c + 1 :, c] = 0.0
        # A row of the upper factor that vanishes has no weight in the product, and any row will do for it.
        gone = np.abs(upper).sum(axis=2) < VANISHES
        total = np.where(gone, 0.0, upper.sum(axis=2))
        return lower * total[:, None, :], np.where(gone[:, :, None], np.eye(Z), upper / total[:, :, None])


def _chain(rows: FloatArray, order: IntArray, image: IntArray, lower: FloatArray, upper: FloatArray) -> Thinnings:
    """The thinnings of a product: row 0 of the lower factor first, row Z - 1 of the upper factor first."""
    Z = len(order)
    steps: list[tuple[int, int, float]] = []
    for factor, turns in ((lower, range(Z)), (upper, range(Z - 1, -1, -1))):
        for i in turns:
            left = factor[i, i]
            row = []
            for j in np.flatnonzero(factor[i]).tolist():
                if j != i:
                    left = left + factor[i, j]
                    row.append((int(order[i]), int(order[j]), float(factor[i, j] / left) if left else np.inf))
            steps += row[::-1]
    rename = np.empty(Z, dtype=np.int64)
    rename[order] = image
    product, size = np.eye(Z), np.eye(Z)
    with np.errstate(invalid="ignore", over="ignore"):
        for i, j, share in steps:
            product[:, j] += product[:, i] * share
            product[:, i] *= 1.0 - share
            size[:, j] += size[:, i] * abs(share)
            size[:, i] *= abs(1.0 - share)
        there = np.empty_like(product)
        there[:, rename] = product
        deviation = float(np.abs(there - rows).sum(axis=1).max())
        amplification = float(size.sum(axis=1).max())
    if not np.isfinite(amplification + deviation):
        amplification = deviation = np.inf
    source, target = (np.array([step[part] for step in steps], dtype=np.int64) for part in (0, 1))
    return Thinnings(source, target, np.array([share for _, _, share in steps]), rename, amplification, deviation)
