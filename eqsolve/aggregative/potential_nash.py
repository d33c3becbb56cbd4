"""An approximate pure Nash equilibrium of a game with a concave potential, by one convex program, in any dimension."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from eqsolve.aggregative.bounds import ROUNDINGS
from eqsolve.aggregative.detection import find_potential
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.mean_field import MixedEquilibrium, mixed_equilibrium, rounding_bound
from eqsolve.aggregative.potential import Potential
from eqsolve.aggregative.potential_program import potential_program
from eqsolve.aggregative.profile import PureProfile
from eqsolve.aggregative.pure_result import PureResult, merged_game
from eqsolve.aggregative.rounding import mixing_types, round_best, round_nearest
from eqsolve.arrays import FloatArray
from eqsolve.backends import Outcome, Termination, solve_program
from eqsolve.certificates import Bound, ProgramCertificate, certify
from eqsolve.driver import Algorithm, NothingReached, OutOfTime, Record, Result, Run, Status
from eqsolve.driver.report import Line, entry
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program

ROUNDS = 100
"""Quadratic models that are solved at most for a shape that is not quadratic in pieces."""
OPTIMAL = 1e-11
"""Distance from the optimum, in the mean over the players and relative to their payoffs, at which models are good enough."""

NEARLY = 1e-7
"""The same, for a mix that no model improves: backends stop at tolerances of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class PotentialState:
    """Where a run stands.

    Parameters
    ----------
    q : (N,) the mix. at : (d,) where the last program was made. outcome : its answer, None before the first.
    rounds : programs answered. distance : from the optimum, in the mean over the players and relative to their payoffs.
    moved : whether the last program improved the mix.
    """

    q: FloatArray
    at: FloatArray
    outcome: Outcome | None = None
    rounds: int = 0
    distance: float = np.inf
    moved: bool = True


