"""The theorems against numbers by hand, against the exact gaps near stationary points, and with hypotheses that fail."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    InvalidNetwork,
    InvalidPolicy,
    coordination_line,
    penalty_game,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network.bounds import (
    NASH_VARIANTS,
    OPTIMAL_VARIANTS,
    a_posteriori,
    iterations_nash,
    iterations_optimal,
    mismatch,
    promised_nash,
    promised_optimal,
    smoothness,
    stationary_nash,
    stationary_optimal,
)
from eqsolve.bayesian_network.certificate import nash_gap, optimality_gap
from eqsolve.bayesian_network.objective import Objective
from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from tests.bayesian_network import oracle

M, EPS = 4.0, 0.1


def by_hand():
    """N = 2, m = (2, 3), S = 2, gamma = 1/2, rewards from -1 to 2; over 0 -> 1: |A^P| = 1 and 2, h = 3/2, B = 6, A = 6."""
    reward = np.zeros((2, 2, 3))
    reward[0, 0, 0], reward[1, 1, 2] = -1.0, 2.0
    return CooperativeMarkovGame([2, 3], np.full((12, 2), 0.5), reward, 0.5), BayesianNetwork.chain(2)


NASH = {
    "paper": (256 * 2 * 16 * 4 * 9 * 9 / (0.0625 * 0.01), 32 * (0.1 / 8) * 4 * 2 * 9 * 1.5 * 3 / (0.5 * 0.1), 0.1 / 8),
    "corrected": (256 * 2 * 16 * 4 * 36 * 9 / (0.0625 * 0.01), 32 * 4 * 2 * 36 * 1.5 * 3 / (0.5 * 0.1), 0.1 / 8),
    "sharp": (16 * 2 * 16 * 4 * 36 * 9 / (0.0625 * 0.01), 4 * 4 * 2 * 36 * 1.5 * 3 / (0.5 * 0.1), 0.1 / 4),
}
OPTIMAL = {
    "paper": (2**10 * 8 * 16 * 4 * 36 * 9 * 9 / (0.01 * 0.0625), 8 * 2 * 4 * 2 * 36 * 9 * 3 * 1.5 / (0.1 * 0.5), 0.1 / 64),
    "corrected": (2**12 * 8 * 16 * 4 * 36 * 9 * 9 / (0.01 * 0.0625), 2**7 * 2 * 4 * 2 * 36 * 9 * 3 * 1.5 / (0.1 * 0.5), 0.1 / 64),
    "telescoped": (16 * 4 * 4 * 36 * 9 * 16 / (0.0625 * 0.01), 4 * 2 * 2 * 36 * 3 * 4 * 1.5 / (0.5 * 0.1), 0.1 / 4),
}


def test_the_smoothness_by_hand():
    game, network = by_hand()
    assert smoothness(game, network, 0.1) == pytest.approx(8 * 2 * 3 / 0.125 + 2 * 0.1 / (2 * 1) + 2 * 0.1 / (2 * 2))


@pytest.mark.parametrize("variant", NASH_VARIANTS)
def test_theorem_1_by_hand(variant):
    found = iterations_nash(*by_hand(), EPS, M, variant)
    first, second, lam = NASH[variant]
    assert list(found.terms.values()) == pytest.approx([first, second])
    assert found.count == pytest.approx(first + second)
    assert found.lam == pytest.approx(lam)


@pytest.mark.parametrize("variant", OPTIMAL_VARIANTS)
def test_theorem_2_by_hand(variant):
    found = iterations_optimal(*by_hand(), EPS, M, variant)
    first, second, lam = OPTIMAL[variant]
    assert list(found.terms.values()) == pytest.approx([first, second])
    assert found.count == pytest.approx(first + second)
    assert found.lam == pytest.approx(lam)


def test_the_defaults_are_the_proved_ones():
    game, network = by_hand()
    assert iterations_nash(game, network, EPS, M) == iterations_nash(game, network, EPS, M, "corrected")
    assert iterations_optimal(game, network, EPS, M) == iterations_optimal(game, network, EPS, M, "telescoped")
    assert promised_nash(game, network, 1e9, M) == promised_nash(game, network, 1e9, M, "corrected")
    assert promised_optimal(game, network, 1e9, M) == promised_optimal(game, network, 1e9, M, "telescoped")


def norm_after(game, network, T, lam):
    """The gradient's least norm over T steps of ascent, as the descent lemma bounds it from the uniform policy."""
    low, high = game.reward_range
    return np.sqrt(2 * smoothness(game, network, lam) * (high - low) / (T * (1 - game.gamma)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-3, 10.0), st.floats(1.0, 50.0))
