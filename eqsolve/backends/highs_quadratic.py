"""HiGHS's answer to a quadratic program, made exact.

HiGHS adds (rho / 2) |x|^2 to a convex objective, rho = ``qp_regularization_value`` (1e-7): without it its active-set method
fails or cycles on degenerate programs, with it the point is off by about rho |x|. The proximal point method
(Rockafellar 1976) keeps the one and loses the other: solve again with the regularisation centred on the last point,
which only shifts the costs by -rho x. One or two such steps reach rounding error.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import highspy
import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends.highs_interrupt import Interruptible
from eqsolve.backends.highs_model import check
from eqsolve.backends.highs_proofs import run_model
from eqsolve.backends.outcome import violation
from eqsolve.programs import Program

EXACT = 1e-11
"""Complementarity gap, relative to 1 + |objective|, at which a point needs no further step."""
ACCEPTED = 1e-6
"""The same, beyond which the point is reported as inaccurate."""
STEPS = 8
STRONGER = (1e-5, 1e-3)
"""Regularisations that end a cycle of the active-set method; the proximal steps take them out again."""
FAR = 1e5


class Refined(NamedTuple):
    """The best point found, its multipliers, and whether it stands as optimal."""

    x: FloatArray
    y: FloatArray
    holds: bool
    diverges: bool
    iterations: int
    notes: tuple[str, ...]


def cycle_length(program: Program) -> int:
    """Iterations after which the active-set method is taken to be cycling."""
    return 10_000 + 50 * (program.n_columns + program.n_rows)


def leave_cycle(model: Any) -> str:
    """Run again with more regularisation, until the run ends by itself; returns a note. The options stay as they end."""
    for rho in STRONGER:
        if model.setOptionValue("qp_regularization_value", rho) == highspy.HighsStatus.kError:
            break
        model.clearSolver()
        run_model(model)
        if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            return f"HiGHS failed or cycled; it was run again with regularisation {rho:g}"
    return "HiGHS fails or cycles on this program, with more regularisation too"


def refine(model: Any, program: Program, ctrl_c: Interruptible) -> Refined:
    """Proximal steps from the point that the model holds, until the gap is rounding error or no longer falls."""
    status, rho = model.getOptionValue("qp_regularization_value")
    rho = 1e-7 if status == highspy.HighsStatus.kError else float(rho)  # fixed in versions without the option
    every = np.arange(program.n_columns, dtype=np.int32)
    sign = 1.0 if program.sense == "min" else -1.0
    iterations = max(int(model.getInfo().qp_iteration_count), 0)
    x, y, gap = _read(model, program)
    center, taken, stalls = x, 0, 0
    for _ in range(STEPS if rho > 0 else 0):
        if gap <= EXACT or ctrl_c.asked:
            break
        shifted = program.c - sign * rho * center
        model.clearSolver()  # from its last working set HiGHS may stop at once, at the old point
        check(model.changeColsCost(len(every), every, shifted), "shifting costs", program)
        run_model(model)
        if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            break
        iterations += max(int(model.getInfo().qp_iteration_count), 0)
        taken += 1
        center, other, next_gap = _read(model, program)
        stalls = 0 if next_gap < 0.5 * gap else stalls + 1
        if next_gap < gap:
            x, y, gap = center, other, next_gap
        if stalls > 1:
            break
    if taken or rho > 0:
        check(model.changeColsCost(len(every), every, program.c), "restoring costs", program)
    notes = (f"{taken} proximal steps removed the regularisation of HiGHS",) if taken else ()
    holds = gap <= ACCEPTED
    if not holds:
        notes = (*notes, f"the complementarity gap is {gap:.3g}, relative to 1 + |objective|")
    return Refined(x, y, holds, bool(np.abs(x).max(initial=0.0) > FAR), iterations, notes)


def _read(model: Any, program: Program) -> tuple[FloatArray, FloatArray, float]:
    """Point, duals and their complementarity gap; infinite when the point violates the program."""
    solution = model.getSolution()
    x, y = np.array(solution.col_value), np.array(solution.row_dual)[: program.n_rows]
    if violation(program, x)[0] > ACCEPTED:
        return x, y, np.inf
    sign = 1.0 if program.sense == "min" else -1.0
    z = sign * (program.gradient(x) - program.A.T @ y)
    gap = _gap(z, x, program.col_lower, program.col_upper)
    gap += _gap(sign * y, np.asarray(program.A @ x), program.row_lower, program.row_upper)
    return x, y, gap / (1.0 + abs(program.objective(x)))


def _gap(z: FloatArray, value: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Sum of |multiplier| times the distance to the bound it belongs to; without a bound, times the size of the value."""
    bound = np.where(z > 0, lower, upper)
    distance = np.where(np.isfinite(bound), np.abs(value - np.where(np.isfinite(bound), bound, 0.0)), 1.0 + np.abs(value))
    return float(np.abs(z) @ distance)
