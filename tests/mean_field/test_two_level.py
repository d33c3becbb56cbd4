"""The two-level surrogate against agents one by one, its gradient against finite differences, and the numbers of the warehouse."""

from __future__ import annotations

from dataclasses import replace
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field import Histograms, InitialLaw, InvalidPolicy, uniform_policy
from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.global_step import solve_global
from eqsolve.mean_field.operators.linear import settle
from eqsolve.mean_field.two_level import TwoLevel, default_population, two_level_value
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, SHAPES, random_local, random_policy, small_game, tiny_games


def expected(game, policy, K):
    return oracle.mean_value(game, oracle.policy_values(game, policy, n=K), K)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_value_is_that_of_agents_one_by_one(shape):
    seed = list(SHAPES).index(shape)
    game = small_game(shape, seed=seed, n=3)
    rng = np.random.default_rng(seed)
    for k in (1, 2, 3):
        policy = random_policy(rng, game, k, deterministic=k == 2)
        found = TwoLevel(game, 3, k).value(policy, tolerance=1e-10)
        true = oracle.policy_values(game, policy, n=3)
        assert found.radius <= 1e-10
        assert found.lower - 1e-12 <= oracle.mean_value(game, true, 3) <= found.upper + 1e-12
        assert found.values == pytest.approx(true, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(tiny_games(), st.integers(0, 1000))
def test_value_and_visits_agree(game, seed):
    """Primal and dual: the visits times the rewards are the value."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, game.n + 1))
    policy = random_policy(rng, game, k, deterministic=bool(seed % 2))
    two = TwoLevel(game, game.n, k)
    facing = two.facing(policy)
    visits = facing.occupancy(policy.local_policy)
    reward = facing.rewards + two.histograms.mean(game.local_payoff(policy.local_policy))
    found = two.value(policy)
    assert visits.sum() == pytest.approx(1.0 / (1.0 - game.gamma))
    assert float((visits * reward).sum()) == pytest.approx(found.value, abs=1e-7)
    assert found.value == pytest.approx(expected(game, policy, game.n), abs=1e-7)
    assert facing.weights(visits).sum() == pytest.approx(game.n / (1.0 - game.gamma))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("K", "k"), [(1, 1), (4, 2), (3, 3)])
def test_the_gradient_is_that_of_finite_differences(shape, K, k):
    game = small_game(shape, seed=5)
    rng = np.random.default_rng(K)
    policy = random_policy(rng, game, k, deterministic=False)
    facing, pi = TwoLevel(game, K, k).facing(policy), policy.local_policy
    here = facing.evaluate(pi, tolerance=1e-11)
    gradient = facing.gradient(pi, here.values, facing.occupancy(pi, tolerance=1e-12))
    for _ in range(2):
        other = random_local(rng, game) - pi  # a direction in which rows keep their sums
        ahead, behind = (facing.evaluate(pi + h * other, tolerance=1e-11).value for h in (1e-4, 0.0))
        second = facing.evaluate(pi + 2e-4 * other, tolerance=1e-11).value
        slope = (-second + 4.0 * ahead - 3.0 * behind) / 2e-4
        assert float((gradient * other).sum()) == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize(("kind", "local"), [("iid", [0.2, 0.5, 0.3]), ("dirichlet", [0.3, 0.3, 0.0]), ("counts", [3, 1, 2])])
def test_the_law_of_the_first_agents_is_the_games(kind, local):
    game = replace(small_game(n=6), initial=InitialLaw([0.5, 0.25, 0.25], kind, local))
    policy = random_policy(np.random.default_rng(0), game, 2)
    assert TwoLevel(game, 3, 2).value(policy).value == pytest.approx(expected(game, policy, 3), abs=1e-7)


def test_the_mixed_law_is_the_hypergeometric_one():
    game = small_game("two states", n=9)
    rows = np.random.default_rng(3).dirichlet(np.ones(3), size=(3, Histograms(3, 2).size))
    mixed = TwoLevel(game, 9, 3).mixed(rows)
    for h, D in enumerate(Histograms(9, 2).table):
        chances = [prod(comb(int(D[z]), int(d[z])) for z in range(2)) / comb(9, 3) for d in Histograms(3, 2).table]
        assert mixed[:, :, h] == pytest.approx(np.einsum("d,gda->ga", chances, rows), abs=1e-13)


def test_seeing_more_of_the_same_agents_is_worth_more():
    """A policy that sees k can be played by one who sees more, and so the best of them cannot be worse with all K seen."""
    game = small_game(seed=2, n=4)
    best = solve_global(game, 4, game.uniform_local(), 1e-9)
    top = float((TwoLevel(game, 4, 4).initial() * best.values).sum())
    for k in (1, 2, 3, 4):
        for seed in range(3):
            policy = random_policy(np.random.default_rng(seed), game, k)
            value = TwoLevel(game, 4, k).facing(policy).evaluate(game.uniform_local()).value
            assert value <= top + 1e-7


def test_what_is_certainly_worse_is_left_early():
    game = small_game(seed=1)
    facing = TwoLevel(game, 5, 2).facing(uniform_policy(game, 2))
    whole = facing.evaluate(game.uniform_local(), tolerance=1e-10)
    early = facing.evaluate(game.uniform_local(), tolerance=1e-10, beaten=whole.value + 5.0)
    assert early.sweeps < whole.sweeps
    assert early.upper < whole.value + 5.0
    assert early.lower <= whole.value <= early.upper
    assert facing.evaluate(game.uniform_local(), tolerance=1e-10, start=whole.values).sweeps <= 2


def test_the_bracket_tells_when_rounding_bars_the_tolerance():
    game = small_game(seed=1)
    found = TwoLevel(game, 3, 2).value(uniform_policy(game, 2), tolerance=1e-300)
    assert 0.0 < found.radius < 1e-10
    assert found.lower <= expected(game, uniform_policy(game, 2), 3) <= found.upper


def test_a_fixed_point_is_found_where_mixing_is_of_no_help():
    """A permutation times a factor: all residuals are of one size, and differences tell little."""
    turn = np.roll(np.eye(7), 1, axis=0)
    b = np.random.default_rng(0).standard_normal(7)
    found = settle(
        lambda x: b + 0.9 * turn @ x, np.zeros(7), lambda x, r: float(np.abs(r).max()) < 1e-12, lambda r: float(np.abs(r).max())
    )
    assert found == pytest.approx(np.linalg.solve(np.eye(7) - 0.9 * turn, b), abs=1e-10)


SURROGATE = {1: 228.330, 2: 194.453, 3: 186.729}
"""J of the pair that exact alternation reaches on the warehouse, in the surrogate of k agents."""
TWO_LEVEL = {1: 121.75, 2: 144.27, 5: 158.69, 10: 170.83}
"""J[20, k] of pi_l* with the best global policy against it."""


@pytest.mark.parametrize("k", SURROGATE)
def test_the_surrogate_of_the_warehouse(k):
    game = warehouse()
    local = game.deterministic_local(PI_STAR)
    best = solve_global(game, k, local, 1e-6)
    rows = np.eye(5)[best.policy]
    value = TwoLevel(game, k, k).facing(rows).evaluate(local, tolerance=1e-6).value
    # At k = 1 the local agents' best policy is another one, and the published value is its.
    assert value == pytest.approx(SURROGATE[k], abs=1e-3) if k > 1 else value < SURROGATE[k]


@pytest.mark.parametrize("k", TWO_LEVEL)
def test_the_two_level_values_of_the_warehouse(k):
    game = warehouse()
    local = game.deterministic_local(PI_STAR)
    best = solve_global(game, k, local, 1e-4)
    value = TwoLevel(game, 20, k).facing(np.eye(5)[best.policy]).evaluate(local, tolerance=1e-3).value
    assert value == pytest.approx(TWO_LEVEL[k], abs=0.006)


# Bad input


def test_more_agents_than_there_are_are_refused():
    game = small_game(n=6)
    with pytest.raises(InvalidGame, match="k is 3, and there are K = 2 agents"):
        TwoLevel(game, 2, 3)
    with pytest.raises(InvalidGame, match="K is 7, and the game has 6 agents"):
        TwoLevel(game, 7, 2)
    with pytest.raises(InvalidData, match="k is 0, less than 1"):
        TwoLevel(game, 2, 0)


def test_a_population_larger_than_memory_is_refused_with_the_largest_that_fits():
    game = warehouse()
    with pytest.raises(InvalidData, match=r"K = 1,000: 1,000 agents over 5 states have 42,084,793,751 histograms") as told:
        TwoLevel(game, 1000, 5)
    K = int(told.value.remedy.removeprefix("Give K <= ").removesuffix("."))
    TwoLevel(game, K, 5)
    with pytest.raises(InvalidData, match="Give K <= "):
        TwoLevel(game, K + 1, 5)


def test_policies_of_another_game_are_refused():
    game, other = small_game(), small_game("two states")
    two = TwoLevel(game, 4, 2)
    with pytest.raises(InvalidPolicy, match="the policy is for"):
        two.value(uniform_policy(other, 2))
    with pytest.raises(InvalidData, match="the policy sees 3 agents, and the surrogate 2"):
        two.value(uniform_policy(game, 3))
    with pytest.raises(InvalidData, match="global_rows has shape"):
        two.mixed(np.ones((3, 2, 2)))
    facing = two.facing(uniform_policy(game, 2))
    with pytest.raises(InvalidData, match="local_policy has shape"):
        facing.evaluate(other.uniform_local())
    with pytest.raises(InvalidData, match="tolerance is 0, not above 0"):
        facing.evaluate(game.uniform_local(), tolerance=0.0)


def test_the_population_by_default():
    assert [default_population(small_game(n=n), 2) for n in (2, 5, 20)] == [2, 5, 20]
    assert default_population(small_game("one local state", n=10**6), 1) == 200
    assert default_population(warehouse(), 30) == 30
    game = small_game(n=3)
    policy = random_policy(np.random.default_rng(0), game, 2)
    assert two_level_value(game, policy) == pytest.approx(expected(game, policy, 3), abs=1e-7)
