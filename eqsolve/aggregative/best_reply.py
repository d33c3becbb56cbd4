"""Best replies of all players at once, and one after the other."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import FloatArray, IntArray

NUMBERS = 4_000_000
"""Coordinates of aggregators that deviations cause, held at once."""


def best_replies(game: AggregativeGame, plays: IntArray, draw: FloatArray | None = None) -> tuple[FloatArray, IntArray]:
    """The largest gain (N,) of a player on each column in use, and the column (N,) that earns it; itself where nothing does.

    Exact: every deviation is evaluated at the aggregator that it causes.

    Parameters
    ----------
    plays : (N,) players per column.
    draw : (N,) numbers that decide between equal targets, the largest first; the first target when left out.
    """
    x = plays.astype(np.float64) @ game.contribution
    used = np.flatnonzero(plays)
    gain, reply = np.zeros(game.n_columns), np.arange(game.n_columns)
    width = game.n_actions[game.owner[used]]
    ends = np.cumsum(width)
    most = max(1, NUMBERS // game.n_coordinates)
    start = 0
    while start < len(used):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        source, wide = used[start:stop], width[start:stop]
        first = np.concatenate(([0], np.cumsum(wide)[:-1]))
        at = np.repeat(np.arange(len(source)), wide)
        target = game.offsets[game.owner[source]][at] + np.arange(len(at)) - first[at]
        caused = game.contribution[target] - game.contribution[source][at] + x
        stays = target == source[at]
        caused[stays] = x
        value = game.payoff.at(target, caused)
        value = value - value[stays][at]
        top = np.maximum.reduceat(value, first)
        best = value == top[at]
        rank = np.arange(len(at), 0, -1) if draw is None else draw[target]
        chosen = np.where(best, rank, -np.inf)
        best &= chosen == np.maximum.reduceat(chosen, first)[at]
        hit = np.minimum.reduceat(np.where(best, np.arange(len(at)), len(at)), first)
        moves = top > 0.0
        gain[source[moves]], reply[source[moves]] = top[moves], target[hit[moves]]
        start = stop
    return gain, reply


def sweep_replies(game: AggregativeGame, plays: IntArray, columns: IntArray, floor: float, most: int) -> tuple[IntArray, int]:
    """The players of the given columns, one after the other, take exact best replies to the profile as it then is.

    Of many equal players on a column as many go to the same target as the last of them still gains by it, in powers of two.

    Parameters
    ----------
    columns : in order. floor : gains up to it are left. most : replies at most.

    Returns
    -------
    The profile after the sweep, and how many players have moved.
    """
    plays = plays.copy()
    g = game.contribution
    x = plays.astype(np.float64) @ g
    moved = replies = 0
    for source in columns.tolist():
        t = game.owner[source]
        target = np.arange(game.offsets[t], game.offsets[t + 1])
        while plays[source] and replies < most:
            caused = g[target] - g[source] + x
            caused[source - target[0]] = x
            value = game.payoff.at(target, caused)
            j = int(np.argmax(value))
            if value[j] - value[source - target[0]] <= floor:
                break
            count, way = 1, g[target[j]] - g[source]
            both = np.array([source, target[j]])
            while 2 * count <= plays[source]:
                stay, go = game.payoff.at(both, np.array([x + (2 * count - 1) * way, x + 2 * count * way]))
                if go - stay <= floor:
                    break
                count *= 2
            plays[source] -= count
            plays[target[j]] += count
            x = x + count * way
            moved, replies = moved + count, replies + 1
    return plays, moved
