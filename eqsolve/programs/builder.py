"""Building a program by arrays, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.errors import InvalidProgram
from eqsolve.programs.block import Block, Labels
from eqsolve.programs.cone import Cone, ConeKind
from eqsolve.programs.program import Program, Sense
from eqsolve.programs.structure import Structure

Triplets = tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], FloatArray]


class ProgramBuilder:
    """Collects blocks of columns and rows as arrays and builds the program in one conversion from COO to CSC.

    Examples
    --------
    The welfare-best split of two players over two roads, at most one and a half on road 0:

    >>> b = ProgramBuilder("split", sense="max")
    >>> p = b.columns("p", (2, 2), axes=("player", "action"), upper=1.0)
    >>> one = b.rows("one_action", (2,), axes=("player",), lower=1.0, upper=1.0)
    >>> road = b.rows("aggregator", (1,), axes=("coordinate",), upper=1.5)
    >>> b.add(one, p, [0, 0, 1, 1], [0, 1, 2, 3], 1.0)
    >>> b.add(road, p, [0, 0], [0, 2], 1.0)
    >>> b.objective(p, [[1.0, 0.0], [1.0, 0.0]])
    >>> b.build()
    <Program 'split': LP, 4 columns, 3 rows, 6 nonzeros>
    """

    def __init__(self, name: str, sense: Sense = "min") -> None:
        self.name = name
        self.sense: Sense = sense
        self._columns: list[Block] = []
        self._rows: list[Block] = []
        self._bounds: dict[str, list[FloatArray]] = {key: [] for key in ("col_lower", "col_upper", "row_lower", "row_upper")}
        self._integer: list[npt.NDArray[np.bool_]] = []
        self._c: list[tuple[Block, FloatArray]] = []
        self._entries: list[Triplets] = []
        self._quadratic: list[Triplets] = []
        self._cones: list[Cone] = []
        self._n_columns = 0
        self._n_rows = 0

    def columns(
        self,
        name: str,
        shape: int | Sequence[int] = (),
        *,
        counts: npt.ArrayLike | None = None,
        axes: Sequence[str] = (),
        labels: Labels = (),
        lower: npt.ArrayLike = 0.0,
        upper: npt.ArrayLike = np.inf,
        integer: npt.ArrayLike = False,
    ) -> Block:
        """Add a block of columns; bounds and integrality are scalars or arrays of the block's shape (flat when ragged)."""
        block = _block(name, shape, counts, axes, labels, self._n_columns)
        self._n_columns = block.stop
        self._columns.append(block)
        self._bounds["col_lower"].append(_spread(f"lower bound of {block.header}", lower, block))
        self._bounds["col_upper"].append(_spread(f"upper bound of {block.header}", upper, block))
        self._integer.append(_spread(f"integrality of {block.header}", integer, block).astype(bool))
        return block

    def rows(
        self,
        name: str,
        shape: int | Sequence[int] = (),
        *,
        counts: npt.ArrayLike | None = None,
        axes: Sequence[str] = (),
        labels: Labels = (),
        lower: npt.ArrayLike = -np.inf,
        upper: npt.ArrayLike = np.inf,
    ) -> Block:
        """Add a block of rows ``lower <= A x <= upper``."""
        block = _block(name, shape, counts, axes, labels, self._n_rows)
        self._n_rows = block.stop
        self._rows.append(block)
        self._bounds["row_lower"].append(_spread(f"lower bound of {block.header}", lower, block))
        self._bounds["row_upper"].append(_spread(f"upper bound of {block.header}", upper, block))
        return block

    def add(self, rows: Block, columns: Block, i: Any, j: Any = None, values: npt.ArrayLike = 1.0) -> None:
        """Add coefficients: triplets with positions inside the two blocks, or one matrix of the blocks' sizes as ``i``.

        Entries given twice are summed.

        Raises
        ------
        InvalidProgram : a position outside its block, or a matrix of another shape.
        """
        self._entries.append(_triplets(rows, columns, i, j, values))

    def objective(self, columns: Block, c: npt.ArrayLike) -> None:
        """Add linear objective coefficients of a block (flat, or of its shape)."""
        self._c.append((columns, _spread(f"objective of {columns.header}", c, columns)))

    def quadratic(self, left: Block, right: Block, i: Any, j: Any = None, values: npt.ArrayLike = 1.0) -> None:
        """Add entries of Q (the objective is c'x + x'Qx/2). Between two blocks the transposed entries are added as well."""
        entries = _triplets(left, right, i, j, values)
        self._quadratic.append(entries)
        if left is not right:
            self._quadratic.append((entries[1], entries[0], entries[2]))

    def cone(self, kind: ConeKind, rows: Block, positions: npt.ArrayLike | None = None, shift: npt.ArrayLike = 0.0) -> None:
        """Put the rows of a block (all, or those at ``positions``) into a cone: ``A x + shift`` in K."""
        inside = np.arange(rows.size) if positions is None else np.asarray(positions, dtype=np.int64)
        self._cones.append(Cone(kind, inside + rows.start, np.broadcast_to(np.asarray(shift, float), inside.shape).copy()))

    def build(self, *, offset: float = 0.0, structure: Structure | None = None, note: str = "") -> Program:
        """The finished program; one conversion from COO to CSC.

        Raises
        ------
        InvalidProgram : see ``Program``.
        """
        c = np.zeros(self._n_columns)
        for block, values in self._c:
            c[block.slice] += values
        c.setflags(write=False)
        integer = np.concatenate(self._integer) if self._integer else np.zeros(0, dtype=bool)
        return Program(
            name=self.name,
            sense=self.sense,
            c=c,
            A=_assemble(self._entries, (self._n_rows, self._n_columns)),
            Q=_assemble(self._quadratic, (self._n_columns, self._n_columns)) if self._quadratic else None,
            offset=offset,
            integrality=integer if integer.any() else None,
            cones=tuple(self._cones),
            columns=tuple(self._columns),
            rows=tuple(self._rows),
            structure=structure,
            note=note,
            col_lower=_joined(self._bounds["col_lower"]),
            col_upper=_joined(self._bounds["col_upper"]),
            row_lower=_joined(self._bounds["row_lower"]),
            row_upper=_joined(self._bounds["row_upper"]),
        )


