"""HiGHS against brute force: points, duals, rays, updates, limits, options and bad input."""

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Basis, Feature, Limits, PointStatus, Start, Termination, get_backend, solve_program
from eqsolve.errors import BackendFailure, BackendUnsupported, InvalidData, InvalidProgram, UnknownName
from eqsolve.programs import ProgramBuilder, Update
from eqsolve.programs.program import Program

INF = np.inf
HIGHS = get_backend("highs")


def program(c, A, rows, columns=(0.0, INF), *, sense="min", Q=None, integer=None, offset=0.0, name="test"):
    c = np.asarray(c, float)
    A = sparse.csc_array(np.asarray(A, float).reshape(-1, len(c)))
    spread = [
        np.broadcast_to(np.asarray(one, float), k).copy() for k, pair in ((A.shape[0], rows), (len(c), columns)) for one in pair
    ]
    return Program(
        name,
        sense,
        c,
        A,
        *spread,
        Q=None if Q is None else sparse.csc_array(np.asarray(Q, float)),
        offset=offset,
        integrality=integer,
    )


def solve(problem, *, limits=None, start=None, options=None, vertex=False):
    with HIGHS.open(problem, options, vertex=vertex) as session:
        return session.solve(limits, start)


def random_lp(rng, sense="max", n=4, m=3):
    """Bounded box, ranged, one-sided and equality rows through a point inside the box: always feasible."""
    A = rng.integers(-3, 4, (m, n)).astype(float)
    activity = A @ rng.random(n)
    lower = np.where(rng.random(m) < 0.6, activity - rng.random(m), -INF)
    upper = np.where(rng.random(m) < 0.6, activity + rng.random(m), INF)
    lower[0] = upper[0] = activity[0]
    return program(rng.normal(size=n), A, (lower, upper), (0.0, 1.0), sense=sense, offset=0.5)


def best_vertex(problem):
    """The optimum over all intersections of n active rows and bounds."""
    n = problem.n_columns
    rows = np.vstack([problem.A.toarray()] * 2 + [np.eye(n)] * 2)
    sides = np.concatenate([problem.row_lower, problem.row_upper, problem.col_lower, problem.col_upper])
    best = None
    for pick in combinations(np.flatnonzero(np.isfinite(sides)), n):
        square = rows[list(pick)]
        if abs(np.linalg.det(square)) < 1e-9:
            continue
        x = np.linalg.solve(square, sides[list(pick)])
        if violated(problem, x) < 1e-9:
            value = problem.objective(x)
            best = value if best is None else max(best, value) if problem.sense == "max" else min(best, value)
    return best


def violated(problem, x):
    activity = problem.A @ x
    parts = (problem.row_lower - activity, activity - problem.row_upper, problem.col_lower - x, x - problem.col_upper)
    return max((float(part.max()) for part in parts if part.size), default=0.0)


def duality_gap(problem, outcome):
    """Distance of the objective to the dual bound, both from the data (linear and quadratic programs)."""
    sign = 1.0 if problem.sense == "min" else -1.0
    y, x = sign * outcome.y, outcome.x
    quadratic = 0.0 if problem.Q is None else float(x @ (problem.Q @ x))
    z = sign * problem.gradient(x) - problem.A.T @ y
    bound = sum_of(y, problem.row_lower, problem.row_upper) + sum_of(z, problem.col_lower, problem.col_upper)
    return sign * (problem.objective(x) - problem.offset) - (bound - sign * quadratic / 2)


def sum_of(weight, lower, upper):
    side = np.where(weight > 0, lower, upper)
    side = np.where(np.abs(weight) < 1e-9, np.where(np.isfinite(side), side, 0.0), side)
    return float(weight @ side)


def proves_infeasible(problem, y):
    side = np.where(y > 0, problem.row_lower, problem.row_upper)
    supply = sum(float(one * bound) for one, bound in zip(y, side, strict=True) if one)
    a = problem.A.T @ y
    demand = 0.0
    for one, lower, upper in zip(a, problem.col_lower, problem.col_upper, strict=True):
        if abs(one) > 1e-9:
            demand += one * (upper if one > 0 else lower)
    return supply > demand


# Points and duals


