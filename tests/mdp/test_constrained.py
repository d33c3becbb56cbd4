"""Constrained processes against cvxpy written by hand, and infeasible ones by name."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendFailure, BackendUnsupported
from eqsolve.mdp.constrained import InfeasibleMDP, solve_constrained
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.occupancy import ConstrainedOccupancy
from eqsolve.mdp.programs import LinearConstraint, occupancy_program
from tests.mdp.instances import expander
from tests.mdp.occupancy_oracle import choices, dense_kernel, played, random_small, value


def measured(mdp, cost):
    """The process with a cost for its rewards, and no terminal values."""
    kernels = mdp.transition if len(mdp.transition) > 1 else mdp.transition[0]
    cost = np.broadcast_to(cost, mdp.policy_shape())
    return FiniteMDP(mdp.n_actions, kernels, cost, mdp.gamma, horizon=mdp.horizon, initial=mdp.initial)


def totals(mdp, costs):
    """Largest and least total of a cost over all deterministic policies."""
    other = measured(mdp, costs)
    found = [other.initial @ value(other, played(mdp, pairs)) for pairs in choices(mdp)]
    return min(found), max(found)


def by_cvxpy(mdp, constraints):
    """Value under constraints, unscaled, one variable a step."""
    steps = mdp.n_steps
    d = [cp.Variable(mdp.n_pairs, nonneg=True) for _ in range(steps)]
    own = np.zeros((mdp.n_states, mdp.n_pairs))
    own[mdp.owner, np.arange(mdp.n_pairs)] = 1.0
    gone = [mdp.gamma * dense_kernel(mdp, h).T @ d[h] for h in range(steps)]
    if mdp.horizon is None:
        flow = [own @ d[0] - gone[0] == mdp.initial]
    else:
        flow = [own @ d[0] == mdp.initial, *(own @ d[h] == gone[h - 1] for h in range(1, steps))]
    rows = []
    for one in constraints:
        cost = np.broadcast_to(one.cost, (steps, mdp.n_pairs))
        total = sum(cost[h] @ d[h] for h in range(steps))
        rows += [total >= one.lower] if np.isfinite(one.lower) else []
        rows += [total <= one.upper] if np.isfinite(one.upper) else []
    goal = sum(mdp.reward_at(h) @ d[h] for h in range(steps))
    if mdp.horizon is not None:
        goal = goal + gone[-1] @ mdp.terminal
    return cp.Problem(cp.Maximize(goal), flow + rows).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("horizon", [None, 2])
@pytest.mark.parametrize("backend", ["auto", "scipy", "cvxpy:CLARABEL"])
def test_values_and_multipliers(backend, horizon):
    rng = np.random.default_rng(0)
    mixed = 0
    for seed in range(12):
        mdp = random_small(seed, horizon=horizon, gamma=0.9, states=(2, 3), actions=(2, 2))
        cost, other = rng.random(mdp.n_pairs), rng.random(mdp.policy_shape())
        if horizon is not None:
            mdp = mdp.with_reward(np.broadcast_to(mdp.reward, mdp.policy_shape()))
        low, high = totals(mdp, cost)
        constraints = [
            LinearConstraint(cost, upper=low + rng.random() * (high - low), name="cost"),
            LinearConstraint(other, lower=0.0, upper=1e3, name="other"),
        ]
        solution = solve_constrained(mdp, constraints, backend)
        assert solution.certificate.holds(1e-6)
        assert solution.value == pytest.approx(by_cvxpy(mdp, constraints), abs=1e-6)
        assert mdp.initial @ value(mdp, solution.policy) == pytest.approx(solution.value, abs=1e-6)
        assert mdp.initial @ value(measured(mdp, cost), solution.policy) == pytest.approx(solution.totals["cost"], abs=1e-6)
        assert solution.totals["cost"] <= constraints[0].upper + 1e-6
        assert solution.multipliers["other"] == pytest.approx(0.0, abs=1e-6)
        assert solution.multipliers["cost"] >= -1e-7
        mixed += bool(((solution.policy > 1e-6) & (solution.policy < 1 - 1e-6)).any())
    assert mixed >= 4


def test_a_multiplier_is_the_price_of_the_bound():
    mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [0.0, 10.0, 0.0], gamma=0.5, initial=0)

    def solved(bound):
        return solve_constrained(mdp, [LinearConstraint([0.0, 1.0, 0.0], upper=bound, name="leaving")])

    assert solved(0.25).multipliers["leaving"] == pytest.approx((solved(0.26).value - solved(0.24).value) / 0.02)
    assert solved(5.0).multipliers["leaving"] == 0.0
    assert solved(0.25).program.row("constraint", "leaving") == "constraint[leaving]: d[0, 1] <= 0.25"


def test_one_constraint_that_no_policy_keeps_to():
    rng = np.random.default_rng(3)
    for seed in range(10):
        mdp = random_small(seed, gamma=0.9, states=(2, 3), actions=(1, 2))
        cost = rng.normal(size=mdp.n_pairs)
        low, high = totals(mdp, cost)
        fine = LinearConstraint(np.ones(mdp.n_pairs), upper=11.0, name="time")
        for bad in (LinearConstraint(cost, upper=low - 0.1, name="cost"), LinearConstraint(cost, lower=high + 0.1, name="cost")):
            with pytest.raises(InfeasibleMDP) as caught:
                solve_constrained(mdp, [fine, bad])
            error = caught.value
            assert error.constraints == ("cost",)
            assert error.certificate.farkas.proven
            word, end = ("at least", low) if np.isfinite(bad.upper) else ("at most", high)
            assert f"the total is {word} {end:.6g} under every policy" in error.what


def test_constraints_that_are_in_conflict_with_each_other():
    mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [0.0, 10.0, 0.0], gamma=0.5, initial=0)
    constraints = [
        LinearConstraint([0, 1.0, 0], upper=0.5, name="leaving"),
        LinearConstraint([0, 0, 1.0], lower=0.9, name="away"),
        LinearConstraint([1.0, 0, 0], lower=0.1, name="home"),
    ]
    with pytest.raises(InfeasibleMDP, match=r"'leaving' <= 0\.5, 'away' >= 0\.9") as caught:
        solve_constrained(mdp, constraints)
    assert set(caught.value.constraints) == {"leaving", "away"}
    solve_constrained(mdp, constraints[1:])
    solve_constrained(mdp, [constraints[0], constraints[2]])


def test_bad_input_is_refused():
    mdp = random_small(0, gamma=0.9, states=(4, 4), actions=(3, 3))
    with pytest.raises(InvalidMDP, match="no constraints"):
        solve_constrained(mdp, [])
    limit = LinearConstraint(np.arange(mdp.n_pairs) / 10, upper=9.0, name="a")
    with pytest.raises(BackendFailure, match="no optimal point"):
        solve_constrained(mdp, [limit], "highs", limits=Limits(iterations=1), options={"presolve": "off"})


def test_a_constrained_program_has_advice_but_no_method():
    program = occupancy_program(random_small(1), constraints=[LinearConstraint(np.ones(random_small(1).n_pairs), upper=1e4)])
    assert isinstance(program.structure, ConstrainedOccupancy)
    with pytest.raises(BackendUnsupported, match="constraints beyond the flow"):
        solve_program(program, "native")
    with pytest.raises(BackendUnsupported, match="constraints beyond the flow"):
        program.structure.solve(program)
    outcome = solve_program(program)
    assert outcome.backend == "highs"
    assert outcome.notes[1] == "solver=simplex: advised by the structure constrained occupancy"
    assert certify(program, outcome).holds(1e-8)


@pytest.mark.parametrize("vertex", [False, True])
def test_a_large_constrained_process_gets_the_interior_point_method(vertex):
    mdp = expander(700, 3, 5, 0.9)
    limit = LinearConstraint(np.random.default_rng(1).random(mdp.n_pairs), upper=4.0)
    solution = solve_constrained(mdp, [limit], vertex=vertex)
    assert solution.outcome.options == {"solver": "ipm", "run_crossover": "on" if vertex else "off"}
    assert solution.outcome.is_vertex == vertex
    assert solution.certificate.holds(1e-6)
    assert solution.totals["cost"] == pytest.approx(4.0, abs=1e-6)
    other = solve_constrained(mdp, [limit], options={"solver": "ipm", "presolve": "on"})
    assert other.outcome.options == {"solver": "ipm", "presolve": "on"}
    assert other.value == pytest.approx(solution.value, abs=1e-6)
    # Mixing in at most as many states as constraints bind is what a vertex means.
    if vertex:
        mixed = np.add.reduceat((solution.policy > 1e-9).astype(int), mdp.first[:-1]) > 1
        assert mixed.sum() <= 1


def test_a_large_infeasible_process_is_proven_so():
    mdp = expander(700, 3, 5, 0.9)
    limit = LinearConstraint(np.random.default_rng(1).random(mdp.n_pairs), upper=0.5)
    with pytest.raises(InfeasibleMDP, match=r"'cost' <= 0\.5: the total is at least"):
        solve_constrained(mdp, [limit])
