"""The Wardrop equilibrium by linear programs: masters over generated paths, with pieces that close in on the loads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eqsolve.aggregative.congestion_games.beckmann import beckmann_program
from eqsolve.aggregative.congestion_games.certificate import wardrop_gaps
from eqsolve.aggregative.congestion_games.cost_terms import require_nondecreasing
from eqsolve.aggregative.congestion_games.decomposition import settled
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.frank_wolfe import best_share
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_equilibrium import beckmann_bound
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.aggregative.congestion_games.piecewise import STARTS, points_around
from eqsolve.aggregative.congestion_games.programs import master_program, named_program
from eqsolve.aggregative.congestion_games.result import CongestionResult
from eqsolve.arrays import FloatArray, IntArray, real_number
from eqsolve.backends import Basis, Outcome, Start, Termination, solve_program
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, OutOfTime, Record, Result, Run, Status
from eqsolve.driver.algorithm import selected
from eqsolve.programs import Program

WIDTH = 0.2
"""Width of the pieces next to the loads at the beginning, relative to the loads."""
SHRINK = 3.0
"""Each master has pieces so many times narrower than the one before."""
PATIENCE = 8
"""Masters without a smaller gap after which a run has stalled."""
BASIC, FULL = 1, 2
"""Status codes of a basis: basic, and at the upper bound."""
UNUSED = 1e-3
"""Flows below this times the tolerance times the vehicles of the type are moved to the type's other paths."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearMastersState:
    """Where a run stands.

    Parameters
    ----------
    paths : generated so far, those of the last master, with the flows in hand. x : (R,) their loads.
    at, width : (R,) where the last master's pieces are narrow, and how narrow. outcome : its answer, None before the first.
    gap, best : the relative gap of the flows, and the smallest so far. lower : a bound of Beckmann's optimum.
    rounds, idle : masters answered, and those since the gap last fell.
    """

    paths: PathSet
    x: FloatArray
    at: FloatArray
    width: FloatArray
    outcome: Outcome | None = None
    gap: float = np.inf
    best: float = np.inf
    lower: float = -np.inf
    rounds: int = 0
    idle: int = 0