@pytest.mark.parametrize("sense", ["min", "max"])
@pytest.mark.parametrize("seed", range(12))
def test_lp_is_the_best_vertex_with_duals_that_close_the_gap(seed, sense):
    problem = random_lp(np.random.default_rng(seed), sense)
    outcome = solve(problem)
    assert outcome.termination is Termination.OPTIMAL
    assert violated(problem, outcome.x) < 1e-9
    assert abs(duality_gap(problem, outcome)) < 1e-8
    assert outcome.objective == pytest.approx(best_vertex(problem), abs=1e-9)
    assert outcome.is_vertex
    np.testing.assert_allclose(outcome.z, problem.c - problem.A.T @ outcome.y, atol=1e-12)


@pytest.mark.parametrize("sense", ["min", "max"])
@pytest.mark.parametrize("quadratic", [False, True])
def test_duals_are_derivatives_of_the_optimum_in_the_users_sense(sense, quadratic):
    rng = np.random.default_rng(3)
    for _ in range(4):
        problem = random_lp(rng, sense, n=5)
        if quadratic:
            problem = replace(problem, Q=sparse.csc_array(np.eye(5) * (1.0 if sense == "min" else -1.0)))
        outcome = solve(problem)
        for i in range(problem.n_rows):
            steps = []
            for step in (1e-5, -1e-5):
                moved = Update(
                    row_lower=problem.row_lower + step * (np.arange(3) == i),
                    row_upper=problem.row_upper + step * (np.arange(3) == i),
                )
                steps.append(solve(problem.with_values(moved)).objective)
            assert (steps[0] - steps[1]) / 2e-5 == pytest.approx(outcome.y[i], abs=1e-4)


def test_milp_is_the_best_integer_point():
    rng = np.random.default_rng(0)
    for sense in ("min", "max"):
        for _ in range(6):
            A, c = rng.integers(1, 9, (2, 5)), rng.normal(size=5)
            problem = program(c, A, (3.0, A.sum(1) / 2), (0.0, 2.0), sense=sense, integer=np.ones(5, bool))
            points = [x for x in map(np.array, product(range(3), repeat=5)) if violated(problem, x) <= 0]
            values = [problem.objective(x) for x in points]
            outcome = solve(problem)
            assert outcome.objective == pytest.approx(max(values) if sense == "max" else min(values), abs=1e-9)
            assert outcome.bound == pytest.approx(outcome.objective, abs=1e-6)
            assert outcome.y is None
            assert not outcome.is_vertex


@pytest.mark.parametrize("rank", [0, 1, 3, 8])
@pytest.mark.parametrize("sense", ["min", "max"])
def test_qp_is_exact_in_spite_of_the_regularisation(rank, sense):
    rng = np.random.default_rng(rank)
    for _ in range(8):
        factor = rng.normal(size=(8, rank))
        A = rng.normal(size=(4, 8))
        activity = A @ rng.random(8)
        sign = 1.0 if sense == "min" else -1.0
        Q = sign * factor @ factor.T if rank else sign * np.diag(np.arange(8) % 2)
        problem = program(10 * rng.normal(size=8), A, (activity - 0.1, activity + 0.1), (0.0, 1.0), sense=sense, Q=Q)
        outcome = solve(problem)
        assert outcome.termination is Termination.OPTIMAL
        assert abs(duality_gap(problem, outcome)) < 1e-9 * (1 + abs(outcome.objective))


def test_qp_known_answers_and_costs_restored_after_the_proximal_steps():
    problem = program([-1, -2], [[1, 1]], (-INF, 1), Q=[[2, 1], [1, 2]])
    with HIGHS.open(problem) as session:
        first = session.solve()
        session.update(Update(row_upper=np.array([3.0])))
        second = session.solve()
        session.update(Update(row_upper=np.array([1.0])))
        again = session.solve()
    np.testing.assert_allclose(first.x, [0, 1], atol=1e-10)
    assert first.objective == pytest.approx(-1.0, abs=1e-11)
    np.testing.assert_allclose(second.x, [0, 1], atol=1e-10)
    assert again.objective == pytest.approx(first.objective, abs=1e-11)


