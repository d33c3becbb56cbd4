"""Small random processes, and what is true of them by enumeration and by dense linear algebra alone."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import sparse

from eqsolve.mdp.model import FiniteMDP


def random_small(seed, *, horizon=None, gamma=None, states=(1, 4), actions=(1, 3)):
    """Ragged or not, dense or sparse, sometimes with states that are never reached; with a horizon also one kernel per step."""
    rng = np.random.default_rng(seed)
    S = int(rng.integers(states[0], states[1] + 1))
    counts = (
        rng.integers(actions[0], actions[1] + 1, S)
        if rng.random() < 0.7
        else np.full(S, int(rng.integers(actions[0], actions[1] + 1)))
    )
    K = int(counts.sum())

    def kernel():
        P = rng.dirichlet(np.full(S, 0.5), K)
        P[rng.random((K, S)) < 0.4] = 0.0
        P[P.sum(axis=1) == 0, int(rng.integers(S))] = 1.0
        P /= P.sum(axis=1, keepdims=True)
        return sparse.csr_array(P) if seed % 2 else P

    stepwise = horizon is not None and rng.random() < 0.5
    gamma = gamma if gamma is not None else float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    initial = [None, int(rng.integers(S)), rng.dirichlet(np.ones(S))][int(rng.integers(3))]
    return FiniteMDP(
        counts,
        [kernel() for _ in range(horizon)] if stepwise else kernel(),
        rng.normal(size=(horizon, K) if stepwise else K),
        gamma,
        horizon=horizon,
        initial=initial,
        terminal=None if horizon is None else rng.normal(size=S),
    )


def choices(mdp):
    """Every deterministic policy, as pairs (S,) or (H, S)."""
    steps = [range(int(a), int(b)) for a, b in zip(mdp.first[:-1], mdp.first[1:], strict=True)] * mdp.n_steps
    for pick in product(*steps):
        pairs = np.array(pick)
        yield pairs if mdp.horizon is None else pairs.reshape(mdp.horizon, -1)


def dense_kernel(mdp, h=0):
    kernel = mdp.kernel(h)
    return kernel.toarray() if sparse.issparse(kernel) else np.asarray(kernel)


def value(mdp, policy):
    """(S,) values at the first step of a policy of probabilities, by a dense solve or the recursion."""
    weights = np.zeros((mdp.n_states, mdp.n_pairs))
    if mdp.horizon is None:
        weights[mdp.owner, np.arange(mdp.n_pairs)] = policy
        return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * weights @ dense_kernel(mdp), weights @ mdp.reward)
    v = np.array(mdp.terminal)
    for h in range(mdp.horizon - 1, -1, -1):
        weights[mdp.owner, np.arange(mdp.n_pairs)] = policy[h]
        v = weights @ (mdp.reward_at(h) + mdp.gamma * dense_kernel(mdp, h) @ v)
    return v


def state_visits(mdp, policy):
    """(S,) discounted visits of a policy of probabilities, from the initial distribution."""
    weights = np.zeros((mdp.n_states, mdp.n_pairs))
    if mdp.horizon is None:
        weights[mdp.owner, np.arange(mdp.n_pairs)] = policy
        return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * (weights @ dense_kernel(mdp)).T, mdp.initial)
    here, total = np.array(mdp.initial), np.zeros(mdp.n_states)
    for h in range(mdp.horizon):
        total += here
        weights[mdp.owner, np.arange(mdp.n_pairs)] = policy[h]
        here = mdp.gamma * here @ (weights @ dense_kernel(mdp, h))
    return total


def played(mdp, pairs):
    """The deterministic policy of pairs, as probabilities."""
    return mdp.deterministic(pairs - mdp.first[:-1])


def best_values(mdp):
    """(S,) optimal values at the first step, by trying every deterministic policy; backward, step by step, with a horizon."""
    if mdp.horizon is None:
        return np.max([value(mdp, played(mdp, pairs)) for pairs in choices(mdp)], axis=0)
    v = np.array(mdp.terminal)
    for h in range(mdp.horizon - 1, -1, -1):
        q = mdp.reward_at(h) + mdp.gamma * dense_kernel(mdp, h) @ v
        v = np.array([q[a:b].max() for a, b in zip(mdp.first[:-1], mdp.first[1:], strict=True)])
    return v
