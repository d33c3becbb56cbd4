"""Brute force over joint actions and deterministic tables: dense loops over the numbers of a game, and nothing of the library's."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from scipy import sparse

from eqsolve.bayesian_network import BayesianNetwork, BayesianNetworkPolicy, CooperativeMarkovGame

FORMS = ("dense", "sparse", "factored")
MOST = 1000
"""Deterministic tables of one agent, or joint policies, that are enumerated at most."""


def joint_actions(game):
    return list(product(*(range(m) for m in game.n_actions)))


@lru_cache(maxsize=8)
def rewards(game):
    """(S, A)"""
    found = np.zeros((game.n_states, game.n_joint))
    for s in range(game.n_states):
        for k, a in enumerate(joint_actions(game)):
            found[s, k] = sum(one.table[(s, *(a[i] for i in one.agents))] for one in game.reward)
    return found


@lru_cache(maxsize=8)
def transitions(game):
    """(S, A, S)"""
    S, A = game.n_states, game.n_joint
    if game.kernel is not None:
        kernel = game.kernel.toarray() if sparse.issparse(game.kernel) else np.asarray(game.kernel)
        return kernel.reshape(S, A, S)
    found = np.zeros((S, A, S))
    for s in range(S):
        for k, a in enumerate(joint_actions(game)):
            for one in game.moves:
                found[s, k] += one.table[(s, *(a[i] for i in one.agents))]
    return found


def probabilities(game, policy, without=None):
    """(S, A) the product of the tables, that of one agent left out."""
    found = np.ones((game.n_states, game.n_joint))
    for s in range(game.n_states):
        for k, a in enumerate(joint_actions(game)):
            for i, table in enumerate(policy.tables):
                if i != without:
                    found[s, k] *= table[(s, *(a[j] for j in policy.network.parents[i]), a[i])]
    return found


def values(game, pi):
    """(..., S) of joint policies (..., S, A)."""
    R, P = rewards(game), transitions(game)
    chain = np.einsum("...sa,sat->...st", pi, P)
    reward = np.einsum("...sa,sa->...s", pi, R)
    return np.linalg.solve(np.eye(game.n_states) - game.gamma * chain, reward[..., None])[..., 0]


def visits(game, pi):
    """(..., S) discounted visits, not normalised."""
    chain = np.einsum("...sa,sat->...st", pi, transitions(game))
    system = np.eye(game.n_states) - game.gamma * np.swapaxes(chain, -1, -2)
    return np.linalg.solve(system, np.broadcast_to(game.initial[:, None], (*chain.shape[:-1], 1)))[..., 0]


def action_values(game, v):
    """(S, A)"""
    return rewards(game) + game.gamma * transitions(game) @ v


def value(game, policy):
    return float(values(game, probabilities(game, policy)) @ game.initial)


def n_deviations(game, network, i):
    rows = game.n_states * int(np.prod([game.n_actions[j] for j in network.parents[i]], dtype=int))
    return game.n_actions[i] ** rows


def agent_gain(game, policy, i):
    """The most that agent i gains by a deterministic table, by trying all of them."""
    others, actions = probabilities(game, policy, without=i), joint_actions(game)
    parents = policy.network.parents[i]
    rows = [(s, *seen) for s in range(game.n_states) for seen in product(*(range(game.n_actions[j]) for j in parents))]
    where = {row: n for n, row in enumerate(rows)}
    picked = np.array(list(product(range(game.n_actions[i]), repeat=len(rows))))
    plays = np.empty((len(picked), game.n_states, len(actions)))
    for s in range(game.n_states):
        for k, a in enumerate(actions):
            plays[:, s, k] = picked[:, where[(s, *(a[j] for j in parents))]] == a[i]
    return float((values(game, others * plays) @ game.initial).max()) - value(game, policy)


def deterministic(game):
    """(n, S, A) every deterministic joint policy."""
    choice = np.array(list(product(range(game.n_joint), repeat=game.n_states)))
    return (np.arange(game.n_joint) == choice[..., None]).astype(float)


def best_value(game):
    """From the initial distribution: by trying all deterministic policies, or where there are many by value iteration."""
    if game.n_joint**game.n_states <= MOST:
        return float((values(game, deterministic(game)) @ game.initial).max())
    R, P, v = rewards(game), transitions(game), np.zeros(game.n_states)
    for _ in range(100_000):
        new = (R + game.gamma * P @ v).max(axis=1)
        if np.abs(new - v).max() <= 1e-13 * (1 - game.gamma):
            break
        v = new
    return float(v @ game.initial)


def random_network(rng, N):
    """Any acyclic graph, from no edge to all, over a random order."""
    order, share = rng.permutation(N), rng.choice([0.0, 0.4, 0.7, 1.0])
    edges = [(int(order[j]), int(order[i])) for i in range(N) for j in range(i) if rng.random() < share]
    return BayesianNetwork.from_edges(N, edges)


def random_policy(rng, network, S, m):
    """Positive, with zeros, or deterministic."""
    kind, tables = rng.integers(3), []
    for i in range(len(m)):
        shape = (S, *(m[j] for j in network.parents[i]))
        table = rng.dirichlet(np.ones(m[i]), shape)
        if kind == 1:
            table = table * (rng.random(table.shape) < 0.6)
            table[table.sum(axis=-1) == 0, 0] = 1.0
            table /= table.sum(axis=-1, keepdims=True)
        tables.append(table)
    policy = BayesianNetworkPolicy(network, tuple(tables))
    return policy.greedy() if kind == 2 else policy


def random_scope(rng, N):
    return tuple(int(i) for i in rng.permutation(N)[: rng.integers(0, min(N, 3) + 1)])


def random_tiny(seed, form, *, full=False):
    """A game of 1 to 3 agents with 1 to 3 actions and 1 to 3 states, a network and a policy, all small enough to enumerate.

    ``full`` gives every state some weight at the start.
    """
    rng = np.random.default_rng([seed, FORMS.index(form)])
    while True:
        S, N = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        m = tuple(int(one) for one in rng.integers(1, 4, N))
        game = _game(rng, form, S, m, full)
        network = random_network(rng, N)
        if max(n_deviations(game, network, i) for i in range(N)) <= MOST:
            return game, random_policy(rng, network, S, m)


def _game(rng, form, S, m, full):
    N, A, gamma = len(m), int(np.prod(m)), float(rng.choice([0.0, 0.5, 0.9]))
    initial = rng.dirichlet(np.ones(S))
    if not full and S > 1 and rng.random() < 0.4:
        initial = np.eye(S)[rng.integers(S)]
    if form == "factored":
        reward = [((), rng.normal(size=S))]
        reward += [(scope, rng.normal(size=(S, *(m[i] for i in scope)))) for scope in (random_scope(rng, N) for _ in range(3))]
        scopes = [random_scope(rng, N) for _ in range(int(rng.integers(1, 4)))]
        share = rng.dirichlet(np.ones(len(scopes)), S)
        moves = []
        for k, scope in enumerate(scopes):
            rows = rng.dirichlet(np.full(S, 0.5), (S, *(m[i] for i in scope)))
            moves.append((scope, rows * share[:, k].reshape(S, *(1,) * len(scope), 1)))
        return CooperativeMarkovGame(m, moves, reward, gamma, initial=initial)
    P = rng.dirichlet(np.full(S, 0.5), S * A)
    P[rng.random(P.shape) < 0.3] = 0.0
    P[P.sum(axis=1) == 0, 0] = 1.0
    P /= P.sum(axis=1, keepdims=True)
    return CooperativeMarkovGame(
        m, sparse.csr_array(P) if form == "sparse" else P, rng.normal(size=(S, *m)), gamma, initial=initial
    )
