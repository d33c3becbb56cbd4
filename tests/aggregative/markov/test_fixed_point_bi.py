"""Backward induction over best replies: against brute force, in many coordinates, cut short and gone on with."""

from __future__ import annotations

import numpy as np
import pytest

import eqsolve
from eqsolve.aggregative.certificate import nash_gap as stage_gap
from eqsolve.aggregative.markov import AggreBI, FixedPointBI, ev_charging_markov, random_markov
from eqsolve.aggregative.markov.evaluation import continuation
from eqsolve.aggregative.markov.stage import Classes, stage_game
from eqsolve.driver import Checkpoints, NothingReached, Status
from eqsolve.errors import InvalidData, UnknownName
from tests.aggregative.markov.test_certificate import two_step_game


def certified(result):
    assert result.gap.method == "exact"
    assert result.gap.upper <= result.bounds[0].value + 1e-12 * (1 + abs(result.value))
    return True


@pytest.mark.parametrize("seed", range(30))
def test_the_gap_is_within_the_sum_of_the_gaps_of_the_stage_games(seed):
    rng = np.random.default_rng(seed)
    game = random_markov(int(rng.integers(1, 7)), (1, 3), int(rng.integers(1, 4)), 2, 3, gamma=2.0, gamma_transition=1.0, seed=seed)
    result = eqsolve.solve(game, FixedPointBI(), seed=seed)
    assert result.status in (Status.CONVERGED, Status.STALLED)
    assert certified(result)
    found = np.zeros((game.horizon, game.n_states))
    for h in range(game.horizon):
        values, _ = continuation(game, result.actions, h)
        for s in range(game.n_states):
            one = stage_game(game, h, s, Classes.of(game, values))
            found[h, s] = stage_gap(one, one.plays(result.actions[h, s])).upper
    assert result.state.of("gap") == pytest.approx(found, abs=1e-12)
    assert result.bounds[0].value == pytest.approx(found.max(axis=1).sum(), abs=1e-12)
    assert result.bound == np.inf


def test_a_player_sees_what_the_own_action_does_to_the_next_state():
    """It invests now to earn later, which the sets of approximate best replies of a grid cannot see."""
    result = eqsolve.solve(two_step_game(), FixedPointBI())
    assert result.is_converged
    assert result.gap.upper == 0.0
    assert result.actions[0, 0, 0] == 1
    assert result.actions[1, 1, 0] == 1


def test_a_day_of_hours():
    game = ev_charging_markov(vehicles=300, hours=24, states=2, horizon=3)
    result = eqsolve.solve(game, FixedPointBI())
    assert result.is_converged
    assert certified(result)
    stated = 25 * game.delta[0] * game.gamma_rewards.max() * game.horizon
    assert result.gap.upper <= stated
    assert "best replies" in str(result)
    with pytest.raises(InvalidData, match="solves no programs"):
        result.program()


def test_few_coordinates_by_both():
    game = random_markov(200, 3, 1, 3, 3)
    for algorithm in (AggreBI(), FixedPointBI()):
        result = eqsolve.solve(game, algorithm)
        assert result.is_converged
        assert certified(result)
        assert result.gap.upper <= 0.05


@pytest.mark.parametrize("ties", ["first", "random"])
def test_a_resumed_run_and_two_jobs_give_the_same_bytes(ties, tmp_path):
    game = random_markov(20, 3, 2, 2, 4)
    whole = eqsolve.solve(game, FixedPointBI(ties=ties), seed=5)
    with pytest.raises(NothingReached, match="2 of 4 steps done"):
        eqsolve.solve(game, FixedPointBI(ties=ties), seed=5, limits=eqsolve.Limits(iterations=2), checkpoint=tmp_path / "run")
    resumed = eqsolve.solve(game, FixedPointBI(ties=ties), seed=5, checkpoint=Checkpoints(tmp_path / "run", resume=True))
    two = eqsolve.solve(game, FixedPointBI(ties=ties), seed=5, n_jobs=2)
    for other in (resumed, two):
        assert other.actions.tobytes() == whole.actions.tobytes()
        assert other.state.values.tobytes() == whole.state.values.tobytes()


def test_a_stated_gap_that_is_not_reached_is_no_convergence():
    game = random_markov(3, 2, 1, 1, 1, gamma=20.0, seed=3)
    for seed in range(40):
        result = eqsolve.solve(game, FixedPointBI(gap=0.0), seed=seed)
        assert certified(result)
        assert (result.status is Status.CONVERGED) == (result.gap.upper <= result.state.of("tolerance").max())


def test_bad_parameters():
    with pytest.raises(InvalidData, match="gap is -1"):
        FixedPointBI(gap=-1)
    with pytest.raises(UnknownName, match="step rule 'newton'"):
        FixedPointBI(step_rule="newton")
    with pytest.raises(UnknownName, match="rule for ties 'last'"):
        FixedPointBI(ties="last")
    with pytest.raises(InvalidData, match="patience is 0"):
        FixedPointBI(patience=0)
