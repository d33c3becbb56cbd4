"""The simplex method on the condensed tableau of a matrix game: one rank-one update per pivot."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.backends import Termination, solve_program
from eqsolve.programs import Program, StructureAnswer

SMALL = 1e-11
"""Entries of the tableau (scaled to [0.1, 1.1] at the start) below which no pivot is made."""
SHIFT = 0.1
PRICED = 64
"""Columns of largest reduced cost, plus an eighth of all, among which the steepest edge is looked for. Measured at 300 x 300: a
quarter of the pivots of the largest reduced cost alone, at half its time."""
EXPLOITABLE = 1e-9
"""Exploitability, relative to the range of the payoffs, above which the answer of HiGHS is taken instead."""
STALLED = 64
"""Pivots without progress after which the smallest-index rule takes over, which cannot cycle."""


@dataclass(frozen=True, slots=True)
class MatrixGame:
    """The program of ``value_program``, whose rows are those of a matrix game, each column of it one row of the program."""

    n_rows: int
    """m, the actions of the row player: the first columns of the program; the value is the next one."""

    @property
    def name(self) -> str:
        """The form, for tables."""
        return "matrix game"

    def refuses(self, program: Program) -> str | None:
        """Why this program is beyond the method: a value was changed by hand."""
        m, n = self.n_rows, program.n_rows - 1
        upper = np.concatenate((np.zeros(n), [1.0]))
        lower = np.concatenate((np.full(n, -np.inf), [1.0]))
        same = (
            program.kind == "LP"
            and program.sense == "max"
            and not program.c[:m].any()
            and program.c[m] == 1.0
            and not program.col_lower[:m].any()
            and (program.col_upper[:m] >= 1.0).all()
            and np.array_equal(program.row_upper, upper)
            and np.array_equal(program.row_lower, lower)
        )
        return None if same else "its objective or bounds are not those of a matrix game"

    def solve(self, program: Program) -> StructureAnswer:
        """Both optimal strategies; from HiGHS in the rare case that rounding spoils the tableau."""
        m, n = self.n_rows, program.n_rows - 1
        A = -program.A[:n, :m].toarray().T
        found = solve_matrix_game(A)
        value = 0.0 if found is None else float((found[0] @ A).min())
        if found is None or not program.col_lower[m] <= value <= program.col_upper[m]:
            outcome = solve_program(replace(program, structure=None, _trusted=True), "highs")
            if outcome.termination is Termination.INFEASIBLE and outcome.ray is not None:
                return StructureAnswer("infeasible", ray=outcome.ray)
            if not outcome.is_optimal:
                return StructureAnswer("iteration_limit", outcome.x)
            return StructureAnswer("optimal", outcome.x, outcome.y, iterations=outcome.iterations, is_vertex=outcome.is_vertex)
        p, q, pivots = found
        return StructureAnswer(
            "optimal", np.append(p, value), np.append(q, float((A @ q).max())), iterations=pivots, is_vertex=True
        )


def solve_matrix_game(A: FloatArray) -> tuple[FloatArray, FloatArray, int] | None:
    r"""Optimal strategies p (m,) and q (n,) of the zero-sum game in which the row player receives A (m, n), and pivots made.

    With B the payoffs moved and scaled to [0.1, 1.1], the column player's program is max sum z s.t. B z <= 1, z >= 0, whose slack
    basis is feasible; q = z / sum z, and p comes from the multipliers. The basis found is solved once more from the data. None when
    the exploitability from the data is above ``EXPLOITABLE`` times the range.
    """
    low, high = float(A.min()), float(A.max())
    span = high - low
    if span == 0.0:
        return np.eye(1, A.shape[0])[0], np.eye(1, A.shape[1])[0], 0
    B = SHIFT + (A - low) / span
    rows, columns, pivots = _pivot(B)
    if rows is None or columns is None:
        return None
    best: tuple[float, FloatArray, FloatArray] | None = None
    for p, q in _strategies(B, rows, columns):
        exploitability = float((A @ q).max() - (p @ A).min())
        if best is None or exploitability < best[0]:
            best = (exploitability, p, q)
    return None if best is None or best[0] > EXPLOITABLE * span else (best[1], best[2], pivots)


def _strategies(B: FloatArray, rows: IntArray, columns: IntArray) -> list[tuple[FloatArray, FloatArray]]:
    """The strategies on the supports of a basis, from the data; none when the basis is singular."""
    if len(rows) != len(columns) or not len(rows):
        return []
    core = B[np.ix_(rows, columns)]
    try:
        z = np.linalg.solve(core, np.ones(len(rows)))
        w = np.linalg.solve(core.T, np.ones(len(rows)))
    except np.linalg.LinAlgError:
        return []
    p, q = np.zeros(B.shape[0]), np.zeros(B.shape[1])
    p[rows], q[columns] = np.maximum(w, 0.0), np.maximum(z, 0.0)
    return [(p / p.sum(), q / q.sum())] if p.any() and q.any() else []


def _pivot(B: FloatArray) -> tuple[IntArray | None, IntArray | None, int]:
    """Rows whose slack has left the basis and columns that have entered it, at the optimum; None when the pivots run out."""
    from scipy.linalg.blas import dger

    m, n = B.shape
    T = np.ones((m + 1, n + 1), order="F")
    T[:m, :n] = B
    T[m, :n], T[m, n] = -1.0, 0.0
    across = np.arange(n)  # what each column of the tableau stands for: columns 0..n-1, slacks n..n+m-1
    down = np.arange(n, n + m)
    stalled = 0
    for pivots in range(50 * (m + n)):
        bland = stalled > STALLED
        candidates = np.flatnonzero(T[m, :n] < -SMALL)
        if not len(candidates):
            return np.sort(across[across >= n] - n), np.sort(down[down < n]), pivots
        s = int(candidates[np.argmin(across[candidates])]) if bland else _steepest(T, candidates)
        column = T[:, s].copy()
        able = np.flatnonzero(column[:m] > SMALL)
        if not len(able):
            return None, None, pivots
        ratio = np.maximum(T[able, n], 0.0) / column[able]
        least = float(ratio.min())
        tied = able[ratio <= least + 1e-13]
        r = int(tied[np.argmin(down[tied])]) if bland else int(tied[np.argmax(column[tied])])
        stalled = stalled + 1 if least <= 1e-13 else 0
        row = T[r] / column[r]
        T = dger(-1.0, column, row, a=T, overwrite_a=1)
        T[r] = row
        T[:, s] = -column / column[r]
        T[r, s] = 1.0 / column[r]
        across[s], down[r] = down[r], across[s]
    return None, None, 50 * (m + n)


def _steepest(T: FloatArray, candidates: IntArray) -> int:
    """The column whose edge improves the objective most per unit of length."""
    m, n = T.shape[0] - 1, T.shape[1] - 1
    cost = T[m, candidates]
    few = PRICED + n // 8
    if len(candidates) > few:
        kept = np.argpartition(cost, few)[:few]
        candidates, cost = candidates[kept], cost[kept]
    part = T[:m, candidates]
    return int(candidates[np.argmax(cost * cost / (1.0 + np.einsum("ij,ij->j", part, part)))])