def test_qp_without_rows_and_with_free_columns():
    rng = np.random.default_rng(4)
    for k in range(20):
        factor = rng.integers(-1, 2, (6, 6)).astype(float)
        problem = program(
            factor @ rng.normal(size=6), [], (0, 0), ([-INF, -1, -1, -INF, 0, 0], [INF, 2, 2, 1, 1, 0]), Q=factor @ factor.T
        )
        outcome = solve(problem)
        assert outcome.termination is Termination.OPTIMAL, k
        free = (outcome.x > problem.col_lower + 1e-6) & (outcome.x < problem.col_upper - 1e-6)
        np.testing.assert_allclose(outcome.z[free], 0.0, atol=1e-6)
        assert (outcome.z[outcome.x < problem.col_upper - 1e-6] >= -1e-6).all()
        assert (outcome.z[outcome.x > problem.col_lower + 1e-6] <= 1e-6).all()


@pytest.mark.parametrize("solver", ["simplex", "ipm", "pdlp"])
def test_methods_agree_and_only_a_basis_makes_a_vertex(solver):
    problem = random_lp(np.random.default_rng(7), n=6, m=4)
    outcome = solve(problem, options={"solver": solver})
    assert outcome.objective == pytest.approx(solve(problem).objective, abs=1e-4 if solver == "pdlp" else 1e-8)
    assert outcome.is_vertex == (outcome.basis is not None) == (solver != "pdlp")
    assert not outcome.warm_start


def test_vertex_turns_crossover_on_and_without_it_none_is_claimed():
    flat = program([1, 1, 1], [[1, 1, 1]], (1, 1), (0.0, 1.0), sense="max")
    interior = {"solver": "ipm", "run_crossover": "off", "presolve": "off"}
    assert not solve(flat, options=interior).is_vertex
    outcome = solve(flat, options={"solver": "ipm", "presolve": "off"}, vertex=True)
    assert outcome.is_vertex
    assert np.count_nonzero(outcome.x) == 1
    purified = solve_program(flat, "highs", vertex=True, options=interior)
    assert purified.is_vertex
    assert np.count_nonzero(purified.x) == 1


# Programs without rows or columns


def test_without_rows():
    assert solve(program([1, -1], [], (0, 0), (0.0, [1.0, 2.0]))).x.tolist() == [0, 2]
    outcome = solve(program([1, -1], [], (0, 0)))
    assert outcome.termination is Termination.UNBOUNDED
    assert outcome.direction @ [1, -1] < 0


def test_without_columns():
    empty, lower, upper = np.zeros(0), np.array([-1.0, 0.0]), np.array([1.0, INF])
    good = Program("no columns", "min", empty, sparse.csc_array((2, 0)), lower, upper, empty, empty, offset=3.0)
    outcome = solve(good)
    assert (outcome.termination, outcome.objective) == (Termination.OPTIMAL, 3.0)
    bad = good.with_values(Update(row_upper=np.array([1.0, -0.5]), row_lower=np.array([-1.0, -1.0])))
    outcome = solve(bad)
    assert outcome.termination is Termination.INFEASIBLE
    assert proves_infeasible(bad, outcome.ray)
    with HIGHS.open(bad) as session:
        assert session.iis().rows == (1,)


# Infeasible and unbounded, proved


def infeasible_lps():
    rng = np.random.default_rng(1)
    yield program([1, 2], [[1, 1], [1, 1]], ([1, -INF], [INF, 0.5]), (0.0, 3.0))
    yield program([1, 2], [[1, 1], [1, -1], [0, 1]], ([7, -INF, -INF], [INF, 0.5, 9]), (0.0, 3.0), sense="max")
    yield program([1, 0, 0], [[1, 1, 0], [0, 1, 1], [1, 0, -1]], ([0, 0, 1], [0, 0, 1]), (-INF, INF))
    for k in range(10):
        base = random_lp(rng, "max" if k % 2 else "min", n=6, m=4)
        weight = rng.normal(size=4)
        cut = weight @ base.A
        top = float(np.maximum(cut, 0).sum())
        rows = (np.append(base.row_lower, top + 0.01), np.append(base.row_upper, INF))
        yield program(base.c, np.vstack([base.A.toarray(), cut]), rows, (0.0, 1.0), sense=base.sense)