def test_the_steps_make_the_gradient_as_small_as_the_lemmas_need(seed, eps, coefficient):
    rng = np.random.default_rng(seed)
    N = int(rng.integers(1, 4))
    game = random_cooperative(int(rng.integers(1, 4)), rng.integers(2, 4, N), gamma=float(rng.choice([0.0, 0.9])), seed=seed)
    sparse, dense = oracle.random_network(rng, N), BayesianNetwork.dense(N)
    M = replace(mismatch(penalty_game()), value=coefficient)
    for variant in ("corrected", "sharp"):
        found = iterations_nash(game, sparse, eps, coefficient, variant)
        norm = norm_after(game, sparse, found.count, found.lam)
        assert stationary_nash(game, sparse, found.lam, norm * (1 - 1e-9), M, variant).value == pytest.approx(eps)
        assert stationary_nash(game, sparse, found.lam, norm * (1 + 1e-9), M, variant).value is None
    for variant, lemma in (("corrected", "paper"), ("telescoped", "telescoped")):
        found = iterations_optimal(game, dense, eps, coefficient, variant)
        norm = norm_after(game, dense, found.count, found.lam)
        assert stationary_optimal(game, dense, found.lam, norm * (1 - 1e-9), M, lemma).value == pytest.approx(eps)
        assert stationary_optimal(game, dense, found.lam, norm * (1 + 1e-9), M, lemma).value is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-4, 1e3), st.floats(1.0, 200.0), st.floats(1.1, 10.0))
def test_promises_invert_the_iterations(seed, eps, coefficient, more):
    rng = np.random.default_rng(seed)
    N = int(rng.integers(1, 4))
    game = random_cooperative(int(rng.integers(1, 4)), rng.integers(1, 4, N), gamma=float(rng.choice([0.0, 0.9])), seed=seed)
    cases = [(iterations_nash, promised_nash, oracle.random_network(rng, N), variant) for variant in NASH_VARIANTS]
    cases += [(iterations_optimal, promised_optimal, BayesianNetwork.dense(N), variant) for variant in OPTIMAL_VARIANTS]
    for steps, promised, network, variant in cases:
        T = steps(game, network, eps, coefficient, variant).count
        if T:
            assert promised(game, network, T, coefficient, variant) == pytest.approx(eps, rel=1e-6)
            assert promised(game, network, T * more, coefficient, variant) < eps
        else:  # one joint action: nothing to gain
            assert promised(game, network, 1.0, coefficient, variant) == 0.0


def test_the_printed_theorem_1_promises_nothing_for_few_steps():
    """Its stray lambda makes the second term 16 S max |A^i|^2 h dr / (1 - gamma), whatever eps."""
    game, network = by_hand()
    constant = 16 * 2 * 9 * 1.5 * 3 / 0.5
    assert promised_nash(game, network, constant, M, "paper") == np.inf
    assert np.isfinite(promised_nash(game, network, constant + 1, M, "paper"))
    assert np.isfinite(promised_nash(game, network, 1.0, M, "corrected"))


