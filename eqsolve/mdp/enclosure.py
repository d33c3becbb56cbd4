"""Bellman operators with directed rounding: intervals that hold the exact result of one sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.certificates.rounding import TINY, UNIT, gamma
from eqsolve.mdp.model import FiniteMDP, InvalidMDP

Interval = tuple[FloatArray, FloatArray]
HUGE = 1e290


@dataclass(frozen=True, slots=True, eq=False)
class Enclosure:
    """One step of a process; ``pairs`` encloses r + gamma P v, ``best`` its maximum per state, ``under`` its mean by a policy.

    Any order of summation is covered: n + 3 roundings err by at most gamma_(n+3) times the sum of the magnitudes; adding a zero
    of a dense row errs by nothing. ``shift`` encloses gamma times the sum of a row, which is 1 up to 1e-9 only.
    """

    mdp: FiniteMDP
    step: int
    reward_size: FloatArray = field(init=False)
    relative: FloatArray = field(init=False)
    row_low: FloatArray = field(init=False)
    row_high: FloatArray = field(init=False)
    underflow: float = field(init=False)

    def __post_init__(self) -> None:
        kernel: Any = self.mdp.kernel(self.step)
        count = np.diff(kernel.indptr) if sparse.issparse(kernel) else np.count_nonzero(kernel, axis=1)
        total, slack = np.asarray(kernel.sum(axis=1)), gamma(count + 2)
        put = object.__setattr__
        put(self, "reward_size", np.abs(self.mdp.reward_at(self.step)))
        put(self, "relative", gamma(count + 8))
        put(self, "row_low", total * (1.0 - slack) * self.mdp.gamma * (1.0 - 4 * UNIT))
        put(self, "row_high", total * (1.0 + slack) * self.mdp.gamma * (1.0 + 4 * UNIT))
        put(self, "underflow", TINY * (2.0 + float(count.max())))

    def pairs(self, v: FloatArray) -> Interval:
        """(K,) lower and upper ends of the exact r + gamma P v."""
        q = self.mdp.reward_at(self.step) + self.mdp.gamma * np.asarray(self.mdp.kernel(self.step) @ v)
        error = self.relative * (self.reward_size + self.row_high * float(np.abs(v).max())) + self.underflow
        return q - error, q + error

    def best(self, pairs: Interval) -> Interval:
        """(S,) the exact maximum over the actions of each state."""
        first = self.mdp.first[:-1]
        return np.maximum.reduceat(pairs[0], first), np.maximum.reduceat(pairs[1], first)

    def under(self, policy: FloatArray, pairs: Interval) -> Interval:
        """(S,) the exact mean under a policy (K,)."""
        first = self.mdp.first[:-1]
        size = np.add.reduceat(policy * np.maximum(np.abs(pairs[0]), np.abs(pairs[1])), first)
        slack = gamma(self.mdp.n_actions + 4) * size + TINY * (1.0 + self.mdp.n_actions)
        return np.add.reduceat(policy * pairs[0], first) - slack, np.add.reduceat(policy * pairs[1], first) + slack

    def shift(self, policy: FloatArray | None) -> tuple[float, float]:
        """Lower and upper bound of gamma times the sums of rows, over all pairs or as a policy mixes them."""
        if policy is None:
            return float(self.row_low.min()), float(self.row_high.max())
        first, slack = self.mdp.first[:-1], gamma(self.mdp.n_actions + 2)
        low, high = np.add.reduceat(policy * self.row_low, first), np.add.reduceat(policy * self.row_high, first)
        return float((low * (1.0 - slack)).min()), float((high * (1.0 + slack)).max())


def fixed_point(v: FloatArray, image: Interval, shift: tuple[float, float]) -> Interval:
    """Bounds (S,) of the fixed point of a monotone operator T from one sweep, T v in ``image``; any v gives true bounds.

    T(v + c) <= Tv + shift c for a constant c, so that Tv <= v + d gives v* <= Tv + shift d / (1 - shift) (MacQueen 1966).
    """
    up = float(np.nextafter((image[1] - v).max(), np.inf))
    down = float(np.nextafter((image[0] - v).min(), -np.inf))
    high = np.nextafter(image[1] + _tail(up, shift[1] if up > 0 else shift[0], 1.0), np.inf)
    low = np.nextafter(image[0] + _tail(down, shift[1] if down < 0 else shift[0], -1.0), -np.inf)
    return low, high


def _tail(change: float, shift: float, away: float) -> float:
    """shift change / (1 - shift), rounded away from zero or towards it so that the bound stays one."""
    tail = shift * change / (1.0 - shift)
    return float(np.nextafter(tail + away * 8 * UNIT * abs(tail), away * np.inf))


def check_size(mdp: FiniteMDP) -> None:
    """Refuse numbers on which no bound in float64 is finite, and a discount that rows above 1 bring to 1."""
    most = float(np.abs(mdp.reward).max()) * mdp.n_steps + float(np.abs(mdp.terminal).max())
    scale = most if mdp.horizon is not None else most / (1.0 - mdp.gamma)
    if not scale < HUGE:
        raise InvalidMDP(f"values may reach {scale:.3g}, too large to bound in float64", "Scale the rewards down.")


def expectation(weights: FloatArray, lower: FloatArray, upper: FloatArray) -> tuple[float, float]:
    """Bounds of the exact sum of weights >= 0 times values in [lower, upper]."""
    slack = float(gamma(len(weights) + 4))
    # By einsum, whose last bits do not depend on the number of threads.
    low, high, down, up = (float(np.einsum("s,s->", weights, v)) for v in (lower, upper, np.abs(lower), np.abs(upper)))
    return low - slack * down - TINY, high + slack * up + TINY
