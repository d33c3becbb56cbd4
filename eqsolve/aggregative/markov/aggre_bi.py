"""Aggregative backward induction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from eqsolve.aggregative.markov.backward import BackwardAlgorithm
from eqsolve.aggregative.nash import AggregativeNash


@dataclass(frozen=True, slots=True)
class AggreBI(BackwardAlgorithm):
    r"""Aggre-BI (Algorithm 2): from the last step backwards, the best stage program of the game with continuation values.

    .. math:: Q_{i,h}(s, a_i, x) = r_{h,i}(s, a_i, x) + \sum_{s'} P_h(s' \mid s, x) V_{i,h+1}(s')

    A stage program maximises the planner's welfare of the step plus that of the steps after it; its vertex is rounded to a pure
    profile, which is evaluated at the aggregator that it causes, not at the cell's centre. A step of the run is a step of the game;
    its states are independent pieces (``n_jobs``).

    Parameters
    ----------
    tolerance, zeta, cells, half_width, rounding, split : of the Nash subroutine, see ``AggregativeNash``; a tolerance that is a
        number is in units of reward, the same at every stage.
    variant : ``"corrected"``, or ``"paper"``: the printed tolerance, and profiles sampled from the backend's own point.

    Raises
    ------
    InvalidGame : declared Lipschitz constants that samples refute. NoFeasibleCell : with a tolerance given as a number.

    Notes
    -----
    The corrected form bounds the continuation by the span of the values that were reached, not by (H - h) times the range of
    rewards, and selects a vertex, so that no probability of failure remains. Source: Tang, Tang and Wu, section 4.
    """

    tolerance: str | float = "opt"
    zeta: float = 0.0
    cells: tuple[int, ...] | int | None = None
    half_width: float | None = None
    rounding: Literal["best", "nearest"] = "best"
    variant: Literal["corrected", "paper"] = "corrected"
    split: Literal["all", "widest"] = "all"

    looks_ahead: ClassVar[bool] = True

    def __post_init__(self) -> None:
        stage = self.stage
        object.__setattr__(self, "half_width", stage.half_width)
        object.__setattr__(self, "cells", stage.cells)

    @property
    def stage(self) -> AggregativeNash:
        """The Nash subroutine."""
        return AggregativeNash(self.tolerance, self.zeta, self.cells, self.half_width, self.rounding, self.variant, self.split)
