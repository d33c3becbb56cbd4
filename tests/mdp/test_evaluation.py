"""Values and visits of given policies: against the definition, on every way of solving."""

from __future__ import annotations

from fractions import Fraction
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import InvalidData
from eqsolve.mdp import FiniteMDP, InvalidMDP
from eqsolve.mdp.evaluation import advantages, evaluate, evaluation_error, policy_kernel, q_values, visitation
from eqsolve.mdp.linear import PolicySystem, SolveFailure
from eqsolve.mdp.native import optimal_policy
from tests.mdp.instances import dense, expander, random_process, slippery_grid
from tests.mdp.textbook import POLICY_CASES


def random_policy(mdp: FiniteMDP, rng: np.random.Generator) -> np.ndarray:
    """(K,), or (H, K): some actions never played, some states deterministic."""
    weight = rng.random(mdp.policy_shape()) * (rng.random(mdp.policy_shape()) < 0.7)
    weight[..., mdp.first[:-1]] += 1e-3
    return weight / np.repeat(np.add.reduceat(weight, mdp.first[:-1], axis=-1), mdp.n_actions, axis=-1)


def rational_values(mdp: FiniteMDP, policy: np.ndarray) -> list[Fraction]:
    """The values by Gauss's elimination in rational numbers."""
    S, P = mdp.n_states, dense(mdp)
    rows = []
    for s in range(S):
        pairs = range(int(mdp.first[s]), int(mdp.first[s + 1]))
        row = [Fraction(int(t == s)) for t in range(S)]
        for k in pairs:
            for t in range(S):
                row[t] -= Fraction(mdp.gamma) * Fraction(policy[k]) * Fraction(P[k, t])
        rows.append([*row, sum(Fraction(policy[k]) * Fraction(mdp.reward[k]) for k in pairs)])
    for i in range(S):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(S):
            if j != i:
                rows[j] = [x - rows[j][i] * y for x, y in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize("case", POLICY_CASES, ids=attrgetter("name"))
def test_textbook(case):
    values = evaluate(case.mdp, case.policy)
    values = values if case.mdp.horizon is None else values[0]
    assert values == pytest.approx(case.values, rel=1e-12, abs=1e-12)
    if case.printed is not None:
        assert np.abs(values - case.printed).max() <= 0.5001 * 10.0**-case.decimals


@pytest.mark.parametrize("seed", range(30))
def test_error_bound_holds_in_rational_arithmetic(seed):
    rng = np.random.default_rng(seed)
    mdp = random_process(rng)
    policy = random_policy(mdp, rng)
    exact = rational_values(mdp, policy)
    values = evaluate(mdp, policy)
    for v in (values, values + rng.normal(size=mdp.n_states) * 10.0 ** -rng.integers(0, 15)):
        bound = evaluation_error(mdp, policy, v)
        worst = max(abs(Fraction(x) - y) for x, y in zip(v.tolist(), exact, strict=True))
        assert worst <= Fraction(bound)
    assert evaluation_error(mdp, policy, values) <= 1e-13 * (1.0 + np.abs(values).max()) / (1.0 - mdp.gamma)


@pytest.mark.parametrize("way", ["dense", "sparse", "iterative"])
@pytest.mark.parametrize("build", [expander, slippery_grid], ids=["expander", "grid"])
def test_ways_of_solving_agree(build, way):
    mdp = expander(300, 2, 5, 0.97) if build is expander else slippery_grid(17, 0.97)
    kernel = policy_kernel(mdp, mdp.uniform_policy())
    rng = np.random.default_rng(0)
    for b in (rng.normal(size=mdp.n_states), rng.normal(size=(mdp.n_states, 3))):
        matrix = np.eye(mdp.n_states) - 0.97 * kernel.toarray()
        system = PolicySystem.of(kernel, 0.97, way)
        assert system.solve(b) == pytest.approx(np.linalg.solve(matrix, b), rel=1e-10, abs=1e-10)
        assert system.solve(b, transposed=True) == pytest.approx(np.linalg.solve(matrix.T, b), rel=1e-10, abs=1e-10)
        left = system.residual(system.solve(b), b)
        assert np.abs(left).max() <= 1e-13 * (np.abs(b).max() + 2 * np.abs(system.solve(b)).max())


def test_the_way_goes_by_size_and_structure():
    def way(mdp: FiniteMDP) -> str:
        return PolicySystem.of(policy_kernel(mdp, mdp.deterministic(np.zeros(mdp.n_states, dtype=int))), mdp.gamma).way

    assert way(expander(50, 2, 3, 0.9)) == "dense"
    assert way(slippery_grid(40, 0.9)) == "sparse"
    assert way(expander(2000, 2, 5, 0.9)) == "iterative"
    assert way(expander(2000, 2, 1, 0.9)) == "sparse"


@pytest.mark.parametrize("gamma", [0.9, 0.999999])
def test_iterative_falls_back_to_factors(gamma):
    """A long cycle: every Krylov method needs as many steps as there are states, elimination a few."""
    S = 3000
    cycle = sparse.csr_array((np.ones(S), np.roll(np.arange(S), -1), np.arange(S + 1)), shape=(S, S))
    b = np.zeros(S)
    b[-1] = 1.0
    x = PolicySystem.of(cycle, gamma, "iterative").solve(b)
    assert x == pytest.approx(gamma ** np.arange(S)[::-1] / (1.0 - gamma**S), rel=1e-9, abs=1e-13)


def test_zero_right_hand_sides_and_failures():
    kernel = policy_kernel(expander(300, 2, 5, 0.9), expander(300, 2, 5, 0.9).uniform_policy())
    for way in ("dense", "sparse", "iterative"):
        assert not PolicySystem.of(kernel, 0.9, way).solve(np.zeros(300)).any()
        assert np.array_equal(PolicySystem.of(kernel, 0.0, way).solve(np.arange(300.0)), np.arange(300.0))
    with pytest.raises(InvalidData, match="expected 300"):
        PolicySystem.of(kernel, 0.9).solve(np.zeros(299))
    with pytest.raises(InvalidData, match=r"b\[1\] is nan"):
        PolicySystem.of(np.eye(2), 0.9).solve(np.array([0.0, np.nan]))
    with pytest.raises(SolveFailure, match="relative residual"):
        PolicySystem(np.eye(2), 0.5, "dense", lambda b, transposed: 0.01 * b).solve(np.ones(2))


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 2**32 - 1))
def test_visits_pay_the_value(seed):
    """sum r d = mu v, visits obey the flow equations, and sum to what the flag says."""
    rng = np.random.default_rng(seed)
    mdp = random_process(rng)
    policy = random_policy(mdp, rng)
    d = visitation(mdp, policy, normalised=False)
    scale = 1.0 / (1.0 - mdp.gamma)
    assert d @ mdp.reward == pytest.approx(mdp.initial @ evaluate(mdp, policy), abs=1e-11 * scale)
    assert d.sum() == pytest.approx(scale, rel=1e-12)
    at = np.add.reduceat(d, mdp.first[:-1])
    assert at - mdp.gamma * (dense(mdp).T @ d) == pytest.approx(mdp.initial, abs=1e-13 * scale)
    assert d == pytest.approx(np.repeat(at, mdp.n_actions) * policy, abs=1e-13 * scale)
    assert visitation(mdp, policy) == pytest.approx(d / scale, abs=1e-13)


