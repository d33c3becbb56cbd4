"""Wardrop's equilibrium by path-based column generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.congestion_games.cost_terms import require_nondecreasing
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.aggregative.congestion_games.path_sweeps import PathWork, path_work
from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Run, Status

if TYPE_CHECKING:
    from eqsolve.driver import Result
    from eqsolve.programs import Program

SHARE = 0.05
"""Sweeps go on until the excess over known paths is this share of the last excess over all paths."""
PATIENCE = 5
"""Steps without any improvement after which rounding is all that is left."""


@dataclass(frozen=True, slots=True, eq=False)
class PathState:
    """Where the search stands.

    Parameters
    ----------
    type_of, indptr, resources, flow : the paths in use and their flows.
    relative_gap, objective, lower : of these flows; ``lower`` is the best lower bound of the Beckmann objective so far.
    least_gap : the smallest relative gap so far. idle : steps since it fell, or a path was found.
    """

    type_of: IntArray
    indptr: IntArray
    resources: IntArray
    flow: FloatArray
    relative_gap: float
    objective: float
    lower: float
    least_gap: float
    idle: int

    @property
    def paths(self) -> PathSet:
        """The known paths."""
        return PathSet(self.type_of, self.indptr, self.resources, self.flow)


@dataclass(frozen=True, slots=True)
class PathEquilibrium(Algorithm[CongestionGame, PathState, PathFlows]):
    r"""Wardrop's equilibrium: shortest paths generate columns, and pairwise Newton steps level the costs of known paths.

    Each step finds one cheapest action of every type at the present costs, which certifies the relative gap

    .. math:: \frac{\sum_r x_r c_r(x_r) - \sum_t d_t \min_p C_{tp}}{\sum_r x_r c_r(x_r)},

    takes it in where it is cheaper than all known ones, and sweeps over the types: vehicles on a path p move to the cheapest
    known one q by :math:`(C_p - C_q) / \sum_{r \in p \triangle q} c_r'`, at most all of them, less where this goes too far. Unused
    paths are dropped. For costs that are sums of powers, and more than a few types, all of it is compiled.

    Parameters
    ----------
    tolerance : relative gap at which the search ends, above 0.
    sweeps : over the known paths between two searches for new ones, at most.

    Raises
    ------
    InvalidData : a parameter is out of range.

    Notes
    -----
    Source: gradient projection of Jayakrishnan, Tsai, Prashker and Rajadhyaksha (1994), with the sweeps of Xie, Nie and Liu (2018).
    """

    tolerance: float = 1e-8
    sweeps: int = 50

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, above=0.0))
        object.__setattr__(self, "sweeps", whole_number("sweeps", self.sweeps, 1))

    def init(self, game: CongestionGame, run: Run) -> PathState:
        """Everybody on the action that is cheapest without traffic.

        Raises
        ------
        NoConvexProgram : costs that may fall with the flow.
        """
        require_nondecreasing(game.costs, repr(game.name))
        work = _work(game, run)
        return _certified(work, PathSet.all_or_nothing(game, game.costs.cost(np.zeros(game.n_coordinates))), 0, None)

    def step(self, game: CongestionGame, state: PathState, run: Run) -> tuple[PathState, Record]:
        """Take in cheaper paths, level the costs of all known ones, and certify the flows."""
        work = _work(game, run)
        paths, new = work.widened(state.paths)
        target = max(SHARE * state.relative_gap, 0.1 * self.tolerance)
        paths, sweeps = work.levelled(paths, target, self.sweeps, run.remaining)
        found = _certified(work, paths.balanced(game), new, state)
        return found, {
            "relative_gap": found.relative_gap,
            "objective": found.objective,
            "lower_bound": found.lower,
            "paths": len(found.flow),
            "new_paths": new,
            "sweeps": sweeps,
        }

    def done(self, game: CongestionGame, state: PathState) -> Status | None:
        """Converged at the tolerance; stalled where rounding is all that is left."""
        if state.relative_gap <= self.tolerance:
            return Status.CONVERGED
        return Status.STALLED if state.idle >= PATIENCE else None

    def finish(self, game: CongestionGame, state: PathState, run: Run) -> PathFlows:
        """The flows of the state."""
        return state.paths.flows()

    def bounds(self, game: CongestionGame, state: PathState, policy: PathFlows) -> tuple[Bound, ...]:
        """How far the Beckmann objective is from its least value at most."""
        return (beckmann_bound(state.objective, state.lower),)

    def program(self, result: Result[CongestionGame, PathState, PathFlows], *which: Any) -> Program:
        """A program of the game at the flows found, by its name: those of ``eqsolve.aggregative.congestion_games.programs``."""
        from eqsolve.aggregative.congestion_games.programs import named_program

        return named_program(result.game, result.policy, *which)

    def result_class(self) -> type[Result[CongestionGame, PathState, PathFlows]]:
        """CongestionResult."""
        from eqsolve.aggregative.congestion_games.result import CongestionResult

        return CongestionResult


def beckmann_bound(objective: float, lower: float) -> Bound:
    r"""From convexity, :math:`B(y) \ge B(x) + c(x) \cdot (y - x)` for all flows y, least at all-or-nothing flows."""
    terms = {"objective": objective, "lower bound": lower}
    return Bound("Beckmann objective", max(0.0, objective - lower), "convexity of the Beckmann objective", terms)


def _work(game: CongestionGame, run: Run) -> PathWork:
    return run.derived("path work", lambda: path_work(game))


@dataclass(frozen=True, slots=True, eq=False)
class Certified:
    """The relative gap of flows, their Beckmann objective, and a lower bound of its least value by convexity."""

    relative_gap: float
    objective: float
    lower: float

    @staticmethod
    def of(game: CongestionGame, paths: PathSet, x: FloatArray, cost: FloatArray, least: FloatArray) -> Certified:
        """From the flows x (R,) of paths, the costs (R,) there, and the cost (T,) of a cheapest action of each type.

        The gap is added up over the paths, since a difference of two totals would be lost in their rounding.
        """
        total = float(np.sum(x * cost))
        over = game.weight[paths.type_of] * paths.flow * (paths.path_costs(cost) - least[paths.type_of])
        excess = max(0.0, float(np.sum(over)))
        objective = float(np.sum(game.costs.integral(x)))
        return Certified(excess / total if total > 0 else 0.0, objective, objective - excess)


def _certified(work: PathWork, paths: PathSet, new: int, before: PathState | None) -> PathState:
    x = paths.load(work.game)
    cost = work.game.costs.cost(x)
    here = Certified.of(work.game, paths, x, cost, work.least(cost))
    gap, lower, least, idle = here.relative_gap, here.lower, here.relative_gap, 0
    if before is not None:
        lower, least = max(lower, before.lower), min(gap, before.least_gap)
        idle = 0 if gap < before.least_gap or new else before.idle + 1
    return PathState(paths.type_of, paths.indptr, paths.resources, paths.flow, gap, here.objective, lower, least, idle)
