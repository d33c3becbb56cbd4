"""The algebra of a block of rows, found in its entries: ``sum_j p[i, j] = 1``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs.block import Block
from eqsolve.programs.program import Program

LETTERS = ("i", "j", "k", "l", "m", "n", "q", "r", "s", "t")


def number(value: float) -> str:
    """Ten digits at most, none that says nothing."""
    return f"{value + 0.0:.10g}"


def span(values: FloatArray) -> str:
    """One number where all are the same, ``low..high`` otherwise."""
    low, high = float(values.min()), float(values.max())
    return number(low) if low == high else f"{low:.6g}..{high:.6g}"


class AlgebraOfRows:
    """Reads, for every block of rows, which indices of which columns it sums over. Vectorised over all entries."""

    def __init__(self, program: Program) -> None:
        self.program = program
        order = program.A.tocsr()
        self.starts: IntArray = order.indptr.astype(np.int64)
        self.columns, self.values = order.indices, order.data
        self.cone_of = np.full(program.n_rows, -1, dtype=np.int64)
        for k, cone in enumerate(program.cones):
            self.cone_of[cone.rows] = k

    def text(self, k: int) -> str:
        """The rows of block k in one line of algebra."""
        block = self.program.rows[k]
        if not block.size:
            return "none"
        cones = self.cone_of[block.slice]
        if (cones >= 0).all():
            names = sorted({self.program.cones[one].kind for one in np.unique(cones).tolist()})
            return f"{self.body(block)}   in {', '.join(names)} cones"
        return _with_bounds(self.body(block), self.program.row_lower[block.slice], self.program.row_upper[block.slice], cones >= 0)

    def body(self, block: Block) -> str:
        """The sum without its bounds."""
        part = slice(int(self.starts[block.start]), int(self.starts[block.stop]))
        columns, values = self.columns[part], self.values[part]
        local = np.repeat(np.arange(block.size), np.diff(self.starts[block.start : block.stop + 1]))
        stops = np.asarray([one.stop for one in self.program.columns])
        owner = np.searchsorted(stops, columns, side="right")
        words = ""
        for k in np.unique(owner).tolist():
            mine = owner == k if len(self.program.columns) > 1 else slice(None)
            source = self.program.columns[k]
            sign, text = self._term(block, source, local[mine], columns[mine] - source.start, values[mine])
            words += f" {sign} {text}" if words else f"{'-' if sign == '-' else ''}{text}"
        return words or "0"

    def _term(
        self, rows: Block, source: Block, row: IntArray, column: npt.NDArray[np.int32], values: FloatArray
    ) -> tuple[str, str]:
        """Sign and text of what the rows take from one block of columns."""
        matched = _matching_axes(rows, source, row, column)
        letters = _letters(rows, source, matched)
        summed = [letter for axis, letter in enumerate(letters) if axis not in matched]
        low, high = float(values.min()), float(values.max())
        if len(row) != _full_count(rows, source, matched):
            counts = np.bincount(row, minlength=rows.size)
            few, many = int(counts.min()), int(counts.max())
            how_many = f"{few:,}" if few == many else f"{few:,}..{many:,}"
            return "+", f"a'{source.name} ({how_many} terms a row, a {'=' if low == high else 'in'} {span(values)})"
        index = f"[{', '.join(letters)}]" if letters else ""
        total = f"sum_{''.join(summed)} " if summed else ""
        if low == high:
            weight = "" if abs(low) == 1 else f"{number(abs(low))} "
            return "-" if low < 0 else "+", f"{total}{weight}{source.name}{index}"
        subscript = "".join(dict.fromkeys([*LETTERS[: len(rows.axes)], *letters]))
        return "+", f"{total}a{f'_{subscript}' if subscript else ''} {source.name}{index}"


def _matching_axes(rows: Block, source: Block, row: IntArray, column: npt.NDArray[np.int32]) -> dict[int, int]:
    """Axes of the columns whose index is that of an axis of the rows, in every entry; axes of the same name go first."""
    matched: dict[int, int] = {}
    sample = slice(0, 2048)
    pairs = [(a, b) for a in range(len(source.axes)) for b in range(len(rows.axes))]
    for a, b in sorted(pairs, key=lambda pair: source.axes[pair[0]] != rows.axes[pair[1]]):
        if a in matched or b in matched.values():
            continue
        if not np.array_equal(_axis_index(source, column[sample], a), _axis_index(rows, row[sample], b)):
            continue
        if np.array_equal(_axis_index(source, column, a), _axis_index(rows, row, b)):
            matched[a] = b
    return matched


def _axis_index(block: Block, local: npt.NDArray[np.int64] | npt.NDArray[np.int32], axis: int) -> npt.NDArray[np.int64]:
    """The index along one axis of entries given by their place in the block."""
    if block.counts is not None:
        starts = np.concatenate(([0], np.cumsum(block.counts, dtype=np.int64)))
        outer = np.searchsorted(starts, local, side="right") - 1
        return outer.astype(np.int64) if axis == 0 else np.asarray(local - starts[outer], dtype=np.int64)
    shape = block.shape or ()
    stride = int(np.prod(shape[axis + 1 :], dtype=np.int64))
    return np.asarray(local // stride % shape[axis], dtype=np.int64)


def _full_count(rows: Block, source: Block, matched: dict[int, int]) -> int:
    """Number of entries when every row takes all columns that agree with it on the matched axes; -1 when that is not said."""
    if source.counts is None and rows.counts is None:
        free = [side for axis, side in enumerate(source.shape or ()) if axis not in matched]
        return rows.size * int(np.prod(free, dtype=np.int64))
    if source.counts is not None and rows.counts is None and matched == {0: 0} and len(rows.axes) == 1:
        return source.size
    if not matched:
        return rows.size * source.size
    same = rows.counts is not None and source.counts is not None and np.array_equal(rows.counts, source.counts)
    return rows.size if same and len(matched) == 2 else -1


def _letters(rows: Block, source: Block, matched: dict[int, int]) -> list[str]:
    """A letter for every axis of the columns: those of the rows where they match, new ones otherwise."""
    fresh = iter(LETTERS[len(rows.axes) :] + tuple(f"i{k}" for k in range(len(source.axes))))
    return [LETTERS[matched[axis]] if axis in matched else next(fresh) for axis in range(len(source.axes))]


def _with_bounds(body: str, lower: FloatArray, upper: FloatArray, in_cone: npt.NDArray[np.bool_]) -> str:
    below, above = np.isfinite(lower), np.isfinite(upper)
    forms = {
        "=": below & above & (lower == upper),
        "<=": ~below & above,
        ">=": below & ~above,
        "ranged": below & above & (lower != upper),
        "free": ~below & ~above & ~in_cone,
        "in cones": in_cone,
    }
    present = {form: here for form, here in forms.items() if here.any()}
    if len(present) > 1:
        return f"{body}   mixed: {', '.join(f'{int(here.sum()):,} {form}' for form, here in present.items())}"
    form = next(iter(present))
    if form in ("=", ">="):
        return f"{body} {form} {span(lower)}"
    if form == "<=":
        return f"{body} <= {span(upper)}"
    return f"{span(lower)} <= {body} <= {span(upper)}" if form == "ranged" else f"{body} {form}"
