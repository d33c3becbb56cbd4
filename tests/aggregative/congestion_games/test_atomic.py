"""Equilibria of whole vehicles: by the driver, against brute force, beside the general methods, and on a real network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqsolve.aggregative import AggregativeNash, PotentialNash, nash_gap
from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    CongestionGame,
    FrankWolfe,
    ListedActions,
    PathEquilibrium,
    PiecewiseLinearCosts,
    RoadNetwork,
)
from eqsolve.aggregative.congestion_games import atomic as module
from eqsolve.aggregative.congestion_games.atomic import AtomicResult, AtomicRouting
from eqsolve.aggregative.congestion_games.certificate import certify
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.polish import Sweep
from eqsolve.aggregative.congestion_games.tntp import read_game
from eqsolve.backends import Limits
from eqsolve.driver import Checkpoints, Result, Status, solve
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from tests.aggregative.congestion_games.atomic_games import (
    brute_force_gains,
    flows_of_plays,
    listed_game,
    plays_of,
    random_costs,
    routed_game,
)

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "transport"
POLISH = 3


@pytest.mark.parametrize("equal", [True, False], ids=["equal", "weighted"])
@pytest.mark.parametrize("make", [listed_game, routed_game])
def test_nobody_gains(make, equal):
    for seed in range(5):
        game = make(np.random.default_rng(seed), ("bpr", "affine", "polynomial")[seed % 3], equal=equal)
        result = solve(game, AtomicRouting())
        assert isinstance(result, AtomicResult)
        assert result.is_converged
        assert result.policy.atomic
        scale = result.costs.max()
        assert brute_force_gains(game, result.policy).max() <= 1e-12 * scale
        assert result.gap.upper <= 1e-12 * scale
        stage = result.history["stage"]
        assert (np.diff(stage) >= 0).all()
        assert set(stage.tolist()) == {0, 1, 2, POLISH}
        assert result.details()["extra_paths_of_vertex"] <= game.n_coordinates
        if equal:
            polished = result.history["potential"][stage >= POLISH - 1]
            assert (np.diff(polished) <= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_general_route_and_this_one_agree(seed):
    rng = np.random.default_rng(seed)
    game = listed_game(rng, "affine" if seed % 2 else "polynomial")
    general = game.as_aggregative()
    other = solve(general, PotentialNash())
    flows = flows_of_plays(game, general.plays(other.actions))
    assert certify(game, flows).upper == pytest.approx(other.gap.upper, rel=1e-9, abs=1e-12)
    result = solve(game, AtomicRouting())
    assert result.gap.upper <= other.gap.upper + 1e-12
    assert nash_gap(general, plays_of(game, result.policy)).upper <= 1e-12


def test_the_grid_search_agrees_on_two_roads():
    game = CongestionGame(AffineCosts([1.0, 2.0], [2.0, 1.0]), ListedActions.of([[[0], [1]], [[1], [0]]], 2), [5.0, 4.0])
    general = game.as_aggregative()
    other = solve(general, AggregativeNash())
    flows = flows_of_plays(game, general.plays(other.actions))
    assert certify(game, flows).upper == pytest.approx(other.gap.upper, abs=1e-12)
    assert solve(game, AtomicRouting()).gap.upper == 0.0


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    game = routed_game(np.random.default_rng(3))
    algorithm = AtomicRouting(LinearMasters(1e-4))
    whole = solve(game, algorithm, backend="highs")
    assert whole.iterations > 4
    for cut in range(1, whole.iterations):
        asked = Checkpoints(tmp_path, seconds=0.0, resume=cut > 1)
        part = solve(game, algorithm, backend="highs", checkpoint=asked, limits=Limits(iterations=cut))
        assert part.status is Status.OUT_OF_ITERATIONS
        assert part.policy.atomic
        assert part.gap.upper == pytest.approx(max(brute_force_gains(game, part.policy).max(), 0.0), abs=1e-9)
    again = solve(game, algorithm, backend="highs", checkpoint=Checkpoints(tmp_path, resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert (again.gap, again.status, again.value, again.bounds) == (whole.gap, whole.status, whole.value, whole.bounds)
    assert again.details() == whole.details()


@pytest.mark.parametrize("kind", ["falling", "polynomial"])
def test_without_a_convex_program(kind):
    game = routed_game(np.random.default_rng(4), kind)
    result = solve(game, AtomicRouting() if kind == "falling" else AtomicRouting(None))
    assert result.is_converged
    assert brute_force_gains(game, result.policy).max() <= 1e-12
    assert result.history["stage"].tolist() == [POLISH] * result.iterations
    assert [one.name for one in result.bounds] == ["existence"]
    with pytest.raises(InvalidData, match="no fractional equilibrium"):
        result.program()


def test_costs_beyond_the_whole_demand_play_no_role():
    game = CongestionGame(AffineCosts([9.0, 9.0], [-1.0, -1.0]), ListedActions.of([[[0], [1]]], 2), [9])
    assert solve(game, AtomicRouting()).gap.upper == 0.0
    network = RoadNetwork(3, [0, 0, 1], [1, 2, 2])
    roads = CongestionGame.from_trips(network, AffineCosts([9.0, 20.0, 9.0], [-1.0, -1.0, -1.0]), [(0, 2, 9)])
    result = solve(roads, AtomicRouting())
    assert result.is_converged
    assert result.gap.upper == max(0.0, brute_force_gains(roads, result.policy).max())


def test_moves_run_out():
    game = routed_game(np.random.default_rng(11), equal=False)
    free = solve(game, AtomicRouting(None))
    needed = free.state.replies
    assert needed > 1
    result = solve(game, AtomicRouting(None, moves=needed - 1))
    assert result.status is Status.STALLED
    assert result.gap.upper == pytest.approx(brute_force_gains(game, result.policy).max(), rel=1e-9)
    assert result.gap.upper > 0
    assert solve(game, AtomicRouting(None, moves=needed)).is_converged
    assert solve(game, AtomicRouting(None, moves=0)).status is Status.STALLED
    assert "moves ran out; no potential is known" in str(result)


def test_a_game_without_pure_equilibrium():
    # The light vehicle wants to share 0 or 1 with the heavy one rather than 2 or 3; the heavy one wants the opposite.
    late, early = ([0.0, 2.0, 3.0], [0.0, 0.0, 1.0]), ([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.5, 1.5])
    costs = PiecewiseLinearCosts(*zip(late, late, early, early, strict=True))
    game = CongestionGame(costs, ListedActions.of([[[0, 2], [1, 3]], [[0, 3], [1, 2]]], 4), [1.0, 1.0], [1.0, 2.0])
    every = [flows_of_plays(game, np.array([1 - a, a, 1 - b, b])) for a in range(2) for b in range(2)]
    assert min(brute_force_gains(game, flows).max() for flows in every) >= 0.5
    result = solve(game, AtomicRouting())
    assert result.status is Status.STALLED
    assert result.gap.upper == brute_force_gains(game, result.policy).max()
    assert result.details()["stuck"] == "replies go round in circles"
    assert result.iterations < 20


def test_another_equilibrium_algorithm_and_loose_loads():
    game = routed_game(np.random.default_rng(3))
    result = solve(game, AtomicRouting(FrankWolfe(1e-2), slack=0.25))
    assert result.is_converged
    assert brute_force_gains(game, result.policy).max() <= 1e-12 * result.costs.max()
    assert result.details()["equilibrium"] == "converged"
    change = game.aggregator(result.state.vertex) - game.aggregator(result.state.fractional)
    assert np.abs(change).max() <= 0.25 + 1e-6


def test_a_tolerance_is_kept():
    game = routed_game(np.random.default_rng(11))
    start = solve(game, AtomicRouting(None, moves=0)).gap.upper
    assert solve(game, AtomicRouting(None, tolerance=start * 1.001)).state.replies == 0
    result = solve(game, AtomicRouting(None, tolerance=start / 2))
    assert result.is_converged
    assert result.gap.upper <= start / 2


def test_a_polish_that_stops_early_is_refuted(monkeypatch):
    game = routed_game(np.random.default_rng(11))
    monkeypatch.setattr(module, "sweep", lambda game, flows, tolerance, most: Sweep(flows, 0, 0.0, 0.0, True))
    result = solve(game, AtomicRouting(None))
    assert result.status is Status.REFUTED
    assert "a vehicle gains" in result.reason


def test_bad_input():
    rng = np.random.default_rng(0)
    halves = CongestionGame(random_costs(2, rng, "bpr"), ListedActions.of([[[0], [1]], [[0]]], 2), [2.0, 2.5])
    with pytest.raises(InvalidGame, match=r"count of type 1 is 2\.5, and an atomic game has whole vehicles") as refusal:
        solve(halves, AtomicRouting())
    assert "PathEquilibrium" in str(refusal.value)
    with pytest.raises(InvalidData, match="equilibrium is 'fast'"):
        AtomicRouting("fast")
    with pytest.raises(InvalidData, match="equilibrium is an AtomicRouting"):
        AtomicRouting(AtomicRouting())
    with pytest.raises(InvalidData, match="tolerance is -1"):
        AtomicRouting(tolerance=-1.0)
    with pytest.raises(InvalidData, match=r"moves is 0\.5"):
        AtomicRouting(moves=0.5)
    with pytest.raises(InvalidGame, match="at most 2\\^53"):
        CongestionGame(random_costs(1, rng, "bpr"), ListedActions.of([[[0]]], 1), [2.0**54])


def test_programs_of_a_run():
    game = routed_game(np.random.default_rng(3))
    result = solve(game, AtomicRouting())
    assert result.program().name == result.program("vertex").name == "vertex program"
    assert result.program("beckmann").name == "Beckmann program"
    with pytest.raises(UnknownName, match="'vertex:1'"):
        result.program("vertex", 1)


@pytest.mark.skipif(not REAL.is_dir(), reason="the data of Sioux Falls are not here")
def test_sioux_falls_of_360600_vehicles(tmp_path):
    game = read_game(REAL / "SiouxFalls_net.tntp", REAL / "SiouxFalls_trips.tntp")
    assert (game.n_players, game.n_coordinates) == (360_600, 76)
    result = solve(game, AtomicRouting(PathEquilibrium(1e-8)))
    assert result.is_converged
    assert result.gap.method == "exact"
    assert result.gap.upper <= 1e-12
    assert result.policy.flow.sum() == 360_600
    more = result.details()
    assert more["extra_paths_of_vertex"] <= 76
    assert 0 < more["gap_before_polish"] <= result.bounds[1].value <= result.bounds[0].value < 1.0
    assert result.social_cost == pytest.approx(7_480_225, rel=1e-4)
    back = Result.load(result.save(tmp_path))
    assert back.recertified() == result.gap
