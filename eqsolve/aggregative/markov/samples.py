"""What a learner has seen: counts by step, state and cell of the learning grid; cells that were never visited take no room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.simulator import Episodes
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData

MOST_CELLS = 2**62
"""Cells of a grid that can be numbered."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """What is known of the transitions at a step and a state.

    Parameters
    ----------
    places : (C, d) centres of the visited cells. number : (C,) their numbers.
    probability : (C, S) shares of the next states. visits : (C,) on how many visits they rest; infinite for a known transition.
    half_width : how far a visit may have been from the centre of its cell.
    """

    places: FloatArray
    number: IntArray
    probability: FloatArray
    visits: FloatArray
    half_width: float


def learning_grid(game: AggregativeMarkovGame, h: int, cells: tuple[int, ...] | int | None, half_width: float | None) -> Grid:
    """The grid X_alpha over the attainable range of a step.

    Raises
    ------
    InvalidData : the cells do not fit the game, or there are so many that they cannot be numbered.
    """
    many = (cells,) * game.n_coordinates if isinstance(cells, int) else cells
    grid = Grid.over(game.stage_game(h, 0), many, half_width)
    if grid.size > MOST_CELLS:
        fitting = fitting_half_width(grid, MOST_CELLS)
        raise InvalidData(
            f"the learning grid has {grid.size:.3g} cells at step {h}; at most {MOST_CELLS:.3g} can be numbered",
            f"A half_width of {fitting:.3g} fits.",
        )
    return grid


def fitting_half_width(grid: Grid, most: int) -> float:
    """A half-width, the same for all coordinates, with which a grid over the same range has at most so many cells."""
    span = grid.upper - grid.lower
    b = grid.b
    while float(np.prod(np.maximum(np.ceil(span / (2 * b)), 1.0))) > most:
        b *= 1.25
    return b


def cell_of(grid: Grid, x: FloatArray) -> int:
    """The number of the half-open cell that an aggregator (d,) lies in; the ends of the range belong to the outermost cells."""
    width = 2 * grid.half_width
    index = np.floor((x - grid.lower) / np.where(width > 0, width, 1.0)).astype(np.int64)
    return grid.number(np.clip(index, 0, grid.cells - 1))


def centre_of(grid: Grid, number: int) -> FloatArray:
    """The centre (d,) of a cell."""
    index = np.asarray(grid.index(number))
    return grid.centre(index, index + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Counts of all episodes so far; they persist from plan to plan.

    Parameters
    ----------
    step, state, cell : (K,) the visited places. visits : (K,). moves : (K, S) next states; 0 at the last step.
    """

    step: IntArray
    state: IntArray
    cell: IntArray
    visits: IntArray
    moves: IntArray

    @staticmethod
    def none(game: AggregativeMarkovGame) -> Samples:
        """Nothing seen."""
        nothing = np.zeros(0, dtype=np.int64)
        return Samples(nothing, nothing, nothing, nothing, np.zeros((0, game.n_states), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.step)

    def row(self, h: int, s: int, cell: int) -> int:
        """Where a place stands; -1 when it was never visited."""
        found = np.flatnonzero((self.step == h) & (self.state == s) & (self.cell == cell))
        return int(found[0]) if len(found) else -1

    def with_episodes(self, grids: tuple[Grid, ...], x: FloatArray, episodes: Episodes) -> Samples:
        """With more episodes of a profile that causes the aggregators x (H, S, d)."""
        visits, moves = self.visits.copy(), self.moves.copy()
        new: list[tuple[int, int, int]] = []
        for h, s in np.argwhere(episodes.visits > 0):
            place = int(h), int(s), cell_of(grids[h], x[h, s])
            k = self.row(*place)
            if k < 0:
                new.append(place)
                continue
            visits[k] += episodes.visits[h, s]
            if h < len(episodes.moves):
                moves[k] += episodes.moves[h, s]
        more = np.array(new, dtype=np.int64).reshape(-1, 3)
        last = len(episodes.moves)
        went = [episodes.moves[h, s] if h < last else np.zeros(self.moves.shape[1], dtype=np.int64) for h, s, _ in new]
        return Samples(
            np.concatenate((self.step, more[:, 0])),
            np.concatenate((self.state, more[:, 1])),
            np.concatenate((self.cell, more[:, 2])),
            np.concatenate((visits, episodes.visits[more[:, 0], more[:, 1]])),
            np.concatenate((moves, np.array(went, dtype=np.int64).reshape(-1, self.moves.shape[1]))),
        )

    def estimate(self, grid: Grid, h: int, s: int) -> Estimate:
        """What they say of the transitions at a step and a state, in order of the cells' numbers."""
        rows = np.flatnonzero((self.step == h) & (self.state == s))
        rows = rows[np.argsort(self.cell[rows], kind="stable")]
        places = np.array([centre_of(grid, int(one)) for one in self.cell[rows]]).reshape(-1, len(grid.cells))
        visits = self.visits[rows].astype(np.float64)
        return Estimate(places, self.cell[rows], self.moves[rows] / np.maximum(visits, 1.0)[:, None], visits, grid.b)