@pytest.mark.parametrize("kind", ["LP", "QP", "MILP"])
@pytest.mark.parametrize("presolve", ["on", "off"])
def test_infeasible_comes_with_a_farkas_ray_that_proves_it(kind, presolve):
    for problem in infeasible_lps():
        n = problem.n_columns
        if kind == "QP":
            problem = replace(problem, Q=sparse.csc_array(np.eye(n) * (1 if problem.sense == "min" else -1)))
        if kind == "MILP":
            problem = replace(problem, integrality=np.ones(n, bool))
        outcome = solve(problem, options={"presolve": presolve})
        assert outcome.termination is Termination.INFEASIBLE
        assert outcome.x is None
        assert outcome.dual is PointStatus.RAY
        assert proves_infeasible(problem, outcome.ray)


def test_infeasible_by_integrality_alone_says_so():
    problem = program([1, 1], [[2, 2]], (1, 1), (0.0, 3.0), integer=np.ones(2, bool))
    outcome = solve(problem)
    assert (outcome.termination, outcome.ray) == (Termination.INFEASIBLE, None)
    assert "branch and bound" in outcome.notes[-1]
    with HIGHS.open(problem) as session, pytest.raises(InvalidData, match="do not conflict"):
        session.iis()


def unbounded():
    up = program([1, 2], [[1, -1]], (0, INF), sense="max")
    yield up
    yield replace(up, sense="min", c=-up.c)
    yield replace(up, integrality=np.array([True, False]))
    yield program([1, -2], [[1, -1]], (-INF, 1), Q=np.diag([2.0, 0]))
    yield program([-1, 2], [[1, -1]], (-INF, 1), Q=np.diag([-2.0, 0]), sense="max")
    yield program([0, 0, -1], [[1, 1, 0], [0, 1, -1]], ([1, 0], [1, 0]), (-INF, INF))


@pytest.mark.parametrize("case", range(6))
@pytest.mark.parametrize("presolve", ["on", "off"])
def test_unbounded_comes_with_a_point_and_a_direction(case, presolve):
    problem = list(unbounded())[case]
    outcome = solve(problem, options={"presolve": presolve})
    assert outcome.termination is Termination.UNBOUNDED
    for far in (0.0, 1.0, 1e4):
        assert violated(problem, outcome.x + far * outcome.direction) < 1e-6
    start, end = problem.objective(outcome.x), problem.objective(outcome.x + outcome.direction)
    assert (end > start) == (problem.sense == "max")
    assert abs(end - start) > 1e-3


def test_infeasible_although_the_objective_would_be_unbounded():
    outcome = solve(program([-1, 0], [[0, 1], [0, 1]], ([1, -INF], [INF, 0]), (0.0, INF)))
    assert outcome.termination is Termination.INFEASIBLE
    assert outcome.ray is not None


def test_iis_is_infeasible_and_every_part_of_it_is_needed():
    for problem in infeasible_lps():
        with HIGHS.open(problem) as session:
            found = session.iis()
        rows, columns = set(found.rows), set(found.columns)
        kept = [k in rows for k in range(problem.n_rows)], [k in columns for k in range(problem.n_columns)]
        assert solve(restricted(problem, *kept)).termination is Termination.INFEASIBLE
        for flags, members in zip(kept, (rows, columns), strict=True):
            for k in members:
                flags[k] = False
                assert solve(restricted(problem, *kept)).termination is not Termination.INFEASIBLE
                flags[k] = True
        assert found.names == (*map(problem.row_name, found.rows), *map(problem.column_name, found.columns))


def restricted(problem, rows, columns):
    zero = np.zeros(problem.n_columns)
    bounds = {}
    for side, free in (("lower", -INF), ("upper", INF)):
        bounds[f"row_{side}"] = np.where(rows, getattr(problem, f"row_{side}"), free)
        bounds[f"col_{side}"] = np.where(columns, getattr(problem, f"col_{side}"), free)
    return problem.with_values(Update(c=zero, **bounds))


# Sessions


def stage(n=40, seed=0, b=0.01):
    rng = np.random.default_rng(seed)
    build = ProgramBuilder("stage", sense="max")
    p = build.columns("p", (n, 3), axes=("player", "action"), upper=1.0)
    one = build.rows("one_action", n, axes=("player",), lower=1.0, upper=1.0)
    aggregator = build.rows("aggregator", 2, axes=("coordinate",), lower=0.5 - b, upper=0.5 + b)
    build.add(one, p, np.repeat(np.arange(n), 3), np.arange(3 * n))
    build.add(aggregator, p, np.repeat([0, 1], 3 * n), np.tile(np.arange(3 * n), 2), rng.random(6 * n) / n)
    build.objective(p, rng.random((n, 3)))
    return build.build()


