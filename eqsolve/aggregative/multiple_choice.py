r"""Linear programs with one choice per group and few coupling rows, solved exactly.

.. math:: \max\ \sum_c w_c q_c \quad \text{s.t.} \quad \sum_{c \in t} q_c = N_t\ \ \forall t, \qquad
          l_k \le \sum_c g_c^k q_c \le u_k\ \ (k = 1..d), \qquad 0 \le q_c \le N_t \text{ or } q_c = 0

With d = 1 a greedy over the upper hulls of (g, w) is exact (the multiple-choice knapsack relaxation of Sinha and Zoltners 1979,
Zemel 1980): O(N m + N log N). With d >= 2, Dantzig-Wolfe decomposition: the master has d + 1 rows and pricing is one argmax per
group; the optimal mix of at most d + 1 pure profiles is purified to a vertex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.purify import purified
from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.programs import Program, StructureAnswer


@dataclass(frozen=True, slots=True, eq=False)
class MultipleChoice:
    """The structure of a stage program: rows 0..T-1 choose within a group, the other rows couple the groups.

    Parameters
    ----------
    offsets : (T+1,) first column of each group, and N.
    """

    offsets: IntArray

    @property
    def name(self) -> str:
        """The form's name."""
        return "multiple choice"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None."""
        groups = len(self.offsets) - 1
        if program.kind != "LP":
            return f"it is of kind {program.kind}, not LP"
        if program.n_columns != self.offsets[-1] or program.n_rows < groups:
            return "its groups are not those of the structure"
        need = program.row_lower[:groups]
        if (need != program.row_upper[:groups]).any() or (need < 0).any():
            return "a choice row is not an equality"
        room = np.repeat(need, np.diff(self.offsets))
        if (program.col_lower != 0).any() or ((program.col_upper != 0) & (program.col_upper < room)).any():
            return "a column has bounds other than 0, or 0 to the count of its group"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """Solve exactly; the point is a vertex."""
        task = Task.of(self, program)
        if not task.allowed_in_every_group.all():
            ray = np.zeros(program.n_rows)
            ray[int(np.argmin(task.allowed_in_every_group))] = 1.0
            return StructureAnswer("infeasible", ray=ray)
        if task.n_coupling <= 1:
            from eqsolve.aggregative.greedy import solve_greedy

            return solve_greedy(task)
        from eqsolve.aggregative.dantzig_wolfe import solve_dantzig_wolfe

        return solve_dantzig_wolfe(task)

    def purify(self, program: Program, x: FloatArray) -> FloatArray:
        """A vertex no worse than a feasible point, in O(d^3) per fractional column."""
        task = Task.of(self, program)
        return purified(self.offsets, task.need, task.g, task.low, task.high, task.w, x)


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """The numbers of a program of the form: maximise w.q; ``sign`` is -1 where the program minimises."""

    offsets: IntArray
    owner: IntArray
    need: FloatArray
    allowed: BoolArray
    w: FloatArray
    g: FloatArray
    low: FloatArray
    high: FloatArray
    sign: float

    @staticmethod
    def of(structure: MultipleChoice, program: Program) -> Task:
        """Read the numbers off a program."""
        groups = len(structure.offsets) - 1
        coupling = program.n_rows - groups
        g = np.empty((program.n_columns, coupling))
        for k in range(coupling):
            unit = np.zeros(program.n_rows)
            unit[groups + k] = 1.0
            g[:, k] = program.A.T @ unit
        sign = 1.0 if program.sense == "max" else -1.0
        return Task(
            offsets=structure.offsets,
            owner=np.repeat(np.arange(groups), np.diff(structure.offsets)),
            need=program.row_lower[:groups],
            allowed=program.col_upper > 0,
            w=sign * program.c,
            g=g,
            low=program.row_lower[groups:],
            high=program.row_upper[groups:],
            sign=sign,
        )

    @property
    def n_coupling(self) -> int:
        """Number of coupling rows d."""
        return len(self.low)

    @property
    def allowed_in_every_group(self) -> BoolArray:
        """(T,) whether some column is allowed, or none is needed."""
        return np.asarray((self.best(self.allowed.astype(float))[1] > 0) | (self.need == 0))

    def best(self, score: FloatArray) -> tuple[IntArray, FloatArray]:
        """First column (T,) of the largest score within each group, and that score."""
        width = np.diff(self.offsets)
        if (width == width[0]).all():
            table = score.reshape(len(width), -1)
            choice = np.argmax(table, axis=1)
            return self.offsets[:-1] + choice, table[np.arange(len(width)), choice]
        top = np.maximum.reduceat(score, self.offsets[:-1])
        hit = np.where(score == top[self.owner], np.arange(len(score)), len(score))
        return np.minimum.reduceat(hit, self.offsets[:-1]), top

    def point(self, choice: IntArray) -> FloatArray:
        """The point (N,) at which every group puts all on one column."""
        q = np.zeros(len(self.w))
        q[choice] = self.need
        return q

    def duals(self, price: FloatArray) -> FloatArray:
        """Row duals in the user's sense for coupling prices (d,): y_t = max over allowed of w - g.price, y_k = price."""
        score = np.where(self.allowed, self.w - self.g @ price, -np.inf)
        top = self.best(score)[1]
        return self.sign * np.concatenate((np.where(np.isfinite(top), top, 0.0), price))

    def farkas(self, price: FloatArray) -> FloatArray:
        """The Farkas ray of coupling weights (d,): y_k = price, y_t = -max over allowed of g.price."""
        score = np.where(self.allowed, self.g @ price, -np.inf)
        top = self.best(score)[1]
        return np.concatenate((np.where(np.isfinite(top), -top, 0.0), price))
