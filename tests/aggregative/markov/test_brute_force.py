"""The claims of the theory, and the certificate, against everything that tiny Markov games allow."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.markov import AggreBI, MarkovProfile, StateWise
from eqsolve.aggregative.markov.certificate import deviation_values, gap_everywhere, nash_gap, values, welfare
from tests.aggregative.markov.oracle import random_actions, tiny_game

SEEDS = range(300)


def check_gap(tiny, actions, gap):
    """A gap against the gains over all deviation policies."""
    gains = tiny.gains(actions)
    assert gap.lower == gap.upper == pytest.approx(max(0.0, *gains), abs=1e-12)
    if gap.upper > 1e-9:
        assert gap.witness.gain == gap.upper
        assert gains[int(gap.witness.who.split()[1])] == pytest.approx(max(gains), abs=1e-12)
    return gains


def check_certificate(tiny, profile):
    """Gap, values and welfare of a profile, against the oracle."""
    game, actions = tiny.game, profile.actions.tolist()
    gains = check_gap(tiny, actions, nash_gap(game, profile))
    own = values(game, profile)
    assert own @ game.initial == pytest.approx([tiny.earned(actions, i) for i in range(len(tiny.m))], abs=1e-12)
    assert (deviation_values(game, profile) - own) @ game.initial == pytest.approx(gains, abs=1e-12)
    assert welfare(game, profile) == pytest.approx(tiny.welfare(actions), abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_aggre_bi_keeps_its_promises(seed):
    tiny = tiny_game(seed)
    check_certificate(tiny, MarkovProfile(random_actions(tiny, seed)))
    preset = preset_of(seed)
    result = AggreBI(preset, cells=cells_of(seed)).solve(tiny.game)
    check_result(tiny, result)
    check_selection(tiny, result, preset)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS[::2])
def test_state_wise_keeps_its_promises(seed):
    tiny = tiny_game(seed)
    check_result(tiny, StateWise(preset_of(seed), cells=cells_of(seed)).solve(tiny.game))


def preset_of(seed):
    return "existence" if seed % 5 == 4 else "opt"


def cells_of(seed):
    return int(np.random.default_rng(seed).integers(1, 7))


def check_result(tiny, result):
    """Exact gap <= gap from the worst state <= vertex rounding <= the corrected theorem; every stage was answered by a vertex."""
    assert result.is_converged
    check_gap(tiny, result.actions.tolist(), result.gap)
    assert result.welfare == pytest.approx(tiny.welfare(result.actions.tolist()), abs=1e-12)
    assert (result.state.of("excess") <= tiny.d).all()
    vertex, corrected = result.bounds[:2]
    everywhere = gap_everywhere(tiny.game, result.policy).upper
    assert result.gap.upper <= everywhere + 1e-12 <= vertex.value + 2e-12 <= corrected.value * (1 + 1e-9) + 4e-12


def check_selection(tiny, result, preset):
    """The limit holds for every profile that the search ranges over; rounding may leave them, by what Theorem 4.2 allows for."""
    loss = result.bounds[-1]
    assert (loss.value is None) == (preset == "existence")
    if preset == "opt":
        assert abs(result.selection_gap) <= loss.value + 1e-9
        best = tiny.best_of_stage_equilibria(result.actions.tolist())
        assert best is None or result.bound >= best - 1e-9
        assert best is None or best - result.welfare <= loss.value + 1e-9


def test_most_tiny_games_have_equilibria_to_compare_with():
    tiny = [tiny_game(seed) for seed in range(60)]
    best = [one.best_of_stage_equilibria(random_actions(one, seed).tolist()) for seed, one in enumerate(tiny)]
    assert sum(one is not None for one in best) >= 30