def changes(base, rng):
    n, m = base.n_columns, base.n_rows
    upper = (rng.random(n) < 0.7).astype(float)
    upper[::3] = 1.0
    x = rng.uniform(0.45, 0.55)
    lower = np.where(np.arange(m) < m - 2, 1.0, x - 0.02)
    above = np.where(np.arange(m) < m - 2, 1.0, x + 0.02)
    return (
        Update(col_upper=upper),
        Update(row_lower=lower, row_upper=above),
        Update(c=rng.random(n)),
        Update(offset=float(rng.random())),
        Update(c=rng.random(n), col_upper=upper, row_lower=lower, row_upper=above, note="all"),
    )


def test_updates_give_what_a_fresh_model_gives_and_start_from_the_last_basis():
    rng = np.random.default_rng(2)
    base = stage()
    with HIGHS.open(base) as session:
        assert not session.solve().warm_start
        for _ in range(8):
            for update in changes(base, rng):
                session.update(update)
                warm, fresh = session.solve(), solve(session.program)
                assert warm.warm_start
                assert not fresh.warm_start
                assert warm.termination is fresh.termination
                if fresh.x is None:
                    assert proves_infeasible(session.program, warm.ray)
                else:
                    assert warm.objective == pytest.approx(fresh.objective, abs=1e-9)
                    assert abs(duality_gap(session.program, warm)) < 1e-8


def test_a_milp_session_is_updated_too():
    problem = program([3, 4, 5], [[2, 3, 4]], (-INF, 7), (0.0, 1.0), sense="max", integer=np.ones(3, bool))
    with HIGHS.open(problem) as session:
        assert session.solve().objective == pytest.approx(9)
        session.update(Update(row_upper=np.array([6.0]), c=np.array([3.0, 4, 9])))
        outcome = session.solve()
    assert outcome.objective == pytest.approx(12)
    assert not outcome.warm_start


def test_a_bad_update_changes_nothing():
    base = stage()
    with HIGHS.open(base) as session:
        before = session.solve().objective
        bad = np.zeros(base.n_columns)
        bad[4] = np.nan
        for update in (
            Update(c=np.ones(base.n_columns), col_upper=np.full(base.n_columns, -1.0)),
            Update(c=bad),
            Update(c=np.ones(3)),
            Update(row_lower=np.full(base.n_rows, 2.0)),
        ):
            with pytest.raises(InvalidProgram):
                session.update(update)
            assert session.program is base
            assert session.solve().objective == pytest.approx(before, abs=1e-12)


def test_a_cost_beyond_the_range_of_highs_is_refused_whole():
    base = stage()
    with HIGHS.open(base) as session:
        before = session.solve().objective
        with pytest.raises(BackendUnsupported, match=r"p\[0, 0\]"):
            session.update(Update(c=np.full(base.n_columns, 1e25), offset=5.0))
        assert session.program is base
        assert session.solve().objective == pytest.approx(before, abs=1e-12)
    with pytest.raises(BackendUnsupported, match="as infinite"):
        HIGHS.open(program([1e25], [[1]], (0, 1)))
    with pytest.raises(BackendFailure, match="taking over the arrays"):
        HIGHS.open(program([1], [[1e25]], (0, 1)))


def test_a_closed_session_is_refused():
    session = HIGHS.open(stage())
    session.close()
    session.close()
    for call in (session.solve, session.iis, lambda: session.update(Update())):
        with pytest.raises(BackendFailure, match="closed"):
            call()


def test_sessions_leave_no_model_behind():
    with HIGHS.open(stage()) as session:
        session.solve()
        session.update(Update(offset=1.0))
        model = weakref.ref(session._model)
    del session
    gc.collect()
    assert model() is None


# Starts


def test_a_basis_goes_out_and_in():
    problem = stage(200)
    cold = solve(problem)
    assert np.count_nonzero(cold.basis.columns == 1) + np.count_nonzero(cold.basis.rows == 1) == problem.n_rows
    off = cold.basis.columns == 0
    np.testing.assert_allclose(cold.x[off], 0.0, atol=1e-12)
    np.testing.assert_allclose(cold.x[cold.basis.columns == 2], 1.0, atol=1e-12)
    warm = solve(problem, start=Start(basis=cold.basis))
    assert warm.warm_start
    assert warm.iterations == 0 < cold.iterations
    assert warm.objective == pytest.approx(cold.objective, abs=1e-10)


