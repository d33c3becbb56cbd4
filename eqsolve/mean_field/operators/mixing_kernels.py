"""Compiled passes over the memory of Anderson's mixing; ``mixing`` has the numpy twins.

Imported on first use only, since numba takes long to load. One thread per call, a fixed order; the interpreter's lock is released.
"""

from __future__ import annotations

from typing import Any

from eqsolve.arrays import FloatArray
from eqsolve.mdp.kernels import compiled

FAST = {"reassoc", "contract", "nsz"}


def inner(a: Any, b: Any) -> float:
    """The inner product of two rows in single precision, added up in double precision."""
    total = 0.0
    for x in range(len(a)):
        total += float(a[x]) * float(b[x])
    return total


def subtract(values: FloatArray, number: float, other: Any) -> None:
    """values -= number * other, in place; ``other`` is in single precision."""
    for x in range(len(values)):
        values[x] -= number * other[x]


inner_pass = compiled(inner, nogil=True, fastmath=FAST)
subtract_pass = compiled(subtract, nogil=True, fastmath=FAST)
