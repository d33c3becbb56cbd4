"""The method of Frank and Wolfe on the Beckmann objective, as traffic assignment began: for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.congestion_games.actions import Cheapest
from eqsolve.aggregative.congestion_games.cost_terms import require_nondecreasing
from eqsolve.aggregative.congestion_games.costs import Costs
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_equilibrium import Certified, beckmann_bound
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import FloatArray, IntArray, real_number
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Record, Run, Status

if TYPE_CHECKING:
    from eqsolve.driver import Result
    from eqsolve.programs import Program


@dataclass(frozen=True, slots=True, eq=False)
class FrankWolfeState:
    """Where the search stands.

    Parameters
    ----------
    type_of, indptr, resources, flow : the paths in use and their flows.
    target_indptr, target_resources : the cheapest action of each type at the costs of these flows.
    relative_gap, objective, lower : of these flows; ``lower`` is the best lower bound of the Beckmann objective so far.
    share : of the last step; 0 when it could not lower the objective.
    """

    type_of: IntArray
    indptr: IntArray
    resources: IntArray
    flow: FloatArray
    target_indptr: IntArray
    target_resources: IntArray
    relative_gap: float
    objective: float
    lower: float
    share: float

    @property
    def paths(self) -> PathSet:
        """The paths in use."""
        return PathSet(self.type_of, self.indptr, self.resources, self.flow)


@dataclass(frozen=True, slots=True)
class FrankWolfe(Algorithm[CongestionGame, FrankWolfeState, PathFlows]):
    r"""All-or-nothing directions with an exact line search on the Beckmann objective.

    .. math:: x \leftarrow x + s\,(y - x), \qquad y \text{ all or nothing at the costs } c(x), \qquad
              s = \arg\min_{0 \le s \le 1} B(x + s\,(y - x))

    The gap falls as one over the number of steps; ``PathEquilibrium`` is the method to use.

    Parameters
    ----------
    tolerance : relative gap at which the search ends, above 0.

    Raises
    ------
    InvalidData : the tolerance is out of range.

    Notes
    -----
    Source: Frank and Wolfe (1956); LeBlanc, Morlok and Pierskalla (1975) for traffic.
    """

    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, above=0.0))

    def init(self, game: CongestionGame, run: Run) -> FrankWolfeState:
        """Everybody on the action that is cheapest without traffic.

        Raises
        ------
        NoConvexProgram : costs that may fall with the flow.
        """
        require_nondecreasing(game.costs, repr(game.name))
        return _at(game, PathSet.all_or_nothing(game, game.costs.cost(np.zeros(game.n_coordinates))), -np.inf, 1.0)

    def step(self, game: CongestionGame, state: FrankWolfeState, run: Run) -> tuple[FrankWolfeState, Record]:
        """One direction and one line search."""
        target = Cheapest(np.zeros(game.n_types), state.target_indptr, state.target_resources)
        paths = state.paths.joined(game, target, np.arange(game.n_types))[0]
        at, away = paths.find(game, target), np.zeros(paths.n_paths)
        away[at] = game.count
        x = paths.load(game)
        share = best_share(game.costs, x, paths.with_flow(away).load(game) - x)
        moved = paths.with_flow((1.0 - share) * paths.flow + share * away)
        found = _at(game, moved.balanced(game), state.lower, share)
        return found, {
            "relative_gap": found.relative_gap,
            "objective": found.objective,
            "lower_bound": found.lower,
            "paths": len(found.flow),
            "share": share,
        }

    def done(self, game: CongestionGame, state: FrankWolfeState) -> Status | None:
        """Converged at the tolerance; stalled where no step lowers the objective."""
        if state.relative_gap <= self.tolerance:
            return Status.CONVERGED
        return Status.STALLED if state.share == 0.0 else None

    def finish(self, game: CongestionGame, state: FrankWolfeState, run: Run) -> PathFlows:
        """The flows of the state."""
        return state.paths.flows()

    def bounds(self, game: CongestionGame, state: FrankWolfeState, policy: PathFlows) -> tuple[Bound, ...]:
        """How far the Beckmann objective is from its least value at most."""
        return (beckmann_bound(state.objective, state.lower),)

    def program(self, result: Result[CongestionGame, FrankWolfeState, PathFlows], *which: Any) -> Program:
        """The all-or-nothing program at the costs of the flows found, or another one of the game by its name."""
        from eqsolve.aggregative.congestion_games.programs import named_program

        return named_program(result.game, result.policy, *(which or ("all-or-nothing",)))

    def result_class(self) -> type[Result[CongestionGame, FrankWolfeState, PathFlows]]:
        """CongestionResult."""
        from eqsolve.aggregative.congestion_games.result import CongestionResult

        return CongestionResult


def best_share(costs: Costs, x: FloatArray, way: FloatArray) -> float:
    """The share (0 to 1) of the way (R,) from flows x (R,) at which the Beckmann objective is least, by its derivative."""
    from scipy.optimize import brentq

    def rise(share: float) -> float:
        return float(np.sum(costs.cost(x + share * way) * way))

    if rise(1.0) <= 0.0:
        return 1.0
    return float(brentq(rise, 0.0, 1.0, xtol=1e-15)) if rise(0.0) < 0.0 else 0.0


def _at(game: CongestionGame, paths: PathSet, lower: float, share: float) -> FrankWolfeState:
    x = paths.load(game)
    cost = game.costs.cost(x)
    found = game.actions.cheapest(cost)
    here = Certified.of(game, paths, x, cost, found.least)
    return FrankWolfeState(
        paths.type_of,
        paths.indptr,
        paths.resources,
        paths.flow,
        found.indptr,
        found.resources,
        here.relative_gap,
        here.objective,
        max(lower, here.lower),
        share,
    )
