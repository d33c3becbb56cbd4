"""The explicit mathematical program: arrays, named blocks and nothing hidden."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from eqsolve.arrays import BoolArray, FloatArray, check_shape, float_array, frozen
from eqsolve.errors import InvalidProgram
from eqsolve.programs.block import Block, Index, find_block, named_block
from eqsolve.programs.cone import Cone
from eqsolve.programs.convexity import negative_curvature
from eqsolve.programs.structure import Structure

if TYPE_CHECKING:
    import cvxpy

Sense = Literal["min", "max"]
Kind = Literal["LP", "QP", "SOCP", "EXP", "MILP", "MIQP", "MISOCP", "MIEXP"]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for parts of a program whose shape stays; None keeps the old ones."""

    c: FloatArray | None = None
    row_lower: FloatArray | None = None
    row_upper: FloatArray | None = None
    col_lower: FloatArray | None = None
    col_upper: FloatArray | None = None
    offset: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    r"""A convex (or mixed-integer convex) program over named blocks.

    .. math:: \min / \max\ \ c'x + \tfrac12 x'Qx + \text{offset} \quad \text{s.t.} \quad
              L \le Ax \le U,\quad l \le x \le u,\quad A_K x + h_K \in K

    Build one with ``ProgramBuilder``, or from arrays. All arrays are read-only; ``with_values`` gives a changed copy.

    Parameters
    ----------
    name : of the program, one line.
    sense : ``"min"`` or ``"max"``.
    c : (N,) objective coefficients.
    A : (M, N) sparse, held as CSC.
    row_lower, row_upper : (M,) bounds of the rows, infinite where there is none; rows of a cone have none.
    col_lower, col_upper : (N,) bounds of the columns.
    Q : (N, N) sparse, both triangles; positive semidefinite for ``"min"``, negative semidefinite for ``"max"``.
    offset : constant of the objective.
    integrality : (N,) True where the column is integer.
    cones : groups of rows that lie in a cone.
    columns, rows : blocks, consecutive and complete; one block ``x`` / ``row`` when left out.
    structure : the special form, if the program has one.
    note : where in a run the program stands ("step 4, cell 217 of 1681"); printed, never read.

    Raises
    ------
    InvalidProgram : shapes that do not match, NaN, crossed bounds, a Q that is not symmetric or not convex, cone rows with
        bounds, blocks that overlap or leave a gap. The message names the column or row.
    """

    name: str
    sense: Sense
    c: FloatArray
    A: sparse.csc_array
    row_lower: FloatArray
    row_upper: FloatArray
    col_lower: FloatArray
    col_upper: FloatArray
    Q: sparse.csc_array | None = None
    offset: float = 0.0
    integrality: BoolArray | None = None
    cones: tuple[Cone, ...] = ()
    columns: tuple[Block, ...] = ()
    rows: tuple[Block, ...] = ()
    structure: Structure | None = None
    note: str = ""
    _trusted: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if not self._trusted:
            _settle(self)

    @property
    def n_columns(self) -> int:
        """N, the number of columns."""
        return int(self.A.shape[1])

    @property
    def n_rows(self) -> int:
        """M, the number of rows, those of cones included."""
        return int(self.A.shape[0])

    @property
    def kind(self) -> Kind:
        """LP, QP, SOCP or EXP, preceded by MI (MILP, MIQP ...) when a column is integer."""
        forms = {cone.kind for cone in self.cones}
        if self.integrality is None:
            return "EXP" if "exp" in forms else "SOCP" if forms else "QP" if self.Q is not None else "LP"
        return "MIEXP" if "exp" in forms else "MISOCP" if forms else "MIQP" if self.Q is not None else "MILP"

    def objective(self, x: FloatArray) -> float:
        """C'x + x'Qx/2 + offset at a point (N,)."""
        quadratic = float(x @ (self.Q @ x)) / 2 if self.Q is not None else 0.0
        return float(self.c @ x) + quadratic + self.offset

    def gradient(self, x: FloatArray) -> FloatArray:
        """C + Qx at a point (N,)."""
        return self.c if self.Q is None else np.asarray(self.c + self.Q @ x, dtype=np.float64)

    def column_block(self, name: str) -> Block:
        """The column block of that name."""
        return named_block(self.columns, name, "column")

    def row_block(self, name: str) -> Block:
        """The row block of that name."""
        return named_block(self.rows, name, "row")

    def column_name(self, j: int) -> str:
        """Name of column j, such as ``p[418, 2]``."""
        return find_block(self.columns, j).entry(j)

    def row_name(self, i: int) -> str:
        """Name of row i, such as ``aggregator[0]``."""
        return find_block(self.rows, i).entry(i)

    def with_values(self, update: Update) -> Program:
        """The program with new values of the same shape; only these are checked.

        Raises
        ------
        InvalidProgram : a wrong shape, NaN or crossed bounds.
        """
        values: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        lengths = {"c": self.n_columns, "row_lower": self.n_rows, "row_upper": self.n_rows}
        for one in ("c", "row_lower", "row_upper", "col_lower", "col_upper"):
            given = getattr(update, one)
            if given is not None:
                shape = (lengths.get(one, self.n_columns),)
                values[one] = float_array(one, given, shape, infinite=one != "c", error=InvalidProgram)
        values["offset"] = self.offset if update.offset is None else float(update.offset)
        values["note"] = self.note if update.note is None else update.note
        values["_trusted"] = True
        changed = Program(**values)
        if update.row_lower is not None or update.row_upper is not None:
            _check_bounds("row", changed.row_lower, changed.row_upper, changed.row_name)
        if update.col_lower is not None or update.col_upper is not None:
            _check_bounds("column", changed.col_lower, changed.col_upper, changed.column_name)
        return changed

    def __str__(self) -> str:
        from eqsolve.programs.view import program_text

        return program_text(self)

    def __repr__(self) -> str:
        return f"<Program {self.name!r}: {self.kind}, {self.n_columns} columns, {self.n_rows} rows, {self.A.nnz} nonzeros>"

    def row(self, block: str, *index: Index) -> str:
        """One row in algebra: ``program.row("aggregator", 0)``."""
        from eqsolve.programs.view import row_text

        return row_text(self, self.row_block(block).position(*index))

    def column(self, block: str, *index: Index) -> str:
        """One column: its bounds, its objective coefficient and its entries by row name."""
        from eqsolve.programs.view import column_text

        return column_text(self, self.column_block(block).position(*index))

    def summary(self) -> dict[str, object]:
        """Counts, ranges of the coefficients and kinds, as plain numbers for a table or JSON."""
        from eqsolve.programs.view import program_summary

        return program_summary(self)

    def write(self, path: str | Path) -> Path:
        """Write ``.lp``, ``.mps`` (with a name map ``<file>.names.json``), ``.npz`` or ``.json`` (bundles, any kind of program)."""
        from eqsolve.programs.files import write_program

        return write_program(self, Path(path))

    @staticmethod
    def read(path: str | Path) -> Program:
        """Read a program from ``.lp``, ``.mps``, ``.npz`` or ``.json``; with the name map beside it, exactly the one written."""
        from eqsolve.programs.files import read_program

        return read_program(Path(path))

    def to_cvxpy(self) -> cvxpy.Problem:
        """The program as a cvxpy Problem with one variable per column block and one constraint per row block and cone."""
        from eqsolve.programs.convert import to_cvxpy

        return to_cvxpy(self)


