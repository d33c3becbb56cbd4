"""Means of independent rollouts and their confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, real_number
from eqsolve.errors import InvalidData


@dataclass(frozen=True, slots=True)
class Estimate:
    r"""What a policy earns, estimated from rollouts of finite length.

    .. math:: |J - \text{mean}| \le \text{half\_width} + \frac{\gamma^H \tilde r}{1 - \gamma}
              \quad \text{with about the stated confidence}

    Parameters
    ----------
    mean : of the discounted rewards of the first H steps. half_width : of its confidence interval (Student's t).
    confidence : of the interval. truncation : the most that the steps after the last one can add or take away.
    rollouts, steps : B and H.
    """

    mean: float
    half_width: float
    confidence: float
    truncation: float
    rollouts: int
    steps: int

    @property
    def lower(self) -> float:
        """Lower end for the undiminished value J: interval and truncation."""
        return self.mean - self.half_width - self.truncation

    @property
    def upper(self) -> float:
        """Upper end for J."""
        return self.mean + self.half_width + self.truncation

    def __str__(self) -> str:
        sure = f"{100 * self.confidence:g} % confidence, {self.rollouts:,} rollouts of {self.steps:,} steps"
        return f"{self.mean:.6g} +- {self.half_width:.3g} ({sure}; later steps add at most {self.truncation:.3g})"


def mean_and_half_width(values: FloatArray, strata: IntArray, shares: FloatArray | None, confidence: float) -> tuple[float, float]:
    r"""Mean of independent values and half the width of its confidence interval by Student's t.

    Parameters
    ----------
    values : (B,). strata : (B,) which stratum each belongs to. shares : (G,) true shares of the strata, or None for one stratum.

    Notes
    -----
    With strata the variance is :math:`\sum_g p_g^2 s_g^2 / B_g`, with the degrees of freedom of Welch and Satterthwaite. A
    stratum of fewer than two values is not enough for that, and then all values are one stratum.

    Raises
    ------
    InvalidData : fewer than two values, a confidence outside (0, 1).
    """
    from scipy.special import stdtrit

    sure = real_number("confidence", confidence, above=0.0, below=1.0)
    if len(values) < 2:
        raise InvalidData("one rollout has no confidence interval", "Play at least two.")
    sizes = np.bincount(strata, minlength=0 if shares is None else len(shares))
    if shares is None or (sizes[shares > 0] < 2).any():
        strata, shares = np.zeros(len(values), dtype=np.int64), np.ones(1)
    mean, parts, freedom = by_stratum(values, strata, shares)
    variance = float(parts.sum())
    if variance == 0.0:
        return mean, 0.0
    degrees = variance**2 / float((parts**2 / freedom).sum())
    return mean, float(stdtrit(degrees, 0.5 + 0.5 * sure)) * float(np.sqrt(variance))


def by_stratum(values: FloatArray, strata: IntArray, shares: FloatArray) -> tuple[float, FloatArray, IntArray]:
    """Mean, parts of its variance and degrees of freedom of the strata that are met; shares of others are spread over these."""
    sizes = np.bincount(strata, minlength=len(shares))
    met = (sizes > 0) & (shares > 0)
    size, weight = sizes[met], shares[met] / shares[met].sum()
    means = np.bincount(strata, values, len(shares))[met] / size
    place = np.cumsum(met) - 1
    away = np.bincount(strata, (values - means[place[strata]]) ** 2, len(shares))[met]
    freedom = np.maximum(size - 1, 1)
    return float(weight @ means), weight**2 * away / freedom / size, freedom
