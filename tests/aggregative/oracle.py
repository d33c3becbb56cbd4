"""Brute force over all pure profiles, with loops and nothing of the library but the payoffs' own numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    CallablePayoffs,
    CurvePayoffs,
    PolynomialPayoffs,
    TabulatedPayoffs,
)

FAMILIES = ("affine", "polynomial", "curves", "tabulated", "callable")


@dataclass(frozen=True)
class Profile:
    actions: tuple[int, ...]
    plays: np.ndarray
    x: np.ndarray
    gains: np.ndarray
    welfare: float

    @property
    def gap(self) -> float:
        return max(0.0, float(self.gains.max()))


def all_profiles(game: AggregativeGame) -> list[Profile]:
    """Every pure profile of a game whose types have one player each."""
    found = []
    for actions in product(*(range(int(m)) for m in game.n_actions)):
        columns = [int(game.offsets[i]) + a for i, a in enumerate(actions)]
        x = sum(game.contribution[c] for c in columns)
        gains = np.zeros(len(actions))
        for i, mine in enumerate(columns):
            stay = payoff(game, mine, x)
            for other in range(int(game.offsets[i]), int(game.offsets[i + 1])):
                if other != mine:
                    gains[i] = max(gains[i], payoff(game, other, x + game.contribution[other] - game.contribution[mine]) - stay)
        plays = np.zeros(game.n_columns, dtype=np.int64)
        plays[columns] = 1
        found.append(Profile(actions, plays, x, gains, float(sum(game.weights[c] for c in columns))))
    return found


def payoff(game: AggregativeGame, column: int, x: np.ndarray) -> float:
    return float(game.payoff.at(np.array([column]), np.asarray(x)[None, :])[0])


def tiny_game(seed: int, family: str | None = None) -> AggregativeGame:
    """A random game of 2 to 6 players with 1 to 3 actions over 1 to 3 coordinates, of any family."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 7)), int(rng.integers(1, 4))
    n_actions = rng.integers(1, 4, n)
    columns = int(n_actions.sum())
    g = rng.random((columns, d)) / n * rng.choice([1.0, 3.0])
    offsets = np.concatenate(([0], np.cumsum(n_actions)))
    lower = sum(g[a:b].min(axis=0) for a, b in pairwise(offsets))
    upper = sum(g[a:b].max(axis=0) for a, b in pairwise(offsets))
    kind = family or FAMILIES[seed % len(FAMILIES)]
    payoff_family = _family(kind, rng, columns, d, lower, upper, float(rng.choice([0.3, 1.0, 5.0])))
    return AggregativeGame(n_actions, g, payoff_family, rng.random(columns) if seed % 7 else None)


def _family(kind, rng, columns, d, lower, upper, size):
    if kind == "affine":
        return AffinePayoffs(rng.random(columns) * size, rng.uniform(-size, size, (columns, d)))
    if kind == "polynomial":
        return PolynomialPayoffs(rng.integers(0, 4, (5, d)), rng.uniform(-size, size, (columns, 5)))
    if kind == "curves":
        nodes = np.linspace(float(lower.min()) - 0.01, float(upper.max()) + 0.01, 6)
        curve, coordinate = rng.integers(0, 3, columns), rng.integers(0, d, columns)
        return CurvePayoffs(
            nodes, rng.uniform(0, size, (3, 6)), curve, coordinate, rng.uniform(-1, 1, columns), rng.random(columns), d
        )
    if kind == "tabulated":
        nodes = tuple(np.linspace(low - 0.01, high + 0.01, 4) for low, high in zip(lower, upper, strict=True))
        return TabulatedPayoffs(nodes, rng.uniform(0, size, (columns, *(4,) * d)))
    slope, phase = rng.uniform(-size, size, (columns, d)), rng.uniform(0, 6, columns)

    def wave(index: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.sin(np.einsum("kd,kd->k", slope[index], x) + phase[index])

    return CallablePayoffs(wave, np.abs(slope).sum(axis=1), columns, d)


def flat(columns: int, d: int = 1) -> AffinePayoffs:
    """Payoffs that are 0 everywhere."""
    return AffinePayoffs(np.zeros(columns), np.zeros((columns, d)))
