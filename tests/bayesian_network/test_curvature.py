"""The second-order check: its quotient, the dense Hessian of the definition, eigenvalues that are known in closed form."""

from __future__ import annotations

from math import cos, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh

import eqsolve
from eqsolve.bayesian_network import BayesianNetwork, CooperativeMarkovGame, penalty_game, random_cooperative
from eqsolve.bayesian_network.barrier_iteration import BarrierPolicyIteration
from eqsolve.bayesian_network.curvature import DIRECTIONS, steepest_curvature
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.objective import Objective
from eqsolve.driver import Run, Status
from tests.bayesian_network import oracle
from tests.bayesian_network.games import random_logits
from tests.bayesian_network.methods import METHODS, ByHand, game, logits_of, network_of

CASES = [(form, seed) for form in oracle.FORMS for seed in range(10)]
MOST = 24
"""Logits up to which the Hessian of the definition is quickly written out."""


def random_pair(form, seed, most=MOST):
    """A tiny game and a network with few enough logits, a lambda and logits."""
    for k in range(1000):
        one, policy = oracle.random_tiny(1000 * seed + k, form)
        if 2 <= sum(table.size for table in policy.tables) <= most:
            break
    rng = np.random.default_rng(seed)
    logits = np.concatenate([part.reshape(-1) for part in random_logits(rng, policy.network, one.n_states, one.n_actions)])
    return one, policy.network, float(10.0 ** rng.uniform(-2, 1)), logits


def gradient_of(objective):
    return lambda logits: objective.gradient(objective.at(logits))


def found_at(one, network, lam, logits, seed=0, **options):
    return steepest_curvature(gradient_of(Objective.of(one, network, lam, **options)), logits, np.random.default_rng(seed))


def scale_of(one, lam):
    return max(lam, one.value_span)


# By the Hessian of the definition


@pytest.mark.parametrize(("form", "seed"), CASES)
def test_it_is_the_largest_eigenvalue_of_the_dense_hessian(form, seed):
    one, network, lam, logits = random_pair(form, seed)
    curvature, direction = found_at(one, network, lam, logits)
    hessian = ByHand(one, network, lam).hessian(logits)
    unit = scale_of(one, lam)
    assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-12)
    assert direction @ hessian @ direction == pytest.approx(curvature, abs=3e-7 * unit)
    assert np.linalg.norm(hessian @ direction - curvature * direction) <= 3e-6 * unit
    assert curvature == pytest.approx(np.linalg.eigvalsh(hessian)[-1], abs=3e-7 * unit)


def test_the_cases_are_of_all_kinds():
    pairs = [random_pair(*case) for case in CASES]
    signs = [found_at(*pair)[0] > 1e-4 * scale_of(pair[0], pair[2]) for pair in pairs]
    assert 5 < sum(signs) < len(signs) - 5
    assert {len(pair[1].edges) > 0 for pair in pairs} == {one.n_states > 1 for one, *_ in pairs} == {False, True}
    assert any(1 in one.n_actions for one, *_ in pairs)
    assert len({len(set(one.n_actions)) for one, *_ in pairs}) > 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(oracle.FORMS), st.integers(0, 2**32), st.floats(-5.0, 5.0))
def test_constants_in_the_rows_and_the_first_vector_change_nothing(seed, form, start, shift):
    one, network, lam, logits = random_pair(form, seed, most=DIRECTIONS)
    layout = Objective.of(one, network, lam).evaluator.layout
    curvature, direction = found_at(one, network, lam, logits)
    unit = scale_of(one, lam)
    assert curvature >= -1e-6 * unit  # along such constants, and the whole space has been searched
    if curvature > 1e-3 * unit:
        assert np.abs(layout.row_sums(direction)).max() <= 1e-2
    moved = logits + layout.to_entries(shift * np.random.default_rng(start).standard_normal(len(layout.row_sizes)))
    assert found_at(one, network, lam, moved, start)[0] == pytest.approx(curvature, abs=1e-6 * unit)


@pytest.mark.parametrize("name", ["factored", "ragged"])
def test_both_twins_find_the_same(name):
    one = game(name)
    network = network_of(one, "chain")
    logits = np.random.default_rng(4).standard_normal(Objective.of(one, network, 0.1).evaluator.layout.size)
    (plain, _), (compiled, _) = (found_at(one, network, 0.1, logits, compiled=which) for which in (False, True))
    assert compiled == pytest.approx(plain, abs=1e-7 * scale_of(one, 0.1))


@pytest.mark.parametrize("by", [1e-12, 1e-3, 1e9])
def test_units_of_reward_are_units_of_curvature(by):
    one, network, lam, logits = random_pair("dense", 3)
    gradient = gradient_of(Objective.of(one, network, lam))
    plain = steepest_curvature(gradient, logits, np.random.default_rng(0))
    other = steepest_curvature(lambda x: by * gradient(x), logits, np.random.default_rng(0))
    assert other[0] == pytest.approx(by * plain[0], rel=1e-6, abs=1e-7 * by * scale_of(one, lam))


