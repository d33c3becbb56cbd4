"""A certificate holds for what is true, and for nothing that was tampered with."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given, settings

from eqsolve.backends.outcome import Outcome, Termination, make_outcome
from eqsolve.certificates import certify, check_direction, primal_residual
from eqsolve.errors import InvalidData
from eqsolve.programs import Cone
from tests.certificates.oracle import INF, MILD, exact_optimum, program, tiny_lps
from tests.certificates.test_bound import CONIC, duals

WYNDOR = program([3, 5], [[1, 0], [0, 2], [3, 2]], (-INF, [4, 12, 18]), (0, INF), sense="max")
PORTFOLIO = program([-2, -4], [[1, 1]], (1, 1), (-5, 5), Q=2 * np.eye(2), offset=5.0)


def answer(lp, x, y, termination=Termination.OPTIMAL, **facts):
    return make_outcome(lp, termination, x=np.asarray(x, float), y=None if y is None else np.asarray(y, float), **facts)


@given(tiny_lps(upper_bounds=False, numbers=MILD))
@settings(max_examples=120, deadline=None)
def test_holds_for_true_optima_of_random_programs(lp):
    found = duals(lp)
    if found is None:
        return
    y, x = found
    certificate = certify(lp, answer(lp, x, y))
    assert certificate.holds(1e-6), certificate.reason(1e-6)
    boxed = replace(lp, col_upper=np.minimum(lp.col_upper, 1e12), _trusted=False)
    assert certificate.objective == pytest.approx(float(exact_optimum(boxed)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("exact", [False, True])
def test_a_textbook_answer(exact):
    certificate = certify(WYNDOR, answer(WYNDOR, [2, 6], [0, 1.5, 1]), exact=exact)
    assert certificate.holds(0.0)
    assert certificate.gap == 0.0
    assert certificate.bound.value == pytest.approx(36.0, abs=1e-12)
    assert certificate.rigorous_gap >= 0.0
    assert certificate.exact is certificate.bound.exact is exact
    gap = certificate.optimality_gap()
    assert (gap.method, gap.assumptions, gap.holds(1e-12)) == ("bracket", (), True)
    text = str(certificate)
    assert "objective       36" in text
    assert "rigorous bound  at most 36" in text


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        ({"x": [2.1, 6.0]}, "primal residual is 0.3 absolute"),
        ({"x": [2.0, 5.9]}, "complementarity residual"),
        ({"x": [-0.1, 6.0]}, "worst at x[0]"),
        ({"y": [0.0, -1.5, -1.0]}, "dual residual is 10 absolute"),
        ({"y": [0.0, -1.5, 1.0]}, "dual residual"),
        ({"y": [0.1, 1.5, 1.0]}, "dual residual is 0.1 absolute"),
        ({"y": [0.0, 1.5, 2.0], "z": None}, "complementarity residual is 12 absolute"),
        ({"y": [1.0, 3.0, 1.0], "z": None}, "complementarity residual is 18 absolute"),
        ({"z": [1.0, 0.0]}, "dual residual is 1 absolute"),
        ({"x": [np.nan, 6.0]}, "not finite at x[0]"),
        ({"y": None}, "no duals in hand"),
        ({"y": [np.inf, 0.0, 0.0]}, "no duals in hand"),
        ({"x": None}, "no point in hand"),
    ],
)
def test_a_tampered_answer_does_not_hold(tamper, said):
    good = answer(WYNDOR, [2, 6], [0, 1.5, 1])
    changed = replace(good, **{name: None if v is None else np.asarray(v) for name, v in tamper.items()})
    certificate = certify(WYNDOR, changed)
    assert not certificate.holds(1e-6)
    assert said in certificate.reason(1e-6)
    assert str(certificate)


def test_an_objective_that_the_solver_claims_is_not_read():
    lied = replace(answer(WYNDOR, [2, 6], [0, 1.5, 1]), objective=99.0)
    assert certify(WYNDOR, lied).objective == 36.0


def test_every_flip_of_a_dual_is_seen():
    for lp, x, y in ((WYNDOR, [2, 6], [0, 1.5, 1]), (PORTFOLIO, [0, 1], [-2.0])):
        assert certify(lp, answer(lp, x, y)).holds(1e-12)
        assert not certify(lp, answer(lp, x, -np.asarray(y))).holds(1e-3)


def test_quadratic():
    certificate = certify(PORTFOLIO, answer(PORTFOLIO, [0, 1], [-2.0]), exact=True)
    assert certificate.holds(0.0)
    assert certificate.objective == certificate.dual_objective == 2.0
    assert certificate.bound.value == 2.0
    off = certify(PORTFOLIO, answer(PORTFOLIO, [0.01, 0.99], [-2.0]))
    assert off.reason(1e-6).startswith("complementarity residual")
    assert off.holds(0.3)


@pytest.mark.parametrize(("cone_program", "optimum", "y", "x"), CONIC, ids=["disc", "disc max", "hyperbola", "tangent"])
def test_cones(cone_program, optimum, y, x):
    good = answer(cone_program, x, y)
    certificate = certify(cone_program, good, exact=True)
    assert certificate.holds(1e-9), certificate.reason(1e-9)
    assert certificate.objective == pytest.approx(optimum, abs=1e-12)
    assert not certify(cone_program, answer(cone_program, x, -np.asarray(y))).holds(1e-3)
    worse = np.asarray(x) * ([1.0, 1.5] if optimum == 2 - 2 * log(2) else 1.5 if optimum == 2.0 else 0.9)
    moved = answer(cone_program, worse, y)
    assert moved.x is not None
    assert not certify(cone_program, moved).holds(1e-3)
    is_exp = cone_program.kind == "EXP"
    assert ("exponential cones are checked in float arithmetic" in certificate.notes) is is_exp


def test_exact_arithmetic_sees_a_violation_that_floats_do_not():
    # 1e16 + 1 - 1e16 is 1; floats make it 0.
    lp = program([0, 0, 0], [[1, 1, 1]], (-INF, 0.5), (-INF, INF))
    x, y = np.array([1e16, 1.0, -1e16]), np.zeros(1)
    outcome = Outcome(Termination.OPTIMAL, x=x, y=y)
    assert certify(lp, outcome).primal.absolute == 0.0
    exact = certify(lp, outcome, exact=True)
    assert exact.primal.absolute == 0.5
    assert exact.primal.where == "row[0]"
    assert not exact.holds(1e-6)


def test_exact_cone_violation_is_rounded_up():
    disc = Cone("soc", np.arange(3), np.array([0.0, 0.0, 0.0]))
    lp = program([0, 0, 0], np.eye(3), (-INF, INF), (-INF, INF), cones=[disc])
    on, off = np.array([5.0, 3.0, 4.0]), np.array([np.nextafter(5.0, 0.0), 3.0, 4.0])
    assert certify(lp, Outcome(Termination.OPTIMAL, x=on), exact=True).primal.absolute == 0.0
    tiny = certify(lp, Outcome(Termination.OPTIMAL, x=off), exact=True).primal.absolute
    assert 0 < 5.0 - off[0] <= tiny <= 1.01 * (5.0 - off[0])


# --- mixed-integer --------------------------------------------------------------------------------------------------

KNAPSACK = program([10, 13, 7], [[3, 4, 2]], (-INF, 6), (0, 1), sense="max", integer=[True] * 3)


def test_mixed_integer_rests_on_the_solvers_bound_and_says_so():
    certificate = certify(KNAPSACK, answer(KNAPSACK, [0, 1, 1], None, bound=20.0))
    assert certificate.holds(1e-9)
    assert certificate.method == "uncertified bound"
    assert "20, not certified" in str(certificate)
    assert certificate.bound.value == pytest.approx(30.0)
    assert certificate.optimality_gap().method == "relaxation"


@pytest.mark.parametrize(
    ("x", "facts", "said"),
    [
        ([0, 1, 1], {}, "the solver gives no bound of its own"),
        ([1, 0, 1], {"bound": 20.0}, "gap to the solver's own bound"),
        ([0, 1, 1], {"bound": 21.0}, "gap to the solver's own bound"),
    ],
)
def test_mixed_integer_answers_that_do_not_hold(x, facts, said):
    certificate = certify(KNAPSACK, answer(KNAPSACK, x, None, **facts))
    assert said in certificate.reason(1e-6)


def test_a_fractional_point_does_not_hold():
    half = Outcome(Termination.OPTIMAL, x=np.array([0.0, 1.0, 0.999]), bound=20.0)
    assert "worst at x[2]" in certify(KNAPSACK, half).reason(1e-6)


def test_an_integral_relaxation_certifies_without_the_solver():
    lp = program([1, 2], [[1, 1]], (-INF, 1), (0, 1), sense="max", integer=[True, True])
    assert certify(lp, answer(lp, [0, 1], [2.0])).holds(1e-12)


# --- infeasible, unbounded, stopped ---------------------------------------------------------------------------------

CROWDED = program([1, 1], [[1, 1], [1, 0]], ([3, -INF], [INF, 1]), (0, [INF, 1]))


@pytest.mark.parametrize("exact", [False, True])
def test_infeasible_by_its_ray(exact):
    good = Outcome(Termination.INFEASIBLE, ray=np.array([1.0, -1.0]))
    certificate = certify(CROWDED, good, exact=exact)
    assert certificate.holds(0.0)
    assert certificate.farkas.conflict == ("row[0] >= 3", "row[1] <= 1", "x[1] <= 1")
    assert "in conflict" in str(certificate)
    for ray in ([-1.0, 1.0], [1.0, 0.0], [0.0, -1.0], [np.nan, 1.0], None):
        bad = certify(CROWDED, Outcome(Termination.INFEASIBLE, ray=None if ray is None else np.array(ray)), exact=exact)
        assert not bad.holds(1.0) or bad.farkas.proven
    reachable = replace(CROWDED, row_lower=np.array([2.0, -INF]), _trusted=False)
    assert not certify(reachable, good).holds(1.0)


def test_infeasible_by_integrality_alone_says_that_nothing_certifies_it():
    lp = program([1], [[2.0]], (1, 1), (0, 3), integer=[True])
    assert "integrality alone" in certify(lp, Outcome(Termination.INFEASIBLE)).reason(1e-6)


GROWING = program([1, 1], [[1, -1]], (-1, 1), (0, INF), sense="max")


@pytest.mark.parametrize("exact", [False, True])
def test_unbounded_by_its_direction_from_a_point(exact):
    certificate = certify(GROWING, Outcome(Termination.UNBOUNDED, direction=np.array([3.0, 3.0])), exact=exact)
    assert certificate.holds(1e-9)
    assert certificate.direction.proven is (True if exact else None)
    for direction in ([-1.0, -1.0], [1.0, 0.0], [0.0, 0.0], [np.inf, 1.0], None):
        wrong = Outcome(Termination.UNBOUNDED, direction=None if direction is None else np.array(direction))
        assert not certify(GROWING, wrong, exact=exact).holds(1e-6)


def test_unbounded_needs_a_feasible_point():
    lp = program([1, 0], [[0, 1], [0, 1]], ([2, -INF], [INF, 1]), (0, INF), sense="max")
    outcome = Outcome(Termination.UNBOUNDED, direction=np.array([1.0, 0.0]))
    certificate = certify(lp, outcome)
    assert certificate.direction.holds(1e-9)
    assert "no feasible point in hand" in certificate.reason(1e-6)


def test_a_direction_along_curvature_does_not_hold():
    qp = program([-1, 0], [[1, 1]], (0, INF), (-INF, INF), Q=[[1, 0], [0, 0]])
    assert not check_direction(qp, [1.0, 0.0]).holds(1e-6)
    assert check_direction(qp, [1.0, 0.0], exact=True).proven is False
    flat = program([-1, -1], [[1, 1]], (0, INF), (-INF, INF), Q=[[1, 0], [0, 0]])
    assert check_direction(flat, [0.0, 1.0], exact=True).proven is True


def test_a_direction_of_a_cone():
    disc = Cone("soc", np.arange(2), np.array([1.0, 0.0]))
    lp = program([0, -1], np.eye(2), (-INF, INF), (-INF, INF), cones=[disc])
    assert check_direction(lp, [1.0, 1.0], exact=True).proven is True
    assert not check_direction(lp, [1.0, 2.0]).holds(1e-6)
    with pytest.raises(InvalidData, match="the direction is zero"):
        check_direction(lp, [0.0, 0.0])


def test_an_undecided_solver_is_judged_by_what_it_hands_over():
    undecided = Termination.INFEASIBLE_OR_UNBOUNDED
    assert certify(CROWDED, Outcome(undecided, ray=np.array([1.0, -1.0]))).holds(0.0)
    assert certify(GROWING, Outcome(undecided, direction=np.ones(2))).holds(1e-9)
    assert not certify(GROWING, Outcome(undecided)).holds(1e-9)


def test_a_limit_holds_only_if_the_numbers_prove_optimality():
    stopped = Termination.TIME_LIMIT
    feasible = certify(WYNDOR, answer(WYNDOR, [1, 6], [0, 1.5, 1], stopped))
    assert feasible.claim == "feasible"
    assert not feasible.holds(1e-6)
    assert feasible.rigorous_gap == pytest.approx(3.0)
    assert certify(WYNDOR, answer(WYNDOR, [2, 6], [0, 1.5, 1], stopped)).holds(1e-9)
    only_bound = certify(WYNDOR, Outcome(stopped, y=np.array([0, 1.5, 1])))
    assert only_bound.bound.value == pytest.approx(36.0)
    assert not only_bound.holds(1.0)


def test_primal_residual_names_the_worst():
    residual = primal_residual(WYNDOR, np.array([5.0, 6.0]))
    assert (residual.absolute, residual.where) == (9.0, "row[2]")
    assert residual.relative == pytest.approx(9 / 19)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "y", "z", "ray", "direction"])
def test_vectors_of_another_program_are_refused(name):
    with pytest.raises(InvalidData, match=f"{name} of the outcome has shape"):
        certify(WYNDOR, Outcome(Termination.OPTIMAL, **{name: np.zeros(7)}))


@pytest.mark.parametrize("tolerance", [-1e-9, np.nan])
def test_a_tolerance_is_not_negative(tolerance):
    with pytest.raises(InvalidData, match="tolerance"):
        certify(WYNDOR, answer(WYNDOR, [2, 6], [0, 1.5, 1])).holds(tolerance)


def test_entropy_value():
    tangent = CONIC[3][0]
    assert certify(tangent, answer(tangent, CONIC[3][3], CONIC[3][2])).dual_objective == pytest.approx(2 - 2 * log(2))
