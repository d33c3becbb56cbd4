"""Bellman sweeps of a finite MDP, and brackets of the optimal value that are true in spite of rounding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.mdp.model import FiniteMDP, InvalidMDP, Kernel

CSRParts: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any], FloatArray]

UNIT = 2.0**-53
TINY = 5e-324
LARGEST = 1e300
COMPILE_FROM = 50_000
"""Nonzeros of a kernel from which the compiled loops serve it; below, loading the compiler would take longer than it saves."""
SPARSE_BELOW = 0.2
"""Share of nonzeros below which a dense kernel is swept as a sparse one."""


@dataclass(frozen=True, slots=True, eq=False)
class Bracket:
    """``lower <= value of the policy <= v* <= upper``, each (S,), and the largest distance between them.

    ``floor`` is the width that rounding alone gives to a bracket from values of this size.
    """

    lower: FloatArray
    upper: FloatArray
    width: float
    floor: float

    @property
    def excess(self) -> float:
        """How many times as wide as ``floor`` it is."""
        return self.width / self.floor


@dataclass(frozen=True, slots=True, eq=False)
class Bellman:
    """One step of an MDP laid out for sweeps; made by ``Bellman.of``.

    Parameters
    ----------
    kernel : (K, S) dense, or CSR with the smallest index type that fits. reward : (K,). first : (S + 1,).
    gamma : the discount. width : the number of actions where all states have the same, else 0.
    terms : most nonzeros in a row. mass : least and largest sum of a row, rounded outward. compiled : which twin serves.
    """

    kernel: Any
    reward: FloatArray
    first: IntArray
    gamma: float
    width: int
    terms: int
    mass: tuple[float, float]
    compiled: bool

    @staticmethod
    def of(mdp: FiniteMDP, step: int = 0, *, compiled: bool | None = None) -> Bellman:
        """The operator of a step; ``compiled`` overrides the choice of the twin, which otherwise goes by size.

        Raises
        ------
        InvalidMDP : without a horizon, rows that sum to more than 1 by so much, or rewards so large, that values are not finite.
        """
        kernel = _laid_out(mdp.kernel(step))
        S = mdp.n_states
        terms = int(np.diff(kernel.indptr).max()) if sparse.issparse(kernel) else S
        sums = np.asarray(kernel @ np.ones(S))
        slack = 2.0 * (terms + 1) * UNIT
        mass = (float(sums.min()) - slack, float(sums.max()) + slack)
        width = int(mdp.n_actions[0]) if int(mdp.n_actions.min()) == int(mdp.n_actions.max()) else 0
        reward = mdp.reward_at(step)
        if mdp.horizon is None:
            _check_values_exist(mdp.gamma, mass[1], reward)
        use = sparse.issparse(kernel) and (kernel.nnz >= COMPILE_FROM if compiled is None else compiled)
        return Bellman(kernel, reward, mdp.first, mdp.gamma, width, terms, mass, bool(use))

    def action_values(self, v: FloatArray) -> FloatArray:
        """(K,) q = r + gamma P v."""
        q: FloatArray = np.asarray(self.kernel @ v)
        q *= self.gamma
        q += self.reward
        return q

    def greedy(self, v: FloatArray) -> tuple[FloatArray, IntArray]:
        """(S,) the largest action value of each state, and the first pair that has it."""
        if self.compiled:
            from eqsolve.mdp import kernels

            top, best = np.empty(len(self.first) - 1), np.empty(len(self.first) - 1, dtype=np.int64)
            parts = unsigned(self.kernel.indptr, self.kernel.indices, self.kernel.data)
            kernels.greedy(*parts, self.reward, self.gamma, self.first, v, top, best)
            return top, best
        return self.largest(self.action_values(v))

    def largest(self, q: FloatArray) -> tuple[FloatArray, IntArray]:
        """(S,) the largest of q (K,) among the pairs of each state, and the first pair that has it."""
        start = self.first[:-1]
        if self.width:
            table = q.reshape(-1, self.width)
            best = start + np.argmax(table, axis=1)
            return q[best], best
        top = np.maximum.reduceat(q, start)
        hit = np.flatnonzero(q == np.repeat(top, np.diff(self.first)))
        return top, hit[np.searchsorted(hit, start)]

    def policy(self, pairs: IntArray) -> PolicyBellman:
        """The operator of the policy that plays one pair in each state."""
        if self.compiled:
            return CompiledPolicyBellman(packed_rows(self.kernel, pairs), self.reward[pairs], self.gamma)
        return ArrayPolicyBellman(self.kernel[pairs], self.reward[pairs], self.gamma)

    def rounding(self, v: FloatArray) -> float:
        """A bound of the error that rounding makes in any component of r + gamma P v.

        A sum of n products in any order errs by at most n u / (1 - n u) times the sum of their magnitudes (Higham, Accuracy and
        Stability of Numerical Algorithms, section 3.1); the few units more pay for the discount, the reward and this bound itself.
        """
        size = _largest(self.reward) + self.gamma * self.mass[1] * _largest(v)
        return (self.terms + 8) * (UNIT * size + TINY)

    def bracket(self, v: FloatArray, top: FloatArray, own: FloatArray | None = None) -> Bracket:
        r"""MacQueen's bounds of v* from one sweep, and of the value of the policy that was swept with.

        .. math:: Tv + \frac{\gamma}{1 - \gamma} \min(Tv - v) \le v^\pi \le v^* \le Tv + \frac{\gamma}{1 - \gamma} \max(Tv - v)

        Parameters
        ----------
        v : (S,) any values. top : (S,) Tv as computed.
        own : (S,) values of the same sweep for the policy of the lower bound; left out, the policy is greedy and this is Tv.

        Notes
        -----
        Where rows do not sum to 1 exactly, 1 in gamma / (1 - gamma) is replaced by the least or largest sum, whichever makes the
        bound true. Source: MacQueen (1966); Puterman (2005), Theorem 6.6.3.
        """
        own = top if own is None else own
        error = self.rounding(v)
        low, high = float((own - v).min()), float((top - v).max())
        low, high = low - error - 2 * UNIT * abs(low), high + error + 2 * UNIT * abs(high)
        down, up = low * self._factor(low < 0), high * self._factor(high > 0)
        pad = error + 8 * UNIT * (max(_largest(own), _largest(top)) + abs(down) + abs(up))
        lower, upper = own + (down - pad), top + (up + pad)
        return Bracket(lower, upper, float((upper - lower).max()), 2.0 * (error * (1.0 + self._factor(True)) + pad))

    def _factor(self, large: bool) -> float:
        """gamma / (1 - gamma), with the row sum that makes it the larger, or the smaller."""
        outward = 4.0 * UNIT if large else -4.0 * UNIT
        rate = self.gamma * self.mass[1 if large else 0] * (1.0 + outward)
        return rate / (1.0 - rate) * (1.0 + outward)


class PolicyBellman(Protocol):
    """The step of one policy, v -> r + gamma P v, with kernel (S, S) and reward (S,)."""

    def backup(self, v: FloatArray) -> FloatArray:
        """(S,) r + gamma P v."""
        ...

    def correction(self, b: FloatArray, reduction: float, most: int) -> FloatArray:
        """(S,) x with the residual of (I - gamma P) x = b smaller by ``reduction`` in the 2-norm, or what ``most`` steps gave."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ArrayPolicyBellman:
    """The twin for small or dense kernels."""

    kernel: Kernel
    reward: FloatArray
    gamma: float

    def backup(self, v: FloatArray) -> FloatArray:
        """(S,) r + gamma P v."""
        out: FloatArray = np.asarray(self.kernel @ v)
        out *= self.gamma
        out += self.reward
        return out

    def correction(self, b: FloatArray, reduction: float, most: int) -> FloatArray:
        """By scipy's BiCGSTAB."""
        from scipy.sparse.linalg import LinearOperator, bicgstab

        system = LinearOperator((len(b), len(b)), matvec=lambda x: x - self.gamma * (self.kernel @ x), dtype=np.float64)
        with np.errstate(all="ignore"):
            return np.asarray(bicgstab(system, b, rtol=reduction, atol=0.0, maxiter=most)[0])


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPolicyBellman:
    """The twin for large sparse kernels, given as row starts, indices and values of a CSR matrix."""

    rows: CSRParts
    reward: FloatArray
    gamma: float

    def backup(self, v: FloatArray) -> FloatArray:
        """(S,) r + gamma P v."""
        from eqsolve.mdp import kernels

        out = np.empty(len(v))
        kernels.backup(*self.rows, self.reward, self.gamma, v, out)
        return out

    def correction(self, b: FloatArray, reduction: float, most: int) -> FloatArray:
        """By the compiled BiCGSTAB."""
        from eqsolve.mdp import kernels

        x: FloatArray = kernels.bicgstab(*self.rows, self.gamma, b, reduction, most)[0]
        return x


