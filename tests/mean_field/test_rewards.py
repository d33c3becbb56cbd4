"""Stochastic rewards: their means, what is drawn of them, and the range that they declare."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.errors import InvalidGame
from eqsolve.mean_field import StochasticReward

REWARD = StochasticReward([[[0.0, 1.0, 5.0], [2.0, 2.0, 9.0]]], [[[0.5, 0.25, 0.25], [0.3, 0.7, 0.0]]], -1.0, 6.0)


def test_moments():
    assert REWARD.mean.tolist() == [[1.5, 2.0]]
    assert REWARD.variance == pytest.approx(np.array([[0.25 + 6.25 - 2.25, 0.0]]))
    assert REWARD.width == 7.0
    even = StochasticReward.around([[1.0, 2.0]], 0.5)
    assert even.mean.tolist() == [[1.0, 2.0]]
    assert (even.low, even.high, even.variance.tolist()) == (0.5, 2.5, [[0.25, 0.25]])


def test_samples_follow_the_law():
    B = 20_000
    drawn = REWARD.sample(np.random.default_rng(0), (np.zeros(B, int), np.zeros(B, int)))
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0.0, 1.0, 5.0]
    assert counts / B == pytest.approx([0.5, 0.25, 0.25], abs=4 * np.sqrt(0.25 / B))
    assert REWARD.sample(np.random.default_rng(0), ([[0, 0]], [[1, 1]])).tolist() == [[2.0, 2.0]]
    same = [REWARD.sample(np.random.default_rng(1), (np.zeros(9, int), np.arange(9) % 2)).tolist() for _ in range(2)]
    assert same[0] == same[1]


def test_values_of_probability_0_are_never_drawn_and_may_be_anywhere():
    class Last:
        """A generator whose numbers are as large as they get."""

        def random(self, shape):
            return np.full(shape, np.nextafter(1.0, 0.0))

    chances = np.array([0.1] * 3 + [0.7 - 1e-10, 0.0])  # a sum below 1 within the tolerance
    reward = StochasticReward(np.arange(5.0), chances, 0.0, 3.0)
    assert reward.sample(Last(), ()).tolist() == 3.0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (([[0.0, 7.0]], [[0.5, 0.5]], 0.0, 6.0), "values\\[0, 1\\] is 7, outside the declared range \\[0, 6\\]"),
        (([[0.0, 7.0], [-1.0, 1.0]], [0.5, 0.5], 0.0, 7.0), "values\\[1, 0\\] is -1, outside"),
        (([[0.0, 1.0]], [[0.5, 0.4]], 0.0, 6.0), "probabilities\\[0\\] sums to 0.9"),
        (([[0.0, 1.0]], [[1.5, -0.5]], 0.0, 6.0), "probabilities\\[0, 1\\] is -0.5"),
        (([[0.0, 1.0]], [[0.5, 0.25, 0.25]], 0.0, 6.0), "probabilities has shape"),
        (([[0.0, 1.0]], [0.5], 0.0, 6.0), "probabilities has shape"),
        (([[0.0, 1.0]], [0.5, 0.5], 3.0, 2.0), "high is 2"),
        (([[0.0, 1.0]], [0.5, 0.5], None, 2.0), "low is None"),
        ((1.0, [1.0], 0.0, 1.0), "not \\(..., M\\)"),
        (([[np.nan, 1.0]], [0.5, 0.5], 0.0, 1.0), "values\\[0, 0\\] is nan"),
    ],
)
def test_refused(given, match):
    with pytest.raises(InvalidGame, match=match):
        StochasticReward(*given)
