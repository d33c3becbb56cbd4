"""Episodes at once are episodes one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from eqsolve.aggregative.markov import ConstantTransitions, learning_instance
from eqsolve.aggregative.markov.samples import Samples, cell_of, centre_of, learning_grid
from eqsolve.aggregative.markov.simulator import Episodes, aggregators_of, play_profile
from eqsolve.errors import InvalidData

GAME = learning_instance(6, states=3, horizon=4, gamma_transition=1.0, seed=2)
ACTIONS = np.random.default_rng(3).integers(0, 2, (4, 3, 6)).astype(np.int32)


def one_by_one(game, actions, count, rng):
    """Every episode by itself, step by step."""
    visits = np.zeros((game.horizon, game.n_states), dtype=np.int64)
    moves = np.zeros((game.horizon - 1, game.n_states, game.n_states), dtype=np.int64)
    for _ in range(count):
        s = rng.choice(game.n_states, p=game.initial)
        for h in range(game.horizon):
            visits[h, s] += 1
            if h < game.horizon - 1:
                x = sum(game.contribution[h, game.offsets[i] + actions[h, s, i]] for i in range(game.n_players))
                following = rng.choice(game.n_states, p=game.transition.at(h, s, x))
                moves[h, s, following] += 1
                s = following
    return Episodes(visits, moves)


def test_the_counts_hang_together():
    played = play_profile(GAME, ACTIONS, 1000, np.random.default_rng(0))
    assert (played.visits.sum(axis=1) == 1000).all()
    assert (played.moves.sum(axis=2) == played.visits[:-1]).all()
    assert (played.moves.sum(axis=1) == played.visits[1:]).all()


@pytest.mark.parametrize("play", [play_profile, one_by_one], ids=["at once", "one by one"])
def test_the_counts_are_those_of_the_model(play):
    """Chi-square tests of the first states and of every row of moves, for both; the level makes a false alarm a rarity."""
    played = play(GAME, ACTIONS, 4000, np.random.default_rng(7))
    x = aggregators_of(GAME, ACTIONS)
    assert stats.chisquare(played.visits[0], 4000 * GAME.initial).pvalue > 1e-4
    for h in range(3):
        for s in range(3):
            expected = played.visits[h, s] * GAME.transition.at(h, s, x[h, s])
            assert stats.chisquare(played.moves[h, s], expected).pvalue > 1e-4


def test_moves_without_chance_are_the_same_for_both():
    cycle = np.roll(np.eye(3), 1, axis=1)
    game = replace(GAME, transition=ConstantTransitions(cycle), initial=np.eye(3)[1])
    one, other = (play(game, ACTIONS, 50, np.random.default_rng(0)) for play in (play_profile, one_by_one))
    assert (one.visits == other.visits).all()
    assert (one.moves == other.moves).all()


def test_the_number_of_episodes_costs_nothing():
    played = play_profile(GAME, ACTIONS, 10**15, np.random.default_rng(0))
    assert (played.visits.sum(axis=1) == 10**15).all()


def test_no_episodes_at_all():
    assert not play_profile(GAME, ACTIONS, 0, np.random.default_rng(0)).visits.any()
    with pytest.raises(InvalidData, match="episodes is -1"):
        play_profile(GAME, ACTIONS, -1, np.random.default_rng(0))


def test_cells_are_half_open_and_cover_the_range():
    grid = learning_grid(GAME, 0, 10, None)
    ends = np.linspace(grid.lower, grid.upper, 11)
    assert [cell_of(grid, x + 1e-12) for x in ends[:-1]] == list(range(10))
    assert cell_of(grid, grid.upper) == 9
    assert cell_of(grid, grid.lower - 1e-15) == 0
    for x in np.random.default_rng(0).uniform(grid.lower, grid.upper, (200, 1)):
        assert np.abs(x - centre_of(grid, cell_of(grid, x))).max() <= grid.b * (1 + 1e-9)
    flat = learning_grid(GAME, 0, None, 10.0)
    assert flat.size == 1
    assert cell_of(flat, flat.upper) == 0


def test_counts_persist_and_add_up():
    grids = tuple(learning_grid(GAME, h, 10, None) for h in range(4))
    samples, rng = Samples.none(GAME), np.random.default_rng(1)
    total: dict[tuple[int, int, int], np.ndarray] = {}
    for _ in range(20):
        actions = rng.integers(0, 2, (4, 3, 6)).astype(np.int32)
        played, x = play_profile(GAME, actions, 30, rng), aggregators_of(GAME, actions)
        before = samples
        samples = samples.with_episodes(grids, x, played)
        assert len(samples) >= len(before)
        assert (samples.visits[: len(before)] >= before.visits).all()
        for h, s in np.argwhere(played.visits > 0):
            key = int(h), int(s), cell_of(grids[h], x[h, s])
            went = played.moves[h, s] if h < 3 else np.zeros(3, dtype=np.int64)
            total[key] = total.get(key, 0) + np.append(went, played.visits[h, s])
    assert len(samples) == len(total)
    for h, s, cell, visits, moves in zip(samples.step, samples.state, samples.cell, samples.visits, samples.moves, strict=True):
        assert (total[h, s, cell] == np.append(moves, visits)).all()
    seen = samples.estimate(grids[1], 1, 2)
    assert (np.diff(seen.number) > 0).all()
    for k, cell in enumerate(seen.number):
        counts = total[1, 2, int(cell)]
        assert seen.visits[k] == counts[-1]
        np.testing.assert_allclose(seen.probability[k], counts[:-1] / counts[-1])
        np.testing.assert_array_equal(seen.places[k], centre_of(grids[1], int(cell)))


def test_a_grid_of_too_many_cells_says_what_fits():
    game = learning_instance(6, dimension=4, seed=1)
    with pytest.raises(InvalidData, match=r"e\+24 cells at step 0") as trouble:
        learning_grid(game, 0, None, 1e-7)
    fitting = float(str(trouble.value).split("half_width of ")[1].split(" fits")[0])
    assert learning_grid(game, 0, None, fitting * 1.01).size <= 2**62
