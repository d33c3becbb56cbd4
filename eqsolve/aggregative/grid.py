"""The grid of cells over the attainable aggregators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import FloatArray, IntArray, float_array, int_array
from eqsolve.errors import InvalidData

MOST_CELLS = 2**50
"""Cells along one coordinate that floating-point numbers can tell apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    r"""Closed boxes :math:`|x - \hat x|_k \le b_k` that tile the attainable range without overlap, ``cells[k]`` along axis k.

    Parameters
    ----------
    lower, upper : (d,) the attainable range.
    cells : (d,) number of cells along each coordinate; 1 where the range is a point.
    """

    lower: FloatArray
    upper: FloatArray
    cells: IntArray

    def __post_init__(self) -> None:
        cells = int_array("cells", self.cells, (len(self.lower),))
        wrong = (cells < 1) | (cells > MOST_CELLS)
        if wrong.any():
            k = int(np.argmax(wrong))
            raise InvalidData(f"cells[{k}] is {cells[k]}; a coordinate has 1 to 2^50 cells")
        object.__setattr__(self, "cells", cells)

    @staticmethod
    def over(game: AggregativeGame, cells: npt.ArrayLike | None = None, half_width: float | None = None) -> Grid:
        """The grid with the given number of cells per coordinate, or with half-widths of at most ``half_width``.

        With neither, the half-width is delta / 2, half the influence of one player: finer cells cannot tighten the bound by
        more than rounding loses.

        Raises
        ------
        InvalidData : both are given, a number of cells below 1 or above 2^50, or a half-width that is not positive.
        """
        span = game.upper - game.lower
        if cells is not None and half_width is not None:
            raise InvalidData("both cells and half_width are given", "Give one; the other follows.")
        if cells is not None:
            number: FloatArray | IntArray = int_array("cells", cells, (game.n_coordinates,))
        else:
            b = game.delta / 2 if half_width is None else float(float_array("half_width", half_width, ()))
            if b <= 0 and (half_width is not None or span.max() > 0):
                raise InvalidData(f"half_width is {b:g}; it must be positive")
            number = np.maximum(np.ceil(span / (2 * b) * (1 - 1e-12)), 1.0) if span.max() > 0 else np.ones(len(span))
            if number.max() > MOST_CELLS:
                k = int(np.argmax(number))
                raise InvalidData(
                    f"half_width {b:g} cuts coordinate {k} into {number[k]:.3g} cells; at most 2^50 can be told apart"
                )
        return Grid(game.lower, game.upper, np.where((span > 0) | (number < 1), number, 1).astype(np.int64))

    @property
    def half_width(self) -> FloatArray:
        """(d,) half-widths b_k."""
        return np.asarray((self.upper - self.lower) / (2 * self.cells))

    @property
    def b(self) -> float:
        """The largest half-width, which the bounds use."""
        return float(self.half_width.max())

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(np.prod(self.cells, dtype=object))

    def centre(self, low: IntArray, high: IntArray) -> FloatArray:
        """Centre (d,) of the block of cells ``low <= index < high`` per coordinate."""
        return np.asarray(self.lower + (low + high) * self.half_width)

    def index(self, number: int) -> tuple[int, ...]:
        """Index of the cell with a number in row-major order."""
        index = []
        for side in self.cells[::-1]:
            index.append(number % int(side))
            number //= int(side)
        return tuple(index[::-1])

    def number(self, index: npt.ArrayLike) -> int:
        """Row-major number of the cell with an index."""
        number = 0
        for side, one in zip(self.cells, np.asarray(index), strict=True):
            number = number * int(side) + int(one)
        return number
