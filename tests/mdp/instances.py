"""Random processes for the tests of the native methods, and the answer by trying every policy."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy import sparse

from eqsolve.mdp import FiniteMDP

GAMMAS = (0.0, 0.5, 0.95, 0.999)


def random_process(
    rng: np.random.Generator, most_states: int = 5, most_actions: int = 3, gamma: float | None = None, **more: object
) -> FiniteMDP:
    """Ragged, dense or sparse, with zeros in its rows, now and then with repeated pairs (ties)."""
    S = int(rng.integers(1, most_states + 1))
    counts = rng.integers(1, most_actions + 1, S)
    K = int(counts.sum())
    P = rng.random((K, S)) * (rng.random((K, S)) < 0.6)
    P[np.arange(K), rng.integers(0, S, K)] += 0.1
    P /= P.sum(axis=1, keepdims=True)
    reward = rng.normal(size=K).round(int(rng.integers(0, 3)))
    kernel = sparse.csr_array(P) if rng.random() < 0.5 else P
    discount = float(rng.choice(GAMMAS)) if gamma is None else gamma
    return FiniteMDP(counts, kernel, reward, discount, initial=rng.dirichlet(np.ones(S)), **more)


def dense(mdp: FiniteMDP, step: int = 0) -> np.ndarray:
    kernel = mdp.kernel(step)
    return kernel.toarray() if sparse.issparse(kernel) else np.asarray(kernel)


def value_of(mdp: FiniteMDP, choice: tuple[int, ...]) -> np.ndarray:
    """(S,) by one dense solve."""
    pairs = mdp.first[:-1] + np.asarray(choice)
    return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * dense(mdp)[pairs], mdp.reward[pairs])


def best_by_enumeration(mdp: FiniteMDP) -> np.ndarray:
    """(S,) the largest value in each state over all deterministic policies."""
    return np.max([value_of(mdp, choice) for choice in product(*map(range, mdp.n_actions.tolist()))], axis=0)


def expander(states: int, actions: int, successors: int, gamma: float, seed: int = 0) -> FiniteMDP:
    """Random successors: fast mixing, and the worst case for factorisations."""
    rng = np.random.default_rng(seed)
    K = states * actions
    entries = (
        rng.dirichlet(np.ones(successors), K).ravel(),
        (np.repeat(np.arange(K), successors), rng.integers(0, states, K * successors)),
    )
    return FiniteMDP(np.full(states, actions), sparse.coo_array(entries, shape=(K, states)).tocsr(), rng.random(K), gamma)


def slippery_grid(side: int, gamma: float, seed: int = 0) -> FiniteMDP:
    """Four moves, five local successors, a random reward per cell: slow mixing."""
    S = side * side
    row, column = np.divmod(np.arange(S), side)
    to = [
        np.clip(row + up, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
        for up, right in ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))
    ]
    pairs, targets, chances = [], [], []
    for a in range(4):
        for b in range(5):
            pairs.append(np.arange(S) * 4 + a)
            targets.append(to[b])
            chances.append(np.full(S, 0.7 if a == b else 0.09 if b == 4 else 0.07))
    entries = np.concatenate(chances), (np.concatenate(pairs), np.concatenate(targets))
    reward = np.repeat(np.random.default_rng(seed).random(S), 4)
    return FiniteMDP(np.full(S, 4), sparse.coo_array(entries, shape=(4 * S, S)).tocsr(), reward, gamma)
