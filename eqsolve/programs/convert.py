"""Programs as cvxpy problems, and the duals back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.programs.block import Block
from eqsolve.programs.cone import ConeKind
from eqsolve.programs.program import Program

if TYPE_CHECKING:
    import cvxpy

ConstraintKind = Literal["eq", "le", "ge", "soc", "rsoc", "exp"]


@dataclass(frozen=True, slots=True, eq=False)
class RowConstraint:
    """A cvxpy constraint and the rows that it stands for.

    ``rows`` is (k,) for ``eq``, ``le``, ``ge``, in the order of the constraint's entries, and (size, count) for cones of
    ``size`` rows: one cone per column.
    """

    constraint: cvxpy.Constraint
    kind: ConstraintKind
    rows: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CvxpyParts:
    """A cvxpy problem, its flat variables by block of columns (empty ones have none), and what its constraints stand for."""

    problem: cvxpy.Problem
    variables: tuple[tuple[Block, cvxpy.Variable], ...]
    constraints: tuple[RowConstraint, ...]

    def point(self, program: Program) -> FloatArray | None:
        """(N,) the values of the variables in the program's order, None where the solver left one out."""
        x = np.zeros(program.n_columns)
        for block, variable in self.variables:
            if variable.value is None:
                return None
            x[block.slice] = variable.value
        return x


def to_cvxpy(program: Program) -> cvxpy.Problem:
    """The program as a cvxpy Problem.

    One Variable per column block, flat, row-major, named like the block, with its bounds and integrality as attributes; one
    constraint per row block (two where rows have two different bounds), labelled by the block; cones of one kind and size
    together.

    Examples
    --------
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("cheapest")
    >>> x = b.columns("x", (2,), axes=("road",))
    >>> b.add(b.rows("total", lower=1.0, upper=1.0), x, [0, 0], [0, 1], 1.0)
    >>> b.objective(x, [2.0, 3.0])
    >>> round(float(to_cvxpy(b.build()).solve(solver="CLARABEL")), 6)
    2.0
    """
    return to_cvxpy_parts(program).problem


def to_cvxpy_parts(program: Program, *, by_block: bool = True) -> CvxpyParts:
    """The problem with what is needed to read points and duals back; see ``duals_from_parts``.

    Without ``by_block`` there is one variable for all columns, and one constraint for all rows of a sort: no names, but the
    cost does not grow with the number of blocks.
    """
    import cvxpy as cp

    columns, rows = program.columns, program.rows
    if not by_block:
        columns = (Block("x", ("index",), 0, (program.n_columns,)),)
        rows = (Block("row", ("index",), 0, (program.n_rows,)),)
    pieces = [(block, _variable(program, block)) for block in columns if block.size]
    A = program.A.tocsr()
    constraints = [*_row_constraints(program, A, rows, pieces), *_cone_constraints(program, A, pieces)]
    held = {variable.id for one in constraints for variable in one.constraint.variables()}
    # A variable that stands nowhere would be left without a value: it enters the objective with zeros.
    terms = [
        program.c[block.slice] @ variable for block, variable in pieces if program.c[block.slice].any() or variable.id not in held
    ]
    objective: Any = cp.Constant(program.offset) + (cp.sum(terms) if len(terms) > 1 else terms[0] if terms else 0.0)
    if program.Q is not None and program.Q.nnz:
        objective = objective + _quadratic(program, pieces)
    goal = cp.Minimize(objective) if program.sense == "min" else cp.Maximize(objective)
    return CvxpyParts(cp.Problem(goal, [one.constraint for one in constraints]), tuple(pieces), tuple(constraints))


def duals_from_parts(parts: CvxpyParts, program: Program) -> FloatArray | None:
    """(M,) duals of the rows after a solve, y = d(optimal objective)/d(rhs) in the user's sense; None where there are none.

    For rows of a cone, y = d(optimal objective)/d(-shift). Reduced costs are ``c + Qx - A'y``.
    """
    y = np.zeros(program.n_rows)
    for one in parts.constraints:
        dual = one.constraint.dual_value
        if dual is None or (isinstance(dual, list) and any(part is None for part in dual)):
            return None
        if one.kind in ("eq", "le"):
            y[one.rows] -= np.ravel(dual)
        elif one.kind == "ge":
            y[one.rows] += np.ravel(dual)
        else:
            y[one.rows] = _cone_duals(one.kind, dual, one.rows.shape)
    return y if program.sense == "min" else -y


