"""The state-wise algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqsolve.aggregative.markov.grid_stages import GridStages


@dataclass(frozen=True, slots=True)
class StateWise(GridStages):
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

    looks_ahead: ClassVar[bool] = False
