"""True bounds of the fixed point of a monotone operator, from its images of whatever vectors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.certificates.rounding import UNIT, gamma
from eqsolve.errors import InvalidGame
from eqsolve.mdp.enclosure import expectation, fixed_point

Operator = Callable[[FloatArray], tuple[FloatArray, float]]
"""v -> its image, and by how much the exact image differs at most."""
Interval = tuple[float, float]

DEPTH, HELD, PATIENCE = 6, 20_000_000, 10
"""Steps that the extrapolation looks back, numbers of their images that it may hold, and sweeps without progress that end it."""


class Bracket(NamedTuple):
    """lower <= v* <= upper, of the shape of v, and the sweeps that it took."""

    lower: FloatArray
    upper: FloatArray
    sweeps: int

    @property
    def middle(self) -> FloatArray:
        """The vector half way."""
        return np.asarray(0.5 * self.lower + 0.5 * self.upper)

    @property
    def width(self) -> float:
        """Largest distance of the bounds."""
        return float((self.upper - self.lower).max())


def enclose(operator: Operator, start: FloatArray, shift: Interval, tolerance: float, sweeps: int) -> Bracket:
    """Bounds at most ``tolerance`` apart, or as near as so many sweeps or rounding let them.

    With Tv, v* is within Tv + shift / (1 - shift) [min (Tv - v), max (Tv - v)] (MacQueen 1966), for any v; what all sweeps say
    holds together. ``shift`` bounds (T(v + c) - Tv) / c for constants c > 0.

    Raises
    ------
    InvalidGame : shift may reach 1; there is no bound then.
    """
    if shift[1] >= 1.0:
        raise InvalidGame(
            f"the discount times the sums of rows of the kernels may be {shift[1]:.12g}: values may be infinite",
            "Divide the rows by their sums.",
        )
    v = start
    lower, upper = np.full_like(v, -np.inf), np.full_like(v, np.inf)
    width, idle, done = np.inf, 0, 0
    recent: deque[tuple[FloatArray, FloatArray]] = deque(maxlen=max(1, min(DEPTH, HELD // max(1, v.size))))
    while done < sweeps and idle < PATIENCE:
        image, error = operator(v)
        done += 1
        low, high = fixed_point(v, (image - error, image + error), shift)
        lower, upper = np.maximum(lower, low), np.minimum(upper, high)
        new = float((upper - lower).max())
        if new <= tolerance:
            break
        idle = 0 if new < width * (1.0 - 1e-6) else idle + 1
        width = new
        if idle:
            recent.clear()
        centred = image - v
        recent.append((0.5 * low + 0.5 * high, centred - centred.mean()))
        v = _extrapolated(recent)
    return Bracket(lower, upper, done)


def _extrapolated(recent: deque[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """The affine combination of recent images whose centred steps, so combined, are shortest (Anderson 1965)."""
    newest, step = recent[-1]
    if len(recent) == 1:
        return newest
    differences = [(step - other).reshape(-1) for _, other in list(recent)[:-1]]
    gram = np.array([[np.einsum("x,x->", a, b) for b in differences] for a in differences])
    right = np.array([np.einsum("x,x->", a, step.reshape(-1)) for a in differences])
    scale = np.sqrt(np.maximum(np.diag(gram), 1e-300))
    weights = np.linalg.lstsq(gram / np.outer(scale, scale), right / scale, rcond=1e-10)[0] / scale
    for (image, _), weight in zip(recent, weights, strict=False):
        newest = newest + weight * (image - recent[-1][0])
    return newest


def mean(weights: FloatArray, bracket: Bracket) -> Interval:
    """Bounds of the mean of v* under weights >= 0 of the same shape."""
    return expectation(weights.reshape(-1), bracket.lower.reshape(-1), bracket.upper.reshape(-1))


def row_sums(rows: FloatArray) -> Interval:
    """Bounds of the exact sums of the rows (..., m), which are 1 up to 1e-9 only."""
    total, slack = rows.sum(axis=-1), float(gamma(rows.shape[-1] + 2))
    return float(total.min()) * (1.0 - slack), float(total.max()) * (1.0 + slack)


def product(one: Interval, other: Interval, power: int = 1) -> Interval:
    """Bounds of one x other ** power, of positive numbers."""
    slack = 4.0 * (power + 2) * UNIT
    return one[0] * other[0] ** power * (1.0 - slack), one[1] * other[1] ** power * (1.0 + slack)
