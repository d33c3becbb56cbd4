"""Vectors near the values of a policy, for the certificate to start from; nothing is shared with the methods that find policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.mdp.model import FiniteMDP

Linear: TypeAlias = Callable[[FloatArray], FloatArray]

DENSE = 400
"""States up to which a dense solve answers."""
STEPS = 150
REDUCTION = 1e-10


def solve_near(mdp: FiniteMDP, policy: FloatArray, start: FloatArray) -> FloatArray:
    """A vector near the values of a policy (K,); how near is for the bounds to say."""
    S, used = mdp.n_states, np.flatnonzero(policy)
    mix = sparse.csr_array((policy[used], (mdp.owner[used], used)), shape=(S, mdp.n_pairs))
    chain, reward = mix @ mdp.kernel(), mix @ mdp.reward
    if S <= DENSE:
        dense = chain.toarray() if sparse.issparse(chain) else chain
        return np.asarray(np.linalg.solve(np.eye(S) - mdp.gamma * dense, reward))
    matrix = sparse.eye_array(S, format="csc") - mdp.gamma * sparse.csc_array(chain)
    v, residual, inverse = start, reward - matrix @ start, None
    for _ in range(4):
        size = float(np.abs(residual).max())
        if size <= 1e-15 * float(np.abs(v).max()):
            break
        with np.errstate(all="ignore"):
            change, reached = _bicgstab(matrix, residual, inverse)
            trial = v + change
            after = reward - matrix @ trial
        if float(np.abs(after).max()) < size:
            v, residual = trial, after
        elif inverse is not None:
            break
        if not reached and inverse is None:
            inverse = _gauss_seidel(matrix)
    return v


def _bicgstab(matrix: sparse.csc_array, b: FloatArray, inverse: Linear | None) -> tuple[FloatArray, bool]:
    """x with ``matrix`` x near b, and whether the residual came down by ``REDUCTION``; preconditioned by ``inverse``.

    Source: van der Vorst (1992). Inner products are not by BLAS (as scipy's are), whose threads wait for each other where other
    work keeps the cores busy: measured with two busy cores, that took three times as long as all the rest.
    """
    x, r, goal = np.zeros_like(b), b, REDUCTION**2 * _dot(b, b)
    shadow, p, v = b, np.zeros_like(b), np.zeros_like(b)
    rho = alpha = omega = 1.0
    for _ in range(STEPS):
        before, rho = rho, _dot(shadow, r)
        if rho == 0.0 or omega == 0.0:
            break
        p = r + (rho / before) * (alpha / omega) * (p - omega * v)
        ahead = inverse(p) if inverse else p
        v = matrix @ ahead
        along = _dot(shadow, v)
        if along == 0.0:
            break
        alpha = rho / along
        r = r - alpha * v
        x = x + alpha * ahead
        if _dot(r, r) <= goal:
            return x, True
        aside = inverse(r) if inverse else r
        t = matrix @ aside
        size = _dot(t, t)
        omega = _dot(t, r) / size if size else 0.0
        x = x + omega * aside
        r = r - omega * t
        if _dot(r, r) <= goal:
            return x, True
    return x, False


def _dot(a: FloatArray, b: FloatArray) -> float:
    return float(np.einsum("i,i->", a, b))


def _gauss_seidel(matrix: sparse.csc_array) -> Linear:
    """One symmetric Gauss-Seidel sweep: it carries news along chains of any length, and its two factors never fill in."""
    from scipy.sparse import linalg

    diagonal = matrix.diagonal()
    lower, upper = (
        linalg.splu(sparse.csc_matrix(part), permc_spec="NATURAL", diag_pivot_thresh=0.0)
        for part in (sparse.tril(matrix), sparse.triu(matrix))
    )

    def sweep(x: FloatArray) -> FloatArray:
        return np.asarray(upper.solve(diagonal * lower.solve(x)))

    return sweep
