"""From a point of a stage program to a pure profile."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates import GapCertificate

WHOLE = 1e-7
"""Distance from a whole number of players below which a play counts as whole."""
MAX_ROUNDINGS = 64
"""Roundings that are tried at most."""


def mixing_types(game: AggregativeGame, p: FloatArray) -> IntArray:
    """Types whose plays (N,) are not whole numbers of players."""
    return np.flatnonzero(game.reduce(np.maximum, np.abs(p - np.round(p))) > WHOLE)


def support_excess(game: AggregativeGame, p: FloatArray) -> int:
    """Sum over types of (actions in use - 1): at a vertex of a stage program at most d."""
    return int(game.reduce(np.add, (p > WHOLE).astype(np.int64)).sum()) - game.n_types


def round_nearest(game: AggregativeGame, p: FloatArray) -> IntArray:
    r"""Each type rounded to whole players by largest remainders (for one player: its most likely action).

    A type with s actions in use moves each coordinate by at most :math:`\delta \max_R R (s - R) / s \le \delta (s - 1) / 2`, so
    that a vertex moves by at most d delta / 2.
    """
    plays = np.floor(p + WHOLE).astype(np.int64)
    missing = game.players - game.reduce(np.add, plays)
    for t in np.flatnonzero(missing):
        columns = np.arange(game.offsets[t], game.offsets[t + 1])
        rest = p[columns] - plays[columns]
        top = np.argsort(-rest, kind="stable")[: missing[t]]
        plays[columns[top]] += 1
    return plays


def round_best(game: AggregativeGame, p: FloatArray) -> tuple[IntArray, GapCertificate, int]:
    """The rounding of least exact gap, ties to the larger welfare, among the roundings of the few types that mix.

    At most ``MAX_ROUNDINGS`` combinations are tried: those of the first types that fit, the others rounded to nearest. The
    nearest rounding is always among them.

    Returns
    -------
    Plays (N,), their exact gap and the number of roundings tried.
    """
    nearest = round_nearest(game, p)
    choices: list[tuple[IntArray, list[IntArray]]] = []
    total = 1
    for t in mixing_types(game, p):
        columns = np.arange(game.offsets[t], game.offsets[t + 1])
        ways = _ways(p[columns], nearest[columns])
        if total * len(ways) > MAX_ROUNDINGS:
            break
        total *= len(ways)
        choices.append((columns, ways))
    best: tuple[float, float, IntArray, GapCertificate] | None = None
    for pick in product(*(ways for _, ways in choices)):
        plays = nearest.copy()
        for (columns, _), way in zip(choices, pick, strict=True):
            plays[columns] = way
        gap = nash_gap(game, plays)
        welfare = game.social_welfare(plays)
        if best is None or (gap.upper, -welfare) < (best[0], -best[1]):
            best = (gap.upper, welfare, plays, gap)
    assert best is not None
    return best[2], best[3], total


def _ways(p: FloatArray, nearest: IntArray) -> list[IntArray]:
    """The nearest rounding of one type and all others that round each action down or up with the same total."""
    down = np.floor(p + WHOLE).astype(np.int64)
    loose = np.flatnonzero(p - down > WHOLE)
    up = int(nearest.sum() - down.sum())
    ways = [nearest]
    for pick in combinations(loose, up):
        way = down.copy()
        way[list(pick)] += 1
        if (way != nearest).any():
            ways.append(way)
    return ways


def sample_profile(game: AggregativeGame, p: FloatArray, rng: np.random.Generator) -> IntArray:
    """Every player draws an action independently from his type's mix: the paper's rounding."""
    share = np.maximum(p, 0.0)
    plays = np.zeros(game.n_columns, dtype=np.int64)
    for t in range(game.n_types):
        columns = slice(int(game.offsets[t]), int(game.offsets[t + 1]))
        mix = share[columns] / share[columns].sum()
        plays[columns] = rng.multinomial(int(game.players[t]), mix)
    return plays