def _block(
    name: str, shape: int | Sequence[int], counts: npt.ArrayLike | None, axes: Sequence[str], labels: Labels, start: int
) -> Block:
    if counts is not None:
        return Block(name, tuple(axes), start, None, np.asarray(counts, dtype=np.int64), labels)
    sides = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(side) for side in shape)
    names = tuple(axes) or tuple(f"axis{k}" if len(sides) > 1 else "index" for k in range(len(sides)))
    return Block(name, names, start, sides, None, labels)


def _spread(what: str, value: npt.ArrayLike, block: Block) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    if array.ndim == 0:
        return np.full(block.size, float(array))
    if array.size != block.size or (array.ndim > 1 and array.shape != block.shape):
        raise InvalidProgram(f"{what} has shape {array.shape}, the block is {block.extent}")
    return array.reshape(-1)


def _triplets(rows: Block, columns: Block, i: Any, j: Any, values: npt.ArrayLike) -> Triplets:
    if j is None:
        matrix = sparse.coo_array(i)
        if matrix.shape != (rows.size, columns.size):
            between = f"between {rows.header} and {columns.header}"
            raise InvalidProgram(f"the matrix {between} has shape {matrix.shape}, expected {(rows.size, columns.size)}")
        i, j, values = matrix.row, matrix.col, matrix.data
    row, column = np.asarray(i), np.asarray(j)
    if row.shape != column.shape or row.ndim != 1:
        raise InvalidProgram(f"row and column positions have shapes {row.shape} and {column.shape}; both are one list")
    for block, where in ((rows, row), (columns, column)):
        if len(where) and (where.min() < 0 or where.max() >= block.size):
            k = int(np.argmax((where < 0) | (where >= block.size)))
            raise InvalidProgram(f"entry {k} is at position {where[k]} of block {block.header}, which has {block.size}")
    data = np.asarray(values, dtype=np.float64)
    if data.ndim == 0:
        data = np.full(len(row), float(data))
    elif data.shape != row.shape:
        raise InvalidProgram(f"{data.shape} values for {row.shape} positions between {rows.header} and {columns.header}")
    return (row + rows.start).astype(np.int32), (column + columns.start).astype(np.int32), data


def _assemble(parts: list[Triplets], shape: tuple[int, int]) -> sparse.csc_array:
    if not parts:
        return sparse.csc_array(shape, dtype=np.float64)
    row, column, data = parts[0] if len(parts) == 1 else tuple(np.concatenate(same) for same in zip(*parts, strict=True))
    matrix = sparse.coo_array((data, (row, column)), shape=shape).tocsc()
    matrix.sum_duplicates()
    # Arrays that nobody else holds are handed over read-only, so that the program need not copy them.
    for part in (matrix.data, matrix.indices, matrix.indptr):
        part.setflags(write=False)
    return matrix


def _joined(parts: list[FloatArray]) -> FloatArray:
    joined = np.concatenate(parts) if parts else np.zeros(0)
    joined.setflags(write=False)
    return joined
