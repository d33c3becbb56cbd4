"""Algorithms whose one step is to answer one program."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from eqsolve.backends import Outcome, Termination, solve_program
from eqsolve.backends.outcome import Limits
from eqsolve.certificates import certify
from eqsolve.driver.algorithm import Algorithm, Run
from eqsolve.driver.history import Record
from eqsolve.driver.result import Result
from eqsolve.driver.status import NothingReached, OutOfTime, Status
from eqsolve.errors import unknown
from eqsolve.programs import Program

Game = TypeVar("Game")
Policy = TypeVar("Policy")


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """The answer to the program, once there is one."""

    outcome: Outcome | None = None


class ProgramResult(Result[Game, Answered, Policy]):
    """A result that rests on the answer to one program."""

    __slots__ = ()

    @property
    def outcome(self) -> Outcome:
        """The answer of the backend."""
        assert self.state.outcome is not None
        return self.state.outcome

    @property
    def solver(self) -> str:
        """The backend that answered, with its version."""
        return f"{self.outcome.backend} {self.outcome.version}"


class OneProgram(Algorithm[Game, Answered, Policy]):
    """Build a program, let the backend answer it, read the policy off its point; the program's certificate must hold."""

    __slots__ = ()

    tolerance_of_program: ClassVar[float] = 1e-6
    """At which the certificate of the program must hold."""

    @abstractmethod
    def build(self, game: Game) -> Program:
        """The program."""

    @abstractmethod
    def read(self, game: Game, outcome: Outcome) -> Policy:
        """The policy that the answer stands for."""

    def answer(self, game: Game, backend: str, limits: Limits) -> Outcome:
        """Ask the backend."""
        return solve_program(self.build(game), backend, limits=limits)

    def init(self, game: Game, run: Run) -> Answered:
        """No answer yet."""
        return Answered()

    def step(self, game: Game, state: Answered, run: Run) -> tuple[Answered, Record]:
        """Answer the program.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the backend was cut short.
        """
        outcome = self.answer(game, run.backend, run.remaining())
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        found = float("nan") if outcome.objective is None else outcome.objective
        return Answered(outcome), {"objective": found, "solver_iterations": outcome.iterations}

    def done(self, game: Game, state: Answered) -> Status | None:
        """Converged with an optimal answer; stalled with another one."""
        if state.outcome is None:
            return None
        return Status.CONVERGED if state.outcome.is_optimal else Status.STALLED

    def finish(self, game: Game, state: Answered, run: Run) -> Policy:
        """The policy.

        Raises
        ------
        NothingReached : no point was found; the message says why.
        """
        outcome = state.outcome
        if outcome is None:
            raise NothingReached("the run ended before its program was answered", "Give it more seconds or iterations.")
        if outcome.x is None:
            raise NothingReached(self.without_point(game, outcome), "\n".join(outcome.notes))
        return self.read(game, outcome)

    def without_point(self, game: Game, outcome: Outcome) -> str:
        """What it means that the program has no point."""
        return f"the program has no answer: {outcome.termination.value}"

    def objection(self, result: Result[Game, Answered, Policy]) -> str:
        """A program whose certificate fails."""
        assert result.state.outcome is not None
        certificate = certify(self.build(result.game), result.state.outcome)
        reason = certificate.reason(self.tolerance_of_program)
        return "" if reason is None else f"the certificate of the program fails: {reason}"

    def program(self, result: Result[Game, Answered, Policy], *which: Any) -> Program:
        """The one program.

        Raises
        ------
        UnknownName : a name is given, and this algorithm has no names for programs.
        """
        if which:
            raise unknown("program", which[0], ())
        return self.build(result.game)

    def select(self, game: Game, selector: str, solved: Callable[[], Result[Game, Answered, Policy]]) -> Program:
        """The one program, for which nothing needs to be solved; with a selector as of any algorithm."""
        return super().select(game, selector, solved) if selector else self.build(game)

    def result_class(self) -> type[Result[Game, Answered, Policy]]:
        """A result with the outcome."""
        return ProgramResult
