"""Random games and networks, and what a reader of the definitions would compute: everything over all joint actions, written out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.bayesian_network import BayesianNetwork, BayesianNetworkPolicy, CooperativeMarkovGame
from eqsolve.mdp import FiniteMDP

FORMS = ("dense", "sparse", "factored", "factored reward", "factored transitions", "one state")


def random_network(rng, N, share=0.5):
    """Edges along a random order of the agents, each with a probability."""
    order = rng.permutation(N).tolist()
    edges = [(order[j], order[i]) for i in range(N) for j in range(i) if rng.random() < share]
    return BayesianNetwork.from_edges(N, edges)


@st.composite
def networks(draw, most=6):
    """Any acyclic graph over up to so many agents."""
    N = draw(st.integers(1, most))
    order = draw(st.permutations(range(N)))
    pairs = [(order[j], order[i]) for i in range(N) for j in range(i)]
    chosen = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    return BayesianNetwork.from_edges(N, [pair for pair, taken in zip(pairs, chosen, strict=True) if taken])


def random_logits(rng, network, S, m, scale=1.0):
    return [scale * rng.standard_normal((S, *(m[j] for j in network.family(i)))) for i in range(network.n_agents)]


def random_policy(rng, network, S, m):
    return BayesianNetworkPolicy.softmax(network, random_logits(rng, network, S, m))


def spoilt(rng, policy, share=0.3):
    """The policy with some rows made deterministic, so that actions, and actions of parents, have probability 0."""
    tables = []
    for table in policy.tables:
        m = table.shape[-1]
        rows = table.reshape(-1, m).copy()
        for k in np.flatnonzero(rng.random(len(rows)) < share):
            rows[k] = np.eye(m)[rng.integers(m)]
        tables.append(rows.reshape(table.shape))
    return BayesianNetworkPolicy(policy.network, tuple(tables))


def joint_actions(m):
    """(A, N) in row-major order."""
    return np.array(list(product(*map(range, m))))


def joint_by_hand(network, tables, m):
    """(S, A) the product of the tables; of any numbers, complex ones too."""
    a = joint_actions(m)
    found = 1.0
    for i, table in enumerate(tables):
        seen = [a[:, j] for j in sorted(network.parents[i])]
        found = found * np.asarray(table)[(slice(None), *seen, a[:, i])]
    return found


@dataclass(frozen=True)
class Dense:
    """A game over joint actions: P (S, A, S), r (S, A)."""

    m: tuple[int, ...]
    P: np.ndarray
    r: np.ndarray
    gamma: float
    initial: np.ndarray

    def process(self):
        return FiniteMDP.from_arrays(self.P, self.r, self.gamma, initial=self.initial)

    def value(self, joint):
        """V(mu) of joint probabilities (S, A), of any numbers."""
        P = np.einsum("sa,sat->st", joint, self.P)
        return self.initial @ np.linalg.solve(np.eye(len(P)) - self.gamma * P, (joint * self.r).sum(axis=1))


def sum_of(parts, S, m, *tail):
    """(S, A, tail) a sum of pairs (agents, table), one joint action after the other."""
    a = joint_actions(m)
    total = np.zeros((S, len(a), *tail))
    for agents, table in parts:
        for k, joint in enumerate(a):
            total[:, k] += np.asarray(table)[(slice(None), *(int(joint[i]) for i in agents))]
    return total


def random_parts(rng, S, m, count, *tail):
    """Pairs (agents in any order, table) with scopes of up to three agents, sometimes nobody."""
    parts = []
    for _ in range(count):
        agents = tuple(rng.permutation(len(m))[: rng.integers(0, min(3, len(m)) + 1)].tolist())
        shape = (S, *(m[i] for i in agents))
        parts.append((agents, rng.dirichlet(np.ones(tail[0]), shape) if tail else rng.standard_normal(shape)))
    return parts


def random_game(rng, form=None, m=None):
    """A game of some form, and the same game over joint actions. Agents with one action are among them."""
    form = form or FORMS[rng.integers(len(FORMS))]
    S = 1 if form == "one state" else int(rng.integers(2, 5))
    while m is None or np.prod(m) > 60:
        m = tuple(rng.integers(1, 4, rng.integers(1, 5)).tolist())
    A, discount, initial = int(np.prod(m)), float(rng.choice([0.0, 0.5, 0.9])), rng.dirichlet(np.ones(S))
    if form in ("factored", "factored reward", "one state"):
        reward = random_parts(rng, S, m, 4)
        r = sum_of(reward, S, m)
    else:
        r = rng.standard_normal((S, A))
        reward = r.reshape(S, *m)
    if form == "one state":
        transition, P = None, np.ones((1, A, 1))
    elif form in ("factored", "factored transitions"):
        share = rng.dirichlet(np.ones(3))
        transition = [(agents, w * table) for (agents, table), w in zip(random_parts(rng, S, m, 3, S), share, strict=True)]
        P = sum_of(transition, S, m, S)
    else:
        P = rng.dirichlet(np.ones(S), (S, A))
        if form == "sparse":
            P = np.where(rng.random(P.shape) < 0.5, P, 0.0)
            P[..., 0] += P.sum(axis=-1) == 0
            P /= P.sum(axis=-1, keepdims=True)
            transition = sparse.csr_array(P.reshape(S * A, S))
        else:
            transition = P.reshape(S, *m, S)
    game = CooperativeMarkovGame(m, transition, reward, discount, initial=initial, name=form)
    return game, Dense(m, P, r, discount, initial)


def random_case(seed, form=None):
    """A game, itself over joint actions, and a policy over a random network."""
    rng = np.random.default_rng(seed)
    game, dense = random_game(rng, form)
    network = random_network(rng, game.n_agents)
    return game, dense, random_policy(rng, network, game.n_states, game.n_actions)
