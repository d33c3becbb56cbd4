"""Programs, rows and columns as a person reads them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.programs.algebra import LETTERS, AlgebraOfRows, number, span
from eqsolve.programs.block import Block
from eqsolve.programs.program import Program

WIDTH = 118
SHOWN = 12
"""Terms of a row shown before its middle is left out."""

CONES = {"soc": "second-order", "rsoc": "rotated second-order", "exp": "exponential"}
MEANING = {"soc": "z0 >= |(z1, ...)|", "rsoc": "2 z0 z1 >= |(z2, ...)|^2", "exp": "z1 exp(z0/z1) <= z2"}


def program_text(program: Program) -> str:
    """The program block by block: names, lengths, bounds, the algebra of the rows, cones and objective.

    Examples
    --------
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("split", sense="max")
    >>> p = b.columns("p", (2, 3), axes=("player", "action"), upper=1.0)
    >>> one = b.rows("one_action", (2,), axes=("player",), lower=1.0, upper=1.0)
    >>> b.add(one, p, [0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], 1.0)
    >>> b.objective(p, [[1.0, 2.0, 0.0], [1.0, 0.0, 0.5]])
    >>> print(b.build(offset=12.81))
    split   LP, maximise
      columns    p[player, action]   2 x 3   in [0, 1]
      rows       one_action[player]  2       sum_j p[i, j] = 1
      objective  sum_ij c_ij p[i, j] + 12.81   4 terms, |c| in 0.5..2
    """
    head = f"{program.name}   {program.kind}, {'maximise' if program.sense == 'max' else 'minimise'}"
    lines = [f"{head}   {program.note:>{max(0, WIDTH - len(head) - 3)}}" if program.note else head]
    rows = _row_lines(program)
    columns = [(block.header, block.extent, _column_text(program, block)) for block in program.columns]
    names = max((len(one[0]) for one in [*columns, *rows]), default=0)
    extents = max((len(one[1]) for one in [*columns, *rows]), default=0)
    for word, group in (("columns", columns), ("rows", rows)):
        for k, (header, extent, text) in enumerate(group):
            lines.append(f"  {word if k == 0 else '':9}  {header:{names}}  {extent:{extents}}   {text}".rstrip())
    lines += _cone_lines(program)
    lines.append(f"  objective  {_objective_text(program)}")
    if program.structure is not None:
        lines.append(f"  structure  {program.structure.name}")
    return "\n".join(lines)


def row_text(program: Program, i: int) -> str:
    """Row i in algebra, with names and numbers; the middle of a long row is left out and counted.

    Examples
    --------
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("one row")
    >>> x = b.columns("x", (3,), axes=("road",), labels=(("north", "south", "ferry"),))
    >>> b.add(b.rows("load", lower=0.5, upper=2.0), x, [0, 0], [0, 2], [1.0, -2.5])
    >>> b.build().row("load")
    'load: 0.5 <= x[north] - 2.5 x[ferry] <= 2'
    """
    entries = np.flatnonzero(program.A.indices == i)
    columns = np.searchsorted(program.A.indptr, entries, side="right") - 1
    body = _sum(program, columns, program.A.data[entries])
    for k, cone in enumerate(program.cones):
        at = np.flatnonzero(cone.rows == i)
        if len(at):
            place, shift = int(at[0]), float(cone.shift[at[0]])
            constant = f" {'-' if shift < 0 else '+'} {number(abs(shift))}" if shift else ""
            where = f"z{place} of {len(cone.rows)} in {CONES[cone.kind]} cone {k}, {MEANING[cone.kind]}"
            return f"{program.row_name(i)}: {body}{constant}   ({where})"
    low, high = float(program.row_lower[i]), float(program.row_upper[i])
    return f"{program.row_name(i)}: {_between(body, low, high)}"


def column_text(program: Program, j: int) -> str:
    """Column j: bounds and integrality, objective coefficient, and its entries by the name of the row."""
    integer = program.integrality is not None and bool(program.integrality[j])
    low, high = float(program.col_lower[j]), float(program.col_upper[j])
    lines = [f"{_between(program.column_name(j), low, high)}{', integer' if integer else ''}"]
    entries: list[tuple[str, float]] = [("objective", float(program.c[j]))]
    if program.Q is not None:
        part = slice(program.Q.indptr[j], program.Q.indptr[j + 1])
        pairs = zip(program.Q.indices[part].tolist(), program.Q.data[part].tolist(), strict=True)
        entries += [(f"Q with {program.column_name(k)}", value) for k, value in pairs]
    start, stop = int(program.A.indptr[j]), int(program.A.indptr[j + 1])
    kept = range(start, stop) if stop - start <= 2 * SHOWN else [*range(start, start + SHOWN), *range(stop - SHOWN, stop)]
    entries += [(program.row_name(int(program.A.indices[k])), float(program.A.data[k])) for k in kept]
    width = max(len(name) for name, _ in entries)
    lines += [f"  {name:{width}}  {number(value)}" for name, value in entries]
    if len(kept) < stop - start:
        lines.insert(len(lines) - SHOWN, f"  ... {stop - start - len(kept):,} more rows ...")
    return "\n".join(lines)


def program_summary(program: Program) -> dict[str, object]:
    """Kind, counts, ranges of the magnitudes other than 0 (None where there is none) and blocks, ready for JSON."""
    fixed = program.col_lower == program.col_upper
    below, above = np.isfinite(program.row_lower), np.isfinite(program.row_upper)
    equal = below & above & (program.row_lower == program.row_upper)
    in_cones = np.zeros(program.n_rows, dtype=bool)
    for cone in program.cones:
        in_cones[cone.rows] = True
    entries = np.bincount(program.A.indices, minlength=program.n_rows)
    kinds = [cone.kind for cone in program.cones]
    return {
        "name": program.name,
        "note": program.note,
        "kind": program.kind,
        "sense": program.sense,
        "columns": program.n_columns,
        "rows": program.n_rows,
        "nonzeros": int(program.A.nnz),
        "quadratic_nonzeros": 0 if program.Q is None else int(program.Q.nnz),
        "objective_terms": int(np.count_nonzero(program.c)),
        "offset": program.offset,
        "fixed_columns": int(fixed.sum()),
        "free_columns": int((np.isinf(program.col_lower) & np.isinf(program.col_upper)).sum()),
        "integer_columns": 0 if program.integrality is None else int(program.integrality.sum()),
        "empty_columns": int((np.diff(program.A.indptr) == 0).sum()),
        "equality_rows": int(equal.sum()),
        "ranged_rows": int((below & above & ~equal).sum()),
        "free_rows": int((~below & ~above & ~in_cones).sum()),
        "empty_rows": int((entries == 0).sum()),
        "cones": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "cone_rows": int(in_cones.sum()),
        "range_A": _magnitudes(program.A.data),
        "range_Q": None if program.Q is None else _magnitudes(program.Q.data),
        "range_c": _magnitudes(program.c),
        "range_rhs": _magnitudes(program.row_lower, program.row_upper),
        "range_bounds": _magnitudes(program.col_lower, program.col_upper),
        "column_blocks": [_block_entry(block) for block in program.columns],
        "row_blocks": [_block_entry(block) for block in program.rows],
        "structure": None if program.structure is None else program.structure.name,
    }


def _block_entry(block: Block) -> dict[str, Any]:
    return {"name": block.name, "axes": list(block.axes), "extent": block.extent, "size": block.size}


def _magnitudes(*arrays: npt.NDArray[np.float64]) -> list[float] | None:
    sizes = np.abs(np.concatenate(arrays))
    sizes = sizes[(sizes > 0) & np.isfinite(sizes)]
    return [float(sizes.min()), float(sizes.max())] if len(sizes) else None


def _between(body: str, low: float, high: float) -> str:
    if low == high:
        return f"{body} = {number(low)}"
    if np.isinf(low) and np.isinf(high):
        return f"{body} free"
    left = "" if np.isinf(low) else f"{number(low)} <= "
    if left and np.isinf(high):
        return f"{body} >= {number(low)}"
    return f"{left}{body} <= {number(high)}"


def _sum(program: Program, columns: npt.NDArray[np.int64], values: FloatArray) -> str:
    if not len(columns):
        return "0"
    kept = range(len(columns)) if len(columns) <= SHOWN else [*range(SHOWN // 2), *range(len(columns) - SHOWN // 2, len(columns))]
    words: list[str] = []
    for n, k in enumerate(kept):
        if n and k != kept[n - 1] + 1:
            words.append(f"+ ... {len(columns) - len(kept):,} more terms ...")
        value, name = float(values[k]), program.column_name(int(columns[k]))
        size = name if abs(value) == 1 else f"{number(abs(value))} {name}"
        sign = "-" if value < 0 else "+"
        words.append(f"{sign} {size}" if words else f"-{size}" if value < 0 else size)
    return " ".join(words)


def _column_text(program: Program, block: Block) -> str:
    low, high = program.col_lower[block.slice], program.col_upper[block.slice]
    if not block.size:
        return "none"
    fixed = low == high
    words = []
    if not fixed.all():
        words.append(_bounds_text(low[~fixed], high[~fixed]))
    if fixed.any():
        value = span(low[fixed])
        count = "all" if fixed.all() else f"{int(fixed.sum()):,}"
        words.append(f"{count} fixed at {value}")
    integer = 0 if program.integrality is None else int(program.integrality[block.slice].sum())
    if integer:
        words.append("integer" if integer == block.size else f"{integer:,} integer")
    return "   ".join(words)


def _bounds_text(low: FloatArray, high: FloatArray) -> str:
    if np.isinf(low).all() and np.isinf(high).all():
        return "free"
    if np.isinf(high).all() and np.isfinite(low).all():
        return f">= {span(low)}"
    if np.isinf(low).all() and np.isfinite(high).all():
        return f"<= {span(high)}"
    return f"in [{span(low)}, {span(high)}]"


def _row_lines(program: Program) -> list[tuple[str, str, str]]:
    algebra = AlgebraOfRows(program)
    return [(block.header, block.extent, algebra.text(k)) for k, block in enumerate(program.rows)]


def _cone_lines(program: Program) -> list[str]:
    lines: list[str] = []
    for kind in dict.fromkeys(cone.kind for cone in program.cones):
        sizes = [len(cone.rows) for cone in program.cones if cone.kind == kind]
        rows = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)}..{max(sizes)}"
        lines.append(f"  {'cones' if not lines else '':9}  {len(sizes):,} {CONES[kind]}, {rows} rows each   {MEANING[kind]}")
    return lines


def _objective_text(program: Program) -> str:
    words: list[str] = []
    for block in program.columns:
        terms = int(np.count_nonzero(program.c[block.slice]))
        if terms:
            letters = LETTERS[: len(block.axes)]
            index = f"[{', '.join(letters)}]" if letters else ""
            weight = f"c_{''.join(letters)} " if letters else f"{number(float(program.c[block.start]))} "
            total = f"sum_{''.join(letters)} " if letters else ""
            words.append(f"{total}{weight}{block.name}{index}")
    text = " + ".join(words)
    if program.Q is not None:
        text += f"{' + ' if text else ''}x'Qx/2"
    if program.offset:
        text += f" {'-' if program.offset < 0 else '+'} {number(abs(program.offset))}" if text else number(program.offset)
    counts = []
    if words:
        low_high = span(np.abs(program.c[program.c != 0]))
        counts.append(f"{int(np.count_nonzero(program.c)):,} terms, |c| {'in' if '..' in low_high else '='} {low_high}")
    if program.Q is not None:
        counts.append(f"Q {program.Q.nnz:,} entries")
    return f"{text or '0'}{'   ' if counts else ''}{', '.join(counts)}"
