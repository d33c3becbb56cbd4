"""Every program of the table through every usable backend: the certificate first, then the value, then the duals."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from eqsolve.backends import Feature, Limits, PointStatus, Termination, get_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.programs import Cone, Program, Update
from eqsolve.programs.cone import cone_violation
from tests.backends.usable import able_backends, usable, usable_backends
from tests.cases import CASES, INFEASIBLE, OPTIMAL

TRUSTED = {"LP": "scipy", "QP": "highs", "SOCP": "cvxpy:CLARABEL", "EXP": "cvxpy:CLARABEL"}
PAIRS = [pytest.param(case, name, id=f"{case.name}-{name}") for case in CASES for name in able_backends(case.program)]
WITHOUT_OPTIMUM = [case for case in CASES if case.optimum is None]
BY_INTEGRALITY = ("integer infeasible", "integer gap")
"""Infeasible by integrality alone, of which the data hold no certificate."""
BY_NAME = {case.name: case for case in CASES}


def test_the_table_covers_every_kind_and_the_commercial_solvers():
    assert len(CASES) >= 25
    assert {case.program.kind for case in CASES} >= {"LP", "MILP", "QP", "MIQP", "SOCP", "MISOCP", "EXP"}
    assert {name for name in (one.name for one in usable()) if name.partition(":")[0] in ("cvxpy", "pulp")} >= {
        "cvxpy:CLARABEL",
        "cvxpy:SCS",
        "cvxpy:HIGHS",
        "pulp:PULP_CBC_CMD",
        "pulp:HiGHS",
    }
    assert {one.values[0].termination for one in PAIRS if one.values[1] == "native"} == {OPTIMAL, INFEASIBLE}


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_case(case, name):
    outcome = solve_program(case.program, backend=name)
    assert outcome.termination in case.termination, outcome.notes
    assert outcome.backend == name
    assert outcome.version
    if case.optimum is None:
        assert outcome.primal is not PointStatus.OPTIMAL
        check_proof(case, outcome)
        return
    certificate = certify(case.program, outcome)
    if outcome.y is not None:
        assert certificate.holds(2e-6), str(certificate)
    assert outcome.objective == pytest.approx(case.optimum, abs=1e-6 * (1 + abs(case.optimum)))
    assert outcome.objective == case.program.objective(outcome.x)
    features = get_backend(name).capabilities.features
    assert (outcome.y is not None) == (Feature.DUALS in features and case.program.integrality is None) or (
        name in ("cvxpy:GUROBI", "cvxpy:XPRESS") and case.program.cones
    )
    if outcome.y is not None:
        check_duals(case, outcome)


def check_duals(case, outcome):
    """The reduced costs are c + Qx - A'y, the signs go with the sides that bind, and the duals are derivatives."""
    program, sign = case.program, 1.0 if case.program.sense == "min" else -1.0
    y, scale = outcome.y, 1 + np.abs(outcome.y).max(initial=0.0)
    assert np.array_equal(outcome.z, program.gradient(outcome.x) - program.A.T @ y)
    slack = 1e-4 * scale
    activity = program.A @ outcome.x
    off_lower, off_upper = activity > program.row_lower + 1e-3, activity < program.row_upper - 1e-3
    loose = np.ones(program.n_rows, dtype=bool)
    for one in program.cones:
        loose[one.rows] = False
    assert (sign * y[off_lower & loose] <= slack).all()
    assert (sign * y[off_upper & loose] >= -slack).all()
    inside_lower, inside_upper = outcome.x > program.col_lower + 1e-3, outcome.x < program.col_upper - 1e-3
    if "scale" not in case.features:
        assert (sign * outcome.z[inside_lower] <= slack).all()
        assert (sign * outcome.z[inside_upper] >= -slack).all()
    if case.unique_duals:
        np.testing.assert_allclose(y, derivatives(case.name), atol=2e-4 * scale)


@cache
def derivatives(name):
    """d(optimum)/d(rhs) of every row by central differences, from one trusted solver at shifted data."""
    program, h = BY_NAME[name].program, 1e-4
    backend = TRUSTED[program.kind]
    slopes = np.zeros(program.n_rows)
    for i in range(program.n_rows):
        ahead, behind = (solve_program(shifted(program, i, step), backend).objective for step in (h, -h))
        slopes[i] = (ahead - behind) / (2 * h)
    return slopes