@dataclass(frozen=True, slots=True)
class PotentialNash(Algorithm[AggregativeGame, PotentialState, PureProfile]):
    r"""The maximum of a concave potential, moved to a vertex and rounded: a gap of at most :math:`(d + 1)\, \delta\, \gamma`.

    Where all payoffs are shares in one concave function of the aggregator (``Potential``), a mixed equilibrium of the mean-field
    version is the optimum of one convex program, whatever d: no grid. The program is quadratic for affine payoffs and for
    piecewise-linear curves; for other shapes a few quadratic models are solved one after the other (Newton's method with an
    exact line search). The backend ``native`` has a method of its own for all of them.

    Parameters
    ----------
    potential : found from affine payoffs, curves, and polynomials of one coordinate each when left out.
    rounding : ``"best"`` tries the roundings of the few types that mix, ``"nearest"`` takes largest remainders.

    Raises
    ------
    NoPotential : the game has no concave potential; the message names the type or column.
    """

    potential: Potential | None = None
    rounding: Literal["best", "nearest"] = "best"

    tolerance_of_program: ClassVar[float] = 1e-6

    def __post_init__(self) -> None:
        if self.potential is not None and not isinstance(self.potential, Potential):
            raise InvalidData(f"potential is {self.potential!r}", "Give a Potential(shape, kappa, base), or nothing.")
        if self.rounding not in ROUNDINGS:
            raise unknown("rounding", self.rounding, ROUNDINGS)

    def task(self, game: AggregativeGame) -> tuple[AggregativeGame, Potential]:
        """The game that the program is about, and its potential, which the payoffs have confirmed.

        The game has equal players merged, unless the potential is declared: its numbers belong to the types as they are given.
        """
        return _task(self, game)

    def init(self, game: AggregativeGame, run: Run) -> PotentialState:
        """All actions alike."""
        own, _ = self.task(game)
        q = (own.players / own.n_actions)[own.owner]
        return PotentialState(q, q @ own.contribution)

    def step(self, game: AggregativeGame, state: PotentialState, run: Run) -> tuple[PotentialState, Record]:
        """Answer one program, and move the mix to its answer, or to the best point on the way.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the backend was cut short.
        """
        own, potential = self.task(game)
        at = state.q @ own.contribution
        program = self._program(own, potential, at, state.rounds)
        outcome = solve_program(program, run.backend, limits=run.remaining())
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        q, length = state.q, 0.0
        if outcome.x is not None:
            ahead = _mix(own, outcome.x)
            length = 1.0 if potential.shape.is_exact else _line_search(own, potential, q, ahead)
            q = ahead if length == 1.0 else q + length * (ahead - q)
        distance = _distance(own, potential, q)
        better = outcome.x is not None and (potential.shape.is_exact or length > 0.0)
        found = PotentialState(q, at, outcome, state.rounds + 1, distance, better)
        value = potential.shape.value(q @ own.contribution) + float(potential.weights(own) @ q)
        return found, {"potential": value, "distance": distance, "step": length, "solver_iterations": outcome.iterations}

    def done(self, game: AggregativeGame, state: PotentialState) -> Status | None:
        """Converged with an optimal answer, or a mix that no model improves by more than rounding."""
        if state.outcome is None:
            return None
        if not state.outcome.is_optimal:
            return Status.STALLED
        if self.task(game)[1].shape.is_exact or state.distance <= OPTIMAL:
            return Status.CONVERGED
        if state.rounds < ROUNDS and state.moved:
            return None
        return Status.CONVERGED if state.distance <= NEARLY else Status.STALLED

    def finish(self, game: AggregativeGame, state: PotentialState, run: Run) -> PureProfile:
        """The vertex, rounded.

        Raises
        ------
        NothingReached : no program has been answered.
        """
        if state.outcome is None or state.outcome.x is None:
            why = "the run ended before its program was answered" if state.outcome is None else str(state.outcome.termination)
            raise NothingReached(f"there is no point to round: {why}", "Give it more seconds, or another backend.")
        own, _ = self.task(game)
        p = self.mixed(game, state).p
        plays = round_nearest(own, p)
        try:
            plays = round_best(own, p)[0] if self.rounding == "best" else plays
        except KeyboardInterrupt:
            run.interrupted = True
        merged = merged_game(game)
        return PureProfile(plays if own is merged else merged.plays(own.profile(plays)))

    def mixed(self, game: AggregativeGame, state: PotentialState) -> MixedEquilibrium:
        """The mixed equilibrium of the mean-field version that a state stands for, at a vertex."""
        return _mixed(self, game, state)

    def bounds(self, game: AggregativeGame, state: PotentialState, policy: PureProfile) -> tuple[Bound, ...]:
        """Vertex rounding of the mixed equilibrium."""
        return (rounding_bound(self.task(game)[0], self.mixed(game, state)),)

    def objection(self, result: Result[AggregativeGame, PotentialState, PureProfile]) -> str:
        """A program whose certificate fails, or a gap above what is proved."""
        assert isinstance(result, PotentialEquilibrium)
        reason = result.certificate.reason(self.tolerance_of_program)
        if reason is not None:
            return f"the certificate of the program fails: {reason}"
        value = result.bounds[0].value
        if value is not None and result.gap.upper > value + result.rounding:
            return "the exact gap exceeds its bound: a Lipschitz constant is too small"
        return ""

    def program(self, result: Result[AggregativeGame, PotentialState, PureProfile], *which: Any) -> Program:
        """The program that was answered last.

        Raises
        ------
        UnknownName : a name is given; there are none.
        """
        if which:
            raise unknown("program", which[0], ())
        own, potential = self.task(result.game)
        return self._program(own, potential, result.state.at, result.state.rounds - 1)

    def select(
        self, game: AggregativeGame, selector: str, solved: Callable[[], Result[AggregativeGame, PotentialState, PureProfile]]
    ) -> Program:
        """The program, for which nothing needs to be solved where the shape is exact."""
        own, potential = self.task(game)
        if selector or not potential.shape.is_exact:
            return self.program(solved(), *((selector,) if selector else ()))
        return potential_program(own, potential)

    def result_class(self) -> type[Result[AggregativeGame, PotentialState, PureProfile]]:
        """PotentialEquilibrium."""
        return PotentialEquilibrium

    def _program(self, own: AggregativeGame, potential: Potential, at: FloatArray, round_: int) -> Program:
        exact = potential.shape.is_exact
        return potential_program(own, potential, at, "" if exact else f"quadratic model {round_ + 1}")


