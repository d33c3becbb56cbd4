"""Every method: the bracket holds the truth, and the policy is as good as the bracket says."""

from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mdp import FiniteMDP, InvalidMDP
from eqsolve.mdp.native import Solution, optimal_policy
from tests.mdp.instances import GAMMAS, best_by_enumeration, dense, expander, random_process, slippery_grid, value_of
from tests.mdp.textbook import CASES, LARGE_CASES

METHODS = ("policy_iteration", "modified_policy_iteration", "value_iteration", "auto")


def holds(mdp: FiniteMDP, solution: Solution, best: np.ndarray, slack: float) -> None:
    """lower <= own value <= v* <= upper, against numbers that are themselves right up to ``slack``."""
    own = value_of(mdp, tuple(solution.choice))
    assert (solution.lower <= own + slack).all()
    assert (own <= best + slack).all()
    assert (best <= solution.upper + slack).all()
    assert (solution.lower <= solution.values).all()
    assert (solution.values <= solution.upper).all()
    assert np.array_equal(solution.pairs, mdp.first[:-1] + solution.choice)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", [case for case in CASES if case.mdp.horizon is None], ids=attrgetter("name"))
def test_textbook(case, method):
    solution = optimal_policy(case.mdp, method, 1e-9)
    scale = 1.0 + np.abs(case.values).max()
    assert solution.status in ("within tolerance", "at rounding")
    assert solution.width <= 2e-9 or (solution.status == "at rounding" and solution.width <= 1e-10 * scale / (1 - case.mdp.gamma))
    slack = 1e-15 * scale / (1 - case.mdp.gamma)
    assert (solution.lower <= case.values + slack).all()
    assert (case.values <= solution.upper + slack).all()
    assert solution.values == pytest.approx(case.values, abs=1e-9 * scale)
    if case.choice is not None:
        assert np.array_equal(solution.choice, case.choice)


@pytest.mark.parametrize("case", [case for case in (*CASES, *LARGE_CASES) if case.mdp.horizon], ids=attrgetter("name"))
def test_textbook_with_a_horizon(case):
    solution = optimal_policy(case.mdp)
    assert solution.width <= 1e-12 * (1.0 + np.abs(case.values).max())
    ulp = 2.0 * np.spacing(np.abs(case.values))
    assert (solution.lower[0] <= case.values + ulp).all()
    assert (case.values <= solution.upper[0] + ulp).all()
    assert solution.values[0] == pytest.approx(case.values, rel=1e-13, abs=1e-13)
    if case.choice is not None and case.choice.ndim == 2:
        assert np.array_equal(solution.choice, case.choice)


@pytest.mark.parametrize("seed", range(200))
def test_all_methods_against_brute_force(seed):
    mdp = random_process(np.random.default_rng(seed), gamma=GAMMAS[seed % 4])
    best = best_by_enumeration(mdp)
    slack = 1e-13 * (1.0 + np.abs(best).max()) / (1.0 - mdp.gamma)
    for method in METHODS:
        solution = optimal_policy(mdp, method)
        assert solution.status == "within tolerance" or (method == "policy_iteration" and solution.width < 2e-8)
        assert solution.width <= 2e-8
        holds(mdp, solution, best, slack)
    exact = optimal_policy(mdp, tolerance=0.0)
    assert exact.status == "at rounding" or exact.width == 0.0
    assert exact.values == pytest.approx(best, abs=slack + 1e-13)