def test_numbers_too_large_for_a_float_are_infinite():
    m = [10**6] * 60
    game = CooperativeMarkovGame(m, None, [((0,), np.arange(1e6)[None])], 0.0)
    for network in (BayesianNetwork.product(60), BayesianNetwork.chain(60)):
        assert np.isfinite(iterations_nash(game, network, 0.1, 1.0).count)
    dense = BayesianNetwork.dense(60)
    for variant in OPTIMAL_VARIANTS:
        assert iterations_optimal(game, dense, 0.1, 1.0, variant).count == np.inf
        assert promised_optimal(game, dense, 1e9, 1.0, variant) == np.inf
    flat = CooperativeMarkovGame(m, None, [((), [1.0])], 0.0)
    assert iterations_optimal(flat, dense, 0.1, 1.0).count == 0.0
    assert stationary_optimal(game, dense, 0.1, 1.0, mismatch(game)).value is None
    assert iterations_nash(game, BayesianNetwork.chain(60), 1e-200, 1.0).count == np.inf


@cache
def approach(seed, states, m, gamma, lam, parents, tolerance=1e-11):
    """The points on the way of L-BFGS from near uniform, with their gradients' norms; the last is near a stationary point."""
    game = random_cooperative(states, m, gamma=gamma, seed=seed)
    return (game, *climb(game, BayesianNetwork(parents), lam, seed, tolerance))


def climb(game, network, lam, seed=0, tolerance=1e-11):
    objective, path = Objective.of(game, network, lam), []

    def negative(x):
        point = objective.at(x)
        return -point.objective, -objective.gradient(point)

    def keep(x):
        path.append((objective.policy(objective.at(x).probability), float(np.linalg.norm(negative(x)[1]))))

    start = 0.1 * np.random.default_rng(seed).normal(size=objective.evaluator.layout.size)
    options = {"maxiter": 2000, "gtol": tolerance, "ftol": 0.0, "maxls": 50}
    minimize(negative, start, jac=True, method="L-BFGS-B", callback=keep, options=options)
    return objective, path


DENSE = [
    (seed, states, m, gamma, lam, BayesianNetwork.dense(len(m), order).parents)
    for seed, (states, m, gamma, lam, order) in enumerate(
        [
            (1, (3, 2), 0.0, 0.1, None),
            (2, (2, 2), 0.5, 0.1, (1, 0)),
            (3, (2, 3, 2), 0.8, 0.3, (2, 0, 1)),
            (2, (2, 1, 2), 0.9, 0.5, None),
            (3, (4,), 0.9, 0.2, None),
            (2, (2, 2, 2), 0.7, 1.0, (1, 2, 0)),
        ]
    )
]
SPARSE = [
    (7, 2, (2, 2, 2), 0.8, 0.1, ((), (0,), (1,))),
    (8, 3, (3, 2), 0.5, 0.2, ((), ())),
    (9, 2, (2, 2, 2), 0.9, 0.3, ((), (), (0, 1))),
]


@pytest.mark.parametrize("case", DENSE)
def test_the_advantages_telescope_at_stationary_points_of_dense_networks(case):
    """Q(s, a) - V(s) = lam / (d(s) S) (1 - 1 / (pi(a | s) A))."""
    game, _, path = approach(*case)
    policy, norm = path[-1]
    assert norm < 1e-6
    pi = oracle.probabilities(game, policy)
    v, d = oracle.values(game, pi), oracle.visits(game, pi)
    scale = case[4] / (d[:, None] * game.n_states)
    expected = scale * (1 - 1 / (pi * game.n_joint))
    assert oracle.action_values(game, v) - v[:, None] == pytest.approx(expected, abs=10 * norm / pi.min())
    assert norm / pi.min() < 1e-3


def test_the_advantages_do_not_telescope_over_a_product():
    objective, path = climb(penalty_game(), BayesianNetwork.product(2), 0.1)
    policy, _ = path[-1]
    game = objective.evaluator.game
    pi = oracle.probabilities(game, policy)
    v = oracle.values(game, pi)
    assert np.abs(oracle.action_values(game, v) - v[:, None] - 0.1 * (1 - 1 / (9 * pi))).max() > 1


