"""Certificates against brute force over crowds, and with hints that are wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field import GlobalLocalGame, Histograms, InvalidPolicy, SubsampledPolicy, TwoLevel, uniform_policy
from eqsolve.mean_field.certificate import policy_value, surrogate_gap, surrogate_gaps, value_interval
from eqsolve.mean_field.generators import random_game, warehouse
from eqsolve.mean_field.judge import agent, joint, operator
from eqsolve.mean_field.judge.factors import thinnings
from eqsolve.mean_field.judge.operator import symmetric_power
from eqsolve.mean_field.judge.surrogate import spread, surrogate
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, cases, known, random_policy, tiny_games

KERNELS = {
    "dense": lambda rng, Z: rng.dirichlet(np.ones(Z), size=Z),
    "sparse": lambda rng, Z: rng.dirichlet(np.full(Z, 0.1), size=Z),
    "permutation": lambda rng, Z: np.eye(Z)[rng.permutation(Z)],
    "merging": lambda rng, Z: np.eye(Z)[rng.integers(Z, size=Z)],
    "forgetful": lambda rng, Z: np.tile(rng.dirichlet(np.ones(Z)), (Z, 1)),
    "reluctant": lambda rng, Z: 0.1 * np.eye(Z) + 0.9 * np.roll(np.eye(Z), 1, axis=1),
}


MEANS = [None] * len(cases()) + ["thinnings", "recursion"] * len(cases())
"""All cases by the operator that is chosen, then each by another one."""


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize(("Z", "k"), [(1, 3), (2, 4), (3, 3), (4, 2), (6, 1), (3, 0)])
def test_operators_take_the_expectation(kind, Z, k):
    rng = np.random.default_rng(Z)
    rows = KERNELS[kind](rng, Z)
    place = oracle.places(k, Z)
    kernel = np.array([oracle.move_law(rows, crowd, place) for crowd in place])
    values, mass = rng.normal(size=(len(place), 3)), rng.random((len(place), 2))
    kept = values.copy()
    for means in ("dense", "thinnings", "recursion"):
        power = symmetric_power(rows, k, means)
        assert np.abs(power.apply(values) - kernel @ values).max() <= power.error * np.abs(values).max() + 1e-15
        assert np.array_equal(values, kept)
        np.testing.assert_allclose(power.transpose(mass), kernel.T @ mass, atol=1e-13)


@pytest.mark.parametrize("kind", KERNELS)
def test_thinnings_and_recursion_agree_on_many_agents(kind):
    rng = np.random.default_rng(1)
    rows, k = KERNELS[kind](rng, 4), 14
    values = rng.normal(size=(Histograms(k, 4).size, 40))
    one, other = (symmetric_power(rows, k, means) for means in ("thinnings", "recursion"))
    most = (one.error + other.error) * np.abs(values).max()
    assert np.abs(one.apply(values) - other.apply(values)).max() <= most < 1e-8


@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([0.05, 1.0, 20.0]))
@settings(max_examples=30, deadline=None)
def test_thinnings_make_the_rows(Z, seed, concentration):
    rows = np.random.default_rng(seed).dirichlet(np.full(Z, concentration), size=Z)
    found = thinnings(rows)
    assert found.amplification >= 1.0 - 1e-12
    going = np.eye(Z)
    for i, j, share in zip(found.source, found.target, found.share, strict=True):
        step = np.eye(Z)
        step[i, i], step[i, j] = 1.0 - share, share
        going = going @ step
    reached = np.empty((Z, Z))
    reached[:, found.rename] = going
    assert np.abs(reached - rows).max() <= found.deviation + 1e-13 * found.amplification


def test_means_are_chosen_by_size_and_rounding(monkeypatch):
    rows = KERNELS["dense"](np.random.default_rng(0), 5)
    assert symmetric_power(rows, 3).means == "dense"
    assert symmetric_power(rows, 12).means == "thinnings"
    monkeypatch.setattr(operator, "CLEAN", 0.0)
    assert symmetric_power(rows, 8).means == "recursion"
    monkeypatch.setattr(operator, "LONGEST", 10)
    assert symmetric_power(rows, 8).means == "thinnings"
    monkeypatch.setattr(operator, "USABLE", 0.0)
    with pytest.raises(InvalidGame, match=r"(?s)amplifies rounding 1.*Judge a smaller k"):
        symmetric_power(rows, 8)
    with pytest.raises(InvalidData, match="means is 'fast'"):
        symmetric_power(rows, 8, "fast")


@pytest.mark.parametrize(
    ("case", "means"),
    [pytest.param(case, means, id=f"{case.name}, {means}") for case, means in zip(cases() * 2, MEANS, strict=False)],
)
def test_brackets_hold_the_truth_from_any_start(case, means, monkeypatch):
    if means:
        monkeypatch.setattr("eqsolve.mean_field.judge.surrogate.symmetric_power", lambda rows, k: symmetric_power(rows, k, means))
    rng = np.random.default_rng(3)
    best = oracle.optimal_values(case.game, case.k, case.local)[0]
    policy = random_policy(rng, case.game, case.k, deterministic=case.k != 2)
    policy = SubsampledPolicy(case.k, policy.global_policy, case.local)
    value = oracle.policy_values(case.game, policy, case.k)
    system = surrogate(case.game, case.local, case.k)
    for hint in (None, best, rng.normal(size=best.shape), 1e6 * rng.normal(size=best.shape), np.full(best.shape, -3e9)):
        for truth, found in (
            (best, system.optimal(hint, 1e-7, 400)),
            (best, system.optimal(hint, 1e-7, 1)),
            (value, system.value(policy, hint, 1e-7, 400)),
            (value, system.value(policy, hint, 1e-7, 2)),
        ):
            slack = 1e-11 * (1 + np.abs(truth).max())
            assert (found.lower <= truth.T + slack).all()
            assert (found.upper >= truth.T - slack).all()
        assert system.optimal(hint, 1e-7, 400).width <= 1e-7 + 1e-13 * (0 if hint is None else np.abs(hint).max())
    np.testing.assert_allclose(system.occupancy(policy, 200).sum(), 1 / (1 - case.game.gamma), rtol=1e-6)


def tagged(game, policy, k):
    """The process of one agent among k on (g, own state, crowd of the others), every move written out: rewards and kernels by its
    action, and the law of the first state."""
    Z, G, A = game.n_local_states, game.n_global_states, game.n_local_actions
    rows, place = policy.global_rows(game.n_global_actions), oracle.places(k, Z)
    others = oracle.places(k - 1, Z)
    moves = oracle.crowd_kernel(game, k - 1, policy.local_policy)
    earned = (k - 1) * oracle.payoffs(game, k - 1, policy.local_policy) if k > 1 else np.zeros((G, 1))
    law = oracle.initial_law(game, k)
    shape = (G, Z, len(others))
    reward, kernel, first = np.zeros((*shape, A)), np.zeros((*shape, A, *shape)), np.zeros(shape)
    for g, u, (crowd, h) in product(range(G), range(Z), others.items()):
        whole = tuple(sorted((*crowd, u)))
        first[g, u, h] = law[g, place[whole]] * whole.count(u) / k
        going = rows[g, place[whole]] @ game.global_kernel[g]
        for a in range(A):
            mine = game.local_reward[u, g, a] + earned[g, h]
            reward[g, u, h, a] = rows[g, place[whole]] @ game.global_reward[g] + mine / k
            kernel[g, u, h, a] = np.einsum("x,y,z->xyz", going, game.local_kernel[u, g, a], moves[g, h])
    return reward, kernel, first


def deviations(game, policy, k):
    """The best value over all tables of one deviating agent, and the best one of one who sees everything."""
    reward, kernel, first = tagged(game, policy, k)
    S, A = first.size, reward.shape[-1]
    r, P, gamma = reward.reshape(S, A), kernel.reshape(S, A, S), game.gamma
    tables = []
    for table in oracle.deterministic_locals(game):
        choice = np.broadcast_to(table[:, :, None, :], reward.shape).reshape(S, A)
        chain, pay = np.einsum("sa,sat->st", choice, P), (choice * r).sum(axis=1)
        tables.append(first.reshape(-1) @ np.linalg.solve(np.eye(S) - gamma * chain, pay))
    here = np.broadcast_to(game.local_available[None, :, None, :], reward.shape).reshape(S, A)
    v = np.zeros(S)
    for _ in range(400):
        v = np.where(here, r + gamma * P @ v, -np.inf).max(axis=1)
    return max(tables), float(first.reshape(-1) @ v)


@given(tiny_games(most_states=2, most_agents=3), st.integers(0, 100), st.booleans())
@settings(max_examples=15, deadline=None)
def test_gaps_are_those_of_brute_force(game, seed, deterministic):
    k = game.n
    policy = random_policy(np.random.default_rng(seed), game, k, deterministic=deterministic, local_deterministic=seed % 2 == 0)
    value = oracle.mean_value(game, oracle.policy_values(game, policy, k), k)
    best = oracle.mean_value(game, oracle.optimal_values(game, k, policy.local_policy)[0], k)
    planned = oracle.mean_value(game, oracle.joint_values(game, k), k)
    table, informed = deviations(game, policy, k)
    gaps = surrogate_gaps(game, policy, tolerance=1e-8)
    assert gaps.value == pytest.approx((value, value), abs=1e-7)
    assert (gaps.dispatcher.lower, gaps.dispatcher.upper) == pytest.approx((best - value,) * 2, abs=1e-7)
    assert gaps.agent.lower == pytest.approx(max(0.0, table - value), abs=1e-7)
    assert gaps.agent.upper == pytest.approx(max(0.0, informed - value), abs=1e-7)
    assert (gaps.everybody.lower, gaps.everybody.upper) == pytest.approx((planned - value,) * 2, abs=1e-7)
    rows = policy.global_rows(game.n_global_actions)
    informed_all = oracle.mean_value(game, oracle.joint_values(game, k, rows), k)
    assert gaps.together.upper == pytest.approx(informed_all - value, abs=1e-7)
    shared = max(
        oracle.mean_value(game, oracle.policy_values(game, SubsampledPolicy(k, policy.global_policy, one), k), k)
        for one in oracle.deterministic_locals(game)
    )
    assert gaps.together.lower <= max(0.0, shared - value) <= gaps.together.upper + 1e-7 <= gaps.everybody.upper + 2e-7
    assert gaps.agent_times_k == pytest.approx((k * gaps.agent.lower, k * gaps.agent.upper))
    found = surrogate_gap(game, policy, tolerance=1e-8)
    assert found.lower == pytest.approx(max(0.0, best - value, table - value), abs=1e-7)
    assert found.upper == pytest.approx(max(0.0, best - value, informed - value), abs=1e-7)
    if found.lower > 1e-6:
        assert found.witness.gain == pytest.approx(found.lower)


def test_threads_change_nothing(monkeypatch):
    game = known("warehouse")
    policy = random_policy(np.random.default_rng(0), game, 7)
    values = np.random.default_rng(1).normal(size=(Histograms(7, 5).size, 5))
    found = []
    for size in (10**9, 0):
        monkeypatch.setattr(operator, "THREADED", size)
        system = surrogate(game, policy.local_policy, 7)
        found.append((system.best(values)[0].tobytes(), system.under(policy, values)[0].tobytes()))
    assert found[0] == found[1]


def test_worst_first_states():
    game = random_game(3, global_states=2, local_states=2, gamma=0.8, seed=4)
    policy = random_policy(np.random.default_rng(0), game, 3)
    gaps = surrogate_gaps(game, policy, tolerance=1e-8)
    value = oracle.policy_values(game, policy)
    assert gaps.worst_dispatcher == pytest.approx((oracle.optimal_values(game, 3, policy.local_policy)[0] - value).max(), abs=1e-6)
    assert gaps.worst_everybody == pytest.approx((oracle.joint_values(game, 3) - value).max(), abs=1e-6)
    assert gaps.together.method == "relaxation"
    assert gaps.agent.upper <= gaps.worst_agent <= gaps.worst_everybody


def test_fewer_planned_agents_bound_more(monkeypatch):
    game = random_game(4, global_states=2, local_states=2, gamma=0.8, seed=2)
    policy = random_policy(np.random.default_rng(0), game, 4)
    exact = surrogate_gaps(game, policy, tolerance=1e-9)
    sizes = {j: game.n_global_states * Histograms(j, 4).size * (j + 1) for j in (1, 2)}
    before = exact.everybody.upper
    for j in (2, 1):
        monkeypatch.setattr(joint, "LARGEST", sizes[j])
        found = surrogate_gaps(game, policy, tolerance=1e-9)
        assert found.everybody.method == "relaxation"
        assert f"a central plan of {j} of the 4 agents" in found.everybody.assumptions[-1]
        assert before <= found.everybody.upper + 1e-9
        assert exact.worst_everybody <= found.worst_everybody + 1e-9
        before = found.everybody.upper
    monkeypatch.setattr(joint, "LARGEST", 0)
    found = surrogate_gaps(game, policy)
    assert found.everybody.upper >= before
    assert found.everybody.upper == pytest.approx(game.reward_range[1] / 0.2 - found.value[0])


def test_too_large_for_one_agent_is_told_and_bounded(monkeypatch):
    game = random_game(3, global_states=2, local_states=2, gamma=0.8, seed=2)
    policy = random_policy(np.random.default_rng(0), game, 3)
    exact = surrogate_gaps(game, policy)
    monkeypatch.setattr(agent, "HELD", 1)
    found = surrogate_gaps(game, policy)
    assert found.agent.lower == 0.0
    assert exact.agent.upper <= found.agent.upper == pytest.approx(exact.everybody.upper)
    assert any("too large for k = 3" in one for one in found.agent.assumptions)


def test_little_work_gives_true_but_wide_bounds(monkeypatch):
    game = random_game(3, global_states=2, local_states=2, gamma=0.8, seed=2)
    policy = random_policy(np.random.default_rng(0), game, 3)
    exact = surrogate_gaps(game, policy)
    monkeypatch.setattr(agent, "WORK", 1)
    monkeypatch.setattr(agent, "SEARCH", 1)
    found = surrogate_gaps(game, policy)
    assert exact.agent.upper <= found.agent.upper + 1e-9
    assert found.agent.lower == 0.0
    assert any("no deviation of one agent was searched for" in one for one in found.agent.assumptions)


def test_search_beyond_enumeration(monkeypatch):
    game = random_game(2, global_states=2, local_states=2, local_actions=2, gamma=0.8, seed=6)
    policy = random_policy(np.random.default_rng(1), game, 2)
    exact = surrogate_gaps(game, policy).agent
    monkeypatch.setattr(agent, "TABLES", 1)
    found = surrogate_gaps(game, policy).agent
    assert 0.0 < found.lower <= exact.lower + 1e-4
    assert found.witness is not None


def test_a_best_response_has_no_gap_and_wrong_hints_do_not_harm():
    game = known("warehouse")
    local = game.deterministic_local(PI_STAR)
    best = surrogate(game, local, 2)
    values = best.optimal(None, 1e-9, 500).middle
    choice = np.stack([best.action_values(values, g)[0].argmax(axis=1) for g in range(5)])
    found = []
    for hint in (None, values.T, np.random.default_rng(0).normal(size=(5, 15)) * 1e3):
        gaps = surrogate_gaps(game, SubsampledPolicy(2, choice, local, hint))
        assert gaps.dispatcher.upper <= 2e-4
        assert gaps.value == pytest.approx((194.4526424,) * 2, abs=1e-4)
        found.append(gaps.agent.upper)
    np.testing.assert_allclose(found, 196.27864 - 194.45264, atol=3e-4)
    assert gaps.everybody.upper == pytest.approx(198.39299 - 194.45264, abs=3e-4)
    assert gaps.agent.lower < 1e-4


@pytest.mark.slow
def test_warehouse_values_by_k():
    game = warehouse(1000)
    local = game.deterministic_local(PI_STAR)
    for k, value in ((3, 186.729), (5, 180.531), (10, 176.2355), (20, 174.462)):
        system = surrogate(game, local, k)
        low, high = (float((system.law * one).sum()) for one in system.optimal(None, 1e-4, 500)[:2])
        assert low - 1e-3 <= value <= high + 1e-3


def test_values_of_policies():
    game = known("warehouse")
    policy = uniform_policy(game, 3)
    low, high = value_interval(game, policy, tolerance=1e-7)
    exact = oracle.mean_value(game, oracle.policy_values(game, policy, 3), 3)
    assert low <= exact <= high < low + 1e-6
    assert policy_value(game, policy) == pytest.approx(exact, abs=1e-4)


def test_spread_is_the_mean_over_subsets():
    values = np.random.default_rng(0).normal(size=(Histograms(2, 3).size, 2))
    wide, place = spread(values, 2, 4, 3), oracle.places(2, 3)
    for crowd, h in oracle.places(4, 3).items():
        pairs = [values[place[tuple(sorted((crowd[i], crowd[j])))]] for i in range(4) for j in range(i)]
        np.testing.assert_allclose(wide[h], np.mean(pairs, axis=0))


def test_bad_input():
    game = known("warehouse")
    policy = uniform_policy(game, 2)
    with pytest.raises(InvalidPolicy, match="k = 2"):
        surrogate_gap(game.with_n(1), policy)
    with pytest.raises(InvalidData, match="tolerance is 0"):
        surrogate_gap(game, policy, tolerance=0.0)
    with pytest.raises(InvalidData, match="sweeps is 0"):
        policy_value(game, policy, sweeps=0)
    with pytest.raises(InvalidPolicy, match="the game has 3 and 2"):
        surrogate_gap(random_game(4, local_states=2), policy)


def test_rows_above_one_widen_the_bounds_or_are_refused():
    """Sums of rows within 1e-9 of 1 are allowed, and may bring the discount of three agents to 1: values are infinite there."""

    def game(gamma):
        more = np.array([[0.5 + 4e-10, 0.5]] * 2)
        kernels = np.stack([more, more], axis=1), more[:, None, None, :].repeat(2, axis=1)
        return GlobalLocalGame(*kernels, np.eye(2), np.zeros((2, 2, 1)), 3, gamma)

    near, over = game(1.0 - 1e-8), game(1.0 - 1e-10)
    mass = near.gamma * (1.0 + 4e-10) ** 4
    exact = 0.5 / (1.0 - mass)
    low, high = value_interval(near, uniform_policy(near, 3))
    assert low - 1e-6 * exact <= exact <= high + 1e-6 * exact
    valued = TwoLevel(near, 3, 3).value(uniform_policy(near, 3))
    assert valued.lower <= exact <= valued.upper
    for judged in (surrogate_gap, value_interval, lambda one, policy: TwoLevel(one, 3, 3).value(policy)):
        with pytest.raises(InvalidGame, match="values may be infinite"):
            judged(over, uniform_policy(over, 3))
