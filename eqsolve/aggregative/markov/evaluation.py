"""What a pure Markov profile earns, by backward evaluation at the aggregators that it causes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.transitions import means
from eqsolve.arrays import FloatArray


def stage_values(
    game: AggregativeMarkovGame, h: int, s: int, actions: npt.NDArray[np.int32], values: FloatArray, welfare: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    r"""One step of evaluation: :math:`V_{i,h}(s) = r_{h,i}(s, a_i, x(a)) + \sum_{s'} P_h(s' \mid s, x(a)) V_{i,h+1}(s')`.

    Parameters
    ----------
    actions : (n,). values : (n, S) of the players, welfare : (S,), both from the next step on.

    Returns
    -------
    The players' values (n,), the welfare, and the aggregator (d,).
    """
    column = game.column_of(actions)
    plays = np.bincount(column, minlength=game.n_columns)
    used = np.flatnonzero(plays)
    x = np.einsum("c,cd->d", plays, game.contribution[h])
    now = np.zeros(game.n_columns)
    now[used] = game.reward(h, s).at(used, np.broadcast_to(x, (len(used), len(x))))
    ahead = game.transition.at(h, s, x)
    return now[column] + means(values, ahead), float(plays @ game.weights[h, s] + ahead @ welfare), x


def continuation(game: AggregativeMarkovGame, actions: npt.NDArray[np.int32], h: int) -> tuple[FloatArray, FloatArray]:
    """Values (n, S) and welfare (S,) of a profile (H, S, n) from the step after h on; ``h = -1`` evaluates all of it."""
    values, welfare = np.zeros((game.n_players, game.n_states)), np.zeros(game.n_states)
    for k in range(game.horizon - 1, h, -1):
        found = [stage_values(game, k, s, actions[k, s], values, welfare) for s in range(game.n_states)]
        values, welfare = np.stack([one[0] for one in found], axis=1), np.array([one[1] for one in found])
    return values, welfare
