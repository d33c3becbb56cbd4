"""Enclosures and brackets against exact rationals: every bound holds for the numbers as they are, to the last bit."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import sparse

from eqsolve.mdp import FiniteMDP, evaluate, evaluation_error, optimal_bracket, optimality_gap, value_bracket
from eqsolve.mdp.enclosure import Enclosure, expectation, fixed_point
from eqsolve.mdp.native import optimal_policy
from tests.mdp.instances import dense

SEEDS = range(60)


def exact(values) -> list[Fraction]:
    return [Fraction(float(one)) for one in values]


def within(low, values, high) -> bool:
    return all(a <= b <= c for a, b, c in zip(exact(np.atleast_1d(low)), values, exact(np.atleast_1d(high)), strict=True))


def process(seed: int) -> FiniteMDP:
    """Rows that miss 1 by up to 9e-10, rewards of all sizes, discounts next to 0 and to 1."""
    rng = np.random.default_rng(seed)
    S = int(rng.integers(1, 4))
    counts = rng.integers(1, 4, S)
    K = int(counts.sum())
    P = rng.random((K, S)) ** int(rng.choice([1, 8])) + 1e-300
    P /= P.sum(axis=1, keepdims=True)
    if seed % 2:
        P *= 1.0 + rng.uniform(-9e-10, 9e-10, (K, 1))
    reward = rng.normal(size=K) * 10.0 ** rng.integers(-12, 13, K if seed % 3 == 0 else 1)
    gamma = float(rng.choice([0.0, 1e-300, 0.1, 0.9, 0.999999]))
    return FiniteMDP(counts, sparse.csr_array(P) if seed % 5 else P, reward, gamma, initial=rng.dirichlet(np.ones(S)))


def policy_for(mdp: FiniteMDP, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.full(n, 0.5)) for n in mdp.n_actions.tolist()])


def swept(mdp: FiniteMDP, v: list[Fraction]) -> list[Fraction]:
    """(K,) r + gamma P v."""
    gamma, table = Fraction(mdp.gamma), dense(mdp)
    return [
        Fraction(float(r)) + gamma * sum((p * w for p, w in zip(exact(row), v, strict=True)), Fraction(0))
        for r, row in zip(mdp.reward, table, strict=True)
    ]


def value(mdp: FiniteMDP, policy: np.ndarray) -> list[Fraction]:
    """(S,) by elimination."""
    S, gamma, table = mdp.n_states, Fraction(mdp.gamma), dense(mdp)
    rows = [[Fraction(int(i == j)) for j in range(S)] + [Fraction(0)] for i in range(S)]
    for k, s in enumerate(mdp.owner.tolist()):
        weight = Fraction(float(policy[k]))
        rows[s][S] += weight * Fraction(float(mdp.reward[k]))
        for j in range(S):
            rows[s][j] -= gamma * weight * Fraction(float(table[k, j]))
    for i in range(S):
        pivot = next(r for r in range(i, S) if rows[r][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(S):
            if r != i and rows[r][i]:
                share = rows[r][i] / rows[i][i]
                rows[r] = [a - share * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [rows[i][S] / rows[i][i] for i in range(S)]


def best(mdp: FiniteMDP) -> list[Fraction]:
    found = [value(mdp, mdp.deterministic(choice)) for choice in product(*map(range, mdp.n_actions.tolist()))]
    return [max(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_sweep_is_enclosed(seed):
    mdp = process(seed)
    rng = np.random.default_rng(seed)
    policy, step = policy_for(mdp, seed), Enclosure(mdp, 0)
    v = rng.normal(size=mdp.n_states) * float(10.0 ** rng.integers(-12, 13))
    q = swept(mdp, exact(v))
    pairs = step.pairs(v)
    assert within(pairs[0], q, pairs[1])
    parts = [slice(a, b) for a, b in zip(mdp.first[:-1].tolist(), mdp.first[1:].tolist(), strict=True)]
    assert within(step.best(pairs)[0], [max(q[part]) for part in parts], step.best(pairs)[1])
    # An interval that is one number, so that nothing but the rounding of the mean itself is left to cover.
    point = pairs[0], pairs[0]
    mixed = [sum(a * b for a, b in zip(exact(policy[part]), exact(pairs[0][part]), strict=True)) for part in parts]
    assert within(step.under(policy, point)[0], mixed, step.under(policy, point)[1])
    rates = [Fraction(mdp.gamma) * sum(exact(row)) for row in dense(mdp)]
    low, high = exact(step.shift(None))
    assert low <= min(rates) <= max(rates) <= high
    own = [sum(a * b for a, b in zip(exact(policy[part]), rates[part], strict=True)) for part in parts]
    low, high = exact(step.shift(policy))
    assert low <= min(own) <= max(own) <= high


@pytest.mark.parametrize("seed", SEEDS)
def test_means_are_enclosed(seed):
    rng = np.random.default_rng(seed)
    weights, x = rng.dirichlet(np.ones(20)), rng.normal(size=20) * 10.0 ** rng.integers(-12, 13, 20)
    mean = sum(a * b for a, b in zip(exact(weights), exact(x), strict=True))
    low, high = expectation(weights, x, x)
    assert within(low, [mean], high)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_vector_gives_true_bounds_of_the_fixed_point(seed):
    """Far from it above and below, where the sums of rows decide how far the change goes on."""
    mdp = process(seed)
    policy, step, v = policy_for(mdp, seed), Enclosure(mdp, 0), value(mdp, mdp.uniform_policy())
    size = 1.0 + max(abs(float(one)) for one in v)
    own, top = value(mdp, policy), best(mdp)
    for away in (-size, -1e-3 * size, 1e-3 * size, size):
        start = np.array([float(one) for one in v]) + away
        assert within(*_around(fixed_point(start, step.under(policy, step.pairs(start)), step.shift(policy)), own))
        assert within(*_around(fixed_point(start, step.best(step.pairs(start)), step.shift(None)), top))


def _around(ends, middle):
    return ends[0], middle, ends[1]


@pytest.mark.parametrize("seed", SEEDS)
def test_brackets_gaps_and_errors_hold_exactly(seed):
    mdp = process(seed)
    policy = policy_for(mdp, seed)
    own, top, mu = value(mdp, policy), best(mdp), exact(mdp.initial)
    bracket, optimal = value_bracket(mdp, policy), optimal_bracket(mdp)
    assert within(bracket.lower, own, bracket.upper)
    assert within(optimal.lower, top, optimal.upper)
    mean, most = (sum(a * b for a, b in zip(mu, v, strict=True)) for v in (own, top))
    assert within(bracket.value_lower, [mean], bracket.value_upper)
    assert within(optimal.value_lower, [most], optimal.value_upper)
    # Mixed rows may sum to a little more than those of any single action: then the gap is 0 at least.
    gap, worst = optimality_gap(mdp, policy), optimality_gap(mdp, policy, everywhere=True)
    assert within(gap.lower, [max(most - mean, Fraction(0))], gap.upper)
    assert within(worst.lower, [max(a - b for a, b in zip((*top, Fraction(0)), (*own, Fraction(0)), strict=True))], worst.upper)
    values = evaluate(mdp, policy)
    assert max(abs(a - b) for a, b in zip(exact(values), own, strict=True)) <= Fraction(evaluation_error(mdp, policy, values))


@pytest.mark.parametrize("seed", SEEDS)
def test_backward_induction_holds_exactly(seed):
    endless = process(seed)
    mdp = FiniteMDP(endless.n_actions, endless.kernel(), endless.reward, endless.gamma, horizon=40)
    found = optimal_policy(mdp)
    own = top = [Fraction(0)] * mdp.n_states
    for h in reversed(range(40)):
        q, mine = swept(endless, top), swept(endless, own)
        top = [max(q[a:b]) for a, b in zip(mdp.first[:-1].tolist(), mdp.first[1:].tolist(), strict=True)]
        own = [mine[k] for k in found.pairs[h].tolist()]
        # Rounded to 120 digits, or the numbers grow with every step.
        own, top = ([Fraction(round(one * 10**120), 10**120) for one in v] for v in (own, top))
        assert within(found.lower[h], own, found.upper[h])
        assert within(found.lower[h], top, found.upper[h])


@pytest.mark.parametrize("method", ["policy_iteration", "modified_policy_iteration", "value_iteration"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_brackets_of_the_methods_hold_exactly(seed, method):
    mdp = process(seed)
    for limit in (1, 2, 2_000):
        found = optimal_policy(mdp, method, limit=limit)
        assert within(found.lower, value(mdp, mdp.deterministic(found.choice)), found.upper)
        assert within(found.lower, best(mdp), found.upper)
    assert found.status != "iteration limit"
