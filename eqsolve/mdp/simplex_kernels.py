"""The compiled twin of ``simplex.project_numpy``; imported on first use only, since numba takes long to load."""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled


@compiled
def project(b: FloatArray, nu: FloatArray, first: Any, w: FloatArray, tau: FloatArray) -> None:
    """w = (b - tau)_+ with sum of nu w = 1 in every state, by Newton's method from the full support."""
    for s in range(len(first) - 1):
        start, stop = first[s], first[s + 1]
        top = -np.inf
        for k in range(start, stop):
            if nu[k] > 0.0 and b[k] > top:
                top = b[k]
        for k in range(start, stop):
            w[k] = b[k] - top if nu[k] > 0.0 else -np.inf
        bar, dropped = -np.inf, True
        while dropped:
            mass, total = 0.0, 0.0
            for k in range(start, stop):
                if w[k] > bar:
                    mass += nu[k]
                    total += nu[k] * w[k]
            following = (total - 1.0) / mass
            dropped = False
            for k in range(start, stop):
                if bar < w[k] <= following:
                    dropped = True
            bar = following
        for k in range(start, stop):
            w[k] = w[k] - bar if w[k] > bar else 0.0
        tau[s] = bar + top
