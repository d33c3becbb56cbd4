"""Rollouts by counts against exact values, against agents simulated one by one, and by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import comb

from eqsolve.errors import InvalidData
from eqsolve.mean_field import InitialLaw, InvalidPolicy, SubsampledPolicy, uniform_policy
from eqsolve.mean_field.generators import random_game
from eqsolve.mean_field.online.agents import simulate_agents
from eqsolve.mean_field.online.estimates import mean_and_half_width
from eqsolve.mean_field.online.execution import estimate, simulate
from eqsolve.mean_field.online.execution_kernels import _draw
from eqsolve.mean_field.online.execution_tables import draw_histograms
from eqsolve.mean_field.two_level import TwoLevel
from tests.mean_field import oracle
from tests.mean_field.games import known, noisy, random_policy, small_game

SURE = 0.9995
"""Confidence of a single comparison; the seeds are fixed, so that a comparison holds always or never."""


def twenty_games():
    rng = np.random.default_rng(7)
    laws = ("iid", [0.5, 0.3, 0.2]), ("dirichlet", [0.3, 0.4, 0.5]), ("counts", [1, 2, 1])
    for i in range(20):
        n = 4
        game = random_game(n, global_states=2, local_states=3, global_actions=2, local_actions=2, gamma=0.7, seed=i)
        game = replace(game, initial=InitialLaw([0.3, 0.7], laws[i % 3][0], laws[i % 3][1]))
        policy = random_policy(rng, game, 1 + i % n, deterministic=i % 2 == 0, local_deterministic=i % 5 == 0)
        yield pytest.param(game, policy, i, id=f"game {i}, {laws[i % 3][0]}, k = {policy.k}")


@pytest.mark.parametrize(("game", "policy", "i"), list(twenty_games()))
def test_the_exact_value_is_inside_the_interval(game, policy, i):
    exact = oracle.mean_value(game, oracle.policy_values(game, policy), game.n)
    for compiled, rewards in ((True, "expected"), (True, "sampled"), (False, "expected")):
        rng = np.random.default_rng(i)
        runs = simulate(game, policy, 1500, 25, rng, rewards=rewards, compiled=compiled, stratified=i % 4 > 0)
        found = runs.estimate(SURE)
        assert found.lower <= exact <= found.upper
        assert found.truncation == pytest.approx(0.7**25 * game.reward_bound / 0.3)


@pytest.mark.parametrize(("game", "policy", "i"), list(twenty_games()))
def test_the_two_level_value_is_inside_the_interval_of_agents_one_by_one(game, policy, i):
    value = TwoLevel(game, game.n, policy.k).value(policy)
    returns = simulate_agents(game, policy, 80, 20, np.random.default_rng([i, 1]))
    mean, half = mean_and_half_width(returns, np.zeros(len(returns), dtype=np.int64), None, SURE)
    assert abs(value.value - mean) <= half + value.radius + 0.7**20 * game.reward_bound / 0.3


@pytest.mark.parametrize(("order", "noise"), [("current", True), ("next", False)])
def test_agents_one_by_one_earn_the_same(order, noise):
    game = small_game("many local actions", seed=3, n=7)
    game = noisy(game) if noise else game
    policy = random_policy(np.random.default_rng(0), game, 3, deterministic=False)
    slow = simulate_agents(game, policy, 200, 8, np.random.default_rng(1), order=order)
    for compiled in (True, False):
        rng = np.random.default_rng(2)
        fast = simulate(game, policy, 4000, 8, rng, order=order, rewards="sampled", compiled=compiled).returns
        spread = np.sqrt(slow.var() / len(slow) + fast.var() / len(fast))
        assert abs(slow.mean() - fast.mean()) < 3.5 * spread
        assert fast.std() == pytest.approx(slow.std(), rel=0.2)


def test_agents_are_distributed_as_one_by_one():
    game = small_game("plain", seed=5, n=9)
    policy = random_policy(np.random.default_rng(0), game, 4)
    slow = simulate_agents(game, policy, 300, 3, np.random.default_rng(1), record=True)
    fast = simulate(game, policy, 3000, 3, np.random.default_rng(2), record=3000).counts
    for t in range(3):
        for z in range(game.n_local_states):
            pair = [np.bincount(one[:, t, z].astype(int), minlength=10) for one in (slow, fast)]
            met = np.sum(pair, axis=0) > 0
            assert stats.chi2_contingency(np.array(pair)[:, met]).pvalue > 1e-4


def test_next_order_is_another_game():
    game = known("warehouse")
    policy = uniform_policy(game, 2)
    returns = [simulate(game, policy, 800, 40, np.random.default_rng(0), order=one).returns.mean() for one in ("current", "next")]
    assert returns[1] > returns[0]


@pytest.mark.parametrize("k", [1, 3, 7, 9])
def test_the_subsample_is_hypergeometric(k):
    counts, rng = np.array([4, 0, 2, 3]), np.random.default_rng(k)
    drawn = np.empty((6000, 4), dtype=np.int64)
    for one in drawn:
        _draw(rng, counts, 9, k, one)
    by_numpy = draw_histograms(rng, np.tile(counts, (6000, 1)), k)
    for sample in (drawn, by_numpy):
        rows, times = np.unique(sample, axis=0, return_counts=True)
        assert (rows.sum(axis=1) == k).all()
        chance = comb(counts, rows).prod(axis=1) / comb(9, k)
        assert chance.sum() == pytest.approx(1.0, abs=0.02)
        if len(rows) > 1:
            assert stats.chisquare(times, 6000 * chance / chance.sum()).pvalue > 1e-4


@pytest.mark.parametrize("k", [1, 4])
def test_samples_of_very_many(k):
    counts = np.array([1, 5, 0, 4]) * 10**9
    drawn = draw_histograms(np.random.default_rng(k), np.tile(counts, (5000, 1)), k)
    assert (drawn.sum(axis=1) == k).all()
    for z, share in ((1, 0.5), (3, 0.4)):
        times = np.bincount(drawn[:, z], minlength=k + 1)
        assert stats.chisquare(times, 5000 * stats.binom.pmf(np.arange(k + 1), k, share)).pvalue > 1e-4
    assert not drawn[:, 2].any()


@pytest.mark.parametrize("compiled", [True, False])
def test_same_seed_same_bytes(compiled):
    game = known("warehouse")
    policy = uniform_policy(game, 3)
    runs = [simulate(game, policy, 40, 20, np.random.default_rng(5), compiled=compiled, record=2) for _ in range(2)]
    assert runs[0].returns.tobytes() == runs[1].returns.tobytes()
    assert runs[0].counts.tobytes() == runs[1].counts.tobytes()


@pytest.mark.parametrize("compiled", [True, False])
def test_recorded_paths(compiled):
    game = known("warehouse").with_n(10**7)
    policy = random_policy(np.random.default_rng(0), game, 5)
    runs = simulate(game, policy, 30, 10, np.random.default_rng(0), record=30, compiled=compiled)
    assert runs.counts.shape == (30, 10, 5)
    assert (runs.counts.sum(axis=2) == 10**7).all()
    assert np.array_equal(runs.counts[:, 0], runs.first_counts)
    assert np.array_equal(runs.states[:, 0], runs.first)
    most = runs.counts.max(axis=2)
    assert np.array_equal(np.take_along_axis(runs.counts, runs.modes[..., None], axis=2)[..., 0], most)
    for choices, found in ((runs.choices, runs.mode_accuracy), (runs.states, runs.state_accuracy)):
        hits = np.take_along_axis(runs.counts, choices[..., None], axis=2)[..., 0] == most
        by_state = [hits[runs.first == g].mean() for g in range(5)]
        assert found == pytest.approx(np.mean(by_state))


def test_ties_are_hits():
    game = replace(known("warehouse").with_n(2), initial=InitialLaw(np.full(5, 0.2), "counts", [0, 1, 0, 1, 0]))
    for zone, share in ((1, 1.0), (3, 1.0), (0, 0.0)):
        policy = SubsampledPolicy(1, np.full((5, 5), zone), game.uniform_local())
        assert simulate(game, policy, 20, 1, np.random.default_rng(0)).mode_accuracy == pytest.approx(share)


def test_no_accuracy_where_actions_are_not_zones():
    game = small_game("two states", global_states=2)
    runs = simulate(game, uniform_policy(game, 2), 5, 5, np.random.default_rng(0))
    assert runs.mode_accuracy is None
    assert runs.state_accuracy is not None


def test_certain_rewards_are_exact():
    game = replace(known("warehouse"), local_reward=np.zeros((5, 5, 3)), global_reward=np.full((5, 5), 2.0))
    found = estimate(game, uniform_policy(game, 2), rollouts=50, steps=30)
    assert found.mean == pytest.approx(2.0 * (1 - 0.95**30) / 0.05, rel=1e-12)
    assert found.half_width < 1e-9
    assert "50 rollouts of 30 steps" in str(found)


def test_expected_rewards_have_less_variance():
    game = noisy(small_game("plain", n=3), spread=5.0)
    policy = random_policy(np.random.default_rng(0), game, 2)
    options = ("expected", "sampled")
    runs = [simulate(game, policy, 2000, 8, np.random.default_rng(0), rewards=one) for one in options]
    assert runs[0].returns.var() < 0.5 * runs[1].returns.var()


def test_interval_of_one_stratum_is_student():
    values = np.random.default_rng(0).normal(size=12)
    mean, half = mean_and_half_width(values, np.zeros(12, dtype=np.int64), None, 0.9)
    low, high = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high))


def test_interval_of_strata():
    values, strata = np.array([1.0, 2.0, 3.0, 10.0, 14.0]), np.array([0, 0, 0, 1, 1])
    mean, half = mean_and_half_width(values, strata, np.array([0.75, 0.25, 0.0]), 0.95)
    parts = 0.75**2 * 1.0 / 3, 0.25**2 * 8.0 / 2
    assert mean == pytest.approx(0.75 * 2.0 + 0.25 * 12.0)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 1)
    assert half == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(sum(parts)))
    alone = mean_and_half_width(values[:4], strata[:4], np.array([0.75, 0.25]), 0.95)
    assert alone == pytest.approx(mean_and_half_width(values[:4], strata[:4], None, 0.95))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rollouts": 0}, "rollouts is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"order": "before"}, "order is 'before'"),
        ({"rewards": "none"}, "rewards is 'none'"),
        ({"record": 11}, "record is 11"),
        ({"record": 10, "steps": 10_000_000}, "Record fewer"),
    ],
)
def test_bad_options(change, message):
    game = known("warehouse")
    options = {"rollouts": 10, "steps": 5, "rng": np.random.default_rng(0), **change}
    with pytest.raises(InvalidData, match=message):
        simulate(game, uniform_policy(game, 1), **options)


def test_bad_policies_and_intervals():
    game = known("warehouse")
    policy = uniform_policy(game, 8)
    with pytest.raises(InvalidPolicy, match="k = 8"):
        simulate(game.with_n(7), policy, 5, 5, np.random.default_rng(0))
    with pytest.raises(InvalidData, match="one rollout"):
        estimate(game, policy, rollouts=1, steps=5)
    with pytest.raises(InvalidData, match="confidence is 1"):
        estimate(game, policy, rollouts=5, steps=5, confidence=1.0)
    with pytest.raises(InvalidData, match="without rounding"):
        simulate(game.with_n(10**16), policy, 5, 5, np.random.default_rng(0))
