"""Programs handed to cvxpy, and the duals that come back: held to finite differences of the optimal value."""

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.programs import ProgramBuilder, Update
from eqsolve.programs.convert import duals_from_parts, to_cvxpy, to_cvxpy_parts

TIGHT = {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}


def solved(program, by_block=True):
    parts = to_cvxpy_parts(program, by_block=by_block)
    parts.problem.solve(solver="CLARABEL", **TIGHT)
    assert parts.problem.status == "optimal"
    return parts


def lp(sense="max"):
    sign = 1.0 if sense == "max" else -1.0
    b = ProgramBuilder("lp", sense)
    x = b.columns("x", (3,), lower=[0.0, -1.0, -np.inf], upper=[2.0, np.inf, 5.0])
    y = b.columns("y", lower=-np.inf)
    cap = b.rows("cap", (2,), upper=[4.0, 3.0])
    least = b.rows("least", lower=-2.0)
    both = b.rows("both", (2,), lower=[-1.0, -9.0], upper=[9.0, 1.5])
    same = b.rows("same", lower=1.0, upper=1.0)
    b.rows("idle", (2,))
    b.add(cap, x, [0, 0, 1, 1], [0, 1, 1, 2], [1.0, 2.0, 1.0, 1.5])
    b.add(cap, y, [0], [0], [0.5])
    b.add(least, y, [0], [0])
    b.add(both, x, [0, 1], [0, 2])
    b.add(both, y, [0, 1], [0, 0], [-1.0, 1.0])
    b.add(same, x, [0, 0], [0, 1], [1.0, -1.0])
    b.objective(x, sign * np.array([1.0, 2.0, 0.7]))
    b.objective(y, sign * 0.3)
    return b.build(offset=7.5)


def qp(sense="min"):
    sign = 1.0 if sense == "min" else -1.0
    b = ProgramBuilder("qp", sense)
    x = b.columns("x", (3,), lower=0.0, upper=0.8)
    y = b.columns("y", (2,), lower=-np.inf)
    total = b.rows("total", lower=1.0, upper=1.0)
    least = b.rows("least", (2,), lower=[0.4, 0.3])
    b.add(total, x, [0, 0, 0], [0, 1, 2])
    b.add(least, x, [0, 1], [0, 1], [1.0, 2.0])
    b.add(least, y, [0, 1], [0, 1], [1.0, -1.0])
    b.quadratic(x, x, [0, 1, 2], [0, 1, 2], sign * np.array([1.0, 2.0, 3.0]))
    b.quadratic(y, y, [0, 1], [0, 1], sign * np.array([1.0, 4.0]))
    b.quadratic(x, y, [0], [0], [sign * 0.5])
    b.objective(x, sign * np.array([0.1, -0.2, 0.3]))
    return b.build(offset=-1.0)


def cone_program(kind, sense):
    """Nearest or cheapest point under one tight cone of each kind, with a second cone of the same size beside it."""
    sign = 1.0 if sense == "min" else -1.0
    b = ProgramBuilder(kind, sense)
    x = b.columns("x", (3,), lower=-5.0, upper=9.0)
    fixed = b.rows("fixed", (2,), lower=[0.7, 0.4], upper=[0.7, 0.4])
    b.add(fixed, x, [0, 1], [1, 2])
    near, far = b.rows("near", (3,)), b.rows("far", (3,))
    order = [2, 1, 0] if kind == "exp" else [0, 1, 2]
    b.add(near, x, [0, 1, 2], order, 1.0)
    b.cone(kind, near, shift=[0.1, 0.2, 0.3])
    b.add(far, x, [0, 1, 2], order, [0.5, 1.0, 2.0])
    b.cone(kind, far, shift=[0.0, 3.0, 40.0] if kind == "exp" else [40.0, 3.0, 0.0])
    b.objective(x, [sign, 0.0, 0.0])
    return b.build(offset=2.0)


def half_line(sense="min"):
    """A second-order cone of one row is a half-line."""
    b = ProgramBuilder("half line", sense)
    x = b.columns("x", lower=-np.inf)
    row = b.rows("floor", (1,))
    b.add(row, x, [0], [0], [2.0])
    b.cone("soc", row, shift=-3.0)
    b.objective(x, 1.0 if sense == "min" else -1.0)
    return b.build()


PROGRAMS = [
    *(build(sense) for build in (lp, qp, half_line) for sense in ("min", "max")),
    *(cone_program(kind, sense) for kind in ("soc", "rsoc", "exp") for sense in ("min", "max")),
]


def shifted(program, i, step):
    """The program with the right-hand side of row i moved: the bounds, or minus the shift of a cone."""
    for k, cone in enumerate(program.cones):
        if i in cone.rows:
            shift = cone.shift - step * (cone.rows == i)
            cones = [*program.cones]
            cones[k] = replace(cone, shift=shift)
            return replace(program, cones=tuple(cones), _trusted=False)
    move = step * (np.arange(program.n_rows) == i)
    return program.with_values(Update(row_lower=program.row_lower + move, row_upper=program.row_upper + move))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program.name} {program.sense}")
def test_duals_are_the_slopes_of_the_optimal_value(program):
    parts = solved(program)
    y = duals_from_parts(parts, program)
    assert np.abs(y).max() > 1e-2
    step = 1e-4
    for i in range(program.n_rows):
        up, down = (solved(shifted(program, i, sign * step)).problem.value for sign in (1, -1))
        assert y[i] == pytest.approx((up - down) / (2 * step), abs=2e-5), program.row_name(i)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program.name} {program.sense}")
