"""What the algorithms of finite games hand back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array
from eqsolve.normal_form.programs import Correlated


@dataclass(frozen=True, slots=True, eq=False)
class Lottery:
    """A distribution over the profiles of a game, from which a mediator draws.

    Parameters
    ----------
    distribution : (m_1, ..., m_N), sums to 1.
    concept : what it is meant to be: ``"CE"``, or ``"CCE"`` where players commit before they see their recommendation.
    """

    distribution: FloatArray
    concept: Correlated

    def __post_init__(self) -> None:
        object.__setattr__(self, "distribution", float_array("distribution", self.distribution))


@dataclass(frozen=True, slots=True, eq=False)
class MixedProfile:
    """One mixed strategy (m_i,) per player, played independently."""

    strategies: tuple[FloatArray, ...]

    def __post_init__(self) -> None:
        given = tuple(float_array(f"strategies[{i}]", one, (None,)) for i, one in enumerate(self.strategies))
        object.__setattr__(self, "strategies", given)

    @property
    def is_pure(self) -> bool:
        """Whether every player has one action."""
        return all(one.max() == 1.0 for one in self.strategies)

    @property
    def actions(self) -> IntArray:
        """(N,) the likeliest action of each player."""
        return np.array([int(one.argmax()) for one in self.strategies])
