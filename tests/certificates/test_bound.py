"""The rigorous bound is never beyond the true optimum, whatever the multipliers; with the right ones it is sharp."""

from dataclasses import replace
from fractions import Fraction
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from eqsolve.certificates import rigorous_bound
from eqsolve.certificates.bound import DualPoint, float_value
from eqsolve.certificates.curvature import UNPROVED, curvature_floor
from eqsolve.certificates.implied import implied_bounds
from eqsolve.certificates.minform import min_form
from eqsolve.certificates.repair import free_radius
from eqsolve.certificates.rounding import residual_interval
from eqsolve.errors import InvalidData
from eqsolve.programs import Cone
from tests.certificates.oracle import INF, MILD, ROUGH, exact_optimum, program, solve_square, tiny_lps

MANY = settings(max_examples=150, deadline=None)


def beyond(lp, bound, optimum):
    """By how much a bound is on the wrong side of the optimum, exactly; a true bound gives at most 0."""
    gap = Fraction(bound) - optimum
    return gap if lp.sense == "min" else -gap


def duals(lp):
    """Multipliers and a point by linprog, in the user's sign; None when it finds no optimum."""
    sign = 1.0 if lp.sense == "min" else -1.0
    A, up, low = lp.A.toarray(), np.isfinite(lp.row_upper), np.isfinite(lp.row_lower)
    answer = linprog(
        sign * lp.c,
        A_ub=np.vstack([A[up], -A[low]]),
        b_ub=np.concatenate([lp.row_upper[up], -lp.row_lower[low]]),
        bounds=np.column_stack([lp.col_lower, lp.col_upper]),
        method="highs",
    )
    if answer.status != 0:
        return None
    y, prices = np.zeros(lp.n_rows), answer.ineqlin.marginals
    y[up] += prices[: up.sum()]
    y[low] -= prices[up.sum() :]
    return sign * y, answer.x


@MANY
@given(tiny_lps(), st.data())
def test_never_beyond_the_optimum_for_any_multipliers(lp, data):
    y = data.draw(st.lists(ROUGH, min_size=lp.n_rows, max_size=lp.n_rows))
    optimum = exact_optimum(lp)
    for exact in (False, True):
        bound = rigorous_bound(lp, y, exact=exact)
        assert bound.exact is exact
        assert beyond(lp, bound.value, optimum) <= 0


@MANY
@given(tiny_lps(upper_bounds=False, numbers=MILD), st.sampled_from([0.0, 1e-12, 1e-7]), st.integers(0, 9))
def test_near_the_duals_it_is_true_and_sharp(lp, noise, seed):
    found = duals(lp)
    if found is None:
        return
    y, x = found
    y = y + noise * np.random.default_rng(seed).standard_normal(lp.n_rows)
    boxed = replace(lp, col_upper=np.minimum(lp.col_upper, 1e12), _trusted=False)
    optimum = exact_optimum(boxed)
    for exact in (False, True):
        bound = rigorous_bound(lp, y, x, exact=exact)
        if bound.value is None:
            assert "has no upper bound" in bound.reason
            continue
        assert beyond(lp, bound.value, optimum) <= 0
    if noise == 0.0 and np.isfinite(lp.col_upper).all():
        size = 1 + np.abs(lp.c).max() * 10 + np.abs(y).max(initial=0) * (1 + np.abs(lp.A.toarray()).max(initial=0)) * 10
        assert float(beyond(lp, bound.value, optimum)) >= -1e-8 * size


def test_a_sharp_bound_of_a_textbook_program():
    wyndor = program([3, 5], [[1, 0], [0, 2], [3, 2]], (-INF, [4, 12, 18]), (0, INF), sense="max")
    bound = rigorous_bound(wyndor, [0, 1.5, 1], exact=True)
    assert (bound.value, bound.exact, bound.repairs) == (36.0, True, ())
    floats = rigorous_bound(wyndor, [0, 1.5, 1])
    assert 36.0 <= floats.value <= 36.0 + 1e-12


def test_multipliers_of_the_wrong_sign_are_dropped():
    lp = program([1.0], [[1.0]], (1.0, INF), (0.0, 5.0))
    assert rigorous_bound(lp, [-7.0], exact=True).value == 0.0
    assert rigorous_bound(lp, [1.0], exact=True).value == 1.0


