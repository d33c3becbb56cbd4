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


def moves(rows: FloatArray, k: int) -> FloatArray:
    r"""The law of the histogram over Z states that k agents, who move independently from M cells, arrive at.

    .. math:: D_k(e, \cdot) = \text{law of } \sum_{c} \text{Multinomial}(e_c, P_c)
              = \sum_{z} P_{c}(z)\, D_{k-1}(e - \mathbf e_c, \cdot - \mathbf e_z) \quad \text{for any } c \text{ with } e_c > 0

    Parameters
    ----------
    rows : (..., M, Z) the distribution over next states of an agent in each cell: a state, or a state with an action.
    k : agents.

    Returns
    -------
    (..., N_k(M), N_k(Z)) from histograms over cells to histograms over states; a sum of products of probabilities only.

    Examples
    --------
    >>> moves(np.array([[0.5, 0.5], [0.0, 1.0]]), 2).tolist()
    [[0.25, 0.5, 0.25], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    """
    *leading, M, Z = rows.shape
    law = np.ones((*leading, 1, 1))
    for agents in range(1, k + 1):
        cells, fewer = Histograms(agents, M), Histograms(agents - 1, Z)
        leaver = np.argmax(cells.table > 0, axis=1)
        before = np.empty(cells.size, dtype=np.int64)
        for c in range(M):
            before[leaver == c] = cells.without(c)[leaver == c]
        others, law = law[..., before, :], np.zeros((*leading, cells.size, size(agents, Z)))
        for z in range(Z):
            law[..., fewer.joined(z)] += rows[..., leaver, z, None] * others
    return law


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """Sym^k(P) as a matrix (N, N): for few histograms."""

    matrix: FloatArray
    k: int
    Z: int

    @staticmethod
    def of(rows: FloatArray, k: int) -> Dense:
        """The matrix for a transition matrix; see ``moves``.

        Raises
        ------
        InvalidData : more than ``DENSE`` histograms.
        """
        Z = len(rows)
        if size(k, Z) > DENSE:
            raise InvalidData(
                f"{k} agents over {Z} states have {size(k, Z):,} histograms", f"A matrix is held for at most {DENSE:,}."
            )
        return Dense(moves(rows, k), k, Z)

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