def row_sides(program: Program) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Which rows are equalities, which others have an upper bound, and which have a lower one: three (M,) masks.

    Rows of a cone are in none of them.
    """
    equal = program.row_lower == program.row_upper
    return equal, ~equal & np.isfinite(program.row_upper), ~equal & np.isfinite(program.row_lower)


def _variable(program: Program, block: Block) -> cvxpy.Variable:
    import cvxpy as cp

    lower, upper = program.col_lower[block.slice], program.col_upper[block.slice]
    attributes: dict[str, Any] = {}
    if np.isfinite(lower).any() or np.isfinite(upper).any():
        attributes["bounds"] = [lower, upper]
    integer = np.flatnonzero(program.integrality[block.slice]) if program.integrality is not None else np.zeros(0, dtype=np.int64)
    if len(integer):
        attributes["integer"] = True if len(integer) == block.size else [(integer.tolist())]
    return cp.Variable(block.size, name=block.name, **attributes)


def _row_constraints(program: Program, A: Any, blocks: Sequence[Block], pieces: list[tuple[Block, Any]]) -> Iterator[RowConstraint]:
    low, high = program.row_lower, program.row_upper
    kinds: tuple[ConstraintKind, ...] = ("eq", "le", "ge")
    sides = row_sides(program)
    for block in blocks:
        inside = np.arange(block.start, block.stop)
        for kind, where in zip(kinds, sides, strict=True):
            rows = inside[where[block.slice]]
            if not len(rows):
                continue
            left = _affine(A, rows, pieces)
            constraint = left == low[rows] if kind == "eq" else left <= high[rows] if kind == "le" else left >= low[rows]
            yield RowConstraint(_labelled(constraint, block.header), kind, rows)


def _cone_constraints(program: Program, A: Any, pieces: list[tuple[Block, Any]]) -> Iterator[RowConstraint]:
    groups: dict[tuple[ConeKind, int], list[int]] = {}
    for k, cone in enumerate(program.cones):
        groups.setdefault((cone.kind, len(cone.rows)), []).append(k)
    for (kind, _), members in groups.items():
        rows = np.stack([program.cones[k].rows for k in members], axis=1)
        shift = np.stack([program.cones[k].shift for k in members], axis=1)
        z = [_affine(A, rows[k], pieces) + shift[k] for k in range(len(rows))]
        yield RowConstraint(_labelled(_cone(kind, z), f"{kind} cones of {len(rows)} rows"), kind, rows)


def _cone(kind: ConeKind, z: list[Any]) -> cvxpy.Constraint:
    import cvxpy as cp

    if kind == "exp":
        return cp.ExpCone(z[0], z[1], z[2])
    if kind == "rsoc":
        z = [z[0] + z[1], z[0] - z[1], *(np.sqrt(2) * one for one in z[2:])]
    if len(z) == 1:
        return z[0] >= 0
    return cp.SOC(z[0], cp.vstack(z[1:]), axis=0)


def _cone_duals(kind: ConstraintKind, dual: Any, shape: tuple[int, ...]) -> FloatArray:
    """(size, count) multipliers in the dual cone."""
    if shape[0] == 1:
        return np.reshape(dual, shape)
    y = np.vstack([np.reshape(part, (-1, shape[1])) for part in dual])
    if kind == "rsoc":
        y = np.stack([y[0] + y[1], y[0] - y[1], *(np.sqrt(2) * y[2:])])
    return y


def _affine(A: Any, rows: IntArray, pieces: list[tuple[Block, Any]]) -> Any:
    """``A[rows] x`` as an expression of the variables that take part."""
    import cvxpy as cp

    part = A[rows]
    if len(pieces) == 1:
        return part @ pieces[0][1]
    found = [(part[:, block.start : block.stop], variable) for block, variable in pieces]
    terms = [matrix @ variable for matrix, variable in found if matrix.nnz]
    return cp.sum(terms) if len(terms) > 1 else terms[0] if terms else cp.Constant(np.zeros(len(rows)))


def _quadratic(program: Program, pieces: list[tuple[Block, Any]]) -> Any:
    """``x'Qx/2`` over the blocks that take part in it."""
    import cvxpy as cp

    Q = program.Q
    assert Q is not None
    used = [(block, variable) for block, variable in pieces if Q.indptr[block.start] < Q.indptr[block.stop]]
    columns = np.concatenate([np.arange(block.start, block.stop) for block, _ in used])
    part = Q if len(columns) == program.n_columns else Q[columns][:, columns]
    # A bare variable stays in a quadratic objective; of an expression cvxpy would make further columns and rows.
    x = used[0][1] if len(used) == 1 else cp.hstack([variable for _, variable in used])
    if program.sense == "min":
        return 0.5 * cp.quad_form(x, cp.psd_wrap(part))
    return -0.5 * cp.quad_form(x, cp.psd_wrap(-part))


def _labelled(constraint: Any, label: str) -> Any:
    return constraint.set_label(label) if hasattr(constraint, "set_label") else constraint
