"""What a run hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from eqsolve.certificates import Bound, GapCertificate
from eqsolve.driver.algorithm import Algorithm
from eqsolve.driver.history import History
from eqsolve.driver.report import Line, report, summary
from eqsolve.driver.status import Status
from eqsolve.driver.system import System, system_of
from eqsolve.programs import Program

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Game = TypeVar("Game")
State = TypeVar("State")
Policy = TypeVar("Policy")


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a result came about.

    Parameters
    ----------
    backend : the name that was asked for. seed : of everything random. version : of EqSolve.
    seconds : by phase: build, solve, certify. notes : such as from which checkpoint the run was resumed.
    """

    backend: str
    seed: int
    version: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Result(Generic[Game, State, Policy]):
    """A policy with its certificate.

    Parameters
    ----------
    game, algorithm : what was solved, and how.
    policy : the answer. value : what it earns.
    gap : computed from the game by code that the algorithm does not use.
    bounds : what theorems promise, beside it.
    history : one record per iteration.
    status : why the run ended. reason : the details, where there are any.
    state : where the algorithm stood at the end; ``program`` needs it.
    provenance : backend, seed, version, seconds.
    """

    game: Game
    algorithm: Algorithm[Game, State, Policy]
    policy: Policy
    value: float
    gap: GapCertificate
    bounds: tuple[Bound, ...]
    history: History
    status: Status
    reason: str
    state: State
    provenance: Provenance

    @property
    def system(self) -> System:
        """The kind of game."""
        return system_of(self.game)

    @property
    def is_converged(self) -> bool:
        """Whether the run met its own stopping rule and its certificate holds."""
        return self.status is Status.CONVERGED

    @property
    def iterations(self) -> int:
        """Number of steps."""
        return len(self.history)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by phase."""
        return self.provenance.seconds

    @property
    def seed(self) -> int:
        """Of everything random."""
        return self.provenance.seed

    @property
    def solver(self) -> str:
        """The backend that answered, with its version where that is known."""
        return self.provenance.backend

    def identity(self) -> dict[str, Any]:
        """What makes another run the same run: hashes of game and algorithm, backend, seed, version; checkpoints carry it too."""
        from eqsolve.driver.checkpoint import identity_of

        how = self.provenance
        return identity_of(self.game, self.algorithm, how.backend, how.seed, how.version)

    def judged(self) -> Self:
        """The same result; refuted when the algorithm objects to its certificate."""
        objection = self.algorithm.objection(self)
        return replace(self, status=Status.REFUTED, reason=objection) if objection else self

    def program(self, *which: Any) -> Program:
        """A program of the run; which ones there are, the algorithm's own documentation says."""
        return self.algorithm.program(self, *which)

    def recertified(self) -> GapCertificate:
        """The gap, computed again from the game and the policy."""
        return self.system.certify(self.game, self.policy)

    def to_json(self) -> dict[str, Any]:
        """Plain values: what ``eqsolve solve --json`` prints."""
        return summary(self) | self.details()

    def details(self) -> dict[str, Any]:
        """What a kind of result adds to ``to_json``."""
        return {}

    def lines(self) -> list[Line]:
        """What a kind of result adds to its print."""
        return []

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Tables that ``save`` writes as CSV files beside the arrays, by file name; the first row is the head."""
        return {}

    def save(self, folder: str | Path) -> Path:
        """Write the run: ``result.json``, npz files, ``manifest.json`` with their hashes; ``Result.load`` reads it.

        Raises
        ------
        FileTrouble : the folder cannot be made or written, or the disk is full.
        """
        from eqsolve.driver.archive import save_result

        return save_result(self, Path(folder))

    @staticmethod
    def load(folder: str | Path, game: Any = None) -> Result[Any, Any, Any]:
        """Read a saved run; every file is checked against its hash.

        Parameters
        ----------
        game : needed when it has payoffs given by Python functions, which no file holds.

        Raises
        ------
        FileTrouble : not a saved run. InvalidRun : a file is missing or has changed.
        """
        from eqsolve.driver.archive import load_result

        return load_result(Path(folder), game)

    def plot(self, *columns: str) -> Figure:
        """The columns of the history (all of them when none is named) against the iterations, as a matplotlib figure."""
        from eqsolve.driver.figure import history_figure

        return history_figure(self, columns)

    def __str__(self) -> str:
        return report(self)
