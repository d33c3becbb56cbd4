"""Answering a program: the choice of a backend, and the vertex where one is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

from eqsolve.backends.base import Backend, Options
from eqsolve.backends.outcome import Limits, Outcome, Start, Termination, make_outcome
from eqsolve.backends.proofs import elastic, feasibility, proven_direction, proven_ray, recession
from eqsolve.backends.purify import purify
from eqsolve.backends.registry import get_backend
from eqsolve.backends.requests import remaining
from eqsolve.errors import BackendFailure, BackendUnavailable, BackendUnsupported, EqsolveError
from eqsolve.programs import Advised, Program, ProgramFamily

PREFERRED = {
    "LP": ("highs", "cvxpy:CLARABEL"),
    "MILP": ("highs",),
    "QP": ("highs", "cvxpy:CLARABEL"),
    "SOCP": ("cvxpy:CLARABEL",),
    "EXP": ("cvxpy:CLARABEL",),
    "MIQP": ("gurobi", "cvxpy:GUROBI", "cvxpy:SCIP"),
    "MISOCP": ("cvxpy:GUROBI", "cvxpy:MOSEK", "cvxpy:SCIP"),
    "MIEXP": ("cvxpy:MOSEK",),
}


PROVABLE = (Termination.INFEASIBLE, Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED)
KEPT = ("backend", "version", "options", "seconds", "iterations", "warm_start", "basis", "bound", "is_vertex")
NO_HELP = (BackendUnsupported, BackendUnavailable, BackendFailure)
SHORT = (Termination.INACCURATE, Termination.FAILED)
"""Ends after which ``auto`` tries the next backend."""


def choose_backend(program: Program) -> tuple[Backend, str]:
    """What ``auto`` picks for a program, and the sentence that says why.

    ``native`` where the structure's own exact method takes the program, otherwise the first usable one by kind.

    Raises
    ------
    BackendUnsupported : no usable backend takes this kind.
    """
    if program.structure is not None and program.structure.refuses(program) is None:
        return get_backend("native"), f"auto picked native, which solves the form {program.structure.name!r} exactly"
    for name in PREFERRED[program.kind]:
        backend = get_backend(name)
        if _takes(backend, program):
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

    "Infeasible" and "unbounded" come with a proof checked against the data where there is one: the solver's own Farkas ray or
    direction, or else that of an auxiliary program, and the notes say so. When the backend that ``auto`` picks stops short of
    its tolerances or fails, the next one by kind is asked, and the notes say that too.

    Parameters
    ----------
    backend : a name, a backend, or ``"auto"``; the outcome's notes say what auto picked.
    vertex : ask for a basic solution of an LP; an interior answer is purified to one, whatever the backend.
    limits : a budget; reaching it is never reported as optimal.
    start : a point or basis to begin from.
    options : the solver's own options by its own names. When left out, a structure that is ``Advised`` gives those that suit the
        program (not where there is a start), and the notes say so; ``{}`` asks for the solver's own defaults.

    Raises
    ------
    UnknownName : the backend or an option does not exist.
    BackendUnavailable, BackendUnsupported : see ``Backend.open``.
    """
    began = perf_counter()
    if backend == "auto":
        outcome = _by_auto(program, vertex, limits, start, options)
    else:
        outcome = _solved(get_backend(backend), program, vertex, limits, start, options)
    if not _settled(outcome):
        outcome = _with_proof(program, outcome, remaining(limits, began))
    return at_vertex(program, outcome) if vertex else outcome


def _takes(backend: Backend, program: Program) -> bool:
    return program.kind in backend.capabilities.kinds and backend.probe().usable


def _solved(
    backend: Backend, program: Program, vertex: bool, limits: Limits | None, start: Start | None, options: Options | None
) -> Outcome:
    advised = _advice(backend, program, vertex) if options is None and start is None else {}
    with backend.open(program, options or advised, vertex=vertex) as session:
        outcome = session.solve(limits, start)
    if not advised:
        return outcome
    assert program.structure is not None
    listed = ", ".join(f"{name}={value}" for name, value in advised.items())
    return replace(outcome, notes=(f"{listed}: advised by the structure {program.structure.name}", *outcome.notes))


def _advice(backend: Backend, program: Program, vertex: bool) -> Options:
    structure: object = program.structure
    return structure.advice(backend.name, vertex=vertex) if isinstance(structure, Advised) else {}


def _by_auto(program: Program, vertex: bool, limits: Limits | None, start: Start | None, options: Options | None) -> Outcome:
    """The answer of the backend that auto picks; where it stops short or fails, that of the next one that does not.

    With options there is no next one: they are those of one solver.
    """
    began = perf_counter()
    first, note = choose_backend(program)
    others = () if options else (get_backend(name) for name in PREFERRED[program.kind] if name != first.name)
    notes: tuple[str, ...] = (note,)
    best: Outcome | None = None
    failure: EqsolveError | None = None
    for backend in (first, *(one for one in others if _takes(one, program))):
        try:
            outcome = _solved(backend, program, vertex, remaining(limits, began), start, options)
        except NO_HELP as refusal:
            if backend is first and not isinstance(refusal, BackendFailure):
                raise
            failure = failure or refusal
            notes = (*notes, f"{backend.name} was no help: {refusal.what}")
            continue
        notes = (*notes, *outcome.notes)
        if outcome.termination not in SHORT:
            return replace(outcome, notes=notes if backend is first else (*notes, f"auto went on to {backend.name}"))
        notes = (*notes, f"{backend.name} stopped short")
        best = best or outcome
    if best is None:
        assert failure is not None
        raise failure
    return replace(best, notes=notes)


def _settled(outcome: Outcome) -> bool:
    if outcome.termination is Termination.INFEASIBLE:
        return outcome.ray is not None
    if outcome.termination in PROVABLE:
        return outcome.direction is not None and outcome.x is not None
    return outcome.termination not in SHORT or outcome.x is not None


def _with_proof(program: Program, outcome: Outcome, limits: Limits | None) -> Outcome:
    """The verdict with a Farkas ray, or a direction and a point, from auxiliary programs; without one, the outcome as it is.

    A solver that stopped short without a point may have met a program that is infeasible or unbounded: the data tell.
    """
    began = perf_counter()

    def answer(other: Program) -> Outcome:
        return _by_auto(other, False, remaining(limits, began), None, None)

    termination, x, ray, direction = outcome.termination, outcome.x, None, outcome.direction
    try:
        if termination is not Termination.INFEASIBLE and x is None:
            point = answer(feasibility(program))
            termination, x = (Termination.UNBOUNDED if point.is_optimal else point.termination), point.x
        if termination is Termination.INFEASIBLE:
            ray = proven_ray(program, answer(elastic(program)).y)
        elif termination in PROVABLE and direction is None:
            direction = proven_direction(program, answer(recession(program)).x)
    except NO_HELP as refusal:
        return replace(outcome, notes=(*outcome.notes, f"no proof was found: {refusal}"))
    if ray is None and direction is None:
        return replace(outcome, notes=(*outcome.notes, "no proof of infeasibility or unboundedness was found"))
    facts = {name: getattr(outcome, name) for name in KEPT}
    notes = (*outcome.notes, "the proof is not the solver's own, but that of an auxiliary program")
    return make_outcome(program, termination, x=x, notes=notes, ray=ray, direction=direction, **facts)


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
        for i in range(family.size):
            session.update(family.update(i))
            outcome = session.solve(limits)
            yield at_vertex(session.program, outcome) if vertex else outcome


__all__ = ["at_vertex", "choose_backend", "solve_family", "solve_program"]
