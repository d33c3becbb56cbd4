"""What a reader of LP or MPS files collects before it is a program."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.errors import InvalidProgram
from eqsolve.programs.block import Block
from eqsolve.programs.program import Program, Sense

INFINITE = 1e20
"""Solvers read bounds of this magnitude and more as infinite."""

Entries = tuple[list[int], list[int], list[float]]


def bad_line(path: Path, line: int, what: str, remedy: str = "") -> InvalidProgram:
    """The error for a line that cannot be read."""
    return InvalidProgram(f"{path}, line {line}: {what}", remedy)


def finite(value: float) -> float:
    """The value, or an infinity where a solver would take it as one."""
    return value if abs(value) < INFINITE else np.inf if value > 0 else -np.inf


def no_entries() -> Entries:
    """Three empty lists."""
    return [], [], []


@dataclass(slots=True)
class Parsed:
    """Columns and rows in the order of the file, as lists."""

    path: Path
    name: str = ""
    sense: Sense = "min"
    offset: float = 0.0
    column_at: dict[str, int] = field(default_factory=dict)
    row_at: dict[str, int] = field(default_factory=dict)
    c: list[float] = field(default_factory=list)
    col_lower: list[float] = field(default_factory=list)
    col_upper: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)
    row_lower: list[float] = field(default_factory=list)
    row_upper: list[float] = field(default_factory=list)
    A: Entries = field(default_factory=no_entries)
    Q: Entries = field(default_factory=no_entries)

    def column(self, name: str) -> int:
        """The position of a column, which is added where it is new: continuous, from 0 to infinity."""
        at = self.column_at.setdefault(name, len(self.c))
        if at == len(self.c):
            self.c.append(0.0)
            self.col_lower.append(0.0)
            self.col_upper.append(np.inf)
            self.integer.append(False)
        return at

    def row(self, name: str, lower: float, upper: float) -> int:
        """The position of a new row."""
        at = len(self.row_lower)
        self.row_at[name] = at
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        return at

    def program(self) -> Program:
        """The program with the names of the file as labels: ``x[name]`` and ``row[name]``."""
        columns, rows = tuple(self.column_at), tuple(self.row_at)
        return self.arranged(
            list(columns),
            list(rows),
            (Block("x", ("column",), 0, (len(columns),), None, (columns,)),),
            (Block("row", ("row",), 0, (len(rows),), None, (rows,)),),
        )

    def arranged(
        self, columns: list[str], rows: list[str], column_blocks: tuple[Block, ...], row_blocks: tuple[Block, ...], note: str = ""
    ) -> Program:
        """The program with columns and rows in the given order and the given blocks.

        Raises
        ------
        InvalidProgram : the names are not those of the file; an entry stands twice; see ``Program``.
        """
        order, row_order = _order(self.path, "column", columns, self.column_at), _order(self.path, "row", rows, self.row_at)
        integer = np.asarray(self.integer, dtype=bool)[order]
        return Program(
            name=self.name,
            sense=self.sense,
            c=np.asarray(self.c, dtype=np.float64)[order],
            A=_matrix(self.path, self.A, row_order, order, rows, columns),
            row_lower=np.asarray(self.row_lower, dtype=np.float64)[row_order],
            row_upper=np.asarray(self.row_upper, dtype=np.float64)[row_order],
            col_lower=np.asarray(self.col_lower, dtype=np.float64)[order],
            col_upper=np.asarray(self.col_upper, dtype=np.float64)[order],
            Q=_matrix(self.path, self.Q, order, order, columns, columns) if self.Q[0] else None,
            offset=self.offset,
            integrality=integer if integer.any() else None,
            columns=column_blocks,
            rows=row_blocks,
            note=note,
        )


def _order(path: Path, kind: str, wanted: list[str], have: dict[str, int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if len(wanted) != len(have) or any(name not in have for name in wanted):
        raise InvalidProgram(f"{path} has {len(have)} {kind}s, its name map {len(wanted)} others", "Delete the name map.")
    return np.fromiter((have[name] for name in wanted), dtype=np.int64, count=len(wanted))


def _matrix(
    path: Path,
    entries: Entries,
    row_order: np.ndarray[tuple[int], np.dtype[np.int64]],
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
    rows: list[str],
    columns: list[str],
) -> sparse.csc_array:
    place_row, place = np.empty_like(row_order), np.empty_like(order)
    place_row[row_order] = np.arange(len(row_order))
    place[order] = np.arange(len(order))
    values: FloatArray = np.asarray(entries[2], dtype=np.float64)
    i = place_row[np.asarray(entries[0], dtype=np.int64)]
    j = place[np.asarray(entries[1], dtype=np.int64)]
    kept = values != 0
    matrix = sparse.coo_array((values[kept], (i[kept], j[kept])), shape=(len(rows), len(columns))).tocsc()
    if matrix.nnz != int(kept.sum()):
        key = i[kept] * max(len(columns), 1) + j[kept]
        first = int(np.sort(key)[np.flatnonzero(np.diff(np.sort(key)) == 0)[0]])
        row, column = divmod(first, max(len(columns), 1))
        raise InvalidProgram(f"{path}: the entry of {columns[column]!r} in {rows[row]!r} is given twice", "Add the two up.")
    return matrix
