"""Policy gradient from episodes, for games whose model is not known."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, frozen, int_array, real_number, whole_number
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent, Keep
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.network import BayesianNetwork, Edges, as_network
from eqsolve.bayesian_network.objective import Objective, barrier_weight
from eqsolve.bayesian_network.parameters import truth_value
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy
from eqsolve.bayesian_network.simulation import Episodes, ModelSimulator, Simulator, horizon_for, play_episodes
from eqsolve.driver import Result, Run, Status
from eqsolve.errors import InvalidData


def sampled_value_gradient(layout: Layout, probability: FloatArray, episodes: Episodes, *, baseline: bool = True) -> FloatArray:
    r"""(D,) an estimate of the gradient of V(mu) by the logits, from episodes of the policy.

    .. math:: \frac{1}{n} \sum_e \sum_t \nabla_\theta \log \pi_\theta(a_t \mid s_t)\, \gamma^t \big( G_t - b_t(s_t) \big)

    Parameters
    ----------
    probability : (D,) of the policy that played.
    episodes : see ``play_episodes``; cut at T, which leaves gamma^T of the visits out.
    baseline : subtract the mean of gamma^t G_t over the *other* episodes that are in the same state at that step (0 where there
        is none), which keeps the estimate unbiased.

    Notes
    -----
    Source: Williams (1992); section 4 of the Bayesian-network paper for the gradient. In a row the sum over t of the indicator of
    the action less its probability needs the visits and the played actions only.
    """
    worth = episodes.returns()
    T, n = worth.shape
    if baseline and n > 1:
        worth = worth - _leave_one_out(episodes.states, worth, layout.n_states)
    total = np.zeros(layout.size)
    states, actions = episodes.states.reshape(-1), episodes.actions.reshape(T * n, -1)
    weight = worth.reshape(-1) / n
    for i in range(actions.shape[1]):
        shape, first = layout.shapes[i], int(layout.offsets[i])
        row = np.ravel_multi_index((states, *(actions[:, j] for j in layout.network.parents[i])), shape[:-1])
        played = np.bincount(row * shape[-1] + actions[:, i], weight, minlength=int(np.prod(shape)))
        visited = np.bincount(row, weight, minlength=int(np.prod(shape[:-1])))
        part = slice(first, int(layout.offsets[i + 1]))
        total[part] = played - np.repeat(visited, shape[-1]) * probability[part]
    return total


def _leave_one_out(states: IntArray, worth: FloatArray, S: int) -> FloatArray:
    T, n = worth.shape
    cell = (np.arange(T)[:, None] * S + states).reshape(-1)
    count = np.bincount(cell, minlength=T * S)[cell] - 1
    others = np.bincount(cell, worth.reshape(-1), minlength=T * S)[cell] - worth.reshape(-1)
    return np.asarray(np.where(count > 0, others / np.maximum(count, 1), 0.0).reshape(T, n))


@dataclass(frozen=True, slots=True)
class Reinforce(BarrierAscent):
    r"""Stochastic gradient ascent on L_lambda from episodes: it plays the game and never looks at rewards or transitions.

    The barrier's gradient is exact. The step falls with the iteration, :math:`\eta_t = \eta / \sqrt{1 + t / \text{decay}}`. After
    ``rounds`` iterations the run ends; it has converged if the certificate, which is computed from the model, says that no agent
    gains more than ``accuracy``.

    Parameters
    ----------
    episodes : per iteration. length : of an episode; when left out, so long that gamma^T <= 1e-3.
    step_size : eta, in units of 1 / reward; one over the span of values when left out. decay : in iterations.
    baseline : see ``sampled_value_gradient``. rounds : iterations. accuracy : Nash gap, in units of the span of values.

    Notes
    -----
    ``objective``, ``value`` and ``gradient_norm`` of the records are exact, for the reader; the ascent uses the episodes only. A
    game without any model is climbed by ``ascend_by_playing`` with a ``Simulator`` of your own.
    """

    keep: Keep = "objective"
    episodes: int = 256
    length: int | None = None
    step_size: float | None = None
    decay: float = 100.0
    baseline: bool = True
    rounds: int = 1000
    accuracy: float = 0.05

    def __post_init__(self) -> None:
        BarrierAscent.__post_init__(self)
        put = object.__setattr__
        put(self, "episodes", whole_number("episodes", self.episodes, 1))
        put(self, "rounds", whole_number("rounds", self.rounds, 1))
        put(self, "accuracy", real_number("accuracy", self.accuracy, above=0.0))
        put(self, "decay", real_number("decay", self.decay, above=0.0))
        put(self, "baseline", truth_value("baseline", self.baseline))
        if self.length is not None:
            put(self, "length", whole_number("length", self.length, 1))
        if self.step_size is not None:
            put(self, "step_size", real_number("step_size", self.step_size, above=0.0))

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One batch of episodes, one step."""
        game, layout = objective.evaluator.game, objective.evaluator.layout
        probability = np.exp(state.logits)
        length, done = self.length or horizon_for(game.gamma), self._rounds_of(state)
        # A stream of its own: the first one of the first step is where the start came from.
        played = play_episodes(ModelSimulator(game), objective.policy(probability), run.rng(1), self.episodes, length)
        gradient = sampled_value_gradient(layout, probability, played, baseline=self.baseline)
        gradient += self.lam * objective.barrier_gradient(probability)
        size = (self.step_size or 1.0 / self.scale(game)) / np.sqrt(1.0 + done / self.decay)
        counted = (np.asarray([done + 1.0]),)
        return self.settled(objective, objective.at(state.logits + size * gradient), state, step=size, memory=counted)

    def is_stationary(self, objective: Objective, gradient_norm: float) -> bool:
        """Never: a sampled gradient does not tell."""
        return False

    def done(self, game: CooperativeMarkovGame, state: Ascent) -> Status | None:
        """After so many rounds."""
        return Status.CONVERGED if self._rounds_of(state) >= self.rounds else None

    @staticmethod
    def _rounds_of(state: Ascent) -> float:
        return float(state.memory[0][0]) if state.memory else 0.0

    def objection(self, result: Result[CooperativeMarkovGame, Ascent, BayesianNetworkPolicy]) -> str:
        """An agent who gains more than the accuracy."""
        allowed = self.accuracy * self.scale(result.game)
        return f"an agent gains {result.gap.upper:.3g}, more than {allowed:.3g}" if result.gap.upper > allowed else ""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What ``ascend_by_playing`` reached.

    Parameters
    ----------
    policy : the last one. returns : (rounds,) mean discounted return of the episodes of every round.
    """

    policy: BayesianNetworkPolicy
    returns: FloatArray


def ascend_by_playing(
    simulator: Simulator,
    network: BayesianNetwork | str | Edges = "dense",
    lam: float = 0.01,
    *,
    rounds: int = 1000,
    episodes: int = 256,
    length: int | None = None,
    step_size: float = 1.0,
    decay: float = 100.0,
    baseline: bool = True,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Played:
    """The ascent of ``Reinforce`` on a game of which only episodes can be had; nothing can be certified without the model.

    Parameters
    ----------
    simulator : the game. step_size : in units of 1 / reward. progress : called with the round and its mean return.
    network, lam, rounds, episodes, length, decay, baseline, seed : as in ``Reinforce``.

    Returns
    -------
    Played. Ctrl-C ends the ascent and returns what was reached.

    Raises
    ------
    InvalidData : a parameter out of range, or a simulator that answers with something else than it should. InvalidNetwork.
    """
    sizes = int_array("the simulator's n_actions", simulator.n_actions, (None,))
    if not sizes.size or sizes.min() < 1:
        raise InvalidData(f"the simulator's n_actions is {simulator.n_actions!r}", "Every agent needs an action.")
    graph = as_network(network, len(sizes))
    layout = Layout(graph, whole_number("the simulator's n_states", simulator.n_states, 1), tuple(sizes.tolist()))
    gamma = real_number("the simulator's gamma", simulator.gamma, least=0.0, below=1.0)
    weight, steps = barrier_weight(lam), whole_number("rounds", rounds, 1)
    first, slow = real_number("step_size", step_size, above=0.0), real_number("decay", decay, above=0.0)
    horizon = horizon_for(gamma) if length is None else whole_number("length", length, 1)
    whole_number("episodes", episodes, 1)
    truth_value("baseline", baseline)
    whole_number("seed", seed, 0)
    logits, returns = np.zeros(layout.size), []
    with suppress(KeyboardInterrupt):
        for t in range(steps):
            probability = np.exp(layout.log_softmax(logits))
            policy = BayesianNetworkPolicy(graph, layout.tables(probability))
            played = play_episodes(simulator, policy, np.random.default_rng([seed, t]), episodes, horizon)
            gradient = sampled_value_gradient(layout, probability, played, baseline=baseline) + weight * layout.barrier_gradient(
                probability
            )
            logits = logits + first / np.sqrt(1.0 + t / slow) * gradient
            returns.append(float(played.returns()[0].mean()))
            if progress is not None:
                progress(t, returns[-1])
    probability = np.exp(layout.log_softmax(logits))
    return Played(BayesianNetworkPolicy(graph, layout.tables(probability)), frozen(np.asarray(returns)))
