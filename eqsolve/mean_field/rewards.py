"""Stochastic rewards of finite support, with the range that they are declared to stay in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import SUM, FloatArray, check_shape, float_array, frozen, real_number
from eqsolve.errors import InvalidGame


@dataclass(frozen=True, slots=True, eq=False)
class StochasticReward:
    r"""Random rewards: for every entry of a table finitely many values with probabilities, all within a declared range.

    Parameters
    ----------
    values : (..., M) what may be paid, in reward units; ``...`` are the axes of the table of mean rewards.
    probabilities : (..., M) or (M,) for all entries; rows sum to 1 within 1e-9.
    low, high : the declared range. Bounds that rest on it, such as Hoeffding's inequality in Algorithm 10, are wrong outside it.

    Raises
    ------
    InvalidGame : a value of positive probability outside the range, a row of probabilities that is none, another shape.

    Notes
    -----
    Source: Appendix F of the paper, where rewards are drawn from distributions of bounded support.

    Examples
    --------
    >>> StochasticReward([[0.0, 2.0], [1.0, 1.0]], [0.25, 0.75], 0.0, 2.0).mean
    array([1.5, 1. ])
    """

    values: FloatArray
    probabilities: FloatArray
    low: float
    high: float

    def __post_init__(self) -> None:
        put = object.__setattr__
        values = float_array("values", self.values, error=InvalidGame)
        if values.ndim < 1 or not values.size:
            raise InvalidGame(f"values has shape {values.shape}, not (..., M)", "The last axis lists what may be paid.")
        chances = float_array("probabilities", self.probabilities, error=InvalidGame)
        if chances.ndim == 1:
            check_shape("probabilities", chances, values.shape[-1:], InvalidGame)
            chances = frozen(np.broadcast_to(chances, values.shape).copy())
        check_shape("probabilities", chances, values.shape, InvalidGame)
        if chances.min() < 0:
            at = tuple(int(k) for k in np.argwhere(chances < 0)[0])
            raise InvalidGame(f"probabilities{list(at)} is {chances[at]:g}, a negative probability")
        total = chances.sum(axis=-1)
        wrong = np.abs(total - 1.0) > SUM
        if wrong.any():
            at = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise InvalidGame(f"probabilities{list(at)} sums to {total[at]:.12g}, not 1")
        put(self, "values", values)
        put(self, "probabilities", chances)
        put(self, "low", real_number("low", self.low, error=InvalidGame))
        put(self, "high", real_number("high", self.high, least=self.low, error=InvalidGame))
        self._check_range()

    @classmethod
    def around(cls, mean: npt.ArrayLike, spread: npt.ArrayLike) -> StochasticReward:
        """Mean rewards plus or minus a spread, each with probability one half; the range is declared as found."""
        middle = float_array("mean", mean, error=InvalidGame)
        width = np.broadcast_to(float_array("spread", spread, error=InvalidGame), middle.shape)
        values = np.stack([middle - width, middle + width], axis=-1)
        return cls(values, np.array([0.5, 0.5]), float(values.min()), float(values.max()))

    @property
    def mean(self) -> FloatArray:
        """(...) expected rewards."""
        return frozen(np.einsum("...m,...m->...", self.values, self.probabilities))

    @property
    def variance(self) -> FloatArray:
        """(...) variances of the rewards."""
        away = self.values - self.mean[..., None]
        return frozen(np.einsum("...m,...m->...", away * away, self.probabilities))

    @property
    def width(self) -> float:
        """high - low, in reward units."""
        return self.high - self.low

    def sample(self, rng: np.random.Generator, at: tuple[npt.ArrayLike, ...]) -> FloatArray:
        """Independent rewards of entries of the table: ``at`` holds one array of indices per axis, all of one shape."""
        cells = tuple(np.asarray(one) for one in at)
        edges = np.cumsum(self.probabilities, axis=-1)[cells]
        drawn = (rng.random(edges.shape[:-1])[..., None] >= edges).sum(axis=-1)
        # Rounding may leave a little of 1: that goes to the last value of positive probability.
        last = self.probabilities.shape[-1] - 1 - np.argmax(self.probabilities[..., ::-1] > 0, axis=-1)
        drawn = np.minimum(drawn, last[cells])
        return np.asarray(np.take_along_axis(self.values[cells], drawn[..., None], axis=-1)[..., 0])

    def _check_range(self) -> None:
        paid = self.probabilities > 0
        outside = paid & ((self.values < self.low) | (self.values > self.high))
        if outside.any():
            at = tuple(int(k) for k in np.argwhere(outside)[0])
            raise InvalidGame(
                f"values{list(at)} is {self.values[at]:g}, outside the declared range [{self.low:g}, {self.high:g}]",
                f"{int(outside.sum())} of {int(paid.sum())} rewards are outside. Declare a range that holds them all.",
            )
