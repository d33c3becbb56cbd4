"""Barrier policy iteration: every row of the policy is set to the closed-form optimum of its own log-barrier problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent
from eqsolve.bayesian_network.barrier import barrier_maximum
from eqsolve.bayesian_network.evaluation import Evaluator
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import BayesianNetwork, Edges, InvalidNetwork, as_network
from eqsolve.bayesian_network.objective import Objective
from eqsolve.bayesian_network.parameters import truth_value
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.response import largest_gain
from eqsolve.driver import Run


@dataclass(frozen=True, slots=True)
class AgentwiseBarrierIteration(BarrierAscent):
    r"""Agents in turn set their tables to the optimum of their own log-barrier problem, the others' tables and all visits fixed.

    .. math:: \pi^i(\cdot \mid s, a^{\mathcal P^i}) \leftarrow \arg\max_{p \in \Delta}\ d(s, a^{\mathcal P^i})
              \langle p, A^i(s, a^{\mathcal P^i}, \cdot) \rangle + \frac{\lambda}{|S| |\mathcal A^{\mathcal P^i}| |\mathcal A^i|}
              \sum_a \log p_a

    The problem has the gradient of L_lambda in these tables, so that the way to its optimum leads upwards; the step is halved until
    it gains its share, which makes every iteration an ascent. Fixed points are the stationary points of L_lambda.

    Parameters
    ----------
    network : any network, ``"chain"`` by default.
    simultaneous : all agents move at once by a common step: one evaluation per iteration instead of one per agent.

    Notes
    -----
    Over a product network this is block coordinate ascent; it stops at Nash equilibria and promises no more.
    """

    network: str | Edges = "chain"
    simultaneous: bool = False

    def __post_init__(self) -> None:
        BarrierAscent.__post_init__(self)
        object.__setattr__(self, "simultaneous", truth_value("simultaneous", self.simultaneous))

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One step of all agents, or a round of steps of one agent each."""
        if self.simultaneous:
            return self.search(objective, state, *barrier_path(objective, state, range(objective.evaluator.game.n_agents)))
        at = state
        for i, choices in enumerate(objective.evaluator.game.n_actions):
            if choices == 1:
                continue
            following = self.search(objective, at, *barrier_path(objective, at, (i,)))
            at = following if following.moved else at
        return replace(state, moved=False) if at is state else at


@dataclass(frozen=True, slots=True)
class BarrierPolicyIteration(BarrierAscent):
    r"""Policy iteration for dense networks, on the joint policy.

    .. math:: \pi(a \mid s) \leftarrow \frac{\tau_s / |\mathcal A|}{c_s - Q(s, a)}, \qquad \tau_s = \frac{\lambda}{|S| d(s)},
              \quad c_s:\ \sum_a \pi(a \mid s) = 1

    Over a dense network the barrier is lambda KL(Unif, pi) of the joint policy, so that the agents may be taken as one who chooses
    the joint action. Full steps may cycle; each is halved until it gains its share of what its slope predicts.

    Parameters
    ----------
    network : ``"dense"``, or the edges of a dense network: the order in which the joint policy is handed out.

    Notes
    -----
    At its fixed points the optimality gap is at most lambda M (``bounds.stationary_optimal``). L_lambda is not concave: different
    fixed points have different objectives, and the same promise. Source: the notes on Theorem 2 in docs/bayesian-network.md.
    """

    network: str | Edges = "dense"

    def evaluator(self, game: CooperativeMarkovGame) -> Evaluator:
        """Of the game whose one agent chooses the joint action."""
        network = as_network(self.network, game.n_agents)
        if not network.is_dense:
            raise InvalidNetwork(
                f"BarrierPolicyIteration is for dense networks; this one has {len(network.edges)} edges",
                "Use AgentwiseBarrierIteration.",
            )
        return Evaluator.of(game.merged(), BayesianNetwork(((),)))

    def nash_gap(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> float:
        """The most that one of the agents gains alone, not all of them as one."""
        policy = self._handed_out(game, np.exp(state.logits))
        agents = run.derived("evaluator of the agents", lambda: Evaluator.of(game, policy.network))
        return largest_gain(agents, policy.tables)

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One improvement of the joint policy."""
        return self.search(objective, state, *barrier_path(objective, state, (0,)))

    def finish(self, game: CooperativeMarkovGame, state: Ascent, run: Run) -> BayesianNetworkPolicy:
        """The joint policy as tables over the network."""
        return self._handed_out(game, BarrierAscent.finish(self, game, state, run).tables[0])

    def _handed_out(self, game: CooperativeMarkovGame, joint: FloatArray) -> BayesianNetworkPolicy:
        network = as_network(self.network, game.n_agents)
        return BayesianNetworkPolicy.from_joint(network, joint.reshape(game.n_states, *game.n_actions))


def barrier_path(objective: Objective, state: Ascent, agents: Iterable[int]) -> tuple[Callable[[float], FloatArray], float, float]:
    """The way from the present probabilities of some agents to the optimum of their barrier problems: path, first step, slope."""
    layout = objective.evaluator.layout
    probability = np.exp(state.logits)
    target, slope = probability.copy(), 0.0
    for i in agents:
        part = slice(int(layout.offsets[i]), int(layout.offsets[i + 1]))
        shape = (-1, layout.n_actions[i])
        pull, pi = state.pull[part].reshape(shape), probability[part].reshape(shape)
        kappa = objective.lam / pi.size
        best = barrier_maximum(pull, np.full(len(pi), kappa))
        target[part] = best.reshape(-1)
        slope += float(((best - pi) * (pull + kappa / pi)).sum())
    return (lambda t: np.log((1.0 - t) * probability + t * target)), 1.0, slope
