"""A program as a minimisation: the one form in which certificates are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, float_array
from eqsolve.programs import Program


@dataclass(frozen=True, slots=True, eq=False)
class MinForm:
    """The data of ``program`` with the objective negated when it maximises; duals of it are ``sign`` times the user's.

    ``Q`` is symmetric; ``in_cone`` (M,) marks the rows of cones.
    """

    program: Program
    sign: float
    c: FloatArray
    Q: sparse.csc_array | None
    A: sparse.csc_array
    in_cone: BoolArray
    offset: float

    def objective(self, x: FloatArray) -> float:
        """The minimised objective at a point (N,)."""
        return self.sign * self.program.objective(x)


def min_form(program: Program, *, feasibility: bool = False) -> MinForm:
    """The program as a minimisation; of the constant 0 when only ``feasibility`` is asked."""
    sign = -1.0 if program.sense == "max" else 1.0
    in_cone = np.zeros(program.n_rows, dtype=bool)
    for cone in program.cones:
        in_cone[cone.rows] = True
    if feasibility:
        return MinForm(program, 1.0, np.zeros(program.n_columns), None, program.A, in_cone, 0.0)
    Q = None if program.Q is None else sparse.csc_array((program.Q + program.Q.T) * (0.5 * sign))
    return MinForm(program, sign, program.c if sign > 0 else -program.c, Q, program.A, in_cone, sign * program.offset)


def dual_vector(program: Program, name: str, value: object) -> FloatArray:
    """A vector (M,) of multipliers, checked."""
    return float_array(name, value, (program.n_rows,))
