"""UCFH: optimism in closed form and as a program, true confidence statements, runs that can be resumed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import Status
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidData
from eqsolve.mdp import FiniteMDP, InvalidMDP, optimal_policy, optimality_gap, value_bracket
from eqsolve.mean_field.generators import random_game
from eqsolve.mean_field.learning.chained_learning import effective_horizon, learn_chained
from eqsolve.mean_field.learning.optimism import confidence_bounds, extreme_distribution, fixed_horizon_evi
from eqsolve.mean_field.learning.stepping import run_alone
from eqsolve.mean_field.learning.ucfh import UCFH, UCFHConstants, learn_episodic
from eqsolve.mean_field.programs import optimistic_program
from tests.backends.usable import usable_among
from tests.mean_field.games import random_policy


def toy(seed, horizon=4, ragged=True):
    """Three states, rewards of both signs, some impossible transitions."""
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(3), (3, 2)) * (rng.random((3, 2, 3)) < 0.7)
    kernel[..., 0] += kernel.sum(axis=-1) == 0
    kernel /= kernel.sum(axis=-1, keepdims=True)
    available = np.array([[True, True], [True, not ragged], [True, True]])
    return FiniteMDP.from_arrays(kernel, rng.uniform(-2, 3, (3, 2)), 0.9, horizon=horizon, available=available)


def value(mdp):
    return float((mdp.initial * optimal_policy(mdp).values[0]).sum())


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_filling_up_the_successors_solves_the_program(seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 5, size=3)
    first = np.concatenate(([0], np.cumsum(counts)))
    p = np.concatenate([rng.dirichlet(np.ones(c)) for c in counts])
    lower, upper = np.maximum(p - rng.random(len(p)), 0.0), np.minimum(p + rng.random(len(p)), 1.0)
    worth = rng.integers(-3, 4, size=len(p)).astype(float)  # ties on purpose
    found = extreme_distribution(lower, upper, worth, first)
    assert (found >= lower - 1e-15).all()
    assert (found <= upper + 1e-15).all()
    assert np.add.reduceat(found, first[:-1]) == pytest.approx(1.0, abs=1e-12)
    program = optimistic_program(lower, upper, worth, counts)
    outcome = solve_program(program, "highs")
    assert certify(program, outcome).holds(1e-7)
    assert float(found @ worth) == pytest.approx(outcome.objective, abs=1e-9)


@pytest.mark.parametrize("backend", usable_among("LP", "highs", "scipy", "gurobi", "cvxpy:CLARABEL"))
def test_the_step_of_a_run_as_a_program_on_several_backends(backend):
    mdp = toy(0)
    method = UCFH(accuracy=1.0, block=50, episodes=200)
    state = learn_episodic(mdp, method).state
    program = method.step_program(mdp, state, 1)
    outcome = solve_program(program, backend)
    assert certify(program, outcome).holds(1e-7)
    worth = program.c
    counts = program.column_block("p").counts
    first = np.concatenate(([0], np.cumsum(counts)))
    found = extreme_distribution(program.col_lower, program.col_upper, worth, first)
    assert float(found @ worth) == pytest.approx(outcome.objective, abs=1e-6)


def test_confidence_bounds_are_the_ends_of_the_set():
    """On a fine grid of probabilities, with both inequalities written out."""
    grid = np.linspace(0.0, 1.0, 200_001)
    for n, p, delta in ((2, 0.5, 0.1), (50, 0.1, 0.01), (5_000, 0.02, 1e-3), (5_000, 0.5, 1e-3), (300, 0.97, 0.05), (40, 0.0, 0.1)):
        L = np.log(6.0 / delta)
        inside = np.abs(grid - p) <= np.sqrt(L / (2 * n))
        inside &= np.abs(grid - p) <= np.sqrt(2 * p * (1 - p) * L / (n - 1)) + 7 * L / (3 * (n - 1))
        deviation = np.sqrt(n / (n - 1) * p * (1 - p))
        inside &= np.abs(np.sqrt(grid * (1 - grid)) - deviation) <= np.sqrt(2 * L / (n - 1))
        lower, upper = confidence_bounds(np.array([p]), np.array([float(n)]), delta)
        assert (lower[0], upper[0]) == pytest.approx((grid[inside].min(), grid[inside].max()), abs=1.1e-5)
    lower, upper = confidence_bounds(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.1)
    assert (lower[0], upper[0]) == (0.0, 1.0)
    assert upper[1] == 1.0


def test_planning_with_certain_probabilities_is_backward_induction():
    mdp = toy(1)
    kernel = mdp.kernel()
    p = kernel.reshape(-1)
    first = np.arange(mdp.n_pairs + 1) * 3
    reward = 0.9 ** np.arange(4)[:, None] * mdp.reward
    plan = fixed_horizon_evi(reward, mdp.first, np.tile(np.arange(3), mdp.n_pairs), first, p, p)
    best = optimal_policy(mdp)
    assert plan.upper[0] == pytest.approx(best.values[0], abs=1e-12)
    assert plan.lower[0] == pytest.approx(best.values[0], abs=1e-12)
    assert (plan.pairs == best.pairs).all()


@pytest.mark.parametrize("seed", range(12))
def test_the_optimum_and_the_policy_are_between_the_values_of_every_phase(seed):
    """Each statement may fail with probability 0.1 only; the sets are far wider than that."""
    mdp = toy(seed)
    answer = learn_episodic(mdp, UCFH(accuracy=1.0, block=100, episodes=20_000), seed=seed)
    best = value(mdp)
    assert (answer.history["upper"] >= best - 1e-9).all()
    assert (answer.history["lower"] <= best + 1e-9).all()
    assert answer.lower - 1e-9 <= value_bracket(mdp, answer.policy).value_lower
    assert optimality_gap(mdp, answer.policy).upper <= answer.upper - answer.lower + 1e-9
    assert answer.status is Status.CONVERGED
    assert answer.upper - answer.lower <= 1.0


def test_confidence_sets_fail_no_more_often_than_they_say():
    rng = np.random.default_rng(0)
    for p, n in ((0.5, 20), (0.05, 60)):
        counts = rng.binomial(n, p, size=20_000) / n
        lower, upper = confidence_bounds(counts, np.full(20_000, float(n)), 0.3)
        assert ((p < lower) | (p > upper)).mean() <= 4.0 / 3.0 * 0.3


def test_a_run_goes_on_as_it_would_have_gone_on():
    mdp = toy(3)
    method = UCFH(accuracy=0.3, block=60, episodes=3_000)
    whole, status, history = run_alone(method, mdp, seed=5)
    half, early, records = run_alone(method, mdp, seed=5, limits=Limits(iterations=4))
    assert early is Status.OUT_OF_ITERATIONS
    stored = from_bytes(to_bytes(half), "the state")
    resumed, again, all_records = run_alone(method, mdp, seed=5, state=stored, history=records)
    assert to_bytes(resumed) == to_bytes(whole)
    assert status is again
    assert all_records.equals(history)
    assert run_alone(method, mdp, limits=Limits(seconds=0.0))[1] is Status.OUT_OF_TIME


def test_episodes_are_capped_and_samples_come_in_blocks():
    mdp = toy(4)
    answer = learn_episodic(mdp, UCFH(accuracy=1e-3, block=50, episodes=730, batch=100))
    assert answer.status is Status.OUT_OF_ITERATIONS
    assert answer.state.episodes == 730
    counts = answer.state.counts
    assert set(counts.tolist()) <= {0, *(50 * 2**i for i in range(8))}
    assert answer.state.counted.sum() == counts.sum()


def test_it_learns_a_chain():
    """The episodic form of a tiny chain of Algorithm 8, projected on a shared policy."""
    game = random_game(3, global_states=2, local_states=2, global_actions=2, gamma=0.5, seed=1)
    policy = random_policy(np.random.default_rng(0), game, 2)
    learned = learn_chained(game, policy, UCFH(accuracy=0.3, block=1_000, episodes=200_000, batch=2_000), horizon=2)
    answer, chain = learned.answer, learned.chain.episodic(2)
    assert answer.status is Status.CONVERGED
    assert answer.lower <= value(chain) <= answer.upper
    assert optimality_gap(chain, answer.policy).upper <= answer.upper - answer.lower + 1e-9
    weights = learned.chain.weights(answer.policy)
    assert weights.sum() == pytest.approx(2 * (1 + 0.5), rel=1e-9)
    assert (learned.local_policy.argmax(axis=2) == weights.argmax(axis=2)).all()
    game.check_local(learned.local_policy)


def test_the_horizon_leaves_little():
    game = random_game(3, gamma=0.9, seed=1)
    for k in (1, 4, 100):
        H = effective_horizon(game, k)
        assert game.gamma**H * game.reward_bound / 0.1 <= 1 / np.sqrt(k)
    free = replace(game, global_reward=np.zeros((3, 2)), local_reward=np.zeros((3, 3, 2)))
    assert effective_horizon(free, 4) == 1


def test_the_constants_are_those_of_the_theory():
    mdp = FiniteMDP([2, 1], [[1, 0], [0.5, 0.5], [0, 1]], [0.0, 0.5, 1.0], horizon=16, initial=0)
    found = UCFHConstants.of(mdp, 0.5, 0.1)
    assert (found.successors, found.delta_1) == (2, 0.1 / (2 * found.updates * 2))
    m = 512 * 2**2 * 2 * 16**2 / 0.25 * np.log(8 * 256 * 4 / 0.5) ** 2 * np.log(6 * 3 * 2 * np.log2(4 * 4 * 256 / 0.5) ** 2 / 0.1)
    assert found.samples == pytest.approx(m, rel=1e-12)
    assert found.block == int(np.ceil(m * 0.5 / (4 * 16 * 2)))
    assert found.most == int(np.ceil(2 * m * 16))
    assert UCFH(accuracy=0.5).constants(mdp).block > 10**6  # of the theory: far more than a toy needs


def test_bad_input_is_refused():
    endless = FiniteMDP([1], [[1.0]], [1.0], 0.9)
    with pytest.raises(InvalidMDP, match="UCFH needs a horizon"):
        learn_episodic(endless)
    changing = FiniteMDP([1], [[[1.0]], [[1.0]]], [1.0], horizon=2)
    with pytest.raises(InvalidMDP, match="change with the time step"):
        learn_episodic(changing)
    with pytest.raises(InvalidData, match="step is 4, more than 3"):
        UCFH().step_program(toy(0), learn_episodic(toy(0), UCFH(episodes=1)).state, 4)
    with pytest.raises(InvalidMDP, match="terminal values"):
        learn_episodic(FiniteMDP([1], [[1.0]], [1.0], horizon=2, terminal=[1.0]))
    for bad in ({"accuracy": 0.0}, {"delta": 1.0}, {"episodes": 0}, {"batch": 0.5}, {"block": 0}):
        with pytest.raises(InvalidData, match=f"{next(iter(bad))} is"):
            UCFH(**bad)
