"""The claims of the theory against all pure profiles of hundreds of tiny games."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import AggregativeNash, NoFeasibleCell, Tolerance, nash_gap
from eqsolve.aggregative.rounding import support_excess
from eqsolve.backends import Termination, solve_family
from tests.aggregative.oracle import all_profiles, tiny_game

SEEDS = range(250)


@pytest.mark.parametrize("seed", SEEDS)
def test_presets_keep_their_promises(seed):
    game = tiny_game(seed)
    profiles = all_profiles(game)
    by_plays = {profile.plays.tobytes(): profile for profile in profiles}
    cells = int(np.random.default_rng(seed).integers(1, 7))
    for preset in ("existence", "opt"):
        result = AggregativeNash(preset, cells=cells).solve(game)
        mine = by_plays[game.plays(result.actions).tobytes()]
        assert result.certificate.holds(1e-9)
        assert result.gap.upper == pytest.approx(mine.gap, abs=1e-12)
        assert support_excess(result.merged, result.found.outcome.x) <= game.n_coordinates
        assert result.bounds[0].value is not None
        assert result.gap.upper <= result.bounds[0].value + 1e-9
        assert result.is_converged
        exact = [one.welfare for one in profiles if one.gap <= 0.0]
        if preset == "opt" and exact:
            assert result.found.bound >= max(exact) - 1e-9
            assert result.selection_gap >= max(exact) - result.welfare - 1e-9


@pytest.mark.parametrize("seed", range(60))
def test_zeta_widens_the_selection(seed):
    game = tiny_game(seed, "affine")
    zeta = 0.3
    result = AggregativeNash("opt", zeta=zeta, cells=3).solve(game)
    # Affine payoffs have the same constants everywhere, so that gamma_i zeta is what the tolerance grants each player.
    near = [one.welfare for one in all_profiles(game) if (one.gains <= zeta * game.gamma).all()]
    assert not near or result.found.bound >= max(near) - 1e-9


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("preset", ["existence", "opt", "paper", 0.2])
def test_search_finds_the_best_of_all_cells(seed, preset):
    game = tiny_game(seed)
    algorithm = AggregativeNash(preset, cells=3)
    family = algorithm.family(game.merged())
    outcomes = list(solve_family(family, "native", vertex=True))
    values = [one.objective for one in outcomes if one.x is not None]
    assert all(one.x is not None or one.termination is Termination.INFEASIBLE for one in outcomes)
    if not values:
        with pytest.raises(NoFeasibleCell, match="no cell of"):
            algorithm.solve(game)
        return
    result = algorithm.solve(game)
    assert result.found.bound == pytest.approx(max(values), abs=1e-9)
    assert result.found.outcome.objective == pytest.approx(max(values), abs=1e-9)


@pytest.mark.parametrize("seed", range(100))
def test_gap_equals_enumeration_for_every_profile(seed):
    game = tiny_game(seed)
    rng = np.random.default_rng(seed)
    profiles = all_profiles(game)
    for k in rng.integers(0, len(profiles), 5):
        profile = profiles[k]
        gap = nash_gap(game, profile.plays)
        assert gap.upper == pytest.approx(profile.gap, abs=1e-12)
        if profile.gap > 0:
            worst = int(np.argmax(profile.gains))
            assert gap.witness is not None
            assert gap.witness.gain == pytest.approx(profile.gap, abs=1e-12)
            assert profile.gains[int(gap.witness.who.split()[-1])] == pytest.approx(profile.gains[worst], abs=1e-12)
        else:
            assert gap.witness is None


def test_no_tolerance_can_leave_no_cell():
    """eta = 0 is not a tolerance: some games have no feasible cell then, and the error says which tolerance would do."""
    empty = 0
    for seed in range(150):
        algorithm, game = AggregativeNash(0.0, cells=4), tiny_game(seed)
        if all(outcome.x is None for outcome in solve_family(algorithm.family(game.merged()), "native")):
            empty += 1
            with pytest.raises(NoFeasibleCell, match="preset 'existence'"):
                algorithm.solve(game)
    assert 0 < empty < 150


def test_tolerances_are_ordered():
    game = tiny_game(3)
    gamma = np.ones(game.n_types)
    existence, opt = (Tolerance.of(one).values(game, gamma, gamma, 0.1) for one in ("existence", "opt"))
    assert (existence < opt).all()
    assert (Tolerance.of("paper").values(game, gamma, gamma, 0.1) > opt).all()
