"""The global step: its bracket against enumeration, first; then values, policies and how it runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field import Histograms, InitialLaw, InvalidPolicy
from eqsolve.mean_field.generators import random_game, warehouse
from eqsolve.mean_field.global_step import GlobalIteration, evaluate_global, solve_global
from eqsolve.mean_field.operators.stage import raised, stage
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, cases, known, random_policy, shifted, small_game, tiny_games


def check_bracket(found, truth):
    assert (found.values + found.lower <= truth + 1e-11).all()
    assert (found.values + found.upper >= truth - 1e-11).all()
    assert np.abs(found.values - truth).max() <= found.radius + 1e-11


@pytest.mark.parametrize("anderson", [0, 6])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_against_enumeration(case, anderson):
    game, k = case.game, case.k
    truth, q = oracle.optimal_values(game, k, case.local)
    found = solve_global(game, k, case.local, 1e-7, anderson=anderson)
    check_bracket(found, truth)
    assert found.ending == "within tolerance"
    assert found.radius <= 1e-7 * (1 + 1e-6)
    assert len(found.spans) == found.sweeps
    joint = found.joint(k, case.local)
    joint.check(game)
    earned = oracle.policy_values(game, joint, k)
    assert (earned >= found.values + found.lower - 1e-11).all()
    chosen = np.take_along_axis(q, found.policy[:, :, None], axis=2)[:, :, 0]
    assert (chosen >= truth - 2e-7 / (1 - game.gamma)).all()


@settings(deadline=None, max_examples=25)
@given(tiny_games())
def test_every_bracket_on_the_way_is_true(game):
    k = min(game.n, 3)
    truth, _ = oracle.optimal_values(game, k, game.uniform_local())
    seen = []

    def look(state):
        seen.append(state.width)
        assert (state.best + state.low <= truth + 1e-11).all()
        assert (state.best + state.high >= truth - 1e-11).all()

    found = solve_global(game, k, game.uniform_local(), 1e-13, progress=look)
    assert found.ending == "at rounding" or found.radius <= 1e-13
    assert seen == sorted(seen, reverse=True)
    assert np.abs(found.values - truth).max() <= 1e-9 * (1 + np.abs(truth).max())


@pytest.mark.parametrize("deterministic", [True, False])
@pytest.mark.parametrize("shape", ["plain", "ragged", "zeros", "two types"])
def test_evaluation_against_a_linear_system(shape, deterministic):
    game = small_game(shape, seed=3)
    policy = random_policy(np.random.default_rng(1), game, 3, deterministic=deterministic)
    found = evaluate_global(game, policy, 1e-8)
    check_bracket(found, oracle.policy_values(game, policy, 3))
    assert found.radius <= 1e-8 * (1 + 1e-6)
    again = evaluate_global(game, replace(policy, hint=found.values), 1e-8)
    assert again.sweeps < found.sweeps


@pytest.mark.parametrize(("k", "value"), [(2, 194.453), (3, 186.729), (5, 180.5), (8, 177.2), (10, 176.2355)])
def test_the_warehouse(k, value):
    """The values of the notes for the local policy that alternation reaches."""
    game = warehouse()
    found = solve_global(game, k, game.deterministic_local(PI_STAR), 1e-3)
    law = InitialLaw(np.full(5, 0.2), "dirichlet", np.full(5, 0.3)).histogram_law(Histograms(k, 5))
    assert np.einsum("gd,d->", found.values, law) / 5 == pytest.approx(value, abs=0.06 if value * 10 % 1 == 0 else 2e-3)


def test_starts(monkeypatch):
    game = known("warehouse")
    local = game.uniform_local()
    plain = solve_global(game, 8, local, 1e-6)
    monkeypatch.setattr("eqsolve.mean_field.global_step.COARSE_FROM", 100)
    found = solve_global(game, 8, local, 1e-6)
    again = solve_global(game, 8, local, 1e-6, start=found.values)
    np.testing.assert_allclose(plain.values, found.values, atol=2e-6)
    assert again.sweeps <= 2 < found.sweeps < plain.sweeps


def test_fewer_agents_bound_more_from_above():
    game = known("warehouse")
    local = game.uniform_local()
    few, many = (solve_global(game, k, local, 1e-6) for k in (2, 6))
    bound = raised(few.values, game.n_local_states, 2, 6)
    assert (bound + few.upper >= many.values + many.lower).all()
    assert (bound > many.values + 5.0).all()


def test_raised_is_the_mean_over_samples(monkeypatch):
    values = np.random.default_rng(0).random((2, Histograms(2, 3).size))
    expected = np.zeros((2, Histograms(4, 3).size))
    for crowd, at in oracle.places(4, 3).items():
        drawn = [(crowd[i], crowd[j]) for i in range(4) for j in range(i)]
        expected[:, at] = np.mean([values[:, oracle.places(2, 3)[tuple(sorted(pair))]] for pair in drawn], axis=0)
    np.testing.assert_allclose(raised(values, 3, 2, 4), expected, atol=1e-14)
    monkeypatch.setattr("eqsolve.mean_field.operators.stage.COMPILE_FROM", 0)
    np.testing.assert_allclose(raised(values, 3, 2, 4), expected, atol=1e-14)


def test_the_twins_agree(monkeypatch):
    game = known("warehouse")
    local = game.deterministic_local(PI_STAR)
    plain = solve_global(game, 6, local, 1e-6)
    for module in ("stage", "mixing", "shears"):
        monkeypatch.setattr(f"eqsolve.mean_field.operators.{module}.COMPILE_FROM", 0)
    compiled = solve_global(game, 6, local, 1e-6)
    np.testing.assert_allclose(compiled.values, plain.values, atol=2e-6)
    assert compiled.sweeps == pytest.approx(plain.sweeps, abs=1)
    assert np.mean(compiled.policy == plain.policy) > 0.99


def test_ties_go_to_the_first_action():
    game = small_game("plain", seed=5)
    twice = replace(
        game,
        global_kernel=np.concatenate([game.global_kernel] * 2, axis=1),
        global_reward=np.concatenate([game.global_reward] * 2, axis=1),
        global_available=None,
    )
    found = solve_global(twice, 3, twice.uniform_local())
    assert found.policy.max() < game.n_global_actions
    np.testing.assert_array_equal(found.policy, solve_global(game, 3, game.uniform_local()).policy)


def test_a_constant_reward_is_found_at_once():
    game = shifted(small_game("plain"), 7.0)
    more, less = (solve_global(one, 3, one.uniform_local(), 1e-9) for one in (game, shifted(game, -7.0)))
    np.testing.assert_allclose(more.values - less.values, 7.0 / (1 - game.gamma), atol=1e-7)


def test_same_bytes_with_one_and_two_threads():
    game = warehouse()
    local = game.deterministic_local(PI_STAR)
    one, two = (solve_global(game, 13, local, 1e-3, threads=threads) for threads in (1, 2))
    assert one.values.tobytes() == two.values.tobytes()
    assert one.policy.tobytes() == two.policy.tobytes()


def test_steps_have_no_side_effects_and_can_be_resumed():
    game = small_game("plain", seed=2)
    iteration = GlobalIteration(stage(game, 4, game.uniform_local()))
    states = [iteration.begin()]
    for _ in range(9):
        states.append(iteration.step(states[-1]))
    again = iteration.step(states[4])
    for a, b in ((again.mixing.values, states[5].mixing.values), (again.best, states[5].best)):
        assert a.tobytes() == b.tobytes()
    assert again.spans == states[5].spans
    resumed, ending = iteration.run(again, 1e-8)
    whole, _ = iteration.run(iteration.begin(), 1e-8)
    assert ending == "within tolerance"
    assert resumed.best.tobytes() == whole.best.tobytes()


def test_interrupted_and_limited():
    game = small_game("plain", seed=2, n=20)
    local = game.uniform_local()
    truth = solve_global(game, 3, local, 1e-10).values
    short = solve_global(game, 3, local, 1e-10, limit=3)
    assert (short.ending, short.sweeps) == ("iteration limit", 3)
    check_bracket(short, truth)
    stopped = solve_global(game, 3, local, 1e-10, progress=lambda state: len(state.spans) == 2)
    assert (stopped.ending, stopped.sweeps) == ("interrupted", 2)


def test_coarse_starts_can_be_interrupted_too(monkeypatch):
    monkeypatch.setattr("eqsolve.mean_field.global_step.COARSE_FROM", 10)
    game, calls = known("warehouse"), []
    with pytest.raises(TimeoutError):
        solve_global(game, 4, game.uniform_local(), progress=lambda state: calls.append(state.best.shape) or late())
    assert calls == [(5, Histograms(1, 5).size)] or calls == [(5, Histograms(2, 5).size)]


def late():
    raise TimeoutError


def test_mixing_that_goes_astray_is_caught():
    """A history that belongs to other values: the safeguard takes plain sweeps, and the bracket still closes."""
    game = small_game("plain", seed=8)
    iteration = GlobalIteration(stage(game, 4, game.uniform_local()))
    state = iteration.begin()
    for _ in range(4):
        state = iteration.step(state)
    rng = np.random.default_rng(0)
    astray = tuple((1e3 * rng.standard_normal(one.shape)).astype(np.float32) for one in state.mixing.images)
    spoiled = replace(state, mixing=replace(state.mixing, images=astray))
    ended, ending = iteration.run(spoiled, 1e-8, limit=400)
    assert ending == "within tolerance"
    assert ended.mixing.penalty > 1
    np.testing.assert_allclose(ended.best + ended.low, oracle.optimal_values(game, 4, game.uniform_local())[0], atol=1e-7)


def test_bad_input():
    game = small_game("plain", n=6)
    local = game.uniform_local()
    with pytest.raises(InvalidGame, match="k is 7, and the game has 6 local agents"):
        solve_global(game, 7, local)
    with pytest.raises(InvalidData, match="k is 0"):
        solve_global(game, 0, local)
    with pytest.raises(InvalidData, match="tolerance is 0"):
        solve_global(game, 2, local, 0.0)
    with pytest.raises(InvalidData, match="limit is 0"):
        solve_global(game, 2, local, limit=0)
    with pytest.raises(InvalidData, match="start has shape 1 x 1"):
        solve_global(game, 2, local, start=[[0.0]])
    with pytest.raises(InvalidData, match="local_policy"):
        solve_global(game, 2, local[:1])
    with pytest.raises(InvalidData, match=r"histograms, .*\n.*largest k that fits is \d+"):
        solve_global(warehouse(), 500, warehouse().uniform_local())
    with pytest.raises(InvalidPolicy, match="the policy sees k = 4"):
        evaluate_global(game.with_n(3), random_policy(np.random.default_rng(0), game, 4))
    iteration = GlobalIteration(stage(game, 2, local))
    with pytest.raises(InvalidData, match="there is no policy yet"):
        iteration.finish(iteration.begin(), "interrupted")


def test_rows_that_miss_one_a_little_widen_the_bracket():
    game = random_game(3, seed=1, gamma=0.9)
    off = replace(game, global_kernel=game.global_kernel * (1.0 + 5e-10))
    found = solve_global(off, 3, off.uniform_local(), 1e-9)
    truth, _ = oracle.optimal_values(off, 3, off.uniform_local())
    check_bracket(found, truth)
