"""Compiled Bellman sweeps over tables (N, G) of expected values; ``stage`` has the numpy twins.

Imported on first use only, since numba takes long to load. One thread per call, a fixed order; the interpreter's lock is released.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled


def greedy(
    ahead: FloatArray,
    kernel: FloatArray,
    reward: FloatArray,
    local: FloatArray,
    gamma: float,
    tie: float,
    top: FloatArray,
    best: Any,
) -> None:
    """top (N,) = the largest over actions a of reward[a] + gamma kernel[a] . ahead[d], plus local[d].

    best (N,) = the first action within tie of it.
    """
    A, G = kernel.shape
    q = np.empty(A)
    for d in range(len(ahead)):
        most = -np.inf
        for a in range(A):
            total = 0.0
            for h in range(G):
                total += kernel[a, h] * ahead[d, h]
            q[a] = reward[a] + gamma * total
            most = max(most, q[a])
        for a in range(A):
            if q[a] >= most - tie:
                best[d] = a
                break
        top[d] = most + local[d]


def average(agents: int, counts: Any, places: Any, values: FloatArray, out: FloatArray) -> None:
    """out (N', C) = values (N, C), as functions of the rest after one of so many agents, at random, has left; counts (N', Z)."""
    Z, C = counts.shape[1], values.shape[1]
    for d in range(len(out)):
        for x in range(C):
            out[d, x] = 0.0
        tail, rank = 0, 0
        for z in range(Z - 1, 0, -1):
            tail += counts[d, z]
            rank += places[z, tail]
        tail = agents
        for z in range(Z):
            if z > 0:
                tail -= counts[d, z - 1]
                rank -= places[z, tail] - places[z, tail - 1] if tail > 0 else 0
            if counts[d, z] > 0:
                share = counts[d, z] / agents
                for x in range(C):
                    out[d, x] += share * values[rank, x]


greedy_pass = compiled(greedy, nogil=True)
average_pass = compiled(average, nogil=True)
