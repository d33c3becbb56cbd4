"""Free MPS files, out. ``mpsreader`` reads them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.programs.names import OBJECTIVE
from eqsolve.programs.program import Program


def mps_lines(program: Program, columns: list[str], rows: list[str]) -> Iterator[str]:
    """The lines of a free MPS file.

    ``OBJSENSE`` is written for a maximisation: HiGHS, Gurobi, CPLEX and Xpress heed it, CBC wants ``-max`` on its command
    line. A row without bounds is a further N row, which most solvers drop. Quadratic terms stand in ``QUADOBJ``.
    """
    yield "NAME eqsolve FREE"
    if program.sense == "max":
        yield "OBJSENSE\n    MAX"
    kinds, rhs, ranges = row_forms(program)
    yield f"ROWS\n N {OBJECTIVE}"
    yield from (f" {kind} {name}" for kind, name in zip(kinds, rows, strict=True))
    yield "COLUMNS"
    yield from _columns(program, columns, rows)
    yield "RHS"
    if program.offset:
        yield f" RHS {OBJECTIVE} {-program.offset!r}"
    yield from (f" RHS {rows[i]} {rhs[i]!r}" for i in range(len(rows)) if rhs[i])
    if ranges:
        yield "RANGES"
        yield from (f" RNG {rows[i]} {width!r}" for i, width in ranges.items())
    yield "BOUNDS"
    yield from _bounds(program, columns)
    if program.Q is not None:
        yield "QUADOBJ"
        Q = program.Q.tocoo()
        lower = Q.row >= Q.col
        for i, j, value in zip(Q.row[lower].tolist(), Q.col[lower].tolist(), Q.data[lower].tolist(), strict=True):
            yield f" {columns[j]} {columns[i]} {value!r}"
    yield "ENDATA"


def row_forms(program: Program) -> tuple[list[str], list[float], dict[int, float]]:
    """Letter (N, E, L, G) and right-hand side of every row, and the width of those with two bounds.

    A width is chosen such that adding it (G) or taking it off (L) gives the other bound exactly, where there is such a number.
    """
    lower, upper = program.row_lower, program.row_upper
    below, above = np.isfinite(lower), np.isfinite(upper)
    equal = lower == upper
    kinds = np.select([equal, below, above], ["E", "G", "L"], "N").tolist()
    rhs = np.select([below, above], [lower, upper], 0.0).tolist()
    ranges: dict[int, float] = {}
    for i in np.flatnonzero(below & above & ~equal).tolist():
        kinds[i], width, _ = exact_range(float(lower[i]), float(upper[i]))
        rhs[i] = float(lower[i] if kinds[i] == "G" else upper[i])
        ranges[i] = width
    return kinds, rhs, ranges


def exact_range(lower: float, upper: float) -> tuple[str, float, bool]:
    """How two bounds are best written as one and a width, and whether that is exact."""
    width = upper - lower
    for one in (width, float(np.nextafter(width, 0.0)), float(np.nextafter(width, np.inf))):
        if lower + one == upper:
            return "G", one, True
        if upper - one == lower:
            return "L", one, True
    return "G", width, False


def _columns(program: Program, columns: list[str], rows: list[str]) -> Iterator[str]:
    starts = program.A.indptr.tolist()
    at, values, c = program.A.indices.tolist(), program.A.data.tolist(), program.c.tolist()
    integer = program.integrality.tolist() if program.integrality is not None else [False] * len(columns)
    inside = False
    for j, name in enumerate(columns):
        if integer[j] != inside:
            inside = integer[j]
            yield f" MARKER 'MARKER' '{'INTORG' if inside else 'INTEND'}'"
        entries = [f" {name} {rows[at[k]]} {values[k]!r}" for k in range(starts[j], starts[j + 1]) if values[k]]
        if c[j] or not entries:
            yield f" {name} {OBJECTIVE} {c[j]!r}"
        yield from entries
    if inside:
        yield " MARKER 'MARKER' 'INTEND'"


def _bounds(program: Program, columns: list[str]) -> Iterator[str]:
    lower, upper = program.col_lower, program.col_upper
    integer = program.integrality if program.integrality is not None else np.zeros(len(columns), dtype=bool)
    for j in np.flatnonzero((lower != 0) | np.isfinite(upper) | integer).tolist():
        name, low, high = columns[j], float(lower[j]), float(upper[j])
        if low == high:
            yield f" FX BND {name} {low!r}"
            continue
        if np.isinf(low):
            yield f" {'FR' if np.isinf(high) else 'MI'} BND {name}"
        elif low or integer[j]:
            yield f" LO BND {name} {low!r}"
        if np.isfinite(high):
            yield f" UP BND {name} {high!r}"
        elif integer[j] and np.isfinite(low):
            yield f" PL BND {name}"


def inexact_ranges(program: Program, rows: list[str]) -> dict[str, float]:
    """Upper bounds of the rows whose two bounds no width joins exactly, by identifier; they go into the name map."""
    lower: FloatArray = program.row_lower
    both = np.isfinite(lower) & np.isfinite(program.row_upper) & (lower != program.row_upper)
    found = ((i, exact_range(float(lower[i]), float(program.row_upper[i]))) for i in np.flatnonzero(both).tolist())
    return {rows[i]: float(program.row_upper[i]) for i, (_, _, exact) in found if not exact}
