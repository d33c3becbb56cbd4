"""Payoff families: one evaluation against the other, Lipschitz constants that hold, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative import AffinePayoffs, AggregativeGame, CallablePayoffs, CurvePayoffs, PolynomialPayoffs, TabulatedPayoffs
from eqsolve.errors import InvalidGame
from tests.aggregative.oracle import FAMILIES, tiny_game


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_at_agrees_with_batch(family, seed):
    game = tiny_game(seed, family)
    rng = np.random.default_rng(seed)
    x = game.lower + (game.upper - game.lower) * rng.random((4, game.n_coordinates))
    table = game.payoff.batch(x)
    columns = rng.integers(0, game.n_columns, 30)
    points = rng.integers(0, 4, 30)
    assert game.payoff.at(columns, x[points]) == pytest.approx(table[points, columns], abs=1e-12)
    assert game.payoff.take(columns).batch(x) == pytest.approx(table[:, columns], abs=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_lipschitz_constants_hold_on_any_box(family, seed):
    game = tiny_game(seed, family)
    rng = np.random.default_rng(seed + 1)
    span = game.upper - game.lower
    corners = np.sort(game.lower + span * rng.random((2, game.n_coordinates)), axis=0)
    gamma = game.payoff.lipschitz(corners[0], corners[1])
    x, y = (corners[0] + (corners[1] - corners[0]) * rng.random((50, game.n_coordinates)) for _ in range(2))
    change = np.abs(game.payoff.batch(x) - game.payoff.batch(y))
    assert (change <= gamma * np.abs(x - y).max(axis=1, keepdims=True) + 1e-12).all()
    assert (gamma <= game.gamma_columns + 1e-12).all()
    assert game.check_lipschitz(seed=seed) <= 1.0


def test_affine_constants_are_exact():
    payoff = AffinePayoffs(np.zeros(1), np.array([[3.0, -2.0]]))
    assert payoff.lipschitz(np.zeros(2), np.ones(2)) == pytest.approx([5.0])
    assert payoff.lipschitz(np.zeros(2), np.array([1.0, 0.0])) == pytest.approx([3.0])


def test_polynomial_constant_of_a_power():
    payoff = PolynomialPayoffs(np.array([[4]]), np.array([[2.0]]))
    assert payoff.lipschitz(np.array([0.0]), np.array([0.5])) == pytest.approx([8 * 0.125])
    assert payoff.lipschitz(np.array([-1.0]), np.array([0.5])) == pytest.approx([8.0])


def test_curve_constant_is_the_steepest_piece_in_reach():
    nodes, curves = np.array([0.0, 1.0, 2.0]), np.array([[0.0, 1.0, 5.0]])
    payoff = CurvePayoffs(nodes, curves, np.zeros(1), np.zeros(1), np.array([-2.0]), np.zeros(1), 1)
    assert payoff.lipschitz(np.array([0.0]), np.array([1.0])) == pytest.approx([2.0])
    assert payoff.lipschitz(np.array([0.0]), np.array([1.5])) == pytest.approx([8.0])
    assert payoff.batch(np.array([[1.5]])) == pytest.approx(np.array([[-6.0]]))


def test_tabulated_is_multilinear():
    payoff = TabulatedPayoffs((np.array([0.0, 1.0]), np.array([0.0, 2.0])), np.array([[[0.0, 2.0], [1.0, 5.0]]]))
    assert payoff.at(np.array([0]), np.array([[0.5, 1.0]])) == pytest.approx([2.0])
    assert payoff.lipschitz(np.zeros(2), np.array([1.0, 2.0])) == pytest.approx([3.0 + 2.0])


def test_a_constant_that_is_too_small_is_refuted():
    payoff = CallablePayoffs(lambda c, x: 3 * x[:, 0], 1.0, 2, 1)
    game = AggregativeGame(np.array([2]), np.array([[0.0], [1.0]]), payoff)
    with pytest.raises(InvalidGame, match=r"player 0, action . changes by .* allows"):
        game.check_lipschitz()


def test_equal_players_become_types_and_keep_their_order():
    slope = np.array([[1.0], [2.0], [3.0], [4.0]])
    order = np.array([0, 1, 0, 1, 0])
    columns = np.concatenate([[0, 1] if kind == 0 else [2, 3] for kind in order])
    game = AggregativeGame(np.full(5, 2), slope[columns] / 10, AffinePayoffs(slope[columns, 0], slope[columns]))
    merged = game.merged()
    assert merged.n_types == 2
    assert merged.players.tolist() == [3, 2]
    assert merged.n_players == 5
    plays = np.array([1, 2, 0, 2])
    actions = merged.profile(plays)
    assert actions.tolist() == [0, 1, 1, 1, 1]
    assert merged.plays(actions).tolist() == plays.tolist()
    assert game.aggregator(game.plays(actions)) == pytest.approx(merged.aggregator(plays))
    assert merged.merged() is merged


def test_functions_are_never_merged():
    game = AggregativeGame(np.full(3, 1), np.ones((3, 1)), CallablePayoffs(lambda c, x: x[:, 0], 1.0, 3, 1))
    assert game.merged() is game


def one_player(payoff=None, **change):
    values = {"n_actions": [2], "contribution": [[0.0], [1.0]], "payoff": payoff or AffinePayoffs([0.0, 0.0], [[1.0], [1.0]])}
    return AggregativeGame(**{**values, **change})


BAD_GAMES = {
    "NaN contribution": ({"contribution": [[0.0], [np.nan]]}, r"contribution\[1, 0\] is nan"),
    "empty action set": ({"n_actions": [2, 0]}, r"n_actions\[1\] is 0: an action set is empty"),
    "no players": ({"n_actions": []}, "no players"),
    "wrong length": ({"contribution": [[0.0]]}, "contribution has shape 1 x 1, expected 2 x any"),
    "no coordinates": ({"contribution": np.zeros((2, 0))}, "no coordinates"),
    "payoffs of another game": ({"payoff": AffinePayoffs([0.0], [[1.0]])}, "payoffs have 1 columns"),
    "infinite welfare": ({"welfare": [0.0, np.inf]}, r"welfare\[1\] is inf"),
    "count 0": ({"count": [0]}, r"count\[0\] is 0"),
    "fractional count": ({"count": [1.5]}, r"count\[0\] is 1.5, not a whole number"),
    "names": ({"coordinates": ("a", "b")}, "2 names of coordinates, expected 1"),
    "text": ({"welfare": ["a", "b"]}, "not an array of numbers"),
    "short table": (
        {"payoff": TabulatedPayoffs(([0.0, 0.5],), [[0.0, 1.0], [0.0, 1.0]])},
        r"covers \[0, 0.5\], but the aggregator's coordinate 0 ranges over \[0, 1\]",
    ),
}


@pytest.mark.parametrize("case", BAD_GAMES)
def test_bad_games_are_refused(case):
    change, message = BAD_GAMES[case]
    with pytest.raises(InvalidGame, match=message):
        one_player(**change)


BAD_PAYOFFS = {
    "grid not increasing": (lambda: TabulatedPayoffs(([0.0, 1.0, 1.0],), np.zeros((1, 3))), r"nodes\[0\]\[2\] is 1, not above"),
    "one grid point": (lambda: TabulatedPayoffs(([0.0],), np.zeros((1, 1))), "1 grid points"),
    "values of another grid": (lambda: TabulatedPayoffs(([0.0, 1.0],), np.zeros((1, 3))), "values has shape 1 x 3"),
    "negative power": (lambda: PolynomialPayoffs([[-1]], [[1.0]]), r"powers\[0, 0\] is -1"),
    "unknown curve": (lambda: CurvePayoffs([0.0, 1.0], [[0.0, 1.0]], [1], [0], [1.0], [0.0], 1), r"curve\[0\] is 1; there are 1"),
    "negative constant": (lambda: CallablePayoffs(lambda c, x: c, -1.0, 1, 1), r"lipschitz\[0\] is -1"),
    "slope of another length": (lambda: AffinePayoffs([0.0, 1.0], [[1.0]]), "slope has shape 1 x 1"),
}


@pytest.mark.parametrize("case", BAD_PAYOFFS)
def test_bad_payoffs_are_refused(case):
    make, message = BAD_PAYOFFS[case]
    with pytest.raises(InvalidGame, match=message):
        make()


@pytest.mark.parametrize("answer", [lambda c, x: x[:, 0] * np.nan, lambda c, x: np.zeros(1 + len(c)), lambda c, x: "text"])
def test_a_function_that_answers_nonsense_is_refused(answer):
    game = one_player(CallablePayoffs(answer, 1.0, 2, 1))
    with pytest.raises(InvalidGame, match="payoff function"):
        game.payoff.batch(np.zeros((3, 1)))


def test_profiles_are_checked():
    game = one_player(count=[3])
    with pytest.raises(InvalidGame, match=r"actions\[1\] is 2; player 1 has 2 actions"):
        game.plays([0, 2, 0])
    with pytest.raises(InvalidGame, match="add up to 2, not to its 3 players"):
        game.check_plays([1, 1])
    with pytest.raises(InvalidGame, match="plays of type 0, action 1 is -1"):
        game.check_plays([4, -1])


def test_ragged_reduction_equals_loops():
    game = tiny_game(11)
    values = np.random.default_rng(0).random((2, game.n_columns))
    for ufunc, loop in ((np.maximum, np.max), (np.minimum, np.min), (np.add, np.sum)):
        expected = [[loop(row[a:b]) for a, b in pairwise(game.offsets)] for row in values]
        assert game.reduce(ufunc, values) == pytest.approx(np.array(expected))