# Saddles and maxima


def test_the_uniform_product_policy_of_the_penalty_game_curves_upwards_where_both_lean_to_one_side():
    """Both agents move from one side to the other: 20/9 of the products, less 2/27 of the safe action and lambda / 3."""
    for lam in (0.01, 1.0):
        curvature, direction = found_at(penalty_game(-10.0), BayesianNetwork.product(2), lam, np.zeros(6))
        assert curvature == pytest.approx(20 / 9 - 2 / 27 - lam / 3, abs=1e-7)
        assert np.sign(direction[0]) * direction == pytest.approx(np.array([1, 0, -1, 1, 0, -1]) / 2, abs=1e-6)


def test_a_saddle_is_left_along_the_direction_of_largest_curvature():
    one = penalty_game(-10.0)
    method = LBFGS("product", lam=1.0, perturb=0.0)
    run = Run()
    state = method.init(one, run)
    while not state.stationary:
        state = method.step(one, state, run)[0]
        run.iteration += 1
    assert state.value == pytest.approx(0.785, abs=5e-4)
    by_hand = ByHand(one, BayesianNetwork.product(2), 1.0)
    curvature, direction = found_at(one, by_hand.network, 1.0, state.logits)
    assert curvature == pytest.approx(np.linalg.eigvalsh(by_hand.hessian(state.logits))[-1], abs=1e-6)
    here, t = by_hand(state.logits), 1e-2
    for sign in (1, -1):  # by symmetry both ways lead up
        assert by_hand(state.logits + sign * t * direction) - here == pytest.approx(0.5 * t * t * curvature, rel=1e-2)
    off = method.step(one, state, run)[0]
    assert off.escapes == 1
    assert off.memory == ()
    assert off.objective == pytest.approx(by_hand(off.logits), abs=1e-12)
    assert off.objective > here + 0.1
    assert np.isnan(off.curvature)
    assert method.done(one, off) is None


@pytest.mark.parametrize(
    ("name", "network"),
    [*((name, "product") for name in ("penalty", "dense", "factored", "ragged")), ("penalty", "dense"), ("dense", "dense")],
)
def test_where_runs_converge_it_is_negative_but_for_constants_in_the_rows(name, network):
    one = game(name)
    result = eqsolve.solve(one, LBFGS(network, lam=0.3))
    assert result.status is Status.CONVERGED
    by_hand, unit = ByHand(one, result.policy.network, 0.3), scale_of(one, 0.3)
    logits = logits_of(result.policy)
    hessian = by_hand.hessian(logits)
    layout = Objective.of(one, result.policy.network, 0.3).evaluator.layout
    rows = len(layout.row_sizes)
    values = np.linalg.eigvalsh(hessian)
    assert np.abs(values[-rows:]).max() <= 1e-7 * unit  # one constant per row
    assert (values[:-rows] < -1e-6 * unit).all()
    assert abs(found_at(one, result.policy.network, 0.3, logits)[0]) <= 1e-6 * unit
    assert abs(result.state.curvature) <= 1e-6 * unit
    # Without these constants it is the largest of the negative ones.
    within = hessian - np.diag(unit * np.ones(layout.size))  # any shift: all of its curvatures are below 0
    assert steepest_curvature(lambda x: within @ x, logits, np.random.default_rng(0))[0] == pytest.approx(-unit, abs=1e-6 * unit)


# Many logits, by products alone


def line(N):
    """Neighbours want to agree, on whatever: with the uniform product policy nobody gains alone, and any two do together."""
    return CooperativeMarkovGame([2] * N, None, [((i, i + 1), np.eye(2)[None]) for i in range(N - 1)], 0.0)


def of_line(N, lam):
    """A path with weights 1/4, whose largest eigenvalue is cos(pi / (N + 1)) / 2, less what the barrier bends downwards."""
    return 0.5 * cos(pi / (N + 1)) - 0.5 * lam


@pytest.mark.parametrize(("N", "loss"), [(4, 1e-8), (29, 1e-8), (31, 1e-8), (60, 1e-6), (400, 1e-2)])
@pytest.mark.parametrize("lam", [0.1, 0.9])
def test_agents_on_a_line_who_want_to_agree(N, lam, loss):
    """With 30 agents the whole space is searched; with more, what is found is below the largest, and hardly so."""
    curvature, direction = found_at(line(N), BayesianNetwork.product(N), lam, np.zeros(2 * N))
    best = max(0.0, of_line(N, lam))  # 0 along constants
    assert best - loss <= curvature <= best + 1e-8
    leaning = direction.reshape(N, 2) @ [1, -1] / sqrt(2)
    assert 0.5 * (leaning[1:] @ leaning[:-1]) - 0.5 * lam * (leaning @ leaning) == pytest.approx(curvature, abs=1e-8)