def unsigned(indptr: npt.NDArray[Any], indices: npt.NDArray[Any], data: FloatArray) -> CSRParts:
    """Row starts, indices and values of a CSR matrix as the compiled loops take them: not copied, and read-only."""
    kind = np.dtype(f"u{indices.dtype.itemsize}")
    views = indptr.view(kind), indices.view(kind), data.view()
    for view in views:
        view.setflags(write=False)
    return views


def packed_rows(kernel: sparse.csr_array, rows: IntArray) -> CSRParts:
    """Some rows of a CSR matrix; scipy's own slicing checks every index again, which takes longer than a sweep."""
    from eqsolve.mdp import kernels

    kind = kernel.indices.dtype
    starts = np.zeros(len(rows) + 1, dtype=kind)
    np.cumsum(kernel.indptr[rows + 1] - kernel.indptr[rows], out=starts[1:])
    indices, data = np.empty(starts[-1], dtype=kind), np.empty(starts[-1])
    kernels.gather(*unsigned(kernel.indptr, kernel.indices, kernel.data), rows, starts, indices, data)
    return unsigned(starts, indices, data)


def _laid_out(kernel: Any) -> Any:
    """The kernel with 32-bit indices where they fit, dense ones with few nonzeros as sparse."""
    if not sparse.issparse(kernel):
        large = kernel.size > COMPILE_FROM and np.count_nonzero(kernel) < SPARSE_BELOW * kernel.size
        if not large:
            return kernel
        kernel = sparse.csr_array(kernel)
    kind = np.int32 if max(kernel.nnz, *kernel.shape) < 2**31 else np.int64
    parts = (kernel.data, kernel.indices.astype(kind, copy=False), kernel.indptr.astype(kind, copy=False))
    return sparse.csr_array(parts, shape=kernel.shape)


def _check_values_exist(gamma: float, mass: float, reward: FloatArray) -> None:
    if gamma * mass >= 1.0:
        raise InvalidMDP(
            f"gamma times the largest sum of a transition row is {gamma * mass:.17g}, not below 1: the values may be infinite",
            "Divide the rows by their sums before building the process, or lower gamma.",
        )
    if _largest(reward) / (1.0 - gamma * mass) > LARGEST:
        raise InvalidMDP(f"rewards of size {_largest(reward):g} give values beyond the range of a float", "Divide the rewards.")


def _largest(x: FloatArray) -> float:
    return max(abs(float(x.max())), abs(float(x.min())))
