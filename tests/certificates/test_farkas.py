"""A Farkas ray proves infeasibility only when it does, and the conflict names what takes part."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.certificates import check_farkas, find_farkas
from eqsolve.errors import InvalidData
from eqsolve.programs import Cone, ProgramBuilder
from tests.certificates.oracle import INF, ROUGH, exact_optimum, program, tiny_lps


def conflict_program():
    """Two demands that one road of capacity 1.5 cannot carry; the third row is idle."""
    b = ProgramBuilder("roads")
    p = b.columns("p", 2, axes=("player",), upper=1.0)
    demand = b.rows("demand", 2, axes=("player",), lower=1.0)
    capacity = b.rows("capacity", upper=1.5)
    idle = b.rows("idle", upper=9.0)
    b.add(demand, p, [0, 1], [0, 1])
    b.add(capacity, p, [0, 0], [0, 1])
    b.add(idle, p, [0], [0])
    return b.build()


@pytest.mark.parametrize("exact", [False, True])
def test_the_conflict_is_named(exact):
    proof = check_farkas(conflict_program(), [1, 1, -1, 0], exact=exact)
    assert proof.proven
    assert proof.margin == pytest.approx(0.5, abs=1e-13)
    assert proof.conflict == ("demand[0] >= 1", "demand[1] >= 1", "capacity <= 1.5")
    assert (proof.rows, proof.columns, proof.exact) == ((0, 1, 2), (), exact)


def test_column_bounds_take_part_heaviest_first():
    lp = program([0, 0], [[2.0, 1.0]], (3.5, INF), (0.0, 1.0))
    proof = check_farkas(lp, [1.0])
    assert proof.conflict == ("x[0] <= 1", "row[0] >= 3.5", "x[1] <= 1")
    assert str(proof).startswith("infeasible, proven with margin 0.5; in conflict:\n  x[0] <= 1")


@pytest.mark.parametrize("ray", [[-1, -1, 1, 0], [1, 1, 0, 0], [0, 0, 0, -1], [1, 0, -1, 0]])
def test_a_ray_of_another_sign_or_a_part_of_one_proves_nothing(ray):
    proof = check_farkas(conflict_program(), ray)
    assert not proof.proven
    assert "margin" in proof.reason
    assert proof.conflict == ()


@given(tiny_lps(), st.data())
@settings(max_examples=200, deadline=None)
def test_no_ray_proves_a_feasible_program_infeasible(lp, data):
    ray = data.draw(st.lists(ROUGH, min_size=lp.n_rows, max_size=lp.n_rows))
    feasible = exact_optimum(lp) is not None
    for exact in (False, True):
        assert not (check_farkas(lp, ray, exact=exact).proven and feasible)


def test_a_margin_below_rounding_needs_exact_arithmetic():
    # 0.1 + 0.2 > 0.3 in rational arithmetic by 2.8e-17: x <= (0.1 + 0.2 as rationals) and x >= a hair above.
    below = 0.1 + 0.2
    lp = program([0, 0], [[1.0, 1.0]], (below, INF), (0.0, [0.1, 0.2]))
    true_margin = Fraction(below) - Fraction(0.1) - Fraction(0.2)
    assert true_margin > 0
    exact, floats = check_farkas(lp, [1.0], exact=True), check_farkas(lp, [1.0])
    assert exact.proven
    assert Fraction(exact.margin) <= true_margin
    assert floats.proven is (floats.margin is not None and floats.margin > 0)
    assert floats.margin <= exact.margin


@pytest.mark.parametrize("sense", ["min", "max"])
@pytest.mark.parametrize("noise", [0.0, 1e-13, 1e-10])
def test_noise_on_columns_without_bounds_is_repaired(sense, noise):
    # x + y >= 2, x <= 0.5, y <= 1 with x, y free: the ray (1, -1, -1) must price both columns at exactly 0.
    lp = program([1, 1], [[1, 1], [1, 0], [0, 1]], ([2, -INF, -INF], [INF, 0.5, 1]), (-INF, INF), sense=sense)
    ray = np.array([1.0, -1.0, -1.0]) + noise * np.array([1.0, -2.0, 3.0])
    proof = check_farkas(lp, ray)
    assert proof.proven, proof.reason
    assert proof.margin == pytest.approx(0.5, abs=1e-6)


def test_a_column_without_bounds_that_cannot_be_repaired_is_named():
    lp = program([0, 0], [[1.0, 1.0]], (3.0, INF), (0.0, [1.0, INF]))
    proof = check_farkas(lp, [1.0])
    assert not proof.proven
    assert "column x[1] has no upper bound" in proof.reason


def test_a_cone_in_conflict():
    # |x| <= 1 on a disc and x0 + x1 >= 2: the ray is (sqrt 2, -1, -1) on the cone and 1 on the row.
    disc = Cone("soc", np.array([0, 1, 2]), np.array([1.0, 0.0, 0.0]))
    lp = program([1, 0], [[0, 0], [1, 0], [0, 1], [1, 1]], ([-INF] * 3 + [2.0], INF), (-INF, INF), cones=[disc])
    for exact in (False, True):
        proof = check_farkas(lp, [1.42, -1.0, -1.0, 1.0], exact=exact)
        assert proof.proven
        assert proof.margin == pytest.approx(0.58, abs=1e-9)
        assert proof.conflict[0] == "row[0] in its soc cone"
    reachable = replace(lp, row_lower=np.array([-INF, -INF, -INF, 1.41]), _trusted=False)
    assert not check_farkas(reachable, [1.42, -1.0, -1.0, 1.0]).proven


def test_the_objective_plays_no_part():
    lp = replace(conflict_program(), c=np.array([1e9, -1e9]), offset=1e12, sense="max", _trusted=False)
    assert check_farkas(lp, [1, 1, -1, 0]).margin == pytest.approx(0.5)


def test_a_single_row_is_found_without_a_ray():
    proof = find_farkas(program([1, 1], [[1, 1], [1, -1], [0, 0]], ([-INF, 3, 0], [5, 9, 0]), (0, 2)))
    assert proof is not None
    assert proof.conflict == ("row[1] >= 3", "x[0] <= 2", "x[1] >= 0")
    assert find_farkas(program([1, 1], [[1, 1], [1, -1]], ([-INF, 2], [5, 9]), (0, 2))) is None


def test_bad_rays():
    assert check_farkas(conflict_program(), np.zeros(4)).reason == "the ray is zero"
    with pytest.raises(InvalidData, match="ray has shape 2, expected 4"):
        check_farkas(conflict_program(), [1, 1])
    with pytest.raises(InvalidData, match=r"ray\[1\] is inf"):
        check_farkas(conflict_program(), [1, np.inf, 0, 0])
