"""The log-barrier problem over simplices: the closed form by its optimality conditions, and the same problem as a conic program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import brentq

from eqsolve.backends import solve_program
from eqsolve.bayesian_network.barrier import BarrierRows, barrier_maximum, barrier_rows_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendUnsupported
from eqsolve.programs import Update
from tests.backends.usable import able_backends


def rows(rng, R, A):
    """Gains of all sizes, a third of the rows with ties, and weights from far below to far above them."""
    gain = rng.standard_normal((R, A)) * 10.0 ** rng.uniform(-8, 8, (R, 1))
    tied = rng.random(R) < 0.3
    gain[tied] = np.round(gain[tied] / np.abs(gain[tied]).max(axis=1, keepdims=True))
    weight = 10.0 ** np.where(rng.random(R) < 0.5, rng.uniform(-20, 20, R), rng.uniform(-250, 250, R))
    return gain, weight


@pytest.mark.parametrize(("R", "A"), [(20_000, 1), (30_000, 2), (25_000, 3), (20_000, 7), (5_000, 40), (100, 1000)])
def test_the_conditions_of_optimality_hold_in_every_row(R, A):
    """One price per row, g + kappa / p, is all that a maximiser of a concave problem over a simplex needs."""
    gain, weight = rows(np.random.default_rng(A), R, A)
    p = barrier_maximum(gain, weight)
    assert p.shape == gain.shape
    assert (p > 0).all()
    assert np.abs(p.sum(axis=1) - 1.0).max() <= 1e-14
    price = gain + weight[:, None] / p
    unit = np.maximum(np.ptp(gain, axis=1), np.abs(price).max(axis=1))
    assert (np.ptp(price, axis=1) <= 1e-12 * unit).all()


@pytest.mark.parametrize("kappa", [1e-9, 1e-3, 1.0, 1e4])
def test_the_price_is_the_root_that_bisection_finds(kappa):
    gain = np.array([3.0, -1.0, 2.5, 3.0])
    below = 3.0 - gain
    price = brentq(lambda u: (kappa / (u + below)).sum() - 1.0, kappa, 4.0 * kappa, xtol=1e-300, rtol=1e-14)
    assert barrier_maximum(gain[None], np.array([kappa]))[0] == pytest.approx(kappa / (price + below), rel=1e-12)


def test_limits_of_the_weight():
    gain = np.array([[1.0, 0.0, -2.0, 1.0]])
    assert barrier_maximum(gain, np.array([1e12]))[0] == pytest.approx(0.25, abs=1e-9)  # all alike
    strict = barrier_maximum(np.array([[1.0, 0.0, 0.9]]), np.array([1e-12]))[0]
    assert strict == pytest.approx([1.0, 1e-12, 1e-11], rel=1e-9)  # kappa over what is lost by the action
    tied = barrier_maximum(gain, np.array([1e-12]))[0]
    assert tied == pytest.approx([0.5, 1e-12, 1e-12 / 3, 0.5], rel=1e-9)
    assert barrier_maximum(np.zeros((1, 5)), np.array([1e-200]))[0] == pytest.approx(0.2, rel=1e-14)


def test_gains_that_differ_by_a_constant_have_the_same_maximiser():
    rng = np.random.default_rng(5)
    gain = rng.integers(-8, 8, (200, 4)).astype(float)
    weight = 10.0 ** rng.uniform(-6, 3, 200)
    assert np.array_equal(barrier_maximum(gain, weight), barrier_maximum(gain + 1024.0, weight))


def objective(p, gain, weight):
    return float((gain * p).sum() + (weight[:, None] * np.log(p)).sum())


INSTANCES = {
    "one row": (np.array([[1.0, 0.0, 0.3]]), np.array([0.1])),
    "ties": (np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([0.5, 2.0])),
    "one action": (np.array([[3.0], [-1.0]]), np.array([0.2, 1.0])),
    "many": (np.random.default_rng(0).standard_normal((6, 4)), np.linspace(0.05, 1.0, 6)),
}


@pytest.mark.parametrize("name", INSTANCES)
def test_the_conic_program_has_the_same_optimum_by_every_backend(name):
    gain, weight = INSTANCES[name]
    program = barrier_rows_program(gain, weight, offset=1.5)
    assert (program.kind, program.sense) == ("EXP", "max")
    assert len(program.cones) == gain.size
    p = barrier_maximum(gain, weight)
    best = objective(p, gain, weight) + 1.5
    backends = able_backends(program)
    assert "native" in backends
    assert "cvxpy:CLARABEL" in backends
    for backend in backends:
        outcome = solve_program(program, backend)
        certificate = certify(program, outcome)
        assert certificate.holds(1e-6), backend
        assert outcome.objective == pytest.approx(best, abs=1e-6)
        assert outcome.x[: gain.size] == pytest.approx(p.reshape(-1), abs=1e-4)
    native = solve_program(program, "native")
    assert native.objective == pytest.approx(best, abs=1e-12)
    assert certify(program, native).holds(1e-10)
    assert native.x[gain.size :] == pytest.approx(np.log(p).reshape(-1), abs=1e-12)


def test_no_point_of_the_simplex_is_better():
    gain, weight = INSTANCES["many"]
    rng = np.random.default_rng(1)
    best = objective(barrier_maximum(gain, weight), gain, weight)
    for spread in (1.0, 1e-3):
        for _ in range(200):
            p = barrier_maximum(gain, weight) * np.exp(spread * rng.standard_normal(gain.shape))
            assert objective(p / p.sum(axis=1, keepdims=True), gain, weight) <= best + 1e-12


def changed(program, part, at, by):
    values = getattr(program, part).copy()
    values[at] += by
    return program.with_values(Update(**{part: values}))


def test_native_answers_programs_with_other_gains():
    gain, weight = INSTANCES["many"]
    program = barrier_rows_program(gain, weight)
    other = np.random.default_rng(9).uniform(-0.3, 0.3, gain.shape)  # a smaller spread: the bounds of the logarithms bind no more
    c = program.c.copy()
    c[: gain.size] = other.reshape(-1)
    moved = program.with_values(Update(c=c, offset=2.0))
    assert moved.structure.refuses(moved) is None
    outcome = solve_program(moved, "native")
    assert certify(moved, outcome).holds(1e-9)
    assert outcome.objective == pytest.approx(objective(barrier_maximum(other, weight), other, weight) + 2.0, abs=1e-12)


@pytest.mark.parametrize(
    ("part", "at", "by", "words"),
    [
        ("c", -1, 0.5, "weights of the barrier"),
        ("c", 24, -0.01, "weights of the barrier"),
        ("row_lower", 0, -0.1, "rows or bounds"),
        ("row_upper", 5, 0.1, "rows or bounds"),
        ("col_lower", 3, 0.1, "rows or bounds"),
        ("col_upper", 0, -0.5, "rows or bounds"),
        ("col_lower", 30, 2.0, "may bind"),
        ("col_upper", -1, -0.1, "may bind"),
    ],
)
def test_native_refuses_programs_whose_rows_bounds_or_weights_have_changed(part, at, by, words):
    program = barrier_rows_program(*INSTANCES["many"])
    assert program.structure.refuses(program) is None
    moved = changed(program, part, at, by)
    assert words in moved.structure.refuses(moved)
    with pytest.raises(BackendUnsupported, match=words):
        solve_program(moved, "native")


def test_native_refuses_what_is_another_program_altogether():
    gain, weight = INSTANCES["many"]
    program = barrier_rows_program(gain, weight)
    structure = program.structure
    assert "other columns" in structure.refuses(barrier_rows_program(gain[:2], weight[:2]))
    assert "other columns" in structure.refuses(replace(program, sense="min", c=-program.c))
    A = program.A.tolil()
    A[0, 0] = 2.0
    assert "rows or bounds" in structure.refuses(replace(program, A=sparse.csc_array(A)))
    wider = gain * 50  # whose optimum has smaller probabilities than the bounds of the logarithms allow
    c = program.c.copy()
    c[: gain.size] = wider.reshape(-1)
    assert "may bind" in structure.refuses(program.with_values(Update(c=c)))
    assert BarrierRows((6, 4), weight).refuses(program) is None
    assert "weights" in BarrierRows((6, 4), 2 * weight).refuses(program)
