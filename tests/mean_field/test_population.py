"""Bounds for n agents against exact values of tiny populations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData
from eqsolve.mean_field import InitialLaw, InvalidPolicy, SubsampledPolicy, uniform_policy
from eqsolve.mean_field.generators import random_game, warehouse
from eqsolve.mean_field.judge.surrogate import spread, surrogate
from eqsolve.mean_field.online.execution import simulate
from eqsolve.mean_field.population import population_bound, population_gap, population_parts
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, random_policy, tiny_games


def tiny(seed, n=4, kind="dirichlet", local=(0.4, 0.7)):
    game = random_game(n, global_states=2, local_states=2, gamma=0.7, seed=seed)
    return replace(game, initial=InitialLaw([0.4, 0.6], kind, np.array(local)))


@given(tiny_games(most_states=3, most_agents=4), st.integers(0, 100))
@settings(max_examples=12, deadline=None)
def test_no_level_is_below_the_best_value(game, seed):
    local = random_policy(np.random.default_rng(seed), game, 1).local_policy
    best = oracle.optimal_values(game, game.n, local)[0]
    exact = oracle.mean_value(game, best, game.n)
    before = np.inf
    for level in range(1, game.n + 1):
        found = population_bound(game, local, level, tolerance=1e-8)
        assert exact <= found.value[1] + 1e-9
        assert found.value[1] <= before + 1e-7
        upper = spread(surrogate(game, local, level).optimal(None, 1e-8, 500).upper, level, game.n, game.n_local_states)
        assert (upper - best.T).min() >= -1e-9
        before = found.value[1]
    assert before == pytest.approx(exact, abs=1e-7)


def test_no_plan_is_above_the_bound_against_everybody():
    game = tiny(3)
    local = game.uniform_local()
    exact = oracle.mean_value(game, oracle.joint_values(game, 4), 4)
    before = np.inf
    for level in (1, 2, 3, 4):
        found = population_bound(game, local, level, against="everybody")
        assert exact - 1e-9 <= found.value[1] <= before + 1e-4
        before = found.value[1]
    assert before == pytest.approx(exact, abs=1e-3)
    assert population_bound(game, local, against="everybody").level == 4
    assert before >= population_bound(game, local, 4).value[0]


@pytest.mark.parametrize(
    ("kind", "local", "seed"),
    [("dirichlet", (0.4, 0.7), 0), ("iid", (0.3, 0.7), 1), ("counts", (1, 3), 2), ("dirichlet", (2.0, 0.2), 3)],
)
def test_the_true_gap_is_inside(kind, local, seed):
    game = tiny(seed, kind=kind, local=local)
    for k in (1, 3):
        policy = random_policy(np.random.default_rng(seed), game, k, deterministic=k == 3)
        value = oracle.mean_value(game, oracle.policy_values(game, policy), 4)
        best = oracle.mean_value(game, oracle.optimal_values(game, 4, policy.local_policy)[0], 4)
        for level in (2, 4):
            parts = population_parts(game, policy, level, rollouts=600, seed=seed, confidence=0.999)
            assert abs(parts.gap - (parts.bound.value[1] - value)) <= parts.half_width + 1e-4
            assert best - value <= parts.upper
            gap = population_gap(game, policy, level, rollouts=600, seed=seed, confidence=0.999)
            assert (gap.lower, gap.upper, gap.method, gap.concept) == (0.0, parts.upper, "statistical", "optimality")
            assert gap.confidence == 0.999
            assert f"the values of {level} local agents" in gap.assumptions[0]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gamma": 0.6}, "of a game of another gamma"),
        ({"global_reward": np.full((2, 2), 9.0)}, "of a game of another global_reward"),
        ({"initial": InitialLaw([0.4, 0.6], "iid", np.array([0.5, 0.5]))}, "of a game of another initial law"),
        ({"n": 2}, "that of 3 local agents, and there are 2"),
    ],
)
def test_a_bound_of_another_game_is_refused(change, told):
    game = tiny(0)
    bound, other = population_bound(game, game.uniform_local(), 3), replace(game, **change)
    with pytest.raises(InvalidData, match=told):
        population_parts(other, uniform_policy(other, 2), bound=bound, rollouts=10)
    larger = game.with_n(50)
    assert population_parts(larger, uniform_policy(larger, 2), bound=bound, rollouts=10).bound is bound


def test_short_rollouts_are_paid_for():
    game = tiny(0)
    policy = uniform_policy(game, 2)
    value = oracle.mean_value(game, oracle.policy_values(game, policy), 4)
    best = oracle.mean_value(game, oracle.optimal_values(game, 4, policy.local_policy)[0], 4)
    parts = population_parts(game, policy, 4, rollouts=400, steps=2, confidence=0.999)
    assert best - value <= parts.upper
    assert parts.upper >= parts.gap + parts.half_width - 0.7**2 * game.reward_range[0] / 0.3 - 1e-9
    assert parts.estimate.steps == 2


def test_the_control_variate_narrows_the_interval():
    lazy = 0.9 * np.eye(2) + 0.05
    kernel, rewards = np.tile(lazy[:, None, None], (1, 2, 2, 1)), np.arange(8.0).reshape(2, 2, 2)
    game = replace(tiny(0, n=40), local_kernel=kernel, local_reward=rewards)
    policy = uniform_policy(game, 2)
    bound = population_bound(game, policy.local_policy, 4)
    parts = population_parts(game, policy, bound=bound, rollouts=400, steps=30)
    assert parts.half_width < 0.6 * parts.estimate.half_width
    plain = simulate(game, policy, 400, 30, np.random.default_rng(0)).estimate()
    assert parts.estimate.mean == plain.mean


def test_wrong_hints_and_few_sweeps_do_not_harm():
    game = tiny(1)
    local = game.uniform_local()
    exact = oracle.mean_value(game, oracle.optimal_values(game, 3, local)[0], 3)
    for hint in (np.full((2, 4), 1e5), np.random.default_rng(0).normal(size=(2, 4)) * 50):
        for sweeps in (1, 200):
            low, high = population_bound(game, local, 3, hint=hint, sweeps=sweeps).value
            assert low - 1e-11 <= exact <= high + 1e-11
    best = population_bound(game, local, 3)
    policy = SubsampledPolicy(3, uniform_policy(game, 3).global_policy, local, np.full((2, 4), -1e4))
    parts = population_parts(game, policy, 3, rollouts=50)
    assert parts.bound.value == pytest.approx(best.value, abs=2e-4)


@pytest.mark.slow
def test_gaps_of_the_notes():
    game = warehouse(1000)
    local = game.deterministic_local(PI_STAR)
    bound = population_bound(game, local, 20)
    assert bound.value[1] == pytest.approx(174.462, abs=1e-3)
    for k, gap, half in ((1, 58.70, 0.43), (2, 37.72, 0.52), (5, 26.08, 0.65), (10, 11.18, 0.60), (20, 4.12, 0.50)):
        system = surrogate(game, local, k)
        values = system.optimal(None, 1e-5, 500).middle
        choice = np.stack([system.action_values(values, g)[0].argmax(axis=1) for g in range(5)])
        parts = population_parts(game, SubsampledPolicy(k, choice, local), bound=bound, steps=250)
        assert abs(parts.gap - gap) <= 1.5 * (half + parts.half_width)


def test_bad_input():
    game = tiny(0)
    policy = uniform_policy(game, 2)
    with pytest.raises(InvalidData, match="level is 5"):
        population_bound(game, policy.local_policy, 5)
    with pytest.raises(InvalidData, match="level is 0"):
        population_gap(game, policy, 0)
    with pytest.raises(InvalidData, match="against is 'nobody'"):
        population_bound(game, policy.local_policy, against="nobody")
    with pytest.raises(InvalidPolicy, match="k = 2"):
        population_gap(game.with_n(1), policy)
    other = population_bound(game, game.deterministic_local(np.zeros((2, 2))), 2)
    with pytest.raises(InvalidData, match="another local policy"):
        population_gap(game, policy, bound=other)
    with pytest.raises(InvalidData, match="confidence is 2"):
        population_gap(game, policy, 2, rollouts=10, confidence=2.0)