@dataclass(frozen=True, slots=True)
class LinearMasters(Algorithm[CongestionGame, LinearMastersState, PathFlows]):
    r"""Column generation with linear masters: paths by shortest paths, costs by straight pieces.

    Each round adds the cheapest action of every type at the present costs, answers the master (``master_program``) whose pieces are
    narrow around the present loads, and moves the flows to its answer, or to the best point of Beckmann's objective on the way.
    The pieces become three times narrower from round to round. Any backend for linear programs will do; where it has a basis, the
    next master starts from it.

    Parameters
    ----------
    tolerance : of the relative gap :math:`(x \cdot c - \sum_t d_t \text{dist}_t) / x \cdot c`, above 0.

    Raises
    ------
    NoConvexProgram : costs that may fall with the flow.

    Notes
    -----
    ``program(result)`` gives the last ``master``, or ``all-or-nothing`` (the pricing problem at the final costs), ``beckmann`` and
    others (``named_program``). The bound ``lower`` of the history is that of the linearisation,
    :math:`B(x) + c(x) \cdot (y - x)` with all-or-nothing loads y.

    Source: Leventhal, Nemhauser and Trotter (1973) for the generation of paths; Larsson and Patriksson (1992) for restricted
    masters over paths.
    """

    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, above=0.0))

    def init(self, game: CongestionGame, run: Run) -> LinearMastersState:
        """The average of a few all-or-nothing flows."""
        require_nondecreasing(game.costs, repr(game.name))
        paths = PathSet.all_or_nothing(game, game.costs.cost(np.zeros(game.n_coordinates)))
        for k in range(2, STARTS + 1):
            found = game.actions.cheapest(game.costs.cost(paths.load(game)))
            paths, _ = paths.joined(game, found, np.arange(game.n_types))
            flow = paths.flow * (1.0 - 1.0 / k)
            flow[paths.find(game, found)] += game.count / k
            paths = replace(paths, flow=flow)
        x = paths.load(game)
        return LinearMastersState(paths, x, x, WIDTH * np.maximum(x, 0.1 * x.mean()))

    def step(self, game: CongestionGame, state: LinearMastersState, run: Run) -> tuple[LinearMastersState, Record]:
        """Price, answer one master, and move.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the backend was cut short.
        """
        cost = game.costs.cost(state.x)
        paths, _ = state.paths.with_cheaper(game, game.actions.cheapest(cost), state.paths.path_costs(cost))
        width = state.width if state.outcome is None else state.width / SHRINK
        program = master_program(game, paths, points_around(game, state.x, width))
        outcome = solve_program(program, run.backend, limits=run.remaining(), start=_start(state, paths))
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        step = 0.0
        if outcome.x is not None:
            ahead = _adding_up(game, paths, np.maximum(outcome.x[: paths.n_paths], 0.0))
            step = best_share(game.costs, state.x, ahead.load(game) - state.x)
            flow = ahead.flow if step == 1.0 else paths.flow + step * (ahead.flow - paths.flow)
            small = UNUSED * self.tolerance * game.count[paths.type_of]
            paths = _adding_up(game, paths, np.where(flow > small, flow, 0.0))
        x = paths.load(game)
        gap, lower = _gap(game, x)
        found = LinearMastersState(
            paths,
            x,
            state.x,
            width,
            outcome,
            gap,
            min(gap, state.best),
            max(lower, state.lower),
            state.rounds + 1,
            0 if gap < 0.9 * state.best else state.idle + 1,
        )
        value = float(np.sum(game.costs.integral(x)))
        record: Record = {
            "relative_gap": gap,
            "beckmann": value,
            "lower": found.lower,
            "paths": paths.n_paths,
            "step": step,
            "solver_iterations": outcome.iterations,
        }
        return found, record

    def done(self, game: CongestionGame, state: LinearMastersState) -> Status | None:
        """Converged at the tolerance; stalled when the backend has no point, or the gap no longer falls."""
        if state.outcome is None:
            return None
        if state.gap <= self.tolerance:
            return Status.CONVERGED
        return Status.STALLED if state.outcome.x is None or state.idle >= PATIENCE else None

    def finish(self, game: CongestionGame, state: LinearMastersState, run: Run) -> PathFlows:
        """The flows in hand."""
        return settled(game, state.paths, state.paths.flow)

    def bounds(self, game: CongestionGame, state: LinearMastersState, policy: PathFlows) -> tuple[Bound, ...]:
        """How far Beckmann's objective is from its least value at most."""
        return (beckmann_bound(float(np.sum(game.costs.integral(state.x))), state.lower),)

    def objection(self, result: Result[CongestionGame, LinearMastersState, PathFlows]) -> str:
        """A relative gap, against proven distances, above the tolerance."""
        gap = wardrop_gaps(result.game, result.policy).relative_gap
        return "" if gap <= self.tolerance * (1 + 1e-6) + 1e-12 else f"the certified relative gap is {gap:.3g}"

    def program(self, result: Result[CongestionGame, LinearMastersState, PathFlows], *which: Any) -> Program:
        """``master`` (the last one answered, also when nothing is named), or one of ``named_program`` at the final flows.

        Raises
        ------
        UnknownName : another name. NoConvexProgram : no cones describe the costs.
        """
        game, state = result.game, result.state
        if which in ((), ("master",)):
            return master_program(game, state.paths, points_around(game, state.at, state.width))
        return named_program(game, result.policy, *which)

    def result_class(self) -> type[Result[CongestionGame, LinearMastersState, PathFlows]]:
        """CongestionResult."""
        return CongestionResult

    def select(
        self, game: CongestionGame, selector: str, solved: Callable[[], Result[CongestionGame, LinearMastersState, PathFlows]]
    ) -> Program:
        """The same; ``beckmann`` and ``system`` need no run."""
        if selector in ("beckmann", "system"):
            return beckmann_program(game, system=selector == "system")
        return self.program(solved(), *selected(selector))


def _gap(game: CongestionGame, x: FloatArray) -> tuple[float, float]:
    """The relative gap of loads, and the lower bound of Beckmann's optimum that the linearisation there gives."""
    cost = game.costs.cost(x)
    total = float(np.sum(x * cost))
    least = float(np.sum(game.demand * game.actions.load(cost, game.demand)[1]))
    value = float(np.sum(game.costs.integral(x)))
    return (max(total - least, 0.0) / total if total > 0 else 0.0), value - (total - least)


def _adding_up(game: CongestionGame, paths: PathSet, flow: FloatArray) -> PathSet:
    """The paths with flows in proportion to some, made to add up to the counts."""
    total = np.bincount(paths.type_of, weights=flow, minlength=game.n_types)
    return replace(paths, flow=flow * (game.count / total)[paths.type_of])


def _start(state: LinearMastersState, paths: PathSet) -> Start | None:
    """The basis of the last master for the next one, with new paths at 0; None where there is none.

    The next pieces meet at the loads: those below are full and those above empty. Where a piece was basic, as one at most is of
    each resource, the last full one is.
    """
    if state.outcome is None or state.outcome.basis is None:
        return None
    old, known = state.outcome.basis.columns, state.paths.n_paths
    f = np.zeros(paths.n_paths, dtype=np.int8)
    f[_places(state.paths, paths)] = old[:known]
    pieces = old[known:].reshape(len(state.x), -1)
    below = pieces.shape[1] // 2
    y = np.where(np.arange(pieces.shape[1]) < below, FULL, 0).astype(np.int8)[None, :].repeat(len(pieces), axis=0)
    y[(pieces == BASIC).any(axis=1), below - 1] = BASIC
    return Start(basis=Basis(np.concatenate((f, y.reshape(-1))), state.outcome.basis.rows))


def _places(before: PathSet, after: PathSet) -> IntArray:
    """Where the paths of one set are in another that came of it by joining: new ones follow the old ones of their type."""
    first = np.searchsorted(before.type_of, before.type_of)
    return np.searchsorted(after.type_of, before.type_of) + np.arange(before.n_paths) - first