@pytest.mark.parametrize("gamma", [0.6, 1.0])
def test_finite_horizon_against_all_paths(gamma):
    rng = np.random.default_rng(1)
    base = random_process(rng, 4, 3, gamma=0.5)
    H, S, K = 3, base.n_states, base.n_pairs
    kernels = [dense(base)[rng.permutation(K)] for _ in range(H)]
    mdp = FiniteMDP(
        base.n_actions, kernels, rng.normal(size=(H, K)), gamma, horizon=H, terminal=rng.normal(size=S), initial=base.initial
    )
    policy = random_policy(mdp, rng)
    visits, value = np.zeros((H, K)), 0.0

    def walk(h: int, s: int, chance: float) -> None:
        nonlocal value
        if h == H:
            value += chance * gamma**H * mdp.terminal[s]
            return
        for k in range(mdp.first[s], mdp.first[s + 1]):
            visits[h, k] += chance * policy[h, k] * gamma**h
            value += chance * policy[h, k] * gamma**h * mdp.reward[h, k]
            for t in range(S):
                if kernels[h][k, t] > 0:
                    walk(h + 1, t, chance * policy[h, k] * kernels[h][k, t])

    for s in range(S):
        walk(0, s, float(mdp.initial[s]))
    values = evaluate(mdp, policy)
    assert values.shape == (H + 1, S)
    assert mdp.initial @ values[0] == pytest.approx(value, abs=1e-13)
    assert visitation(mdp, policy, normalised=False) == pytest.approx(visits, abs=1e-14)
    assert visitation(mdp, policy).sum() == pytest.approx(1.0, abs=1e-14)
    q = q_values(mdp, values)
    assert np.add.reduceat(q * policy, mdp.first[:-1], axis=1) == pytest.approx(values[:-1], abs=1e-13)


@pytest.mark.parametrize("seed", range(20))
def test_advantages_of_optimal_values_are_at_most_zero(seed):
    mdp = random_process(np.random.default_rng(seed), gamma=0.95)
    solution = optimal_policy(mdp, tolerance=0.0)
    gain = advantages(mdp, solution.values)
    assert gain.max() <= 1e-12
    assert np.abs(gain[solution.pairs]).max() <= 1e-12
    worse = mdp.uniform_policy()
    v = evaluate(mdp, worse)
    difference = visitation(mdp, mdp.deterministic(solution.choice), normalised=False) @ advantages(mdp, v)
    assert difference == pytest.approx(mdp.initial @ (solution.values - v), abs=1e-10)


def test_refusals():
    mdp = FiniteMDP([2], [[1.0], [1.0]], [0.0, 1.0], 0.5)
    ending = FiniteMDP([2], [[1.0], [1.0]], [0.0, 1.0], horizon=2)
    for ask in (evaluate, visitation):
        with pytest.raises(InvalidMDP, match=r"sums to 0\.9"):
            ask(mdp, [0.5, 0.4])
        with pytest.raises(InvalidMDP, match="negative"):
            ask(ending, [[0.5, 0.5], [1.5, -0.5]])
    with pytest.raises(InvalidData, match="values has shape 2"):
        q_values(mdp, np.zeros(2))
    with pytest.raises(InvalidData, match=r"expected 3 x 1"):
        advantages(ending, np.zeros((2, 1)))
    with pytest.raises(InvalidMDP, match="horizon 2"):
        evaluation_error(ending, [0.5, 0.5], np.zeros(1))
    with pytest.raises(InvalidMDP, match="policy has shape 3"):
        policy_kernel(mdp, np.ones(3))
