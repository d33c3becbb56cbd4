"""Compiled loops over sparse kernels; ``bellman`` has the numpy twins and decides which of the two runs.

Imported on first use only, since numba takes long to load. Indices are unsigned: then no index needs a test for being negative.
Sums run from left to right and are not fused, so that the answers are those of scipy's own product, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np

from eqsolve.arrays import FloatArray

F = TypeVar("F", bound=Callable[..., Any])
ONE = np.uint64(1)


def compiled(loop: F, **options: Any) -> F:
    """The loop, compiled when first called and kept on disk where a folder for it can be written."""
    try:
        kernel: F = numba.njit(cache=True, error_model="numpy", **options)(loop)
    except RuntimeError:
        kernel = numba.njit(error_model="numpy", **options)(loop)
    return kernel


def reassociated(loop: F) -> F:
    """As ``compiled``, with sums in whichever order is fastest: for solvers whose answers are checked afterwards."""
    return compiled(loop, fastmath={"reassoc", "contract", "nsz"})


@compiled
def greedy(
    indptr: Any,
    indices: Any,
    data: FloatArray,
    reward: FloatArray,
    gamma: float,
    first: Any,
    v: FloatArray,
    top: FloatArray,
    best: Any,
) -> None:
    """top[s] = max of r + gamma P v over the pairs of s, best[s] = the first pair that attains it, in one pass."""
    e = np.uint64(0)
    k = np.uint64(0)
    for s in range(np.uint64(len(first) - 1)):
        stop = np.uint64(first[s + ONE])
        most = -np.inf
        arg = k
        while k < stop:
            end = np.uint64(indptr[k + ONE])
            total = 0.0
            while e < end:
                total += data[e] * v[indices[e]]
                e += ONE
            q = reward[k] + gamma * total
            if q > most:
                most = q
                arg = k
            k += ONE
        top[s] = most
        best[s] = arg


@compiled
def gather(indptr: Any, indices: Any, data: FloatArray, pairs: Any, to_indptr: Any, to_indices: Any, to_data: FloatArray) -> None:
    """The rows ``pairs`` of a CSR matrix, packed; ``to_indptr`` is filled before."""
    n = np.uint64(0)
    for s in range(np.uint64(len(pairs))):
        e = np.uint64(indptr[pairs[s]])
        end = np.uint64(to_indptr[s + ONE])
        while n < end:
            to_indices[n] = indices[e]
            to_data[n] = data[e]
            n += ONE
            e += ONE


@compiled
def backup(indptr: Any, indices: Any, data: FloatArray, reward: FloatArray, gamma: float, v: FloatArray, out: FloatArray) -> None:
    """out = r + gamma P v."""
    e = np.uint64(0)
    for s in range(np.uint64(len(reward))):
        end = np.uint64(indptr[s + ONE])
        total = 0.0
        while e < end:
            total += data[e] * v[indices[e]]
            e += ONE
        out[s] = reward[s] + gamma * total


@reassociated
def bicgstab(
    indptr: Any, indices: Any, data: FloatArray, gamma: float, b: FloatArray, reduction: float, most: int
) -> tuple[FloatArray, int]:
    """An x with |b - (I - gamma P) x| <= reduction |b| in the 2-norm, or what ``most`` steps gave (van der Vorst 1992)."""
    n = np.uint64(len(b))
    x, r, p = np.zeros(len(b)), b.copy(), b.copy()
    v, t = np.empty(len(b)), np.empty(len(b))
    rho = 0.0
    for i in range(n):
        rho += b[i] * b[i]
    goal = reduction * reduction * rho
    for step in range(most):
        shadow = 0.0
        e = np.uint64(0)
        for i in range(n):
            end = np.uint64(indptr[i + ONE])
            total = 0.0
            while e < end:
                total += data[e] * p[indices[e]]
                e += ONE
            v[i] = p[i] - gamma * total
            shadow += b[i] * v[i]
        if shadow == 0.0:
            return x, step
        alpha = rho / shadow
        for i in range(n):
            r[i] -= alpha * v[i]
        along, size = 0.0, 0.0
        e = np.uint64(0)
        for i in range(n):
            end = np.uint64(indptr[i + ONE])
            total = 0.0
            while e < end:
                total += data[e] * r[indices[e]]
                e += ONE
            t[i] = r[i] - gamma * total
            along += t[i] * r[i]
            size += t[i] * t[i]
        omega = along / size if size > 0.0 else 0.0
        following, left = 0.0, 0.0
        for i in range(n):
            x[i] += alpha * p[i] + omega * r[i]
            r[i] -= omega * t[i]
            following += b[i] * r[i]
            left += r[i] * r[i]
        if left <= goal or omega == 0.0 or rho == 0.0:
            return x, step + 1
        beta = following / rho * (alpha / omega)
        rho = following
        for i in range(n):
            p[i] = r[i] + beta * (p[i] - omega * v[i])
    return x, most
