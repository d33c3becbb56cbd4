"""The part of a game that is still undecided: players with more than one approximate best response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.game import AggregativeGame, reduce_groups
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import BoolArray, FloatArray, IntArray

NARROW = 0.7
"""A part is narrowed when at most this share of its types is still undecided."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some types of a game with their columns; the others have one action left and count by a sum.

    A block of cells inherits the decisions of the block around it: an action ruled out for a block is ruled out for all its
    cells. So the deeper the search, the fewer columns there are to look at.

    Parameters
    ----------
    game : the whole game. columns : (N',) the columns of the types that are left.
    n_actions, offsets, owner, players, gamma, payoff : of these types alone; gamma (T',) on the whole range.
    rows : (R, N') amounts per player to add up, and ``settled`` (R,) their sums over the types that are decided.
    """

    game: AggregativeGame
    columns: IntArray
    n_actions: IntArray
    offsets: IntArray
    owner: IntArray
    players: FloatArray
    gamma: FloatArray
    payoff: Payoffs
    rows: FloatArray
    settled: FloatArray

    @staticmethod
    def whole(game: AggregativeGame, rows: FloatArray | None = None) -> Part:
        """All types of a game; ``rows`` (R, N) when sums are wanted."""
        amounts = np.zeros((0, game.n_columns)) if rows is None else rows
        return Part(
            game=game,
            columns=np.arange(game.n_columns),
            n_actions=game.n_actions,
            offsets=game.offsets,
            owner=game.owner,
            players=game.players.astype(np.float64),
            gamma=game.gamma,
            payoff=game.payoff,
            rows=amounts,
            settled=np.zeros(len(amounts)),
        )

    @property
    def n_types(self) -> int:
        """Types that are left."""
        return len(self.n_actions)

    def reduce(self, ufunc: np.ufunc, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A reduction over the actions of each type: (..., N') to (..., T')."""
        return reduce_groups(ufunc, values, self.n_actions, self.offsets)

    def largest(self, rows: FloatArray, settled: FloatArray, allowed: BoolArray) -> FloatArray:
        """Largest sums (R,) over all players of amounts per player (R, N') when each plays an allowed action."""
        if not self.n_types:
            return settled
        return np.asarray(settled + self.reduce(np.maximum, np.where(allowed, rows, -np.inf)) @ self.players)

    def pairs(self) -> tuple[IntArray, IntArray, IntArray]:
        """Each column with every one of its type, itself included: columns (K,), others (K,), first pair (N',) of each column."""
        width = self.n_actions[self.owner]
        first = np.cumsum(width) - width
        columns = np.repeat(np.arange(len(width)), width)
        others = np.repeat(self.offsets[self.owner] - first, width) + np.arange(len(columns))
        return columns, others, first

    def narrowed(self, allowed: BoolArray) -> tuple[Part, BoolArray]:
        """The part without the types that ``allowed`` (N') leaves one action, where they are many; and what is allowed in it."""
        if not self.n_types:
            return self, allowed
        open_types = self.reduce(np.add, allowed.astype(np.int64)) > 1
        if open_types.mean() > NARROW:
            return self, allowed
        keep = open_types[self.owner]
        chosen = allowed & ~keep
        n_actions = self.n_actions[open_types]
        part = Part(
            game=self.game,
            columns=self.columns[keep],
            n_actions=n_actions,
            offsets=np.concatenate(([0], np.cumsum(n_actions))),
            owner=np.repeat(np.arange(len(n_actions)), n_actions),
            players=self.players[open_types],
            gamma=self.gamma[open_types],
            payoff=self.payoff.take(np.flatnonzero(keep)),
            rows=self.rows[:, keep],
            settled=self.settled + self.rows[:, chosen] @ self.players[self.owner[chosen]],
        )
        return part, allowed[keep]
