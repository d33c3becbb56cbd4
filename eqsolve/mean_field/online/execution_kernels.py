"""Compiled rollouts by counts; ``execution_tables`` has the numpy twin, ``execution`` decides which of the two runs.

Imported on first use only, since numba takes long to load.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled


@compiled
def rollouts(
    rng: Any,
    state: Any,
    counts: Any,
    k: int,
    before: Any,
    choice: Any,
    edges: FloatArray,
    move_edges: FloatArray,
    pay: FloatArray,
    act: FloatArray,
    local_pay: FloatArray,
    noise: FloatArray,
    paid: FloatArray,
    go: FloatArray,
    to: Any,
    discounts: FloatArray,
    returns: FloatArray,
    hits: Any,
    seen_counts: Any,
    seen_state: Any,
    seen_choice: Any,
) -> None:
    """Play every rollout to its end; ``execution_tables.Tables`` says what the tables are.

    ``returns`` (B,) are filled, ``hits`` (B, 2) counts the steps at which the choice, and the state, is a mode of the population,
    and the first rollouts are written down in the last three arrays (R, T, ...).
    """
    Z = counts.shape[1]
    n = 0
    for z in range(Z):
        n += counts[0, z]
    sample, following = np.empty(Z, np.int64), np.empty(Z, np.int64)
    for b in range(len(state)):
        g, here = state[b], counts[b]
        total = 0.0
        for t in range(len(discounts)):
            _draw(rng, here, n, k, sample)
            place, tail = 0, k
            for z in range(1, Z):
                tail -= sample[z - 1]
                place += before[z, tail]
            a = choice[g, place] if edges.shape[2] == 0 else _pick(rng, edges[g, place])
            most = here.max()
            hits[b, 0] += a < Z and here[a] == most
            hits[b, 1] += g < Z and here[g] == most
            if b < len(seen_state):
                seen_counts[b, t], seen_state[b, t], seen_choice[b, t] = here, g, a
            then = _pick(rng, move_edges[g, a])
            reward = _pick_value(rng, pay[g, a])
            local = 0.0
            following[:] = 0
            on = then if go.shape[1] > 1 else 0
            for z in range(Z):
                left = here[z]
                for i in range(act.shape[2]):
                    if left == 0:
                        break
                    c = _binomial(rng, left, act[g, z, i])
                    left -= c
                    local += c * local_pay[g, z, i] + _noise(rng, c, noise[g, z, i], paid[g, z, i])
                    for j in range(Z):
                        if c == 0:
                            break
                        m = _binomial(rng, c, go[g, on, z, i, j])
                        c -= m
                        following[to[g, on, z, i, j]] += m
            total += discounts[t] * (reward + local / n)
            here[:] = following
            g = then
        returns[b] = total
        state[b] = g


@compiled
def _draw(rng: Any, here: Any, n: int, k: int, sample: Any) -> None:
    """sample (Z,) = how many of k agents, drawn one by one without replacement, are in each state."""
    few = min(k, n - k)
    sample[:] = 0
    for drawn in range(few):
        x = np.int64(rng.random() * (n - drawn))
        z = 0
        while z < len(here) - 1:
            left = here[z] - sample[z]
            if x < left:
                break
            x -= left
            z += 1
        sample[z] += 1
    if few < k:
        for z in range(len(here)):
            sample[z] = here[z] - sample[z]


@compiled
def _binomial(rng: Any, n: int, q: float) -> int:
    if q >= 1.0:
        return n
    if q <= 0.0:
        return 0
    m: int = rng.binomial(n, q)
    return m


@compiled
def _pick(rng: Any, edges: FloatArray) -> int:
    """The place of a random number among the partial sums of probabilities."""
    u = rng.random()
    i = 0
    while u >= edges[i]:
        i += 1
    return i


@compiled
def _pick_value(rng: Any, pairs: FloatArray) -> float:
    """One of the values (M,) of pairs (2, M) whose first row are partial sums of probabilities; nothing is drawn for M = 1."""
    value: float = pairs[1, 0] if pairs.shape[1] == 1 else pairs[1, _pick(rng, pairs[0])]
    return value


@compiled
def _noise(rng: Any, c: int, chances: FloatArray, values: FloatArray) -> float:
    """The sum of c independent rewards."""
    total = 0.0
    for m in range(len(values)):
        if c == 0:
            break
        drawn = _binomial(rng, c, chances[m])
        total += drawn * values[m]
        c -= drawn
    return total
