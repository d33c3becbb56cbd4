"""Sifting: a linear program with few rows and very many columns, solved on the few columns that matter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, IntArray, frozen
from eqsolve.backends import Basis, Outcome, Start, Termination, solve_program
from eqsolve.programs import Program, StructureAnswer

PRICED = 1e-10
"""Largest improving reduced cost, in scaled units, at which the columns left out are accepted as zero."""
WHOLE = 6
"""A program with at most this many columns per row is handed over whole."""
START, ADDED = 4, 1
"""Columns per row to begin with, and to add in one round."""
ROUNDS = 60
PENALTY = 1e3


@dataclass(frozen=True, slots=True)
class Sifting:
    """Programs with columns from 0 up, rows ``a'x <= b`` and ``a'x = b``, and far more columns than rows.

    A master program over some of the columns is solved by HiGHS; the multipliers price all columns in one product with the matrix;
    the columns that would improve the objective most come in. At the end none does, so the multipliers are feasible for the dual of
    the whole program and the answer is optimal for it. A shared elastic column keeps every master feasible.

    Parameters
    ----------
    kept : columns at the end of the program that are in every master.
    """

    kept: int = 0

    @property
    def name(self) -> str:
        """The form, for tables."""
        return "program of few rows and many columns"

    def refuses(self, program: Program) -> str | None:
        """Why this program is beyond the method."""
        if program.kind != "LP":
            return f"sifting takes linear programs, not {program.kind}"
        if program.col_lower.any():
            return "sifting needs columns with a lower bound of 0"
        one_sided = np.isneginf(program.row_lower) | (program.row_lower == program.row_upper)
        if not one_sided.all():
            return f"row {program.row_name(int(np.argmin(one_sided)))} is neither an equation nor bounded above only"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """Solve the program; an answer that sifting does not settle is that of the whole program."""
        sifter = _Sifter(program, self.kept)
        answer = sifter.run() if program.n_columns > WHOLE * max(program.n_rows, 16) else None
        return answer or sifter.whole()


class _Sifter:
    """The rounds, on a scaled copy: objective and rows are divided by their largest coefficients."""

    def __init__(self, program: Program, kept: int) -> None:
        self.program = program
        sign = 1.0 if program.sense == "max" else -1.0
        A = program.A
        top = np.zeros(program.n_rows)
        np.maximum.at(top, A.indices, np.abs(A.data))
        self.row_scale = 1.0 / np.where(top > 0, top, 1.0)
        self.upper = program.row_upper * self.row_scale
        self.lower = program.row_lower * self.row_scale
        self.loose = np.isneginf(self.lower) & np.isfinite(self.upper)
        span = float(np.abs(program.c).max()) or 1.0
        self.objective_scale = sign / span
        self.c = program.c * self.objective_scale
        self.A = sparse.csc_array((A.data * self.row_scale[A.indices], A.indices, A.indptr), shape=A.shape)
        self.inside = np.zeros(program.n_columns, dtype=bool)
        self.inside[program.n_columns - kept :] = True

    def run(self) -> StructureAnswer | None:
        """The answer, or None where the elastic column stays in use or the rounds run out."""
        rows = self.program.n_rows
        chosen = np.concatenate((np.flatnonzero(self.inside), self._best(self._first_score(), START * rows, ~self.inside)))
        self.inside[chosen] = True
        penalty, basis, iterations = PENALTY, None, 0
        for _ in range(ROUNDS):
            outcome = self._master(chosen, penalty, basis)
            iterations += outcome.iterations
            if not outcome.is_optimal or outcome.x is None or outcome.y is None:
                return None
            price = self.c - np.asarray(self.A.T @ outcome.y)
            improving = ~self.inside & (price > PRICED)
            if improving.any():
                new = self._best(price, ADDED * rows, improving)
                self.inside[new] = True
                chosen, basis = np.concatenate((chosen, new)), _extended(outcome.basis, len(new))
                continue
            if outcome.x[0] > 1e-12:
                if penalty > 1e6 * PENALTY:
                    return None
                penalty, basis = 100.0 * penalty, outcome.basis
                continue
            x = np.zeros(self.program.n_columns)
            x[chosen] = outcome.x[1:]
            y = outcome.y * self.row_scale / self.objective_scale
            return StructureAnswer("optimal", x, y, iterations=iterations, is_vertex=outcome.is_vertex)
        return None

    def whole(self) -> StructureAnswer:
        """The answer of HiGHS to the scaled program with all its columns."""
        program = self.program
        parts = {"c": self.c, "A": self.A, "row_lower": self.lower, "row_upper": self.upper}
        scaled = replace(program, sense="max", offset=0.0, structure=None, _trusted=False, **parts)
        outcome = solve_program(scaled, "highs")
        if outcome.termination is Termination.INFEASIBLE and outcome.ray is not None:
            return StructureAnswer("infeasible", ray=outcome.ray * self.row_scale)
        if outcome.termination is not Termination.OPTIMAL or outcome.y is None:
            return StructureAnswer("iteration_limit", outcome.x)
        y = outcome.y * self.row_scale / self.objective_scale
        return StructureAnswer("optimal", outcome.x, y, iterations=outcome.iterations, is_vertex=outcome.is_vertex)

    def _first_score(self) -> FloatArray:
        """What a column earns less the most it takes from a row: columns that earn much and strain no row come first."""
        strain = np.zeros(self.program.n_columns)
        filled = np.flatnonzero(np.diff(self.A.indptr))
        loose = np.where(self.loose[self.A.indices], self.A.data, 0.0)
        strain[filled] = np.maximum.reduceat(loose, self.A.indptr[filled])
        return np.asarray(self.c - np.maximum(strain, 0.0))

    def _best(self, score: FloatArray, count: int, among: BoolArray) -> IntArray:
        """The ``count`` best of the columns ``among``, in their own order."""
        where = np.flatnonzero(among)
        if len(where) > count:
            where = np.sort(where[np.argpartition(-score[where], count - 1)[:count]])
        return where

    def _master(self, chosen: IntArray, penalty: float, basis: Basis | None) -> Outcome:
        """The program over the elastic column, which lowers every ``<=`` row, and the chosen columns."""
        elastic = sparse.csc_array(-self.loose.astype(np.float64)[:, None])
        program = self.program
        master = Program(
            name=f"{program.name}, master",
            sense="max",
            c=np.concatenate(([-penalty], self.c[chosen])),
            A=sparse.hstack((elastic, self.A[:, chosen]), format="csc"),
            row_lower=self.lower,
            row_upper=self.upper,
            col_lower=np.zeros(1 + len(chosen)),
            col_upper=np.concatenate(([np.inf], program.col_upper[chosen])),
        )
        start = None if basis is None else Start(basis=basis)
        return solve_program(master, "highs", start=start, options={"presolve": "off"})


def _extended(basis: Basis | None, count: int) -> Basis | None:
    """The basis with ``count`` more columns at their lower bounds."""
    if basis is None:
        return None
    return Basis(frozen(np.concatenate((basis.columns, np.zeros(count, dtype=np.int8)))), basis.rows)
