"""The local half-step: ascents end stationary and below the best, enumeration finds it, several starts find more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.errors import InvalidData
from eqsolve.mdp import optimal_policy
from eqsolve.mean_field import GlobalLocalGame, InitialLaw, uniform_policy
from eqsolve.mean_field.global_ascent import ascend_global
from eqsolve.mean_field.global_step import solve_global
from eqsolve.mean_field.local_step import (
    ascend,
    deterministic_policies,
    enumerate_local,
    local_starts,
    n_deterministic,
    solve_local,
)
from eqsolve.mean_field.processes.relaxations import full_information_mdp
from eqsolve.mean_field.processes.surrogate import surrogate_law
from eqsolve.mean_field.solo import softmax_policy, solo_values
from eqsolve.mean_field.two_level import TwoLevel
from tests.mean_field import oracle
from tests.mean_field.games import random_local, random_policy, small_game, tiny_games


def facing(game, K, k, seed=0):
    return TwoLevel(game, K, k).facing(random_policy(np.random.default_rng(seed), game, k))


def best_of_all(game, policy, K):
    return max(
        oracle.mean_value(game, oracle.policy_values(game, type(policy)(policy.k, policy.global_policy, local), n=K), K)
        for local in oracle.deterministic_locals(game)
    )


@settings(max_examples=8, deadline=None)
@given(tiny_games(most_states=2, most_agents=3), st.integers(0, 1000))
def test_enumeration_finds_the_best_and_ascents_stay_below_what_full_information_earns(game, seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, game.n + 1))
    policy = random_policy(rng, game, k)
    here = TwoLevel(game, game.n, k).facing(policy)
    found = enumerate_local(here, tolerance=1e-7)
    assert found.valued.value == pytest.approx(best_of_all(game, policy, game.n), abs=1e-6)
    climbed = solve_local(here, random_local(rng, game), tolerance=1e-7, starts=3, rng=rng)
    assert climbed.slack <= 1e-7 or climbed.climbs == 0
    assert climbed.valued.radius <= 1e-7
    if k == game.n:
        process = full_information_mdp(game, policy)
        bound = float((surrogate_law(game, k).reshape(-1) * optimal_policy(process).upper).sum())
        assert max(found.valued.lower, climbed.valued.lower) <= bound + 1e-7


@pytest.mark.parametrize("shape", ["plain", "ragged", "zeros", "ragged types, zeros", "one local state", "one global state"])
def test_an_ascent_gains_and_ends_where_no_action_is_better(shape):
    game = small_game(shape, seed=4, n=3)
    rng = np.random.default_rng(1)
    here, start = facing(game, 3, 2), random_local(rng, game)
    found = ascend(here, start, tolerance=1e-6)
    before = here.evaluate(start)
    game.check_local(found.local_policy)
    assert found.valued.value >= before.value - 1e-6
    # At a stochastic optimum the value is flat, and a small slope gains less than rounding.
    assert found.slack <= (1e-6 if (found.local_policy.max(axis=-1) == 1.0).all() else 1e-4)
    visits = here.occupancy(found.local_policy)
    gradient = here.gradient(found.local_policy, found.valued.values, visits)
    gain = np.where(game.local_available, gradient, -np.inf).max(axis=-1) - (found.local_policy * gradient).sum(axis=-1)
    assert float(gain.sum()) == pytest.approx(found.slack, abs=1e-6)


def mixing_game() -> GlobalLocalGame:
    """Where the local agents have to toss coins: they are paid for a global state that comes only when the two seen differ."""
    kernel = np.zeros((2, 2, 2))
    kernel[:, 0, 0] = kernel[:, 1, 1] = 1.0
    local = np.zeros((2, 2, 2, 2))
    local[:, :, 0, 0] = local[:, :, 1, 1] = 1.0
    paid = np.zeros((2, 2, 2))
    paid[:, 1, :] = 1.0
    return GlobalLocalGame(kernel, local, np.zeros((2, 2)), paid, n=2, gamma=0.5, initial=InitialLaw([1.0, 0.0], "counts", [2, 0]))


def test_a_stochastic_policy_is_found_where_every_deterministic_one_is_worse():
    game = mixing_game()
    here = TwoLevel(game, 2, 2).facing(np.eye(2)[np.array([[0, 1, 0], [0, 1, 0]])])
    best = enumerate_local(here, tolerance=1e-8)
    start = np.full((2, 2, 2), 0.5) + 0.2 * np.array([1.0, -1.0])
    found = ascend(here, start, tolerance=1e-6)
    # Two agents who toss fair coins differ half the time, from the third step on: 1/2 (1/4 + 1/8 + ...).
    assert best.valued.value == pytest.approx(0.0, abs=1e-7)
    assert found.valued.value == pytest.approx(0.25, abs=1e-6)
    met = here.weights(here.occupancy(found.local_policy)) > 1e-9
    assert found.local_policy[met] == pytest.approx(0.5, abs=1e-2)


def test_several_starts_are_never_worse_than_one():
    game = small_game("many local actions", seed=11, n=3, gamma=0.9)
    here = facing(game, 3, 1, seed=2)
    values = [ascend(here, one).valued.value for one in local_starts(here, np.random.default_rng(0), 3)]
    one, many = (solve_local(here, game.uniform_local(), starts=k, rng=np.random.default_rng(0)) for k in (1, 5))
    assert many.valued.value >= one.valued.value
    assert many.valued.value <= max(values) + 1e-6
    assert many.evaluations > one.evaluations


def test_starts_are_policies_of_the_game_all_different():
    game = small_game("ragged", seed=3)
    starts = local_starts(facing(game, 3, 1), np.random.default_rng(0), 4)
    for one in starts:
        game.check_local(one)
    assert len({one.tobytes() for one in starts}) == len(starts) >= 5


def test_all_deterministic_policies_are_listed_once():
    game = small_game("ragged types, zeros", seed=2)
    listed = {one.tobytes() for one in deterministic_policies(game)}
    assert len(listed) == n_deterministic(game) == len({one.tobytes() for one in oracle.deterministic_locals(game)})


def test_too_many_policies_are_not_enumerated():
    game = small_game("many local actions")
    with pytest.raises(InvalidData, match="there are 729 deterministic local policies"):
        enumerate_local(facing(game, 2, 1), most=728)


def test_a_lone_agent_knows_its_best_actions():
    game = small_game("ragged", seed=2, gamma=0.7)
    moves = np.full((3, 3), 1.0 / 3.0)
    values = solo_values(game, moves)
    best = np.where(game.local_available, values, -np.inf).max(axis=-1)
    ahead = np.einsum("gh,zgas,hs->gza", moves, game.local_kernel, best)
    expected = game.local_reward.transpose(1, 0, 2) + game.gamma * ahead
    here = np.broadcast_to(game.local_available, values.shape)
    assert values[here] == pytest.approx(expected[here], abs=1e-6)
    soft = softmax_policy(values)
    game.check_local(soft)
    assert (soft[here] > 0).all()
    chances = np.where(here, soft, np.nan)
    assert (np.nanmax(chances, axis=-1) <= np.exp(3.0) * np.nanmin(chances, axis=-1) * (1 + 1e-12)).all()
    assert (soft.argmax(axis=-1) == values.argmax(axis=-1)).all()


def test_the_clock_is_asked_before_every_evaluation():
    calls = []
    game = small_game("two states")
    found = ascend(facing(game, 3, 2), game.uniform_local(), tick=lambda: calls.append(1))
    assert len(calls) >= found.evaluations


# The global agent on the same surrogate


@pytest.mark.parametrize("shape", ["plain", "ragged", "two types"])
def test_the_global_gradient_is_that_of_finite_differences(shape):
    game = small_game(shape, seed=7, n=4)
    rng = np.random.default_rng(0)
    two = TwoLevel(game, 4, 2)
    policy, other = (random_policy(rng, game, 2, deterministic=False) for _ in range(2))
    rows, turn = np.asarray(policy.global_policy), np.asarray(other.global_policy) - np.asarray(policy.global_policy)
    here = two.facing(rows)
    found = here.evaluate(policy.local_policy, tolerance=1e-11)
    gradient = two.global_gradient(policy.local_policy, found.values, here.occupancy(policy.local_policy, tolerance=1e-12))
    slope = float((np.where(np.isfinite(gradient), gradient, 0.0) * turn).sum())
    h = 1e-4
    ahead, second = (two.facing(rows + j * h * turn).evaluate(policy.local_policy, tolerance=1e-11).value for j in (1, 2))
    assert slope == pytest.approx((-second + 4.0 * ahead - 3.0 * found.value) / (2 * h), abs=1e-5)


def test_what_is_seen_is_the_adjoint_of_what_is_mixed():
    two = TwoLevel(small_game(n=5), 5, 2)
    rng = np.random.default_rng(0)
    rows, mass = rng.random((3, 6, 2)), rng.random((3, 2, 21))
    assert float((two.mixed(rows) * mass).sum()) == pytest.approx(float((rows * two.unmixed(mass).transpose(0, 2, 1)).sum()))


def test_with_all_seen_the_global_ascent_is_the_global_step():
    game = small_game("zeros", seed=9, n=4)
    local = game.uniform_local()
    two, first = TwoLevel(game, 3, 3), np.zeros((3, 10), dtype=np.int64)
    best = solve_global(game, 3, local, 1e-9)
    found = ascend_global(two, first, local, tolerance=1e-7)
    assert found.valued.value == pytest.approx(float((two.initial() * best.values).sum()), abs=1e-6)
    assert found.slack <= 1e-7


def test_the_global_ascent_is_never_below_the_optimum_of_the_surrogate_where_not_all_are_seen():
    game = small_game("plain", seed=21, n=4, gamma=0.9)
    local = game.uniform_local()
    two = TwoLevel(game, 4, 1)
    best = solve_global(game, 1, local, 1e-9)
    before = two.facing(np.eye(2)[best.policy]).evaluate(local)
    found = ascend_global(two, best.policy, local, tolerance=1e-7)
    assert found.valued.value >= before.value - 1e-7
    uniform = two.facing(uniform_policy(game, 1)).evaluate(local)
    assert found.valued.value > uniform.value
