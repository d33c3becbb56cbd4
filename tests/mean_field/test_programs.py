"""The explicit programs: equal to dynamic programming on every backend, with a certificate from the data."""

import numpy as np
import pytest

from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import InvalidData
from eqsolve.mdp import LinearConstraint, evaluate
from eqsolve.mean_field.policy import InvalidPolicy
from eqsolve.mean_field.programs import occupancy_program, optimistic_program
from tests.backends.usable import usable_among
from tests.mean_field import oracle
from tests.mean_field.games import PI_STAR, cases, known, random_policy, small_game

BACKENDS = usable_among("LP", "highs", "scipy", "gurobi", "cvxpy:CLARABEL")
SOME = [case for case in cases() if case.name in ("plain", "two states", "ragged", "zeros", "one local state", "two types")]


def answered(lp, backend="highs", exact=1e-7):
    outcome = solve_program(lp.program, backend)
    certificate = certify(lp.program, outcome)
    assert certificate.holds(exact), certificate.reason(exact)
    return outcome


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", SOME, ids=lambda case: case.name)
def test_visits_give_the_values_of_dynamic_programming(case, backend):
    lp = occupancy_program(case.game, case.k, case.local)
    outcome = answered(lp, backend)
    best, _ = oracle.optimal_values(case.game, case.k, case.local)
    expected = oracle.mean_value(case.game, best, case.k)
    assert lp.value(outcome) == pytest.approx(expected, rel=1e-7)
    law = oracle.initial_law(case.game, case.k)
    assert lp.values(outcome)[law > 0] == pytest.approx(best[law > 0], rel=1e-5)
    assert lp.visits(outcome).sum() == pytest.approx(1.0 / (1.0 - case.game.gamma), rel=1e-6)
    policy = lp.policy(outcome)
    policy.check(case.game)
    value = oracle.mean_value(case.game, oracle.policy_values(case.game, policy, case.k), case.k)
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("k", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_program_of_the_warehouse(k):
    game = known("warehouse")
    lp = occupancy_program(game, k, game.deterministic_local(PI_STAR))
    exact = lp.value(answered(lp, "native"))
    assert exact == pytest.approx({1: 226.0488, 2: 194.4526, 3: 186.7293}[k], abs=1e-4)
    assert lp.value(answered(lp, "highs")) == pytest.approx(exact, rel=1e-9)
    text = str(lp.program)
    assert "d[global_state, histogram, action]" in text
    assert "flow[global_state, histogram]" in text
    if k == 2:
        assert lp.program.row("flow", "zone 0", "1-0-0-1-0").startswith("flow[zone 0, 1-0-0-1-0]: ")


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("shape", ["ragged", "two states"])
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_fixed_policy_is_evaluated(shape, deterministic, backend):
    game = small_game(shape, seed=2)
    policy = random_policy(np.random.default_rng(1), game, 2, deterministic=deterministic)
    lp = occupancy_program(game, 2, policy.local_policy, policy=policy)
    expected = oracle.mean_value(game, oracle.policy_values(game, policy, 2), 2)
    outcome = answered(lp, backend)
    assert lp.value(outcome) == pytest.approx(expected, rel=1e-8)
    shares = policy.global_rows(game.n_global_actions)
    met = lp.visits(outcome).sum(axis=2) > 1e-6
    assert lp.policy(outcome).global_policy[met] == pytest.approx(shares[met], abs=1e-5)


def test_constraints_hold_and_cost_what_their_prices_say():
    game = small_game("plain", seed=5)
    local = game.uniform_local()
    free = occupancy_program(game, 2, local)
    visits = free.visits(answered(free))
    cost = np.zeros(visits.shape)
    cost[:, :, visits.sum(axis=(0, 1)).argmax()] = 1.0
    half = 0.5 * float((cost * visits).sum())

    def limited(bound):
        return occupancy_program(game, 2, local, constraints=[LinearConstraint(cost, upper=bound, name="favourite")])

    lp = limited(half)
    values = []
    for backend in usable_among("LP", "highs", "scipy", "gurobi"):
        outcome = answered(lp, backend)
        assert float((cost * lp.visits(outcome)).sum()) <= half + 1e-7
        values.append(lp.value(outcome))
        rows = lp.policy(outcome).global_rows(2)
        assert float((lp.mdp.initial * evaluate(lp.mdp, rows.reshape(-1))).sum()) == pytest.approx(values[-1], abs=1e-6)
    assert values == pytest.approx([values[0]] * len(values), rel=1e-7)
    assert values[0] < free.value(answered(free)) - 1e-3
    more, less = (lp.value(answered(lp)) for lp in (limited(half + 1e-3), limited(half - 1e-3)))
    price = outcome.y[lp.program.row_block("constraint").slice][0]
    assert (more - values[0]) / 1e-3 - 1e-6 <= price <= (values[0] - less) / 1e-3 + 1e-6
    assert "constraint[name]" in str(lp.program)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_optimistic_program_takes_the_best_of_the_bounds(backend):
    lower, upper = [0.1, 0.2, 0.0, 0.3, 0.0], [0.5, 0.9, 0.4, 1.0, 1.0]
    program = optimistic_program(lower, upper, [1.0, 3.0, 2.0, -1.0, 0.0], [3, 2])
    outcome = solve_program(program, backend)
    assert certify(program, outcome).holds(1e-7)
    assert outcome.objective == pytest.approx((0.1 * 1 + 0.9 * 3) + (0.3 * -1), abs=1e-7)
    assert program.row("distribution", 1) == "distribution[1]: p[1, 0] + p[1, 1] = 1"


def test_bad_input_is_refused():
    game = known("warehouse")
    local = game.deterministic_local(PI_STAR)
    with pytest.raises(InvalidData, match=r"k = 7 needs 13,612,500 coefficients(.|\n)*fits is 5\.(.|\n)*solve_global"):
        occupancy_program(game, 7, local)
    with pytest.raises(InvalidData, match="k is 0"):
        occupancy_program(game, 0, local)
    with pytest.raises(InvalidData, match="k is 31, more than 30"):
        occupancy_program(game, 31, local)
    with pytest.raises(InvalidData, match="local_policy has shape"):
        occupancy_program(game, 1, local[:2])
    small = small_game("plain")
    policy = random_policy(np.random.default_rng(0), small, 2)
    with pytest.raises(InvalidData, match="the policy sees 2 agents, and the surrogate has 1"):
        occupancy_program(small, 1, small.uniform_local(), policy=policy)
    with pytest.raises(InvalidPolicy):
        occupancy_program(game, 2, local, policy=policy)
    limit = LinearConstraint(np.zeros((3, 3, 2)), upper=1.0)
    with pytest.raises(InvalidData, match="two constraints are called 'cost'"):
        occupancy_program(small, 1, small.uniform_local(), constraints=[limit, limit])
    with pytest.raises(InvalidData, match="cost of constraint 'cost' has shape 3 x 3 x 2, expected 3 x 6 x 2"):
        occupancy_program(small, 2, small.uniform_local(), constraints=[limit])
    for low, high, counts, message in (
        ([0.5, 0.6], [1.0, 1.0], [2], "bounds of pair 0 sum to 1.1 and 2"),
        ([0.0, 0.0], [0.3, 0.3], [2], "bounds of pair 0 sum to 0 and 0.6"),
        ([0.5, 0.0], [0.4, 1.0], [2], "bounds of entry 0 are 0.5 and 0.4"),
        ([0.0, 0.0], [1.0, 1.0], [2, 0], "pair 1 has no successor"),
    ):
        with pytest.raises(InvalidData, match=message):
            optimistic_program(low, high, [1.0, 2.0], counts)


def test_an_answer_without_a_point_is_refused():
    game = small_game("two states")
    impossible = LinearConstraint(np.ones((game.n_global_states, 2, 3)), upper=0.1)
    lp = occupancy_program(game, 1, game.uniform_local(), constraints=[impossible])
    outcome = solve_program(lp.program, "highs")
    assert certify(lp.program, outcome).farkas.proven
    for ask in (lp.value, lp.policy, lp.visits):
        with pytest.raises(InvalidData, match="has no point"):
            ask(outcome)
