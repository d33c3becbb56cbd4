"""The shared table of programs: certificates of real solvers' answers, and bounds that respect the known optima."""

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.backends import Termination, solve_program
from eqsolve.certificates import certify
from tests.cases import CASES

CONIC = [case for case in CASES if case.program.cones and case.program.integrality is None]
PLAIN = [case for case in CASES if not case.program.cones and case.program.kind != "MIQP"]
SOLVED = [(case, "highs") for case in PLAIN] + [(case, "cvxpy:CLARABEL") for case in CONIC]

BY_INTEGRALITY = ("integer infeasible", "integer gap")
"""Infeasible by integrality alone, for which there is no certificate short of the branching itself."""


def solved(case, backend):
    return solve_program(case.program, backend=backend)


@pytest.mark.parametrize(("case", "backend"), SOLVED, ids=[case.name for case, _ in SOLVED])
def test_certificate_holds_and_the_bound_respects_the_optimum(case, backend):
    outcome = solved(case, backend)
    sign = 1.0 if case.program.sense == "min" else -1.0
    for exact in (False, True):
        certificate = certify(case.program, outcome, exact=exact)
        if case.name in BY_INTEGRALITY:
            assert "in hand" in certificate.reason(1e-6)
            continue
        assert certificate.holds(1e-6), certificate.reason(1e-6)
        assert str(certificate)
        if case.optimum is None:
            continue
        assert certificate.objective == pytest.approx(case.optimum, rel=1e-6, abs=1e-6)
        assert certificate.bound.value is not None, certificate.bound.reason
        assert sign * (certificate.bound.value - case.optimum) <= 1e-14 * (1 + abs(case.optimum))
        if case.program.integrality is None:
            assert abs(certificate.bound.value - case.optimum) <= 1e-5 * (1 + abs(case.optimum))


@pytest.mark.parametrize(("case", "backend"), SOLVED, ids=[case.name for case, _ in SOLVED])
def test_tampered_answers_do_not_hold(case, backend):
    good = solved(case, backend)
    if good.termination is Termination.INFEASIBLE and good.ray is not None:
        negated = certify(case.program, replace(good, ray=-good.ray))
        assert negated.farkas.proven is negated.holds(1e-6)
        assert not negated.holds(1e-6) or len(negated.farkas.rows) == 1, "only a single row proves itself without a ray"
    elif good.termination is Termination.UNBOUNDED and good.direction is not None:
        assert not certify(case.program, replace(good, direction=-good.direction)).holds(1e-6)
    elif good.x is not None and good.y is not None and good.y.any() and case.program.integrality is None:
        assert not certify(case.program, replace(good, y=-good.y, z=None)).holds(1e-6)
        moved = certify(case.program, replace(good, x=good.x + np.where(good.x > 0.5, -0.3, 0.3), z=None))
        also_optimal = moved.primal.absolute < 1e-6 and abs(moved.objective - case.optimum) < 1e-6
        assert moved.holds(1e-6) is also_optimal, moved.reason(1e-6)