class PotentialEquilibrium(PureResult):
    """A pure profile rounded from the maximum of a potential."""

    __slots__ = ()

    @property
    def potential(self) -> Potential:
        """The potential, found or declared; its kappa and base belong to the types of ``task(game)``."""
        algorithm: PotentialNash = self.algorithm  # type: ignore[assignment]  # only PotentialNash makes these
        return algorithm.task(self.game)[1]

    @property
    def mixed(self) -> MixedEquilibrium:
        """The mixed equilibrium of the mean-field version that was rounded."""
        algorithm: PotentialNash = self.algorithm  # type: ignore[assignment]  # only PotentialNash makes these
        return algorithm.mixed(self.game, self.state)

    @property
    def outcome(self) -> Outcome:
        """The answer to the program."""
        found: Outcome = self.state.outcome
        return found

    @property
    def certificate(self) -> ProgramCertificate:
        """Of the last program and its answer."""
        return certify(self.program(), self.outcome)

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        return f"{self.outcome.backend} {self.outcome.version}"

    def details(self) -> dict[str, Any]:
        """The potential, and the mixed equilibrium."""
        mixed, kappa = self.mixed, np.asarray(self.potential.kappa)
        own = self.algorithm.task(self.game)[0]  # type: ignore[attr-defined]  # only PotentialNash makes these
        return {
            **PureResult.details(self),
            "potential": {
                "shape": type(self.potential.shape).__name__,
                "kappa": [float(kappa.min()), float(kappa.max())],
                "programs": self.state.rounds,
                "mixed_aggregator": mixed.x.tolist(),
                "mixed_error": mixed.error,
                "mixing_types": len(mixing_types(own, mixed.p)),
            },
        }

    def lines(self) -> list[Line]:
        """What kind of potential, and how many mix at its maximum."""
        info = self.details()["potential"]
        low, high = info["kappa"]
        weights = f"kappa {low:.4g}" if high - low <= 1e-9 * high else f"kappa {low:.4g} to {high:.4g}"
        mix = f"{info['mixing_types']} types mix at its maximum, where no action in use falls short by more than"
        return [
            *PureResult.lines(self),
            (entry("potential", info["shape"], weights), f"{mix} {info['mixed_error']:.2g}"),
        ]


@lru_cache(maxsize=2)
def _task(algorithm: PotentialNash, game: AggregativeGame) -> tuple[AggregativeGame, Potential]:
    if algorithm.potential is None:
        own = merged_game(game)
        potential = find_potential(own)
    else:
        own, potential = game, algorithm.potential
    potential.check(own)
    return own, potential.fitted(own)


@lru_cache(maxsize=2)
def _mixed(algorithm: PotentialNash, game: AggregativeGame, state: PotentialState) -> MixedEquilibrium:
    return mixed_equilibrium(algorithm.task(game)[0], state.q)


def _mix(game: AggregativeGame, x: FloatArray) -> FloatArray:
    """The choices (N,) of a program's point, put back on the counts of the types."""
    q = np.clip(x[: game.n_columns], 0.0, None)
    total = game.reduce(np.add, q)
    return np.asarray(q * (game.players / np.where(total > 0, total, 1.0))[game.owner])


def _line_search(game: AggregativeGame, potential: Potential, q: FloatArray, ahead: FloatArray) -> float:
    """The share (0 to 1) of the way from one mix to another at which the potential is largest, by its derivative."""
    x, way = q @ game.contribution, (ahead - q) @ game.contribution
    gain = float(potential.weights(game) @ (ahead - q))

    def rise(share: float) -> float:
        return float(potential.shape.gradient(x + share * way) @ way) + gain

    if rise(1.0) >= 0.0:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rise(middle) > 0.0 else (low, middle)
    return low


def _distance(game: AggregativeGame, potential: Potential, q: FloatArray) -> float:
    """An upper bound on what the best mix has more, in the mean over the players and relative to the spread of their payoffs."""
    score = potential.weights(game) + game.contribution @ potential.shape.gradient(q @ game.contribution)
    top = game.reduce(np.maximum, score)
    span = float((top - game.reduce(np.minimum, score)).max())
    return float(game.players @ top - score @ q) / game.n_players / max(span, 1e-300)
