"""Backward induction over the stage programs of a finite Markov game, for the driver."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from eqsolve.arrays import FloatArray, float_array, frozen, whole_number
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.errors import InvalidData
from eqsolve.normal_form.algorithms import as_objective
from eqsolve.normal_form.backward import joined, solve_state
from eqsolve.normal_form.correlated import equilibrium_program
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.programs import Correlated
from eqsolve.normal_form.regret import CONCEPTS
from eqsolve.programs import Program

TOLERANCE = 1e-6
"""Gap per step, relative to 1 + the largest reward to come, that solvers may leave."""


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
    """A Markov (coarse) correlated equilibrium: one step of the game per iteration, the last one first.

    The same as ``markov_correlated``.

    The states of a step are independent and go through ``n_jobs``. Where a budget ends the run, all joint actions are equally
    likely in the steps that were not reached, and the gap counts that.

    Parameters
    ----------
    concept : ``"CCE"`` or ``"CE"``. objective, sense : of every stage program, as in ``CorrelatedSelection``.
    """

    concept: Correlated = "CCE"
    objective: str | tuple[str, int] = "welfare"
    sense: Literal["min", "max"] = "max"

    def __post_init__(self) -> None:
        if self.concept not in CONCEPTS:
            raise InvalidData(f"concept is {self.concept!r}, not one of {', '.join(CONCEPTS)}")
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
        run.remaining()
        given: Any = (game, h, state.values[h + 1], self.concept, self.objective, self.sense, run.backend)
        names = ("game", "h", "values", "concept", "objective", "sense", "backend")
        found = joined(run.map(partial(solve_state, **dict(zip(names, given, strict=True))), range(game.n_states)))
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
        allowed = TOLERANCE * (1.0 + float(np.abs(result.state.values).max())) * game.horizon
        return f"the gap {result.gap.upper:.3g} is above {allowed:.3g}" if result.gap.upper > allowed else ""

    def program(self, result: Result[FiniteMarkovGame, BackwardState, MarkovLottery], *which: Any) -> Program:
        """The stage program of a step and a state, by numbers; of the first ones by default.

        Raises
        ------
        InvalidData : there is no such step or state, or the run did not reach it.
        """
        game, state = result.game, result.state
        h, s = (*which, 0, 0)[:2] if which else (state.left, 0)
        step = whole_number("step", h, 0, most=game.horizon - 1)
        place = whole_number("state", s, 0, most=game.n_states - 1)
        if step < state.left:
            raise InvalidData(f"the run did not reach step {step}", f"It solved steps {state.left} to {game.horizon - 1}.")
        stage = game.stage_game(step, place, state.values[step + 1])
        return equilibrium_program(stage, self.concept, self.objective, sense=self.sense)