def _settle(program: Program) -> None:
    """Check every part of a new program and freeze its arrays."""

    def put(name: str, value: object) -> None:
        object.__setattr__(program, name, value)

    if program.sense not in ("min", "max"):
        raise InvalidProgram(f"program {program.name!r}: sense is {program.sense!r}, not 'min' or 'max'")
    put("A", _csc("A", program.A))
    m, n = program.A.shape
    put("c", float_array("c", program.c, (n,), error=InvalidProgram))
    for name, length in (("row_lower", m), ("row_upper", m), ("col_lower", n), ("col_upper", n)):
        put(name, float_array(name, getattr(program, name), (length,), infinite=True, error=InvalidProgram))
    put("offset", float(float_array("offset", program.offset, (), error=InvalidProgram)))
    put("columns", _complete("column", program.columns or (Block("x", ("column",), 0, (n,)),), n))
    put("rows", _complete("row", program.rows or (Block("row", ("row",), 0, (m,)),), m))
    _check_bounds("column", program.col_lower, program.col_upper, program.column_name)
    _check_bounds("row", program.row_lower, program.row_upper, program.row_name)
    if program.integrality is not None:
        integrality = np.asarray(program.integrality, dtype=bool)
        check_shape("integrality", integrality, (n,), InvalidProgram)
        put("integrality", frozen(integrality, program.integrality) if integrality.any() else None)
    if program.Q is not None:
        Q = _csc("Q", program.Q)
        check_shape("Q", Q, (n, n), InvalidProgram)
        put("Q", Q if Q.nnz else None)
    if program.Q is not None:
        _check_quadratic(program)
        put("Q", _symmetric(program.Q))
    put("cones", tuple(_checked_cone(program, k, cone) for k, cone in enumerate(program.cones)))