@pytest.mark.parametrize("how", ["LBFGS", "gradient", "simultaneous"])
def test_the_line_is_left_for_an_agreement(how):
    result = eqsolve.solve(line(40), METHODS[how]("product", lam=0.1, perturb=0.0))
    assert result.status in (Status.CONVERGED, Status.STALLED)
    assert result.state.escapes >= 1
    assert result.value > 30 > 39 / 2  # uniformly, neighbours agree every other time


def test_thirty_thousand_logits():
    one = random_cooperative(3, (3,) * 8, seed=1)
    network = BayesianNetwork.dense(8)
    objective = Objective.of(one, network, 0.1)
    asked = []

    def gradient(logits):
        asked.append(1)
        return gradient_of(objective)(logits)

    logits = np.random.default_rng(0).standard_normal(objective.evaluator.layout.size)
    assert len(logits) == 29_520
    curvature, direction = steepest_curvature(gradient, logits, np.random.default_rng(1))
    assert len(asked) == 2 * DIRECTIONS
    assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-12)
    h = 1e-3 / np.abs(direction).max()
    image = (gradient(logits + h * direction) - gradient(logits - h * direction)) / (2 * h)
    assert direction @ image == pytest.approx(curvature, abs=1e-5 * scale_of(one, 0.1))
    assert curvature > 1e-3


@pytest.mark.parametrize("seed", range(2))
def test_arpack_finds_no_larger_one(seed):
    """Another implementation of Lanczos's method, with restarts until it has converged."""
    one = random_cooperative(4, (3, 3, 3), gamma=0.8, seed=seed)
    network = BayesianNetwork.dense(3)
    objective = Objective.of(one, network, 0.1, compiled=False)
    gradient = gradient_of(objective)
    D = objective.evaluator.layout.size
    assert D > 2 * DIRECTIONS
    logits = np.random.default_rng(seed).standard_normal(D)

    def times(v):
        return (gradient(logits + 1e-4 * v) - gradient(logits - 1e-4 * v)) / 2e-4

    largest = eigsh(LinearOperator((D, D), matvec=times, dtype=float), 1, which="LA", v0=np.ones(D), tol=1e-8)[0][0]
    assert found_at(one, network, 0.1, logits)[0] == pytest.approx(largest, abs=1e-6 * scale_of(one, 0.1))


def test_a_joint_policy_at_its_maximum():
    one = random_cooperative(3, (2,) * 6, gamma=0.8, seed=5)
    result = eqsolve.solve(one, BarrierPolicyIteration(lam=0.1))
    assert result.status is Status.CONVERGED
    assert result.state.curvature <= 1e-6 * scale_of(one, 0.1)


# Any quadratic


@settings(deadline=None, max_examples=30)
@given(st.integers(1, DIRECTIONS), st.integers(0, 2**32), st.integers(1, 5), st.floats(-8.0, 8.0))
def test_eigenvalues_of_all_kinds(D, seed, different, size):
    """Repeated ones end the space of a vector and its images early; it goes on from another vector."""
    rng = np.random.default_rng(seed)
    values = 10.0**size * rng.standard_normal(different)[rng.integers(different, size=D)]
    axes = np.linalg.qr(rng.standard_normal((D, D)))[0]
    matrix = axes @ np.diag(values) @ axes.T
    curvature, direction = steepest_curvature(lambda x: matrix @ x, rng.standard_normal(D), rng)
    unit = np.abs(values).max()
    assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-10)
    assert np.linalg.norm(matrix @ direction - curvature * direction) <= 1e-5 * unit
    assert curvature == pytest.approx(values.max(), abs=1e-8 * unit)


@pytest.mark.parametrize("D", [1, 2, DIRECTIONS, 500])
def test_what_does_not_curve(D):
    for slope in (np.zeros(D), np.ones(D)):
        curvature, direction = steepest_curvature(lambda x, slope=slope: slope, np.zeros(D), np.random.default_rng(0))
        assert curvature == 0.0
        assert np.linalg.norm(direction) == pytest.approx(1.0, abs=1e-12)


def test_one_direction_among_thousands():
    D = 5000
    values = -np.linspace(0.1, 1.0, D)
    values[1234] = 0.3
    curvature, direction = steepest_curvature(lambda x: values * x, np.zeros(D), np.random.default_rng(0))
    assert curvature == pytest.approx(0.3, abs=1e-9)
    assert abs(direction[1234]) == pytest.approx(1.0, abs=1e-9)
    below = steepest_curvature(lambda x: (values - 0.5) * x, np.zeros(D), np.random.default_rng(0))[0]
    assert below == pytest.approx(-0.2, abs=1e-9)
