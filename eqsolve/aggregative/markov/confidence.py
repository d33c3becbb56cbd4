r"""Confidence in estimated transitions: how far the true ones can be, and what that makes of values.

For a cell with N visits at step h (from 0; H - 1 - h steps are left after it) and rewards that range over a span of R:

=========  ================================================================================================================
bonus      beta
=========  ================================================================================================================
``l1``     :math:`R (H-1-h) \sqrt{(S \ln 2 + \ln(H S |X| K / p)) / (2N)}`: the total variation within which the estimate
           lies with probability 1 - p for all steps, states, cells and numbers of visits at once, times the span of all
           values that are possible
``span``   the same total variation times the span :math:`\max_s V_i(s) - \min_s V_i(s)` of the bound itself: the
           confidence set holds for all functions of the next state at once, those that were chosen by the data included
``paper``  :math:`c R \sqrt{S H^2 \iota / N}` with :math:`\iota = \ln(S |X| H K / p)` and a constant c that the paper
           does not state; c = 1 is more than ``l1`` needs
=========  ================================================================================================================

Deriving ``l1``: for a set A of next states, the visits' indicators of A less their probabilities are martingale differences of
range 1, so that their mean exceeds t with probability at most exp(-2 N t^2) (Azuma, Hoeffding); there are 2^S sets A.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np

from eqsolve.aggregative.markov.optimistic import ExtensionPayoffs
from eqsolve.aggregative.markov.samples import Estimate
from eqsolve.arrays import FloatArray, IntArray

Bonus = Literal["l1", "span", "paper"]
BONUSES = ("l1", "span", "paper")


@dataclass(frozen=True, slots=True, eq=False)
class Confidence:
    """The rule that turns visits into bounds.

    Parameters
    ----------
    bonus, factor : which, and the paper's c. low, high : of a reward.
    horizon, n_states : H, S. log_term : ln(H S |X| K / p).
    """

    bonus: Bonus
    factor: float
    low: float
    high: float
    horizon: int
    n_states: int
    log_term: float

    @property
    def span(self) -> float:
        """R, of one reward."""
        return self.high - self.low

    def left(self, h: int) -> int:
        """Steps after step h."""
        return self.horizon - 1 - h

    def radius(self, visits: FloatArray) -> FloatArray:
        """(C,) total variation; 0 at infinitely many visits."""
        return np.asarray(np.sqrt((self.n_states * log(2.0) + self.log_term) / (2.0 * visits)))

    def bonus_of(self, visits: FloatArray, reach: FloatArray) -> FloatArray:
        """(G, C) beta, for values that range over ``reach`` (G,)."""
        if self.bonus == "paper":
            beta = self.factor * self.span * self.horizon * np.sqrt(self.n_states * self.log_term / visits)
            return np.broadcast_to(beta, (len(reach), len(visits)))
        return np.outer(reach, self.radius(visits))

    def upper(self, values: FloatArray, estimate: Estimate, h: int, gamma: float, owner: IntArray) -> ExtensionPayoffs:
        r"""Upper bounds on :math:`\sum_{s'} P(s' \mid s, x) V_g(s')` at any x, for bounds V (G, S).

        .. math:: \min_{x'} \{ (\hat P V)(x') + \beta(x') + L (b + \lVert x - x' \rVert_\infty) \}, \qquad L = \gamma_P \text{span}

        over the visited cells: the others' bonus exceeds everything that is possible, which is where the result is clipped.
        """
        return self._bound(values, estimate, h, gamma, owner, self.high * self.left(h), self.low * self.left(h))

    def lower(self, values: FloatArray, estimate: Estimate, h: int, gamma: float, owner: IntArray) -> ExtensionPayoffs:
        """Minus lower bounds, for lower bounds V: the upper bounds for -V."""
        return self._bound(-values, estimate, h, gamma, owner, -self.low * self.left(h), -self.high * self.left(h))

    def _bound(
        self, values: FloatArray, estimate: Estimate, h: int, gamma: float, owner: IntArray, most: float, least: float
    ) -> ExtensionPayoffs:
        G = len(values)
        if self.bonus == "span":
            tops, bottoms = values.max(axis=1), values.min(axis=1)
        else:
            tops, bottoms = np.full(G, most), np.full(G, least)
        reach = tops - bottoms
        slope = gamma * reach
        worth = values @ estimate.probability.T + self.bonus_of(estimate.visits, reach)
        worth += (slope * estimate.half_width)[:, None]
        return ExtensionPayoffs(estimate.places, worth, slope, bottoms, tops, owner)
