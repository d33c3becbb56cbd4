"""Transition matrices of every kind, and the law of independent moves by convolution on a grid of counts."""

from __future__ import annotations

import numpy as np

from eqsolve.mean_field import Histograms


def matrices(Z, seed=0):
    """By name: (Z, Z) each."""
    rng = np.random.default_rng(seed)
    some = rng.dirichlet(np.ones(Z), size=Z)
    return {
        "random": some,
        "identity": np.eye(Z),
        "permutation": np.eye(Z)[np.roll(np.arange(Z), 1)],
        "equal rows": np.tile(some[0], (Z, 1)),
        "to one state": np.eye(Z)[np.zeros(Z, dtype=int)],
        "zeros": 0.5 * np.eye(Z)[rng.integers(Z, size=Z)] + 0.5 * np.eye(Z)[rng.integers(Z, size=Z)],
        "lazy": 0.8 * np.eye(Z) + 0.2 * some,
        "sharp": rng.dirichlet(np.full(Z, 0.05), size=Z),
    }


def convolved(rows, k):
    """(N, N) the law of the next histogram for every histogram, by one convolution per agent on the grid of all counts."""
    Z = len(rows)
    table = Histograms(k, Z).table
    out = np.zeros((len(table), len(table)))
    for at, row in enumerate(table):
        grid = np.zeros((k + 1,) * Z)
        grid[(0,) * Z] = 1.0
        for z in np.repeat(np.arange(Z), row):
            grid = sum(rows[z, s] * np.roll(grid, 1, axis=s) for s in range(Z))
        out[at] = grid[tuple(table.T)]
    return out
