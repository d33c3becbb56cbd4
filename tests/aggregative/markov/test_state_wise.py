"""The state-wise algorithm: an equilibrium of every stage, whatever comes after."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import AggregativeNash
from eqsolve.aggregative.certificate import nash_gap as stage_gap
from eqsolve.aggregative.markov import AggreBI, ConstantTransitions, StateWise, random_markov
from eqsolve.aggregative.markov.evaluation import continuation
from eqsolve.aggregative.markov.game import AggregativeMarkovGame


@pytest.mark.parametrize("seed", range(4))
def test_every_stage_is_what_the_nash_subroutine_makes_of_its_rewards(seed):
    game = random_markov(12, 3, 1, 2, 3, seed=seed)
    result = StateWise(cells=7).solve(game)
    for h in range(3):
        for s in range(2):
            stage = game.stage_game(h, s)
            alone = AggregativeNash(cells=7).solve(stage)
            plays = stage.plays(result.actions[h, s])
            assert np.array_equal(alone.plays, plays)
            assert result.state.of("gap")[h, s] == pytest.approx(stage_gap(stage, plays).upper, abs=1e-14)


def test_where_nothing_moves_both_algorithms_agree():
    base = random_markov(12, 3, 1, 2, 3, seed=1)
    game = AggregativeMarkovGame(
        3, base.n_actions, base.contribution, base.rewards, ConstantTransitions(np.eye(2)), base.initial, base.weights
    )
    myopic, ahead = StateWise(cells=7).solve(game), AggreBI(cells=7).solve(game)
    assert np.array_equal(myopic.actions, ahead.actions)
    assert myopic.gap == ahead.gap
    assert myopic.bounds[0].value == pytest.approx(ahead.bounds[0].value)
    assert "drift" not in myopic.bounds[0].terms


def test_the_drift_is_what_one_player_can_move_of_the_values_to_come():
    game = random_markov(12, 3, 1, 2, 3, seed=1)
    result = StateWise(cells=7).solve(game)
    for h in range(3):
        values, _ = continuation(game, result.actions, h)
        span = float(np.ptp(values, axis=1).max())
        assert result.state.of("drift")[h] == pytest.approx(game.delta[h] * game.gamma_transition[h] * span, abs=1e-12)


def test_nothing_is_said_of_the_welfare():
    result = StateWise(cells=3).solve(random_markov(6, 2, 1, 2, 2))
    assert np.isinf(result.bound)
    assert result.details()["value_bound"] is None
    assert "at most" not in str(result)
    assert not any("welfare" in bound.name for bound in result.bounds)
