"""The best exact pure Nash equilibrium of a small aggregative game, by integer programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqsolve.aggregative.certificate import nash_gap
from eqsolve.aggregative.enumeration import MOST_PROFILES, best_equilibrium, count_profiles, rounding_of
from eqsolve.aggregative.exact_program import FORMS, Form, exact_program, plays_of
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.profile import PureProfile
from eqsolve.aggregative.pure_result import PureResult
from eqsolve.arrays import IntArray
from eqsolve.backends import Limits, Outcome, Termination, choose_backend, get_backend, solve_program
from eqsolve.certificates import ProgramCertificate, certify, check_farkas
from eqsolve.driver import Algorithm, NothingReached, OutOfTime, Record, Result, Run, Status
from eqsolve.driver.report import Line, entry
from eqsolve.errors import BackendFailure, unknown
from eqsolve.programs import Program

PROGRAM_TOLERANCE = 1e-6
NO_POINT = (Termination.INFEASIBLE, Termination.INFEASIBLE_OR_UNBOUNDED)
"""Verdicts that mean the same here, where every column is bounded."""


class NoPureEquilibrium(NothingReached):
    """A game without a pure Nash equilibrium.

    ``least_gap`` is the least Nash gap of all profiles where they were enumerated; ``proof`` says what the claim rests on.
    """

    least_gap: float | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ExactState:
    """The last answer, once it is final, and the profiles (E, N) that were cut off: equilibria to a solver's tolerance only."""

    outcome: Outcome | None
    excluded: IntArray


@dataclass(frozen=True, slots=True)
class ExactPureNash(Algorithm[AggregativeGame, ExactState, PureProfile]):
    """The exact pure Nash equilibrium of best welfare, by the integer program of ``exact_program``.

    Each step answers the program, and computes the exact gap of the profile that comes out. Where it is above rounding (solvers
    take small violations for none) the profile is cut off and the next step answers again, so that what is returned is an
    equilibrium in floating-point arithmetic, and the best of them to the solver's tolerance. ``backend="auto"`` enumerates up to
    200,000 profiles and sends larger games to HiGHS.

    Parameters
    ----------
    form : ``"indicator"`` (affine payoffs), ``"aggregators"`` (any payoffs, up to 20,000 attainable aggregators), or ``"auto"``.

    Raises
    ------
    NoPureEquilibrium : there is none.
    InvalidData : the game is too large for an exact program.

    Examples
    --------
    >>> from eqsolve.aggregative import AffinePayoffs, AggregativeGame
    >>> crowd = AggregativeGame([2], [[0.0], [1.0]], AffinePayoffs([0.0, 2.5], [[0.0], [-1.0]]), [0.0, 1.0], count=[4])
    >>> ExactPureNash().solve(crowd).plays
    array([2, 2])
    """

    form: Form = "auto"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown("form", self.form, FORMS)

    def build(self, game: AggregativeGame, excluded: IntArray | None = None) -> Program:
        """The program, for a game as it is given."""
        return exact_program(game.merged(), self.form, excluded)

    def init(self, game: AggregativeGame, run: Run) -> ExactState:
        """No answer, nothing cut off."""
        return ExactState(None, np.zeros((0, game.merged().n_columns), dtype=np.int64))

    def step(self, game: AggregativeGame, state: ExactState, run: Run) -> tuple[ExactState, Record]:
        """Answer the program; keep the answer, or cut its profile off.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the backend was cut short.
        BackendFailure : the backend answers with a profile that was cut off.
        """
        program = self.build(game, state.excluded)
        outcome = _answer(program, run.backend, run.remaining())
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        found = float("nan") if outcome.objective is None else outcome.objective
        record: Record = {"objective": found, "cut": len(state.excluded)}
        if not outcome.is_optimal:
            return ExactState(outcome, state.excluded), record
        assert outcome.x is not None
        merged = game.merged()
        plays = plays_of(program, merged, outcome.x)
        if nash_gap(merged, plays).upper <= rounding_of(merged, merged.aggregator(plays)[None, :])[0]:
            return ExactState(outcome, state.excluded), record
        if (state.excluded == plays).all(axis=1).any():
            raise BackendFailure(f"backend {outcome.backend!r} returns a profile that was cut off", "Try another backend.")
        return ExactState(None, np.vstack((state.excluded, plays))), record

    def done(self, game: AggregativeGame, state: ExactState) -> Status | None:
        """Converged with an equilibrium, or with the proof that there is none; stalled when the backend settled nothing."""
        if state.outcome is None:
            return None
        settled = state.outcome.is_optimal or state.outcome.termination in NO_POINT
        return Status.CONVERGED if settled else Status.STALLED

    def finish(self, game: AggregativeGame, state: ExactState, run: Run) -> PureProfile:
        """The equilibrium.

        Raises
        ------
        NothingReached : the run ended before. NoPureEquilibrium : there is none, and how that is known.
        BackendFailure : the backend says that there is none, and there is.
        """
        outcome = state.outcome
        if outcome is None:
            raise NothingReached("the run ended before an equilibrium was found", "Give it more seconds or iterations.")
        program = self.build(game, state.excluded)
        if outcome.x is not None:
            return PureProfile(plays_of(program, game.merged(), outcome.x))
        if outcome.termination not in NO_POINT:
            said = "\n".join(outcome.notes) or "Try another backend."
            raise NothingReached(f"backend {outcome.backend!r} did not settle it: {outcome.termination.value}", said)
        raise _none(game.merged(), program, outcome)

    def certificate(self, game: AggregativeGame, state: ExactState) -> ProgramCertificate:
        """Of the last program and its answer."""
        assert state.outcome is not None
        return certify(self.build(game, state.excluded), state.outcome)

    def objection(self, result: Result[AggregativeGame, ExactState, PureProfile]) -> str:
        """The gap is above rounding; or the program's certificate fails, and there are too many profiles to look at them all.

        Where a backend gives no bound of its own, the certificate of a program of whole columns fails: then every profile of a
        game of at most 200,000 is looked at instead.
        """
        assert isinstance(result, ExactEquilibrium)
        reason = self.certificate(result.game, result.state).reason(PROGRAM_TOLERANCE)
        if reason is not None and count_profiles(result.merged) <= MOST_PROFILES:
            best, _ = best_equilibrium(result.merged)
            most = result.welfare if best is None else result.merged.social_welfare(best)
            worse = most - result.welfare > PROGRAM_TOLERANCE * (1.0 + abs(most))
            reason = f"an equilibrium has a larger welfare, {most:.6g}" if worse else None
        if reason is not None:
            return f"the certificate of the program fails: {reason}"
        return f"the gap {result.gap.upper:.3g} is above rounding" if result.gap.upper > result.rounding else ""

    def program(self, result: Result[AggregativeGame, ExactState, PureProfile], *which: Any) -> Program:
        """The program that the answer belongs to, with what was cut off.

        Raises
        ------
        UnknownName : a name is given; there is one program.
        """
        if which:
            raise unknown("program", which[0], ())
        return self.build(result.game, result.state.excluded)

    def select(
        self, game: AggregativeGame, selector: str, solved: Callable[[], Result[AggregativeGame, ExactState, PureProfile]]
    ) -> Program:
        """The one program, for which nothing needs to be solved."""
        if selector:
            raise unknown("program", selector, ())
        return self.build(game)

    def result_class(self) -> type[Result[AggregativeGame, ExactState, PureProfile]]:
        """ExactEquilibrium."""
        return ExactEquilibrium


