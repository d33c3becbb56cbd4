"""The chi-square-ball program against cvxpy written by hand, its limits, and its dual."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import brentq, minimize

from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.mdp import ball_dual
from eqsolve.mdp.ball_dual import ball_optimal
from eqsolve.mdp.ball_program import chi_square_ball_program, disjoint_union, expected_chi_square
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.recovery import occupancy_of, policy_from, value_of
from tests.mdp.occupancy_oracle import best_values, dense_kernel, random_small, value


def behaviour(mdp, seed, zeros=False):
    rng = np.random.default_rng(seed)
    nu = np.concatenate([rng.dirichlet(np.ones(k), mdp.horizon).T for k in mdp.n_actions.tolist()]).T
    if zeros:
        nu[(nu < 0.2) & (np.repeat(mdp.n_actions, mdp.n_actions) > 1)] = 0.0
        total = np.add.reduceat(nu, mdp.first[:-1], axis=1)[:, mdp.owner]
        nu = np.where(total > 0, nu / np.where(total > 0, total, 1.0), 1.0 / mdp.n_actions[mdp.owner])
    return nu


def by_cvxpy(mdp, nu, radius):
    """Flow and sums of quadratic over linear, one variable a step, unscaled."""
    H = mdp.horizon
    d = [cp.Variable(mdp.n_pairs, nonneg=True) for _ in range(H)]
    own = np.zeros((mdp.n_states, mdp.n_pairs))
    own[mdp.owner, np.arange(mdp.n_pairs)] = 1.0
    rows = [own @ d[0] == mdp.initial, *(own @ d[h] == dense_kernel(mdp, h - 1).T @ d[h - 1] for h in range(1, H))]
    goal = 0
    for h in range(H):
        terms = []
        for s in range(mdp.n_states):
            mine = [k for k in range(mdp.first[s], mdp.first[s + 1]) if nu[h, k] > 0]
            rows += [d[h][k] == 0 for k in range(mdp.first[s], mdp.first[s + 1]) if nu[h, k] == 0]
            terms.append(cp.quad_over_lin(cp.multiply(d[h][mine], 1 / np.sqrt(nu[h, mine])), own[s] @ d[h]))
        rows.append(sum(terms) <= 1 + radius[h])
        goal = goal + mdp.gamma**h * (mdp.reward_at(h) @ d[h])
    goal = goal + mdp.gamma**H * (dense_kernel(mdp, H - 1) @ mdp.terminal) @ d[-1]
    return cp.Problem(cp.Maximize(goal), rows).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("zeros", [False, True])
def test_against_cvxpy_by_hand(zeros):
    rng = np.random.default_rng(0)
    for seed in range(8):
        mdp = random_small(seed, horizon=2, gamma=0.9 if seed % 2 else 1.0, states=(2, 3))
        nu, radius = behaviour(mdp, seed, zeros), rng.uniform(0.02, 0.5, 2)
        program = chi_square_ball_program(mdp, nu, radius)
        outcome = solve_program(program)
        assert certify(program, outcome).holds(1e-6)
        assert value_of(program, outcome) == pytest.approx(by_cvxpy(mdp, nu, radius), abs=2e-6)
        policy = policy_from(mdp, program, outcome, fallback=nu)
        assert mdp.initial @ value(mdp, policy) == pytest.approx(value_of(program, outcome), abs=1e-5)
        assert (expected_chi_square(mdp, occupancy_of(mdp, program, outcome), policy, nu) <= radius + 1e-5).all()


def penalised(q, nu, price):
    """Largest q.p - price (sum p^2 / nu - 1) over distributions, and where: p = nu (q - tau)+ / (2 price)."""
    tau = brentq(lambda t: (nu * np.maximum(q - t, 0.0)).sum() - 2 * price, q.min() - 2 * price - 1.0, q.max(), xtol=1e-15)
    p = nu * np.maximum(q - tau, 0.0) / (2 * price)
    return q @ p - price * ((p * p / nu).sum() - 1.0), p


def dual_bound(log_prices, mdp, nu, radius):
    """The Lagrangian at prices of the budgets, by backward induction, and its slope: no policy in the ball is worth more."""
    prices, v = np.exp(log_prices), np.array(mdp.terminal)
    policy = np.zeros(mdp.policy_shape())
    for h in range(mdp.horizon - 1, -1, -1):
        q = mdp.reward_at(h) + dense_kernel(mdp, h) @ v
        v = np.empty(mdp.n_states)
        for s, (a, b) in enumerate(zip(mdp.first[:-1], mdp.first[1:], strict=True)):
            v[s], policy[h, a:b] = penalised(q[a:b], nu[h, a:b], prices[h])
    here, used = np.array(mdp.initial), np.empty(mdp.horizon)
    for h in range(mdp.horizon):
        used[h] = here[mdp.owner] @ (policy[h] ** 2 / nu[h]) - 1.0
        here = (here[mdp.owner] * policy[h]) @ dense_kernel(mdp, h)
    return mdp.initial @ v + radius * prices.sum(), (radius - used) * prices


def test_against_its_dual_by_dynamic_programming():
    for seed in range(6):
        mdp = random_small(seed, horizon=3, gamma=1.0, states=(2, 4), actions=(2, 3))
        nu = behaviour(mdp, seed)
        program = chi_square_ball_program(mdp, nu, 0.1)
        outcome = solve_program(program)
        assert certify(program, outcome).holds(1e-6)
        found = minimize(dual_bound, np.full(3, -1.0), (mdp, nu, 0.1), "L-BFGS-B", jac=True, options={"ftol": 1e-15, "gtol": 1e-9})
        assert value_of(program, outcome) == pytest.approx(found.fun, abs=1e-7)
        prices = outcome.y[program.row_block("budget").slice]
        assert prices == pytest.approx(np.exp(found.x), abs=1e-3)


def test_a_wide_ball_holds_every_policy_and_a_ball_of_radius_0_only_its_centre():
    for seed in range(5):
        mdp = random_small(seed, horizon=2, gamma=0.9, states=(2, 3))
        nu = behaviour(mdp, seed)
        wide = chi_square_ball_program(mdp, nu, 1e4)
        assert value_of(wide, solve_program(wide)) == pytest.approx(mdp.initial @ best_values(mdp), abs=1e-5)
        point = chi_square_ball_program(mdp, nu, 0.0)
        outcome = solve_program(point)
        assert value_of(point, outcome) == pytest.approx(mdp.initial @ value(mdp, nu), abs=1e-3)


def test_contexts_share_one_budget():
    one, two = (random_small(seed, horizon=2, gamma=1.0, states=(2, 2)) for seed in (3, 4))
    both = disjoint_union([one, two], [0.25, 0.75])
    assert both.states[2] == "1:0"
    assert both.initial == pytest.approx(np.concatenate([0.25 * one.initial, 0.75 * two.initial]))
    nus = [behaviour(one, 1), behaviour(two, 2)]
    program = chi_square_ball_program(both, np.concatenate(nus, axis=1), 0.2)
    outcome = solve_program(program)
    assert certify(program, outcome).holds(1e-6)
    alone = [chi_square_ball_program(mdp, nu, 0.2) for mdp, nu in zip((one, two), nus, strict=True)]
    separate = [value_of(program, solve_program(program)) for program in alone]
    assert value_of(program, outcome) >= 0.25 * separate[0] + 0.75 * separate[1] - 1e-7
    assert value_of(program, outcome) == pytest.approx(by_cvxpy(both, np.concatenate(nus, axis=1), [0.2, 0.2]), abs=1e-6)


def test_the_program_reads_well():
    mdp = FiniteMDP([2, 2], np.full((4, 2), 0.5), np.arange(4.0), horizon=2)
    program = chi_square_ball_program(mdp, [0.5, 0.5, 1.0, 0.0], [0.1, 0.2])
    assert program.kind == "SOCP"
    assert program.row("budget", 1) == "budget[1]: y[1, 0] + y[1, 1] <= 0.4"
    assert "rotated second-order" in program.row("excess", 0, 0, 1)
    assert "free" in program.row("excess", 0, 1, 1)
    assert program.column("d", 0, 1, 1).startswith("d[0, 1, 1] = 0")
    assert len(program.cones) == 2


def test_bad_input_is_refused():
    mdp = random_small(1, horizon=2, states=(2, 2), actions=(2, 2))
    nu = mdp.uniform_policy()
    with pytest.raises(InvalidMDP, match="no horizon"):
        chi_square_ball_program(random_small(1, gamma=0.5), np.ones(3), 0.1)
    with pytest.raises(InvalidMDP, match=r"radius\[1\] is -0.1"):
        chi_square_ball_program(mdp, nu, [0.1, -0.1])
    with pytest.raises(InvalidMDP, match="radius has shape 3"):
        chi_square_ball_program(mdp, nu, [0.1] * 3)
    with pytest.raises(InvalidMDP, match="sums to"):
        chi_square_ball_program(mdp, 0.9 * nu, 0.1)
    with pytest.raises(InvalidMDP, match="no horizon"):
        expected_chi_square(random_small(1, gamma=0.5), np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(InvalidMDP, match="no processes"):
        disjoint_union([], [])
    with pytest.raises(InvalidMDP, match="process 1 has horizon 3"):
        disjoint_union([mdp, random_small(1, horizon=3)], [0.5, 0.5])
    with pytest.raises(InvalidMDP, match="weights has shape 1"):
        disjoint_union([mdp, mdp], [1.0])
    with pytest.raises(InvalidMDP, match="initial sums to"):
        disjoint_union([mdp, mdp], [0.5, 0.6])


def test_an_action_outside_the_support_is_infinitely_far():
    mdp = FiniteMDP([2], np.ones((2, 1)), [0.0, 1.0], horizon=1)
    assert expected_chi_square(mdp, [[0.5, 0.5]], [[0.5, 0.5]], [[1.0, 0.0]])[0] == np.inf
    assert expected_chi_square(mdp, [[1.0, 0.0]], [[1.0, 0.0]], [[0.5, 0.5]])[0] == pytest.approx(1.0)


def test_many_prices_are_polished_and_without_that_the_ball_is_kept(monkeypatch):
    """The search for prices ends a little outside; mixing towards nu leads back in, at a cost that the gap tells."""
    rng = np.random.default_rng(0)
    mdp = FiniteMDP([3, 2], rng.dirichlet(np.ones(2), 5), rng.normal(size=5), horizon=25)
    nu = np.concatenate((rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(2))))
    radius = 10.0 ** rng.uniform(-4, 0, 25)
    polished = ball_optimal(mdp, nu, radius)
    monkeypatch.setattr(ball_dual, "MOST_PRICES", 10)
    rough = ball_optimal(mdp, nu, radius)
    for found in (polished, rough):
        assert (found.chi_square <= radius * (1.0 + 1e-12)).all()
    assert 0.0 <= polished.gap <= 1e-8 * (1.0 + abs(polished.value))
    assert rough.value <= polished.bound
    assert polished.value <= rough.bound