def test_what_is_not_a_basis_is_not_used():
    problem = stage(5)
    wrong = Basis(np.ones(problem.n_columns, np.int8), np.ones(problem.n_rows, np.int8))
    outcome = solve(problem, start=Start(basis=wrong))
    assert not outcome.warm_start
    assert "not used" in outcome.notes[0]
    assert outcome.objective == pytest.approx(solve(problem).objective, abs=1e-10)
    for columns, rows in ((np.zeros(3, np.int8), wrong.rows), (np.full(problem.n_columns, 9, np.int8), wrong.rows)):
        with pytest.raises(InvalidData, match=r"start\.basis\.columns"):
            solve(problem, start=Start(basis=Basis(columns, rows)))
    ipm = solve(problem, options={"solver": "ipm"}, start=Start(basis=solve(problem).basis))
    assert not ipm.warm_start
    assert "simplex" in ipm.notes[0]


def test_a_start_point_is_an_incumbent_of_branch_and_bound_and_nothing_elsewhere():
    problem = hard_knapsack(30)
    assert solve(problem, start=Start(x=np.zeros(30)), limits=Limits(iterations=1)).warm_start
    outcome = solve(problem, start=Start(x=np.ones(30)), limits=Limits(iterations=1))
    assert not outcome.warm_start
    assert "not feasible" in outcome.notes[0]
    outcome = solve(stage(5), start=Start(x=np.zeros(15)))
    assert not outcome.warm_start
    assert "not used" in outcome.notes[0]
    with pytest.raises(InvalidData, match=r"start\.x"):
        solve(problem, start=Start(x=np.zeros(4)))


# Limits


