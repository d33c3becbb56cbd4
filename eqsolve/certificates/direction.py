"""Proof that an objective improves without end: a recession direction that improves, and a point to start from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse.linalg import lsqr

from eqsolve.arrays import FloatArray, float_array
from eqsolve.certificates.exact import dot, exact_activity, exact_cone_violation, excess, scaled, transposed_product
from eqsolve.certificates.residuals import Residual, primal_residual
from eqsolve.errors import InvalidData
from eqsolve.programs import Program
from eqsolve.programs.cone import cone_violation

ROUNDS = 40


@dataclass(frozen=True, slots=True, eq=False)
class DirectionCertificate:
    """A checked direction d, scaled so that its largest entry is in [1, 2).

    Parameters
    ----------
    improvement : by how much the objective improves per unit of d, relative to 1 + max|c|.
    violation : how far d is from a recession direction of rows, bounds and cones (relative to 1 + the largest coefficient of
        the row), and from Qd = 0.
    proven : whether exact arithmetic found no violation at all and an improvement; None if it was not asked.
    """

    improvement: float
    violation: Residual
    proven: bool | None = None

    def holds(self, tolerance: float) -> bool:
        """Whether d improves by more than ``tolerance`` and violates nothing by more."""
        return self.improvement > tolerance and self.violation.relative <= tolerance

    def __str__(self) -> str:
        checked = {True: ", proven exactly", False: ", not exact", None: ""}[self.proven]
        return f"improves {self.improvement:.3g} per unit; violation {self.violation}{checked}"


def check_direction(program: Program, direction: npt.ArrayLike, *, exact: bool = False) -> DirectionCertificate:
    """Check an improving recession direction (N,); it proves the program unbounded if the program has a point at all.

    Raises
    ------
    InvalidData : a direction of another length, zero, or not finite.
    """
    d = float_array("direction", direction, (program.n_columns,))
    largest = float(np.abs(d).max(initial=0.0))
    if largest == 0.0:
        raise InvalidData("the direction is zero", "A direction of unboundedness moves at least one column.")
    d = np.ldexp(d, 1 - int(np.frexp(largest)[1]))
    sign = 1.0 if program.sense == "max" else -1.0
    gain = sign * float(program.c @ d) / (1.0 + float(np.abs(program.c).max()))
    return DirectionCertificate(gain, _violation(program, d), _exactly(program, d) if exact else None)


def _violation(program: Program, d: FloatArray) -> Residual:
    slope = np.asarray(program.A @ d)
    largest = np.zeros(program.n_rows)
    np.maximum.at(largest, program.A.indices, np.abs(program.A.data))
    checks = [
        (_outside(slope, program.row_lower, program.row_upper), 1.0 + largest, program.row_name),
        (_outside(d, program.col_lower, program.col_upper), np.ones(len(d)), program.column_name),
    ]
    if program.Q is not None:
        checks.append((np.abs(program.Q @ d), np.full(len(d), 1.0 + float(abs(program.Q).max())), program.column_name))
    worst = Residual()
    for value, scale, name in checks:
        if len(value) and (value / scale).max() > worst.relative:
            k = int(np.argmax(value / scale))
            worst = Residual(max(worst.absolute, float(value.max())), float(value[k] / scale[k]), name(k))
    for cone in program.cones:
        out = cone_violation(cone.kind, slope[cone.rows])  # a closed convex cone is its own recession cone
        relative = out / (1.0 + float(largest[cone.rows].max()))
        if relative > worst.relative:
            worst = Residual(max(worst.absolute, out), relative, program.row_name(int(cone.rows[0])))
    return worst


def _outside(value: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    below, above = np.where(np.isfinite(lower), -value, 0.0), np.where(np.isfinite(upper), value, 0.0)
    return np.maximum(np.maximum(below, above), 0.0)


def _exactly(program: Program, d: FloatArray) -> bool:
    """Whether d is an improving recession direction without any error; False also where that cannot be decided."""
    point, slope = scaled(d), exact_activity(program.A, d)
    gain = dot(scaled(program.c), point) * (1 if program.sense == "max" else -1)
    rows = [np.where(np.isfinite(bound), 0.0, bound) for bound in (program.row_lower, program.row_upper)]
    columns = [np.where(np.isfinite(bound), 0.0, bound) for bound in (program.col_lower, program.col_upper)]
    stays = not excess(slope, rows[0], rows[1]) and not excess(point, columns[0], columns[1])
    flat = program.Q is None or not any(transposed_product(program.Q, point)[0])
    cones = [replace(cone, shift=np.zeros(len(cone.rows))) for cone in program.cones]
    inside = all(exact_cone_violation(cone, slope) == 0.0 for cone in cones)
    return bool(gain > 0 and stays and flat and inside)


def start_point(program: Program, x: FloatArray | None, direction: FloatArray, tolerance: float = 1e-9) -> FloatArray | None:
    """A feasible point: ``x``, or one found by projecting in turn onto rows and bounds and moving along the direction.

    None does not mean that there is none.
    """
    if x is not None and primal_residual(program, x).relative <= tolerance:
        return x
    point = np.clip(np.zeros(program.n_columns), program.col_lower, program.col_upper)
    for _ in range(ROUNDS):
        for length in (0.0, 1.0, 1e3, 1e6):
            candidate = point + length * direction
            if primal_residual(program, candidate).relative <= tolerance:
                return candidate
        activity = np.asarray(program.A @ point)
        wanted = np.clip(activity, program.row_lower, program.row_upper) - activity
        if not wanted.any():
            return None
        step = lsqr(program.A, wanted, atol=1e-14, btol=1e-14, iter_lim=200)[0]
        point = np.clip(point + step, program.col_lower, program.col_upper)
    return None
