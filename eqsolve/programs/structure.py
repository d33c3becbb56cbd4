"""A special form of a program that can be solved exactly and fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from eqsolve.arrays import FloatArray

if TYPE_CHECKING:
    from eqsolve.programs.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class StructureAnswer:
    """What a structure's own method found.

    ``status`` is ``"optimal"``, ``"infeasible"`` (then ``ray`` is a Farkas ray) or ``"iteration_limit"``. Signs are those of
    ``Outcome``: ``y`` = d(optimal objective)/d(rhs) in the user's sense. ``bound`` is what the method has proved of the optimum
    of a program with whole columns, by looking at all of its points.
    """

    status: Literal["optimal", "infeasible", "iteration_limit"]
    x: FloatArray | None = None
    y: FloatArray | None = None
    ray: FloatArray | None = None
    iterations: int = 0
    is_vertex: bool = False
    bound: float | None = None


@runtime_checkable
class Structure(Protocol):
    """Names the special form of a program and knows how to solve it; the backend ``native`` calls it."""

    @property
    def name(self) -> str:
        """The form, such as ``"multiple choice"``."""
        ...

    def refuses(self, program: Program) -> str | None:
        """Why this program is beyond the structure's method, or None when it can be solved."""
        ...

    def solve(self, program: Program) -> StructureAnswer:
        """Solve the program exactly."""
        ...


@runtime_checkable
class Purifiable(Protocol):
    """A structure that turns any feasible point into a vertex that is no worse, faster than a general crossover."""

    def purify(self, program: Program, x: FloatArray) -> FloatArray:
        """A vertex of the feasible set with an objective no worse than that of ``x``."""
        ...


@runtime_checkable
class Advised(Protocol):
    """A structure that knows by which of a solver's methods programs of its form are answered fast."""

    def advice(self, backend: str, *, vertex: bool) -> Mapping[str, object]:
        """Options of a backend, by the solver's own names, for a user who gives none; empty where there is nothing to advise.

        Parameters
        ----------
        vertex : a basic solution is asked for.
        """
        ...
