"""The structures of occupancy programs, the way back to policies, and the choice of form and method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Limits, Start, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendUnsupported, InvalidData, UnknownName
from eqsolve.mdp.advice import factor_work, suggested_method
from eqsolve.mdp.forms import solve_occupancy
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.native import optimal_policy
from eqsolve.mdp.programs import occupancy_program, value_program
from eqsolve.mdp.recovery import occupancy_of, policy_basis, policy_from, policy_of, value_of
from eqsolve.programs import Purifiable, Update
from tests.mdp.occupancy_oracle import best_values, random_small, value
from tests.mdp.textbook import CASES


@pytest.mark.parametrize("horizon", [None, 3])
def test_native_reads_rewards_and_first_states_from_the_program(horizon):
    rng = np.random.default_rng(0)
    for seed in range(20):
        mdp = random_small(seed, horizon=horizon)
        primal, dual = occupancy_program(mdp), value_program(mdp)
        c = rng.normal(size=primal.n_columns)
        supply = rng.random(primal.n_rows) * (rng.random(primal.n_rows) < 0.7) / primal.n_rows
        moved = primal.with_values(Update(c=c, row_lower=supply, row_upper=supply))
        dual_moved = dual.with_values(
            Update(c=supply, row_lower=rng.uniform(dual.row_lower.min(), dual.row_lower.max(), dual.n_rows))
        )
        for program in (moved, replace(moved, sense="min"), dual_moved):
            native, highs = solve_program(program, "native"), solve_program(program, "highs")
            assert certify(program, native).holds(1e-9)
            assert native.objective == pytest.approx(highs.objective, abs=1e-8)
            assert native.is_vertex


def test_the_dual_price_is_the_change_of_the_objective():
    mdp = random_small(5, gamma=0.9, states=(3, 3))
    for program in (occupancy_program(mdp), replace(occupancy_program(mdp), sense="min"), value_program(mdp)):
        base = solve_program(program, "native")
        for i in range(program.n_rows):
            step = np.zeros(program.n_rows)
            step[i] = 1e-4
            upper = program.row_upper + step
            more = program.with_values(Update(row_lower=program.row_lower + step, row_upper=upper))
            fewer = program.with_values(Update(row_lower=program.row_lower - step, row_upper=program.row_upper - step))
            slope = (solve_program(more, "native").objective - solve_program(fewer, "native").objective) / 2e-4
            assert base.y[i] == pytest.approx(slope, abs=1e-5)


def successors(states, actions, width, gamma, scale=1.0, **more):
    rng = np.random.default_rng(states)
    K = states * actions
    to, weights = rng.integers(0, states, K * width), rng.dirichlet(np.ones(width), K).ravel()
    kernel = sparse.csr_array((weights, (np.repeat(np.arange(K), width), to)), shape=(K, states))
    return FiniteMDP(np.full(states, actions), kernel, scale * rng.normal(size=K), gamma, **more)


def both_ways(states, gamma):
    """A circle, one step in either direction: it mixes slowly and is periodic."""
    at = np.arange(states)
    to = np.stack([(at + 1) % states, (at - 1) % states], axis=1).ravel()
    kernel = sparse.csr_array((np.ones(2 * states), (np.arange(2 * states), to)), shape=(2 * states, states))
    return FiniteMDP(np.full(states, 2), kernel, np.random.default_rng(0).normal(size=2 * states), gamma)


ROUGH = {
    "rewards of 1e9": lambda: successors(50, 3, 5, 0.9, 1e9),
    "rewards of 1e-9": lambda: successors(50, 3, 5, 0.9, 1e-9),
    "rewards of 0": lambda: successors(50, 3, 5, 0.9, 0.0),
    "tiny weights": lambda: successors(50, 3, 5, 0.9, initial=np.r_[1 - 49e-9, np.full(49, 1e-9)]),
    "long memory": lambda: successors(300, 3, 5, 0.9999),
    "circle": lambda: both_ways(301, 0.999),
    "one state": lambda: successors(1, 3, 1, 0.9),
    "many steps": lambda: successors(100, 3, 5, None, horizon=20),
}


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("make", [occupancy_program, value_program])
def test_native_answers_are_certified_where_numbers_are_rough(make, name):
    program = make(ROUGH[name]())
    outcome = solve_program(program, "native")
    certificate = certify(program, outcome)
    assert certificate.holds(1e-9), certificate.reason(1e-9)
    assert certificate.rigorous_gap <= 5e-9 * (1.0 + abs(outcome.objective))


def test_structures_refuse_what_they_cannot_solve():
    mdp = random_small(3, gamma=0.9, states=(3, 3))
    primal, dual = occupancy_program(mdp), value_program(mdp)
    ones = np.ones(primal.n_columns)
    wrong = {
        "a column has bounds that are not 0": primal.with_values(Update(col_upper=ones)),
        "a column has bounds that are not": primal.with_values(Update(col_lower=0.01 * ones)),
        "not an equality": primal.with_values(Update(row_upper=primal.row_upper + 1.0)),
        "negative right-hand side": primal.with_values(Update(row_lower=-primal.row_upper, row_upper=-primal.row_upper)),
        "its coefficients are not": replace(primal, A=2.0 * primal.A),
        "not to minimise": dual.with_values(Update(c=-np.ones(3))),
        "does not have a lower bound alone": dual.with_values(Update(row_upper=dual.row_lower + 1.0)),
        "bounds that values may reach": dual.with_values(Update(col_upper=dual.col_lower + 1.0)),
        "coefficients are not those": replace(dual, A=2.0 * dual.A),
        "not LP": replace(primal, integrality=ones > 0),
        "other rows and columns": replace(primal, structure=occupancy_program(random_small(8, states=(4, 4))).structure),
        "other columns and rows": replace(dual, structure=value_program(random_small(8, states=(4, 4))).structure),
    }
    for words, program in wrong.items():
        with pytest.raises(BackendUnsupported, match=words):
            solve_program(program, "native")


@pytest.mark.parametrize("horizon", [None, 3])
def test_the_basis_of_an_optimal_policy_leaves_simplex_nothing_to_do(horizon):
    from eqsolve.mdp.native import optimal_policy

    for seed in range(10):
        mdp = random_small(seed, horizon=horizon, gamma=0.9, states=(3, 4))
        program = occupancy_program(mdp)
        basis = policy_basis(mdp, optimal_policy(mdp).choice)
        outcome = solve_program(program, "highs", start=Start(basis=basis), options={"presolve": "off"})
        assert certify(program, outcome).holds(1e-9)
        assert outcome.warm_start
        assert outcome.iterations == 0


def test_a_basis_of_an_action_that_is_not_there_is_refused():
    with pytest.raises(InvalidMDP, match="choice"):
        policy_basis(random_small(1, actions=(1, 1)), np.full(random_small(1, actions=(1, 1)).n_states, 4))


@pytest.mark.parametrize("horizon", [None, 3])
def test_a_mixed_point_is_purified_to_a_vertex_that_is_no_worse(horizon):
    rng = np.random.default_rng(1)
    for seed in range(20):
        mdp = random_small(seed, horizon=horizon)
        program = occupancy_program(mdp)
        assert isinstance(program.structure, Purifiable)
        mixed = np.zeros(program.n_columns)
        for _ in range(3):
            mixed += solve_program(program.with_values(Update(c=rng.normal(size=program.n_columns))), "native").x / 3
        vertex = program.structure.purify(program, mixed)
        assert program.objective(vertex) >= program.objective(mixed) - 1e-9
        assert program.A @ vertex == pytest.approx(program.row_lower, abs=1e-9)
        assert vertex.min() >= 0.0
        per_state = np.add.reduceat(vertex.reshape(-1, mdp.n_pairs) > 0, mdp.first[:-1], axis=1, dtype=int)
        assert per_state.max() <= 1


def test_states_that_are_not_visited():
    mdp = FiniteMDP([2, 3], np.tile([1.0, 0.0], (5, 1)), [0.0, 1.0, 0.0, 2.0, 1.0], 0.5, initial=0)
    program = occupancy_program(mdp)
    outcome = solve_program(program, "highs")
    visits = occupancy_of(mdp, program, outcome)
    assert visits == pytest.approx([0, 2, 0, 0, 0])
    assert policy_from(mdp, program, outcome) == pytest.approx([0, 1, 0, 1, 0])
    assert policy_from(mdp, program, outcome, fallback=[0.5, 0.5, 0, 0, 1]) == pytest.approx([0, 1, 0, 0, 1])
    assert policy_of(mdp, visits) == pytest.approx([0, 1, 1 / 3, 1 / 3, 1 / 3])
    assert policy_of(mdp, [0.5, 1.5, -1e-12, 0, 1e-12]) == pytest.approx([0.25, 0.75, 1 / 3, 1 / 3, 1 / 3])


def test_bad_visits_are_refused():
    mdp = random_small(2)
    with pytest.raises(InvalidMDP, match="visits has shape 1"):
        policy_of(random_small(3, states=(2, 2)), [1.0])
    with pytest.raises(InvalidMDP, match="policy"):
        policy_of(mdp, np.ones(mdp.n_pairs), fallback=-np.ones(mdp.n_pairs))
    program = occupancy_program(random_small(0, gamma=0.9, states=(4, 4), actions=(3, 3)))
    stopped = solve_program(program, "highs", limits=Limits(iterations=1), options={"presolve": "off"})
    assert stopped.x is None
    with pytest.raises(InvalidData, match="has no point"):
        value_of(program, stopped)
    with pytest.raises(InvalidData, match="has no point"):
        occupancy_of(mdp, program, stopped)


@pytest.mark.parametrize("form", ["auto", "primal", "dual"])
@pytest.mark.parametrize(
    ("backend", "method"),
    [
        *(("highs", method) for method in ("auto", "simplex", "ipm", "pdlp")),
        *((backend, "auto") for backend in ("auto", "native", "scipy", "cvxpy:CLARABEL")),
        ("auto", "simplex"),
    ],
)
def test_every_form_and_method_answers_the_program_over_visits(backend, method, form):
    exact = 1e-9 if method == "simplex" or backend in ("auto", "native") else 1e-6
    for case in CASES[::13]:
        solution = solve_occupancy(case.mdp, backend, form=form, method=method)
        certificate = certify(solution.program, solution.outcome)
        assert certificate.holds(exact * 10), (case.name, certificate.reason(exact * 10))
        assert solution.value == pytest.approx(case.value, rel=exact * 100, abs=exact * 100)
        assert case.mdp.initial @ value(case.mdp, solution.policy) == pytest.approx(case.value, rel=1e-4, abs=1e-4)
        assert solution.form == (
            form if form != "auto" else "primal" if backend in ("native", "auto") and method == "auto" else "dual"
        )


@pytest.mark.parametrize("method", ["ipm", "pdlp"])
def test_an_interior_answer_becomes_a_vertex_on_request(method):
    mdp = random_small(4, gamma=0.9, states=(4, 4), actions=(3, 3))
    solution = solve_occupancy(mdp, "highs", method=method, vertex=True)
    assert solution.outcome.is_vertex
    assert certify(solution.program, solution.outcome).holds(1e-6)
    assert np.isin(solution.policy, (0.0, 1.0)).all()
    assert solution.value == pytest.approx(mdp.initial @ best_values(mdp), abs=1e-6)


def grid(n):
    cell = np.arange(n * n)
    row, column = np.divmod(cell, n)
    moves = [(row - (row > 0)) * n + column, (row + (row < n - 1)) * n + column]
    moves += [row * n + column - (column > 0), row * n + column + (column < n - 1)]
    to = np.stack(moves, axis=1).reshape(-1)
    return FiniteMDP(np.full(n * n, 4), sparse.csr_array((np.ones(4 * n * n), (np.arange(4 * n * n), to))), np.ones(4 * n * n), 0.9)


def expander(S):
    rng = np.random.default_rng(0)
    to = rng.integers(0, S, 20 * S)
    kernel = sparse.csr_array((np.full(20 * S, 0.2), (np.repeat(np.arange(4 * S), 5), to)), shape=(4 * S, S))
    return FiniteMDP(np.full(S, 4), kernel, np.ones(4 * S), 0.9)


def test_the_method_goes_by_size_and_fill_in():
    assert suggested_method(grid(5)) == "simplex"
    assert suggested_method(grid(60)) == "ipm"
    assert suggested_method(expander(1_000)) == "ipm"
    assert suggested_method(expander(8_000)) == "pdlp"
    assert factor_work(grid(40)) < 40**4 * 16
    assert factor_work(expander(2_000)) > 2_000**3 / 20


@pytest.mark.parametrize("build", [occupancy_program, value_program])
@pytest.mark.parametrize("vertex", [False, True])
def test_programs_carry_the_method_to_solvers(build, vertex):
    mdp = expander(700)
    program = build(mdp)
    outcome = solve_program(program, "highs", vertex=vertex)
    crossover = "on" if vertex and build is value_program else "off"
    assert outcome.options == {"solver": "ipm", "run_crossover": crossover}
    assert outcome.notes[0] == f"solver=ipm, run_crossover={crossover}: advised by the structure {program.structure.name}"
    assert outcome.is_vertex == vertex
    assert certify(program, outcome).holds(1e-6)
    assert solve_program(program, "scipy", limits=Limits(seconds=30)).options == {}
    start = Start(basis=policy_basis(mdp, optimal_policy(mdp).choice))
    if build is occupancy_program:
        assert solve_program(program, "highs", start=start).iterations == 0
    assert solve_program(build(grid(5)), "highs").options == {"solver": "simplex"}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("off", [-9e-10, 9e-10])
@pytest.mark.parametrize("backend", ["native", "highs"])
def test_bounds_of_values_allow_for_rows_that_do_not_sum_to_1_exactly(backend, off, sign):
    gamma = 0.999999
    mdp = FiniteMDP([1, 2], [[1.0 + off, 0.0], [0.0, 1.0 + off], [0.0, 1.0]], [sign, sign, sign - 0.5], gamma)
    program = value_program(mdp)
    outcome = solve_program(program, backend, options=None if backend == "native" else {"solver": "simplex"})
    assert outcome.is_optimal
    assert outcome.objective / 2 == pytest.approx(best_values(mdp).mean(), rel=1e-7)
    assert certify(program, outcome).holds(1e-6)


@pytest.mark.parametrize("gamma", [1 - 1e-6, 1 - 1e-9, 1 - 1e-11])
def test_native_answers_where_the_discount_is_next_to_1(gamma):
    mdp = FiniteMDP([2, 1], [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]], [1.0, 1.0, 1.0], gamma)
    outcome = solve_program(value_program(mdp))
    assert outcome.backend == "native"
    assert outcome.x == pytest.approx(np.full(2, 1.0 / (1.0 - gamma)), rel=1e-2)


def test_an_action_that_nobody_plays_costs_the_bound_nothing():
    """Its reward is huge, and so is what it falls short by: the values are lifted for rows that are close only."""
    mdp = FiniteMDP([2, 1], [[1.0, 0.0], [0.0, 1.0], [0.3, 0.7]], [1.0, -1e13, 0.5], 0.9)
    outcome = solve_program(value_program(mdp), "native")
    assert outcome.x == pytest.approx(best_values(mdp), rel=1e-12)


def test_the_solution_tells_the_method():
    mdp = random_small(6)
    assert solve_occupancy(mdp, "highs").method == "simplex"
    assert solve_occupancy(mdp, "highs", method="ipm").method == "ipm"
    assert solve_occupancy(mdp, "highs", options={}).method == ""
    assert solve_occupancy(mdp).method == ""
    assert solve_occupancy(expander(700), "highs").method == "ipm"


def test_bad_requests_are_refused():
    mdp = random_small(6)
    with pytest.raises(UnknownName, match="form of the occupancy program 'prime'"):
        solve_occupancy(mdp, form="prime")
    with pytest.raises(UnknownName, match="method of HiGHS 'simplx'"):
        solve_occupancy(mdp, "highs", method="simplx")
    with pytest.raises(BackendUnsupported, match="one of HiGHS"):
        solve_occupancy(mdp, "scipy", method="ipm")
    with pytest.raises(InvalidData, match="both method"):
        solve_occupancy(mdp, "highs", method="ipm", options={"solver": "pdlp"})
    with pytest.raises(UnknownName, match="option"):
        solve_occupancy(mdp, "highs", options={"solvr": "pdlp"})
    with pytest.raises(InvalidData, match="no visits to give"):
        solve_occupancy(
            random_small(0, gamma=0.9, states=(4, 4), actions=(3, 3)),
            "highs",
            form="primal",
            limits=Limits(iterations=1),
            options={"presolve": "off"},
        )
