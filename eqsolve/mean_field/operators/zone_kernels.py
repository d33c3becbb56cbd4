"""Compiled zone recursion: the agents of one state after another are moved, one by one; ``zones`` prepares the tables.

Imported on first use only, since numba takes long to load. One thread, a fixed order; the interpreter's lock is released.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled


def forward(values: FloatArray, rows: FloatArray, up: Any, sizes: Any, shares: FloatArray, starts: Any, held: FloatArray) -> None:
    """values (N, C), in place: the expected values after all agents have moved.

    ``held[z]`` (N, C) holds expected values, as a function of where the moved agents are now, given how many of the states 0, ...,
    z have moved. ``up[e, s]`` is the place of e with one more agent in s. ``shares[starts[R] :]`` is the law of R agents of the
    last state after their move. Histograms come in reverse order.
    """
    last, C, Z = held.shape[0] - 1, values.shape[1], rows.shape[0]
    left = np.full(last + 1, len(sizes) - 1)
    for z in range(last + 1):
        for e in range(len(values)):
            for x in range(C):
                held[z, e, x] = values[e, x]
    at = values.shape[0] - 1
    while True:
        R = left[last]
        for x in range(C):
            values[at, x] = 0.0
        for e in range(sizes[R]):
            for x in range(C):
                values[at, x] += shares[starts[R] + e] * held[last, e, x]
        at -= 1
        z = last
        while z >= 0 and left[z] == 0:
            z -= 1
        if z < 0:
            break
        left[z] -= 1
        R = left[z]
        for e in range(sizes[R]):
            for x in range(C):
                total = 0.0
                for s in range(Z):
                    total += rows[z, s] * held[z, up[e, s], x]
                held[z, e, x] = total
        for y in range(z + 1, last + 1):
            left[y] = R
            for e in range(sizes[R]):
                for x in range(C):
                    held[y, e, x] = held[z, e, x]


def backward(mass: FloatArray, rows: FloatArray, up: Any, sizes: Any, shares: FloatArray, starts: Any, held: FloatArray) -> None:
    """mass (N, C), in place: the adjoint of ``forward``, its steps transposed and in reverse order."""
    last, C, Z = held.shape[0] - 1, mass.shape[1], rows.shape[0]
    left = np.zeros(last + 1, dtype=np.int64)
    moved = np.empty_like(mass)
    for z in range(last + 1):
        for e in range(len(mass)):
            for x in range(C):
                held[z, e, x] = 0.0
    at = 0
    while True:
        R = left[last]
        for e in range(sizes[R]):
            for x in range(C):
                held[last, e, x] += shares[starts[R] + e] * mass[at, x]
        at += 1
        z = last
        while z >= 0 and (left[z - 1] if z > 0 else len(sizes) - 1) == left[z]:
            z -= 1
        if z < 0:
            break
        R = left[z]
        for y in range(z + 1, last + 1):
            left[y] = 0
            for e in range(sizes[R]):
                for x in range(C):
                    held[z, e, x] += held[y, e, x]
                    held[y, e, x] = 0.0
        left[z] = R + 1
        for e in range(sizes[R + 1]):
            for x in range(C):
                moved[e, x] = 0.0
        for e in range(sizes[R]):
            for s in range(Z):
                for x in range(C):
                    moved[up[e, s], x] += rows[z, s] * held[z, e, x]
        for e in range(sizes[R + 1]):
            for x in range(C):
                held[z, e, x] = moved[e, x]
    for e in range(len(mass)):
        for x in range(C):
            mass[e, x] = held[0, e, x]
            for z in range(1, last + 1):
                mass[e, x] += held[z, e, x]


forward_pass = compiled(forward, nogil=True)
backward_pass = compiled(backward, nogil=True)
