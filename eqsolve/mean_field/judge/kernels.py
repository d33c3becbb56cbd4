"""Compiled thinnings of functions of histograms; ``operator`` says what they do.

Imported on first use only, since numba takes long to load.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled

LANES = 256
"""Numbers that are worked on side by side."""

compiled_apart = partial(compiled, nogil=True)
"""As ``compiled``, for loops that several threads run at once."""


@compiled_apart
def thin(values: FloatArray, order: Any, starts: Any, turned: bool, share: float, transposed: bool) -> None:
    r"""values (N, C) = their expectation after each agent in state i has gone to j with weight ``share``; in place.

    Histograms that agree but for the d_i of c agents in i and j are a line. On it, agents go one by one,
    :math:`f_t \leftarrow (1 - q) f_t + q f_{t-1}` for t = c, ..., r, in the rounds r = 1, ..., c (de Casteljau), of which four are
    taken at once. ``order`` lists the lines of all c, t by t; ``turned`` says that it counts the agents in j instead.
    """
    C = values.shape[1]
    wide = max(1, LANES // C)
    line = np.empty((len(starts), wide * C))
    stay = 1.0 - share
    w0, w1, w2, w3, w4 = stay**4, 4.0 * stay**3 * share, 6.0 * stay**2 * share**2, 4.0 * stay * share**3, share**4
    for c in range(1, len(starts) - 1):
        number = (starts[c + 1] - starts[c]) // (c + 1)
        for first in range(0, number, wide):
            w = min(wide, number - first)
            lanes = w * C
            for t in range(c + 1):
                base = starts[c] + (c - t if turned else t) * number + first
                for x in range(w):
                    row = order[base + x]
                    for y in range(C):
                        line[t, x * C + y] = values[row, y]
            if transposed:
                for r in range(c, 0, -1):
                    for lane in range(lanes):
                        line[r - 1, lane] += share * line[r, lane]
                    for t in range(r, c):
                        for lane in range(lanes):
                            line[t, lane] = stay * line[t, lane] + share * line[t + 1, lane]
                    for lane in range(lanes):
                        line[c, lane] = stay * line[c, lane]
            else:
                r = 1
                while r + 3 <= c:
                    for t in range(c, r + 2, -1):
                        for lane in range(lanes):
                            line[t, lane] = (
                                (w4 * line[t - 4, lane] + w3 * line[t - 3, lane])
                                + (w2 * line[t - 2, lane] + w1 * line[t - 1, lane])
                                + w0 * line[t, lane]
                            )
                    _rounds(line, lanes, r, r + 2, share)
                    r += 4
                _rounds(line, lanes, r, c, share)
            for t in range(c + 1):
                base = starts[c] + (c - t if turned else t) * number + first
                for x in range(w):
                    row = order[base + x]
                    for y in range(C):
                        values[row, y] = line[t, x * C + y]


@compiled_apart
def _rounds(line: FloatArray, lanes: int, first: int, last: int, share: float) -> None:
    """The rounds from ``first`` on, over t up to ``last``."""
    stay = 1.0 - share
    for r in range(first, last + 1):
        for t in range(last, r - 1, -1):
            for lane in range(lanes):
                line[t, lane] = stay * line[t, lane] + share * line[t - 1, lane]