@pytest.mark.parametrize("seed", range(60))
def test_backward_induction_against_enumeration_in_time(seed):
    """Kernels and rewards that change with time; the best over all policies is found state by state by recursion."""
    rng = np.random.default_rng(seed)
    base = random_process(rng, gamma=0.5)
    H = int(rng.integers(1, 5))
    kernels = [dense(base)[rng.permutation(base.n_pairs)] for _ in range(H)]
    reward = rng.normal(size=(H, base.n_pairs))
    gamma = float(rng.choice([0.0, 0.7, 1.0]))
    given = kernels if seed % 2 else [sparse.csr_array(one) for one in kernels]
    mdp = FiniteMDP(base.n_actions, given, reward, gamma, horizon=H, terminal=rng.normal(size=base.n_states))

    def best(h: int, s: int) -> float:
        if h == H:
            return float(mdp.terminal[s])
        return max(
            reward[h, k] + gamma * sum(p * best(h + 1, t) for t, p in enumerate(kernels[h][k]) if p > 0)
            for k in range(mdp.first[s], mdp.first[s + 1])
        )

    solution = optimal_policy(mdp)
    expected = np.array([[best(h, s) for s in range(mdp.n_states)] for h in range(H + 1)])
    assert (solution.lower <= expected + 1e-15).all()
    assert (expected <= solution.upper + 1e-15).all()
    assert solution.values == pytest.approx(expected, abs=1e-13)
    here = mdp.terminal
    for h in reversed(range(H)):
        here = reward[h, solution.pairs[h]] + gamma * kernels[h][solution.pairs[h]] @ here
    assert here == pytest.approx(expected[0], abs=1e-13)
    assert solution.choice.shape == (H, mdp.n_states)
    assert solution.iterations == H


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.sampled_from(METHODS))
def test_values_move_with_the_rewards(seed, shift, factor, method):
    """Rewards a r + b have the values a v + b / (1 - gamma)."""
    mdp = random_process(np.random.default_rng(seed), gamma=0.9)
    size = factor * (1.0 + np.abs(mdp.reward).max()) + abs(shift)
    plain = optimal_policy(mdp, method, tolerance=1e-9)
    moved = optimal_policy(mdp.with_reward(factor * mdp.reward + shift), method, tolerance=1e-9 * size)
    assert moved.values == pytest.approx(factor * plain.values + shift / 0.1, abs=1e-8 * size)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_any_start_gives_the_same_values(seed):
    rng = np.random.default_rng(seed)
    mdp = random_process(rng, gamma=0.95)
    begin = rng.normal(size=mdp.n_states) * 10.0 ** rng.integers(-3, 4)
    for method in METHODS:
        assert optimal_policy(mdp, method, values=begin).values == pytest.approx(optimal_policy(mdp).values, abs=4e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [2, 3, 7, 400])
def test_periodic_chains(length, method):
    """A cycle never mixes: the span falls by gamma only. v(s) = gamma^(distance) / (1 - gamma^length)."""
    cycle = sparse.csr_array((np.ones(length), np.roll(np.arange(length), -1), np.arange(length + 1)), shape=(length, length))
    reward = np.zeros(length)
    reward[-1] = 1.0
    mdp = FiniteMDP(np.ones(length, dtype=int), cycle, reward, 0.97)
    expected = 0.97 ** np.arange(length)[::-1] / (1.0 - 0.97**length)
    solution = optimal_policy(mdp, method)
    assert solution.status != "iteration limit"
    assert solution.width <= 2e-8
    assert (solution.lower <= expected + 1e-13).all()
    assert (expected <= solution.upper + 1e-13).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1e9, 1e-9, 1e-300])
def test_rewards_of_any_size(size, method):
    mdp = random_process(np.random.default_rng(5), gamma=0.9)
    large = mdp.with_reward(size * mdp.reward)
    solution = optimal_policy(large, method, tolerance=0.0)
    best = best_by_enumeration(mdp) * size
    assert solution.status == "at rounding"
    assert solution.width <= 1e-11 * np.abs(best).max() + 1e-300
    assert (solution.lower <= best + 1e-14 * np.abs(best)).all()
    assert (best <= solution.upper + 1e-14 * np.abs(best)).all()


@pytest.mark.parametrize("method", METHODS)
def test_one_state_absorbing_and_gamma_zero(method):
    alone = optimal_policy(FiniteMDP([3], np.ones((3, 1)), [-2.0, -1.0, -3.0], 0.5), method)
    assert alone.choice.tolist() == [1]
    assert alone.values == pytest.approx([-2.0], abs=1e-8)
    myopic = optimal_policy(FiniteMDP([2, 1], [[0, 1], [1, 0], [0, 1]], [1.0, 2.0, -5.0], 0.0), method)
    assert myopic.choice.tolist() == [1, 0]
    assert myopic.values == pytest.approx([2.0, -5.0], abs=1e-12)


def test_policy_iteration_keeps_its_action_in_a_tie():
    """Two equal actions: whichever one starts with stays, so that rounding cannot make it cycle."""
    from eqsolve.mdp.bellman import Bellman
    from eqsolve.mdp.policy_iteration import PolicyIteration

    third = 1.0 / 3.0
    mdp = FiniteMDP([2, 2], [[third, 1 - third], [1 - third, third]] * 2, [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2], 0.9)
    for pairs in ([0, 2], [0, 3], [1, 2], [1, 3]):
        method, operator = PolicyIteration(), Bellman.of(mdp)
        iterate = method.advance(operator, method.begin(operator, pairs=np.array(pairs)))
        assert method.ending(iterate) == "at rounding"
        assert iterate.pairs.tolist() == pairs


