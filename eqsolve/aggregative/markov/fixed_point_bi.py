"""Backward induction over best replies, for any number of coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar, Literal

import numpy as np

from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.fixed_point import FixedPointNash
from eqsolve.aggregative.markov.backward import STAGE, Backward, BackwardAlgorithm, StageAnswer, StageTask
from eqsolve.aggregative.markov.evaluation import stage_values
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.stage import stage_game
from eqsolve.aggregative.pure_result import merged_game
from eqsolve.certificates import Bound
from eqsolve.driver import OutOfTime, Run, Status


@dataclass(frozen=True, slots=True)
class FixedPointBI(BackwardAlgorithm):
    r"""Backward induction whose stage games are solved by best replies (``FixedPointNash``): no grid, so that d may be large.

    The stage games have the continuation values in them, and replies are exact: a player sees what the own action does to the next
    state. Nothing is selected by welfare.

    Parameters
    ----------
    gap : stated for every stage game, in units of reward; :math:`(d + 1)\, \delta_h \max_i \gamma_i` when left out.
    step_rule, ties, patience, polish : see ``FixedPointNash``.

    Notes
    -----
    The run has converged when every stage game has reached its stated gap. The gap of the profile is at most the sum over steps of
    the largest gap of a stage game, whatever was stated: ``docs/aggregative-markov.md``, "Gap".
    """

    gap: float | None = None
    step_rule: Literal["adaptive", "harmonic"] = "adaptive"
    ties: Literal["first", "random"] = "first"
    patience: int = 30
    polish: bool = True

    looks_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        method = self.method
        object.__setattr__(self, "gap", method.gap)
        object.__setattr__(self, "patience", method.patience)

    @property
    def method(self) -> FixedPointNash:
        """The search of one stage game."""
        return FixedPointNash(self.gap, self.step_rule, self.ties, self.patience, self.polish)

    def answer(self, task: StageTask) -> StageAnswer:
        """Best replies in the game of one step and state until they end.

        Raises
        ------
        OutOfTime : the budget ended.
        """
        game, h, s, method, began = task.game, task.h, task.s, self.method, perf_counter()
        one = stage_game(game, h, s, task.classes)
        run = Run(seed=int(np.random.default_rng([task.seed, h, s]).integers(2**31)))
        state = method.init(one, run)
        while method.done(one, state) is None:
            if task.limits.seconds is not None and perf_counter() - began > task.limits.seconds:
                raise OutOfTime
            state = method.step(one, state, run)[0]
            run.iteration += 1
        plays = method.finish(one, state, run).plays
        actions = merged_game(one).profile(plays).astype(np.int32)
        values, welfare, _ = stage_values(game, h, s, actions, task.values, task.welfare)
        found = {"objective": welfare, "upper": np.inf, "gap": nash_gap(merged_game(one), plays).upper}
        found |= {"tolerance": method.stated(one) + 2 * state.floor, "blocks": run.iteration}
        numbers = tuple(float(found.get(name, 0.0)) for name in STAGE)
        return StageAnswer(actions, values, welfare, numbers, np.zeros(game.n_coordinates, dtype=np.int64))

    def done(self, game: AggregativeMarkovGame, state: Backward) -> Status | None:
        """Converged at the first step of the game if every stage has its stated gap, stalled if one has not."""
        if len(state.actions) < game.horizon:
            return None
        return Status.CONVERGED if (state.of("gap") <= state.of("tolerance")).all() else Status.STALLED

    def bounds(self, game: AggregativeMarkovGame, state: Backward, policy: MarkovProfile) -> tuple[Bound, ...]:
        """The sum of the gaps of the stage games."""
        terms = {f"step {h}": float(gap) for h, gap in enumerate(state.of("gap").max(axis=1))}
        return (Bound("stage gaps", sum(terms.values()), "the gaps of the stage games, added up over the steps", terms),)
