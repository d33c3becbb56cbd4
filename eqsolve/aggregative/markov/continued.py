"""Stage programs whose cells are ranked with what the next step is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.markov.transitions import Transitions
from eqsolve.aggregative.programs import Box, StageFamily
from eqsolve.aggregative.tolerance import Tolerance
from eqsolve.arrays import FloatArray
from eqsolve.programs import Update


class ContinuedFamily(StageFamily):
    r"""The stage program of every cell, worth :math:`\sum_{s'} P_h(s' \mid s, \hat x)\, W_{h+1}(s')` more (section 4.1.1).

    The term is the offset of the cell's program: it moves no solution, and counts when cells are compared.

    Parameters
    ----------
    transition, h, s : where the stage is. welfare : (S,) W of the next step.
    """

    def __init__(
        self,
        game: AggregativeGame,
        grid: Grid,
        tolerance: Tolerance,
        transition: Transitions,
        h: int,
        s: int,
        welfare: FloatArray,
    ) -> None:
        super().__init__(game, grid, tolerance)
        self.transition, self.h, self.s, self.welfare = transition, h, s, welfare
        self.steepness = transition.lipschitz(h, s) * float(welfare.max() - welfare.min())

    @property
    def size_of_constants(self) -> float:
        """The largest |W|."""
        return float(np.abs(self.welfare).max())

    def constant(self, centre: FloatArray) -> float:
        """Of one cell."""
        return float(self.transition.at(self.h, self.s, centre) @ self.welfare)

    def largest_constant(self, centre: FloatArray, half_width: FloatArray) -> float:
        """The one at the centre, and what it can change by on the way to the centres of the other cells."""
        away = max(float((half_width - self.grid.half_width).max()), 0.0)
        return min(self.constant(centre) + self.steepness * away, float(self.welfare.max()))

    def update_of(self, i: int, box: Box) -> Update:
        """Bounds of cell i, and its constant."""
        return replace(super().update_of(i, box), offset=self.constant(box.centre))
