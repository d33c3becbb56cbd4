"""Answering a program: the choice of a backend, and the vertex where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from eqsolve.backends.base import Backend, Feature, Options
from eqsolve.backends.outcome import Limits, Outcome, Start
from eqsolve.backends.purify import purify
from eqsolve.backends.registry import get_backend
from eqsolve.errors import BackendUnsupported
from eqsolve.programs import Program, ProgramFamily

PREFERRED = {
    "LP": ("highs",),
    "MILP": ("highs",),
    "QP": ("highs", "cvxpy:CLARABEL"),
    "SOCP": ("cvxpy:CLARABEL",),
    "EXP": ("cvxpy:CLARABEL",),
    "MIQP": ("gurobi", "cvxpy:GUROBI", "cvxpy:SCIP"),
    "MISOCP": ("cvxpy:GUROBI", "cvxpy:MOSEK", "cvxpy:SCIP"),
    "MIEXP": ("cvxpy:MOSEK",),
}


def choose_backend(program: Program) -> tuple[Backend, str]:
    """What ``auto`` picks for a program, and the sentence that says why.

    ``native`` where the structure's own exact method takes the program, otherwise the first usable one by kind.

    Raises
    ------
    BackendUnsupported : no usable backend takes this kind.
    """
    if program.structure is not None and program.structure.refuses(program) is None:
        return get_backend("native"), f"auto picked native: the program is a {program.structure.name}"
    for name in PREFERRED[program.kind]:
        backend = get_backend(name)
        if program.kind in backend.capabilities.kinds and backend.probe().usable:
            return backend, f"auto picked {name} for a program of kind {program.kind}"
    raise BackendUnsupported(
        f"no usable backend takes {program.kind} programs, and {program.name!r} is one",
        f"Install or license one of {', '.join(PREFERRED[program.kind])}.",
    )


def solve_program(
    program: Program,
    backend: str | Backend = "auto",
    *,
    vertex: bool = False,
    limits: Limits | None = None,
    start: Start | None = None,
    options: Options | None = None,
) -> Outcome:
    """Solve one program.

    Parameters
    ----------
    backend : a name, a backend, or ``"auto"``; the outcome's notes say what auto picked.
    vertex : ask for a basic solution of an LP; an interior answer is purified to one, whatever the backend.
    limits : a budget; reaching it is never reported as optimal.
    start : a point or basis to begin from.
    options : the solver's own options by its own names.

    Raises
    ------
    UnknownName : the backend or an option does not exist.
    BackendUnavailable, BackendUnsupported : see ``Backend.open``.
    """
    note = ""
    if backend == "auto":
        chosen, note = choose_backend(program)
    else:
        chosen = get_backend(backend)
    with chosen.open(program, options, vertex=vertex) as session:
        outcome = session.solve(limits, start)
    if vertex:
        outcome = at_vertex(program, outcome)
    return replace(outcome, notes=(note, *outcome.notes)) if note else outcome


def at_vertex(program: Program, outcome: Outcome) -> Outcome:
    """The outcome itself if its point is a vertex (or there is none), else the same outcome with the point purified."""
    if outcome.x is None or outcome.is_vertex or program.kind != "LP":
        return outcome
    return purify(program, outcome)


def solve_family(
    family: ProgramFamily, backend: str | Backend = "auto", *, vertex: bool = False, limits: Limits | None = None
) -> Iterator[Outcome]:
    """Solve the members of a family in order through one session, updated in place where the backend can."""
    chosen = choose_backend(family.base)[0] if backend == "auto" else get_backend(backend)
    with chosen.open(family.base, vertex=vertex) as session:
        for i in range(len(family)):
            session.update(family.update(i))
            outcome = session.solve(limits)
            yield at_vertex(session.program, outcome) if vertex else outcome


__all__ = ["Feature", "at_vertex", "choose_backend", "solve_family", "solve_program"]
