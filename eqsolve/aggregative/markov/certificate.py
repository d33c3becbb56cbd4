"""The exact Nash gap of a pure Markov profile, by best-response dynamic programming in the true model.

The judge of every algorithm in this folder: it knows the game and the profile, and none of the code that finds profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.profile import MarkovProfile, check_profile
from eqsolve.aggregative.markov.transitions import means
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.certificates import GapCertificate, Witness

CHUNK = 200_000
"""Numbers in a table of deviations x states that is in memory at once."""
NEGLIGIBLE = 1e-9
"""A deviation that gains less at its own place, relative to the gap, is not the one that the witness names."""


def nash_gap(game: AggregativeMarkovGame, profile: MarkovProfile) -> GapCertificate:
    r"""The exact Nash gap of a pure Markov profile, from the initial distribution (Definition 2.1).

    .. math:: \max_i \sum_s \rho(s) \bigl( V^\dagger_{i,1}(s) - V^\pi_{i,1}(s) \bigr), \qquad V^\dagger_{i,h}(s) = \max_j\;
              r_{h,i}(s, j, x_j) + \sum_{s'} P_h(s' \mid s, x_j) V^\dagger_{i,h+1}(s'), \qquad x_j = x(a) + g_{ij} - g_{i a_i}

    Every deviation of every player is evaluated at the aggregator that it causes, at every step and state. The others' actions are
    pure and depend on step and state alone, so that a player who deviates faces a finite decision process, in which no policy that
    uses the history is better than the one found here. O(H S n m (d + S)).

    Returns
    -------
    GapCertificate "NE", method "exact", with the first player who gains most; its place is the likeliest state of the first step
    in which its best deviation leaves the profile, its gain the gain of the whole deviation.

    Raises
    ------
    InvalidGame : not a profile of the game; a reward or transition given as a function that is not what it has to be.
    """
    return _certificate(game, profile, game.initial)


def gap_everywhere(game: AggregativeMarkovGame, profile: MarkovProfile) -> GapCertificate:
    r"""The exact Nash gap from the worst first state, :math:`\max_{i,s} V^\dagger_{i,1}(s) - V^\pi_{i,1}(s)`; see ``nash_gap``."""
    return _certificate(game, profile, None)


def welfare(game: AggregativeMarkovGame, profile: MarkovProfile) -> float:
    """The expected welfare of a profile, from the initial distribution.

    Raises
    ------
    InvalidGame : not a profile of the game.
    """
    actions = check_profile(game, profile)
    total = np.zeros(game.n_states)
    for h in range(game.horizon - 1, -1, -1):
        ahead, total = total, np.empty(game.n_states)
        for s in range(game.n_states):
            plays, x = _played(game, h, game.column_of(actions[h, s]))
            total[s] = plays @ game.weights[h, s] + game.transition.at(h, s, x) @ ahead
    return float(game.initial @ total)


def values(game: AggregativeMarkovGame, profile: MarkovProfile) -> FloatArray:
    r"""(n, S) what each player earns from each first state, :math:`V^\pi_{i,1}(s)`.

    Raises
    ------
    InvalidGame : not a profile of the game.
    """
    found = _judge(game, check_profile(game, profile))
    return found.kept[found.of_player]


def deviation_values(game: AggregativeMarkovGame, profile: MarkovProfile) -> FloatArray:
    r"""(n, S) what each player earns from each first state by its best deviation, :math:`V^\dagger_{i,1}(s)`.

    Raises
    ------
    InvalidGame : not a profile of the game.
    """
    found = _judge(game, check_profile(game, profile))
    return found.best[found.of_player]


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Players in classes (n,) who are alike from the first step on; V^pi and V^dagger of each class (G, S); x (H, S, d)."""

    of_player: IntArray
    kept: FloatArray
    best: FloatArray
    x: FloatArray


def _certificate(game: AggregativeMarkovGame, profile: MarkovProfile, start: FloatArray | None) -> GapCertificate:
    actions = check_profile(game, profile)
    found = _judge(game, actions)
    gains = found.best - found.kept
    if start is None:
        by_class, worst = gains.max(axis=1), gains.argmax(axis=1)
    else:
        by_class = gains @ start
    i = int(np.argmax(by_class[found.of_player]))
    gap = max(float(by_class[found.of_player[i]]), 0.0)
    if gap <= 0:
        return GapCertificate("NE", 0.0, 0.0, "exact")
    first = np.eye(game.n_states)[worst[found.of_player[i]]] if start is None else start
    return GapCertificate("NE", gap, gap, "exact", _witness(game, actions[:, :, i], i, found.x, first, gap))


def _judge(game: AggregativeMarkovGame, actions: npt.NDArray[np.int32]) -> _Judged:
    """V^pi and V^dagger together, backwards; players of one type who play alike from a step on share a row."""
    S, most = game.n_states, int(game.n_actions.max())
    type_of = game.player_types
    cls, kind = type_of, np.arange(game.n_types)
    kept = best = np.zeros((game.n_types, S))
    aggregators = np.empty((game.horizon, S, game.n_coordinates))
    if game.n_types == game.n_players:  # nobody is like anybody else
        for h in range(game.horizon - 1, -1, -1):
            columns = game.offsets[type_of] + actions[h]
            for s in range(S):
                aggregators[h, s] = _played(game, h, columns[s])[1]
            found = [_stage(game, h, s, aggregators[h, s], columns[s], kept, best) for s in range(S)]
            kept, best = (np.stack(one, axis=1) for one in zip(*found, strict=True))
        return _Judged(np.arange(game.n_players), kept, best, aggregators)
    for h in range(game.horizon - 1, -1, -1):
        finer = cls
        groups, now_kept, now_best = [], [], []
        for s in range(S):
            a = actions[h, s]
            _, x = _played(game, h, game.column_of(a))
            group, first = _compressed(cls * most + a, len(kind) * most)
            of_class = cls[first]
            column = game.offsets[kind[of_class]] + a[first]
            stay, deviating = _stage(game, h, s, x, column, kept[of_class], best[of_class])
            groups.append(group)
            now_kept.append(stay)
            now_best.append(deviating)
            aggregators[h, s] = x
            finer, first = _compressed(finer * most + a, (int(finer.max()) + 1) * most)
        cls, kind = finer, type_of[first]
        kept, best = (
            np.stack([one[group[first]] for one, group in zip(of, groups, strict=True)], axis=1) for of in (now_kept, now_best)
        )
    return _Judged(cls, kept, best, aggregators)


def _stage(
    game: AggregativeMarkovGame, h: int, s: int, x: FloatArray, column: IntArray, kept: FloatArray, best: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """V^pi and V^dagger (K,) of players on columns (K,), for their values (K, S), (K, S) from the next step on."""
    now = game.reward(h, s).at(column, np.broadcast_to(x, (len(column), len(x))))
    ahead = game.transition.at(h, s, x)
    stay, keep = now + means(kept, ahead), now + means(best, ahead)
    return stay, np.maximum(keep, _best_others(game, h, s, x, column, best))


def _best_others(game: AggregativeMarkovGame, h: int, s: int, x: FloatArray, column: IntArray, best: FloatArray) -> FloatArray:
    """The most (K,) that each earns by another action than its column's; minus infinity where there is none."""
    m = int(game.n_actions[0])
    if m > 1 and len(column) * max(game.n_states, game.n_coordinates) <= 10 * CHUNK and (game.n_actions == m).all():
        return _best_of_as_many(game, h, s, x, column, best, m)
    value = np.full(len(column), -np.inf)
    others = game.n_actions[game.owner[column]] - 1
    able = np.flatnonzero(others)
    ends = np.cumsum(others[able])
    at_once = max(1, CHUNK // max(game.n_states, game.n_coordinates))
    start = 0
    while start < len(able):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + at_once, side="right")))
        part = able[start:stop]
        first = np.concatenate(([0], ends[start : stop - 1] - before))
        row = np.repeat(np.arange(len(part)), others[part])
        source = column[part]
        target = (game.offsets[game.owner[source]] - first)[row] + np.arange(len(row))
        target += target >= source[row]
        value[part] = np.maximum.reduceat(_deviate(game, h, s, x, source[row], target, best[part], row), first)
        start = stop
    return value


