"""What a backend answers: why it stopped, what point is in hand, what multipliers are in hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.programs import Program
from eqsolve.programs.cone import cone_violation


class Termination(Enum):
    """Why the solver stopped; the value is the sentence a user needs."""

    OPTIMAL = "solved to optimality"
    INFEASIBLE = "no point satisfies all rows and bounds"
    UNBOUNDED = "the objective improves without end"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded; the solver did not tell which"
    TIME_LIMIT = "the time limit was reached before optimality was proved"
    ITERATION_LIMIT = "the iteration limit was reached before optimality was proved"
    INTERRUPTED = "interrupted before optimality was proved"
    INACCURATE = "the solver stopped short of its own tolerances"
    FAILED = "the solver failed; see the notes"


class PointStatus(Enum):
    """What primal or dual point is in hand."""

    NONE = "none"
    FEASIBLE = "feasible"
    OPTIMAL = "optimal"
    RAY = "ray"


@dataclass(frozen=True, slots=True)
class Limits:
    """A budget. None is no limit. Reaching one is never reported as optimality.

    Parameters
    ----------
    seconds : wall-clock seconds, > 0.
    iterations : simplex, interior-point or branch-and-bound iterations, as the backend counts them; of a run (``eqsolve.solve``)
        the steps of its algorithm.
    """

    seconds: float | None = None
    iterations: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Basis:
    """A simplex basis: (N,) and (M,) status codes, 0 at lower, 1 basic, 2 at upper, 3 free at zero, 4 nonbasic."""

    columns: npt.NDArray[np.int8]
    rows: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """Where a solve may begin: a point (N,), a basis, or both. A backend that cannot use it says so in the notes."""

    x: FloatArray | None = None
    basis: Basis | None = None


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall-clock seconds of the phases: handing the program over, solving it."""

    build: float = 0.0
    solve: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The answer of a backend to a program, in the program's own sense and signs.

    Parameters
    ----------
    termination, primal, dual : three separate facts.
    x : (N,) the point, None unless it satisfies rows, bounds, cones and integrality within ``FEASIBILITY``.
    objective : of ``x``, computed from the program's data; None without ``x``.
    y : (M,) duals of the rows, y = d(optimal objective)/d(rhs) in the user's sense; rows of a cone: d/d(-shift).
    z : (N,) reduced costs c + Qx - A'y, computed from the program's data.
    ray : (M,) a Farkas ray when infeasible: sum of y_i (L_i where y_i > 0, U_i where y_i < 0) exceeds the largest
        value of (A'y)'x over the column bounds; cone rows contribute -y'shift with y in the dual cone.
    direction : (N,) a direction along which the program stays feasible and improves, when unbounded.
    bound : the solver's own bound on the optimal objective (branch and bound), not certified.
    basis : the final basis, where the backend has one.
    is_vertex : whether ``x`` is a basic solution.
    """

    termination: Termination
    primal: PointStatus = PointStatus.NONE
    dual: PointStatus = PointStatus.NONE
    x: FloatArray | None = None
    objective: float | None = None
    y: FloatArray | None = None
    z: FloatArray | None = None
    ray: FloatArray | None = None
    direction: FloatArray | None = None
    bound: float | None = None
    basis: Basis | None = None
    is_vertex: bool = False
    backend: str = ""
    version: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    seconds: Seconds = Seconds()
    iterations: int = 0
    warm_start: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_optimal(self) -> bool:
        """True when the solver claims optimality and the point holds; the certificate says whether to believe it."""
        return self.termination is Termination.OPTIMAL and self.x is not None


FEASIBILITY = 1e-6
"""Largest violation, relative to 1 + |bound|, at which a point is still handed out as one."""


def violation(program: Program, x: FloatArray) -> tuple[float, str]:
    """Largest violation of a point relative to 1 + |bound|, and the name of the row or column where it is."""
    if not np.isfinite(x).all():
        return np.inf, program.column_name(int(np.argmin(np.isfinite(x))))
    worst, where = 0.0, ""
    activity = np.asarray(program.A @ x)
    for value, lower, upper, name in (
        (x, program.col_lower, program.col_upper, program.column_name),
        (activity, program.row_lower, program.row_upper, program.row_name),
    ):
        if not len(value):
            continue
        below = (lower - value) / (1.0 + np.where(np.isfinite(lower), np.abs(lower), 0.0))
        above = (value - upper) / (1.0 + np.where(np.isfinite(upper), np.abs(upper), 0.0))
        out = np.maximum(below, above)
        k = int(np.argmax(out))
        if out[k] > worst:
            worst, where = float(out[k]), name(k)
    for cone in program.cones:
        z = activity[cone.rows] + cone.shift
        out_of_cone = cone_violation(cone.kind, z) / (1.0 + float(np.abs(z).max()))
        if out_of_cone > worst:
            worst, where = out_of_cone, program.row_name(int(cone.rows[0]))
    if program.integrality is not None:
        fraction = np.where(program.integrality, np.abs(x - np.round(x)), 0.0)
        k = int(np.argmax(fraction))
        if fraction[k] > worst:
            worst, where = float(fraction[k]), program.column_name(k)
    return worst, where


def make_outcome(
    program: Program,
    termination: Termination,
    *,
    x: FloatArray | None = None,
    y: FloatArray | None = None,
    notes: tuple[str, ...] = (),
    **facts: object,
) -> Outcome:
    """An Outcome whose point is checked against the program and whose objective and reduced costs come from its data.

    A point beyond ``FEASIBILITY`` is withheld and the notes say by how much and where; an "optimal" without a valid point
    becomes ``INACCURATE``.
    """
    objective = z = None
    if x is not None:
        x = np.ascontiguousarray(x, dtype=np.float64)
        worst, where = violation(program, x)
        if worst > FEASIBILITY:
            notes = (*notes, f"the point was withheld: it violates {where} by {worst:.3g}")
            x = None
            if termination is Termination.OPTIMAL:
                termination = Termination.INACCURATE
    if y is not None:
        y = np.ascontiguousarray(y, dtype=np.float64)
        y = y if np.isfinite(y).all() else None
    if x is not None:
        objective = program.objective(x)
    if y is not None and (x is not None or program.Q is None):
        z = np.asarray((program.c if x is None else program.gradient(x)) - program.A.T @ y, dtype=np.float64)
    for array in (x, y, z):
        if array is not None:
            array.setflags(write=False)
    good = PointStatus.OPTIMAL if termination is Termination.OPTIMAL else PointStatus.FEASIBLE
    ray, direction = facts.get("ray"), facts.get("direction")
    return Outcome(
        termination=termination,
        primal=good if x is not None else PointStatus.RAY if direction is not None else PointStatus.NONE,
        dual=good if y is not None else PointStatus.RAY if ray is not None else PointStatus.NONE,
        x=x,
        objective=objective,
        y=y,
        z=z,
        notes=notes,
        **facts,  # type: ignore[arg-type]  # each caller passes fields of Outcome by name
    )