def test_rows_that_do_not_sum_to_one_exactly():
    """Sums off by 1e-10 move values of size 1e4 by 1e-2: the bracket is that of the data as they are."""
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(4), 8) * (1.0 + 1e-10 * rng.choice([-1, 1], (8, 1)))
    mdp = FiniteMDP(np.full(4, 2), P, 1.0 + rng.random(8), 0.9999)
    best = best_by_enumeration(mdp)
    for method in METHODS:
        holds(mdp, optimal_policy(mdp, method), best, 1e-10)


@pytest.mark.parametrize("gamma", [0.95, 0.99])
@pytest.mark.parametrize("build", [lambda g: expander(2000, 4, 5, g), lambda g: slippery_grid(40, g)], ids=["expander", "grid"])
def test_methods_agree_on_larger_processes(build, gamma):
    mdp = build(gamma)
    found = [optimal_policy(mdp, method) for method in ("policy_iteration", "modified_policy_iteration", "value_iteration")]
    exact = optimal_policy(mdp, tolerance=0.0)
    assert exact.status == "at rounding"
    assert exact.width <= 1e-9
    for solution in found:
        assert solution.width <= 2e-8
        assert (solution.lower <= exact.upper).all()
        assert (exact.lower <= solution.upper).all()


def test_long_chains_end_though_they_mix_slowly():
    """A random walk on 400 places with one reward: values reach one end only after many sweeps."""
    S = 400
    P = sparse.diags_array([np.full(S - 1, 0.5), np.full(S - 1, 0.5)], offsets=[-1, 1]).tolil()
    P[0, 0] = P[S - 1, S - 1] = 0.5
    reward = np.zeros(S)
    reward[-1] = 1.0
    mdp = FiniteMDP(np.ones(S, dtype=int), P.tocsr(), reward, 0.9999)
    expected = np.linalg.solve(np.eye(S) - 0.9999 * P.toarray(), reward)
    solution = optimal_policy(mdp, tolerance=1e-6)
    assert solution.status == "within tolerance"
    assert np.abs(solution.values - expected).max() <= 1e-6


def test_budget_is_not_convergence():
    mdp = slippery_grid(10, 0.99)
    for method in METHODS:
        solution = optimal_policy(mdp, method, limit=1)
        assert solution.status == "iteration limit"
        assert solution.iterations == 1
        full = optimal_policy(mdp)
        assert (solution.lower <= full.upper).all()
        assert (full.lower <= solution.upper).all()


def test_history_is_the_narrowest_width_so_far():
    solution = optimal_policy(slippery_grid(15, 0.95), "value_iteration")
    assert len(solution.history) == solution.iterations
    assert (np.diff(solution.history) <= 0).all()
    assert solution.history[-1] == pytest.approx(solution.width)


def test_refusals():
    endless = FiniteMDP([1], [[1.0]], [1.0], 0.5)
    ending = FiniteMDP([1], [[1.0]], [1.0], horizon=2)
    with pytest.raises(UnknownName, match="policy_iteration"):
        optimal_policy(endless, "policy_iterations")
    with pytest.raises(InvalidMDP, match="horizon 2"):
        optimal_policy(ending, "value_iteration")
    with pytest.raises(InvalidMDP, match="needs a horizon"):
        optimal_policy(endless, "backward_induction")
    with pytest.raises(InvalidData, match="tolerance"):
        optimal_policy(endless, tolerance=-1.0)
    with pytest.raises(InvalidData, match="limit"):
        optimal_policy(endless, limit=0)
    with pytest.raises(InvalidData, match="values has shape 2"):
        optimal_policy(endless, values=np.zeros(2))
    with pytest.raises(InvalidMDP, match="beyond the range"):
        optimal_policy(FiniteMDP([1], [[1.0]], [1e300], 0.99))
    with pytest.raises(InvalidMDP, match="beyond the range"):
        optimal_policy(FiniteMDP([1], [[1.0]], [1e300], horizon=10))
    with pytest.raises(InvalidMDP, match="not below 1"):
        optimal_policy(FiniteMDP([1], [[1.0 + 5e-10]], [1.0], 1.0 - 1e-10))


@pytest.mark.parametrize("off", [-9e-10, 9e-10])
def test_value_iteration_where_one_state_leaves_nothing_to_mix(off):
    """The residual less its mean is 0 then, and plain sweeps with a row sum off 1 would take millions."""
    mdp = FiniteMDP([2], [[1.0 + off], [1.0]], [1.0, 0.5], 0.999999)
    solution = optimal_policy(mdp, "value_iteration", limit=200)
    assert solution.status in ("within tolerance", "at rounding")
    assert solution.values == pytest.approx([1.0 / (1.0 - 0.999999 * (1.0 + off))], rel=1e-9)
