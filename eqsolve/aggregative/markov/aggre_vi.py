"""Aggregative value iteration: learning an equilibrium of a game whose transitions are not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.learning import CELLS, Learning, Place
from eqsolve.aggregative.markov.optimistic import ExtensionPayoffs, OptimisticPayoffs
from eqsolve.aggregative.markov.stage import Classes
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData


@dataclass(frozen=True, slots=True)
class AggreVI(Learning):
    r"""Aggre-VI (Algorithm 3): the rewards are known, the transitions are learned from episodes.

    .. math:: \bar Q_{i,h}(s, a_i, x) = r_{h,i}(s, a_i, x) + \min_{x'} \bigl\{ \textstyle\sum_{s'} \hat P_h(s' \mid s, x')
              \bar V_{i,h+1}(s') + \beta(x') + L (b + \lVert x - x' \rVert_\infty) \bigr\}, \qquad L = \gamma_P R (H - 1 - h)

    and the same with minus signs for pessimistic values, over the visited cells x' of a learning grid of half-width b, clipped
    to what the rewards that are left allow (steps h count from 0; R is the span of a reward). Every plan plays, backwards from
    the last step, an equilibrium of the stage games of the optimistic values; its width Delta is the largest difference over
    players of optimistic and pessimistic value. With probability 1 - p every plan's true Nash gap is at most Delta plus the sum
    over steps of the largest gap of its stage games. The plan of least width is handed back.

    A step of the run makes one plan and plays it for a block of episodes, a share ``growth`` of those before it. The game itself is
    used to play, and to certify the answer; the learner looks at its rewards, contributions and Lipschitz constants only.

    Parameters
    ----------
    episodes : K, at most; the run is out of budget when they are played and the width is not reached.
    width : Delta at which the run has converged; H/10 times the range of rewards when left out.
    p : probability with which the confidence sets may fail. growth : new episodes per plan, relative to those so far.
    cells, half_width : of the learning grid; 10 cells along each coordinate when both are left out.
    bonus : ``"l1"``, ``"span"`` or ``"paper"``, see ``confidence``. factor : the paper's c.
    reward_range : least and largest reward of one step; checked on samples.
    tolerance, zeta, rounding, stage_cells, stage_half_width : of the Nash subroutine, whose grid is its own.
    variant : ``"corrected"``, or ``"paper"``: its bonus; rewards inside the extraction, per player, action and cell; terms
        :math:`\gamma_P H \alpha` with alpha = 2b; Lipschitz constants common to all players and states; sampled profiles.

    Raises
    ------
    InvalidData : a parameter out of range; rewards outside their range; a width below what the grid allows.
    InvalidGame : declared Lipschitz constants that samples refute.

    Notes
    -----
    The planner's welfare is that of the present step: what comes after it would need the transitions. A pure plan visits one cell
    per step and state, so that only cells on the way of some plan are ever counted; the others take no room. Source: Tang, Tang and
    Wu, section 5; errata 14 to 19, 21 and 22 of the notes.
    """

    variant: Literal["corrected", "paper"] = "corrected"

    def __post_init__(self) -> None:
        if self.variant not in ("corrected", "paper"):
            raise InvalidData(f"variant is {self.variant!r}, not 'corrected' or 'paper'")
        if self.variant == "paper":
            if self.bonus == "span":
                raise InvalidData("variant 'paper' has the bonus 'paper', not 'span'")
            object.__setattr__(self, "bonus", "paper")
        Learning.__post_init__(self)

    @property
    def stage(self) -> AggregativeNash:
        """The Nash subroutine; in the paper's form on the learning grid."""
        cells, half_width = self.stage_cells, self.stage_half_width
        if self.variant == "paper" and cells is None and half_width is None:
            cells, half_width = (self.cells, None) if self.half_width is None else (None, self.half_width)
            cells = CELLS if cells is None and half_width is None else cells
        return AggregativeNash(self.tolerance, self.zeta, cells, half_width, self.rounding, self.variant)

    def learns_at(self, game: AggregativeMarkovGame, h: int) -> bool:
        """At the last step the rewards are all, and they are known."""
        return h < game.horizon - 1 or self.variant == "paper"

    def optimistic(self, game: AggregativeMarkovGame, place: Place, classes: Classes, upper: FloatArray) -> Payoffs:
        """Rewards, and the bound on what comes after."""
        if self.variant == "paper":
            return self._joint(game, place, classes.columns, classes.values, classes.owner, 1)
        gamma = float(game.gamma_transition[place.h, place.s])
        later = place.confidence.upper(classes.values, place.estimate, place.h, gamma, classes.owner)
        return OptimisticPayoffs(game.reward(place.h, place.s).take(classes.columns), later)

    def pessimistic(
        self, game: AggregativeMarkovGame, place: Place, actions: npt.NDArray[np.int32], x: FloatArray, lower: FloatArray
    ) -> FloatArray:
        """Rewards, and the bound on what comes after, from below."""
        column, each = game.column_of(actions), np.arange(game.n_players)
        if self.variant == "paper":
            return np.asarray(-self._joint(game, place, column, lower, each, -1).groups(x[None, :])[0])
        used, where = np.unique(column, return_inverse=True)
        now = game.reward(place.h, place.s).at(used, np.broadcast_to(x, (len(used), len(x))))[where]
        gamma = float(game.gamma_transition[place.h, place.s])
        return np.asarray(now - place.confidence.lower(lower, place.estimate, place.h, gamma, each).groups(x[None, :])[0])

    @staticmethod
    def _joint(
        game: AggregativeMarkovGame, place: Place, columns: IntArray, values: FloatArray, owner: IntArray, sign: int
    ) -> ExtensionPayoffs:
        r"""Lines 6 and 7 as printed, clipped as in the proof.

        .. math:: \min_{x'} \{ (r + \hat P \bar V)(x') + \beta(x') + L_h \lVert x - x' \rVert + \gamma_P H \alpha \}

        ``sign`` -1 gives minus the lower bounds.
        """
        rule, seen, h = place.confidence, place.estimate, place.h
        gamma = float(game.gamma_transition.max()) * rule.span
        ahead = (values @ seen.probability.T)[owner]
        now = game.reward(h, place.s).batch(seen.places)[:, columns].T if len(seen.places) else np.zeros((len(columns), 0))
        worth = sign * (now + ahead) + rule.bonus_of(seen.visits, np.zeros(len(columns)))
        worth += gamma * game.horizon * 2 * seen.half_width
        slope = np.full(len(columns), float(game.gamma_rewards.max()) + gamma * rule.left(h))
        ends = np.sort(sign * (1 + rule.left(h)) * np.array([rule.low, rule.high]))
        least, most = (np.full(len(columns), end) for end in ends)
        return ExtensionPayoffs(seen.places, worth, slope, least, most, np.arange(len(columns)))
