"""Rewards within the range that a learner takes for granted."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData

PROFILES = 64
"""Random profiles at which every reward is evaluated."""


def check_reward_range(game: AggregativeMarkovGame, low: float, high: float) -> None:
    """Try to refute the range of rewards, at the aggregators of random profiles and at both ends of every coordinate.

    Raises
    ------
    InvalidData : a reward lies outside; the message names step, state, player and action, and what range was seen.
    """
    slack = 1e-12 * (1.0 + abs(low) + abs(high))
    seen = [np.inf, -np.inf]
    worst: tuple[float, str] | None = None
    for h in range(game.horizon):
        points = _attained(game, h)
        for s in range(game.n_states):
            for x in points:
                values = game.reward(h, s).at(np.arange(game.n_columns), x)
                seen = [min(seen[0], float(values.min())), max(seen[1], float(values.max()))]
                off = np.maximum(low - values, values - high)
                c = int(np.argmax(off))
                if off[c] > slack and (worst is None or off[c] > worst[0]):
                    told = f"the reward of type {game.owner[c]}, action {game.action_label(c)} at step {h}, {game.state_label(s)}"
                    worst = float(off[c]), f"{told} is {values[c]:.6g} at x = {x[c].tolist()}"
    if worst is not None:
        raise InvalidData(
            f"{worst[1]}, outside [{low:g}, {high:g}]",
            f"Rewards from {seen[0]:.6g} to {seen[1]:.6g} were seen. Declare their range: reward_range=(least, largest).",
        )


def _attained(game: AggregativeMarkovGame, h: int) -> list[FloatArray]:
    """(N, d) aggregators with each column played by one player of its type, around several profiles."""
    rng, g = np.random.default_rng(h), game.contribution[h]
    found = []
    for k in range(PROFILES + 2 * game.n_coordinates):
        if k < PROFILES:
            shares = rng.dirichlet(np.full(int(game.n_actions.max()), rng.choice([0.1, 1.0])))
            first = rng.choice(len(shares), size=game.n_types, p=shares) % game.n_actions
        else:
            axis, sign = divmod(k - PROFILES, 2)
            first = _extreme(game, (1 - 2 * sign) * g[:, axis])
        column = game.offsets[:-1] + first
        x = game.players.astype(np.float64) @ g[column]
        found.append(x + g - g[column[game.owner]])
    return found


def _extreme(game: AggregativeMarkovGame, amount: FloatArray) -> IntArray:
    """(T,) the action of each type with the largest amount (N,)."""
    return np.array([int(np.argmax(amount[a:b])) for a, b in zip(game.offsets[:-1], game.offsets[1:], strict=True)])
