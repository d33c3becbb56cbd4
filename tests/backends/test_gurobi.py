"""Gurobi in place: every kind of update against a fresh solve elsewhere, bases, starts and infeasible subsystems."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Limits, Start, Termination, get_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.programs import Program, Update
from tests.backends.usable import usable_backends
from tests.cases import CASES

BY_NAME = {case.name: case.program for case in CASES}
HERE = "gurobi" in usable_backends("LP")


def random_bounds(rng, centre):
    """Bounds of every form around a point: equality, one-sided, ranged, free."""
    form = rng.integers(0, 5, size=len(centre))
    lower = np.where(form == 0, centre, np.where((form == 1) | (form == 3), centre - rng.uniform(0, 1, len(centre)), -np.inf))
    upper = np.where(form == 0, centre, np.where((form == 2) | (form == 3), centre + rng.uniform(0, 1, len(centre)), np.inf))
    return lower, upper


def random_program(rng, sense, m=6, n=8):
    """A feasible, bounded program and the point that its bounds are built around."""
    A = rng.integers(-3, 4, size=(m, n)).astype(float)
    x = rng.uniform(0, 1, n)
    lower, upper = random_bounds(rng, A @ x)
    return Program(
        "random", sense, rng.normal(size=n), sparse.csc_array(A), lower, upper, np.full(n, -1.0), np.full(n, 2.0), offset=1.5
    ), A @ x


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["gurobi", "scipy", "cvxpy:CLARABEL", "pulp:PULP_CBC_CMD"])
def test_updates_in_place_equal_a_fresh_solve(name, seed):
    if name == "gurobi" and not HERE:
        return
    rng = np.random.default_rng(seed)
    program, centre = random_program(rng, ("min", "max")[seed % 2])
    with get_backend(name).open(program) as session:
        session.solve()
        for step in range(4):
            lower, upper = random_bounds(rng, centre)
            update = (
                Update(c=rng.normal(size=program.n_columns), offset=float(step)),
                Update(row_lower=lower, row_upper=upper),
                Update(col_lower=np.full(program.n_columns, -1.5), col_upper=rng.uniform(1, 3, program.n_columns)),
                Update(c=rng.normal(size=program.n_columns), row_lower=centre - 0.5, row_upper=centre + 0.5),
            )[step]
            program = program.with_values(update)
            session.update(update)
            outcome = session.solve()
            expected = solve_program(program, "highs")
            assert outcome.termination is Termination.OPTIMAL
            assert outcome.objective == pytest.approx(expected.objective, abs=1e-6 * (1 + abs(expected.objective)))
            assert certify(program, outcome).holds(1e-6)
            assert (name == "gurobi") != any("rebuilt" in note for note in outcome.notes)
            assert outcome.warm_start is (name == "gurobi")


@pytest.mark.parametrize("seed", range(6))
def test_a_basis_starts_the_next_solve_where_the_last_one_ended(seed):
    if not HERE:
        return
    program, _ = random_program(np.random.default_rng(100 + seed), ("min", "max")[seed % 2])
    first = solve_program(program, "gurobi")
    assert first.is_vertex
    assert int((first.basis.columns == 1).sum() + (first.basis.rows == 1).sum()) == program.n_rows
    again = solve_program(program, "gurobi", start=Start(basis=first.basis), options={"Presolve": 0})
    assert again.warm_start
    assert again.iterations == 0
    assert again.objective == pytest.approx(first.objective, abs=1e-9)
    activity, basis = program.A @ first.x, first.basis
    for status, value, lower, upper in (
        (basis.columns, first.x, program.col_lower, program.col_upper),
        (basis.rows, activity, program.row_lower, program.row_upper),
    ):
        np.testing.assert_allclose(value[status == 0], lower[status == 0], atol=1e-8)
        np.testing.assert_allclose(value[status == 2], upper[status == 2], atol=1e-8)
    from_highs = solve_program(program, "highs", start=Start(basis=first.basis))
    assert from_highs.objective == pytest.approx(first.objective, abs=1e-8)


def test_an_integer_program_starts_from_a_point():
    if not HERE:
        return
    program = BY_NAME["knapsack"]
    best = solve_program(program, "gurobi")
    assert best.bound == pytest.approx(best.objective)
    again = solve_program(program, "gurobi", start=Start(x=best.x))
    assert again.warm_start
    assert again.objective == pytest.approx(best.objective)


@pytest.mark.parametrize("name", ["infeasible rows", "infeasible bounds", "infeasible chain", "infeasible for max"])
def test_an_infeasible_subsystem_is_infeasible_and_irreducible(name):
    if not HERE:
        return
    program = BY_NAME[name]
    with get_backend("gurobi").open(program) as session:
        assert session.solve().termination is Termination.INFEASIBLE
        found = session.iis()
    assert found.rows
    assert found.names == (*map(program.row_name, found.rows), *map(program.column_name, found.columns))
    assert solve_program(only(program, found.rows, found.columns), "scipy").termination is Termination.INFEASIBLE
    for row in found.rows:
        rest = tuple(one for one in found.rows if one != row)
        assert solve_program(only(program, rest, found.columns), "scipy").termination is Termination.OPTIMAL


def only(program, rows, columns):
    """The program without objective and with the bounds of these rows and columns alone."""
    keep_rows, keep_columns = np.zeros(program.n_rows, dtype=bool), np.zeros(program.n_columns, dtype=bool)
    keep_rows[list(rows)], keep_columns[list(columns)] = True, True
    return program.with_values(
        Update(
            c=np.zeros(program.n_columns),
            row_lower=np.where(keep_rows, program.row_lower, -np.inf),
            row_upper=np.where(keep_rows, program.row_upper, np.inf),
            col_lower=np.where(keep_columns, program.col_lower, -np.inf),
            col_upper=np.where(keep_columns, program.col_upper, np.inf),
        )
    )


def test_an_iteration_limit_is_not_optimal_and_is_forgotten_by_the_next_solve():
    if not HERE:
        return
    with get_backend("gurobi").open(BY_NAME["transport"], {"Presolve": 0}) as session:
        assert session.solve(Limits(iterations=1)).termination is Termination.ITERATION_LIMIT
        assert session.solve().termination is Termination.OPTIMAL


@pytest.mark.parametrize(
    "case", [one for one in CASES if one.program.kind == "LP" and one.optimum is not None], ids=lambda one: one.name
)
def test_scipy_and_gurobi_give_vertices(case):
    for name in ("scipy", "gurobi") if HERE else ("scipy",):
        outcome = solve_program(case.program, name, vertex=True)
        if not outcome.is_vertex:
            assert np.isinf(case.program.col_lower).any()
            continue
        program, x = case.program, outcome.x
        activity = program.A @ x
        at = np.isclose(activity, program.row_lower, atol=1e-7) | np.isclose(activity, program.row_upper, atol=1e-7)
        fixed = np.isclose(x, program.col_lower, atol=1e-7) | np.isclose(x, program.col_upper, atol=1e-7)
        tight = np.vstack([program.A.toarray()[at], np.eye(program.n_columns)[fixed]])
        assert np.linalg.matrix_rank(tight) == program.n_columns
