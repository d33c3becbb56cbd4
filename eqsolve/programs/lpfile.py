"""CPLEX LP files, out. ``lpreader`` reads them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from eqsolve.errors import InvalidProgram
from eqsolve.programs.names import CONSTANT, OBJECTIVE, RANGE
from eqsolve.programs.program import Program

PER_LINE = 5
"""Terms on a line, which keeps lines under the 560 characters of older readers."""


def lp_lines(program: Program, columns: list[str], rows: list[str]) -> Iterator[str]:
    """The lines of an LP file that CPLEX, Gurobi, HiGHS, Xpress and CBC read alike.

    They disagree on ``1 <= x + y <= 3`` and on constants in the objective. So a row with two bounds is written as an equality
    with a column ``Rg<row>`` that has them, and the constant as a column ``Constant`` fixed at 1, both as Gurobi does; the
    reader here takes them back. A row without bounds is ``>= -1e30``.

    Raises
    ------
    InvalidProgram : rows but no column: the format cannot write a row without one.
    """
    if not columns and rows:
        raise InvalidProgram(f"program {program.name!r} has rows but no columns; an LP file cannot hold it", "Write .mps or .npz.")
    yield "Maximize" if program.sense == "max" else "Minimize"
    yield from _objective(program, columns)
    yield "Subject To"
    yield from _rows(program, columns, rows)
    yield "Bounds"
    yield from _bounds(program, columns, rows)
    if program.integrality is not None:
        yield "Generals"
        yield from (f" {columns[j]}" for j in np.flatnonzero(program.integrality).tolist())
    yield "End"


def ranged(program: Program) -> list[int]:
    """Rows with two different finite bounds."""
    both = np.isfinite(program.row_lower) & np.isfinite(program.row_upper) & (program.row_lower != program.row_upper)
    return [int(i) for i in np.flatnonzero(both)]


def _term(value: float, name: str) -> str:
    return f"{'-' if value < 0 else '+'} {abs(value)!r} {name}"


def _wrapped(head: str, terms: list[str], tail: str = "") -> str:
    lines = [" ".join(terms[k : k + PER_LINE]) for k in range(0, len(terms), PER_LINE)] or [""]
    return head + "\n    ".join(lines) + tail


def _objective(program: Program, columns: list[str]) -> Iterator[str]:
    used = (program.c != 0) | ~_appears(program)
    terms = [_term(value, columns[j]) for j, value in zip(np.flatnonzero(used).tolist(), program.c[used].tolist(), strict=True)]
    if program.offset:
        terms.append(_term(program.offset, CONSTANT))
    yield _wrapped(f" {OBJECTIVE}: ", terms)
    if program.Q is not None:
        Q = sparse.tril(program.Q).tocoo()
        entries = zip(Q.row.tolist(), Q.col.tolist(), Q.data.tolist(), strict=True)
        squares = [
            _term(value, f"{columns[i]} ^ 2") if i == j else _term(2 * value, f"{columns[j]} * {columns[i]}")
            for i, j, value in entries
        ]
        yield _wrapped("    + [ ", squares, " ] / 2")


def _appears(program: Program) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Columns with an entry other than 0 in A or Q; the others are named in the objective, with 0."""
    used = np.zeros(program.n_columns, dtype=bool)
    for matrix in (program.A, program.Q):
        if matrix is not None:
            entries = matrix.tocoo()
            used[entries.col[entries.data != 0]] = True
    return used


def _rows(program: Program, columns: list[str], rows: list[str]) -> Iterator[str]:
    A = program.A.tocsr()
    starts, at, values = A.indptr.tolist(), A.indices.tolist(), A.data.tolist()
    lower, upper = program.row_lower.tolist(), program.row_upper.tolist()
    two = set(ranged(program))
    for i, name in enumerate(rows):
        terms = [_term(values[k], columns[at[k]]) for k in range(starts[i], starts[i + 1]) if values[k]] or [f"0 {columns[0]}"]
        low, high = lower[i], upper[i]
        if i in two:
            terms.append(f"- 1.0 {RANGE}{name}")
            tail = " = 0.0"
        elif low == high:
            tail = f" = {low!r}"
        elif np.isfinite(high):
            tail = f" <= {high!r}"
        else:
            tail = f" >= {low!r}" if np.isfinite(low) else " >= -1e30"
        yield _wrapped(f" {name}: ", terms, tail)


def _bounds(program: Program, columns: list[str], rows: list[str]) -> Iterator[str]:
    if program.offset:
        yield f" {CONSTANT} = 1.0"
    for i in ranged(program):
        yield f" {float(program.row_lower[i])!r} <= {RANGE}{rows[i]} <= {float(program.row_upper[i])!r}"
    lower, upper = program.col_lower, program.col_upper
    for j in np.flatnonzero((lower != 0) | np.isfinite(upper)).tolist():
        name, low, high = columns[j], float(lower[j]), float(upper[j])
        if low == high:
            yield f" {name} = {low!r}"
        elif np.isinf(low) and np.isinf(high):
            yield f" {name} free"
        elif np.isinf(high):
            yield f" {name} >= {low!r}"
        else:
            yield f" {'-inf' if np.isinf(low) else repr(low)} <= {name} <= {high!r}"
