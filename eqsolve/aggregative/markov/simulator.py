"""Episodes of a pure Markov profile, many at once.

A pure profile causes one aggregator per step and state, so that all episodes which are in a state at a step draw their next states
from one distribution: how many go where is one multinomial draw, whatever the number of episodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.arrays import FloatArray, IntArray, whole_number


@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """Where episodes of one profile were.

    Parameters
    ----------
    visits : (H, S) episodes in a state at a step. moves : (H-1, S, S) how many went on to which state at the next one.
    """

    visits: IntArray
    moves: IntArray


def aggregators_of(game: AggregativeMarkovGame, actions: npt.NDArray[np.int32]) -> FloatArray:
    """(H, S, d) the aggregator that a profile (H, S, n) causes at each step and state."""
    x = np.empty((game.horizon, game.n_states, game.n_coordinates))
    for h in range(game.horizon):
        for s in range(game.n_states):
            x[h, s] = np.bincount(game.column_of(actions[h, s]), minlength=game.n_columns) @ game.contribution[h]
    return x


def play_profile(game: AggregativeMarkovGame, actions: npt.NDArray[np.int32], episodes: int, rng: np.random.Generator) -> Episodes:
    """Play a pure profile (H, S, n) for so many episodes.

    Raises
    ------
    InvalidData : ``episodes`` is not a whole number of 0 or more.
    """
    count = whole_number("episodes", episodes, 0)
    H, S = game.horizon, game.n_states
    x = aggregators_of(game, actions)
    visits, moves = np.zeros((H, S), dtype=np.int64), np.zeros((H - 1, S, S), dtype=np.int64)
    visits[0] = rng.multinomial(count, _distribution(game.initial))
    for h in range(H - 1):
        for s in np.flatnonzero(visits[h]):
            moves[h, s] = rng.multinomial(visits[h, s], _distribution(game.transition.at(h, int(s), x[h, s])))
        visits[h + 1] = moves[h].sum(axis=0)
    return Episodes(visits, moves)


def _distribution(p: FloatArray) -> FloatArray:
    """The probabilities without what rounding makes of their sum, which numpy does not take."""
    return np.asarray(p / p.sum())
