"""Farkas rays and directions: found for random programs that are infeasible or unbounded by construction, refused where wrong."""

import numpy as np
import pytest
from scipy import sparse

from eqsolve.backends import Termination, solve_program
from eqsolve.backends.proofs import elastic, proven_direction, proven_ray, recession
from eqsolve.certificates import certify, check_direction, check_farkas
from eqsolve.programs import Cone, Program
from tests.cases import CASES

INF = np.inf
BY_NAME = {case.name: case.program for case in CASES}
INSIDE = {"soc": [2.0, 0.5, -1.0], "rsoc": [1.5, 1.0, 0.7], "exp": [-0.3, 1.2, 1.4]}
"""A point inside each cone."""
PRICE = {"soc": [1.5, -1.0, 0.4], "rsoc": [1.0, 1.5, -0.8], "exp": [-0.8, -0.2, 0.9]}
"""A point inside each dual cone."""


def random_program(kind, seed, flaw):
    """Two cones and two rows over four columns; infeasible by a planted ray, or feasible with a planted direction."""
    rng = np.random.default_rng(seed)
    A, n = rng.normal(size=(8, 4)), 4
    d = rng.normal(size=n)
    c = rng.normal(size=n)
    price = np.concatenate([PRICE[kind], PRICE[kind], [1.0, 0.5]]) * rng.uniform(0.8, 1.2)
    inside = np.concatenate([INSIDE[kind], INSIDE[kind]])
    if flaw == "infeasible":
        A -= np.outer(price, price @ A) / (price @ price)
        shift = rng.normal(size=6)
        low = rng.normal(size=2)
        low[0] += (1.0 + price[:6] @ shift - price[6:] @ low) / price[6]
    else:
        wanted = np.concatenate([inside, [1.0, 0.0]])
        A += np.outer(wanted - A @ d, d) / (d @ d)
        shift, low = inside.copy(), np.array([-1.0, -1.0])
        c += (1.0 - c @ d) * d / (d @ d)
    cones = tuple(Cone(kind, np.arange(3) + 3 * k, shift[3 * k : 3 * k + 3]) for k in range(2))
    lower = np.concatenate([np.full(6, -INF), low])
    box = np.full(n, 100.0 if flaw == "infeasible" else INF)  # without bounds, rounding of the data decides in the far distance
    return Program(f"{flaw} {kind}", "max", c, sparse.csc_array(A), lower, np.full(8, INF), -box, box, cones=cones)


@pytest.mark.parametrize("backend", ["cvxpy:CLARABEL", "cvxpy:SCS"])
@pytest.mark.parametrize("kind", ["soc", "rsoc", "exp"])
@pytest.mark.parametrize("flaw", ["infeasible", "unbounded"])
def test_planted_verdicts_are_found_and_proven(flaw, kind, backend):
    for seed in range(6):
        program = random_program(kind, seed, flaw)
        outcome = solve_program(program, backend)
        assert outcome.termination is Termination[flaw.upper()], outcome.notes
        assert certify(program, outcome).holds(1e-6), certify(program, outcome).reason(1e-6)
        if flaw == "infeasible":
            assert check_farkas(program, outcome.ray).proven


def random_rows(seed, flaw, quadratic):
    """Thirty rows over twenty columns from zero on, degenerate and sparse, with a planted ray or direction."""
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((30, 20)) < 0.4, rng.integers(-5, 6, (30, 20)), 0).astype(float)
    inside, slack, c = rng.random(20), rng.random(30), rng.normal(size=20)
    d = np.where(rng.random(20) < 0.3, rng.integers(1, 4, 20), 0).astype(float)
    d[0] = 1.0
    B = rng.normal(size=(4, 20))
    if flaw == "infeasible":
        y = np.where(rng.random(30) < 0.3, rng.random(30), 0.0)
        A[0] = -y[1:] @ A[1:] - 0.1 * (rng.random(20) + 0.1)
        low = A @ inside - slack
        low[0] = 0.5 - y[1:] @ low[1:]
    else:
        A = np.where((A @ d < 0)[:, None], -A, A)
        low = A @ inside - slack
        c -= d * (c @ d + 1) / (d @ d)
        B[:, d > 0] = 0.0
    Q = sparse.csc_array(B.T @ B) if quadratic else None
    return Program(f"{flaw} {seed}", "min", c, sparse.csc_array(A), low, np.full(30, INF), np.zeros(20), np.full(20, INF), Q=Q)


@pytest.mark.parametrize("backend", ["auto", "highs", "cvxpy:CLARABEL", "cvxpy:SCS"])
@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("flaw", ["infeasible", "unbounded"])
def test_planted_verdicts_on_rows_are_found_and_proven(flaw, quadratic, backend):
    for seed in range(12):
        program = random_rows(seed, flaw, quadratic)
        outcome = solve_program(program, backend)
        assert outcome.termination is Termination[flaw.upper()], outcome.notes
        assert certify(program, outcome).holds(1e-6), certify(program, outcome).reason(1e-6)


@pytest.mark.parametrize("name", ["infeasible rows", "infeasible chain", "infeasible for max", "QP infeasible", "SOCP infeasible"])
def test_the_elastic_program_measures_the_conflict_and_its_duals_prove_it(name):
    program = BY_NAME[name]
    answer = solve_program(elastic(program))
    assert answer.objective > 0.1
    assert check_farkas(program, proven_ray(program, answer.y)).proven


@pytest.mark.parametrize("name", ["production", "degenerate", "distance", "entropy", "equality QP"])
def test_programs_with_an_optimum_have_no_proof_of_anything(name):
    program = BY_NAME[name]
    slack, away = solve_program(elastic(program)), solve_program(recession(program))
    assert slack.objective == pytest.approx(0.0, abs=1e-6)
    assert proven_ray(program, slack.y) is None
    assert proven_direction(program, away.x) is None
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert proven_ray(program, rng.normal(size=program.n_rows)) is None
        assert proven_direction(program, rng.normal(size=program.n_columns)) is None


@pytest.mark.parametrize("name", ["unbounded", "unbounded free", "QP unbounded", "SOCP unbounded", "EXP unbounded"])
def test_the_recession_program_finds_a_direction(name):
    program = BY_NAME[name]
    direction = proven_direction(program, solve_program(recession(program)).x)
    assert check_direction(program, direction).improvement > 0.1
    assert proven_direction(program, -direction) is None


def test_auxiliary_programs_are_programs_that_can_be_printed():
    program = BY_NAME["QP unbounded"]
    for one in (elastic(program), recession(program)):
        assert str(one)
        assert one.row_name(one.n_rows - 1)
        assert one.column_name(one.n_columns - 1)


def test_noise_of_an_interior_point_is_rounded_away_where_no_bound_would_forgive_it():
    program = BY_NAME["infeasible for max"]
    ray = proven_ray(program, np.array([1.0, 1.0 - 5e-10]))
    assert (program.A.T @ ray == 0).all()


@pytest.mark.parametrize("bad", [None, np.zeros(2), np.array([np.nan, 1.0]), np.array([1.0, np.inf])])
def test_what_is_no_vector_proves_nothing(bad):
    program = BY_NAME["infeasible rows"]
    assert proven_ray(program, bad) is None
    assert proven_direction(program, bad) is None


def test_a_ray_outside_the_dual_cone_proves_nothing():
    program = BY_NAME["SOCP infeasible"]
    ray = solve_program(program).ray
    tilted = ray.copy()
    tilted[0] *= 0.5
    assert proven_ray(program, tilted) is None
