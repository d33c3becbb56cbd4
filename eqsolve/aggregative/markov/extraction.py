r"""The extraction of Lipschitzness: the sharpest bounds on a Lipschitz function of which only bounds at some places are known.

.. math:: \bar q(x) = \min_{x'} \{ \bar g(x') + L \lVert x - x' \rVert_\infty \}, \qquad
          \underline q(x) = \max_{x'} \{ \underline g(x') - L \lVert x - x' \rVert_\infty \}
"""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, whole_number
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program, ProgramBuilder

COMPILE_FROM = 2_000
"""Cells from which the compiled raster scan serves an even grid; below, loading the compiler would take longer than it saves."""
AT_ONCE = 1_000_000
"""Numbers in a table of distances that is in memory at once."""
MOST_CELLS = 20_000
"""Cells of a confidence program at most."""
EVEN = 1e-12
"""Relative difference of spacings that still count as equal."""
Method = Literal["auto", "raster", "brute"]


def distances(x: FloatArray, places: FloatArray) -> FloatArray:
    """(B, C) distances in the sup norm between points (B, d) and places (C, d)."""
    total = np.zeros((len(x), len(places)))
    for k in range(x.shape[1]):
        np.maximum(total, np.abs(x[:, k, None] - places[None, :, k]), out=total)
    return total


def extension(distance: FloatArray, worth: FloatArray, slope: FloatArray) -> FloatArray:
    """(B, G) the extraction over some places alone: the least of ``worth[g, c] + slope[g] * distance[b, c]`` over c.

    Parameters
    ----------
    distance : (B, C). worth : (G, C) bounds at the places; infinite where there is none. slope : (G,) L.

    Returns
    -------
    Infinite where there are no places. O(B G C), and exact wherever the places left out have no bound below what is found.
    """
    found = np.full((len(distance), len(slope)), np.inf)
    for c in range(worth.shape[1]):
        np.minimum(found, worth[:, c] + distance[:, c, None] * slope, out=found)
    return found


def upper_extension(values: npt.ArrayLike, spacing: npt.ArrayLike, slope: npt.ArrayLike, *, method: Method = "auto") -> FloatArray:
    r"""The largest L-Lipschitz functions below the values on a grid.

    .. math:: \bar q(x) = \min_{x'} \{ g(x') + L \lVert x - x' \rVert_\infty \}

    Where the spacing is the same along every coordinate, the sup norm counts the moves of a king, and two raster scans with
    3^d - 1 neighbours are exact: O(3^d X) for X cells. Elsewhere every cell looks at every other, O(X^2).

    Parameters
    ----------
    values : (..., cells along each coordinate), infinite where nothing is known. spacing : (d,) positive.
    slope : L >= 0, one number or one per leading index.
    method : ``"raster"``, ``"brute"``, or ``"auto"``, which scans even grids of many cells.

    Raises
    ------
    InvalidData : fewer axes than coordinates, NaN, a spacing or slope out of range, a raster over an uneven grid.

    Examples
    --------
    >>> upper_extension([np.inf, 1.0, np.inf, np.inf, 0.0], spacing=[0.5], slope=2.0)
    array([2., 1., 2., 1., 0.])
    """
    step = float_array("spacing", spacing, (None,))
    g = float_array("values", values, infinite=True)
    d = len(step)
    if g.ndim < d or not d:
        raise InvalidData(f"values have {g.ndim} axes and spacing {d} coordinates", "The last axes of the values are the grid.")
    if step.min() <= 0:
        raise InvalidData(f"spacing[{int(np.argmin(step))}] is {step.min():g}; it must be positive")
    if method not in ("auto", "raster", "brute"):
        raise unknown("method", method, ("auto", "raster", "brute"))
    sides = g.shape[g.ndim - d :]
    lead = g.shape[: g.ndim - d]
    try:
        L = np.ascontiguousarray(np.broadcast_to(float_array("slope", slope), lead)).reshape(-1)
    except ValueError as cause:
        raise InvalidData(f"slope has the shape {np.shape(slope)}; the values have {lead} in front of the grid") from cause
    if L.size and L.min() < 0:
        raise InvalidData(f"slope is {L.min():g}; a Lipschitz constant is 0 or more")
    flat = np.array(g, dtype=np.float64).reshape(len(L), -1)
    wide = step[np.asarray(sides) > 1]
    even = not len(wide) or float(wide.max() - wide.min()) <= EVEN * float(wide.max())
    if method == "raster" and not even:
        raise InvalidData(f"the spacing {step.tolist()} is uneven: a raster scan would not be exact", "Use method='brute'.")
    if flat.size:
        if method == "raster" or (method == "auto" and even and flat.shape[1] >= COMPILE_FROM):
            _raster(flat, sides, L * (float(wide.max()) if len(wide) else 0.0))
        else:
            flat = _brute(flat, sides, step, L)
    return flat.reshape(g.shape)


