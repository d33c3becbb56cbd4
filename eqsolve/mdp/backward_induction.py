"""Backward induction for finite horizons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.driver import Algorithm, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.mdp.bellman import LARGEST, UNIT, Bellman
from eqsolve.mdp.dynamic_programming import ROUNDING, MDPPolicy, linear_program
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.programs import Program


@dataclass(frozen=True, slots=True, eq=False)
class Backward:
    """What is known after some steps from the end; the last step comes first in every tuple.

    Parameters
    ----------
    values : the values (S,) of the time after the last step, of the last step, and so on. pairs : the policy (S,) of these steps.
    errors : how far rounding may have led ``values`` away, both from v* and from the value of the policy.
    """

    values: tuple[FloatArray, ...]
    pairs: tuple[IntArray, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BackwardInduction(Algorithm[FiniteMDP, Backward, MDPPolicy]):
    """Backward induction, one time step per step of the method; exact up to rounding, which is accounted for.

    Where a budget ends the run, states take their first action in the time steps that were not reached, and the gap counts that.
    Ties go to the first action. Source: Puterman (2005), section 4.5.
    """

    def begin(self, mdp: FiniteMDP) -> Backward:
        """After the last step.

        Raises
        ------
        InvalidMDP : there is no horizon, or rewards so large that the values are beyond the range of a float.
        """
        if mdp.horizon is None:
            raise InvalidMDP("backward induction needs a horizon, and the process is discounted without end", "Use another method.")
        most = mdp.horizon * float(np.abs(mdp.reward).max()) + float(np.abs(mdp.terminal).max())
        if not most <= LARGEST:
            raise InvalidMDP(f"rewards of size {np.abs(mdp.reward).max():g} give values beyond the range of floats", "Divide them.")
        return Backward((mdp.terminal.copy(),), (), (0.0,))

    def advance(self, mdp: FiniteMDP, state: Backward, operator: Bellman | None = None) -> Backward:
        """One time step further from the end; ``operator``, if given, is that of the time step."""
        h = self.next_step(mdp, state)
        operator = Bellman.of(mdp, h) if operator is None else operator
        after = state.values[-1]
        top, pairs = operator.greedy(after)
        carried = mdp.gamma * operator.mass[1] * state.errors[-1]
        error = (carried + operator.rounding(after)) * (1.0 + 8 * UNIT)
        return Backward((*state.values, top), (*state.pairs, pairs), (*state.errors, error))

    def next_step(self, mdp: FiniteMDP, state: Backward) -> int:
        """The number of the time step that comes next; -1 when all are done."""
        return mdp.n_steps - 1 - len(state.pairs)

    def init(self, game: FiniteMDP, run: Run) -> Backward:
        """After the last step."""
        return self.begin(game)

    def step(self, game: FiniteMDP, state: Backward, run: Run) -> tuple[Backward, Record]:
        """One time step further from the end."""
        h = self.next_step(game, state)
        if len(game.transition) > 1:
            operator = Bellman.of(game, h)
        else:
            operator = replace(run.derived("Bellman operator", lambda: Bellman.of(game)), reward=game.reward_at(h))
        following = self.advance(game, state, operator)
        return following, {"step": h, "value": float(game.initial @ following.values[-1]), "error": following.errors[-1]}

    def done(self, game: FiniteMDP, state: Backward) -> Status | None:
        """Converged at the first time step."""
        return Status.CONVERGED if self.next_step(game, state) < 0 else None

    def finish(self, game: FiniteMDP, state: Backward, run: Run) -> MDPPolicy:
        """The policy of all time steps."""
        missing = (game.first[:-1],) * (game.n_steps - len(state.pairs))
        policy = np.zeros((game.n_steps, game.n_pairs))
        np.put_along_axis(policy, np.stack((*missing, *state.pairs[::-1])), 1.0, axis=1)
        return MDPPolicy(policy)

    def objection(self, result: Result[FiniteMDP, Backward, MDPPolicy]) -> str:
        """A gap above rounding."""
        allowed = ROUNDING * (1.0 + max(float(np.abs(one).max()) for one in result.state.values))
        return f"the gap {result.gap.upper:.3g} is above {allowed:.3g}" if result.gap.upper > allowed else ""

    def program(self, result: Result[FiniteMDP, Backward, MDPPolicy], *which: Any) -> Program:
        """The linear program that the run solved: ``"occupancy"`` (the default) or its dual, ``"value"``."""
        return linear_program(result.game, *which)

    def select(self, game: FiniteMDP, selector: str, solved: Callable[[], Result[FiniteMDP, Backward, MDPPolicy]]) -> Program:
        """The same; nothing needs to be solved for it."""
        return linear_program(game, *selected(selector))


def backward_induction(mdp: FiniteMDP) -> Backward:
    """All steps.

    Raises
    ------
    InvalidMDP : as ``BackwardInduction.begin``.
    """
    method = BackwardInduction()
    state = method.begin(mdp)
    operator: Bellman | None = None
    while (h := method.next_step(mdp, state)) >= 0:
        if operator is None or len(mdp.transition) > 1:
            operator = Bellman.of(mdp, h)
        state = method.advance(mdp, state, replace(operator, reward=mdp.reward_at(h)))
    return state