@pytest.mark.parametrize("case", DENSE)
def test_the_bounds_hold_all_along_the_way_over_dense_networks(case):
    game, objective, path = approach(*case)
    lam, found, network = case[4], mismatch(game), objective.evaluator.layout.network
    best = oracle.deterministic(game) if game.n_joint**game.n_states <= 4096 else None
    if best is not None:
        star = best[int(np.argmax(oracle.values(game, best) @ game.initial))]
    held = 0
    for policy, norm in path[:: max(1, len(path) // 10)] + path[-1:]:
        gap = optimality_gap(game, policy).upper
        bounds = [stationary_optimal(game, network, lam, norm, found, one) for one in ("telescoped", "paper")]
        if best is not None:
            d = oracle.visits(game, oracle.probabilities(game, policy))
            bounds.append(a_posteriori(game, policy, lam, norm, d, oracle.visits(game, star)))
            if bounds[-1].value is not None:
                assert bounds[-1].value <= lam * found.value * (1 + 1e-9)
        for bound in bounds:
            if bound.value is None:
                assert "the gradient has norm" in bound.failed[0]
            else:
                assert gap <= bound.value
                held += 1
    assert held
    assert bounds[0].value == pytest.approx(lam * found.value)
    assert bounds[1].value == pytest.approx(2 ** (game.n_agents + 1) * game.n_agents * lam * found.value)


@pytest.mark.parametrize("case", SPARSE + DENSE[:3])
def test_lemma_2_holds_all_along_the_way(case):
    game, objective, path = approach(*case)
    lam, found, network = case[4], mismatch(game), objective.evaluator.layout.network
    held, times = set(), {"paper": 2, "corrected": 2, "sharp": 1}
    for policy, norm in path[:: max(1, len(path) // 15)] + path[-1:]:
        gap = nash_gap(game, policy).upper
        for variant in NASH_VARIANTS:
            bound = stationary_nash(game, network, lam, norm, found, variant)
            if bound.value is not None:
                assert gap <= bound.value == pytest.approx(times[variant] * lam * found.value)
                held.add(variant)
    assert held == set(NASH_VARIANTS)


def test_a_product_policy_is_stuck_far_above_what_dense_ones_reach():
    game, lam = penalty_game(), 0.1
    found = mismatch(game)
    gaps = {}
    for network in (BayesianNetwork.product(2), BayesianNetwork.dense(2)):
        policy, norm = climb(game, network, lam)[1][-1]
        gaps[network.is_dense] = optimality_gap(game, policy).upper
        assert nash_gap(game, policy).upper <= stationary_nash(game, network, lam, norm, found, "sharp").value == lam
        bound = stationary_optimal(game, network, lam, norm, found)
        assert (bound.value is None) == (not network.is_dense)
        if bound.value is None:
            assert "not dense" in bound.failed[0]
            assert a_posteriori(game, policy, lam, norm, [1.0], [1.0]).failed == bound.failed
    assert gaps[True] <= lam < 80 * lam < gaps[False]


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_mismatch_is_the_worst_over_deterministic_joint_policies(form):
    finite, infinite, several = 0, 0, 0
    for seed in range(25):
        game, _ = oracle.random_tiny(seed, form)
        if game.n_joint**game.n_states > oracle.MOST:
            continue
        d = oracle.visits(game, oracle.deterministic(game))
        d[d < 1e-12] = 0.0
        most, least = d.max(axis=0), d.min(axis=0)
        met = most > 0
        with np.errstate(divide="ignore"):
            worst = float((most[met] / least[met]).max())
        found = mismatch(game)
        assert found.value == pytest.approx(worst, rel=1e-8)
        assert np.isinf(found.value) == bool(found.reason)
        assert np.isnan(found.ratio).sum() == (~met).sum()
        finite, infinite, several = finite + np.isfinite(worst), infinite + np.isinf(worst), several + (game.n_states > 1)
    assert min(finite, several) >= 8
    assert infinite or form == "factored"


def test_a_start_that_leaves_states_out_makes_no_promise():
    """From state 0 one action stays there for ever, so that state 1 may never be seen."""
    P = np.zeros((2, 2, 2))
    P[0, 0, 0] = P[0, 1, 1] = P[1, :, 1] = 1.0
    game = CooperativeMarkovGame([2], P, np.eye(2), 0.5, initial=[1.0, 0.0])
    network, found = BayesianNetwork.product(1), mismatch(game)
    assert found.value == np.inf
    for bound in (stationary_nash(game, network, 0.1, 0.0, found), stationary_optimal(game, network, 0.1, 0.0, found)):
        assert bound.value is None
        assert bound.failed == (f"the mismatch coefficient M is infinite: {found.reason}",)
        assert "initial distribution that gives every state some weight" in str(bound)
    with pytest.raises(InvalidData, match="M is inf"):
        iterations_nash(game, network, 0.1, found.value)
    without_future = CooperativeMarkovGame([2], P, np.eye(2), 0.0, initial=[1.0, 0.0])
    assert mismatch(without_future).value == 1.0
    assert mismatch(without_future).unreachable == ("1",)


def test_the_mismatch_needs_joint_actions_that_fit():
    assert mismatch(coordination_line(50, 5)).value == 1.0
    assert mismatch(random_factored(2, (2,) * 40, gamma=0.0)).value == 1.0
    with pytest.raises(
        InvalidGame, match=r"40 agents have 1,099,511,627,776 of them in each of 2 states: 4,398,046,511,104 numbers"
    ):
        mismatch(random_factored(2, (2,) * 40))


def test_hypotheses_that_fail_are_all_named():
    game, network = by_hand()
    found = mismatch(game)
    bound = stationary_optimal(game, BayesianNetwork.product(2), 0.1, 1.0, found, "paper")
    assert bound.value is None
    assert [part[:20] for part in bound.failed] == ["the network is not d", "the gradient has nor"]
    assert "above lambda / (2 S |A| max |A^i|) = 0.001389" in bound.failed[1]
    for variant, need in (("paper", 72.0), ("corrected", 24.0), ("sharp", 12.0)):
        assert stationary_nash(game, network, 0.1, 0.1 / need, found, variant).value is not None
        assert stationary_nash(game, network, 0.1, 0.1001 / need, found, variant).value is None
    other = BayesianNetwork.chain(2, (1, 0))  # B = 3 x 2, though max |A^P| max |A^i| = 3 x 3
    assert stationary_nash(game, other, 0.1, 0.1 / 24, found).value is not None
    assert stationary_optimal(game, network, 0.1, 0.1 / (np.sqrt(2) * 12.0001), found).value is not None
    many = BayesianNetwork.dense(17)
    flat = CooperativeMarkovGame([2] * 17, None, [((0,), [[0.0, 1.0]])], 0.0)
    bound = stationary_optimal(flat, many, 0.1, 0.0, mismatch(flat), "paper")
    assert bound.failed == ("the printed proof is invalid, and N = 17 exceeds 4 max |A^i|^2 = 16",)
    assert stationary_optimal(flat, many, 0.1, 0.0, mismatch(flat)).value == 0.1


def test_a_posteriori_by_hand_and_what_it_refuses():
    game, network = by_hand()
    policy = BayesianNetworkPolicy.uniform(network, 2, (2, 3))
    bound = a_posteriori(game, policy, 0.1, 0.0, [0.5, 1.5], [1.6, 0.4])
    assert bound.value == pytest.approx(0.1 / 2 * (1.6 / 0.5 + 0.4 / 1.5))
    need = np.sqrt(2) * 2 * 6
    assert a_posteriori(game, policy, 0.1, 0.0999 / need, [0.5, 1.5], [1.6, 0.4]).value == bound.value
    assert a_posteriori(game, policy, 0.1, 0.1001 / need, [0.5, 1.5], [1.6, 0.4]).value is None
    assert a_posteriori(game, policy, 0.1, 0.0, [2.0, 0.0], [1.6, 0.4]).failed == (
        "the policy never visits state 1, which the best one visits",
    )
    assert a_posteriori(game, policy, 0.1, 0.0, [2.0, 0.0], [2.0, 0.0]).value == pytest.approx(0.05)
    for visits, best, words in (
        ([1.0, 1.0], [0.5, 0.5], "sum to 2 and best_visits to 1"),
        ([-1.0, 3.0], [1.0, 1.0], r"visits\[0\] is -1"),
        ([2.0], [1.0, 1.0], "visits has shape 1"),
        ([1.0, 1.0], [np.nan, 1.0], r"best_visits\[0\] is nan"),
    ):
        with pytest.raises(InvalidData, match=words):
            a_posteriori(game, policy, 0.1, 0.0, visits, best)
    with pytest.raises(InvalidPolicy, match="of another game"):
        a_posteriori(penalty_game(), policy, 0.1, 0.0, [1.0], [1.0])


@pytest.mark.parametrize("wrong", [0.0, -0.1, np.nan, np.inf, None, "0.1", True])
def test_lambda_and_eps_are_above_0(wrong):
    game, network = by_hand()
    found, policy = mismatch(game), BayesianNetworkPolicy.uniform(network, 2, (2, 3))
    for bound in (
        lambda: smoothness(game, network, wrong),
        lambda: stationary_nash(game, network, wrong, 0.0, found),
        lambda: stationary_optimal(game, network, wrong, 0.0, found),
        lambda: a_posteriori(game, policy, wrong, 0.0, [1.0, 1.0], [1.0, 1.0]),
    ):
        with pytest.raises(InvalidData, match="lam is"):
            bound()
    for steps in (iterations_nash, iterations_optimal):
        with pytest.raises(InvalidData, match="eps is"):
            steps(game, network, wrong, M)
    for promised in (promised_nash, promised_optimal):
        with pytest.raises(InvalidData, match="T is"):
            promised(game, network, wrong, M)


def test_other_numbers_and_names_are_refused():
    game, network = by_hand()
    found, policy = mismatch(game), BayesianNetworkPolicy.uniform(network, 2, (2, 3))
    for coefficient in (0.5, np.nan, -1.0, None):
        with pytest.raises(InvalidData, match="M is"):
            promised_nash(game, network, 10.0, coefficient)
    for bound in (
        lambda: stationary_nash(game, network, 0.1, -1.0, found),
        lambda: stationary_optimal(game, network, 0.1, np.nan, found),
        lambda: a_posteriori(game, policy, 0.1, -1.0, [1.0, 1.0], [1.0, 1.0]),
    ):
        with pytest.raises(InvalidData, match="gradient_norm is"):
            bound()
    for call in (
        lambda: iterations_nash(game, network, EPS, M, "telescoped"),
        lambda: iterations_optimal(game, network, EPS, M, "sharp"),
        lambda: stationary_nash(game, network, 0.1, 0.0, found, "printed"),
        lambda: stationary_optimal(game, network, 0.1, 0.0, found, "corrected"),
    ):
        with pytest.raises(UnknownName, match="unknown variant"):
            call()
    for call in (
        lambda: iterations_optimal(game, BayesianNetwork.product(2), EPS, M),
        lambda: promised_optimal(game, BayesianNetwork.product(2), 10.0, M),
    ):
        with pytest.raises(InvalidNetwork, match="not dense"):
            call()
    with pytest.raises(InvalidNetwork, match="3 agents and the game has 2"):
        smoothness(game, BayesianNetwork.product(3), 0.1)
