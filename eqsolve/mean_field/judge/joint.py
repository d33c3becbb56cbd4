"""The best that one planner of all actions can do in the k-surrogate: no deviation of whatever coalition does better."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.certificates.rounding import gamma
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.judge.bracket import Bracket, Interval, enclose, product, row_sums

LARGEST = 10_000_000
"""Transition probabilities from states with the actions of all agents that are held."""


def joint_level(game: GlobalLocalGame, k: int) -> int:
    """The most agents, up to k, for whom all actions can be planned; 0 where not even one."""
    level, kinds = 0, int(game.local_available.sum())
    while level < k:
        held = game.n_global_states * size(level + 1, kinds) * size(level + 1, game.n_local_states)
        if held > LARGEST:
            break
        level += 1
    return level


def joint_shift(game: GlobalLocalGame, k: int) -> Interval:
    """Bounds of the discount times the total mass of a law of the next state of k agents, whatever everybody does."""
    return product(product((game.gamma, game.gamma), row_sums(game.global_kernel)), row_sums(game.local_kernel), k)


def joint_bound(game: GlobalLocalGame, level: int, tolerance: float, sweeps: int, rows: FloatArray | None = None) -> Bracket:
    """Best values (N_j, G) over all actions of j agents, chosen on seeing everything; agents in one state may act differently.

    With ``rows`` (G, N_j, A_g) the global agent keeps to these probabilities, and only the local actions are planned.
    """
    Z, G = game.n_local_states, game.n_global_states
    pairs = np.argwhere(game.local_available)
    acting = Histograms(level, len(pairs)).table
    zones = np.zeros((len(acting), Z), dtype=np.int64)
    np.add.at(zones.T, pairs[:, 0], acting.T)
    place = Histograms(level, Z).rank(zones)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(size(level, Z)))
    here = game.global_available
    moves = [_moves(game.local_kernel[pairs[:, 0], g, pairs[:, 1]], level, Z)[order] for g in range(G)]
    pays = np.einsum("mt,tg->mg", acting[order], game.local_reward[pairs[:, 0], :, pairs[:, 1]]) / level
    rewards = float(np.abs(game.global_reward).max() + np.abs(game.local_reward).max())
    rounding = float(gamma(level * (Z + 3) + size(level, Z) + G + game.n_global_actions + len(pairs) + 12))

    def best(v: FloatArray) -> tuple[FloatArray, float]:
        out = np.empty_like(v)
        for g in range(G):
            ahead = np.ascontiguousarray(np.einsum("nh,ah->an", v, game.global_kernel[g]))
            q = [
                r + game.gamma * np.einsum("mn,n->m", moves[g], ahead[a]) for a, r in enumerate(game.global_reward[g]) if here[g, a]
            ]
            kept = np.max(q, axis=0) if rows is None else np.einsum("am,ma->m", q, rows[g][place[order]][:, here[g]])
            out[:, g] = np.maximum.reduceat(pays[:, g] + kept, starts)
        return out, 1.01 * rounding * (rewards + float(np.abs(v).max()))

    shift = joint_shift(game, level)
    shift = shift if rows is None else product(shift, row_sums(rows))
    low, high = game.reward_range
    start = np.full((size(level, Z), G), 0.5 * (low + high) / (1.0 - game.gamma))
    return enclose(best, start, shift, tolerance, sweeps)


def _moves(rows: FloatArray, level: int, Z: int) -> FloatArray:
    """(M, N) where the agents of each histogram over kinds go, the rows (kinds, Z) being independent moves."""
    kinds = len(rows)
    mass = np.ones((1, 1))
    for m in range(level):
        wider = Histograms(m + 1, kinds)
        first = (wider.table > 0).argmax(axis=1)
        grown = np.zeros((wider.size, size(m + 1, Z)))
        for t in range(kinds):
            chosen = first == t
            before = mass[wider.without(t)[chosen]]
            part = np.zeros((len(before), grown.shape[1]))
            for s in range(Z):
                part[:, Histograms(m, Z).joined(s)] += rows[t, s] * before
            grown[chosen] = part
        mass = grown
    return mass
