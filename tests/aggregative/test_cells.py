"""The sets of approximate best responses, the cells and their programs."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    CurvePayoffs,
    Grid,
    StageFamily,
    Tolerance,
    random_affine,
)
from eqsolve.aggregative.part import Part
from eqsolve.aggregative.programs import Box
from tests.aggregative.oracle import flat, tiny_game


@pytest.mark.parametrize(("kink", "seen"), [(1.4, True), (1.6, False)])
def test_local_constants_look_as_far_as_a_deviation_from_a_rounded_profile(kink, seen):
    """Rounding moves by d delta / 2, a deviation by delta more: with d = 1 a kink 1.4 delta outside the cell counts."""
    n, cells = 20, 10
    nodes = np.array([0.0, 0.1 + kink / n, 1.0])
    payoff = CurvePayoffs(nodes, [[0.0, 0.0, 1.0]], [0] * 2 * n, [0] * 2 * n, [1.0] * 2 * n, [0.0] * 2 * n, 1)
    game = AggregativeGame([2] * n, [[0.0], [1 / n]] * n, payoff)
    box = StageFamily(game, Grid.over(game, (cells,)), Tolerance.of("existence")).box(0)
    assert bool((box.gamma > 0).all()) is seen


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("preset", ["existence", "opt", "paper"])
def test_a_block_allows_what_its_cells_allow(seed, preset):
    game, rng = tiny_game(seed), np.random.default_rng(seed)
    grid = Grid.over(game, rng.integers(1, 6, game.n_coordinates))
    whole, tolerance = Part.whole(game), Tolerance.of(preset)
    block = Box.at(whole, grid, tolerance, np.zeros_like(grid.cells), grid.cells)
    for index in np.ndindex(*grid.cells):
        cell = Box.at(whole, grid, tolerance, np.array(index), np.array(index) + 1)
        assert (block.allowed | ~cell.allowed).all()
        assert (block.gamma >= cell.gamma - 1e-12).all()
        assert (np.abs(cell.centre - block.centre) + cell.half_width <= block.half_width + 1e-12).all()


def test_payoffs_equal_up_to_rounding_are_ties():
    game = AggregativeGame([2], [[0.0], [0.0]], AffinePayoffs([0.1 + 0.2, 0.3], np.zeros((2, 1))), [0.0, 1.0])
    assert AggregativeNash("existence").solve(game).welfare == 1.0


def test_a_profile_on_a_face_lies_in_both_cells():
    n = 10
    game = AggregativeGame([2] * n, [[0.0], [0.1]] * n, flat(2 * n))
    family = StageFamily(game, Grid.over(game, (3,)), Tolerance.of("existence"))
    for cell in range(3):
        update, box = family.update(cell), family.box(cell)
        low, high = (box.centre - box.half_width) * family.scale, (box.centre + box.half_width) * family.scale
        assert update.row_lower[-1] < low[0] < high[0] < update.row_upper[-1]
        assert (update.row_lower[-1], update.row_upper[-1]) == pytest.approx((low[0], high[0]), abs=1e-9)


def test_aggregator_rows_count_players():
    game = random_affine(6, 2, 2, seed=3)
    family = StageFamily(game, Grid.over(game, (4, 4)), Tolerance.of("opt"))
    program = family[5]
    rows = np.array([program.A.T @ np.eye(program.n_rows)[game.n_types + k] for k in range(2)])
    influence = (game.reduce(np.maximum, game.contribution.T) - game.reduce(np.minimum, game.contribution.T)).max(axis=1)
    assert rows == pytest.approx(game.contribution.T / influence[:, None])
    box = family.box(5)
    assert program.row_lower[-2:] * influence == pytest.approx(box.centre - box.half_width)