def _csc(name: str, matrix: Any) -> sparse.csc_array:
    """A canonical CSC copy that shares no writeable memory with the caller."""
    try:
        result = sparse.csc_array(matrix, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise InvalidProgram(f"{name} is not a matrix of numbers: {cause}") from cause
    if result is matrix or (sparse.issparse(matrix) and np.may_share_memory(result.data, matrix.data)):
        result = result.copy() if result.data.flags.writeable else result
    if not result.has_canonical_format:
        result.sum_duplicates()
    if not np.isfinite(result.data).all():
        k = int(np.argmin(np.isfinite(result.data)))
        column = int(np.searchsorted(result.indptr, k, side="right")) - 1
        raise InvalidProgram(f"{name}[{int(result.indices[k])}, {column}] is {result.data[k]}")
    for part in (result.data, result.indices, result.indptr):
        part.setflags(write=False)
    return result


def _complete(kind: str, blocks: tuple[Block, ...], length: int) -> tuple[Block, ...]:
    at = 0
    for block in blocks:
        if block.start != at:
            raise InvalidProgram(f"{kind} block {block.header} starts at {block.start}; the one before it ends at {at}")
        at = block.stop
    if at != length:
        raise InvalidProgram(f"the {kind} blocks name {at} {kind}s; the program has {length}")
    names = [block.name for block in blocks]
    for name in names:
        if names.count(name) > 1:
            raise InvalidProgram(f"two {kind} blocks are named {name!r}")
    return tuple(blocks)


def _check_bounds(kind: str, lower: FloatArray, upper: FloatArray, name: Any) -> None:
    wrong = (lower > upper) | (lower == np.inf) | (upper == -np.inf)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise InvalidProgram(
            f"bounds of {kind} {name(k)} are crossed: lower {lower[k]:g}, upper {upper[k]:g}",
            f"{int(wrong.sum())} of {len(lower)} {kind}s have crossed bounds; no point can satisfy them.",
        )


def _check_quadratic(program: Program) -> None:
    Q = program.Q
    assert Q is not None
    skew = abs(Q - Q.T).tocoo()
    if skew.nnz and skew.max() > 1e-12 * max(1.0, abs(Q).max()):
        worst = int(np.argmax(skew.data))
        raise InvalidProgram(
            f"Q is not symmetric at ({int(skew.row[worst])}, {int(skew.col[worst])})",
            "Give both triangles: the objective is c'x + x'Qx/2; use (Q + Q.T)/2.",
        )
    found = negative_curvature(Q if program.sense == "min" else -Q)
    if found is not None:
        column, curvature = found
        word, side = ("convex", "positive") if program.sense == "min" else ("concave", "negative")
        raise InvalidProgram(
            f"Q is not {word}: curvature {curvature:.3g} along a direction led by {program.column_name(column)}",
            f"A program to {program.sense}imise needs a {side} semidefinite Q.",
        )


def _symmetric(Q: sparse.csc_array) -> sparse.csc_array:
    """Q itself where it is symmetric to the bit, its symmetric part where rounding made a difference."""
    return Q if (Q != Q.T).nnz == 0 else _csc("Q", (Q + Q.T) / 2)


def _checked_cone(program: Program, k: int, cone: Cone) -> Cone:
    rows = np.asarray(cone.rows, dtype=np.int64)
    least = {"soc": 1, "rsoc": 2, "exp": 3}.get(cone.kind)
    if least is None:
        raise InvalidProgram(f"cone {k} has kind {cone.kind!r}, not 'soc', 'rsoc' or 'exp'")
    if rows.ndim != 1 or len(rows) < least or (cone.kind == "exp" and len(rows) != 3):
        raise InvalidProgram(
            f"cone {k} ({cone.kind}) has {rows.size} rows; it needs {least}{'' if cone.kind == 'exp' else ' or more'}"
        )
    if rows.min() < 0 or rows.max() >= program.n_rows:
        raise InvalidProgram(f"cone {k} names row {int(rows.max())}; the program has {program.n_rows}")
    bound = np.isfinite(program.row_lower[rows]) | np.isfinite(program.row_upper[rows])
    if bound.any():
        raise InvalidProgram(
            f"row {program.row_name(int(rows[int(np.argmax(bound))]))} is in cone {k} and has bounds", "Rows of a cone have none."
        )
    shift = float_array(f"cones[{k}].shift", cone.shift, (len(rows),), error=InvalidProgram)
    return Cone(cone.kind, frozen(rows, cone.rows), shift)
