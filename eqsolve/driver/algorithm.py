"""The contract of an algorithm: four small methods; the loop, the clock, the seed and the verdict are the driver's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from eqsolve.backends import Limits
from eqsolve.certificates import Bound
from eqsolve.driver.history import Record
from eqsolve.driver.status import OutOfTime, Status
from eqsolve.errors import InvalidData
from eqsolve.programs import Program

if TYPE_CHECKING:
    from eqsolve.driver.result import Result

Game = TypeVar("Game")
State = TypeVar("State")
Policy = TypeVar("Policy")
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Run:
    """What a step may ask of the run that it is part of.

    Parameters
    ----------
    backend : the name of the backend for the programs.
    seed : of everything random.
    limits : the budget of the whole run.
    n_jobs : how many independent pieces ``map`` works on at once.
    iteration : the number of the present step, from 0.
    interrupted : set by a ``finish`` that Ctrl-C cut short.
    """

    backend: str = "auto"
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    n_jobs: int = 1
    iteration: int = 0
    interrupted: bool = False
    began: float = field(default_factory=perf_counter)
    _derived: dict[str, Any] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def rng(self, stream: int = 0) -> np.random.Generator:
        """A generator of this step's own, made of the seed and the step's number: a resumed run draws what it would have drawn.

        Parameters
        ----------
        stream : tells several generators of one step apart.
        """
        return np.random.default_rng([self.seed, self.iteration, stream])

    @property
    def seconds(self) -> float:
        """Seconds since the run began; a resumed run counts anew."""
        return perf_counter() - self.began

    def remaining(self) -> Limits:
        """What is left of the run's seconds, for a backend.

        Raises
        ------
        OutOfTime : nothing is left; the loop goes back to the last complete state.
        """
        if self.limits.seconds is None:
            return Limits()
        left = self.limits.seconds - self.seconds
        if left <= 0:
            raise OutOfTime
        return Limits(seconds=left)

    def keep(self, name: str, make: Callable[[], AbstractContextManager[Kept]]) -> Kept:
        """Something that costs time to make, such as an open session, kept over the steps of one period and then closed.

        Where checkpoints are taken it has just been closed, so that a resumed run starts a period as the uninterrupted one did.
        """
        if name not in self._kept:
            self._kept[name] = self._open.enter_context(make())
        kept: Kept = self._kept[name]
        return kept

    def derived(self, name: str, make: Callable[[], Kept]) -> Kept:
        """What follows from the game and the algorithm alone, such as a kernel laid out anew; kept to the end of the run."""
        if name not in self._derived:
            self._derived[name] = make()
        made: Kept = self._derived[name]
        return made

    def release(self) -> None:
        """Close what is kept."""
        self._kept.clear()
        self._open.close()

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """The function at each of independent items, in order, ``n_jobs`` at once through joblib.

        ``joblib.parallel_config`` chooses where they run: threads, processes, a dask or ray cluster.
        """
        listed: Sequence[Item] = list(items)
        if self.n_jobs == 1 or len(listed) < 2:
            return [function(one) for one in listed]
        from joblib import Parallel, delayed

        answers: list[Answer] = Parallel(n_jobs=self.n_jobs)(delayed(function)(one) for one in listed)
        return answers


class Algorithm(ABC, Generic[Game, State, Policy]):
    """An algorithm: a frozen dataclass of parameters with four small methods.

    A state is a frozen dataclass of arrays and numbers, or offers them by ``parts()`` and takes them in its constructor, so that
    a checkpoint is an npz file. A step has no side effects; a state that a step changes in place must be valid at any moment.
    """

    __slots__ = ()

    period: ClassVar[int] = 1
    """Checkpoints are taken every so many steps at most, where nothing that ``Run.keep`` holds is open."""

    @abstractmethod
    def init(self, game: Game, run: Run) -> State:
        """The state before the first step."""

    @abstractmethod
    def step(self, game: Game, state: State, run: Run) -> tuple[State, Record]:
        """One iteration: the next state, and what is recorded of it."""

    @abstractmethod
    def done(self, game: Game, state: State) -> Status | None:
        """None, or the status that ends the run by the algorithm's own rule."""

    @abstractmethod
    def finish(self, game: Game, state: State, run: Run) -> Policy:
        """The policy that a state stands for.

        Raises
        ------
        NothingReached : this state has none yet.
        """

    def solve(self, game: Game, **options: Any) -> Any:
        """``eqsolve.solve`` with this algorithm; the options are its."""
        from eqsolve.driver.loop import solve

        return solve(game, self, **options)

    def conclude(self, game: Game, state: State) -> State:
        """What of the state the result keeps: enough to rebuild its programs."""
        return state

    def bounds(self, game: Game, state: State, policy: Policy) -> tuple[Bound, ...]:
        """What theorems promise, beside the certificate."""
        return ()

    def objection(self, result: Result[Game, State, Policy]) -> str:
        """Why a run that met its stopping rule is not certified after all, or nothing."""
        return ""

    def program(self, result: Result[Game, State, Policy], *which: Any) -> Program:
        """A program of the run.

        Raises
        ------
        InvalidData : this algorithm has no programs, or not that one.
        """
        raise InvalidData(f"{type(self).__name__} solves no programs")

    def select(self, game: Game, selector: str, solved: Callable[[], Result[Game, State, Policy]]) -> Program:
        """The program that ``eqsolve inspect --program`` names; ``stage:3`` is ``program(result, "stage", 3)``.

        Parameters
        ----------
        selector : nothing for the algorithm's default.
        solved : the run, made when first called; a program that needs no run is built from the game.

        Raises
        ------
        UnknownName, InvalidData : there is no such program.
        """
        return self.program(solved(), *selected(selector))

    def result_class(self) -> type[Result[Game, State, Policy]]:
        """The class of its results."""
        from eqsolve.driver.result import Result

        return Result


def selected(selector: str) -> tuple[str | int, ...]:
    """The parts of ``stage:3``: names and numbers."""
    return tuple(int(one) if one.isdecimal() else one for one in selector.split(":")) if selector else ()