class ExactEquilibrium(PureResult):
    """An exact pure Nash equilibrium, the best for the welfare."""

    __slots__ = ()

    state: ExactState

    @property
    def outcome(self) -> Outcome:
        """The answer of the backend."""
        assert self.state.outcome is not None
        return self.state.outcome

    @property
    def certificate(self) -> ProgramCertificate:
        """Of the program and its answer."""
        algorithm: ExactPureNash = self.algorithm  # type: ignore[assignment]  # only ExactPureNash makes these results
        return algorithm.certificate(self.game, self.state)

    @property
    def rounding(self) -> float:
        """The gap up to which a profile counts as an equilibrium: what rounding can make of a payoff difference."""
        game = self.merged
        return float(rounding_of(game, game.aggregator(self.plays)[None, :])[0])

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        return f"{self.outcome.backend} {self.outcome.version}"

    def details(self) -> dict[str, Any]:
        """The bound, the aggregator, and how many profiles were cut off."""
        return {
            "value_bound": self.outcome.bound,
            "aggregator": self.aggregator.tolist(),
            "cut_off": len(self.state.excluded),
        }

    def lines(self) -> list[Line]:
        """The welfare, the aggregator, the program."""
        program, cut = self.program(), len(self.state.excluded)
        size = f"{program.n_columns:,} columns, {program.n_rows:,} rows" + (f", {cut} profiles cut off" if cut else "")
        return [
            (entry("welfare", f"{self.welfare:,.6g}", "the best of all pure Nash equilibria"), ""),
            (entry("aggregator", ", ".join(f"{one:.4g}" for one in self.aggregator)), ""),
            (entry("program", program.kind, size), ""),
        ]


def _answer(program: Program, backend: str, limits: Limits) -> Outcome:
    chosen = choose_backend(program)[0] if backend == "auto" else get_backend(backend)
    if chosen.name == "native":
        # Enumeration settles it; solve_program would go on to look for a Farkas ray, which few such programs have.
        with chosen.open(program) as session:
            return session.solve(limits)
    return solve_program(program, backend, limits=limits)


def _none(game: AggregativeGame, program: Program, outcome: Outcome) -> NoPureEquilibrium:
    """Why there is no equilibrium: all profiles, or a Farkas ray of the relaxation, or else the backend's word.

    Raises
    ------
    BackendFailure : there is one.
    """
    total = count_profiles(game)
    if total <= MOST_PROFILES:
        plays, least = best_equilibrium(game)
        if plays is not None:
            raise BackendFailure(
                f"backend {outcome.backend!r} says that there is no pure equilibrium, but there is one", "Try backend='native'."
            )
        found = NoPureEquilibrium(
            f"there is no pure Nash equilibrium: at each of the {total:,} profiles somebody gains {least:.6g} or more by leaving",
            "AggregativeNash finds an approximate one.",
        )
        found.least_gap, found.proof = least, "enumeration"
        return found
    if outcome.ray is not None and check_farkas(program, outcome.ray).proven:
        found = NoPureEquilibrium(
            "there is no pure Nash equilibrium: the relaxation of the integer program is infeasible, by a checked Farkas ray",
            "AggregativeNash finds an approximate one.",
        )
        found.proof = "Farkas ray"
        return found
    found = NoPureEquilibrium(
        f"there is no pure Nash equilibrium, says {outcome.backend}: the integer program is infeasible, and nothing else proves it",
        "AggregativeNash finds an approximate one.",
    )
    found.proof = f"the word of {outcome.backend}"
    return found