def shifted(program: Program, i: int, step: float) -> Program:
    """The program with the right-hand side of row i moved by ``step``; of a cone's row, minus the shift."""
    unit = np.zeros(program.n_rows)
    unit[i] = step
    cones = tuple(Cone(one.kind, one.rows, one.shift - unit[one.rows]) for one in program.cones)
    moved = program.with_values(Update(row_lower=program.row_lower + unit, row_upper=program.row_upper + unit))
    return Program(
        moved.name, moved.sense, moved.c, moved.A, moved.row_lower, moved.row_upper, moved.col_lower, moved.col_upper,
        Q=moved.Q, offset=moved.offset, cones=cones,
    )  # fmt: skip


def check_proof(case, outcome):
    """A Farkas ray, or a direction and a point, proves the verdict; only infeasibility by integrality has no proof."""
    if case.name in BY_INTEGRALITY:
        assert outcome.termination is Termination.INFEASIBLE
        assert (outcome.x, outcome.ray, outcome.direction) == (None, None, None)
        assert "no proof" in outcome.notes[-1]
        return
    assert certify(case.program, outcome).holds(1e-6), certify(case.program, outcome).reason(1e-6)
    if case.termination == INFEASIBLE:
        assert outcome.termination is Termination.INFEASIBLE
        assert outcome.x is None
        assert outcome.direction is None
        assert outcome.dual is PointStatus.RAY
        return
    assert outcome.termination is Termination.UNBOUNDED
    assert outcome.x is not None
    assert outcome.ray is None
    program, d = case.program, outcome.direction
    assert (program.c @ d if program.sense == "max" else -program.c @ d) > 0
    moved = program.A @ d
    for value, lower, upper in ((moved, program.row_lower, program.row_upper), (d, program.col_lower, program.col_upper)):
        assert (value[np.isfinite(lower)] >= -1e-9).all()
        assert (value[np.isfinite(upper)] <= 1e-9).all()
    for one in program.cones:
        assert cone_violation(one.kind, moved[one.rows]) <= 1e-9


PROVERS = [
    pytest.param(case, name, id=f"{case.name}-{name}")
    for case in WITHOUT_OPTIMUM
    for name in able_backends(case.program)
    if (Feature.FARKAS if case.termination == INFEASIBLE else Feature.DIRECTION) in get_backend(name).capabilities.features
    and case.name not in BY_INTEGRALITY
    and (case.program.kind == "LP" or name != "gurobi")  # its rays are those of linear programs
]


@pytest.mark.parametrize(("case", "name"), PROVERS)
def test_the_session_itself_gives_the_proof_that_is_declared(case, name):
    with get_backend(name).open(case.program) as session:
        check_proof(case, session.solve())


def test_clarabel_and_scs_give_their_own_rays_for_every_kind():
    assert {(one.values[0].program.kind, one.values[1]) for one in PROVERS} >= {
        (kind, name) for kind in ("LP", "SOCP", "EXP") for name in ("cvxpy:CLARABEL", "cvxpy:SCS")
    }


def hard_knapsack(n=60):
    """A market-split-like program that no solver finishes in a blink."""
    rng = np.random.default_rng(7)
    A = rng.integers(0, 100, size=(6, n)).astype(float)
    b = np.floor(A.sum(axis=1) / 2)
    entries = np.hstack([A, np.eye(6), -np.eye(6)])
    c = np.concatenate([np.zeros(n), np.ones(12)])
    whole = np.concatenate([np.ones(n, dtype=bool), np.zeros(12, dtype=bool)])
    return Program(
        "market split",
        "min",
        c,
        entries,
        b,
        b,
        np.zeros(n + 12),
        np.concatenate([np.ones(n), np.full(12, np.inf)]),
        integrality=whole,
    )


@pytest.mark.parametrize(
    "name", [one for one in usable_backends("MILP") if Feature.TIME_LIMIT in get_backend(one).capabilities.features]
)
def test_a_time_limit_is_never_optimal(name):
    program = hard_knapsack()
    outcome = solve_program(program, backend=name, limits=Limits(seconds=1.0))
    assert outcome.termination is Termination.TIME_LIMIT, outcome.notes
    assert outcome.primal is (PointStatus.NONE if outcome.x is None else PointStatus.FEASIBLE)
    assert outcome.y is None
    if outcome.x is not None:
        assert outcome.objective >= 0
        assert np.abs(outcome.x[:60] - np.round(outcome.x[:60])).max() <= 1e-6
        assert np.abs(program.A @ outcome.x - program.row_lower).max() <= 1e-6 * (1 + program.row_lower.max())
