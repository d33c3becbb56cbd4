"""Soft and chi-square-regularised steps and processes, against supports enumerated in rational numbers, cvxpy and brute force."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.mdp import simplex
from eqsolve.mdp.ball_dual import ball_optimal
from eqsolve.mdp.certificate import optimal_bracket, value_bracket
from eqsolve.mdp.chi_square import averaged_ball_best_response, ball_best_response, simplex_update
from eqsolve.mdp.generators import grid_world, random_mdp
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.regularised import (
    chi_square_maximum,
    chi_square_optimal,
    chi_square_value,
    soft_maximum,
    soft_optimal,
    soft_value,
)


def behaviour(rng, shape, zeros=True):
    nu = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    if zeros and shape[-1] > 1:
        nu = np.where(nu < 0.4 / shape[-1], 0.0, nu)
    return nu / nu.sum(axis=-1, keepdims=True)


def exact_update(q, nu, w, eta, lam):
    """The only support that satisfies the optimality conditions, in rational numbers."""
    q, nu, w = ([Fraction(float(x)) for x in row] for row in (q, nu, w))
    b = [qa / (2 * lam) if eta is None else (eta * qa / 2 + wa) / (1 + eta * lam) for qa, wa in zip(q, w, strict=True)]
    usable = [a for a in range(len(q)) if nu[a] > 0]
    for size in range(1, len(usable) + 1):
        for support in combinations(usable, size):
            tau = (sum(nu[a] * b[a] for a in support) - 1) / sum(nu[a] for a in support)
            if all(b[a] > tau for a in support) and all(b[a] <= tau for a in usable if a not in support):
                return [float(nu[a] * (b[a] - tau)) if a in support else 0.0 for a in range(len(q))]
    raise AssertionError("no support is optimal")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1e-6, 0.01, 1.0, 100.0]), st.sampled_from([None, 0.01, 1.0, 1e4]))
def test_the_simplex_update_in_rational_numbers(seed, lam, eta):
    rng = np.random.default_rng(seed)
    A = int(rng.integers(1, 6))
    nu, q = behaviour(rng, (A,)), rng.normal(size=A) * rng.choice([1e-3, 1.0, 1e3])
    w = behaviour(rng, (A,)) / np.where(nu > 0, nu, 1.0) * (nu > 0)
    found = simplex_update(q, nu, w, eta=np.inf if eta is None else eta, lam=lam)
    exact = exact_update(q, nu, w, None if eta is None else Fraction(eta), Fraction(lam))
    assert found.policy == pytest.approx(exact, abs=1e-12)
    assert found.residual <= 1e-11 * (1 + np.abs(q).max() + lam + (0 if eta is None else w.max() / eta))
    assert (found.policy[nu == 0] == 0).all()
    assert found.policy == pytest.approx(nu * found.ratio, abs=0)


@pytest.mark.parametrize("shape", [(7, 1), (50, 3), (20, 40)])
def test_the_compiled_twin_gives_what_numpy_gives(shape):
    from eqsolve.mdp.simplex_kernels import project

    rng = np.random.default_rng(0)
    first = np.arange(0, shape[0] * shape[1] + 1, shape[1])
    for spread in (1e-3, 1.0, 1e3):
        nu, b = behaviour(rng, shape).reshape(-1), rng.normal(size=shape).reshape(-1) * spread
        w, tau = np.empty(b.size), np.empty(shape[0])
        project(b, nu, first, w, tau)
        twin, twin_tau = simplex.project_numpy(b, nu, first)
        assert w == pytest.approx(twin, abs=1e-12 * (1 + spread))
        assert tau == pytest.approx(twin_tau, abs=1e-12 * (1 + spread))
        assert np.add.reduceat(nu * w, first[:-1]) == pytest.approx(np.ones(shape[0]), abs=1e-12)


def test_large_batches_go_to_the_compiled_twin(monkeypatch):
    rng = np.random.default_rng(1)
    q, nu = rng.normal(size=(300, 4)), behaviour(rng, (300, 4))
    slow = simplex_update(q, nu, lam=0.3)
    monkeypatch.setattr(simplex, "COMPILED", 1)
    fast = simplex_update(q, nu, lam=0.3)
    assert fast.policy == pytest.approx(slow.policy, abs=1e-13)
    flat = simplex_update(q.reshape(-1), nu.reshape(-1), lam=0.3, first=np.arange(0, 1201, 4))
    assert flat.policy.reshape(300, 4) == pytest.approx(slow.policy, abs=1e-13)


def test_ratios_stay_within_their_bound_for_any_payoffs():
    """The ratio p / nu never exceeds 1 + B / (2 lam) when payoffs range over B."""
    rng = np.random.default_rng(2)
    nu, lam = behaviour(rng, (5,), zeros=False), 0.1
    ratio = np.ones(5)
    for eta in (0.1, 10.0, 1e4):
        for _ in range(200):
            ratio = simplex_update(rng.random(5).round(), nu, ratio, eta=eta, lam=lam).ratio
            assert ratio.max() <= 1 + 1 / (2 * lam) + 1e-9


def chi_square(p, nu):
    return float(np.where(nu > 0, p**2 / np.where(nu > 0, nu, 1), 0).sum() - 1)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-12, 1e-3, 0.3, 2.0, 100.0]))
def test_the_ball_response_satisfies_its_optimality_conditions(seed, radius):
    """Feasible, and no more than the Lagrangian bound at its own multiplier: a proof of optimality for each instance."""
    rng = np.random.default_rng(seed)
    nu, q = behaviour(rng, (4,)), rng.integers(0, 4, 4) * 1.0 if seed % 3 == 0 else rng.normal(size=4)
    found = ball_best_response(q, nu, radius)
    p = found.policy
    assert p.sum() == pytest.approx(1, abs=1e-13)
    assert p.min() >= 0
    assert (p[nu == 0] == 0).all()
    assert chi_square(p, nu) <= radius + 1e-12 * (1 + radius)
    assert found.value == pytest.approx(p @ q, abs=1e-12)
    price = float(found.multiplier)
    if price == 0.0:
        best = q[nu > 0].max()
        assert found.value == pytest.approx(best, abs=1e-12)
        at_best = np.where((nu > 0) & (q == best), nu, 0)
        assert p == pytest.approx(at_best / at_best.sum(), abs=1e-12)
    elif radius > 0:
        soft, _ = chi_square_maximum(q, price, nu)
        assert found.value == pytest.approx(float(soft) + price * radius, abs=1e-9)


def test_the_ball_response_against_a_cone_solver():
    rng = np.random.default_rng(3)
    for _ in range(5):
        nu, q, C = behaviour(rng, (5,), zeros=False), rng.normal(size=5), float(rng.uniform(0.01, 2))
        p = cp.Variable(5, nonneg=True)
        problem = cp.Problem(cp.Maximize(q @ p), [cp.sum(p) == 1, cp.sum(cp.multiply(1 / nu, cp.square(p))) <= 1 + C])
        problem.solve(solver=cp.CLARABEL)
        found = ball_best_response(q, nu, C)
        assert found.value == pytest.approx(problem.value, abs=1e-6)
        assert found.value >= problem.value - 1e-9
        wider = ball_best_response(q, nu, C + 1e-6)
        assert found.multiplier == pytest.approx((wider.value - found.value) / 1e-6, rel=1e-3, abs=1e-6)


def test_the_budget_shared_by_contexts():
    rng = np.random.default_rng(4)
    for C in (0.0, 0.05, 0.5, 3.0, 1e4):
        nu, q, rho = behaviour(rng, (4, 5), zeros=C > 1), rng.normal(size=(4, 5)), rng.dirichlet(np.ones(4))
        found = averaged_ball_best_response(q, nu, rho, C)
        used = sum(r * chi_square(p, n) for r, p, n in zip(rho, found.policy, nu, strict=True))
        assert used <= C + 1e-12
        assert found.policy.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-13)
        if C > 0:
            soft, _ = chi_square_maximum(q, found.multiplier, nu)
            assert found.value == pytest.approx(rho @ soft + found.multiplier * C, abs=1e-9)
    alone = averaged_ball_best_response(q[:1], nu[:1], [1.0], 0.3)
    assert alone.value == pytest.approx(float(ball_best_response(q[0], nu[0], 0.3).value), abs=1e-12)


@pytest.mark.parametrize("tau", [0.0, 1e-300, 1e-3, 1.0, 1e3])
def test_soft_maximum(tau):
    q = np.array([[1.0, 2.0, 2.0], [-1e5, 0.0, 1e5], [1e300, -1e300, 0.0]])
    rho = np.array([[0.5, 0.25, 0.25], [0.2, 0.8, 0.0], [0.1, 0.2, 0.7]])
    v, policy = soft_maximum(q, tau, reference=rho)
    assert np.isfinite(v).all()
    assert policy.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-14)
    assert policy[1, 2] == 0
    if tau <= 1e-3:
        assert policy[0] == pytest.approx([0, 0.5, 0.5])
        assert v == pytest.approx([2 + tau * np.log(0.5), 0 + tau * np.log(0.8), 1e300])
    else:
        assert v[0] == pytest.approx(tau * np.log(rho[0] @ np.exp(q[0] / tau)), abs=1e-9)
    plain, _ = soft_maximum(q[0], tau)
    trial = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    assert (trial @ q[0] - tau * (trial * np.log(trial)).sum(axis=1) <= plain + 1e-9 * (1 + tau)).all()


@pytest.mark.parametrize("lam", [0.0, 1e-300, 1e-3, 1.0, 1e3])
def test_chi_square_maximum(lam):
    q = np.array([[1.0, 2.0, 2.0], [-1e5, 0.0, 1e5], [1e300, -1e300, 0.0]])
    nu = np.array([[0.5, 0.25, 0.25], [0.2, 0.8, 0.0], [0.1, 0.2, 0.7]])
    v, policy = chi_square_maximum(q, lam, nu)
    assert np.isfinite(v).all()
    assert policy.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
    assert policy[1, 2] == 0
    trial = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    assert all(p @ q[0] - lam * chi_square(p, nu[0]) <= v[0] + 1e-9 * (1 + lam) for p in trial)
    assert v[0] == pytest.approx(policy[0] @ q[0] - lam * chi_square(policy[0], nu[0]), abs=1e-12)
    if lam <= 1e-3:
        assert policy[0] == pytest.approx([0, 0.5, 0.5])


PROCESSES = (
    random_mdp(6, 3, 3, 0.9, seed=0, ragged=True),
    random_mdp(6, 3, 3, 0.99, seed=1, ragged=True, dense=True),
    random_mdp(5, 3, 3, None, seed=2, horizon=3, stationary=False),
)


def random_policy(mdp, seed):
    draw = np.random.default_rng(seed).exponential(size=mdp.policy_shape())
    return draw / np.add.reduceat(draw, mdp.first[:-1], axis=-1)[..., mdp.owner]


def penalty(mdp, policy, kind, weight, reference):
    """(S,) or (H, S) what the states are charged, from the definition."""
    safe = np.where(policy > 0, policy, 1.0)
    each = safe * np.log(safe / reference) * (policy > 0) if kind == "soft" else (policy - reference) ** 2 / reference
    return weight * np.add.reduceat(each, mdp.first[:-1], axis=-1)


def plain_value(mdp, policy, charged):
    """(S,) values of a policy whose states are charged, by dense linear algebra alone."""
    H = mdp.horizon

    def step(h):
        kernel = np.asarray(mdp.kernel(h).toarray() if mdp.is_sparse else mdp.kernel(h))
        pi = policy if H is None else policy[h]
        chain = np.add.reduceat(pi[:, None] * kernel, mdp.first[:-1])
        return chain, np.add.reduceat(pi * mdp.reward_at(h), mdp.first[:-1]) - (charged if H is None else charged[h])

    if H is None:
        chain, r = step(0)
        return np.linalg.solve(np.eye(mdp.n_states) - mdp.gamma * chain, r)
    v = mdp.terminal
    for h in reversed(range(H)):
        chain, r = step(h)
        v = r + mdp.gamma * chain @ v
    return v


@pytest.mark.parametrize("mdp", PROCESSES, ids=repr)
@pytest.mark.parametrize("kind", ["soft", "chi-square"])
def test_regularised_values_and_optima(mdp, kind):
    reference, policy, weight = random_policy(mdp, 1), random_policy(mdp, 2), 0.2
    best = soft_optimal(mdp, weight, reference=reference) if kind == "soft" else chi_square_optimal(mdp, weight, reference)

    def valued(pi):
        if kind == "soft":
            return soft_value(mdp, pi, weight, reference=reference)
        return chi_square_value(mdp, pi, weight, reference)

    for pi in (policy, best.policy, mdp.deterministic(np.zeros(mdp.n_states))):
        bracket, true = valued(pi), plain_value(mdp, pi, penalty(mdp, pi, kind, weight, reference))
        assert bracket.width <= 1e-9
        assert bracket.lower == pytest.approx(true, abs=1e-10)
        assert (best.bracket.upper >= bracket.lower).all()
    assert best.bracket.width <= 1e-9
    assert valued(best.policy).lower == pytest.approx(best.values, abs=1e-9)
    rng = np.random.default_rng(5)
    for _ in range(30):
        near = np.maximum(best.policy + 0.05 * rng.normal(size=best.policy.shape), 1e-6)
        near /= np.add.reduceat(near, mdp.first[:-1], axis=-1)[..., mdp.owner]
        assert (plain_value(mdp, near, penalty(mdp, near, kind, weight, reference)) <= best.bracket.upper + 1e-12).all()


def test_without_weight_the_plain_process_is_left():
    mdp = random_mdp(30, 4, 5, 0.95, seed=3)
    plain = optimal_bracket(mdp)
    for best in (soft_optimal(mdp, 0.0), chi_square_optimal(mdp, 0.0, mdp.uniform_policy()), soft_optimal(mdp, 1e-12)):
        assert best.values == pytest.approx(0.5 * (plain.lower + plain.upper), abs=1e-9)
        assert value_bracket(mdp, best.policy).lower == pytest.approx(plain.lower, abs=1e-9)
    stuck = chi_square_optimal(mdp, 1e9, mdp.uniform_policy())
    assert stuck.values == pytest.approx(value_bracket(mdp, mdp.uniform_policy()).lower, abs=1e-5)
    assert soft_optimal(mdp, 0.3).values == pytest.approx(
        soft_optimal(mdp, 0.3, reference=mdp.uniform_policy()).values + 0.3 * np.log(4) / 0.05, abs=1e-8
    )


def test_a_large_grid_is_regularised():
    mdp = grid_world(60, 60, 0.99)
    for best in (soft_optimal(mdp, 0.01), chi_square_optimal(mdp, 0.01, mdp.uniform_policy())):
        assert best.bracket.width <= 1e-8
        assert best.iterations < 100


@pytest.mark.parametrize("seed", range(6))
def test_the_ball_program_by_its_dual(seed):
    mdp = random_mdp(5, 3, 3, None, seed=seed, horizon=4, ragged=True, stationary=seed % 2 == 0)
    nu = random_policy(mdp, seed)
    radius = np.array([0.1, 0.0, 0.5, 2.0])
    found = ball_optimal(mdp, nu, radius)
    assert found.gap <= 1e-8
    assert (found.chi_square <= radius + 1e-12).all()
    assert value_bracket(mdp, found.policy).value_lower == pytest.approx(found.value, abs=1e-12)
    assert found.multipliers[1] == np.inf
    rng = np.random.default_rng(seed)
    for _ in range(100):  # mixtures of visits with nu until they fit are feasible, and worth no more than the bound
        other = random_policy(mdp, int(rng.integers(10**6)))
        visits, centre = forward(mdp, other), forward(mdp, nu)
        used = [chi(visits[h], other[h], nu[h]) for h in range(4)]
        share = max(1 - c / u if u > c else 0.0 for c, u in zip(radius, used, strict=True))
        mixed = (1 - share) * visits + share * centre
        assert (mixed * np.stack([mdp.reward_at(h) for h in range(4)])).sum() <= found.bound + 1e-12


def test_equal_payoffs_and_budgets_that_are_not_used_up():
    """Where a step has no price, ties are broken by least chi-square, or the policy would leave the ball."""
    unused = 0
    for seed in range(12):
        mdp = random_mdp(5, 3, 2, None, seed=seed, horizon=4, ragged=True)
        found = ball_optimal(mdp.with_reward(np.round(2 * mdp.reward)), mdp.uniform_policy(), [0.05, 3.0, 0.2, 1.0])
        assert found.gap <= 1e-8
        assert (found.chi_square <= np.array([0.05, 3.0, 0.2, 1.0]) + 1e-12).all()
        unused += int((found.multipliers == 0).sum())
    assert unused > 10


def chi(visits, policy, nu):
    return float((visits * (policy / nu - 1)).sum())


def forward(mdp, policy):
    state, rows = mdp.initial, []
    for h in range(mdp.horizon):
        rows.append(policy[h] * state[mdp.owner])
        state = mdp.kernel(h).T @ rows[-1]
    return np.array(rows)


def test_limits_of_the_ball():
    mdp = random_mdp(5, 3, 3, None, seed=9, horizon=3)
    nu = mdp.uniform_policy()
    wide = ball_optimal(mdp, nu, 1e4)
    assert wide.value == pytest.approx(optimal_bracket(mdp).value_lower, abs=1e-10)
    assert wide.multipliers == pytest.approx(np.zeros(3), abs=1e-12)
    none = ball_optimal(mdp, nu, 0.0)
    assert none.policy == pytest.approx(nu)
    assert none.gap <= 1e-11
    flat = ball_optimal(mdp.with_reward(np.zeros(mdp.n_pairs)), nu, 0.3)
    assert (flat.value, flat.chi_square.max()) == (0.0, pytest.approx(0.0, abs=1e-12))
    one = FiniteMDP([3], [[1]] * 3, [1.0, 2.0, 3.0], horizon=1)
    local = ball_best_response([1.0, 2.0, 3.0], [0.2, 0.3, 0.5], 0.1)
    assert ball_optimal(one, [0.2, 0.3, 0.5], 0.1).value == pytest.approx(float(local.value), abs=1e-12)
    assert ball_optimal(one, [0.2, 0.3, 0.5], 0.1).multipliers[0] == pytest.approx(float(local.multiplier), abs=1e-7)


PLAIN = FiniteMDP([2], [[1], [1]], [0.0, 1.0], 0.5)
STEPS = FiniteMDP([2], [[1], [1]], [0.0, 1.0], horizon=2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: simplex_update([0, 1], [0.5, 0.4], lam=1), "row 0 sums to 0.9, not 1"),
        (lambda: simplex_update([0, 1], [1.5, -0.5], lam=1), r"reference\[1\] is -0.5"),
        (lambda: simplex_update([0, 1], [0.5, 0.5]), "nothing regularises"),
        (lambda: simplex_update([0, 1], [0.5, 0.5], lam=-1), "lam is -1"),
        (lambda: simplex_update([0, 1], [0.5, 0.5], eta=0), "eta is 0"),
        (lambda: simplex_update([0, np.nan], [0.5, 0.5], lam=1), r"q\[1\] is nan"),
        (lambda: simplex_update([0, 1], [0.5, 0.5], [1, -1], lam=1), "a negative number"),
        (lambda: simplex_update([0, 1], [0.5, 0.5], [1], lam=1), "prior has shape"),
        (lambda: simplex_update([0, 1e300], [0.5, 0.5], lam=1e-20), "overflows"),
        (lambda: simplex_update([0, 1, 2], [0.5, 0.5], lam=1), "q has shape"),
        (lambda: simplex_update([0, 1], [0.5, 0.5], lam=1, first=[0, 1]), "does not cut"),
        (lambda: ball_best_response([0, 1], [0.5, 0.5], -0.1), "radius is -0.1"),
        (lambda: ball_best_response([], [], 1), "q has shape"),
        (lambda: averaged_ball_best_response([0, 1], [0.5, 0.5], [1], 1), "expected .contexts, actions."),
        (lambda: averaged_ball_best_response([[0, 1]], [[0.5, 0.5]], [0.9], 1), "weights sum to 0.9"),
        (lambda: soft_maximum([0, 1], -1), "tau is -1"),
        (lambda: soft_maximum(1.0, 1), "q has shape"),
        (lambda: chi_square_maximum([0, 1], -1, [0.5, 0.5]), "lam is -1"),
        (lambda: soft_value(PLAIN, [0.5, 0.5], 1, reference=[1, 0]), "plays pair 1, which the reference never plays"),
        (lambda: chi_square_value(PLAIN, [0.5, 0.5], 1, [1, 0]), "plays pair 1, which the reference never plays"),
        (lambda: soft_optimal(PLAIN, np.nan), "tau is nan"),
        (lambda: chi_square_optimal(PLAIN, 1, [0.5, 0.6]), "sums to 1.1"),
        (lambda: ball_optimal(PLAIN, [0.5, 0.5], 1), "no horizon"),
        (lambda: ball_optimal(STEPS, [0.5, 0.5], [1, -1]), r"radius\[1\] is -1"),
        (lambda: ball_optimal(STEPS, [0.5, 0.5], [1, 1, 1]), "radius has shape 3, expected 2"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidMDP, match=words):
        make()