def hard_knapsack(n, m=15, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.integers(1, 1000, (m, n))
    return program(rng.integers(1, 1000, n), A, (-INF, A.sum(1) // 2), (0.0, 1.0), sense="max", integer=np.ones(n, bool))


def test_a_time_limit_is_never_optimal_and_keeps_the_incumbent():
    problem = hard_knapsack(80, 30)
    with HIGHS.open(problem) as session:
        for _ in range(2):
            outcome = session.solve(Limits(seconds=0.3))
            assert outcome.termination is Termination.TIME_LIMIT
            assert violated(problem, outcome.x) < 1e-6
            assert outcome.bound > outcome.objective
            assert not outcome.is_optimal


def test_the_clock_starts_anew_with_every_solve():
    problem = stage(300)
    budget = 0.3
    with HIGHS.open(problem) as session:
        for k in range(3000):
            session.update(Update(c=np.random.default_rng(k).random(problem.n_columns)))
            session.solve()
            if session._model.getRunTime() > budget:
                break
        session.update(Update(c=np.random.default_rng(0).random(problem.n_columns)))
        assert session.solve(Limits(seconds=budget)).termination is Termination.OPTIMAL
        assert session._model.getRunTime() > budget


def test_an_iteration_limit_counts_one_solve_and_goes_away_again():
    problem = stage(300)
    with HIGHS.open(problem, {"presolve": "off"}) as session:
        outcome = session.solve(Limits(iterations=5))
        assert outcome.termination is Termination.ITERATION_LIMIT
        assert not outcome.is_optimal
        assert session.solve(Limits(iterations=5)).termination is Termination.ITERATION_LIMIT
        assert session.solve().termination is Termination.OPTIMAL


@pytest.mark.parametrize("limits", [Limits(seconds=0), Limits(seconds=-1), Limits(iterations=0), Limits(seconds=float("nan"))])
def test_a_limit_that_is_no_budget_is_refused(limits):
    with HIGHS.open(stage(3)) as session, pytest.raises(InvalidData, match="limits"):
        session.solve(limits)


def test_the_users_own_time_limit_bounds_each_solve():
    outcome = solve(hard_knapsack(80, 30), options={"time_limit": 0.2})
    assert outcome.termination is Termination.TIME_LIMIT


def test_a_gap_that_was_asked_for_is_told():
    outcome = solve(hard_knapsack(60, 10), options={"mip_rel_gap": 0.5})
    assert outcome.termination is Termination.OPTIMAL
    assert "gap of branch and bound" in outcome.notes[0]
    assert outcome.bound > outcome.objective


# Options


@pytest.mark.parametrize(("name", "near"), [("presolv", "presolve"), ("mip_relgap", "mip_rel_gap"), ("Threads", "threads")])
def test_an_unknown_option_is_refused_with_the_nearest_one(name, near):
    with pytest.raises(UnknownName, match=near):
        HIGHS.open(stage(3), {name: 1})


@pytest.mark.parametrize(
    "options",
    [
        {"presolve": True},
        {"output_flag": 1},
        {"threads": 1.5},
        {"threads": True},
        {"threads": 2**40},
        {"threads": -1},
        {"time_limit": "1"},
        {"time_limit": float("nan")},
        {"time_limit": -1.0},
        {"primal_feasibility_tolerance": 1e-30},
        {"solver": "fastest"},
        {"solver": None},
    ],
    ids=str,
)
def test_a_bad_option_value_is_refused(options):
    with pytest.raises(InvalidData, match=next(iter(options))):
        HIGHS.open(stage(3), options)


def test_numpy_scalars_and_whole_numbers_are_option_values():
    outcome = solve(stage(3), options={"threads": np.int64(1), "time_limit": 10, "mip_rel_gap": np.float64(0.0)})
    assert outcome.is_optimal
    assert outcome.options["time_limit"] == 10


def test_sessions_with_different_numbers_of_threads_live_side_by_side():
    problem = stage(30)
    expected = solve(problem).objective
    with HIGHS.open(problem, {"threads": 2}) as two, HIGHS.open(problem) as one, HIGHS.open(problem, {"threads": 3}) as three:
        for session in (two, one, three, one, two):
            session.update(Update(offset=session.program.offset))
            assert session.solve().objective == pytest.approx(expected, abs=1e-9)


def test_sessions_run_in_threads_of_python():
    problem = stage(60)
    expected = solve(problem).objective
    found = []

    def work(threads):
        found.append(solve(problem, options={"threads": threads}).objective)

    workers = [threading.Thread(target=work, args=(1 + k % 2,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == pytest.approx([expected] * 8, abs=1e-9)


def test_nothing_is_printed(capfd):
    for problem in (*infeasible_lps(), *unbounded(), stage(5), hard_knapsack(12)):
        solve(problem)
    assert capfd.readouterr() == ("", "")


def test_coefficients_too_small_for_highs_are_told():
    outcome = solve(program([1, 1], [[1, 1e-13]], (0.5, 1), (0.0, 1.0)))
    assert "dropped 1 coefficient" in outcome.notes[0]


# Ctrl-C


def test_ctrl_c_ends_a_run_in_order_and_the_handler_is_back():
    before = signal.getsignal(signal.SIGINT)
    with HIGHS.open(hard_knapsack(80, 30)) as session:
        timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        outcome = session.solve(Limits(seconds=20.0))
        timer.join()
        assert outcome.termination is Termination.INTERRUPTED
        assert outcome.x is not None
        assert signal.getsignal(signal.SIGINT) is before
        assert session.solve(Limits(iterations=1)).termination is not Termination.INTERRUPTED


# The door


def test_kinds_and_features_are_declared():
    assert HIGHS.capabilities.kinds == {"LP", "MILP", "QP"}
    assert Feature.IIS in HIGHS.capabilities.features
    assert HIGHS.probe().usable
    mixed = program([1, 1], [[1, 1]], (1, 2), Q=np.eye(2), integer=np.array([True, False]))
    with pytest.raises(BackendUnsupported, match="MIQP"):
        HIGHS.open(mixed)
    with pytest.raises(UnknownName):
        get_backend("highs:ipm")


def test_the_backend_and_its_probe_import_no_highspy():
    code = "import sys; from eqsolve.backends import get_backend; get_backend('highs').probe(); assert 'highspy' not in sys.modules"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)


def test_provenance():
    outcome = solve(stage(5), options={"presolve": "off"})
    assert outcome.backend == "highs"
    assert outcome.version == HIGHS.probe().version
    assert dict(outcome.options) == {"presolve": "off"}
    assert outcome.seconds.build > 0
    assert outcome.seconds.solve > 0
