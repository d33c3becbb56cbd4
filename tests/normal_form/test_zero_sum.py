"""Values and strategies of zero-sum games: exploitability first, value second."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eqsolve.backends import Limits, Outcome, Termination, get_backend, solve_program
from eqsolve.certificates import certify
from eqsolve.errors import BackendFailure, BackendUnsupported, InvalidGame
from eqsolve.normal_form import (
    NormalFormGame,
    chicken,
    correlated_equilibrium,
    matching_pennies,
    matrix_game,
    nash_gap,
    random_game,
    rock_paper_scissors,
    value_program,
    zero_sum,
)
from eqsolve.normal_form.matrix_game import solve_matrix_game
from eqsolve.programs import Update

USABLE = [name for name in ("native", "highs", "scipy", "cvxpy:CLARABEL", "pulp:CBC", "gurobi") if get_backend(name).probe().usable]

KNOWN = {
    # von Neumann's 2 x 2 formula: (ad - bc) / (a + d - b - c)
    "two by two": ([[3, -1], [-2, 1]], 1 / 7),
    "diagonal": (np.diag([1.0, 2.0, 4.0]), 1 / (1 + 1 / 2 + 1 / 4)),
    "saddle point": ([[4, 5, 3], [2, 9, 1]], 3.0),
    "dominated": ([[1, 2], [3, 4]], 3.0),
    "rock, paper, scissors": ([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], 0.0),
    "constant": (np.full((3, 5), -2.5), -2.5),
    "one action each": ([[7.0]], 7.0),
    "one row": ([[3.0, 1.0, 2.0]], 1.0),
    "one column": ([[3.0], [1.0], [2.0]], 3.0),
    # Morra with two fingers
    "morra": ([[0, 2, -3, 0], [-2, 0, 0, 3], [3, 0, 0, -4], [0, -3, 4, 0]], 0.0),
    "large": (1e8 * np.array([[3, -1], [-2, 1]]), 1e8 / 7),
    "small": (1e-8 * np.array([[3, -1], [-2, 1]]), 1e-8 / 7),
}


@pytest.mark.parametrize("backend", USABLE)
@pytest.mark.parametrize("name", [name for name in KNOWN if name not in ("large", "small")])
def test_known_values(name, backend):
    A, value = KNOWN[name]
    found = zero_sum(A, backend=backend)
    assert found.gap.holds(1e-6)
    assert found.certificate.holds(1e-6)
    assert found.value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", KNOWN)
def test_native_is_exact_to_rounding(name):
    A, value = KNOWN[name]
    found = zero_sum(A)
    scale = np.abs(A).max()
    assert found.outcome.backend == "native"
    assert found.gap.holds(1e-14 * scale)
    assert found.value == pytest.approx(value, abs=1e-14 * scale)


@settings(max_examples=200, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-2, 2).map(float)))
def test_ties_do_not_cycle(A):
    found = solve_matrix_game(A)
    assert found is not None
    p, q, _ = found
    assert (A @ q).max() - (p @ A).min() <= 1e-12


@pytest.mark.parametrize("shape", [(40, 40), (120, 30), (30, 120), (150, 150)])
def test_random_matrices_against_highs(shape):
    A = np.random.default_rng(1).random(shape)
    found, theirs = zero_sum(A), zero_sum(A, backend="highs")
    assert found.gap.holds(1e-13)
    assert found.certificate.holds(1e-10)
    assert found.value == pytest.approx(theirs.value, abs=1e-8)
    assert nash_gap(NormalFormGame.from_arrays(A), (found.row, found.column)).holds(1e-13)


def test_binary_matrices_which_are_degenerate():
    for seed in range(5):
        A = np.random.default_rng(seed).integers(0, 2, (60, 50)).astype(float)
        found = zero_sum(A)
        assert found.gap.holds(1e-12)
        assert found.value == pytest.approx(zero_sum(A, backend="highs").value, abs=1e-8)


def test_games_and_their_correlated_equilibria_have_the_value():
    assert zero_sum(matching_pennies()).row == pytest.approx([0.5, 0.5])
    assert zero_sum(rock_paper_scissors()).column == pytest.approx(np.full(3, 1 / 3))
    game = random_game([6, 5], seed=2, correlation=-1.0)
    # In a zero-sum game every coarse correlated equilibrium is worth the value.
    for sense in ("max", "min"):
        found = correlated_equilibrium(game, "CCE", ("player", 0), sense=sense)
        assert found.value == pytest.approx(zero_sum(game).value, abs=1e-9)


def test_constant_sum_games_are_taken():
    A = np.random.default_rng(3).random((4, 6))
    game = NormalFormGame.from_arrays(A, 5.0 - A)
    found = zero_sum(game)
    assert found.value == pytest.approx(zero_sum(A).value, abs=1e-12)
    assert nash_gap(game, (found.row, found.column)).holds(1e-12)


def test_the_program_in_words():
    program = value_program(matching_pennies())
    assert program.row("guarantee", "tails") == "guarantee[tails]: p[heads] - p[tails] + v <= 0"
    assert program.kind == "LP"
    assert program.structure.name == "matrix game"


def test_native_refuses_a_changed_program():
    program = value_program([[1.0, 0.0], [0.0, 2.0]])
    for change in (
        Update(row_upper=np.array([0.5, 0.0, 1.0])),
        Update(c=np.array([1.0, 0.0, 1.0])),
        Update(col_lower=np.array([0.6, 0, 0])),
    ):
        changed = program.with_values(change)
        with pytest.raises(BackendUnsupported, match="not those of a matrix game"):
            solve_program(changed, "native")
        assert certify(changed, solve_program(changed)).holds(1e-8)


def test_bounds_on_the_value_that_cut_off_the_answer():
    program = value_program([[1.0, 0.0], [0.0, 2.0]])
    high = program.with_values(Update(col_lower=np.array([0.0, 0.0, 1.5])))
    outcome = solve_program(high, "native")
    assert certify(high, outcome).claim == "infeasible"
    assert certify(high, outcome).holds(1e-9)
    low = program.with_values(Update(col_upper=np.array([1.0, 1.0, 0.5])))
    assert solve_program(low, "native").objective == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("game", "match"),
    [
        ([[1.0, np.nan]], r"payoffs\[0, 1\] is nan"),
        ([1.0, 2.0], "shape 2, expected any x any"),
        (np.zeros((0, 3)), "need an action"),
        (random_game([2, 2, 2]), "3 players"),
        (chicken(), "sum to 0 at .dare, dare. and to 12 at .yield, yield."),
    ],
)
def test_bad_input(game, match):
    with pytest.raises(InvalidGame, match=match):
        zero_sum(game)


def test_a_limit_that_ends_the_run():
    with pytest.raises(BackendFailure, match="returned no strategies"):
        zero_sum(np.random.default_rng(0).random((40, 40)), backend="highs", limits=Limits(iterations=1))


def test_the_value_is_what_the_row_player_is_sure_of(monkeypatch):
    A = np.array([[3.0, -1.0], [-2.0, 1.0]])
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    poor = Outcome(Termination.OPTIMAL, x=np.append(p, 0.0), y=np.append(q, 0.0), backend="one")
    monkeypatch.setattr(sys.modules["eqsolve.normal_form.zero_sum"], "solve_program", lambda *given, **more: poor)
    found = zero_sum(A)
    assert found.value == (p @ A).min() == 0.0
    assert found.gap.upper == pytest.approx(max((A @ q).max() - p @ A @ q, p @ A @ q - (p @ A).min()))
    assert found.value <= 1 / 7 <= found.value + 2 * found.gap.upper


def test_the_gap_is_that_of_the_game_where_the_sum_is_almost_constant():
    A = np.random.default_rng(2).normal(size=(5, 4))
    nearly = NormalFormGame.from_arrays(A, -A * (1 + 1e-10))
    found = zero_sum(nearly)
    assert found.gap == nash_gap(nearly, (found.row, found.column))


@pytest.mark.parametrize("seed", range(5))
def test_the_rule_that_cannot_cycle_ends_at_the_value_too(monkeypatch, seed):
    A = np.random.default_rng(seed).integers(-1, 2, (12, 9)).astype(float)
    value = (zero_sum(A).row @ A).min()
    monkeypatch.setattr(matrix_game, "STALLED", -1)
    p, q, _ = solve_matrix_game(A)
    assert (A @ q).max() - (p @ A).min() <= 1e-12
    assert (p @ A).min() == pytest.approx(value, abs=1e-12)


def test_a_spoilt_tableau_is_left_to_highs(monkeypatch):
    A = np.random.default_rng(0).normal(size=(6, 5))
    monkeypatch.setattr(matrix_game, "_strategies", lambda *given: [(np.eye(6)[0], np.eye(5)[0])])
    assert solve_matrix_game(A) is None
    assert zero_sum(A).gap.holds(1e-9)
