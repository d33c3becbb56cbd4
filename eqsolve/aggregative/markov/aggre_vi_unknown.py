"""Aggregative value iteration where the rewards are not known either. Experimental."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.learning import Learned, Learning, Place, Plan
from eqsolve.aggregative.markov.optimistic import ExtensionPayoffs, OptimisticPayoffs
from eqsolve.aggregative.markov.reward_samples import RewardSamples
from eqsolve.aggregative.markov.samples import cell_of
from eqsolve.aggregative.markov.simulator import Episodes
from eqsolve.aggregative.markov.stage import Classes
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray, float_array, real_number
from eqsolve.driver import Run
from eqsolve.errors import InvalidData

Noise = Callable[[np.random.Generator, int], Any]


@dataclass(frozen=True, slots=True)
class AggreVIUnknownRewards(Learning):
    r"""EXPERIMENTAL. Aggre-VI with unknown rewards (Algorithm 4, unfinished in the paper): rewards are estimated as well.

    .. math:: \bar Q_{i,h}(s, a_i, x) = \min_{x'} \{ \hat r(x') + \sqrt{\tfrac{\ln(2 N |X| H S K / p)}{2 N_i(s, a_i, x')}}\, R +
              \gamma_r (b + \lVert x - x' \rVert_\infty) \} + \bar q_{i,h}(s, x)

    with counters per action, cell, step and state, N the number of (type, action) pairs, and the transition part of
    ``AggreVI``; the probability of failure is shared between the two. What is proved: with probability 1 - p every plan's gap is
    at most Delta plus the gaps of its stage games, since rewards and transitions lie in their confidence sets. What is not: how
    fast Delta falls. The proof for known rewards does not carry over, as the width then depends on the player, and a sum of
    largest widths can be n times the largest sum (erratum 20).

    Players of one type who play one action at a visit are one observation together.

    Parameters
    ----------
    noise : ``noise(generator, size)`` gives (size,) numbers of mean 0 that are added to rewards when they are observed; None for
        rewards seen as they are. noise_bound : no number is larger in size.
    others : as in ``AggreVI``.

    Raises
    ------
    InvalidData : as in ``AggreVI``; noise that exceeds its bound.
    """

    noise: Noise | None = None
    noise_bound: float = 0.0

    experimental: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Learning.__post_init__(self)
        if self.noise is not None and not callable(self.noise):
            raise InvalidData(f"noise is {self.noise!r}, which cannot be called", "Give a function of (generator, size).")
        object.__setattr__(self, "noise_bound", real_number("noise_bound", self.noise_bound, least=0.0))
        if (self.noise is None) is not (self.noise_bound == 0.0):
            raise InvalidData(
                f"noise is {self.noise!r} and noise_bound {self.noise_bound:g}",
                "Give both, a function and a bound above 0, or none.",
            )

    def log_term(self, game: AggregativeMarkovGame) -> float:
        """ln(H S |X| K / (p/2)): half of the failures is the rewards'."""
        return Learning.log_term(self, game) + log(2.0)

    def learns_at(self, game: AggregativeMarkovGame, h: int) -> bool:
        """Everywhere."""
        return True

    def init(self, game: AggregativeMarkovGame, run: Run) -> Learned:
        """Nothing seen."""
        start = Learning.init(self, game, run)
        return replace(start, rewards=RewardSamples.none(game.merged().n_columns))

    def optimistic(self, game: AggregativeMarkovGame, place: Place, classes: Classes, upper: FloatArray) -> Payoffs:
        """Bounds on the rewards and on what comes after."""
        gamma = float(game.gamma_transition[place.h, place.s])
        later = place.confidence.upper(classes.values, place.estimate, place.h, gamma, classes.owner)
        return OptimisticPayoffs(self._rewards(game, place, classes.columns, 1), later)

    def pessimistic(
        self, game: AggregativeMarkovGame, place: Place, actions: npt.NDArray[np.int32], x: FloatArray, lower: FloatArray
    ) -> FloatArray:
        """Bounds on the rewards and on what comes after, from below."""
        used, where = np.unique(game.column_of(actions), return_inverse=True)
        now = self._rewards(game, place, used, -1).groups(x[None, :])[0][where]
        gamma, each = float(game.gamma_transition[place.h, place.s]), np.arange(game.n_players)
        return np.asarray(-now - place.confidence.lower(lower, place.estimate, place.h, gamma, each).groups(x[None, :])[0])

    def _rewards(self, game: AggregativeMarkovGame, place: Place, columns: IntArray, sign: int) -> ExtensionPayoffs:
        """Upper bounds on the rewards of some columns; minus lower bounds for ``sign`` -1."""
        seen, rule, h = place.rewards, place.confidence, place.h
        assert seen is not None
        slope = game.reward(h, place.s).lipschitz(game.lower[h], game.upper[h])[columns]
        term = rule.log_term + log(2.0 * game.n_columns)
        count = seen.count[:, columns].T
        spread = (rule.span + 2.0 * self.noise_bound) * np.sqrt(term / (2.0 * np.maximum(count, 1.0)))
        worth = np.where(count > 0, sign * seen.mean[:, columns].T + spread + (slope * seen.half_width)[:, None], np.inf)
        least, most = np.sort(sign * np.array([rule.low, rule.high]))
        ends = np.full(len(columns), least), np.full(len(columns), most)
        return ExtensionPayoffs(seen.places, worth, slope, *ends, np.arange(len(columns)))

    def watched(
        self, game: AggregativeMarkovGame, state: Learned, plan: Plan, x: FloatArray, played: Episodes, rng: np.random.Generator
    ) -> RewardSamples | None:
        """With the rewards of all players of a block of episodes."""
        found, grids = state.rewards, self.grids(game)
        assert found is not None
        for h, s in np.argwhere(played.visits > 0).tolist():
            used = np.unique(game.column_of(plan.actions[h, s]))
            count = int(played.visits[h, s])
            reward = game.reward(h, s).at(used, np.broadcast_to(x[h, s], (len(used), x.shape[-1])))
            total = count * reward + np.array([self._noise(rng, count) for _ in used])
            found = found.with_rewards((h, s, cell_of(grids[h], x[h, s])), used, count, total)
        return found

    def _noise(self, rng: np.random.Generator, count: int) -> float:
        if self.noise is None:
            return 0.0
        drawn = float_array("noise(generator, size)", self.noise(rng, count), (count,))
        if np.abs(drawn).max(initial=0.0) > self.noise_bound:
            raise InvalidData(f"noise of size {np.abs(drawn).max():g} was drawn; noise_bound is {self.noise_bound:g}")
        return float(drawn.sum())
