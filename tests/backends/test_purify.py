"""From interior optimal points to vertices: judged by the rank of the active rows and bounds, not by a solver's word."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Limits, Outcome, Termination, get_backend, solve_program
from eqsolve.backends.highs_vertex import face_simplex, support_simplex
from eqsolve.backends.outcome import make_outcome
from eqsolve.backends.purify import purify
from eqsolve.errors import BackendUnsupported
from eqsolve.programs import ProgramBuilder, StructureAnswer
from eqsolve.programs.program import Program

INF = np.inf
IPM = {"solver": "ipm", "run_crossover": "off"}


def is_vertex(problem, x, tolerance=1e-8):
    """Whether the rows and bounds that hold with equality at x have rank n."""
    A = problem.A.toarray()
    activity = A @ x
    rows = (activity - problem.row_lower <= tolerance) | (problem.row_upper - activity <= tolerance)
    columns = (x - problem.col_lower <= tolerance) | (problem.col_upper - x <= tolerance)
    active = np.vstack([A[rows], np.eye(len(x))[columns]])
    return np.linalg.matrix_rank(active) == len(x)


def stage(n, d, seed, *, flat=False, m=3, sense="max"):
    """The stage program of a game: one action per player, d coupling rows within an interval."""
    rng = np.random.default_rng(seed)
    build = ProgramBuilder("stage", sense=sense)
    p = build.columns("p", (n, m), axes=("player", "action"), upper=1.0)
    one = build.rows("one_action", n, lower=1.0, upper=1.0)
    weights = rng.random((d, n * m)) / n
    middle = weights @ np.full(n * m, 1 / m)
    coupling = build.rows("aggregator", d, lower=middle - 0.002, upper=middle + 0.002)
    build.add(one, p, np.repeat(np.arange(n), m), np.arange(n * m))
    build.add(coupling, p, np.repeat(np.arange(d), n * m), np.tile(np.arange(n * m), d), weights.ravel())
    build.objective(p, np.ones((n, m)) if flat else rng.random((n, m)))
    return build.build()


def mixed_players(x, m=3, tolerance=1e-7):
    p = x.reshape(-1, m)
    return int((np.minimum(p, 1 - p) > tolerance).any(axis=1).sum())


def center(problem):
    """The answer of an interior-point method with no crossover."""
    outcome = solve_program(problem, "highs", options=IPM)
    assert outcome.is_optimal
    assert not outcome.is_vertex
    return outcome


def uniform(problem, x):
    """An outcome at a given optimal point of a program whose objective is constant on the feasible set."""
    return make_outcome(
        problem, Termination.OPTIMAL, x=x, y=np.concatenate([np.ones(problem.n_rows - 2), np.zeros(2)]), backend="test"
    )


def check(problem, before, after):
    assert after.notes[-1] == "purified to a vertex"
    assert after.is_vertex
    assert is_vertex(problem, after.x)
    sign = 1.0 if problem.sense == "max" else -1.0
    assert sign * (after.objective - before.objective) >= -1e-8 * (1 + abs(before.objective))
    reduced = sign * (problem.c - problem.A.T @ after.y)
    np.testing.assert_allclose(after.z, sign * reduced, atol=1e-12)
    assert (reduced[after.x < problem.col_upper - 1e-7] <= 1e-7).all()
    assert (reduced[after.x > problem.col_lower + 1e-7] >= -1e-7).all()


@pytest.mark.parametrize("sense", ["max", "min"])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("flat", [False, True])
def test_an_interior_answer_becomes_a_vertex_with_at_most_d_mixed_players(d, flat, sense):
    for seed in range(4):
        problem = stage(40, d, seed, flat=flat, sense=sense)
        before = center(problem)
        after = purify(problem, before)
        check(problem, before, after)
        assert mixed_players(after.x) <= d
        if flat:
            assert mixed_players(before.x) > d
            assert not is_vertex(problem, before.x)


@pytest.mark.parametrize("method", [support_simplex, face_simplex])
def test_each_way_leads_to_an_optimal_basis_and_its_duals(method):
    for seed in range(4):
        for flat in (True, False):
            problem = stage(30, 2, seed, flat=flat)
            vertex = method(problem, center(problem))
            assert is_vertex(problem, vertex.x)
            assert problem.objective(vertex.x) == pytest.approx(solve_program(problem, "highs").objective, abs=1e-8)
            assert np.count_nonzero(vertex.basis.columns == 1) + np.count_nonzero(vertex.basis.rows == 1) == problem.n_rows
            basic = vertex.basis.columns == 1
            reduced = problem.c - problem.A.T @ vertex.y
            np.testing.assert_allclose(reduced[basic], 0.0, atol=1e-9)


def test_a_misleading_dual_costs_time_but_not_the_vertex():
    problem = stage(30, 2, 0)
    good = solve_program(problem, "highs")
    before = replace(center(problem), x=good.x * 0.9999 + 0.0001 / 3, z=-np.ones(problem.n_columns), is_vertex=False)
    assert face_simplex(problem, before).x == pytest.approx(good.x, abs=1e-7)


def test_the_middle_of_the_feasible_set():
    problem = stage(50, 2, 0, flat=True)
    before = uniform(problem, np.full(problem.n_columns, 1 / 3))
    after = purify(problem, before)
    check(problem, before, after)
    assert mixed_players(after.x) <= 2


def test_the_basis_is_one_that_the_simplex_method_starts_from():
    from eqsolve.backends import Start

    problem = stage(60, 2, 1)
    after = purify(problem, center(problem))
    again = solve_program(problem, "highs", start=Start(basis=after.basis))
    assert again.warm_start
    assert again.iterations == 0
    np.testing.assert_allclose(again.x, after.x, atol=1e-9)


def test_another_solvers_interior_answer():
    cp = pytest.importorskip("cvxpy")
    problem = stage(40, 2, 3, flat=True)
    p = cp.Variable(problem.n_columns)
    activity = problem.A @ p
    rows = [activity >= problem.row_lower, activity <= problem.row_upper]
    cp.Problem(cp.Maximize(problem.c @ p), [*rows, p >= 0, p <= 1]).solve(solver="CLARABEL")
    before = make_outcome(
        problem, Termination.OPTIMAL, x=p.value, y=rows[1].dual_value - rows[0].dual_value, backend="cvxpy:CLARABEL"
    )
    after = purify(problem, before)
    check(problem, before, after)
    assert mixed_players(before.x) > 2 >= mixed_players(after.x)
    assert after.backend == "cvxpy:CLARABEL"
    assert after.seconds.solve > before.seconds.solve


def test_unbounded_faces_free_columns_and_degenerate_rows():
    A = sparse.csc_array(np.array([[1.0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, -1]]))
    problem = Program(
        "free",
        "min",
        np.array([1.0, 1, 1, 0]),
        A,
        np.array([1.0, 1, 0]),
        np.array([1.0, INF, 0]),
        np.array([0.0, 0, -INF, -INF]),
        np.full(4, INF),
    )
    x = np.array([0.3, 0.3, 0.4, 0.4])
    before = make_outcome(problem, Termination.OPTIMAL, x=x, y=np.array([1.0, 0, 0]))
    assert not is_vertex(problem, x)
    check(problem, before, purify(problem, before))


def test_without_duals_the_face_leads_to_a_vertex():
    problem = stage(30, 2, 5, flat=True)
    before = replace(uniform(problem, np.full(problem.n_columns, 1 / 3)), y=None, z=None)
    after = purify(problem, before)
    assert after.is_vertex
    assert is_vertex(problem, after.x)
    assert mixed_players(after.x) <= 2


def test_a_feasible_point_short_of_optimality_becomes_a_vertex_that_is_no_worse():
    problem = stage(30, 2, 6)
    before = make_outcome(problem, Termination.TIME_LIMIT, x=np.full(problem.n_columns, 1 / 3))
    after = purify(problem, before)
    assert after.termination is Termination.TIME_LIMIT
    assert is_vertex(problem, after.x)
    assert after.objective >= before.objective


def test_what_needs_no_purification_is_handed_back():
    problem = stage(10, 1, 0)
    vertex = solve_program(problem, "highs", vertex=True)
    assert purify(problem, vertex) is vertex
    nothing = Outcome(Termination.TIME_LIMIT)
    assert purify(problem, nothing) is nothing


def test_only_linear_programs():
    problem = replace(stage(3, 1, 0), integrality=np.ones(9, bool))
    with pytest.raises(BackendUnsupported, match="MILP"):
        purify(problem, Outcome(Termination.OPTIMAL, x=np.full(9, 1 / 3)))


def test_a_point_that_claims_more_than_the_optimum_is_not_replaced_by_a_worse_one_in_silence():
    problem = stage(20, 2, 0)
    lie = replace(center(problem), objective=1e9)
    assert purify(problem, lie).is_vertex  # the objective is computed from the point, not taken from the outcome
    infeasible = Outcome(Termination.OPTIMAL, x=np.ones(problem.n_columns))
    kept = purify(problem, infeasible)
    assert not kept.is_vertex
    assert "not purified" in kept.notes[-1]
    assert kept.x is infeasible.x


@dataclass(frozen=True)
class Claims:
    """A structure with a method of its own; ``answer`` is what it says is a vertex."""

    answer: np.ndarray
    name: str = "claims"

    def refuses(self, program):
        return "only purifies"

    def solve(self, program):
        return StructureAnswer("iteration_limit")

    def purify(self, program, x):
        return self.answer


def test_a_structures_own_method_is_used_and_checked():
    plain = stage(20, 2, 2)
    optimal = solve_program(plain, "highs", vertex=True)
    before = center(plain)
    good = replace(plain, structure=Claims(optimal.x))
    after = purify(good, before)
    assert after.x.tolist() == optimal.x.tolist()
    assert after.is_vertex
    np.testing.assert_array_equal(after.y, before.y)
    worst = solve_program(replace(plain, sense="min"), "highs", vertex=True)
    for wrong in (worst.x, np.full(plain.n_columns, 2.0)):
        after = purify(replace(plain, structure=Claims(wrong)), before)
        check(plain, before, after)
        assert after.objective == pytest.approx(optimal.objective, abs=1e-8)


def test_solve_program_asks_for_it():
    problem = stage(30, 2, 4, flat=True)
    outcome = solve_program(problem, "highs", vertex=True, options=IPM, limits=Limits(seconds=60.0))
    assert outcome.notes[-1] == "purified to a vertex"
    assert is_vertex(problem, outcome.x)
    assert get_backend("highs").name == outcome.backend
