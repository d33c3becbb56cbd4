"""Gaps and equilibria by their definitions, with loops over profiles and nothing of the library but the payoff table."""

from __future__ import annotations

from itertools import product

import numpy as np


def profiles(shape):
    return list(product(*(range(m) for m in shape)))


def changed(profile, i, action):
    return (*profile[:i], action, *profile[i + 1 :])


def cce_gap(payoffs, q):
    n, shape = len(payoffs), payoffs.shape[1:]
    most = 0.0
    for i in range(n):
        for b in range(shape[i]):
            gain = sum(q[a] * (payoffs[i][changed(a, i, b)] - payoffs[i][a]) for a in profiles(shape))
            most = max(most, gain)
    return most


def ce_gap(payoffs, q):
    """Over all maps from recommendations to actions, one by one."""
    n, shape = len(payoffs), payoffs.shape[1:]
    most = 0.0
    for i in range(n):
        for swap in product(range(shape[i]), repeat=shape[i]):
            gain = sum(q[a] * (payoffs[i][changed(a, i, swap[a[i]])] - payoffs[i][a]) for a in profiles(shape))
            most = max(most, gain)
    return most


def nash_gap(payoffs, strategies):
    n, shape = len(payoffs), payoffs.shape[1:]
    q = {a: np.prod([strategies[i][a[i]] for i in range(n)]) for a in profiles(shape)}
    return cce_gap(payoffs, q)


def pure_equilibria(payoffs):
    n, shape = len(payoffs), payoffs.shape[1:]
    return [
        a
        for a in profiles(shape)
        if all(payoffs[i][changed(a, i, b)] <= payoffs[i][a] + 1e-12 for i in range(n) for b in range(shape[i]))
    ]
