"""An atomic equilibrium: a Wardrop equilibrium moved to a vertex, rounded to whole vehicles, and polished."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np

from eqsolve.aggregative.congestion_games.bounds import measured_rounding, rounding_exists, vertex_rounding
from eqsolve.aggregative.congestion_games.certificate import certify, wardrop_gaps
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.polish import sweep
from eqsolve.aggregative.congestion_games.potential import beckmann, has_potential, vehicle_potential
from eqsolve.aggregative.congestion_games.result import CongestionResult
from eqsolve.aggregative.congestion_games.rounding import largest_remainders, split_paths, whole_demand
from eqsolve.aggregative.congestion_games.vertex_program import flows_of_point, vertex_program
from eqsolve.arrays import real_number, whole_number
from eqsolve.backends import Outcome, Termination, solve_program
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, NothingReached, OutOfTime, Record, Result, Run, Status
from eqsolve.driver.report import Line, entry
from eqsolve.errors import InvalidData
from eqsolve.programs import Program

STAGES = ("equilibrium", "vertex", "rounding", "polish")
ROUNDING = 1e-12
"""Rounding of gains, relative to the cost of a path."""


@dataclass(frozen=True, slots=True, eq=False)
class AtomicState:
    """Where a run stands.

    Parameters
    ----------
    stage : what the next step does: 0 equilibrium, 1 vertex, 2 rounding, 3 polish.
    inner : the state of the algorithm that looks for the Wardrop equilibrium, until it is done.
    fractional, vertex : the equilibrium, and the vertex with the same loads. outcome : the answer of the vertex program.
    rounded : whole flows before the polish, and ``rounded_gap`` their exact gap. flows : whole flows as they are now.
    replies : of the polish. settled : whether a whole sweep found nobody who gains. stuck : why the polish cannot go on.
    seen : digests of the flows after each sweep, where no potential rules out that they come back.
    reached : how the equilibrium algorithm ended.
    """

    stage: int
    inner: Any = None
    fractional: PathFlows | None = None
    vertex: PathFlows | None = None
    outcome: Outcome | None = None
    rounded: PathFlows | None = None
    rounded_gap: float = np.inf
    flows: PathFlows | None = None
    replies: int = 0
    settled: bool = False
    stuck: str = ""
    seen: tuple[str, ...] = ()
    reached: str = ""


@dataclass(frozen=True, slots=True)
class AtomicRouting(Algorithm[CongestionGame, AtomicState, PathFlows]):
    r"""Whole vehicles, none of which gains more than a tolerance by another action.

    A Wardrop equilibrium is moved to a vertex with the same loads, where at most R extra paths are in use over all types, and
    rounded by largest remainders, so that few vehicles are out of place: ``bounds`` says by how much they may gain. Best responses
    then move vehicles, as many of one path together as keeps each of them gaining. With equal weights every move lowers Rosenthal's
    potential, with affine costs its weighted kin, and the polish ends at a pure Nash equilibrium; for other weighted vehicles
    there may be none, and the run stops when flows come back, or after ``moves``.

    One step is a step of the equilibrium algorithm, the vertex program, the rounding, or one sweep of the polish over all paths.
    The history has the stage (0 to 3), the gap in units of cost (Wardrop's, then Nash's exact one), the potential (Beckmann's, then
    that of the vehicles, where there is one) and the replies.

    Parameters
    ----------
    equilibrium : the algorithm for the Wardrop equilibrium. None starts the polish with every vehicle on the cheapest action of
        empty roads; so does a game whose costs fall with the flow, for which there is no convex program.
    tolerance : what a vehicle may gain at the end, in units of cost; 0 ends at an equilibrium, up to rounding.
    moves : best responses at most.
    slack : by how much the vertex may change the load of a resource.

    Raises
    ------
    InvalidGame : a type is not a whole number of vehicles.

    Notes
    -----
    Source: Rosenthal (1973); the vertex is that of Shapley and Folkman, as in ``docs/aggregative.md``, "Vertex rounding".

    Examples
    --------
    The six vehicles of Braess's paper need 92 each, and 83 each without the new road:

    >>> from eqsolve.aggregative.congestion_games.generators import NEW_ROAD, braess
    >>> from eqsolve.driver import solve
    >>> result = solve(braess(), AtomicRouting())
    >>> result.gap.upper, result.social_cost / 6
    (0.0, 92.0)
    >>> solve(braess().without([NEW_ROAD]), AtomicRouting()).social_cost / 6
    83.0
    """

    equilibrium: Algorithm[CongestionGame, Any, PathFlows] | None = PathEquilibrium()  # noqa: RUF009  # it is immutable
    tolerance: float = 0.0
    moves: int = 1_000_000
    slack: float = 0.0

    def __post_init__(self) -> None:
        if self.equilibrium is not None and not isinstance(self.equilibrium, Algorithm):
            raise InvalidData(f"equilibrium is {self.equilibrium!r}", "Give an algorithm such as PathEquilibrium(), or None.")
        if isinstance(self.equilibrium, AtomicRouting):
            raise InvalidData(
                "equilibrium is an AtomicRouting", "Give an algorithm for divisible traffic, such as PathEquilibrium()."
            )
        for name in ("tolerance", "slack"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), least=0.0))
        object.__setattr__(self, "moves", whole_number("moves", self.moves, 0))

    def init(self, game: CongestionGame, run: Run) -> AtomicState:
        """The start of the equilibrium algorithm, or all vehicles on the cheapest action of empty roads."""
        whole_demand(game)
        if self.equilibrium is not None and game.costs.is_nondecreasing:
            return AtomicState(0, self.equilibrium.init(game, run))
        found = game.actions.cheapest(game.costs.cost(np.zeros(game.n_coordinates)))
        count = np.asarray(game.count, dtype=np.float64)
        return AtomicState(3, flows=PathFlows(np.arange(game.n_types), found.indptr, found.resources, count, atomic=True))

    def step(self, game: CongestionGame, state: AtomicState, run: Run) -> tuple[AtomicState, Record]:
        """One step of the present stage.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the backend was cut short.
        """
        found = (self._equilibrium, self._vertex, self._rounding, self._polish)[state.stage](game, state, run)
        return found, _record(game, state.stage, found)

    def _equilibrium(self, game: CongestionGame, state: AtomicState, run: Run) -> AtomicState:
        assert self.equilibrium is not None
        inner, _ = self.equilibrium.step(game, state.inner, run)
        status = self.equilibrium.done(game, inner)
        try:
            fractional = self.equilibrium.finish(game, inner, run)
        except NothingReached:
            if status is not None:
                raise
            return replace(state, inner=inner)
        if status is None:
            return replace(state, inner=inner, fractional=fractional)
        return AtomicState(1, fractional=fractional, reached=str(status))

    def _vertex(self, game: CongestionGame, state: AtomicState, run: Run) -> AtomicState:
        assert state.fractional is not None
        program = vertex_program(game, state.fractional, self.slack)
        outcome = solve_program(program, run.backend, vertex=True, limits=run.remaining())
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        vertex = state.fractional if outcome.x is None else flows_of_point(game, state.fractional, outcome.x)
        return replace(state, stage=2, vertex=vertex, outcome=outcome)

    def _rounding(self, game: CongestionGame, state: AtomicState, run: Run) -> AtomicState:
        assert state.vertex is not None
        rounded = largest_remainders(game, state.vertex)
        return replace(state, stage=3, rounded=rounded, rounded_gap=certify(game, rounded).upper, flows=rounded)

    def _polish(self, game: CongestionGame, state: AtomicState, run: Run) -> AtomicState:
        assert state.flows is not None
        found = sweep(game, state.flows, self.tolerance, self.moves - state.replies)
        settled = found.is_complete and not found.replies
        seen = () if has_potential(game) else (_digest(found.flows),)
        circular = not settled and bool(set(seen) & set(state.seen))
        stuck = "" if found.is_complete else "moves ran out"
        return replace(
            state,
            flows=found.flows,
            replies=state.replies + found.replies,
            settled=settled,
            stuck="replies go round in circles" if circular else stuck,
            seen=state.seen + seen,
        )

    def done(self, game: CongestionGame, state: AtomicState) -> Status | None:
        """Converged when a sweep found nobody who gains; stalled when the moves ran out, or flows came back."""
        if state.settled:
            return Status.CONVERGED
        return Status.STALLED if state.stuck else None

    def finish(self, game: CongestionGame, state: AtomicState, run: Run) -> PathFlows:
        """The whole flows as they are; those of a run that was cut short before, rounded.

        Raises
        ------
        NothingReached : the equilibrium algorithm has no flows yet.
        """
        if state.flows is not None:
            return state.flows
        if state.vertex is not None:
            return largest_remainders(game, state.vertex)
        if state.fractional is not None:
            return largest_remainders(game, state.fractional)
        assert self.equilibrium is not None
        return largest_remainders(game, self.equilibrium.finish(game, state.inner, run))

    def bounds(self, game: CongestionGame, state: AtomicState, policy: PathFlows) -> tuple[Bound, ...]:
        """What holds of the rounded flows, from which the polish goes on."""
        if state.vertex is None or state.rounded is None:
            return (rounding_exists(game),)
        regret = wardrop_gaps(game, state.vertex).regret
        return (
            vertex_rounding(game, state.vertex, regret),
            measured_rounding(game, state.vertex, state.rounded, regret),
        )

    def objection(self, result: Result[CongestionGame, AtomicState, PathFlows]) -> str:
        """A vehicle that gains more than the tolerance, or rounded flows whose gap exceeds its bound."""
        game, state = result.game, result.state
        room = ROUNDING * float(result.policy.path_costs(game.costs.cost(game.aggregator(result.policy))).max())
        if result.gap.upper > self.tolerance + room:
            return f"a vehicle gains {result.gap.upper:.4g}, more than the tolerance {self.tolerance:g}"
        proved = [one.value for one in result.bounds if one.value is not None and one.name != "existence"]
        if state.rounded is not None and any(state.rounded_gap > value + room for value in proved):
            return "the exact gap of the rounded flows exceeds its bound: costs declared nondecreasing fall"
        return ""

    def program(self, result: Result[CongestionGame, AtomicState, PathFlows], *which: Any) -> Program:
        """``vertex`` (that of the run, also when nothing is named), or one of ``named_program`` at the final flows.

        Raises
        ------
        UnknownName : another name. InvalidData : the run had no vertex program. NoConvexProgram : costs that a program cannot have.
        """
        if which not in ((), ("vertex",)):
            from eqsolve.aggregative.congestion_games.programs import named_program

            return named_program(result.game, result.policy, *which)
        if result.state.fractional is None:
            raise InvalidData("the run had no fractional equilibrium, and so no vertex program")
        return vertex_program(result.game, result.state.fractional, self.slack)

    def result_class(self) -> type[Result[CongestionGame, AtomicState, PathFlows]]:
        """AtomicResult."""
        return AtomicResult


class AtomicResult(CongestionResult):
    """Whole vehicles with their exact Nash gap, and how they came about."""

    __slots__ = ()

    def details(self) -> dict[str, Any]:
        """With what the stages have done."""
        state: AtomicState = self.state
        vertex = None if state.vertex is None else split_paths(self.game, state.vertex)
        return {
            **CongestionResult.details(self),
            "equilibrium": state.reached or None,
            "replies": state.replies,
            "stuck": state.stuck or None,
            "gap_before_polish": state.rounded_gap if state.rounded is not None else None,
            "split_types_of_vertex": None if vertex is None else int((vertex[0] > 1).sum()),
            "extra_paths_of_vertex": None if vertex is None else vertex[1],
            "has_potential": has_potential(self.game),
        }

    def lines(self) -> list[Line]:
        """With the gap before the polish, and the potential."""
        more = self.details()
        found, state = CongestionResult.lines(self), self.state
        if more["gap_before_polish"] is not None:
            split = f"{more['split_types_of_vertex']:,} split types, {more['extra_paths_of_vertex']:,} extra paths at the vertex"
            found.append((entry("before polish", f"{more['gap_before_polish']:.4g}", split), ""))
        why = "each lowers the potential" if more["has_potential"] else "no potential is known for vehicles of such weights"
        why = f"{state.stuck}; {why}" if state.stuck else why
        found.append((entry("replies", f"{more['replies']:,}", why), ""))
        return found


def _digest(flows: PathFlows) -> str:
    """The same for the same vehicles on the same paths, in any order."""
    rows = [(int(t), np.sort(flows.path(p)).tobytes(), float(flows.flow[p])) for p, t in enumerate(flows.type_of)]
    return sha256(repr(sorted(rows)).encode()).hexdigest()


def _record(game: CongestionGame, stage: int, state: AtomicState) -> Record:
    """Stage, gap and potential of the flows that a step has led to; what is not known is NaN."""
    flows = state.flows or state.vertex or state.fractional
    if flows is None:
        return {"stage": stage, "gap": np.nan, "potential": np.nan, "replies": 0}
    if not flows.atomic:
        gap = max(wardrop_gaps(game, flows).regret, 0.0)
        return {"stage": stage, "gap": gap, "potential": beckmann(game, game.aggregator(flows)), "replies": 0}
    gap = state.rounded_gap if stage == 2 else certify(game, flows).upper
    potential = vehicle_potential(game, flows)
    return {"stage": stage, "gap": gap, "potential": np.nan if potential is None else potential, "replies": state.replies}
