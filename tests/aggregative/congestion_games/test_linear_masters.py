"""The equilibrium through linear masters: on every backend, against the other routes, cut and resumed, and where it stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from eqsolve.aggregative.congestion_games import AffineCosts
from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, beckmann_program
from eqsolve.aggregative.congestion_games.certificate import wardrop_gaps
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram
from eqsolve.aggregative.congestion_games.generators import NEW_ROAD, braess, grid_city, pigou
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.tntp import read_game
from eqsolve.backends import Limits, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import Checkpoints, Result, Status, solve
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import BackendUnavailable, InvalidData, UnknownName
from tests.aggregative.congestion_games.convex_games import GAMES, by_function, crossing, falling, game_of, least
from tests.backends.usable import usable_backends

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "transport"


def check(result, tolerance):
    """Converged, the certificate of the exact flows holds, and that of the last master too."""
    assert result.status is Status.CONVERGED, result.reason
    gaps = wardrop_gaps(result.game, result.policy)
    assert gaps.relative_gap <= tolerance * (1 + 1e-6) + 1e-12
    assert result.gap.upper == pytest.approx(max(gaps.regret, 0.0), abs=1e-9)
    program = result.program()
    assert program.name == "master program"
    if result.state.outcome.y is not None:
        assert certify(program, result.state.outcome).holds(1e-5)


@pytest.mark.parametrize("backend", usable_backends("LP"))
def test_every_backend_finds_the_equilibrium(backend):
    game = crossing()
    try:
        result = solve(game, LinearMasters(1e-3), backend=backend)
    except BackendUnavailable as refusal:
        pytest.skip(refusal.what)
    check(result, 1e-3)
    assert float(game.costs.integral(result.aggregator).sum()) == pytest.approx(least("crossing"), rel=1e-3)


@pytest.mark.parametrize("name", GAMES)
def test_all_routes_agree(name):
    game = game_of(name)
    result = solve(game, LinearMasters(1e-7))
    check(result, 1e-7)
    value = float(game.costs.integral(result.aggregator).sum())
    assert value == pytest.approx(least(name), rel=1e-7)
    (bound,) = result.bounds
    assert value - bound.value <= least(name) * (1 + 1e-9)
    assert bound.value <= 1e-6 * value
    program = beckmann_program(game)
    conic = game.aggregator(beckmann_flows(game, program, solve_program(program).x))
    other = solve(game, PathEquilibrium(1e-10)).aggregator
    scale = 2e-3 * game.demand.sum()
    np.testing.assert_allclose(game.costs.cost(result.aggregator), game.costs.cost(other), rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(game.costs.cost(conic), game.costs.cost(other), rtol=5e-3, atol=5e-3)
    if name not in ("Pigou", "listed"):
        np.testing.assert_allclose(result.aggregator, other, atol=scale)


def test_braess_by_the_book():
    for game, time in ((braess(), 92.0), (braess().without([NEW_ROAD]), 83.0)):
        result = solve(game, LinearMasters(1e-10))
        check(result, 1e-10)
        np.testing.assert_allclose(result.policy.path_costs(result.costs), time, rtol=1e-9)


def test_costs_given_by_functions_need_no_cones():
    result = solve(by_function(), LinearMasters(1e-6))
    check(result, 1e-6)
    with pytest.raises(NoConvexProgram, match="given by a function"):
        result.program("beckmann")


def test_the_history_tells_of_two_bounds_and_the_programs_are_at_hand():
    game = grid_city(3, 4, zones=5, seed=2)
    result = solve(game, LinearMasters(1e-6))
    check(result, 1e-6)
    value, lower = result.history["beckmann"], result.history["lower"]
    assert (np.diff(lower) >= 0).all()
    assert (lower <= value * (1 + 1e-12)).all()
    assert (np.diff(value) <= 1e-6 * value[:-1]).all()
    assert result.program("beckmann").kind == "SOCP"
    pricing = result.program("all-or-nothing")
    assert certify(pricing, solve_program(pricing, "highs")).holds(1e-8)
    algorithm = result.algorithm
    assert algorithm.select(game, "system", lambda: pytest.fail("no run is needed")).name == "system optimum program"
    assert str(algorithm.select(game, "", lambda: result)) == str(result.program("master"))
    with pytest.raises(UnknownName, match="program"):
        result.program("stage")


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    game = grid_city(3, 3, zones=4, seed=5)
    algorithm = LinearMasters(1e-7)
    whole = solve(game, algorithm, backend="highs")
    check(whole, 1e-7)
    assert whole.iterations > 6
    for cut in (1, 3, 6):
        asked = Checkpoints(tmp_path / "c", seconds=0.0, resume=cut > 1)
        part = solve(game, algorithm, backend="highs", checkpoint=asked, limits=Limits(iterations=cut))
        assert part.status is Status.OUT_OF_ITERATIONS
        assert part.history["relative_gap"].tolist() == whole.history["relative_gap"][:cut].tolist()
        part.policy.check(game)
    again = solve(game, algorithm, backend="highs", checkpoint=Checkpoints(tmp_path / "c", resume=True))
    assert again.history.equals(whole.history)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    back = Result.load(whole.save(tmp_path / "run"))
    assert back.recertified() == whole.gap
    assert str(back.program()) == str(whole.program())


def test_masters_start_from_the_basis_of_the_last_one():
    result = solve(grid_city(3, 4, zones=5, seed=2), LinearMasters(1e-6), backend="highs")
    outcome = result.state.outcome
    assert outcome.warm_start
    cold = solve_program(result.program(), "highs")
    assert outcome.objective == pytest.approx(cold.objective, rel=1e-9)


def test_a_tolerance_below_rounding_stalls_and_says_so():
    result = solve(grid_city(3, 3, zones=4, seed=5), LinearMasters(1e-300))
    assert result.status is Status.STALLED
    assert wardrop_gaps(result.game, result.policy).relative_gap <= 1e-7


def test_weights_and_fractions_of_vehicles():
    game = game_of("mixed")
    result = solve(game, LinearMasters(1e-7))
    assert set(game.weight) == {1.0, 2.5}
    np.testing.assert_allclose(np.bincount(result.policy.type_of, weights=result.policy.flow), game.count, rtol=1e-14)


def test_bad_input_is_refused():
    with pytest.raises(NoConvexProgram, match="may fall with the flow") as caught:
        solve(falling(), LinearMasters())
    assert "FixedPointNash" in caught.value.remedy
    for tolerance in (0.0, -1e-3, np.nan, True, "1e-6"):
        with pytest.raises(InvalidData, match="tolerance"):
            LinearMasters(tolerance)


def test_roads_that_cost_nothing():
    result = solve(pigou().with_costs(AffineCosts([0.0, 0.0], [0.0, 0.0])), LinearMasters())
    assert result.status is Status.CONVERGED
    assert result.gap.upper == 0.0


@pytest.mark.skipif(not REAL.exists(), reason="the data of Sioux Falls is not here")
def test_sioux_falls():
    result = solve(read_game(REAL / "SiouxFalls_net.tntp", REAL / "SiouxFalls_trips.tntp"), LinearMasters(1e-6))
    check(result, 1e-6)
    assert float(result.game.costs.integral(result.aggregator).sum()) == pytest.approx(42.31335287107440e5, rel=1e-8)
