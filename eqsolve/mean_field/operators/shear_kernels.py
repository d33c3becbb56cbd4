"""Compiled passes of binomial shears over tables of values; ``shears`` has the numpy twin and decides which of the two runs.

Imported on first use only, since numba takes long to load. Every entry is a sum in an order that the layout alone fixes, by one
thread; the interpreter's lock is released, so that the kernels of several global states run side by side.
"""

from __future__ import annotations

from typing import Any

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled

FAST = {"reassoc", "contract", "nsz"}


def shears(
    values: FloatArray,
    lines: Any,
    pairs: Any,
    flipped: Any,
    weights: FloatArray,
    limits: Any,
    back: bool,
    work: FloatArray,
    unit: Any,
) -> None:
    """values (N, C), in place: all shears of a chain, the last one first; ``back`` applies their adjoints, the first one first.

    Shear m goes along the lines of pairs[m]: row r becomes the sum of weights[m, r, s] times row s, s = limits[m, r], ..., r; with
    ``back``, s = r, ..., limits[m, r]. Rows count the agents in the first state of the pair, where ``flipped`` those in the second.
    Lines of one length lie side by side in ``work`` (k + 1, lanes * C). ``unit`` has C entries where C is to be known to the
    compiler, else none: then rows of few columns are copied without a loop.
    """
    C = len(unit) if len(unit) > 0 else values.shape[1]
    for turn in range(len(pairs)):
        m = turn if back else len(pairs) - 1 - turn
        places, at = lines.places[pairs[m]], 0
        for n in range(lines.starts[pairs[m]], lines.starts[pairs[m] + 1]):
            T, side = lines.lengths[n], lines.lanes[n]
            W = side * C
            for c in range(T + 1):
                into = work[T - c if flipped[m] else c]
                for lane in range(side):
                    row = values[places[at + c * side + lane]]
                    for x in range(C):
                        into[lane * C + x] = row[x]
            for i in range(T + 1):
                r = i if back else T - i
                s, end = (r + 1, min(limits[m, r], T) + 1) if back else (limits[m, r], r)
                w, y = weights[m, r], work[r]
                own = w[r]
                for x in range(W):
                    y[x] *= own
                while s + 4 <= end:
                    w0, w1, w2, w3 = w[s], w[s + 1], w[s + 2], w[s + 3]
                    x0, x1, x2, x3 = work[s], work[s + 1], work[s + 2], work[s + 3]
                    for x in range(W):
                        y[x] += w0 * x0[x] + w1 * x1[x] + w2 * x2[x] + w3 * x3[x]
                    s += 4
                while s < end:
                    w0, x0 = w[s], work[s]
                    for x in range(W):
                        y[x] += w0 * x0[x]
                    s += 1
            for c in range(T + 1):
                out = work[T - c if flipped[m] else c]
                for lane in range(side):
                    row = values[places[at + c * side + lane]]
                    for x in range(C):
                        row[x] = out[lane * C + x]
            at += (T + 1) * side


shears_pass = compiled(shears, nogil=True, fastmath=FAST)
