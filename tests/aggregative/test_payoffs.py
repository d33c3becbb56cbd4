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


@pytest.mark.parametrize(
    ("low", "high", "steepest"),
    [(0.2, 0.8, 5.0), (1.2, 1.8, 1.0), (2.1, 2.9, 7.0), (1.5, 2.5, 7.0), (0.5, 1.5, 5.0), (1.0, 2.0, 1.0)],
)
def test_local_constants_are_those_of_the_pieces_in_reach(low, high, steepest):
    nodes, values = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.0, 5.0, 6.0, 13.0]])
    for payoff in (CurvePayoffs(nodes, values, [0], [0], [1.0], [0.0], 1), TabulatedPayoffs((nodes,), values)):
        assert payoff.lipschitz(np.array([low]), np.array([high])) == pytest.approx([steepest])


@pytest.mark.parametrize(
    ("low", "high", "nearest"), [(-2.0, -1.0, 5.0), (4.0, 5.0, 7.0), (-1e-17, 0.0, 5.0), (3.0, 3.0 + 1e-15, 7.0)]
)
def test_a_box_beside_the_table_takes_its_nearest_piece(low, high, nearest):
    nodes, values = np.array([0.0, 1.0, 2.0, 3.0]), np.array([[0.0, 5.0, 6.0, 13.0]])
    for payoff in (CurvePayoffs(nodes, values, [0], [0], [1.0], [0.0], 1), TabulatedPayoffs((nodes,), values)):
        assert payoff.lipschitz(np.array([low]), np.array([high])) == pytest.approx([nearest])


def test_a_table_of_two_coordinates_is_as_steep_as_its_cells_in_reach():
    """u = f(x) y on a grid: steps 1 and 4 of f in x, taken at the larger y of the cell, and f in y at the larger x."""
    nodes, f = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0])
    payoff = TabulatedPayoffs((nodes, nodes), (f[:, None] * nodes)[None])
    for low, high, gamma in (
        ((0.1, 0.1), (0.9, 0.9), 1 * 1 + 1),
        ((0.1, 1.1), (0.9, 1.9), 1 * 2 + 1),
        ((1.1, 0.1), (1.9, 0.9), 4 * 1 + 5),
        ((0.5, 0.5), (1.5, 1.5), 4 * 2 + 5),
        ((0.5, 1.1), (0.5, 1.9), 1),
        ((1.1, 0.5), (1.9, 0.5), 4 * 1),
    ):
        assert payoff.lipschitz(np.array(low), np.array(high)) == pytest.approx([gamma])


def test_an_even_power_is_least_at_zero():
    """d/dx (x^3 - 4 x) = 3 x^2 - 4 is -1 at both ends of [-1, 1] and -4 between."""
    cubic = PolynomialPayoffs([[3], [1]], [[1.0, -4.0]])
    assert cubic.lipschitz(np.array([-1.0]), np.array([1.0])) == pytest.approx([4.0])


@pytest.mark.parametrize(
    ("low", "high", "gamma"),
    [
        ((-1.0, -3.0), (2.0, 1.0), (0 + 2 * 2 * 9, 2 * 4 * 3)),  # 2 x y^2 in [-2*9, 4*9]; 2 x^2 y in [-24, 8]
        ((-2.0, 1.0), (-1.0, 3.0), (2 * 2 * 9, 2 * 4 * 3)),
        ((1.0, -3.0), (2.0, -1.0), (2 * 2 * 9, 2 * 4 * 3)),
        ((1.0, 0.5), (2.0, 3.0), (2 * 2 * 9, 2 * 4 * 3)),
        ((1.0, 2.0), (3.0, 2.0), (2 * 3 * 4, 0)),
    ],
)
def test_intervals_of_a_product_of_powers(low, high, gamma):
    payoff = PolynomialPayoffs([[2, 2]], [[1.0], [-1.0]])
    assert payoff.lipschitz(np.array(low), np.array(high)) == pytest.approx([sum(gamma)] * 2)


def test_terms_of_both_signs_are_taken_at_both_ends():
    """d/dx (x^2 - x^3) = 2x - 3x^2 over [1, 2]: the interval sum is [2 - 12, 4 - 3]."""
    payoff = PolynomialPayoffs([[2], [3]], [[1.0, -1.0]])
    assert payoff.lipschitz(np.array([1.0]), np.array([2.0])) == pytest.approx([10.0])


OVERFLOWS = {
    "power": (PolynomialPayoffs([[400]], [[1.0], [0.0]]), 1e3),
    "near the largest": (PolynomialPayoffs([[1], [0]], [[0.0, 1.0], [1.7e308, 0.0]]), 0.5),
    "sum of derivatives": (PolynomialPayoffs([[1], [2]], [[0.0, 0.0], [1.5e308, 1.5e308]]), 0.1),
    "sum of terms": (PolynomialPayoffs([[0], [0]], [[1e308, 1e308], [0.0, 0.0]]), 1.0),
    "affine": (AffinePayoffs([1e308, 0.0], [[1e308], [1.0]]), 1.0),
    "flat curve": (CurvePayoffs([0.0, 1.0], [[1e308, 1e308]], [0, 0], [0, 0], [10.0, 1.0], [0.0, 0.0], 1), 1.0),
    "curve": (CurvePayoffs([0.0, 1.0], [[-1e308, 1e308]], [0, 0], [0, 0], [1.0, 10.0], [0.0, 0.0], 1), 1.0),
    "table": (TabulatedPayoffs(([0.0, 1.0],), [[-1e308, 1e308], [0.0, 0.0]]), 1.0),
}
"""Payoffs and the largest aggregator."""


