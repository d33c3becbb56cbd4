"""Compiled draws of next histograms and sweeps over them; ``sampled`` has the numpy twins.

Imported on first use only, since numba takes long to load. One thread per call; the interpreter's lock is released.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled


def moved(rng: Any, counts: Any, keep: FloatArray, alias: Any, ranks: Any, to: Any) -> int:
    """The place of the histogram after every agent has moved, by Walker's tables ``keep`` and ``alias`` (Z, Z)."""
    Z = len(counts)
    to[:] = 0
    for z in range(Z):
        for _ in range(counts[z]):
            u = rng.random() * Z
            s = int(u)
            if u - s >= keep[z, s]:
                s = alias[z, s]
            to[s] += 1
    tail, place = 0, 0
    for z in range(Z - 1, 0, -1):
        tail += to[z]
        place += ranks[z, tail]
    return place


moved_inline = compiled(moved, nogil=True)


def draw(rng: Any, table: Any, keep: FloatArray, alias: Any, ranks: Any, out: Any) -> None:
    """out (N, m) = places of next histograms, m for each of table (N, Z)."""
    to = np.zeros(table.shape[1], dtype=np.int64)
    for d in range(len(table)):
        for j in range(out.shape[1]):
            out[d, j] = moved_inline(rng, table[d], keep, alias, ranks, to)


def draw_pairs(rng: Any, table: Any, keep: FloatArray, alias: Any, ranks: Any, ladder: FloatArray, out: Any) -> None:
    """out (N, A, m) = places of (next global state, next histogram), the former by its cumulated law ladder (A, G)."""
    N, A, m = out.shape
    to = np.zeros(table.shape[1], dtype=np.int64)
    for d in range(N):
        for a in range(A):
            for j in range(m):
                u, h = rng.random() * ladder[a, -1], 0
                while u >= ladder[a, h] and h < ladder.shape[1] - 1:
                    h += 1
                out[d, a, j] = h * N + moved_inline(rng, table[d], keep, alias, ranks, to)


def mean(values: FloatArray, places: Any, out: FloatArray) -> None:
    """out (N, C) = the means of values (N, C) over places (N, m)."""
    C, m = values.shape[1], places.shape[1]
    for d in range(len(places)):
        for x in range(C):
            out[d, x] = 0.0
        for j in range(m):
            for x in range(C):
                out[d, x] += values[places[d, j], x]
        for x in range(C):
            out[d, x] /= m


def paired_greedy(
    flat: FloatArray, places: Any, reward: FloatArray, local: FloatArray, gamma: float, tie: float, top: FloatArray, best: Any
) -> None:
    """top (N,) = the largest over actions a of reward[a] + gamma times the mean of flat over places[d, a], plus local[d].

    best (N,) = the first action within tie of it.
    """
    N, A, m = places.shape
    q = np.empty(A)
    for d in range(N):
        most = -np.inf
        for a in range(A):
            total = 0.0
            for j in range(m):
                total += flat[places[d, a, j]]
            q[a] = reward[a] + gamma * (total / m)
            most = max(most, q[a])
        for a in range(A):
            if q[a] >= most - tie:
                best[d] = a
                break
        top[d] = most + local[d]


draw_pass = compiled(draw, nogil=True)
draw_pairs_pass = compiled(draw_pairs, nogil=True)
mean_pass = compiled(mean, nogil=True)
paired_greedy_pass = compiled(paired_greedy, nogil=True)
