"""Bounds of values and gaps: they hold in exact arithmetic, they are tight, and no hint makes them wrong."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from operator import attrgetter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.mdp.certificate import optimal_bracket, optimality_gap, value_bracket
from eqsolve.mdp.generators import grid_world, random_mdp
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from tests.mdp.textbook import BOOK, CASES, LARGE_CASES, POLICY_CASES, two_states


def exact_values(mdp, policy):
    """Of a policy, in rational arithmetic: Gauss elimination, or backward induction."""
    gamma, S = Fraction(mdp.gamma), mdp.n_states
    kernels = [np.asarray(k.toarray() if mdp.is_sparse else k) for k in mdp.transition]
    if mdp.horizon is not None:
        v = [Fraction(x) for x in mdp.terminal.tolist()]
        for h in reversed(range(mdp.horizon)):
            P, r = kernels[h if len(kernels) > 1 else 0].tolist(), mdp.reward_at(h).tolist()
            q = [Fraction(r[k]) + gamma * sum(Fraction(p) * x for p, x in zip(P[k], v, strict=True)) for k in range(mdp.n_pairs)]
            v = [sum(Fraction(policy[h, k]) * q[k] for k in range(mdp.first[s], mdp.first[s + 1])) for s in range(S)]
        return v
    rows = []
    for s in range(S):
        row, right = [Fraction(int(s == t)) for t in range(S)], Fraction(0)
        for k in range(mdp.first[s], mdp.first[s + 1]):
            weight = Fraction(float(policy[k]))
            right += weight * Fraction(float(mdp.reward[k]))
            for t in range(S):
                row[t] -= gamma * weight * Fraction(float(kernels[0][k, t]))
        rows.append([*row, right])
    for i in range(S):
        rows[i] = [x / rows[i][i] for x in rows[i]]
        for j in range(S):
            if j != i and rows[j][i]:
                rows[j] = [a - rows[j][i] * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[-1] for row in rows]


def exact_optimum(mdp):
    """Componentwise maximum over all deterministic policies; with a horizon over those of each step."""
    choices = list(product(*(range(n) for n in mdp.n_actions.tolist())))
    if mdp.horizon is None:
        values = [exact_values(mdp, mdp.deterministic(choice)) for choice in choices]
    else:
        values = [exact_values(mdp, mdp.deterministic(np.array(plan))) for plan in product(choices, repeat=mdp.horizon)]
    return [max(column) for column in zip(*values, strict=True)]


def random_policy(mdp, rng):
    draw = rng.exponential(size=mdp.policy_shape()) * (rng.random(mdp.policy_shape()) < 0.7) + 1e-3
    return draw / np.add.reduceat(draw, mdp.first[:-1], axis=-1)[..., mdp.owner]


def tiny(seed):
    rng = np.random.default_rng(seed)
    horizon = None if seed % 3 else 2
    gamma = float(rng.choice([0.0, 0.5, 0.9, 0.99, 0.9999]))
    mdp = random_mdp(3, 3, int(rng.integers(1, 4)), gamma, seed=seed, ragged=True, dense=seed % 2 == 0, horizon=horizon)
    mdp = mdp.with_reward(mdp.reward * rng.choice([1e-3, 1.0, 1e6]) - rng.random())
    return mdp.with_initial(0) if seed % 4 == 0 else mdp, random_policy(mdp, rng)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["none", "zero", "noise", "huge"]))
def test_the_bounds_hold_in_rational_arithmetic(seed, kind):
    mdp, policy = tiny(seed)
    hints = {"none": None, "zero": np.zeros(3), "noise": np.random.default_rng(seed).normal(size=3) * 100, "huge": np.full(3, 1e12)}
    mine, best = exact_values(mdp, mdp.check_policy(policy)), exact_optimum(mdp)
    for bracket, truth in (
        (value_bracket(mdp, policy, values=hints[kind]), mine),
        (optimal_bracket(mdp, values=hints[kind]), best),
    ):
        for low, true, high in zip(bracket.lower.tolist(), truth, bracket.upper.tolist(), strict=True):
            assert Fraction(low) <= true <= Fraction(high)
        expected = sum(Fraction(m) * x for m, x in zip(mdp.initial.tolist(), truth, strict=True))
        assert Fraction(bracket.value_lower) <= expected <= Fraction(bracket.value_upper)
    gap = optimality_gap(mdp, policy, values=hints[kind])
    true_gap = sum(Fraction(m) * (b - x) for m, b, x in zip(mdp.initial.tolist(), best, mine, strict=True))
    assert Fraction(gap.lower) <= max(true_gap, 0) <= Fraction(gap.upper)
    scale = 1.0 + float(np.abs(mdp.reward).max()) / (1.0 - min(mdp.gamma, 0.9999))
    assert gap.upper - gap.lower <= 1e-9 * scale
    if mdp.horizon is None:
        largest = max(b - x for b, x in zip(best, mine, strict=True))
        worst = optimality_gap(mdp, policy, everywhere=True)
        assert Fraction(worst.lower) <= max(largest, 0) <= Fraction(worst.upper)


@pytest.mark.parametrize("case", [*CASES, *LARGE_CASES], ids=attrgetter("name"))
def test_the_textbook(case):
    mdp = case.mdp
    bracket, size = optimal_bracket(mdp), 1.0 + np.abs(case.values).max()
    assert bracket.width <= 1e-8 * size
    assert bracket.lower == pytest.approx(case.values, abs=1e-9 * size)
    assert (bracket.lower <= case.values + 1e-12 * size).all()
    assert (bracket.upper >= case.values - 1e-12 * size).all()


@pytest.mark.parametrize("case", [case for case in BOOK if case.choice is not None], ids=attrgetter("name"))
def test_the_policies_of_the_textbook_have_no_gap_and_others_do(case):
    mdp = case.mdp
    gap = optimality_gap(mdp, mdp.deterministic(case.choice), everywhere=True)
    assert gap.upper <= 1e-8 * (1.0 + np.abs(case.values).max())
    for s in range(mdp.n_states):
        for action in range(int(mdp.n_actions[s])):
            other = np.array(case.choice)
            if other.ndim == 1 and action != other[s]:
                other[s] = action
                worse = optimality_gap(mdp, mdp.deterministic(other), everywhere=True)
                assert worse.lower > 1e-6
                assert worse.witness.state == mdp.state_label(s)


@pytest.mark.parametrize("case", POLICY_CASES, ids=attrgetter("name"))
def test_values_of_policies_of_the_textbook(case):
    bracket = value_bracket(case.mdp, case.policy)
    assert bracket.width <= 1e-10
    assert bracket.lower == pytest.approx(case.values, abs=1e-10)


def test_the_witness_is_the_largest_one_step_advantage():
    gap = optimality_gap(two_states(0.95), [0, 1, 1])
    assert gap.method == "exact"
    assert gap.witness.where == "state s1"
    assert "a11" in gap.witness.deviation
    # q(a11) = 5 + .475 (-9) + .475 (-20) = -8.775 against v = -9
    assert gap.witness.gain == pytest.approx(0.225, abs=1e-10)


def test_states_out_of_reach_do_not_count_unless_asked():
    mdp = FiniteMDP([1, 2], [[1, 0], [0, 1], [0, 1]], [0.0, 0.0, 1.0], 0.5, initial=0)
    lazy = [1, 1, 0]
    assert optimality_gap(mdp, lazy).upper <= 1e-300 + 1e-12
    assert optimality_gap(mdp, lazy).witness is None
    assert optimality_gap(mdp, lazy, everywhere=True).lower == pytest.approx(2.0)
    assert optimality_gap(mdp, lazy, everywhere=True).witness.state == "1"
    finite = FiniteMDP([1, 2], [[1, 0], [0, 1], [0, 1]], [0.0, 0.0, 1.0], horizon=3, initial=0)
    assert optimality_gap(finite, lazy).witness is None
    late = optimality_gap(finite.with_initial(1), lazy)
    assert late.lower == pytest.approx(3.0)
    assert optimality_gap(finite, lazy, everywhere=True).upper == pytest.approx(3.0)


def test_no_gap_has_no_witness_and_rounding_stays_rounding():
    mdp = random_mdp(400, 4, 6, 0.99, seed=1)
    v = np.zeros(400)
    for _ in range(4000):
        v = np.maximum.reduceat(mdp.reward + 0.99 * (mdp.kernel() @ v), mdp.first[:-1])
    q = (mdp.reward + 0.99 * (mdp.kernel() @ v)).reshape(400, 4)
    gap = optimality_gap(mdp, mdp.deterministic(q.argmax(axis=1)))
    assert gap.method == "exact"
    assert gap.upper < 1e-9
    assert gap.witness is None


@pytest.mark.parametrize("gamma", [0.99, 0.9999])
def test_grids_with_slow_mixing_are_certified(gamma):
    mdp = grid_world(60, 60, gamma)
    gap = optimality_gap(mdp, mdp.uniform_policy())
    assert gap.upper - gap.lower <= 1e-7
    assert gap.lower > 0.1


def test_long_chains_are_certified():
    mdp = grid_world(1, 3000, 0.999, slip=0.0, initial=(0, 0))
    east = mdp.deterministic(np.ones(3000, dtype=int))
    bracket = value_bracket(mdp, east)
    assert bracket.lower[0] == pytest.approx(0.999**2998, abs=1e-10)
    assert optimality_gap(mdp, east).holds(1e-9)


def test_steps_with_their_own_kernels():
    mdp = random_mdp(3, 2, 2, None, seed=5, horizon=2, stationary=False)
    policy = random_policy(mdp, np.random.default_rng(0))
    mine, best = exact_values(mdp, policy), exact_optimum(mdp)
    gap = optimality_gap(mdp, policy)
    assert gap.lower <= float(sum(b - x for b, x in zip(best, mine, strict=True))) / 3 + 1e-15
    assert gap.upper == pytest.approx(float(sum(b - x for b, x in zip(best, mine, strict=True))) / 3, abs=1e-12)
    assert gap.witness.step in (0, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: optimality_gap(two_states(0.5), [1, 1, 1]), "sums to 2"),
        (lambda: optimality_gap(two_states(0.5), [0, 1, 1], values=[1.0]), "values has shape 1, expected 2"),
        (lambda: value_bracket(two_states(0.5), [0, 1, 1], values=[np.nan, 0]), r"values\[0\] is nan"),
        (lambda: optimal_bracket(two_states(0.5).with_reward([1e300, 0, 0])), "too large to bound"),
        (lambda: optimal_bracket(FiniteMDP([1], [[1 + 9e-10]], [1.0], 1 - 1e-10)), "values need not be finite"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidMDP, match=words):
        make()


@pytest.mark.parametrize(("rewards", "step"), [([[0.0, 1.0], [0.0, 5.0]], 1), ([[0.0, 5.0], [0.0, 1.0]], 0)])
def test_the_witness_is_the_step_of_the_largest_gain(rewards, step):
    witness = optimality_gap(FiniteMDP([2], [[1.0], [1.0]], rewards, horizon=2), [1.0, 0.0]).witness
    assert (witness.step, witness.gain) == (step, pytest.approx(5.0))
