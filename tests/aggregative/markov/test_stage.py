"""Stage games: rewards plus what comes after, the classes of players, the ranking of cells."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import CallablePayoffs, Grid, Tolerance
from eqsolve.aggregative.markov import AggregativeMarkovGame, CallableTransitions, random_markov
from eqsolve.aggregative.markov.continued import ContinuedFamily
from eqsolve.aggregative.markov.stage import Classes, StagePayoffs, stage_game
from tests.aggregative.markov.oracle import random_actions, tiny_game


def stage_of(game, h=0, s=1, seed=0):
    values = np.random.default_rng(seed).random((game.n_types, game.n_states))
    return StagePayoffs(game.reward(h, s), game.transition, h, s, values, game.owner)


def test_payoffs_are_rewards_plus_expected_values():
    game = random_markov(4, (1, 3), 2, 3, 2, seed=1)
    payoffs = stage_of(game)
    x = game.lower[0] + np.random.default_rng(2).random((5, 2)) * (game.upper[0] - game.lower[0])
    table = payoffs.batch(x)
    for b in range(5):
        for c in range(game.n_columns):
            expected = game.reward(0, 1).at(np.array([c]), x[b : b + 1])[0]
            expected += sum(p * v for p, v in zip(game.transition.at(0, 1, x[b]), payoffs.values[game.owner[c]], strict=True))
            assert table[b, c] == pytest.approx(expected, abs=1e-13)
            assert payoffs.at(np.array([c]), x[b : b + 1])[0] == pytest.approx(expected, abs=1e-13)
    assert payoffs.at(np.zeros(0, dtype=np.int64), x[:0]).tolist() == []


def test_constants_add_what_the_transitions_move():
    game = random_markov(4, 2, 1, 3, 2, seed=1)
    payoffs = stage_of(game)
    low, high = game.lower[0], game.upper[0]
    gamma = payoffs.lipschitz(low, high)
    span = np.ptp(payoffs.values, axis=1)
    assert gamma == pytest.approx(game.reward(0, 1).lipschitz(low, high) + game.gamma_transition[0, 1] * span[game.owner])
    assert payoffs.lipschitz(low, low).tolist() == [0.0] * game.n_columns
    rng = np.random.default_rng(3)
    x, y = (low + rng.random((2000, 1)) * (high - low) for _ in range(2))
    moved = np.abs(payoffs.batch(x) - payoffs.batch(y))
    assert (moved <= gamma * np.abs(x - y) + 1e-12).all()


def test_a_part_of_the_columns_is_the_same_payoffs():
    game = random_markov(5, (1, 3), 2, 3, 2, seed=4)
    payoffs = stage_of(game)
    columns = np.array([game.n_columns - 1, 0, 2])
    x = np.random.default_rng(1).random((4, 2))
    assert payoffs.take(columns).batch(x) == pytest.approx(payoffs.batch(x)[:, columns], abs=1e-14)
    assert payoffs.take(columns).lipschitz(game.lower[0], game.upper[0]) == pytest.approx(
        payoffs.lipschitz(game.lower[0], game.upper[0])[columns]
    )
    assert (payoffs.n_columns, payoffs.n_coordinates) == (game.n_columns, 2)


def test_signatures_tell_values_apart():
    game = random_markov(4, 2, 1, 3, 2, types=1, seed=1)
    merged = game.merged()
    values = np.array([[1.0, 2.0, 3.0]])
    one = StagePayoffs(merged.reward(0, 0), merged.transition, 0, 0, values, merged.owner).signature()
    other = StagePayoffs(merged.reward(0, 0), merged.transition, 0, 0, values + 1e-16, merged.owner).signature()
    moved = StagePayoffs(merged.reward(0, 0), merged.transition, 0, 0, np.nextafter(values, 9.0), merged.owner).signature()
    assert np.array_equal(one, other)
    assert not np.array_equal(one, moved)


def test_what_is_the_users_word_stays_so():
    function = CallablePayoffs(lambda c, x: np.zeros(len(c)), 0.0, 2, 1)
    transition = CallableTransitions(lambda h, s, x: np.ones((len(x), 1)), 0.0, 1, 1)
    game = AggregativeMarkovGame(1, [2], [[0.0], [1.0]], function, transition, [1.0])
    payoffs = StagePayoffs(function, transition, 0, 0, np.zeros((1, 1)), game.owner)
    assert not payoffs.lipschitz_is_computed
    assert payoffs.signature() is None
    assert not game.lipschitz_is_computed
    assert stage_of(random_markov(3, 2, 1, 2, 1)).lipschitz_is_computed


def test_players_of_a_type_with_equal_values_are_a_class():
    game = random_markov(6, (1, 3), 1, 2, 1, types=2, seed=8)
    assert game.player_types.tolist() == [0, 0, 0, 1, 1, 1]
    values = np.array([[1.0, 2.0], [1.0, 2.5], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    classes = Classes.of(game, values)
    assert classes.of_player.tolist() == [0, 1, 0, 2, 2, 3]
    assert classes.kind.tolist() == [0, 0, 1, 1]
    assert classes.count.tolist() == [2, 1, 2, 1]
    assert classes.values.tolist() == [[1.0, 2.0], [1.0, 2.5], [1.0, 2.0], [0.0, 0.0]]
    assert classes.n_actions.tolist() == game.n_actions[[0, 0, 1, 1]].tolist()
    by_hand = [c for t in classes.kind for c in range(game.offsets[t], game.offsets[t + 1])]
    assert classes.columns.tolist() == by_hand


def test_different_players_are_classes_of_their_own():
    game = random_markov(3, 2, 1, 2, 1)
    assert Classes.of(game, np.zeros((3, 2))).of_player.tolist() == [0, 1, 2]


@pytest.mark.parametrize("seed", range(6))
def test_the_stage_game_has_the_players_of_the_game(seed):
    game = random_markov(8, (1, 3), 2, 3, 2, types=3, seed=seed)
    values = np.round(np.random.default_rng(seed).random((8, 3)))
    classes = Classes.of(game, values)
    stage = stage_game(game, 1, 2, classes)
    assert stage.n_players == 8
    assert stage.lower == pytest.approx(game.lower[1])
    assert stage.upper == pytest.approx(game.upper[1])
    actions = np.random.default_rng(seed).integers(0, game.n_actions[game.player_types])
    plays = stage.plays(actions)
    column = game.column_of(actions)
    assert stage.aggregator(plays) == pytest.approx(game.contribution[1][column].sum(axis=0))
    assert stage.social_welfare(plays) == pytest.approx(game.weights[1, 2, column].sum())
    x = stage.aggregator(plays)
    expected = game.reward(1, 2).at(column, np.tile(x, (8, 1))) + values @ game.transition.at(1, 2, x)
    mine = stage.offsets[classes.of_player] + actions
    assert stage.payoff.at(mine, np.tile(x, (8, 1))) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("seed", range(40))
def test_the_constant_of_a_block_is_at_least_that_of_each_of_its_cells(seed):
    tiny = tiny_game(seed)
    game = tiny.game
    rng = np.random.default_rng(seed)
    welfare = rng.normal(size=tiny.S)
    stage = stage_game(game, 0, 0, Classes.of(game, np.zeros((game.n_players, tiny.S))))
    grid = Grid.over(stage, (5,) * tiny.d)
    family = ContinuedFamily(stage, grid, Tolerance.of("opt"), game.transition, 0, 0, welfare)
    assert family.size_of_constants == np.abs(welfare).max()
    low = np.array([rng.integers(0, cells) for cells in grid.cells])
    high = np.array([rng.integers(a + 1, cells + 1) for a, cells in zip(low, grid.cells, strict=True)])
    most = family.largest_constant(grid.centre(low, high), (high - low) * grid.half_width)
    for _ in range(20):
        cell = np.array([rng.integers(a, b) for a, b in zip(low, high, strict=True)])
        centre = grid.centre(cell, cell + 1)
        number = grid.number(cell)
        constant = sum(p * v for p, v in zip(tiny.next_state(0, 0, centre.tolist()), welfare.tolist(), strict=True))
        assert family.constant(centre) == pytest.approx(constant, abs=1e-13)
        assert family[number].offset == pytest.approx(constant, abs=1e-13)
        assert constant <= most + 1e-12


def test_programs_of_a_stage_carry_their_constant_and_nothing_else_changes():
    game = random_markov(6, 2, 1, 2, 2, seed=2)
    tiny_values = np.zeros((6, 2))
    stage = stage_game(game, 0, 1, Classes.of(game, tiny_values))
    grid = Grid.over(stage, (4,))
    with_welfare, without = (
        ContinuedFamily(stage, grid, Tolerance.of("opt"), game.transition, 0, 1, welfare)
        for welfare in ([3.0, 7.0] * np.ones(2), np.zeros(2))
    )
    for cell in range(4):
        one, other = with_welfare[cell], without[cell]
        assert 3.0 <= one.offset <= 7.0
        assert other.offset == 0.0
        assert np.array_equal(one.c, other.c)
        assert np.array_equal(one.row_lower, other.row_lower)
        assert np.array_equal(one.col_upper, other.col_upper)


def test_random_actions_are_within_reach_of_the_oracle():
    tiny = tiny_game(3)
    assert random_actions(tiny, 3).shape == (tiny.H, tiny.S, len(tiny.m))
