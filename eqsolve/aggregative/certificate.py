"""The exact Nash gap of a pure profile, computed from the game alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates import GapCertificate, Witness

CHUNK = 1_000_000
"""Deviations evaluated at once."""


def nash_gap(game: AggregativeGame, plays: npt.ArrayLike) -> GapCertificate:
    r"""The exact Nash gap of a pure profile.

    .. math:: \max_i \max_j\ u_{ij}(x + g_{ij} - g_{i a_i}) - u_{i a_i}(x), \qquad x = \sum_i g_{i a_i}

    Every deviation of every player is evaluated at the aggregator that it causes: O(n m d), and for types
    O(sum of (actions in use) x (actions)).

    Parameters
    ----------
    plays : (N,) players per column; ``game.plays(actions)`` makes it from one action per player.

    Returns
    -------
    GapCertificate "NE", method "exact", with the deviation that gains most (the first one among equals).

    Raises
    ------
    InvalidGame : the plays are not a pure profile of the game.
    """
    checked = game.check_plays(plays)
    x = checked.astype(np.float64) @ game.contribution
    used = np.flatnonzero(checked)
    gain, source, target = _largest_gain(game, used, x)
    witness = None
    if gain > 0:
        move = f"{game.action_label(source)} -> {game.action_label(target)}"
        witness = Witness(game.type_label(int(game.owner[source])), move, gain)
    value = max(gain, 0.0)
    return GapCertificate("NE", value, value, "exact", witness)


def player_gains(game: AggregativeGame, plays: npt.ArrayLike) -> FloatArray:
    """The best gain (N,) of a player on each column in use by changing his action alone; 0 on columns not in use."""
    checked = game.check_plays(plays)
    used = np.flatnonzero(checked)
    gains = np.zeros(game.n_columns)
    for start, source, _, gain in _deviations(game, used, checked.astype(np.float64) @ game.contribution):
        np.maximum.at(gains, used[start + source], gain)
    return gains


def _largest_gain(game: AggregativeGame, used: IntArray, x: FloatArray) -> tuple[float, int, int]:
    best = (-np.inf, -1, -1)
    for start, source, target, gain in _deviations(game, used, x):
        k = int(np.argmax(gain))
        if gain[k] > best[0]:
            best = (float(gain[k]), int(used[start + source[k]]), int(target[k]))
    return best


def _deviations(game: AggregativeGame, used: IntArray, x: FloatArray) -> Iterator[tuple[int, IntArray, IntArray, FloatArray]]:
    """Chunks of (first used column, positions in it, target columns, gains)."""
    width = game.n_actions[game.owner[used]]
    ends = np.cumsum(width)
    start = 0
    while start < len(used):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK, side="right")))
        yield start, *_gains(game, used[start:stop], x)
        start = stop


def _gains(game: AggregativeGame, used: IntArray, x: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    width = game.n_actions[game.owner[used]]
    position = np.repeat(np.arange(len(used)), width)
    first = np.concatenate(([0], np.cumsum(width)[:-1]))
    target = game.offsets[game.owner[used]][position] + np.arange(len(position)) - first[position]
    source = used[position]
    stay = game.payoff.at(used, np.broadcast_to(x, (len(used), len(x))))
    caused = x + game.contribution[target] - game.contribution[source]
    gain = game.payoff.at(target, caused) - stay[position]
    gain[target == source] = 0.0
    return position, target, gain
