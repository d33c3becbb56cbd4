"""Solves with I - gamma P for the kernel P of one policy: direct where the factors stay small, iterative elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import EqsolveError
from eqsolve.mdp.bellman import UNIT
from eqsolve.mdp.model import Kernel

Way: TypeAlias = Literal["dense", "sparse", "iterative"]
Solve: TypeAlias = Callable[[FloatArray, bool], FloatArray]

DENSE_UP_TO = 200
DENSE_KERNEL_UP_TO = 1500
BAND_WORK = 5e8
"""Largest S times squared bandwidth, after reordering, for which sparse factors are taken to stay small."""
NEARLY_A_FOREST = 1.2
"""Nonzeros per row up to which elimination fills in next to nothing, whatever the bandwidth."""
ACCEPTED = 1e-12
REFINEMENTS = 12
STEPS = 500


class SolveFailure(EqsolveError):
    """A linear system that no way of solving brought to the accuracy that is promised."""


@dataclass(frozen=True, slots=True, eq=False)
class PolicySystem:
    r"""The matrix :math:`I - \gamma P` of a policy, ready to be solved with; made by ``PolicySystem.of``.

    Parameters
    ----------
    kernel : (S, S) dense or CSR. gamma : the discount.
    way : ``"dense"`` or ``"sparse"`` factors, or ``"iterative"`` (BiCGSTAB, and factors should it fail).
    """

    kernel: Kernel
    gamma: float
    way: Way
    _solve: Solve

    @staticmethod
    def of(kernel: Kernel, gamma: float, way: Way | None = None) -> PolicySystem:
        """The system of a kernel (S, S); ``way`` overrides the choice, which goes by size and by how far the factors fill in."""
        chosen = way or _choose(kernel)
        matrix = sparse.csr_array(kernel) if chosen == "sparse" else kernel
        return PolicySystem(matrix, gamma, chosen, MAKERS[chosen](matrix, gamma))

    def solve(self, b: FloatArray, *, transposed: bool = False) -> FloatArray:
        r"""x with :math:`(I - \gamma P) x = b`, or with the transposed matrix.

        Parameters
        ----------
        b : (S,), or (S, m) for m systems at once.

        Returns
        -------
        x, of the shape of b. The residual is refined until it is rounding and is at most 1e-12 of \|b\| + 2 \|x\|, in the
        maximum norm (transposed: in the sum norm); with rows that sum to 1, x errs by at most \|residual\| / (1 - gamma) in that
        norm.

        Raises
        ------
        SolveFailure : the residual stays larger. InvalidData : b has another length, or is not finite.
        """
        S = self.kernel.shape[0]
        right = float_array("b", b, (S, None) if np.ndim(b) == 2 else (S,))
        x, left = _refined(self, self._solve, right, transposed)
        if left > ACCEPTED and self.way == "iterative":
            x, left = _refined(self, MAKERS["sparse"](sparse.csr_array(self.kernel), self.gamma), right, transposed)
        if not left <= ACCEPTED:
            raise SolveFailure(
                f"the system of a policy with {len(right)} states is left with the relative residual {left:.3g}",
                "The discount is too close to 1 for these data, or they are near the limits of floats: rescale the rewards.",
            )
        return x

    def residual(self, x: FloatArray, b: FloatArray, *, transposed: bool = False) -> FloatArray:
        """b - (I - gamma P) x, of the shape of b."""
        kernel = self.kernel.T if transposed else self.kernel
        return np.asarray(b - (x - self.gamma * (kernel @ x)))


def _refined(system: PolicySystem, solve: Solve, b: FloatArray, transposed: bool) -> tuple[FloatArray, float]:
    """The best x of iterative refinement, and its residual relative to |b| + 2 |x|."""
    best, least = np.zeros_like(b), np.inf
    x = best
    for _ in range(REFINEMENTS):
        r = system.residual(x, b, transposed=transposed) if least < np.inf or x is not best else b
        left = _relative(r, b, x, transposed) if x.any() or not b.any() else 1.0
        if not left < 0.5 * least:
            if left < least:
                best, least = x, left
            break
        best, least = x, left
        if least <= 2.0 * UNIT:
            break
        x = x + solve(r, transposed)
    return best, least


def _relative(r: FloatArray, b: FloatArray, x: FloatArray, transposed: bool) -> float:
    """The largest over the columns of |r| / (|b| + 2 |x|)."""
    norm = _sum_norm if transposed else _max_norm
    scale = norm(b) + 2.0 * norm(x)
    with np.errstate(invalid="ignore", over="ignore"):
        share = np.asarray(norm(r) / np.where(scale > 0.0, scale, 1.0))
    return float(share.max()) if np.isfinite(share).all() else float("inf")


def _max_norm(x: FloatArray) -> FloatArray:
    return np.asarray(np.abs(x).max(axis=0))


def _sum_norm(x: FloatArray) -> FloatArray:
    return np.asarray(np.abs(x).sum(axis=0))


def _choose(kernel: Any) -> Way:
    S = kernel.shape[0]
    if S <= DENSE_UP_TO:
        return "dense"
    if not sparse.issparse(kernel):
        return "dense" if S <= DENSE_KERNEL_UP_TO else "iterative"
    if kernel.nnz <= NEARLY_A_FOREST * S:
        return "sparse"
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    order = reverse_cuthill_mckee(sparse.csr_matrix(kernel))
    place = np.empty(S, dtype=np.int64)
    place[order] = np.arange(S)
    row = np.repeat(place, np.diff(kernel.indptr))
    band = float(np.abs(row - place[kernel.indices]).max())
    return "sparse" if S * band * band <= BAND_WORK else "iterative"


def _dense(kernel: Any, gamma: float) -> Solve:
    from scipy.linalg import lu_factor, lu_solve

    table = kernel.toarray() if sparse.issparse(kernel) else kernel
    factors = lu_factor(np.eye(len(table)) - gamma * table)
    return lambda b, transposed: np.asarray(lu_solve(factors, b, trans=int(transposed)))


def _sparse(kernel: Kernel, gamma: float) -> Solve:
    """Rows are diagonally dominant, so that the diagonal serves as pivot and the ordering may go by the pattern alone."""
    from scipy.sparse.linalg import splu

    system = sparse.csc_array(sparse.eye_array(kernel.shape[0], format="csr") - gamma * kernel)
    factors = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return lambda b, transposed: np.asarray(factors.solve(b, trans="T" if transposed else "N"))


def _iterative(kernel: Kernel, gamma: float) -> Solve:
    from scipy.sparse.linalg import LinearOperator, bicgstab

    shape = kernel.shape
    across = sparse.csr_array(kernel.T) if sparse.issparse(kernel) else kernel.T

    def solve(b: FloatArray, transposed: bool) -> FloatArray:
        P = across if transposed else kernel
        system = LinearOperator(shape, matvec=lambda x: x - gamma * (P @ x), dtype=np.float64)
        columns: list[Any] = []
        for column in b.reshape(len(b), -1).T:
            with np.errstate(all="ignore"):
                columns.append(bicgstab(system, column, rtol=1e-10, atol=0.0, maxiter=STEPS)[0])
        return np.asarray(np.stack(columns, axis=-1).reshape(b.shape))

    return solve


MAKERS: dict[Way, Callable[[Kernel, float], Solve]] = {"dense": _dense, "sparse": _sparse, "iterative": _iterative}