def test_exact_arithmetic_where_floats_cancel():
    # The reduced cost is 1e16 - (1e16 - 2) - 2 = 0.
    lp = program([1e16], [[1e16 - 2], [1.0]], ([0.0, 1.0], INF), (0.0, 1e3))
    y = [1.0, 2.0]
    exact, floats = rigorous_bound(lp, y, exact=True).value, rigorous_bound(lp, y).value
    assert exact == 2.0
    assert floats < -1.0, "the error bound of floats is honest: it cannot see that the reduced cost is exactly 0"


def test_a_column_without_bounds_needs_an_exact_zero():
    # x free, x >= 3 by a row: y = 1 is right; y = 1 + 1e-9 leaves a reduced cost, and the multiplier is repaired.
    lp = program([1.0], [[1.0]], (3.0, INF), (-INF, INF))
    assert rigorous_bound(lp, [1.0]).repairs == ()
    bound = rigorous_bound(lp, [1.0 + 1e-9])
    assert 3.0 - 1e-12 <= bound.value <= 3.0
    assert bound.repairs


@pytest.mark.parametrize("x", [-100.0, 2.9, 3.0, 50.0])
def test_a_wrong_point_never_makes_a_wrong_bound(x):
    lp = program([1.0], [[1.0]], (3.0, INF), (-INF, INF))
    for y in (1.0 - 1e-9, 1.0 + 1e-9, 2.0, 0.0):
        bound = rigorous_bound(lp, [y], [x])
        assert bound.value is None or bound.value <= 3.0


def test_no_bound_names_the_column():
    lp = program([1.0, 1.0], [[1.0, 1.0]], (-INF, 4.0), (0.0, [1.0, INF]), sense="max")
    assert rigorous_bound(lp, [1.0]).value == pytest.approx(4.0)
    unbounded = program([1.0, 1.0], [[1.0, 0.0]], (-INF, 4.0), (0.0, [1.0, INF]), sense="max")
    bound = rigorous_bound(unbounded, [1.0])
    assert bound.value is None
    assert bound.y is None
    assert "column x[1] has no upper bound" in bound.reason


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_free_columns_are_settled_by_an_interval(seed):
    # min c'x with A x >= b, x free: the dual A'y = c, y >= 0 in irrational-looking numbers; optimum b'y by construction.
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 8))
    A, x = rng.standard_normal((n, n)) + 3 * np.eye(n), rng.standard_normal(n)
    y = rng.random(n) + 0.5
    lp = program(A.T @ y, A, (A @ x, INF), (-INF, INF))
    bound = rigorous_bound(lp, y + 1e-8 * rng.standard_normal(n))
    solution = solve_exactly(lp)
    assert bound.value is not None, bound.reason
    assert Fraction(bound.value) <= solution
    assert float(solution) - bound.value <= 1e-6


@given(st.integers(0, 10_000), st.sampled_from([1e-15, 1e-9, 1e-3]))
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_exact_multipliers(seed, noise):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    A, meant = rng.standard_normal((n, n)) + 3 * np.eye(n), rng.random(n) + 0.5
    lp = program(A.T @ meant, A, (0.0, INF), (-INF, INF))
    exact = solve_square([[Fraction(v) for v in row] for row in A.T], [Fraction(v) for v in lp.c])
    y = meant + noise * rng.uniform(-1, 1, n)
    middle, error = residual_interval(lp.c, lp.A, y)
    radius = free_radius(min_form(lp), y, lp.col_lower, lp.col_upper, middle - error, middle + error)
    assert all(abs(Fraction(a) - b) <= Fraction(r) for a, b, r in zip(y, exact, radius, strict=True))
    assert radius.max() <= 100 * (noise + 1e-14) * max(np.abs(np.linalg.inv(A)).sum(), 1) * np.abs(A).sum()
    point = DualPoint(min_form(lp), y, lp.col_lower, lp.col_upper, y_radius=radius)
    widened = replace(lp, row_lower=np.full(n, 1.0), _trusted=False)
    value = float_value(replace(point, form=min_form(widened)))
    assert Fraction(value) <= sum(exact)


def solve_exactly(lp):
    """Optimum of a square program whose rows all bind, in rational arithmetic."""
    A = [[Fraction(v) for v in row] for row in lp.A.toarray()]
    x = solve_square(A, [Fraction(v) for v in lp.row_lower])
    return sum((Fraction(a) * b for a, b in zip(lp.c, x, strict=True)), Fraction(0))


