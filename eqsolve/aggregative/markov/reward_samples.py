"""What a learner has seen of rewards that it does not know: counts and sums by step, state, cell and column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.markov.samples import centre_of
from eqsolve.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class RewardEstimate:
    """Mean rewards at a step and a state.

    Parameters
    ----------
    places : (C, d) centres of the visited cells. count : (C, N) observations of each column. mean : (C, N), 0 where there is none.
    half_width : how far an observation may have been from the centre of its cell.
    """

    places: FloatArray
    count: FloatArray
    mean: FloatArray
    half_width: float


@dataclass(frozen=True, slots=True, eq=False)
class RewardSamples:
    """Observations so far.

    Parameters
    ----------
    step, state, cell : (K,) the visited places. count, total : (K, N) observations of each column, and their sums.
    """

    step: IntArray
    state: IntArray
    cell: IntArray
    count: IntArray
    total: FloatArray

    @staticmethod
    def none(columns: int) -> RewardSamples:
        """Nothing seen."""
        nothing = np.zeros(0, dtype=np.int64)
        return RewardSamples(nothing, nothing, nothing, np.zeros((0, columns), dtype=np.int64), np.zeros((0, columns)))

    def with_rewards(self, place: tuple[int, int, int], columns: IntArray, count: int, total: FloatArray) -> RewardSamples:
        """With so many more observations of some columns (k,) at a (step, state, cell), and their sums (k,)."""
        h, s, cell = place
        row = np.flatnonzero((self.step == h) & (self.state == s) & (self.cell == cell))
        if not len(row):
            one = [np.concatenate((old, [new])) for old, new in zip((self.step, self.state, self.cell), place, strict=True)]
            counts = np.concatenate((self.count, np.zeros((1, self.count.shape[1]), dtype=np.int64)))
            totals = np.concatenate((self.total, np.zeros((1, self.count.shape[1]))))
            at = len(self.step)
        else:
            one, counts, totals, at = [self.step, self.state, self.cell], self.count.copy(), self.total.copy(), int(row[0])
        counts[at, columns] += count
        totals[at, columns] += total
        return RewardSamples(one[0], one[1], one[2], counts, totals)

    def estimate(self, grid: Grid, h: int, s: int) -> RewardEstimate:
        """What they say at a step and a state, in order of the cells' numbers."""
        rows = np.flatnonzero((self.step == h) & (self.state == s))
        rows = rows[np.argsort(self.cell[rows], kind="stable")]
        places = np.array([centre_of(grid, int(one)) for one in self.cell[rows]]).reshape(-1, len(grid.cells))
        count = self.count[rows].astype(np.float64)
        return RewardEstimate(places, count, self.total[rows] / np.maximum(count, 1.0), grid.b)
