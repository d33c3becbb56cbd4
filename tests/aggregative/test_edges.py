"""Games at the edges of numbers: huge grids, tiny and cancelling amounts, overflow, calls that make no sense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    CurvePayoffs,
    Grid,
    StageFamily,
    TabulatedPayoffs,
    Tolerance,
    nash_gap,
    random_affine,
)
from eqsolve.certificates import GapCertificate
from eqsolve.driver import Status
from eqsolve.errors import InvalidData, InvalidGame
from tests.aggregative.oracle import flat


def test_types_of_different_weights_or_names_stay_apart():
    same = {"n_actions": [1, 1], "contribution": [[1.0], [1.0]], "payoff": flat(2)}
    assert AggregativeGame(**same, welfare=[0.0, 0.0]).merged().n_types == 1
    assert AggregativeGame(**same, welfare=[0.0, 1.0]).merged().n_types == 2
    assert AggregativeGame(**same, actions=("in", "out")).merged().n_types == 2


def test_status_tells_a_broken_certificate_and_a_broken_bound():
    result = AggregativeNash(cells=6).solve(random_affine(20, 3, 2))
    worse = replace(result, gap=GapCertificate("NE", 9.0, 9.0, "exact")).judged()
    assert worse.status is Status.REFUTED
    assert "exceeds its bound" in worse.reason
    best = result.state.concluded().best
    wrong = replace(best, outcome=replace(best.outcome, x=best.outcome.x * 0.9))
    state = result.state.concluded()
    state.best = wrong
    broken = replace(result, state=state).judged()
    assert broken.status is Status.REFUTED
    assert "certificate of the stage program" in broken.reason
    assert result.selection_gap == result.found.bound - result.welfare


def test_range_counts_all_players_of_a_type():
    game = AggregativeGame([2, 1], [[-1.0], [2.0], [0.5]], flat(3), count=[3, 2])
    assert (game.lower[0], game.upper[0], game.delta) == (-2.0, 7.0, 3.0)


def test_grids_of_more_cells_than_a_machine_integer():
    result = AggregativeNash().solve(random_affine(6_000_000, 3, 3, types=12))
    assert result.family.size > 2**63
    assert result.is_converged
    assert f"{result.family.size:,} cells" in str(result)
    assert result.to_json()["search"]["cells_of_grid"] == result.family.size


def test_a_game_in_which_every_player_is_decided_at_once():
    table = TabulatedPayoffs(([0.0, 1.0, 2.0],), [[0.0, 0, 0], [1.0, 1, 1]] * 2)
    result = AggregativeNash(cells=4).solve(AggregativeGame([2, 2], [[0.0], [1.0]] * 2, table))
    assert result.actions.tolist() == [1, 1]
    assert result.gap.upper == 0.0


def test_coordinates_of_very_different_size():
    g = [
        [-4097.1, 3.3e-05, 250505.0, -9.68],
        [9267.75, -5.6e-05, -506133.5, 63.5],
        [-5358.0, -1.03e-05, 1066.6, -18.7],
        [-692.1, 9.9e-05, 275701.0, 18.2],
        [-3912.2, -8.9e-05, 718927.0, 73.1],
    ]
    game = AggregativeGame([3, 2], g, flat(5, 4), [0.6, 0.5, 0.2, 0.6, 0.1])
    for cells in (5, 6, 8):
        result = AggregativeNash("existence", cells=cells).solve(game)
        assert result.is_converged
        assert result.found.bound == pytest.approx(1.2)


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e5, 1e9])
def test_a_coordinate_that_cancels_and_cannot_move(size):
    n, rng = 20, np.random.default_rng(0)
    fixed = rng.uniform(-size, size, n)
    fixed[-1] -= fixed.sum()
    g = np.column_stack((np.r_[fixed, 0, 0], np.r_[np.zeros(n), 0, 1.0]))
    game = AggregativeGame([1] * n + [2], g, flat(n + 2, 2), np.ones(n + 2))
    for backend in ("auto", "highs"):
        assert AggregativeNash("existence").solve(game, backend=backend).is_converged


def test_zeta_is_measured_by_the_constant_on_the_whole_range():
    """All drivers on road 0 is a 0.1-equilibrium, below zeta gamma = 0.5; gamma around its cell is 0."""
    n = 10
    payoff = CurvePayoffs([0.0, 0.8, 1.0], [[0.0, 0.0, 1.0]], [0, 0] * n, [0, 0] * n, [0.0, 1.0] * n, [0.0, 0.1] * n, 1)
    game = AggregativeGame([2] * n, [[0.0], [1 / n]] * n, payoff, [1.0, 0.0] * n)
    assert game.gamma.max() == pytest.approx(5.0)
    assert nash_gap(game, game.plays(np.zeros(n))).upper == pytest.approx(0.1)
    assert AggregativeNash("opt", zeta=0.1).solve(game).found.bound >= 10.0


def test_merged_players_keep_their_names_in_the_file(tmp_path):
    game = AggregativeGame([2, 2], [[0.0], [1.0]] * 2, AffinePayoffs([0.0] * 4, [[-1.0]] * 4), types=("alice", "bob"))
    result = AggregativeNash().solve(game)
    assert result.merged.types == ("alice and 1 others",)
    lines = (result.save(tmp_path) / "actions.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]] == ["alice", "bob"]
    assert nash_gap(game, game.plays(result.actions)).upper == result.gap.upper


@pytest.mark.parametrize(("base", "better"), [(1e9, 5e-4), (1e6, 5e-7), (0.0, 1e-12), (0.0, 1e-300)])
def test_a_dominated_action_is_never_a_tie(base, better):
    game = AggregativeGame([2], [[0.0], [1.0]], AffinePayoffs([base + better, base], [[0.0], [0.0]]), [0.0, 1.0])
    result = AggregativeNash("existence").solve(game)
    assert result.gap.upper == 0.0
    assert result.is_converged


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contribution": [[0.0], [1e308]], "count": [10]}, "the aggregator overflows"),
        ({"contribution": [[-1e308], [1e308]]}, "the aggregator overflows"),
        ({"welfare": [0.0, 1e308], "count": [10]}, "the total welfare overflows"),
        ({"payoff": None}, "payoff is None"),
        ({"coordinates": "a"}, "coordinates is one text"),
        ({"count": [10**16]}, "2\\^53"),
        ({"type_of_player": [5]}, r"type_of_player\[0\] is 5; there are 1 types"),
        ({"type_of_player": [0, 0]}, "type_of_player has shape 2, expected 1"),
    ],
)
def test_games_beyond_numbers_are_refused(change, message):
    values = {"n_actions": [2], "contribution": [[0.0], [1.0]], "payoff": flat(2)}
    with pytest.raises(InvalidGame, match=message):
        AggregativeGame(**{**values, **change})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"game": None}, "a NoneType is not a game"),
        ({"backend": None}, "backend is None"),
        ({"limits": 3}, "limits is 3"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
    ],
)
def test_bad_calls_are_refused(arguments, message):
    call = {"game": random_affine(5, 2, 1), **arguments}
    with pytest.raises(InvalidData, match=message):
        AggregativeNash().solve(call.pop("game"), **call)


def test_grids_too_fine_for_numbers_are_refused():
    game = random_affine(20, 3, 2)
    with pytest.raises(InvalidData, match="at most 2\\^50"):
        AggregativeNash(half_width=1e-20).family(game)
    with pytest.raises(InvalidData, match="does not cover the range"):
        StageFamily(game, Grid.over(random_affine(20, 3, 2, seed=1)), Tolerance.of("opt"))
    with pytest.raises(InvalidData, match="no cell 4 in a grid of 4"):
        AggregativeNash(cells=2).solve(game).program(4)


def test_an_interrupt_while_rounding_keeps_the_nearest(monkeypatch):
    def interrupted(game, p):
        raise KeyboardInterrupt

    monkeypatch.setattr("eqsolve.aggregative.nash.round_best", interrupted)
    result = AggregativeNash(cells=5).solve(random_affine(30, 3, 2))
    assert result.status == Status.INTERRUPTED
    assert result.gap.upper <= result.bounds[0].value + 1e-12