@given(tiny_lps(upper_bounds=False))
@settings(max_examples=100, deadline=None)
def test_implied_bounds_cut_off_no_vertex(lp):
    lower, upper = implied_bounds(min_form(lp))
    boxed = replace(lp, col_upper=np.minimum(lp.col_upper, 1e12), _trusted=False)
    implied = replace(boxed, col_lower=np.maximum(lower, lp.col_lower), col_upper=np.minimum(upper, 1e12), _trusted=False)
    assert exact_optimum(implied) == exact_optimum(boxed)


# --- quadratic ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from([0.0, 1e-6, 0.3]))
@settings(max_examples=60, deadline=None)
def test_quadratic_bound_holds_over_the_box(seed, noise):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    half = rng.standard_normal((int(rng.integers(1, n + 1)), n))
    sign = rng.choice([-1.0, 1.0])
    qp = program(
        rng.standard_normal(n), np.ones((1, n)), (1.0, 1.0), (0.0, 1.0), Q=sign * half.T @ half, sense="min" if sign > 0 else "max"
    )
    points = rng.dirichlet(np.ones(n), size=200)
    best = min(sign * qp.objective(p) for p in points)
    at = points[int(np.argmin([sign * qp.objective(p) for p in points]))] + noise * rng.standard_normal(n)
    for exact in (False, True):
        bound = rigorous_bound(qp, rng.standard_normal(1), at, exact=exact)
        assert sign * bound.value <= best + 1e-15
        assert bound.assumptions == ()


