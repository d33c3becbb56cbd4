"""Roundings against enumeration, and the gap in pieces."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    nash_gap,
    player_gains,
)
from eqsolve.aggregative.rounding import round_best, round_nearest
from tests.aggregative.oracle import flat, tiny_game


def test_nearest_is_the_largest_remainder():
    game = AggregativeGame([2, 3], np.zeros((5, 1)), flat(5), count=[1, 5])
    assert round_nearest(game, np.array([0.9, 0.1, 2.1, 2.8, 0.1])).tolist() == [1, 0, 2, 3, 0]
    assert round_nearest(game, np.array([0.2, 0.8, 1.7, 2.5, 0.8])).tolist() == [0, 1, 2, 2, 1]


def loop_roundings(p):
    """Whole vectors between floor and ceiling of p with the same sum."""
    low, high, total = np.floor(p + 1e-7).astype(int), np.ceil(p - 1e-7).astype(int), round(p.sum())
    return [pick for pick in product(*(range(a, b + 1) for a, b in zip(low, high, strict=True))) if sum(pick) == total]


@pytest.mark.parametrize("seed", range(60))
def test_best_rounding_equals_enumeration(seed):
    rng = np.random.default_rng(seed)
    ties = seed % 3 == 0
    payoff = flat(10, 2) if ties else AffinePayoffs(rng.random(10), rng.uniform(-1, 1, (10, 2)))
    game = AggregativeGame([3, 4, 3], rng.random((10, 2)), payoff, rng.random(10), count=[1, 3, 2])
    p = np.concatenate(([0.25, 0.75, 0.0], rng.dirichlet(np.ones(4)) * 3, rng.dirichlet(np.ones(3)) * 2))
    ways = [loop_roundings(p[a:b]) for a, b in zip(game.offsets[:-1], game.offsets[1:], strict=True)]
    every = [np.concatenate(pick) for pick in product(*ways)]
    plays, gap, tried = round_best(game, p)
    best = min(every, key=lambda one: (nash_gap(game, one).upper, -game.social_welfare(one)))
    assert tried == len(every) <= 64
    assert gap.upper == pytest.approx(nash_gap(game, best).upper, abs=1e-12)
    assert game.social_welfare(plays) == pytest.approx(game.social_welfare(best), abs=1e-12)


def test_gap_in_small_chunks(monkeypatch):
    for seed in range(20):
        game = tiny_game(seed)
        plays = game.plays(np.random.default_rng(seed).integers(0, game.n_actions))
        whole, gains = nash_gap(game, plays), player_gains(game, plays)
        monkeypatch.setattr("eqsolve.aggregative.certificate.CHUNK", 3)
        assert nash_gap(game, plays) == whole
        assert (player_gains(game, plays) == gains).all()
        monkeypatch.undo()