def test_point_value_and_reduced_costs_agree_with_the_program(program):
    parts = solved(program)
    x, y = parts.point(program), duals_from_parts(parts, program)
    assert program.objective(x) == pytest.approx(parts.problem.value, abs=1e-7)
    reduced = (program.gradient(x) - program.A.T @ y) * (1.0 if program.sense == "min" else -1.0)
    inside = (x > program.col_lower + 1e-5) & (x < program.col_upper - 1e-5)
    assert np.abs(reduced[inside]).max(initial=0.0) < 1e-5
    assert (reduced[x <= program.col_lower + 1e-5] > -1e-6).all()
    assert (reduced[x >= program.col_upper - 1e-5] < 1e-6).all()


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"{program.name} {program.sense}")
def test_without_blocks_there_is_one_variable_and_the_same_answer(program):
    flat, blocks = solved(program, by_block=False), solved(program)
    assert len(flat.problem.variables()) == 1
    assert len(flat.problem.constraints) <= len(blocks.problem.constraints)
    assert flat.problem.value == pytest.approx(blocks.problem.value, abs=1e-7)
    assert duals_from_parts(flat, program) == pytest.approx(duals_from_parts(blocks, program), abs=1e-5)
    assert program.objective(flat.point(program)) == pytest.approx(blocks.problem.value, abs=1e-7)


def test_a_quadratic_objective_of_one_block_adds_no_columns_or_rows():
    b = ProgramBuilder("part")
    b.columns("y", (4,))
    x = b.columns("x", (3,), lower=-np.inf)
    b.quadratic(x, x, [0, 1], [0, 1], 1.0)
    b.objective(x, [-1.0, -2.0, 0.0])
    program = b.build()
    for by_block in (True, False):
        parts = to_cvxpy_parts(program, by_block=by_block)
        assert parts.problem.get_problem_data("CLARABEL")[0]["c"].size == program.n_columns
        assert solved(program, by_block).problem.value == pytest.approx(-2.5, abs=1e-7)


def test_names_bounds_and_labels_are_where_a_user_looks():
    problem = to_cvxpy(lp())
    variables = {one.name(): one for one in problem.variables()}
    assert set(variables) == {"x", "y"}
    assert variables["x"].attributes["bounds"][1].tolist() == [2.0, np.inf, 5.0]
    assert variables["y"].attributes["bounds"] is None
    assert [one.label for one in problem.constraints] == ["cap[index]", "least", "both[index]", "both[index]", "same"]


@pytest.mark.parametrize("integer", [True, [True, False, False], [False, False, True]])
def test_integer_columns(integer):
    b = ProgramBuilder("knapsack", "max")
    x = b.columns("x", (3,), upper=[1.0, 2.5, 3.7], integer=integer)
    b.add(b.rows("weight", upper=6.5), x, [0, 0, 0], [0, 1, 2], [2.0, 3.0, 1.0])
    b.objective(x, [2.1, 2.9, 1.3])
    program = b.build()
    mask = np.broadcast_to(integer, 3)
    choices = [
        np.arange(np.floor(top) + 1) if whole else np.linspace(0, top, 2001) for whole, top in zip(mask, [1, 2.5, 3.7], strict=True)
    ]
    if mask.all():
        best = max(
            np.dot([2.1, 2.9, 1.3], p) for p in np.array(np.meshgrid(*choices)).reshape(3, -1).T if np.dot([2, 3, 1], p) <= 6.5
        )
    else:
        # Greedy by value per weight is exact for the continuous rest; the one integer column is enumerated.
        best = -np.inf
        whole = int(np.flatnonzero(mask)[0])
        for value in choices[whole]:
            rest, total = 6.5 - [2, 3, 1][whole] * value, [2.1, 2.9, 1.3][whole] * value
            if rest < 0:
                continue
            for j in (2, 0, 1):
                if j != whole:
                    take = min([1, 2.5, 3.7][j], rest / [2, 3, 1][j])
                    rest, total = rest - take * [2, 3, 1][j], total + take * [2.1, 2.9, 1.3][j]
            best = max(best, total)
    parts = to_cvxpy_parts(program)
    assert parts.problem.solve(solver="HIGHS") == pytest.approx(best, abs=1e-7)
    point = parts.point(program)
    assert np.abs(point - np.round(point))[mask].max() < 1e-6


def test_empty_blocks_rows_without_entries_and_no_columns():
    b = ProgramBuilder("edges")
    b.columns("none", (0,))
    x = b.columns("x", lower=1.0)
    b.columns("alone", lower=0.0)
    b.rows("none", (0,))
    b.rows("empty", (2,), lower=[-1.0, -2.0], upper=[np.inf, 3.0])
    b.objective(x, 1.0)
    parts = solved(b.build())
    assert parts.problem.value == pytest.approx(1.0)
    assert parts.point(b.build())[0] == pytest.approx(1.0)
    bare = ProgramBuilder("bare")
    bare.rows("empty", (1,), upper=1.0)
    assert to_cvxpy(bare.build(offset=3.0)).solve(solver="CLARABEL") == pytest.approx(3.0)


def test_there_is_no_point_and_no_dual_before_a_solve():
    program = lp()
    parts = to_cvxpy_parts(program)
    assert parts.point(program) is None
    assert duals_from_parts(parts, program) is None