@pytest.mark.parametrize("case", [case for case in OVERFLOWS if case != "near the largest"])
def test_payoffs_that_overflow_are_refused_and_do_not_warn(case):
    payoff, most = OVERFLOWS[case]
    with pytest.raises(InvalidGame, match=r"overflows|exceeds the largest float"):
        one_player(payoff, contribution=[[0.0], [most]])


def test_a_payoff_near_the_largest_float_is_no_overflow():
    payoff, most = OVERFLOWS["near the largest"]
    assert np.isfinite(one_player(payoff, contribution=[[0.0], [most]]).gamma).all()


def test_constants_that_overflow_are_infinite():
    for case in ("power", "sum of derivatives", "curve", "table"):
        payoff, most = OVERFLOWS[case]
        assert payoff.lipschitz(np.array([-most]), np.array([most])).max() == np.inf


@pytest.mark.parametrize("family", FAMILIES)
def test_no_columns_at_all(family):
    game = tiny_game(4, family)
    none = np.zeros(0, dtype=np.int64)
    empty = game.payoff.take(none)
    if family == "callable":
        empty.function = lambda columns, x: pytest.fail("asked for nothing")
    d = game.n_coordinates
    assert (empty.n_columns, empty.n_coordinates) == (0, d)
    assert empty.at(none, np.zeros((0, d))).shape == (0,)
    assert empty.batch(np.tile(game.lower, (3, 1))).shape == (3, 0)
    assert empty.lipschitz(game.lower, game.upper).shape == (0,)
    assert empty.lipschitz(game.lower, game.lower).shape == (0,)
    assert empty.covers(game.lower, game.upper) is None
    assert empty.take(none).n_columns == 0
    assert family == "callable" or len(empty.signature()) == 0


def test_a_table_beside_a_tiny_range_does_not_cover_it():
    s = 1e-10
    payoff = CurvePayoffs([s * 0.6, 1.0], [[0.0, 1.0]], [0, 0], [0, 0], [1.0, 1.0], [0.0, 0.0], 1)
    with pytest.raises(InvalidGame, match=r"covers \[6e-11, 1\], but the aggregator's coordinate 0 ranges over \[1e-11, 5e-11\]"):
        AggregativeGame([2], [[s * 0.1], [s * 0.5]], payoff)


@pytest.mark.parametrize(("nodes", "covered"), [((0.0, 0.3333333333), True), ((1e-13, 1.0), True), ((0.0, 0.33333), False)])
def test_a_table_may_fall_short_of_the_range_by_rounding(nodes, covered):
    game = {"contribution": [[0.0], [1 / 3]], "payoff": TabulatedPayoffs((nodes,), [[0.0, 1.0], [0.0, 1.0]])}
    if covered:
        assert one_player(**game).gamma > 0
    else:
        with pytest.raises(InvalidGame, match="but the aggregator"):
            one_player(**game)


def test_coordinates_that_no_column_reads_need_no_table():
    payoff = CurvePayoffs([0.0, 1.0], [[0.0, 2.0]], [0, 0], [1, 1], [1.0, 1.0], [0.0, 0.0], 2)
    assert one_player(payoff, contribution=[[0.0, 0.0], [5.0, 1.0]]).gamma == pytest.approx([2.0])


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
    "power of 64 bits": (lambda: PolynomialPayoffs([[1e300]], [[1.0]]), r"powers\[0, 0\] is 1e\+300, too large"),
    "fractional power": (lambda: PolynomialPayoffs([[0.5]], [[1.0]]), r"powers\[0, 0\] is 0.5, not a whole number"),
    "grids of nothing": (lambda: TabulatedPayoffs((None, None), np.zeros((1, 2, 2))), r"nodes\[0\] has shape scalar"),
    "no grid at all": (lambda: TabulatedPayoffs(None, np.zeros((1, 2))), "nodes holds no grid"),
    "a number for the grids": (lambda: TabulatedPayoffs(1.0, np.zeros((1, 2))), "nodes holds no grid"),
    "no grids": (lambda: TabulatedPayoffs((), np.zeros(1)), "nodes holds no grid"),
    "grids of another nesting": (lambda: TabulatedPayoffs([0.0, 1.0], np.zeros((1, 2))), r"nodes\[0\] has shape scalar"),
    "no function": (lambda: CallablePayoffs(None, 1.0, 1, 1), "function is None, which cannot be called"),
    "text for a function": (lambda: CallablePayoffs("x**2", 1.0, 1, 1), "function is 'x\\*\\*2', which cannot be called"),
    "fewer than no columns": (lambda: CallablePayoffs(np.sin, 1.0, -1, 1), "n_columns is -1, less than 0"),
    "fractional columns": (lambda: CallablePayoffs(np.sin, 1.0, 1.5, 1), "n_columns is 1.5, not a whole number"),
    "no coordinates": (lambda: CallablePayoffs(np.sin, 1.0, 1, 0), "n_coordinates is 0, less than 1"),
    "text for coordinates": (lambda: CallablePayoffs(np.sin, 1.0, 1, "1"), "n_coordinates is '1', not a whole number"),
} | {
    f"dimension {dimension!r}": (
        lambda dimension=dimension: CurvePayoffs([0.0, 1.0], [[0.0, 1.0]], [0], [0], [1.0], [0.0], dimension),
        f"payoff.dimension is {dimension!r}, (not a whole number|less than 1)",
    )
    for dimension in (None, "1", 1.5, 0, -1, True, np.nan)
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
