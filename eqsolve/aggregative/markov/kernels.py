"""Compiled loops over grids of aggregators; ``extraction`` has the numpy twin and decides which of the two runs.

Imported on first use only, since numba takes long to load.
"""

from __future__ import annotations

from typing import Any

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.mdp.kernels import compiled


@compiled
def raster(values: FloatArray, sides: IntArray, offsets: IntArray, strides: IntArray, step: FloatArray, at: Any) -> None:
    """Two passes over the cells (M, X), in place: forward through the neighbours that come before, then back.

    Parameters
    ----------
    offsets : (O, d) the neighbours that come before a cell in row-major order. strides : (O,) the same in row-major numbers.
    step : (M,) what one step to a neighbour adds. at : (d,) room for the index of the cell.
    """
    d = len(sides)
    X = values.shape[1]
    for m in range(values.shape[0]):
        row = values[m]
        for turn in range(2):
            sign = 1 if turn == 0 else -1
            for k in range(d):
                at[k] = 0 if turn == 0 else sides[k] - 1
            for n in range(X):
                c = n if turn == 0 else X - 1 - n
                best = row[c]
                for o in range(len(strides)):
                    inside = True
                    for k in range(d):
                        j = at[k] + sign * offsets[o, k]
                        if j < 0 or j >= sides[k]:
                            inside = False
                            break
                    if inside:
                        other = row[c + sign * strides[o]] + step[m]
                        if other < best:
                            best = other
                row[c] = best
                for k in range(d - 1, -1, -1):
                    at[k] += sign
                    if 0 <= at[k] < sides[k]:
                        break
                    at[k] = 0 if turn == 0 else sides[k] - 1