def _best_of_as_many(
    game: AggregativeMarkovGame, h: int, s: int, x: FloatArray, column: IntArray, best: FloatArray, m: int
) -> FloatArray:
    """The same where all players have m actions: one of the others after the other, for all players at once."""
    first, row = game.offsets[game.owner[column]], np.arange(len(column))
    own = column - first
    value = np.full(len(column), -np.inf)
    for k in range(1, m):
        value = np.maximum(value, _deviate(game, h, s, x, column, first + (own + k) % m, best, row))
    return value


def _deviate(
    game: AggregativeMarkovGame, h: int, s: int, x: FloatArray, source: IntArray, target: IntArray, best: FloatArray, row: IntArray
) -> FloatArray:
    """What deviations (B,) earn, each by the player of a row of the values (K, S)."""
    g = game.contribution[h]
    caused = x + g[target] - g[source]
    earned = game.reward(h, s).at(target, caused)
    if h < game.horizon - 1:
        earned = earned + game.transition.expected(h, s, caused, best, row)
    return earned


def _witness(
    game: AggregativeMarkovGame, actions: npt.NDArray[np.int32], i: int, x: FloatArray, start: FloatArray, gap: float
) -> Witness:
    """Where the best deviation of player i, whose actions are (H, S), first leaves the profile."""
    H, S = actions.shape
    kind = int(game.player_types[i])
    offset, m = int(game.offsets[kind]), int(game.n_actions[kind])
    to, gain, best = np.empty((H, S), dtype=np.int64), np.empty((H, S)), np.zeros((1, S))
    for h in range(H - 1, -1, -1):
        now = np.empty((1, S))
        for s in range(S):
            column = np.array([offset + actions[h, s]])
            keep = game.reward(h, s).at(column, x[h, s][None]) + best @ game.transition.at(h, s, x[h, s])
            others = offset + np.delete(np.arange(m), actions[h, s])
            earned = _deviate(game, h, s, x[h, s], column, others, best, np.zeros(m - 1, dtype=np.int64))
            k = int(np.argmax(earned))
            to[h, s], gain[h, s], now[0, s] = others[k], earned[k] - keep[0], max(keep[0], earned[k])
        best = now
    reached = start
    for h in range(H):
        leaves = (gain[h] > NEGLIGIBLE * gap) & (reached > 0)
        if leaves.any():
            s = int(np.argmax(np.where(leaves, reached, -1.0)))
            move = f"{game.action_label(offset + int(actions[h, s]))} -> {game.action_label(int(to[h, s]))}"
            state = game.states[s] if game.states else str(s)
            where = "" if game.states else f"step {h}, state {s}"
            return Witness(game.player_label(i), move, gap, where, h, state)
        reached = np.asarray(sum(reached[s] * game.transition.at(h, s, x[h, s]) for s in range(S)))
    return Witness(game.player_label(i), "", gap)  # rounding has made up all of it


def _played(game: AggregativeMarkovGame, h: int, columns: IntArray) -> tuple[FloatArray, FloatArray]:
    """Players per column (N,) when they play columns (n,), and the aggregator (d,) that they cause."""
    plays = np.bincount(columns, minlength=game.n_columns).astype(np.float64)
    return plays, np.einsum("c,cd->d", plays, game.contribution[h])


def _compressed(code: IntArray, size: int) -> tuple[IntArray, IntArray]:
    """The number of each code (n,) among those in use, below ``size``, and the first place (K,) of each of these."""
    if size > 16 * len(code):
        _, first, number = np.unique(code, return_index=True, return_inverse=True)
        return number, first
    place = np.full(size, -1)
    place[code[::-1]] = np.arange(len(code) - 1, -1, -1)
    used = place >= 0
    return (np.cumsum(used) - 1)[code], place[used]
