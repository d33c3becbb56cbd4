"""The contract of a backend: declared capabilities, a probe, and sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Self

from eqsolve.backends.outcome import Limits, Outcome, Start
from eqsolve.errors import BackendUnavailable, BackendUnsupported
from eqsolve.programs import Kind, Program, Update

Options = Mapping[str, object]


class Feature(Enum):
    """What a backend can do beside answering; the value is the word in the table."""

    DUALS = "duals"
    VERTEX = "vertex"
    BASIS = "basis"
    WARM_START = "warm start"
    UPDATE = "in-place updates"
    FARKAS = "Farkas ray"
    DIRECTION = "unbounded direction"
    IIS = "IIS"
    TIME_LIMIT = "time limit"
    ITERATION_LIMIT = "iteration limit"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The kinds of program a backend takes and its features; checked before anything is built."""

    kinds: frozenset[Kind]
    features: frozenset[Feature]


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a backend can be used here, found out without raising.

    ``licensed`` is None where there is no licence to have, or where the backend is not installed. ``detail`` says what a
    licence allows, or what to do to get one.
    """

    installed: bool
    licensed: bool | None = None
    version: str = ""
    detail: str = ""

    @property
    def usable(self) -> bool:
        """Installed, and licensed where a licence is needed."""
        return self.installed and self.licensed is not False


@dataclass(frozen=True, slots=True)
class IIS:
    """An irreducible infeasible subsystem: absolute positions and names of the rows and columns (by their bounds)."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    names: tuple[str, ...]


class Backend(ABC):
    """A solver behind the one contract. Subclasses import their solver when first used, never at module level."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As the user writes it: ``"highs"``, ``"cvxpy:CLARABEL"``."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Kinds and features, as data."""

    @abstractmethod
    def probe(self) -> Probe:
        """Installed, licensed, version; never raises."""

    @abstractmethod
    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        """A session on a program that passed the checks of ``open``."""

    def open(self, program: Program, options: Options | None = None, *, vertex: bool = False) -> Session:
        """Open a session on a program.

        Parameters
        ----------
        options : the solver's own options by its own names. An unknown one is an error.
        vertex : ask for a basic solution (simplex or crossover) where the backend can give one.

        Raises
        ------
        BackendUnavailable : not installed or not licensed; the message names the remedy.
        BackendUnsupported : the backend does not take programs of this kind.
        UnknownName : an option that the solver does not have.
        """
        if program.kind not in self.capabilities.kinds:
            raise BackendUnsupported(
                f"backend {self.name!r} does not solve {program.kind} programs, and {program.name!r} is one",
                f"It takes {', '.join(sorted(self.capabilities.kinds))}. `eqsolve backends` lists what the others take.",
            )
        probe = self.probe()
        if not probe.usable:
            why = "not licensed" if probe.installed else "not installed"
            raise BackendUnavailable(f"backend {self.name!r} is {why}", probe.detail)
        return self._open(program, dict(options or {}), vertex)


class Session(ABC):
    """One program held by one solver; a context manager."""

    def __init__(self, backend: Backend, program: Program, options: Options, vertex: bool) -> None:
        self.backend = backend
        self.program = program
        self.options = options
        self.vertex = vertex

    @abstractmethod
    def update(self, update: Update) -> None:
        """Change values in place; the shape stays. Refused whole (nothing changes) when a value is bad."""

    @abstractmethod
    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Answer the program as it now stands."""

    def iis(self) -> IIS:
        """An irreducible infeasible subsystem of the program as it now stands.

        Raises
        ------
        BackendUnsupported : the backend has no such feature.
        """
        raise BackendUnsupported(f"backend {self.backend.name!r} does not find irreducible infeasible subsystems")

    def close(self) -> None:
        """Give the solver's memory back; a closed session is not used again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class RebuildSession(Session):
    """For solvers that cannot change a program in place: every solve hands the whole program over, and says so."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._updates = 0

    def update(self, update: Update) -> None:
        """Replace the program; the next solve builds it anew."""
        self.program = self.program.with_values(update)
        self._updates += 1

    @property
    def rebuild_notes(self) -> tuple[str, ...]:
        """The note for an outcome after updates."""
        return ("rebuilt: this backend does not update in place",) if self._updates else ()
