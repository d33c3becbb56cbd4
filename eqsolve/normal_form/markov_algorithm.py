"""Backward induction over the stage programs of a finite Markov game, for the driver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from eqsolve.arrays import FloatArray, float_array, frozen
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.errors import InvalidData
from eqsolve.normal_form.algorithms import as_objective
from eqsolve.normal_form.backward import StateAnswer, joined, solve_state
from eqsolve.normal_form.correlated import equilibrium_program
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.programs import Correlated, check_sense
from eqsolve.normal_form.pure import TOLERANCE
from eqsolve.normal_form.regret import check_concept
from eqsolve.programs import Program

BATCH = 16
"""States per job between two looks at the clock."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkovLottery:
    """A distribution over joint actions for every step and state.

    Parameters
    ----------
    policy : (H, K) over the joint pairs of the game. concept : ``"CE"`` or ``"CCE"``, what it is meant to be.
    """

    policy: FloatArray
    concept: Correlated

    def __post_init__(self) -> None:
        object.__setattr__(self, "policy", float_array("policy", self.policy, (None, None)))


@dataclass(frozen=True, slots=True, eq=False)
class BackwardState:
    """What is known of the last steps.

    Parameters
    ----------
    policy : (H, K), values : (H + 1, N, S); those of steps below ``left`` are not filled in yet.
    left : number of steps that are left.
    """

    policy: FloatArray
    values: FloatArray
    left: int


@dataclass(frozen=True, slots=True)
class MarkovSelection(Algorithm[FiniteMarkovGame, BackwardState, MarkovLottery]):
    """A Markov (coarse) correlated equilibrium as of ``markov_correlated``: one step of the game per iteration, the last one first.

    The states of a step are independent and go through ``n_jobs``. Where a budget ends the run, all joint actions are equally
    likely in the steps that were not reached, and the gap counts that.

    Parameters
    ----------
    concept : ``"CCE"`` or ``"CE"``. objective, sense : of every stage program, as in ``CorrelatedSelection``.
    """

    concept: Correlated = "CCE"
    objective: str | tuple[str, int | str] = "welfare"
    sense: Literal["min", "max"] = "max"

    def __post_init__(self) -> None:
        check_concept(self.concept)
        check_sense(self.sense)
        object.__setattr__(self, "objective", as_objective(self.objective))

    def init(self, game: FiniteMarkovGame, run: Run) -> BackwardState:
        """After the last step."""
        values = np.zeros((game.horizon + 1, game.n_players, game.n_states))
        values[-1] = game.terminal
        policy = np.repeat(1.0 / np.diff(game.first), np.diff(game.first))
        return BackwardState(frozen(np.tile(policy, (game.horizon, 1))), frozen(values), game.horizon)

    def step(self, game: FiniteMarkovGame, state: BackwardState, run: Run) -> tuple[BackwardState, Record]:
        """All stage games of the step before."""
        h = state.left - 1
        one = partial(
            solve_state,
            game=game,
            h=h,
            values=state.values[h + 1],
            concept=self.concept,
            objective=self.objective,
            sense=self.sense,
            backend=run.backend,
        )
        answers: list[StateAnswer] = []
        batch = BATCH * run.n_jobs if run.n_jobs > 0 else game.n_states
        for first in range(0, game.n_states, batch):
            run.remaining()
            answers += run.map(one, range(game.n_states)[first : first + batch])
        found = joined(answers)
        policy, values = state.policy.copy(), state.values.copy()
        policy[h], values[h] = found.policy, found.values
        record = {"step": h, "welfare": float(values[h].sum(axis=0).mean()), "worst_stage_gap": float(found.gaps.max())}
        return BackwardState(frozen(policy), frozen(values), h), record

    def done(self, game: FiniteMarkovGame, state: BackwardState) -> Status | None:
        """Converged at the first step."""
        return None if state.left else Status.CONVERGED

    def finish(self, game: FiniteMarkovGame, state: BackwardState, run: Run) -> MarkovLottery:
        """The policy."""
        return MarkovLottery(state.policy, self.concept)

    def objection(self, result: Result[FiniteMarkovGame, BackwardState, MarkovLottery]) -> str:
        """A gap above what solvers may leave."""
        game = result.game
        by_player = np.moveaxis(game.reward, -2, 0).reshape(game.n_players, -1)
        most = game.horizon * np.ptp(by_player, axis=1) + np.ptp(game.terminal, axis=1)
        allowed = TOLERANCE * float(most.max())
        return f"the gap {result.gap.upper:.3g} is above {allowed:.3g}" if result.gap.upper > allowed else ""

    def program(self, result: Result[FiniteMarkovGame, BackwardState, MarkovLottery], *which: Any) -> Program:
        """The stage program of a step and a state, by numbers; of the first ones by default.

        Raises
        ------
        InvalidData : there is no such step or state, or the run did not reach it.
        """
        game, state = result.game, result.state
        h, s = (*which, 0, 0)[:2] if which else (state.left, 0)
        step, place = game.check_place(h, s)
        if step < state.left:
            raise InvalidData(f"the run did not reach step {step}", f"It solved steps {state.left} to {game.horizon - 1}.")
        stage = game.stage_game(step, place, state.values[step + 1])
        return equilibrium_program(stage, self.concept, self.objective, sense=self.sense)
