"""What a profile earns, by the algorithms' own evaluation, the judge's, and over all trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.markov import AggreBI, MarkovProfile, random_markov
from eqsolve.aggregative.markov.certificate import values as judged
from eqsolve.aggregative.markov.certificate import welfare as judged_welfare
from eqsolve.aggregative.markov.evaluation import continuation, stage_values
from tests.aggregative.markov.oracle import random_actions, tiny_game


@pytest.mark.parametrize("seed", range(24))
def test_values_and_welfare_are_those_of_all_trajectories(seed):
    tiny = tiny_game(seed)
    actions = random_actions(tiny, seed)
    values, welfare = continuation(tiny.game, actions, -1)
    assert values @ tiny.game.initial == pytest.approx([tiny.earned(actions.tolist(), i) for i in range(len(tiny.m))], abs=1e-12)
    assert tiny.game.initial @ welfare == pytest.approx(tiny.welfare(actions.tolist()), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_judge_evaluates_alike(seed):
    game = random_markov(15, (1, 4), 2, 3, 4, types=3, seed=seed)
    profile = MarkovProfile(np.random.default_rng(seed).integers(0, game.n_actions[game.player_types], (4, 3, 15)))
    values, welfare = continuation(game, profile.actions, -1)
    assert judged(game, profile) == pytest.approx(values, abs=1e-12)
    assert judged_welfare(game, profile) == pytest.approx(float(game.initial @ welfare), abs=1e-11)


def test_after_the_last_step_nothing_comes():
    game = random_markov(3, 2, 1, 2, 3)
    values, welfare = continuation(game, np.zeros((3, 2, 3), dtype=np.int32), 2)
    assert not values.any()
    assert not welfare.any()


def test_one_step_at_the_aggregator_that_the_profile_causes():
    game = random_markov(4, 3, 2, 2, 1, seed=3)
    actions = np.array([0, 2, 1, 2], dtype=np.int32)
    ahead, rest = np.arange(8.0).reshape(4, 2), np.array([10.0, 20.0])
    values, welfare, x = stage_values(game, 0, 1, actions, ahead, rest)
    column = 3 * np.arange(4) + actions
    assert x == pytest.approx(game.contribution[0][column].sum(axis=0))
    p = game.transition.at(0, 1, x)
    for i, c in enumerate(column):
        assert values[i] == pytest.approx(game.reward(0, 1).at(np.array([c]), x[None])[0] + p @ ahead[i])
    assert welfare == pytest.approx(game.weights[0, 1, column].sum() + p @ rest)


def test_the_run_keeps_the_values_of_its_answer():
    game = random_markov(12, 3, 1, 3, 3, types=3, seed=5)
    result = AggreBI(cells=6).solve(game)
    values, welfare = continuation(game, result.actions, -1)
    assert result.state.values == pytest.approx(values, abs=1e-12)
    assert result.state.welfare == pytest.approx(welfare, abs=1e-12)
    assert result.value == pytest.approx(float(game.initial @ welfare), abs=1e-12)
