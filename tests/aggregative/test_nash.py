"""The algorithm as users call it: presets, variants, budgets, files, reproducibility."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from eqsolve.aggregative import (
    AggregativeNash,
    Grid,
    NoFeasibleCell,
    congestion,
    ev_charging,
    market,
    nash_gap,
    player_gains,
    random_affine,
)
from eqsolve.aggregative.bounds import paper_bound, pure_existence, rounding_welfare_loss, sampling_error
from eqsolve.aggregative.rounding import round_nearest, sample_profile
from eqsolve.aggregative.sweep import sweep
from eqsolve.backends import Limits
from eqsolve.errors import EqsolveError, FileTrouble, InvalidData, InvalidGame, UnknownName
from eqsolve.files import json_text

GAMES = {
    "congestion": congestion(300, 3),
    "congestion of types": congestion(300, 3, types=4),
    "affine": random_affine(400, (1, 4), 2),
    "market": market(200),
    "ev charging": ev_charging(200, 3),
    "one player": congestion(1, 2),
    "one coordinate that cannot move": random_affine(5, 1, 1),
}


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("tolerance", ["existence", "opt", "paper"])
def test_standard_games_are_solved_and_certified(name, tolerance):
    game = GAMES[name]
    # The draft's tolerance leaves most cells of a fine grid open; a coarse one shows the same.
    result = AggregativeNash(tolerance, cells=8 if tolerance == "paper" else None).solve(game)
    assert result.certificate.holds(1e-7)
    assert result.gap.upper <= result.bounds[0].value + 1e-9
    assert result.gap.upper == pytest.approx(player_gains(result.merged, result.plays).max(), abs=1e-12)
    assert nash_gap(game, game.plays(result.actions)).upper == pytest.approx(result.gap.upper, abs=1e-12)
    assert result.found.bound >= result.welfare - rounding_welfare_loss(result.merged) - 1e-9
    assert result.status == "converged"


def test_same_call_same_bytes():
    first, second = (AggregativeNash(variant="paper", cells=8).solve(GAMES["congestion"], seed=3) for _ in range(2))
    assert first.plays.tobytes() == second.plays.tobytes()
    assert {**first.to_json(), "seconds": 0} == {**second.to_json(), "seconds": 0}


def test_the_draft_samples_from_the_backends_own_point():
    """An interior answer is mixed everywhere, so that other seeds draw other profiles."""
    runs = [
        AggregativeNash(variant="paper", cells=8).solve(random_affine(60, 3, 1), backend="cvxpy:CLARABEL", seed=k)
        for k in (3, 3, 4)
    ]
    assert (runs[0].plays == runs[1].plays).all()
    assert (runs[0].plays != runs[2].plays).any()
    assert [bound.name for bound in runs[0].bounds] == ["paper, with probability 0.95"]


def test_rounding_a_vertex_beats_sampling_an_interior_point():
    """Section 2 of the notes: the vertex's error does not grow with n, the sample's grows with its root."""
    game = congestion(2000, 2, types=1, seed=1)
    result = AggregativeNash("existence").solve(game)
    mixed = np.array([1.0, 1.0]) * game.n_players / 2
    drawn = [nash_gap(game, sample_profile(game, mixed, np.random.default_rng(seed))).upper for seed in range(20)]
    balanced = AggregativeNash("existence").solve(game)
    assert balanced.gap.upper == result.gap.upper
    assert result.gap.upper < np.median(drawn)


def test_sampling_error_is_hoeffdings():
    game = congestion(400, 2, types=1)
    mix = np.array([0.5, 0.5]) * game.n_players
    away = [
        np.abs(game.aggregator(sample_profile(game, mix, np.random.default_rng(k))) - game.aggregator(mix)).max()
        for k in range(400)
    ]
    assert np.mean(np.array(away) > sampling_error(game, 0.05)) <= 0.05
    assert sampling_error(game, 0.05) == pytest.approx(np.sqrt(400 * np.log(4 / 0.05) / 2) / 400)


def test_nearest_rounding_moves_by_at_most_half_an_influence_per_extra_action():
    rng = np.random.default_rng(0)
    for seed in range(50):
        game = random_affine(30, (1, 6), 2, types=4, seed=seed)
        mix = rng.dirichlet(np.ones(game.n_columns))
        p = mix / game.reduce(np.add, mix)[game.owner] * game.players[game.owner]
        plays = game.check_plays(round_nearest(game, p))
        assert (np.abs(plays - p) < 1).all()
        moved = np.abs(game.aggregator(plays) - game.aggregator(p)).max()
        assert moved <= game.delta * (game.n_actions - 1).sum() / 2 + 1e-12


def test_draft_numbers():
    """zeta = delta sqrt(8 n ln(2 m n)) by hand for delta = 1/n and m = 3: vacuous for small n."""
    from eqsolve.aggregative.tolerance import paper_zeta

    for players, zeta in ((100, 0.715), (1000, 0.264), (10_000, 0.0938)):
        assert paper_zeta(congestion(players, 3, types=2)) == pytest.approx(zeta, abs=5e-4)


def test_bounds_have_their_terms():
    result = AggregativeNash("opt", cells=20).solve(GAMES["affine"])
    vertex, paper = result.bounds
    assert sum(vertex.terms.values()) == pytest.approx(vertex.value)
    assert sum(paper.terms.values()) == pytest.approx(paper.value)
    assert pure_existence(GAMES["affine"]).value == pytest.approx(3 * GAMES["affine"].delta * GAMES["affine"].gamma.max())
    wide = AggregativeNash(100.0, cells=2).solve(GAMES["affine"])
    refused = paper_bound(wide.merged, wide.family.grid, wide.found.box, wide.family.tolerance)
    assert refused.value is None
    assert "exceeds the paper's" in refused.failed[0]


def test_a_budget_is_never_called_convergence():
    algorithm = AggregativeNash("paper", cells=12)
    full = algorithm.solve(GAMES["affine"])
    result = algorithm.solve(GAMES["affine"], limits=Limits(iterations=full.iterations - 1))
    assert not result.is_converged
    assert "budget" in result.status
    assert result.found.bound >= full.found.bound - 1e-9
    with pytest.raises(NoFeasibleCell, match="ended before a feasible cell was found"):
        AggregativeNash(cells=12).solve(GAMES["affine"], limits=Limits(seconds=0.0))


def test_an_interrupt_keeps_what_was_reached():
    family = AggregativeNash("paper", cells=12).family(GAMES["affine"])
    best = sweep(family).bound

    def stop(counts, value, bound):
        if counts.programs == 2:
            raise KeyboardInterrupt

    result = sweep(family, progress=stop)
    assert result.ended == "interrupt"
    assert result.outcome.objective <= best + 1e-9 <= result.bound + 2e-9


def test_highs_answers_where_the_native_method_gives_up(monkeypatch):
    algorithm = AggregativeNash("paper", cells=6)
    native = algorithm.solve(GAMES["affine"])
    monkeypatch.setattr("eqsolve.aggregative.master.MAX_PIVOTS", 0)
    rescued = algorithm.solve(GAMES["affine"])
    assert rescued.found.outcome.backend == "highs"
    assert rescued.found.bound == pytest.approx(native.found.bound, abs=1e-7)
    with pytest.raises(EqsolveError, match="iteration limit"):
        algorithm.solve(GAMES["affine"], backend="native")


def test_progress_brackets_the_answer():
    seen = []
    family = AggregativeNash("paper", cells=12).family(GAMES["affine"])
    result = sweep(family, progress=lambda counts, value, bound: seen.append((value, bound)))
    assert all(value <= result.bound + 1e-9 <= bound + 2e-9 for value, bound in seen)
    assert [bound for _, bound in seen] == sorted((bound for _, bound in seen), reverse=True)


def test_save_writes_what_json_says(tmp_path):
    result = AggregativeNash(cells=10).solve(congestion(60, 3, types=5))
    result.save(tmp_path / "run")
    saved = json.loads((tmp_path / "run" / "result.json").read_text())
    assert saved == json.loads(json_text(result.to_json()))
    with np.load(tmp_path / "run" / "policy.npz") as arrays:
        assert nash_gap(result.merged, arrays["plays"]).upper == result.gap.upper
    with (tmp_path / "run" / "actions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert [row["action"] for row in rows] == [f"road {a}" for a in result.actions]
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(FileTrouble, match="cannot make the folder"):
        result.save(blocked / "run")


def test_text_tells_gap_bound_welfare_and_programs():
    text = str(AggregativeNash().solve(congestion(100, 2)))
    for word in ("100 players", "Nash gap", "exact", "bound", "welfare", "at most", "programs", "converged"):
        assert word in text


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"tolerance": "exist"}, UnknownName, "existence"),
        ({"tolerance": -1.0}, InvalidData, "0 or more"),
        ({"tolerance": "existence", "zeta": 0.1}, InvalidData, "belongs to tolerance 'opt'"),
        ({"zeta": -0.1}, InvalidData, "zeta is -0.1"),
        ({"rounding": "up"}, InvalidData, "rounding is 'up'"),
        ({"variant": "draft"}, InvalidData, "variant is 'draft'"),
        ({"variant": "paper", "tolerance": 0.1}, InvalidData, "tolerance 'paper'"),
    ],
)
def test_bad_parameters_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        AggregativeNash(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cells": 3, "half_width": 0.1}, "both cells and half_width"),
        ({"cells": (0, 1)}, r"cells\[0\] is 0"),
        ({"cells": (1, 2, 3)}, "cells has shape 3, expected 2"),
        ({"half_width": 0.0}, "half_width is 0"),
        ({"half_width": np.nan}, "half_width is nan"),
    ],
)
def test_bad_grids_are_refused(change, message):
    with pytest.raises(InvalidData, match=message):
        AggregativeNash(**change).family(GAMES["affine"])


def test_bad_generators_are_refused():
    with pytest.raises(InvalidGame, match="players"):
        congestion(0)
    with pytest.raises(InvalidGame, match="types is 11"):
        congestion(10, types=11)


def test_grid_tiles_the_range():
    game = GAMES["affine"]
    grid = Grid.over(game, (3, 5))
    corners = [grid.centre(np.array(low), np.array(low) + 1) for low in np.ndindex(3, 5)]
    assert np.min(corners, axis=0) - grid.half_width == pytest.approx(game.lower)
    assert np.max(corners, axis=0) + grid.half_width == pytest.approx(game.upper)
    assert [grid.index(grid.number(low)) for low in np.ndindex(3, 5)] == list(np.ndindex(3, 5))
    assert Grid.over(game, half_width=0.01).b <= 0.01
    assert Grid.over(GAMES["one coordinate that cannot move"]).size == 1