def lower_extension(values: npt.ArrayLike, spacing: npt.ArrayLike, slope: npt.ArrayLike, *, method: Method = "auto") -> FloatArray:
    """The smallest L-Lipschitz functions above the values on a grid; see ``upper_extension``."""
    return -upper_extension(-np.asarray(values, dtype=np.float64), spacing, slope, method=method)


def _raster(flat: FloatArray, sides: tuple[int, ...], step: FloatArray) -> None:
    from eqsolve.aggregative.markov import kernels

    before = [one for one in product((-1, 0, 1), repeat=len(sides)) if one < (0,) * len(sides)]
    offsets = np.array(before, dtype=np.int64).reshape(-1, len(sides))
    stride = np.array([int(np.prod(sides[k + 1 :])) for k in range(len(sides))], dtype=np.int64)
    room = np.zeros(len(sides), dtype=np.int64)
    kernels.raster(flat, np.asarray(sides, dtype=np.int64), offsets, offsets @ stride, step, room)


def _brute(flat: FloatArray, sides: tuple[int, ...], spacing: FloatArray, slope: FloatArray) -> FloatArray:
    places = np.stack(np.unravel_index(np.arange(flat.shape[1]), sides), axis=1) * spacing
    known = np.flatnonzero((flat < np.inf).any(axis=0))
    found = np.empty_like(flat)
    at_once = max(1, AT_ONCE // max(len(known), 1))
    for k in range(0, len(places), at_once):
        part = distances(places[k : k + at_once], places[known])
        for m in range(len(flat)):
            found[m, k : k + at_once] = (flat[m, known] + slope[m] * part).min(axis=1, initial=np.inf)
    return found


def confidence_program(
    places: npt.ArrayLike,
    lower: npt.ArrayLike,
    upper: npt.ArrayLike,
    slope: float,
    cell: int,
    sense: Literal["max", "min"] = "max",
    *,
    sides: tuple[int, ...] | None = None,
    note: str = "",
) -> Program:
    r"""The joint program of confidence interval and Lipschitzness, of which the extraction is the closed form (section 5.2.1).

    .. math:: \max\ q(x_0) \quad \text{s.t.} \quad \underline g(x) \le q(x) \le \bar g(x), \qquad
              |q(x) - q(x')| \le L \lVert x - x' \rVert_\infty

    Its optimum is :math:`\min_{x'} \{ \bar g(x') + L \lVert x_0 - x' \rVert_\infty \}` wherever it is feasible, that is where no
    lower bound exceeds an upper bound by more than L times the distance of their places.

    Parameters
    ----------
    places : (X, d). lower, upper : (X,) finite. slope : L >= 0. cell : x_0, a number from 0.
    sense : ``"min"`` asks for the least value in place of the largest.
    sides : cells along each coordinate, where the places are an even grid in row-major order: neighbours in the sense of a
        king's moves then imply all other pairs. Without it there is a row for every pair.

    Raises
    ------
    InvalidData : wrong shapes, crossed bounds, more than 20,000 cells.
    """
    x = float_array("places", places, (None, None))
    low, high = (float_array(name, one, (len(x),)) for name, one in (("lower", lower), ("upper", upper)))
    if len(x) > MOST_CELLS:
        raise InvalidData(f"a confidence program over {len(x):,} cells is too large; at most {MOST_CELLS:,} fit")
    if (low > high).any():
        k = int(np.argmax(low > high))
        raise InvalidData(f"lower[{k}] is {low[k]:g}, above upper[{k}] = {high[k]:g}")
    number = whole_number("cell", cell, 0)
    if number >= len(x):
        raise InvalidData(f"there is no cell {number} among {len(x):,}")
    one, other = np.triu_indices(len(x), 1) if sides is None else _neighbours(sides)
    apart = slope * np.abs(x[one] - x[other]).max(axis=1, initial=0.0)
    builder = ProgramBuilder("confidence set with Lipschitzness", sense=sense)
    q = builder.columns("q", (len(x),), axes=("cell",), lower=low, upper=high)
    rows = builder.rows("lipschitz", (len(one),), axes=("pair",), lower=-apart, upper=apart)
    pair = np.arange(len(one))
    builder.add(rows, q, pair, one, 1.0)
    builder.add(rows, q, pair, other, -1.0)
    builder.objective(q, (np.arange(len(x)) == number).astype(np.float64))
    return builder.build(note=note or f"the {'largest' if sense == 'max' else 'least'} value at cell {number} of {len(x):,}")


def _neighbours(sides: tuple[int, ...]) -> tuple[IntArray, IntArray]:
    """The pairs of cells a king's move apart, in row-major numbers."""
    number = np.arange(int(np.prod(sides))).reshape(sides)
    ones, others = [], []
    for offset in product((-1, 0, 1), repeat=len(sides)):
        if offset > (0,) * len(sides):
            here = tuple(slice(max(0, -o), side - max(0, o)) for o, side in zip(offset, sides, strict=True))
            there = tuple(slice(max(0, o), side - max(0, -o)) for o, side in zip(offset, sides, strict=True))
            ones.append(number[here].reshape(-1))
            others.append(number[there].reshape(-1))
    return np.concatenate(ones), np.concatenate(others)
