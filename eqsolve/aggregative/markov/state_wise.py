"""The state-wise algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from eqsolve.aggregative.markov.backward import BackwardAlgorithm
from eqsolve.aggregative.nash import AggregativeNash


@dataclass(frozen=True, slots=True)
class StateWise(BackwardAlgorithm):
    """The state-wise algorithm (Algorithm 1): an equilibrium of the rewards of every step and state, whatever comes after.

    Players ignore that their action moves the transitions, which costs up to delta gamma_P times the range of what is still to
    come at every step (Theorem 3.1). Nothing is said of the welfare.

    Parameters
    ----------
    tolerance, zeta, cells, half_width, rounding, split : of the Nash subroutine, see ``AggregativeNash``.
    variant : ``"corrected"``, or ``"paper"``: the printed tolerance, and profiles sampled from the backend's own point.

    Raises
    ------
    InvalidGame : declared Lipschitz constants that samples refute. NoFeasibleCell : with a tolerance given as a number.

    Notes
    -----
    Source: Tang, Tang and Wu, section 3.
    """

    tolerance: str | float = "opt"
    zeta: float = 0.0
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"
    variant: Literal["corrected", "paper"] = "corrected"
    split: Literal["all", "widest"] = "all"

    looks_ahead: ClassVar[bool] = False

    def __post_init__(self) -> None:
        stage = self.stage
        object.__setattr__(self, "half_width", stage.half_width)
        object.__setattr__(self, "cells", stage.cells)

    @property
    def stage(self) -> AggregativeNash:
        """The Nash subroutine."""
        return AggregativeNash(self.tolerance, self.zeta, self.cells, self.half_width, self.rounding, self.variant, self.split)
