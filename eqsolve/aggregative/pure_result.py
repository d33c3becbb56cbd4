"""What every result with a pure profile tells."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.profile import PureProfile
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.driver import Result
from eqsolve.driver.report import Line, entry

SHOWN = 8
"""Coordinates of an aggregator that a line shows."""


@lru_cache(maxsize=2)
def merged_game(game: AggregativeGame) -> AggregativeGame:
    """The game with equal players made types."""
    return game.merged()


def payoff_rounding(game: AggregativeGame, x: FloatArray) -> float:
    """What rounding can make of a payoff difference near x: of the payoffs themselves, and of sums over players."""
    payoffs = np.abs(game.payoff.batch(x[None, :])).max()
    return float(1e-12 * payoffs + 1e-13 * game.gamma.max() * game.magnitude.max())


class PureResult(Result[AggregativeGame, Any, PureProfile]):
    """A pure profile with its exact Nash gap.

    ``game`` is the game as it was given; ``merged`` the same with equal players made types, over whose columns ``plays`` counts.
    """

    __slots__ = ()

    @property
    def merged(self) -> AggregativeGame:
        """The game with equal players merged into types."""
        return merged_game(self.game)

    @property
    def plays(self) -> IntArray:
        """(N,) players per column of ``merged``."""
        return self.policy.plays

    @property
    def actions(self) -> IntArray:
        """(n,) one action per player, in the order of the game as given."""
        return self.merged.profile(self.plays)

    @property
    def aggregator(self) -> FloatArray:
        """(d,) the aggregator of the profile."""
        return self.merged.aggregator(self.plays)

    @property
    def welfare(self) -> float:
        """The social welfare of the profile."""
        return self.value

    @property
    def rounding(self) -> float:
        """What rounding can make of a payoff difference."""
        return payoff_rounding(self.merged, self.aggregator)

    def details(self) -> dict[str, Any]:
        """The aggregator."""
        return {"aggregator": self.aggregator.tolist()}

    def lines(self) -> list[Line]:
        """The welfare and the aggregator."""
        x = self.aggregator
        more = f", ... ({len(x)} coordinates)" if len(x) > SHOWN else ""
        return [
            (entry("welfare", f"{self.welfare:,.6g}"), ""),
            (entry("aggregator", ", ".join(f"{one:.4g}" for one in x[:SHOWN]) + more), ""),
        ]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """``actions.csv``: one row per player."""
        game, actions = self.game, self.actions
        kind = game.player_types
        labels = [game.action_label(c) for c in range(game.n_columns)]
        types = game.types or range(game.n_types)
        columns = (game.offsets[kind] + actions).tolist()
        rows = [(i, types[t], labels[c]) for i, (t, c) in enumerate(zip(kind.tolist(), columns, strict=True))]
        return {"actions.csv": [("player", "type", "action"), *rows]}
