"""The a-priori bounds against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, AggregativeGame, Grid, StageFamily, Tolerance
from eqsolve.aggregative.bounds import paper_bound, rounding_welfare_loss, sampling_error, vertex_rounding
from eqsolve.errors import InvalidData, UnknownName

ZETA, ERROR = 0.3 * np.sqrt(8 * 4 * np.log(2 * 2 * 4)), 0.3 * np.sqrt(4 * np.log(2 * 2 / 0.05) / 2)
"""Of ``by_hand``: n = 4, m = 2, d = 2, delta = 0.3."""


def by_hand():
    """Four players with gamma = 3 and delta = 0.3, on cells of half-widths 0.1 and 0.2."""
    game = AggregativeGame([2] * 4, [[0.0, 0.0], [0.1, 0.3]] * 4, AffinePayoffs([0.0] * 8, [[1.0, 2.0]] * 8), [0.0, 5.0] * 4)
    return game, Grid.over(game, (2, 3))


def test_the_vertex_bound_and_what_it_needs():
    game, grid = by_hand()
    box = StageFamily(game, grid, Tolerance.of("existence")).box(0)
    bound = vertex_rounding(game, grid, box, excess=2)
    assert bound.value == pytest.approx(3 * (4 * 0.2 + 3 * 0.3))
    assert bound.terms == pytest.approx({"eta": 3 * 2 * 0.2, "2 b gamma": 3 * 2 * 0.2, "(d+1) delta gamma": 3 * 3 * 0.3})
    refused = vertex_rounding(game, grid, box, excess=3)
    assert refused.value is None
    assert "3 extra actions" in refused.failed[0]


@pytest.mark.parametrize("sampled", [True, False])
def test_the_papers_bound_is_the_sum_of_its_terms(sampled):
    game, grid = by_hand()
    box = StageFamily(game, grid, Tolerance.of("paper")).box(0)
    bound = paper_bound(game, grid, box, Tolerance.of("paper"), sampled=sampled)
    assert bound.value == pytest.approx(3 * (ZETA + 4 * 0.2 + 2 * 0.3 + 2 * ERROR))
    expected = {"zeta gamma": 3 * ZETA, "4 alpha gamma": 3 * 0.8, "2 delta gamma": 3 * 0.6, "2 E gamma": 6 * ERROR}
    assert bound.terms == pytest.approx(expected)


@pytest.mark.parametrize(("share", "holds"), [(0.999, True), (1.001, False)])
def test_the_papers_bound_needs_a_tolerance_of_at_most_its_own(share, holds):
    game, grid = by_hand()
    tolerance = Tolerance.of(3 * (ZETA + 2 * 0.2 + 0.3) * share)
    bound = paper_bound(game, grid, StageFamily(game, grid, tolerance).box(0), tolerance)
    assert (bound.value is not None) == holds
    assert holds or "exceeds the paper's" in bound.failed[0]


@pytest.mark.parametrize(("players", "holds"), [(1, False), (2, True)])
def test_the_papers_bound_covers_a_rounded_vertex_only_where_rounding_moves_less_than_sampling(players, holds):
    """d = 4: E = delta sqrt(n ln(160) / 2) is 1.59 delta for one player, 2.25 delta for two; rounding moves by 2 delta."""
    g = np.vstack((np.zeros(4), np.eye(4))) / players
    game = AggregativeGame([5] * players, np.tile(g, (players, 1)), AffinePayoffs(np.zeros(5 * players), np.ones((5 * players, 4))))
    grid, tolerance = Grid.over(game, (2,) * 4), Tolerance.of("existence")
    box = StageFamily(game, grid, tolerance).box(0)
    rounded = paper_bound(game, grid, box, tolerance)
    assert (rounded.value is not None) == holds == (sampling_error(game) >= 2 * game.delta)
    assert holds or "more than the sampling error" in rounded.failed[0]
    assert paper_bound(game, grid, box, tolerance, sampled=True).value is not None


@pytest.mark.parametrize("beta", [0.0, 1.0, -0.1, 1.5, np.nan, np.inf, None, "0.05", True])
def test_a_probability_of_failure_lies_between_0_and_1(beta):
    game, grid = by_hand()
    box = StageFamily(game, grid, Tolerance.of("paper")).box(0)
    for bound in (lambda: sampling_error(game, beta), lambda: paper_bound(game, grid, box, Tolerance.of("paper"), beta)):
        with pytest.raises(InvalidData, match="beta is"):
            bound()


def test_the_sampling_error_falls_as_more_failures_are_allowed():
    game, _ = by_hand()
    assert sampling_error(game) == pytest.approx(ERROR)
    assert sampling_error(game, 1e-300) > sampling_error(game, 0.01) > sampling_error(game, 0.99) > 0


def test_welfare_moves_by_the_largest_range_per_coordinate_or_half_of_it():
    game, _ = by_hand()
    assert rounding_welfare_loss(game, "nearest") == pytest.approx(5.0)
    assert rounding_welfare_loss(game) == rounding_welfare_loss(game, "best") == pytest.approx(10.0)
    line = AggregativeGame([2], [[0.0], [1.0]], AffinePayoffs([0.0, 0.0], [[0.0], [0.0]]), [-1.0, 4.0])
    assert (rounding_welfare_loss(line, "nearest"), rounding_welfare_loss(line)) == pytest.approx((2.5, 5.0))
    with pytest.raises(UnknownName, match="unknown rounding 'neares'"):
        rounding_welfare_loss(line, "neares")


def test_the_other_side_may_lose_almost_the_whole_range():
    """One player, 0.9 in the action of weight 4: the nearest rounding moves 0.1 of the range, the other side 0.9."""
    game = AggregativeGame([2], [[0.0], [1.0]], AffinePayoffs([0.0, 0.0], [[0.0], [0.0]]), [0.0, 4.0])
    mixed = game.social_welfare([0.1, 0.9])
    nearest, other = mixed - game.social_welfare([0, 1]), mixed - game.social_welfare([1, 0])
    assert abs(nearest) <= rounding_welfare_loss(game, "nearest") < abs(other) <= rounding_welfare_loss(game, "best")
