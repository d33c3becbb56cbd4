"""The game type, its doors, and the generators."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from eqsolve.normal_form import (
    TEXTBOOK,
    NormalFormGame,
    PolymatrixGame,
    congestion_game,
    nash_gap,
    prisoners_dilemma,
    random_game,
    random_polymatrix,
)


def test_profiles_and_labels():
    u = np.arange(2 * 2 * 3, dtype=float).reshape(2, 2, 3)
    game = NormalFormGame(u, players=("ann", "bob"), actions=(("up", "down"), ("l", "c", "r")))
    assert game.shape == (2, 3)
    assert game.n_profiles == 6
    assert game.payoff(["down", "c"]).tolist() == [u[0, 1, 1], u[1, 1, 1]]
    batch = [[0, 2], [1, 0]]
    assert game.payoff(batch).tolist() == [[u[0, 0, 2], u[1, 0, 2]], [u[0, 1, 0], u[1, 1, 0]]]
    assert game.welfare.tolist() == (u[0] + u[1]).tolist()
    assert game.player_number("bob") == 1
    assert game.profile_label((1, 2)) == "(down, r)"
    q = game.product([[0.25, 0.75], [0.5, 0.0, 0.5]])
    assert game.expected(q)[0] == pytest.approx(sum(q[a] * u[0][a] for a in product(range(2), range(3))))


def test_the_game_is_a_copy_that_cannot_be_written():
    u = np.zeros((2, 2, 2))
    game = NormalFormGame(u)
    u[0, 0, 0] = 5.0
    assert game.payoffs[0, 0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        game.payoffs[0, 0, 0] = 1.0


def test_profiles_with_a_default():
    game = NormalFormGame.from_profiles([2, 3], [[0, 1], [1, 2]], [[1, 2], [3, 4]], default=-1.0)
    assert game.payoff([0, 1]).tolist() == [1, 2]
    assert game.payoff([1, 2]).tolist() == [3, 4]
    assert (game.payoffs == -1).sum() == 2 * 4


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: NormalFormGame([[[1, 2], [np.nan, 3]]] * 2), InvalidGame, r"payoffs\[0, 1, 0\] is nan"),
        (lambda: NormalFormGame(np.zeros((3, 2, 2))), InvalidGame, "3 players and 2 axes"),
        (lambda: NormalFormGame([1.0]), InvalidGame, "1 axes"),
        (lambda: NormalFormGame(np.zeros((2, 2, 0))), InvalidGame, "player 1 has no action"),
        (lambda: NormalFormGame(np.zeros((2, 2, 2)), players=("a",)), InvalidGame, "1 labels, expected 2"),
        (lambda: NormalFormGame(np.zeros((2, 2, 2)), actions=("a", "a")), InvalidGame, "'a' twice"),
        (lambda: NormalFormGame(np.zeros((2, 2, 3)), actions=("a", "b")), InvalidGame, "different numbers"),
        (lambda: NormalFormGame.from_arrays([[1, 2]], [[1], [2]]), InvalidGame, "shape"),
        (lambda: NormalFormGame.from_profiles([2, 2], [[0, 2]], [[1, 1]]), InvalidGame, r"profiles\[0, 1\] is 2"),
        (lambda: NormalFormGame.from_profiles([2, 2], [[0, 1], [0, 1]], np.ones((2, 2))), InvalidGame, r"profiles\[1\].*twice"),
        (lambda: NormalFormGame.from_profiles([99] * 9, [], []), InvalidGame, "profiles"),
        (lambda: NormalFormGame.from_profiles([2, 0], [], []), InvalidGame, "needs an action"),
        (lambda: prisoners_dilemma().payoff([0, 2]), InvalidGame, r"profile\[1\] is 2"),
        (lambda: prisoners_dilemma().payoff([0, 0, 0]), InvalidGame, "last axis"),
        (lambda: prisoners_dilemma().payoff(["cooperat", "defect"]), UnknownName, "cooperate"),
        (lambda: prisoners_dilemma().check_distribution([0.5, 0.5, 0.1, 0.0]), InvalidGame, "sums to 1.1"),
        (lambda: prisoners_dilemma().check_distribution([1.5, -0.5, 0, 0]), InvalidGame, r"\[0, 1\] is -0.5"),
        (lambda: prisoners_dilemma().check_mixed([[1, 0]]), InvalidGame, "1 mixed strategies"),
        (lambda: prisoners_dilemma().check_mixed([[1, 0], [1, 0, 0]]), InvalidGame, r"strategies\[1\] has shape 3"),
        (lambda: random_game([3, 0]), InvalidGame, r"n_actions\[1\] is 0"),
        (lambda: random_game([3, 3, 3], correlation=-0.9), InvalidData, "correlation"),
        (lambda: PolymatrixGame([2, 2], {(0, 0): np.eye(2)}), InvalidGame, "not a pair"),
        (lambda: PolymatrixGame([2, 2], {(0, 1): np.eye(3)}), InvalidGame, "shape 3 x 3"),
        (lambda: random_polymatrix([9] * 12).normal_form(), InvalidGame, "profiles"),
        (lambda: random_polymatrix([2, 2]).action_payoffs([0, 5]), InvalidGame, r"profile\[1\] is 5"),
    ],
)
def test_bad_input(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_congestion_payoffs_by_counting():
    delay = np.array([[1.0, 4.0, 9.0], [2.0, 3.0, 5.0]])
    game = congestion_game(3, 2, delay=delay)
    for a in product(range(2), repeat=3):
        for i in range(3):
            assert game.payoffs[i][a] == -delay[a[i], a.count(a[i]) - 1]


def test_covariant_payoffs_have_the_correlation_asked_for():
    common = random_game([6, 6], correlation=1.0)
    assert np.allclose(common.payoffs[0], common.payoffs[1])
    constant = random_game([6, 6, 6], correlation=-0.5)
    assert np.allclose(constant.welfare, 0.0)
    some = random_game([100, 100], correlation=0.3).payoffs.reshape(2, -1)
    assert np.corrcoef(some)[0, 1] == pytest.approx(0.3, abs=0.05)


def test_polymatrix_table_by_its_definition():
    game = random_polymatrix([2, 3, 4, 2], degree=1, seed=3)
    table = game.normal_form()
    for a in product(*(range(m) for m in table.shape)):
        for i in range(4):
            expected = game.own[i][a[i]] + sum(t[a[i], a[j]] for (k, j), t in game.pairs.items() if k == i)
            assert table.payoffs[i][a] == pytest.approx(expected)
            assert game.action_payoffs(a)[i][a[i]] == pytest.approx(expected)


def test_same_seed_same_game():
    assert random_game([3, 4], seed=7).payoffs.tobytes() == random_game([3, 4], seed=7).payoffs.tobytes()
    assert set(TEXTBOOK) >= {"chicken", "shapley", "stag_hunt"}


def test_importing_loads_no_solver_and_no_other_library():
    banned = "highspy cvxpy pulp gurobipy pygambit pyspiel quantecon scipy.optimize numba"
    code = f"import sys, eqsolve.normal_form; print([m for m in {banned.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: NormalFormGame(np.full((2, 2, 2), -1e101)), InvalidGame, r"payoffs\[0, 0, 0\] is -1e\+101, beyond 1e\+100"),
        (lambda: NormalFormGame.from_arrays([[1e200]]), InvalidGame, "beyond"),
        (lambda: NormalFormGame(np.zeros((2, 2, 2)), players=None), InvalidGame, "players is None, not a sequence"),
        (lambda: NormalFormGame(np.zeros((2, 2, 2)), actions=5), InvalidGame, "actions is 5, not a sequence"),
        (lambda: nash_gap(prisoners_dilemma(), None), InvalidGame, "profile is None"),
        (lambda: nash_gap(prisoners_dilemma(), np.float64(1.0)), InvalidGame, "not a sequence"),
        (lambda: nash_gap(random_polymatrix([2, 2]), True), InvalidGame, "profile is True"),
        (lambda: nash_gap(random_polymatrix([2, 2]), [[1, 0], [0.5, 0.4]]), InvalidGame, r"strategies\[1\] sums to 0.9"),
        (lambda: prisoners_dilemma().check_distribution([[1, 2], [3]]), InvalidGame, "not an array"),
        (lambda: prisoners_dilemma().player_number(None), UnknownName, "no player None"),
        (lambda: prisoners_dilemma().player_number(float("nan")), UnknownName, "no player nan"),
        (lambda: PolymatrixGame([2, 2], None), InvalidGame, "pairs is a NoneType"),
        (lambda: PolymatrixGame([2, 2], {(0.5, 1): np.eye(2)}), InvalidGame, "0.5, not a whole number"),
        (lambda: PolymatrixGame([2, 2], {"ab": np.eye(2), 3: np.eye(2)}), InvalidGame, "key 'ab'"),
        (lambda: PolymatrixGame([2, 2], {(0, 1): np.full((2, 2), 1e150)}), InvalidGame, "beyond"),
        (lambda: PolymatrixGame([2, 2], {}, own=5), InvalidGame, "own is 5"),
        (lambda: PolymatrixGame([10**15, 2], {}), InvalidGame, "n_actions adds up to"),
        (lambda: random_game([2] * 70), InvalidGame, "profiles of 70 players"),
        (lambda: random_game([1] * 70), InvalidGame, "has 70 players"),
        (lambda: random_game([[1, 2], [3]]), InvalidGame, "not an array"),
        (lambda: congestion_game(40, 10), InvalidGame, "profiles of 40 players"),
    ],
)
def test_more_bad_input(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_own_payoffs_may_be_an_array():
    game = PolymatrixGame([2, 2], {}, own=np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert game.action_payoffs([0, 1])[1].tolist() == [3.0, 4.0]
