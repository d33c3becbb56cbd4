"""Payoffs of which bounds at some aggregators are known: the extraction of Lipschitzness as a family, to be evaluated anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from eqsolve.aggregative.markov.extraction import distances, extension
from eqsolve.aggregative.payoffs import Payoffs
from eqsolve.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class ExtensionPayoffs(Payoffs):
    r"""The sharpest upper bounds on Lipschitz functions that are bounded at some places, one function per group of columns.

    .. math:: q_g(x) = \min_c \{ \text{worth}_{gc} + L_g \lVert x - x_c \rVert_\infty \}, \quad \text{clipped to } [\text{least}_g,
              \text{most}_g]

    Parameters
    ----------
    places : (C, d). worth : (G, C) bounds, infinite where there is none. slope : (G,) L. least, most : (G,).
    owner : (N,) the group of each column.
    """

    places: FloatArray
    worth: FloatArray
    slope: FloatArray
    least: FloatArray
    most: FloatArray
    owner: IntArray

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self.owner)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return int(self.places.shape[1])

    def groups(self, x: FloatArray) -> FloatArray:
        """(B, G) the functions at points (B, d)."""
        return np.asarray(np.clip(extension(distances(x, self.places), self.worth, self.slope), self.least, self.most))

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Column by column."""
        group = self.owner[columns]
        apart = distances(x, self.places)
        found = np.full(len(columns), np.inf)
        for c in range(len(self.places)):
            np.minimum(found, self.worth[group, c] + self.slope[group] * apart[:, c], out=found)
        return np.asarray(np.clip(found, self.least[group], self.most[group]))

    def batch(self, x: FloatArray) -> FloatArray:
        """Group by group, then spread over the columns."""
        return np.asarray(self.groups(x)[:, self.owner])

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """L: a least of L-Lipschitz functions, clipped."""
        moving = bool((upper > lower).any()) and len(self.places) > 0
        return np.asarray(moving * self.slope[self.owner])

    def take(self, columns: IntArray) -> Self:
        """With the groups of these columns alone."""
        kept, owner = np.unique(self.owner[columns], return_inverse=True)
        return type(self)(self.places, self.worth[kept], self.slope[kept], self.least[kept], self.most[kept], owner)

    def signature(self) -> FloatArray:
        """Everything that tells groups apart."""
        return np.column_stack((self.worth, self.slope, self.least, self.most))[self.owner]


@dataclass(frozen=True, slots=True, eq=False)
class OptimisticPayoffs(Payoffs):
    r"""Optimistic values: :math:`\bar Q_c(x) = r_c(s, x) + \bar q_{t(c)}(x)`, rewards plus the bound on what comes after.

    The transition has no action of the player in it, so that the bound is extracted once per player and not once per action,
    and the reward is taken where it is known; :math:`\gamma_c = \gamma_{r,c} + L` (erratum 21 of the notes).

    Parameters
    ----------
    reward : of the N columns, or a bound on it. later : of the same columns.
    """

    reward: Payoffs
    later: ExtensionPayoffs

    @property
    def lipschitz_is_computed(self) -> bool:  # type: ignore[override]  # a class attribute of the other families
        """Whether that of the rewards is."""
        return self.reward.lipschitz_is_computed

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return self.later.n_columns

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return self.later.n_coordinates

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Both parts, column by column."""
        return np.asarray(self.reward.at(columns, x) + self.later.at(columns, x))

    def batch(self, x: FloatArray) -> FloatArray:
        """Both parts at each point."""
        return np.asarray(self.reward.batch(x) + self.later.batch(x))

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The sum of the two constants."""
        return np.asarray(self.reward.lipschitz(lower, upper) + self.later.lipschitz(lower, upper))

    def take(self, columns: IntArray) -> Self:
        """Both parts of these columns."""
        return type(self)(self.reward.take(columns), self.later.take(columns))

    def signature(self) -> FloatArray | None:
        """Of both parts."""
        own = self.reward.signature()
        return None if own is None else np.hstack((own, self.later.signature()))

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """Where the rewards cover."""
        return self.reward.covers(lower, upper)
