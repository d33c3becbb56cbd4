"""The policy of an aggregative game in normal form: one action per player."""

from __future__ import annotations

from dataclasses import dataclass

from eqsolve.arrays import IntArray, int_array


@dataclass(frozen=True, slots=True, eq=False)
class PureProfile:
    """A pure profile.

    Parameters
    ----------
    plays : (N,) players per column of the game with equal players merged, ``game.merged()``.
    """

    plays: IntArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "plays", int_array("plays", self.plays, (None,)))
