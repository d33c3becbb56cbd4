"""Aggregative backward induction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from eqsolve.aggregative.markov.grid_stages import GridStages


@dataclass(frozen=True, slots=True)
class AggreBI(GridStages):
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

    looks_ahead: ClassVar[bool] = True
