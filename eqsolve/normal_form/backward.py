"""Correlated and coarse correlated equilibria of finite Markov games by backward induction over stage programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, frozen
from eqsolve.backends.base import Backend
from eqsolve.certificates import GapCertificate, Witness
from eqsolve.normal_form.correlated import CorrelatedEquilibrium, correlated_equilibrium
from eqsolve.normal_form.markov import FiniteMarkovGame
from eqsolve.normal_form.regret import Correlated, action_values, check_concept
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


def policy_values(game: FiniteMarkovGame, policy: npt.ArrayLike) -> FloatArray:
    """(H + 1, N, S) what each player earns from each step on under a Markov joint policy (H, K).

    Raises
    ------
    InvalidGame : not a policy of the game.
    """
    pi = game.check_policy(policy)
    values = np.empty((game.horizon + 1, game.n_players, game.n_states))
    values[-1] = game.terminal
    for h in range(game.horizon - 1, -1, -1):
        values[h] = np.add.reduceat(game.continuation(h, values[h + 1]) * pi[h], game.first[:-1], axis=1)
    return values


def deviation_values(game: FiniteMarkovGame, policy: npt.ArrayLike, concept: Correlated = "CCE") -> FloatArray:
    r"""(H + 1, N, S) what each player earns by a best deviation from each step on, the others keeping to the policy.

    ``"CCE"``: the player ignores all recommendations; with q the policy of the step,
    :math:`W_{i,h}(s) = \max_b \sum_a q(a) [r_{i,h}(s, b, a_{-i}) + P_h W_{i,h+1}(s, b, a_{-i})]`. ``"CE"``: the player sees the own
    recommendation of the step and replaces it: :math:`\sum_{a_i} \max_b \sum_{a_{-i}} \ldots` instead.

    Deviations that use the whole history are covered: the policy is Markov and draws each step's joint action anew, so given the
    state, the history says nothing of what the others will do. A player who deviates faces a finite-horizon decision process with
    the states of the game (and for ``"CE"`` the recommendation), in which some Markov deterministic plan is best among all.

    Raises
    ------
    InvalidGame, UnknownName : not a policy of the game, another concept.
    """
    check_concept(concept)
    pi = game.check_policy(policy)
    values = np.empty((game.horizon + 1, game.n_players, game.n_states))
    values[-1] = game.terminal
    for h in range(game.horizon - 1, -1, -1):
        worth = game.continuation(h, values[h + 1])
        for s in range(game.n_states):
            shape, part = game.shape_at(s), game.pairs_at(s)
            q = pi[h, part].reshape(shape)
            for i in range(game.n_players):
                V = action_values(worth[i, part].reshape(shape), q, i)
                values[h, i, s] = V.sum(axis=0).max() if concept == "CCE" else V.max(axis=1).sum()
    return values


def markov_gap(game: FiniteMarkovGame, policy: npt.ArrayLike, concept: Correlated = "CCE") -> GapCertificate:
    """The exact gap of a Markov joint policy (H, K): the most that one player gains by a best deviation, from the initial
    distribution, or from the worst state where the game has none. By dynamic programming over the game alone; no program is solved.

    Raises
    ------
    InvalidGame, UnknownName : see ``deviation_values``.
    """
    gains = deviation_values(game, policy, concept)[0] - policy_values(game, policy)[0]
    if game.initial is None:
        i, s = (int(k) for k in np.unravel_index(int(np.argmax(gains)), gains.shape))
        gap, start = float(gains[i, s]), f'from state "{game.state_label(s)}"'
    else:
        earned = gains @ game.initial
        i = int(np.argmax(earned))
        gap, start = float(earned[i]), "from the initial distribution"
    gap = max(gap, 0.0)
    witness = Witness(game.player_label(i), "best deviation of all", gap, where=start) if gap > 0 else None
    return GapCertificate(concept, gap, gap, "exact", witness)


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