@pytest.mark.parametrize("exact", [False, True])
def test_quadratic_bound_is_sharp_at_the_optimum(exact):
    # min (x - 1)^2 + (y - 2)^2 on x + y = 1: x = 0, y = 1, value 2, multiplier -2; the columns are free.
    qp = program([-2, -4], [[1, 1]], (1, 1), (-INF, INF), Q=2 * np.eye(2), offset=5.0)
    bound = rigorous_bound(qp, [-2.0], [0.0, 1.0], exact=exact)
    assert 2.0 - 1e-12 <= bound.value <= 2.0
    off = rigorous_bound(qp, [-2.0 + 1e-5], [1e-5, 1.0], exact=exact)
    assert 2.0 - 1e-4 <= off.value <= 2.0


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_curvature_floor_is_below_the_matrix(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    half = rng.integers(-3, 4, size=(int(rng.integers(1, n + 1)), n)).astype(float)
    Q = program(np.zeros(n), np.zeros((0, n)), (0, 0), (0, 1), Q=half.T @ half + 1e-30 * np.eye(n)).Q
    floor, assumptions = curvature_floor(Q)
    assert assumptions == ()
    assert least_ldl_pivot(Q.toarray(), floor) >= 0
    assert floor.min() > -1e-11


def least_ldl_pivot(Q, floor):
    """The least pivot of an exact LDL' factorisation of Q - diag(floor): all >= 0 (rows of zero pivots are zero) iff it is psd."""
    M = [[Fraction(v) - (Fraction(floor[i]) if i == j else 0) for j, v in enumerate(row)] for i, row in enumerate(Q)]
    pivots, n = [], len(M)
    for k in range(n):
        pivots.append(M[k][k])
        if M[k][k] == 0:
            if any(M[i][k] != 0 for i in range(k, n)):
                return Fraction(-1)
            continue
        for i in range(k + 1, n):
            ratio = M[i][k] / M[k][k]
            M[i] = [a - ratio * b for a, b in zip(M[i], M[k], strict=True)]
    return min(pivots)


@pytest.mark.parametrize("exact", [False, True])
def test_curvature_that_is_missing_is_paid_for_over_the_box(exact):
    # Accepted as convex up to 1e-9, yet the objective falls to -1e-4 at (1000, -1000).
    qp = program([0, 0], np.zeros((0, 2)), (0, 0), (-1e3, 1e3), Q=[[1, 1 + 1e-10], [1 + 1e-10, 1]])
    lowest = qp.objective(np.array([1e3, -1e3]))
    assert lowest < -0.9e-4
    bound = rigorous_bound(qp, [], [0.0, 0.0], exact=exact)
    assert -2.1e-4 <= bound.value <= lowest


def test_curvature_of_a_large_component_is_an_assumption():
    n = 1100
    row = np.ones((n, n))
    floor, assumptions = curvature_floor(program(np.zeros(n), np.zeros((0, n)), (0, 0), (0, 1), Q=row).Q)
    assert assumptions == (UNPROVED,)
    assert (floor == 0).all()


# --- cones ----------------------------------------------------------------------------------------------------------

SOC = Cone("soc", np.array([0, 1, 2]), np.array([1.0, 0.0, 0.0]))
RSOC = Cone("rsoc", np.array([0, 1, 2]), np.array([0.0, 0.0, sqrt(2.0)]))
EXP = Cone("exp", np.array([0, 1, 2]), np.array([0.0, 1.0, 0.0]))
ON_A_DISC = program([3, 4], [[0, 0], [1, 0], [0, 1]], (-INF, INF), (-INF, INF), cones=[SOC])
HYPERBOLA = program([1, 1], [[1, 0], [0, 1], [0, 0]], (-INF, INF), (-9, 9), cones=[RSOC])
TANGENT = program([-2, 1], [[1, 0], [0, 0], [0, 1]], (-INF, INF), (-INF, INF), cones=[EXP])
CONIC = [
    (ON_A_DISC, -5.0, [5.0, 3.0, 4.0], [-0.6, -0.8]),
    (replace(ON_A_DISC, sense="max", _trusted=False), 5.0, [-5.0, 3.0, 4.0], [0.6, 0.8]),
    (HYPERBOLA, 2.0, [1.0, 1.0, -sqrt(2.0)], [1.0, 1.0]),
    (TANGENT, 2 - 2 * log(2), [-2.0, -2.0 + 2.0 * log(2.0), 1.0], [log(2), 2.0]),
]


@pytest.mark.parametrize(("cone_program", "optimum", "y", "x"), CONIC, ids=["disc", "disc max", "hyperbola", "tangent"])
@pytest.mark.parametrize("noise", [0.0, 1e-12, 1e-6, 0.1])
def test_conic_bound_is_true_and_sharp(cone_program, optimum, y, x, noise):
    rng = np.random.default_rng(0)
    sign = 1.0 if cone_program.sense == "min" else -1.0
    for exact in (False, True):
        for _ in range(20):
            bound = rigorous_bound(cone_program, np.asarray(y) + noise * rng.standard_normal(3), x, exact=exact)
            if bound.value is None:
                assert noise >= 0.1
                continue
            assert sign * (bound.value - optimum) <= 4e-15
            assert bound.exact is (exact and cone_program is not TANGENT) or bound.repairs
            if noise <= 1e-6:
                assert abs(bound.value - optimum) <= 100 * noise + 1e-10


@given(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), st.sampled_from(["soc", "rsoc", "exp"]), st.booleans())
@settings(max_examples=400, deadline=None)
def test_any_multipliers_end_up_in_the_dual_cone(y, kind, constant):
    from eqsolve.certificates.dualcone import into_dual_cone

    rows = [[1.0], [0.0 if constant else 1.0], [1.0]]
    inside = into_dual_cone(
        min_form(program([0.0], rows, (-INF, INF), (0, 1), cones=[Cone(kind, np.arange(3), np.zeros(3))])), np.asarray(y)
    )
    a, b, c = (Fraction(one) for one in inside)
    if kind == "soc":
        assert a >= 0
        assert a * a >= b * b + c * c
    elif kind == "rsoc":
        assert min(a, b) >= 0
        assert 2 * a * b >= c * c
    elif a == 0:
        assert min(b, c) >= 0
    else:
        assert a < 0
        assert -float(a) * exp(float(b / a) - 1) <= float(c) * (1 + 1e-12)


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("y", "said"), [([1.0], "y has shape 1, expected 3"), ([0.0, np.nan, 0.0], r"y\[1\] is nan")])
def test_bad_multipliers_are_refused(y, said):
    lp = program([3, 5], [[1, 0], [0, 2], [3, 2]], (-INF, [4, 12, 18]), (0, INF), sense="max")
    with pytest.raises(InvalidData, match=said):
        rigorous_bound(lp, y)
    with pytest.raises(InvalidData, match="x has shape 1"):
        rigorous_bound(lp, np.zeros(3), [1.0])
