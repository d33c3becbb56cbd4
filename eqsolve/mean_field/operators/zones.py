"""The expected value of independent moves of k agents by sums without a negative term: slower than shears, and always accurate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData
from eqsolve.mean_field.histograms import Histograms, affordable, size

UNIT = 2.0**-53
MOST = 4_000_000_000
"""Products of one pass for one column above which the recursion is refused: some seconds."""
DENSE = 2_000
"""Histograms up to which a matrix of all pairs is held."""


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    r"""Sym^k(P) by moving the agents of one state after the other.

    .. math:: G_z(d_z, e) = \sum_{s'} P(s' \mid z)\, G_z(d_z - 1, e + e_{s'})

    where e counts the agents that have moved. The states are nested, so that one table (N, C) is held for each of them.

    Parameters
    ----------
    rows : (Z, Z) transition probabilities. k : agents. up : (N_{k-1}, Z) places after one more agent has come. sizes : (k + 1,).
    shares, starts : the laws of 0, ..., k agents of the last state after their move.
    """

    rows: FloatArray
    k: int
    up: IntArray
    sizes: IntArray
    shares: FloatArray
    starts: IntArray

    @staticmethod
    def of(rows: FloatArray, k: int) -> Zones:
        """The tables for a transition matrix.

        Raises
        ------
        InvalidData : the recursion would take more than ``MOST`` products or more than memory holds; the largest k is told.
        """
        Z = len(rows)
        if products(k, Z) > MOST:
            fits = max(other for other in range(k) if products(other, Z) <= MOST)
            raise InvalidData(
                f"{k} agents over {Z} states take {products(k, Z):.3g} products in the recursion over the states",
                f"At most {MOST:,} are done; the largest k is {fits}.",
            )
        affordable(k, Z + 1, 1, "probabilities of moves")
        fewer = Histograms(max(k - 1, 0), Z)
        up = np.stack([fewer.joined(s) for s in range(Z)], axis=1)
        sizes = np.array([size(R, Z) for R in range(k + 1)], dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        shares = np.zeros(starts[-1])
        shares[0] = 1.0
        for R in range(k):
            before, after = shares[starts[R] : starts[R + 1]], shares[starts[R + 1] : starts[R + 2]]
            for s in range(Z):
                after[up[: sizes[R], s]] += rows[-1, s] * before
        return Zones(np.array(rows, order="C"), k, up, sizes, shares, starts)

    @property
    def error(self) -> float:
        """Of any expected value, per unit of the largest value: moves round once per state, the law of the last ones too."""
        Z = len(self.rows)
        return (2 * (Z + 2) * (self.k + 1) + float(self.sizes[-1])) * UNIT

    def forward(self, values: FloatArray) -> None:
        """values (N, C), in place: becomes the expected values after all agents have moved."""
        self._pass(values, back=False)

    def backward(self, mass: FloatArray) -> None:
        """mass (N, C), in place: the adjoint of ``forward``."""
        self._pass(mass, back=True)

    def _pass(self, values: FloatArray, *, back: bool) -> None:
        if len(self.rows) == 1 or self.k == 0:
            return
        from eqsolve.mean_field.operators import zone_kernels

        held = np.empty((len(self.rows) - 1, *values.shape))
        run = zone_kernels.backward_pass if back else zone_kernels.forward_pass
        run(values, self.rows, self.up, self.sizes, self.shares, self.starts, held)


def products(k: int, Z: int) -> int:
    """Products of one pass of the recursion for one column, about."""
    return (Z + 1) * size(k, 2 * Z - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Sym^k(P) as a matrix (N, N): for few histograms."""

    matrix: FloatArray
    k: int
    Z: int

    @staticmethod
    def of(rows: FloatArray, k: int) -> Dense:
        """One agent after the other, of the first state that is occupied, moves independently of the others.

        Raises
        ------
        InvalidData : more than ``DENSE`` histograms.
        """
        Z = len(rows)
        if size(k, Z) > DENSE:
            raise InvalidData(
                f"{k} agents over {Z} states have {size(k, Z):,} histograms", f"A matrix is held for at most {DENSE:,}."
            )
        matrix = np.ones((1, 1))
        for agents in range(1, k + 1):
            table, fewer = Histograms(agents, Z).table, Histograms(agents - 1, Z)
            mover = (table > 0).argmax(axis=1)
            others = table.copy()
            others[np.arange(len(table)), mover] -= 1
            before, matrix = matrix[fewer.rank(others)], np.zeros((len(table), len(table)))
            for s in range(Z):
                matrix[:, fewer.joined(s)] += rows[mover, s, None] * before
        return Dense(matrix, k, Z)

    @property
    def error(self) -> float:
        """Of any expected value, per unit of the largest value."""
        return (2 * (self.Z + 2) * (self.k + 1) + len(self.matrix)) * UNIT

    def forward(self, values: FloatArray) -> None:
        """values (N, C), in place: becomes the expected values after all agents have moved."""
        values[:] = np.einsum("de,ec->dc", self.matrix, values)

    def backward(self, mass: FloatArray) -> None:
        """mass (N, C), in place: the adjoint of ``forward``."""
        mass[:] = np.einsum("de,dc->ec", self.matrix, mass)
