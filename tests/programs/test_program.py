"""The program itself: what it refuses, what it computes, and how it is built."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.errors import InvalidProgram
from eqsolve.programs import Block, Cone, Program, ProgramBuilder, ProgramFamily, Update
from eqsolve.programs.cone import cone_violation, dual_cone_violation
from eqsolve.programs.convexity import negative_curvature


def parts(**changes):
    good = {
        "name": "good",
        "sense": "min",
        "c": np.array([1.0, 2.0]),
        "A": sparse.csc_array(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])),
        "row_lower": np.array([-np.inf, 1.0, -np.inf]),
        "row_upper": np.array([4.0, 1.0, np.inf]),
        "col_lower": np.zeros(2),
        "col_upper": np.ones(2),
    }
    return good | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sense": "maximise"}, "sense is 'maximise'"),
        ({"c": [1.0]}, "c has shape 1, expected 2"),
        ({"c": [1.0, np.nan]}, r"c\[1\] is nan"),
        ({"c": [np.inf, 0.0]}, r"c\[0\] is inf"),
        ({"c": "text"}, "c is not an array"),
        ({"col_lower": [0.0, 2.0]}, r"bounds of column x\[1\] are crossed: lower 2, upper 1"),
        ({"col_upper": [1.0, -np.inf]}, r"bounds of column x\[1\]"),
        ({"row_lower": [-np.inf, 2.0, 0.0]}, r"bounds of row row\[1\] are crossed"),
        ({"row_upper": [4.0, 1.0, np.nan]}, r"row_upper\[2\] is nan"),
        ({"A": [[1.0, np.nan], [0.0, 0.0], [0.0, 0.0]]}, r"A\[0, 1\] is nan"),
        ({"A": "text"}, "A is not a matrix"),
        ({"offset": np.inf}, "offset is inf"),
        ({"integrality": [True]}, "integrality has shape 1, expected 2"),
        ({"columns": (Block("x", ("j",), 0, (3,)),)}, "name 3 columns; the program has 2"),
        ({"columns": (Block("x", ("j",), 1, (2,)),)}, "starts at 1"),
        ({"columns": (Block("x", (), 0, ()), Block("x", (), 1, ()))}, "two column blocks are named 'x'"),
        ({"Q": np.eye(3)}, "Q has shape 3 x 3, expected 2 x 2"),
        ({"Q": [[1.0, 1.0], [0.0, 1.0]]}, "Q is not symmetric"),
        ({"Q": [[1.0, 2.0], [2.0, 1.0]]}, r"Q is not convex: curvature -1 along a direction led by x\["),
        ({"Q": np.eye(2), "sense": "max"}, "Q is not concave"),
        ({"cones": (Cone("ball", np.array([2]), np.zeros(1)),)}, "cone 0 has kind 'ball'"),
        ({"cones": (Cone("exp", np.array([2]), np.zeros(1)),)}, "cone 0 .exp. has 1 rows; it needs 3"),
        ({"cones": (Cone("soc", np.array([7]), np.zeros(1)),)}, "cone 0 names row 7; the program has 3"),
        ({"cones": (Cone("soc", np.array([2, 0]), np.zeros(2)),)}, r"row row\[0\] is in cone 0 and has bounds"),
        ({"cones": (Cone("soc", np.array([2]), np.zeros(2)),)}, r"cones\[0\]\.shift has shape 2, expected 1"),
    ],
)
def test_a_bad_program_is_refused_at_the_door(changes, words):
    with pytest.raises(InvalidProgram, match=words):
        Program(**parts(**changes))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "LP"),
        ({"Q": np.eye(2)}, "QP"),
        ({"Q": np.zeros((2, 2))}, "LP"),
        ({"integrality": [True, False]}, "MILP"),
        ({"integrality": [False, False]}, "LP"),
        ({"Q": np.eye(2), "integrality": [True, False]}, "MIQP"),
        ({"cones": (Cone("soc", np.array([2]), np.zeros(1)),)}, "SOCP"),
        ({"cones": (Cone("soc", np.array([2]), np.zeros(1)),), "integrality": [True, False]}, "MISOCP"),
    ],
)
def test_kinds(changes, kind):
    assert Program(**parts(**changes)).kind == kind


def test_a_program_is_frozen_and_shares_nothing_with_its_giver():
    given_c, given_A = np.array([1.0, 2.0]), parts()["A"]
    program = Program(**parts(c=given_c, A=given_A))
    given_c[0], given_A.data[0] = 9.0, 9.0
    assert program.c[0] == 1.0
    assert program.A[0, 0] == 1.0
    for array in (program.c, program.A.data, program.col_lower, program.row_upper):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5.0


def test_q_is_symmetric_to_the_last_bit():
    Q = np.array([[2.0, 0.1], [0.1 + 1e-16, 2.0]])
    assert Q[0, 1] != Q[1, 0]
    held = Program(**parts(Q=Q)).Q.toarray()
    assert held[0, 1] == held[1, 0] == pytest.approx(0.1)


def test_objective_and_gradient():
    program = Program(**parts(Q=np.array([[2.0, 1.0], [1.0, 4.0]]), offset=0.5))
    x = np.array([3.0, -1.0])
    assert program.objective(x) == 3.0 - 2.0 + (18.0 - 6.0 + 4.0) / 2 + 0.5
    step = 1e-6
    slopes = [(program.objective(x + step * e) - program.objective(x - step * e)) / (2 * step) for e in np.eye(2)]
    np.testing.assert_allclose(program.gradient(x), slopes, atol=1e-7)
    assert Program(**parts()).gradient(x) is not None


def test_new_values_are_checked_and_leave_the_old_program_alone():
    program = Program(**parts())
    changed = program.with_values(Update(c=[5.0, 6.0], row_upper=[3.0, 1.0, 2.0], offset=2.0, note="cell 2"))
    assert (changed.c.tolist(), changed.row_upper.tolist(), changed.offset, changed.note) == ([5, 6], [3, 1, 2], 2.0, "cell 2")
    assert (program.c.tolist(), program.offset, program.note) == ([1, 2], 0.0, "")
    assert changed.A is program.A
    for update, words in (
        (Update(c=np.ones(3)), "c has shape 3, expected 2"),
        (Update(c=[np.nan, 0]), r"c\[0\] is nan"),
        (Update(col_lower=[0.0, 2.0]), r"bounds of column x\[1\] are crossed"),
        (Update(row_lower=[5.0, 1.0, 0.0]), r"bounds of row row\[0\] are crossed"),
    ):
        with pytest.raises(InvalidProgram, match=words):
            program.with_values(update)


def test_the_builder_puts_every_entry_where_it_belongs():
    b = ProgramBuilder("built", "max")
    x = b.columns("x", (2, 2), axes=("i", "j"), upper=[[1, 2], [3, 4]], integer=[[True, False], [False, False]])
    y = b.columns("y", counts=[1, 0, 2], axes=("k", "l"), lower=[-1, -2, -3])
    r = b.rows("r", (2,), upper=[5, 6])
    s = b.rows("s", lower=7)
    b.add(r, x, [0, 1, 1], [0, 3, 3], [1.0, 2.0, 3.0])
    b.add(s, y, sparse.coo_array(([4.0], ([0], [2])), shape=(1, 3)))
    b.add(r, y, np.array([[0, 0, 8], [0, 9, 0]]))
    b.objective(x, [[1, 2], [3, 4]])
    b.objective(x, 1.0)
    b.quadratic(x, x, [0], [0], -1.0)
    b.quadratic(x, y, [0], [1], 0.5)
    b.quadratic(y, y, [1], [1], -1.0)
    program = b.build(offset=3.0, note="here")
    assert program.A.toarray().tolist() == [[1, 0, 0, 0, 0, 0, 8], [0, 0, 0, 5, 0, 9, 0], [0, 0, 0, 0, 0, 0, 4]]
    assert program.c.tolist() == [2, 3, 4, 5, 0, 0, 0]
    assert program.col_upper.tolist() == [1, 2, 3, 4, np.inf, np.inf, np.inf]
    assert program.col_lower.tolist() == [0, 0, 0, 0, -1, -2, -3]
    assert program.row_upper.tolist() == [5, 6, np.inf]
    assert program.row_lower.tolist() == [-np.inf, -np.inf, 7]
    assert program.integrality.tolist() == [True] + [False] * 6
    expected = np.zeros((7, 7))
    expected[0, 0], expected[5, 5], expected[0, 5], expected[5, 0] = -1, -1, 0.5, 0.5
    assert np.array_equal(program.Q.toarray(), expected)
    assert [program.column_name(j) for j in (3, 4, 6)] == ["x[1, 1]", "y[0, 0]", "y[2, 1]"]
    assert program.kind == "MIQP"
    assert (program.offset, program.note) == (3.0, "here")


def test_the_builder_refuses_what_does_not_fit():
    b = ProgramBuilder("bad")
    x, r = b.columns("x", (2,)), b.rows("r", (3,))
    for call, words in (
        (lambda: b.columns("y", (2,), upper=[1.0, 2.0, 3.0]), r"upper bound of y\[index\] has shape \(3,\), the block is 2"),
        (lambda: b.add(r, x, [0, 3], [0, 0]), r"entry 1 is at position 3 of block r\[index\], which has 3"),
        (lambda: b.add(r, x, [0, 1], [0, -1]), "entry 1 is at position -1 of block x"),
        (lambda: b.add(r, x, [0, 1], [0]), r"shapes \(2,\) and \(1,\)"),
        (lambda: b.add(r, x, [0, 1], [0, 1], [1.0, 2.0, 3.0]), r"\(3,\) values for \(2,\) positions"),
        (lambda: b.add(r, x, np.eye(2)), r"has shape \(2, 2\), expected \(3, 2\)"),
        (lambda: b.objective(x, [1.0]), "objective of x"),
    ):
        with pytest.raises(InvalidProgram, match=words):
            call()


def test_cones_of_the_builder_take_rows_of_their_block():
    b = ProgramBuilder("cone")
    b.rows("first", upper=1.0)
    rows = b.rows("norm", (4,))
    b.columns("x", (2,))
    b.cone("soc", rows, [1, 3], shift=[1.0, 2.0])
    (cone,) = b.build().cones
    assert cone.rows.tolist() == [2, 4]
    assert cone.shift.tolist() == [1.0, 2.0]


@given(st.integers(0, 2**32 - 1))
def test_curvature_agrees_with_eigenvalues(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    M = rng.normal(size=(n, n)) * (rng.random((n, n)) < 0.5)
    Q = M @ M.T - rng.choice([0.0, 0.3, 1.0]) * np.diag(rng.random(n))
    least = np.linalg.eigvalsh(Q)[0]
    found = negative_curvature(sparse.csc_array(Q)) if Q.any() else None
    if least < -1e-6 * np.abs(Q).max():
        assert found is not None
        assert 0 <= found[0] < n
        assert least - 1e-9 <= found[1] < 0
    elif least > -1e-10 * np.abs(Q).max():
        assert found is None


@pytest.mark.parametrize("n", [900])
def test_curvature_of_a_large_component(n):
    chain = sparse.diags_array([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1], format="csc")
    assert negative_curvature(sparse.csc_array(chain)) is None
    assert negative_curvature(sparse.csc_array(chain - 0.1 * sparse.eye_array(n))) is not None
    assert negative_curvature(sparse.csc_array(sparse.block_diag([chain, chain]))) is None


AXIS = {"soc": [1.0, 0.0, 0.0], "rsoc": [1.0, 1.0, 0.0], "exp": [0.0, 0.0, 1.0]}
MEMBER = {
    "soc": lambda z, slack: z[0] + slack >= np.hypot(z[1], z[2]),
    "rsoc": lambda z, slack: min(z[0], z[1]) >= -slack and 2 * z[0] * z[1] + slack >= z[2] ** 2,
    "exp": lambda z, slack: z[1] * np.exp(z[0] / z[1]) <= z[2] + slack,
}


@given(st.sampled_from(["soc", "rsoc", "exp"]), st.integers(0, 2**32 - 1))
def test_the_violation_is_the_step_along_the_axis_that_reaches_the_cone(kind, seed):
    z = np.random.default_rng(seed).normal(size=3)
    if kind == "exp":
        z[1] = abs(z[1]) + 0.1
    t = cone_violation(kind, z)
    assert MEMBER[kind](z + t * np.array(AXIS[kind]), 1e-8)
    if t > 1e-6:
        assert not MEMBER[kind](z + 0.99 * t * np.array(AXIS[kind]), 0.0)


@given(st.sampled_from(["soc", "rsoc", "exp"]), st.integers(0, 2**32 - 1))
def test_members_of_the_dual_cone_have_no_negative_product(kind, seed):
    rng = np.random.default_rng(seed)
    z, y = rng.normal(size=3), rng.normal(size=3)
    if kind == "exp":
        z[1] = abs(z[1]) + 0.1
        y[0] = -abs(y[0]) - 0.01
    z = z + cone_violation(kind, z) * np.array(AXIS[kind])
    y = y + dual_cone_violation(kind, y) * np.array(AXIS[kind])
    assert z @ y >= -1e-8 * (1 + np.abs(z).max() * np.abs(y).max())


def test_a_point_behind_the_exponential_cone():
    assert cone_violation("exp", np.array([-1.0, -2.0, 3.0])) == 2.0
    assert cone_violation("exp", np.array([-1.0, 0.0, 0.5])) == 0.0
    assert dual_cone_violation("exp", np.array([0.5, 1.0, 1.0])) == 0.5
    assert dual_cone_violation("exp", np.array([0.0, 1.0, 1.0])) == 0.0


class Growing(ProgramFamily):
    base = Program(**parts())
    size = 3

    def update(self, i):
        return Update(c=np.array([float(i), 0.0]), note=f"member {i}")


def test_a_family_builds_its_members_one_at_a_time():
    family = Growing()
    assert [(one.c[0], one.note) for one in family] == [(0.0, "member 0"), (1.0, "member 1"), (2.0, "member 2")]
    assert family[-1].note == "member 2"
    assert family[1].A is family.base.A
    for outside in (3, -4):
        with pytest.raises(IndexError, match=f"program {outside} of 3"):
            family[outside]


def test_a_copy_with_another_part_is_checked_again():
    with pytest.raises(InvalidProgram, match="sense"):
        replace(Program(**parts()), sense="both")
