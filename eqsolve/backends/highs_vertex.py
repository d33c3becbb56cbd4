"""From a point of a linear program to a vertex, by the simplex method of HiGHS from the point's support or on its face.

HiGHS's own ``crossover`` from a given point is not used: with rows bounded on both sides it writes past its arrays (seen in
1.15).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import highspy
import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.backends.highs_model import check, native_basis, pass_changes, pass_program, read_basis
from eqsolve.backends.highs_options import new_model
from eqsolve.backends.highs_proofs import run_model
from eqsolve.backends.outcome import Basis, Outcome
from eqsolve.programs import Program

AT_BOUND = 1e-9
"""Distance, relative to 1 + |bound|, at which a column counts as at its bound."""
INNER = 1e-6
"""Distance from both bounds at which a column or row enters the first basis."""
NEAR = 1e-4
"""The same where the reduced cost, being larger than the distance, says that the column belongs there."""


class Vertex(NamedTuple):
    """A point, the duals of its basis, and the basis where there is one."""

    x: FloatArray
    y: FloatArray | None
    basis: Basis | None


def support_simplex(program: Program, outcome: Outcome) -> Vertex | None:
    """The simplex method from a basis among the columns and rows that are not at their lower (or nearer) bound.

    They are too many for a basis, and dependent; HiGHS takes an independent part of them and fills up with rows. From an optimal
    point few steps are left, because almost all of an optimal vertex's support lies in the point's.
    """
    x = outcome.x
    if x is None or not outcome.is_optimal or not program.n_columns:
        return None
    columns = _status(x, program.col_lower, program.col_upper)
    rows = _status(np.asarray(program.A @ x), program.row_lower, program.row_upper)
    columns[columns == 2] = 1  # at its upper bound, as a chosen action is: then basic, and degenerate, at a vertex
    model = new_model({"presolve": "off", "solver": "simplex"})
    pass_program(model, program)
    native = native_basis(Basis(columns, rows))
    native.alien = True
    if model.setBasis(native) == highspy.HighsStatus.kError:
        return None
    run_model(model)
    return _vertex(model)


def _status(value: FloatArray, lower: FloatArray, upper: FloatArray) -> npt.NDArray[np.int8]:
    low, high = value - lower, upper - value
    code = np.where(low <= high, np.int8(0), np.int8(2))
    code[np.minimum(low, high) > INNER] = 1
    return code


def face_simplex(program: Program, outcome: Outcome) -> Vertex | None:
    """A vertex of the face of a point; from an optimal point, then an optimal basis of the whole program.

    A vertex of a face is a vertex of the whole, and the point lies on the face, so that the vertex is no worse. From an
    optimal point the second run rarely needs a step; it makes the basis dual feasible and so its duals those of the optimum.
    """
    if outcome.x is None or not program.n_columns:
        return None
    for face in _faces(program, outcome):
        model = new_model({"presolve": "on", "solver": "simplex"})
        pass_program(model, face)
        run_model(model)
        vertex = _vertex(model)
        if vertex is None:
            continue
        if not outcome.is_optimal:
            return vertex._replace(y=outcome.y)
        basis = _basis_outside(vertex.basis, face, program)
        pass_changes(model, face, program)
        check(model.setBasis(native_basis(basis)), "taking a basis", program)
        run_model(model)
        return _vertex(model)
    return None


def _faces(program: Program, outcome: Outcome) -> Iterator[Program]:
    """Faces that hold the point, the smallest first: by complementarity, by distance, and the whole program."""
    x, z = outcome.x, outcome.z
    assert x is not None
    low, high = x - program.col_lower, program.col_upper - x
    at_low = low <= AT_BOUND * (1.0 + np.abs(program.col_lower))
    at_high = high <= AT_BOUND * (1.0 + np.abs(program.col_upper))
    if outcome.is_optimal and z is not None:
        push = z if program.sense == "min" else -z
        yield _face(program, at_low | (low < np.minimum(push, NEAR)), at_high | (high < np.minimum(-push, NEAR)))
    yield _face(program, at_low, at_high)
    yield program


def _face(program: Program, at_low: npt.NDArray[np.bool_], at_high: npt.NDArray[np.bool_]) -> Program:
    at_low = at_low & np.isfinite(program.col_lower)
    at_high = at_high & np.isfinite(program.col_upper) & ~at_low
    return replace(
        program,
        col_upper=np.where(at_low, program.col_lower, program.col_upper),
        col_lower=np.where(at_high, program.col_upper, program.col_lower),
        structure=None,
        _trusted=True,
    )


def _basis_outside(basis: Basis | None, face: Program, program: Program) -> Basis:
    """The basis of a face as one of the whole: a column held at a bound is nonbasic at that bound."""
    assert basis is not None
    held = (face.col_lower == face.col_upper) & (basis.columns != 1)
    bound = np.where(face.col_upper == program.col_lower, np.int8(0), np.int8(2))
    return Basis(np.where(held, bound, basis.columns), basis.rows)


def _vertex(model: Any) -> Vertex | None:
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal or model.getInfo().basis_validity != 1:
        return None
    solution = model.getSolution()
    return Vertex(np.array(solution.col_value), np.array(solution.row_dual), read_basis(model))
