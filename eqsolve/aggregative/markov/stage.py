"""The game of one step and state, with what comes after it in the payoffs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from eqsolve.aggregative.game import AggregativeGame, first_equal
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.transitions import Transitions
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray

SUMS = 4.0e-16
"""Rounding of a sum of probabilities times values, relative to their size, per term."""


@dataclass(frozen=True, slots=True, eq=False)
class StagePayoffs(Payoffs):
    r"""Rewards plus what the next step is worth: :math:`Q_c(x) = r_c(s, x) + \sum_{s'} P_h(s' \mid s, x)\, V_{t(c)}(s')`.

    :math:`\gamma_c = \gamma_r + \gamma_P (\max V - \min V)`, since a difference of distributions sees V up to a constant.

    Parameters
    ----------
    reward : of the N columns. transition, h, s : where they are.
    values : (T, S) V of each type at the next step. owner : (N,) the type of each column.
    """

    reward: Payoffs
    transition: Transitions
    h: int
    s: int
    values: FloatArray
    owner: IntArray

    @property
    def lipschitz_is_computed(self) -> bool:  # type: ignore[override]  # a class attribute of the other families
        """Whether both parts follow from their families."""
        return self.reward.lipschitz_is_computed and self.transition.lipschitz_is_computed

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self.owner)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return self.reward.n_coordinates

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Reward and continuation, column by column."""
        now = self.reward.at(columns, x)
        if not len(columns) or not self.values.any():
            return now
        return now + self.transition.expected(self.h, self.s, x, self.values, self.owner[columns])

    def batch(self, x: FloatArray) -> FloatArray:
        """Reward and continuation at each point."""
        now = self.reward.batch(x)
        if not self.values.any():
            return now
        later = self.transition.batch(self.h, self.s, x) @ self.values.T
        return np.asarray(now + later[:, self.owner])

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Of the rewards, plus gamma_P times the span of the values; twice the rounding of the sums is within it."""
        span = self.values.max(axis=1) - self.values.min(axis=1)
        moving = bool((upper > lower).any())
        return np.asarray(
            self.reward.lipschitz(lower, upper) + moving * self.transition.lipschitz(self.h, self.s) * span[self.owner]
        )

    def take(self, columns: IntArray) -> Self:
        """The family of some columns, with the values of their types alone."""
        kept, owner = np.unique(self.owner[columns], return_inverse=True)
        return type(self)(self.reward.take(columns), self.transition, self.h, self.s, self.values[kept], owner)

    def signature(self) -> FloatArray | None:
        """Of the rewards, and the values."""
        own = self.reward.signature()
        return None if own is None else np.hstack((own, self.values[self.owner]))

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """Where the rewards cover."""
        return self.reward.covers(lower, upper)


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """Players who are alike from a step on: of one type, and worth the same in every state of the next step.

    Parameters
    ----------
    of_player : (n,) the class of each player. kind : (G,) its type. values : (G, S) what it earns from the next step on.
    columns : (N',) the column of the game of each (class, action), in that reading order. n_actions, count : (G,).
    """

    of_player: IntArray
    kind: IntArray
    values: FloatArray
    columns: IntArray
    n_actions: IntArray
    count: IntArray

    @property
    def owner(self) -> IntArray:
        """(N',) the class of each of the columns."""
        return np.repeat(np.arange(len(self.kind)), self.n_actions)

    @staticmethod
    def of(game: AggregativeMarkovGame, values: FloatArray) -> Classes:
        """The classes for continuation values (n, S), in order of their first players."""
        kind = game.player_types
        if game.n_types == game.n_players:
            first = of_player = np.arange(game.n_players)
        else:
            first, of_player = np.unique(first_equal(np.column_stack((kind, values))), return_inverse=True)
        types = kind[first]
        n_actions = game.n_actions[types]
        start = np.cumsum(n_actions) - n_actions
        columns = np.repeat(game.offsets[types] - start, n_actions) + np.arange(n_actions.sum())
        return Classes(of_player, types, values[first], columns, n_actions, np.bincount(of_player))


def stage_game(game: AggregativeMarkovGame, h: int, s: int, classes: Classes, payoff: Payoffs | None = None) -> AggregativeGame:
    """The game at a step and a state whose payoffs are rewards plus continuation values, its types being classes of players.

    ``payoff`` of the classes' columns takes the place of these.
    """
    columns = classes.columns
    alone = bool((classes.count == 1).all())
    names = [game.types[t] for t in classes.kind] if game.types and alone else ()
    return AggregativeGame(
        n_actions=classes.n_actions,
        contribution=game.contribution[h, columns],
        payoff=payoff or StagePayoffs(game.reward(h, s).take(columns), game.transition, h, s, classes.values, classes.owner),
        welfare=game.weights[h, s, columns],
        count=classes.count,
        name=f"{game.name}, step {h}, {game.state_label(s)}",
        coordinates=game.coordinates,
        types=tuple(names),
        actions=tuple(game.actions[c] for c in columns) if game.actions else (),
        type_of_player=classes.of_player,
    )
