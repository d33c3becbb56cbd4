"""Correlated and coarse correlated equilibria of finite Markov games by backward induction over stage programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, frozen
from eqsolve.backends.base import Backend
from eqsolve.certificates import GapCertificate
from eqsolve.normal_form.correlated import CorrelatedEquilibrium, correlated_equilibrium
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.markov_regret import markov_gap
from eqsolve.normal_form.regret import Correlated
from eqsolve.programs import Program
from eqsolve.programs.program import Sense

StageObjective = str | tuple[str, int | str] | Callable[[int, int], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One step of backward induction.

    Parameters
    ----------
    policy : (K,) a distribution over joint actions for every state.
    values : (N, S) what each player earns from this step on.
    gaps : (S,) the exact gap of each stage game.
    """

    policy: FloatArray
    values: FloatArray
    gaps: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class MarkovCorrelated:
    """A Markov correlated policy and what it is worth.

    Parameters
    ----------
    game : the game.
    concept, objective, sense : of every stage program.
    policy : (H, K); ``at(h, s)`` is one distribution with an axis per player.
    values : (H + 1, N, S) expected payoffs from each step on.
    gap : the exact gap of the policy by ``markov_gap``.
    """

    game: FiniteMarkovGame
    concept: Correlated
    objective: StageObjective
    sense: Sense
    policy: FloatArray
    values: FloatArray
    gap: GapCertificate

    def at(self, h: int, s: int) -> FloatArray:
        """(m_1, ..., m_N) the distribution over joint actions at step h in state s.

        Raises
        ------
        InvalidGame : there is no such step or state.
        """
        step, state = self.game.check_place(h, s)
        return self.policy[step, self.game.pairs_at(state)].reshape(self.game.shape_at(state))

    def stage(self, h: int, s: int) -> CorrelatedEquilibrium:
        """The stage game of step h and state s, solved again."""
        step, state = self.game.check_place(h, s)
        return _solve_stage(self.game, step, state, self.values[step + 1], self.concept, self.objective, self.sense, "auto")

    def program(self, h: int, s: int) -> Program:
        """The program of step h and state s."""
        return self.stage(h, s).program()


def stage(
    game: FiniteMarkovGame,
    h: int,
    values: npt.ArrayLike,
    concept: Correlated = "CCE",
    objective: StageObjective = "welfare",
    *,
    sense: Sense = "max",
    backend: str | Backend = "auto",
) -> Stage:
    """Solve the stage games of step h, given the values (N, S) of the states that follow. Nothing else is read or kept.

    Parameters
    ----------
    objective : as in ``correlated_equilibrium``, of the rewards to come; or a function of (h, s) that returns one.

    Raises
    ------
    See ``correlated_equilibrium``.
    """
    worth = float_array("values", values, (game.n_players, game.n_states))
    states = range(game.n_states)
    return joined(solve_state(s, game, h, worth, concept, objective, sense, backend) for s in states)


StateAnswer: TypeAlias = tuple[FloatArray, FloatArray, float]
"""The distribution over joint actions, what the players earn (N,), and the gap of the stage game of one state."""


def solve_state(
    s: int,
    game: FiniteMarkovGame,
    h: int,
    values: FloatArray,
    concept: Correlated,
    objective: StageObjective,
    sense: Sense,
    backend: str | Backend,
) -> StateAnswer:
    """One state of ``stage``; the states are independent of each other."""
    found = _solve_stage(game, h, s, values, concept, objective, sense, backend)
    return found.distribution.reshape(-1), found.payoffs, found.gap.upper


def joined(answers: Iterable[StateAnswer]) -> Stage:
    """A stage of the answers of all states in order."""
    policies, earned, gaps = zip(*answers, strict=True)
    return Stage(frozen(np.concatenate(policies)), frozen(np.stack(earned, axis=1)), frozen(np.array(gaps)))


def markov_correlated(
    game: FiniteMarkovGame,
    concept: Correlated = "CCE",
    objective: StageObjective = "welfare",
    *,
    sense: Sense = "max",
    backend: str | Backend = "auto",
) -> MarkovCorrelated:
    r"""A Markov (coarse) correlated equilibrium by backward induction: H x S stage programs.

    The baseline "CCE-Backward-Induction" that Tang, Tang and Wu name: from the last step back, the stage game of every state with
    payoffs :math:`r_{i,h}(s, a) + \sum_{s'} P_h(s' \mid s, a) V_{i,h+1}(s')` is solved for its best equilibrium. Each step is
    greedy: the policy is an equilibrium from every state and step, and of best welfare in each stage given what follows, not of
    best welfare among all Markov equilibria. The size of the programs is the product of the players' numbers of actions.

    Raises
    ------
    See ``correlated_equilibrium``.
    """
    policy = np.empty((game.horizon, game.n_pairs))
    values = np.empty((game.horizon + 1, game.n_players, game.n_states))
    values[-1] = game.terminal
    for h in range(game.horizon - 1, -1, -1):
        found = stage(game, h, values[h + 1], concept, objective, sense=sense, backend=backend)
        policy[h], values[h] = found.policy, found.values
    gap = markov_gap(game, policy, concept)
    return MarkovCorrelated(game, concept, objective, sense, frozen(policy), frozen(values), gap)


def _solve_stage(
    game: FiniteMarkovGame,
    h: int,
    s: int,
    values: FloatArray,
    concept: Correlated,
    objective: StageObjective,
    sense: Sense,
    backend: str | Backend,
) -> CorrelatedEquilibrium:
    stage_game = game.stage_game(h, s, values)
    wanted = objective(h, s) if callable(objective) else objective
    return correlated_equilibrium(stage_game, concept, wanted, sense=sense, backend=backend)
