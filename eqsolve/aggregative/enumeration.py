"""All pure profiles, and all aggregators, of a small aggregative game."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import BoolArray, FloatArray, IntArray

MOST_PROFILES = 200_000
"""Profiles that are looked at one by one."""
MOST_WAYS = 100_000
"""Ways of one type to spread over its actions."""
BLOCK = 4096
"""Profiles, or aggregators, whose payoffs are evaluated at once."""
SAME = 1e-12
"""Distance, relative to the sum of the players' largest amounts, at which two aggregators count as one."""


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """All changes of action: source and target columns (K,), and by what each moves the aggregator (K, d)."""

    source: IntArray
    target: IntArray
    shift: FloatArray

    @staticmethod
    def of(game: AggregativeGame) -> Moves:
        """Of one player of each type."""
        width = game.n_actions[game.owner]
        source = np.repeat(np.arange(game.n_columns), width)
        first = np.concatenate(([0], np.cumsum(width)[:-1]))
        target = game.offsets[game.owner[source]] + np.arange(len(source)) - first[source]
        keep = source != target
        source, target = source[keep], target[keep]
        return Moves(source, target, game.contribution[target] - game.contribution[source])


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Some pure profiles: players per column (B, N), exact Nash gap and welfare (B,), and the rounding of the gap (B,)."""

    plays: IntArray
    gap: FloatArray
    welfare: FloatArray
    rounding: FloatArray


def count_profiles(game: AggregativeGame) -> int:
    """Number of pure profiles, players of a type not told apart."""
    total = 1
    for players, m in zip(game.players.tolist(), game.n_actions.tolist(), strict=True):
        total *= comb(players + m - 1, m - 1)
    return total


def rounding_of(game: AggregativeGame, x: FloatArray) -> FloatArray:
    """(B,) what rounding can make of a payoff difference at aggregators (B, d): of payoffs, and of sums over players."""
    size = np.abs(game.payoff.batch(x)).max(axis=1)
    return np.asarray(1e-12 * size + 1e-13 * game.gamma.max() * game.magnitude.max())


def gains_at(game: AggregativeGame, moves: Moves, x: FloatArray) -> FloatArray:
    """(B, K) what each change of action gains at aggregators (B, d)."""
    stay = game.payoff.batch(x)
    gains = np.empty((len(x), len(moves.source)))
    for k, (source, target) in enumerate(zip(moves.source.tolist(), moves.target.tolist(), strict=True)):
        gains[:, k] = game.payoff.at(np.full(len(x), target), x + moves.shift[k]) - stay[:, source]
    return gains


def all_profiles(game: AggregativeGame) -> Iterator[Profiles]:
    """Every pure profile with its gap, in blocks, in one order."""
    moves = Moves.of(game)
    ways = [_ways(int(players), int(m)) for players, m in zip(game.players, game.n_actions, strict=True)]
    sizes = [len(one) for one in ways]
    total = count_profiles(game)
    for start in range(0, total, BLOCK):
        index = np.unravel_index(np.arange(start, min(start + BLOCK, total)), sizes)
        plays = np.hstack([one[at] for one, at in zip(ways, index, strict=True)])
        x = plays @ game.contribution
        gains = np.where(plays[:, moves.source] > 0, gains_at(game, moves, x), 0.0)
        gap = gains.max(axis=1, initial=0.0)
        yield Profiles(plays, gap, plays @ game.weights, rounding_of(game, x))


def best_equilibrium(game: AggregativeGame) -> tuple[IntArray | None, float]:
    """The first of the pure Nash equilibria of largest welfare, or None; and the least gap of all profiles."""
    best: tuple[float, IntArray] | None = None
    least = np.inf
    for some in all_profiles(game):
        stable = some.gap <= some.rounding
        k = int(np.argmax(np.where(stable, some.welfare, -np.inf)))
        if stable[k] and (best is None or some.welfare[k] > best[0]):
            best = (float(some.welfare[k]), some.plays[k])
        least = min(least, float(some.gap.min()))
    return (None if best is None else best[1]), least


def attainable(game: AggregativeGame, most: int) -> FloatArray | None:
    """(K, d) all aggregators that pure profiles cause, equal ones once; None where there are more than ``most``."""
    unit = np.maximum(SAME * game.magnitude, 1e-300)
    found = np.zeros((1, game.n_coordinates))
    for t, (players, m) in enumerate(zip(game.players.tolist(), game.n_actions.tolist(), strict=True)):
        if comb(players + m - 1, m - 1) > MOST_WAYS:
            return None
        sums = _ways(players, m) @ game.contribution[game.offsets[t] : game.offsets[t + 1]]
        sums = _distinct(sums, unit)
        if len(found) * len(sums) > 50 * most:
            return None
        found = _distinct((found[:, None, :] + sums[None, :, :]).reshape(-1, game.n_coordinates), unit)
        if len(found) > most:
            return None
    return found


def replies_at(game: AggregativeGame, x: FloatArray) -> BoolArray:
    """(K, N) the actions from which no player gains by leaving at aggregators (K, d), rounding aside."""
    moves = Moves.of(game)
    best = np.ones((len(x), game.n_columns), dtype=bool)
    for start in range(0, len(x), BLOCK):
        part = slice(start, start + BLOCK)
        gains = gains_at(game, moves, x[part]) > rounding_of(game, x[part])[:, None]
        for k, source in enumerate(moves.source.tolist()):
            best[part, source] &= ~gains[:, k]
    return best


def _distinct(x: FloatArray, unit: FloatArray) -> FloatArray:
    return np.asarray(x[np.unique(np.round(x / unit), axis=0, return_index=True)[1]])


def _ways(players: int, m: int) -> IntArray:
    """(W, m) all ways to spread players over m actions."""
    bars = np.array(list(combinations(range(players + m - 1), m - 1)), dtype=np.int64).reshape(comb(players + m - 1, m - 1), m - 1)
    ends = np.hstack((np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), players + m - 1)))
    return np.diff(ends, axis=1) - 1
