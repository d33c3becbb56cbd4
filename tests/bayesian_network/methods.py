"""Small games, methods that climb over them, and L_lambda as its definition has it: over joint actions, of complex logits too."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from scipy import sparse

from eqsolve.backends import Limits
from eqsolve.bayesian_network import (
    BayesianNetwork,
    CooperativeMarkovGame,
    as_network,
    climbing_game,
    penalty_game,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.factors import Factor
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.driver import Run
from tests.bayesian_network import oracle
from tests.bayesian_network.games import Dense, joint_by_hand

METHODS = {
    "LBFGS": LBFGS,
    "natural gradient": NaturalGradient,
    "gradient": partial(BNPolicyGradient, line_search=True),
    "agentwise": AgentwiseBarrierIteration,
    "simultaneous": partial(AgentwiseBarrierIteration, simultaneous=True),
}
"""Those that take any network and never go down."""
NETWORKS = ("product", "chain", "dense")
COLLIDER = ((0, 2), (1, 2))
LAM = 0.1
ENOUGH = Limits(iterations=3000)


def unreachable_state(gamma: float = 0.7) -> CooperativeMarkovGame:
    """Three states of which the last one is never met, and the second only if both agents want to."""
    P = np.zeros((3, 2, 2, 3))
    P[0, :, :, 0] = P[1, :, :, 0] = P[2, :, :, 2] = 1.0
    P[0, 1, 1] = 0.0, 1.0, 0.0
    reward = np.zeros((3, 2, 2))
    reward[0, 0, 0], reward[1, 1, 0], reward[2, 0, 1] = 1.0, 4.0, 2.0
    return CooperativeMarkovGame((2, 2), P, reward, gamma, initial=[1.0, 0.0, 0.0])


def ragged_game() -> CooperativeMarkovGame:
    """Agents of one, three and two actions, and a sparse kernel."""
    rng = np.random.default_rng(3)
    P = rng.dirichlet(np.ones(2), 12)
    P[::5] = 1.0, 0.0
    return CooperativeMarkovGame((1, 3, 1, 2), sparse.csr_array(P), rng.standard_normal((2, 1, 3, 1, 2)), 0.6, initial=[0.3, 0.7])


GAMES = {
    "penalty": penalty_game,
    "climbing": climbing_game,
    "dense": lambda: random_cooperative(3, (2, 3), gamma=0.8, seed=1),
    "sparse": lambda: random_cooperative(3, (2, 2, 2), gamma=0.7, successors=2, seed=2),
    "factored": lambda: random_factored(2, (2, 3, 2), gamma=0.8, seed=3),
    "ragged": ragged_game,
    "one agent": lambda: random_cooperative(3, (3,), gamma=0.9, seed=5),
    "one state": lambda: random_cooperative(1, (2, 2, 3), gamma=0.5, seed=6),
    "no future": lambda: random_cooperative(3, (2, 3), gamma=0.0, seed=7),
    "unreachable": unreachable_state,
    "nothing to do": lambda: random_cooperative(2, (1, 1), gamma=0.5, seed=8),
}


@lru_cache(maxsize=len(GAMES))
def game(name: str) -> CooperativeMarkovGame:
    return GAMES[name]()


def network_of(one: CooperativeMarkovGame, given) -> BayesianNetwork:
    return as_network(given, one.n_agents)


def rescaled(one: CooperativeMarkovGame, by: float, plus: float = 0.0) -> CooperativeMarkovGame:
    """The game with rewards times a number, plus another."""
    reward = [Factor(part.agents, by * part.table) for part in one.reward] + [Factor((), np.full(one.n_states, plus))]
    transition = one.moves if one.kernel is None else one.kernel
    return CooperativeMarkovGame(one.n_actions, transition, reward, one.gamma, initial=one.initial)


class ByHand:
    """L_lambda of logits (D,) of all tables one after another."""

    def __init__(self, one: CooperativeMarkovGame, network: BayesianNetwork, lam: float):
        self.dense = Dense(one.n_actions, oracle.transitions(one), oracle.rewards(one), one.gamma, one.initial)
        self.network, self.lam = network, lam
        self.shapes = [(one.n_states, *(one.n_actions[j] for j in network.family(i))) for i in range(one.n_agents)]
        self.ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])

    def __call__(self, logits):
        tables, barrier = [], 0.0
        for i, shape in enumerate(self.shapes):
            weight = np.exp(logits[self.ends[i] : self.ends[i + 1]].reshape(shape))
            tables.append(weight / weight.sum(axis=-1, keepdims=True))
            barrier += (-np.log(tables[-1] * shape[-1])).mean(axis=-1).mean()  # the KL of a row, averaged over (s, a^P)
        return self.dense.value(joint_by_hand(self.network, tables, self.dense.m)) - self.lam * barrier

    def gradient(self, logits):
        """(D,) by complex steps, in which nothing is subtracted: exact to rounding."""
        return np.array([self(logits + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(logits))])

    def hessian(self, logits, h=1e-5):
        """(D, D) by central differences of the gradient."""
        rows = [(self.gradient(logits + h * unit) - self.gradient(logits - h * unit)) / (2 * h) for unit in np.eye(len(logits))]
        return 0.5 * (np.array(rows) + np.array(rows).T)


def logits_of(policy):
    """(D,)"""
    return np.concatenate([np.log(table).reshape(-1) for table in policy.tables])


def mismatch_by_enumeration(one: CooperativeMarkovGame) -> float:
    """M: the largest ratio of visits of two deterministic policies; infinite where a state can be left out."""
    if one.n_states == 1 or one.gamma == 0.0:
        return 1.0
    d = oracle.visits(one, oracle.deterministic(one)).max(axis=0), oracle.visits(one, oracle.deterministic(one)).min(axis=0)
    met = d[0] > 0
    return float((d[0][met] / d[1][met]).max()) if (d[1][met] > 0).all() else np.inf


__all__ = [
    "COLLIDER",
    "GAMES",
    "METHODS",
    "NETWORKS",
    "BarrierPolicyIteration",
    "ByHand",
    "game",
    "logits_of",
    "mismatch_by_enumeration",
    "network_of",
    "ragged_game",
    "rescaled",
    "unreachable_state",
]


def scale_of(one, lam=LAM):
    low, high = one.reward_range
    return max(lam, (high - low) / (1 - one.gamma))


def path_of(one, algorithm, steps):
    """The states of a run, the start among them."""
    run, states = Run(), []
    states.append(algorithm.init(one, run))
    for k in range(steps):
        if algorithm.done(one, states[-1]) is not None:
            break
        run.iteration = k
        states.append(algorithm.step(one, states[-1], run)[0])
    return states


class Lamps:
    """Two lamps, told apart by the state, of which the first agent sees the colour; both should switch to it.

    There are no tables: the rules are lines of a function, and the next colour comes of the rng that it is given.
    """

    n_states, n_actions, gamma = 2, (2, 2), 0.5

    def __init__(self):
        self.calls, self.episodes = 0, set()

    def reset(self, rng, episodes):
        self.episodes.add(episodes)
        return rng.integers(2, size=episodes)

    def play(self, rng, states, actions):
        self.calls += 1
        assert states.shape == (len(actions),)
        assert actions.shape == (len(states), 2)
        right = (actions == states[:, None]).all(axis=1)
        return np.where(right, 1.0, 0.0), (states + (rng.random(len(states)) < 0.3)) % 2

    @staticmethod
    def model():
        reward = np.zeros((2, 2, 2))
        reward[0, 0, 0] = reward[1, 1, 1] = 1.0
        P = np.empty((2, 2, 2, 2))
        P[0], P[1] = (0.7, 0.3), (0.3, 0.7)
        return CooperativeMarkovGame((2, 2), P, reward, 0.5)
