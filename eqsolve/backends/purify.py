"""From any optimal point of a linear program to an optimal vertex."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from eqsolve.backends.outcome import Outcome, Seconds, make_outcome, violation
from eqsolve.errors import BackendUnsupported
from eqsolve.programs import Program, Purifiable

if TYPE_CHECKING:
    from eqsolve.backends.highs_vertex import Vertex

NOTE = "purified to a vertex"
WORSE = 1e-9
"""Loss of objective, relative to 1 + |objective|, that a vertex may show against the point it came from."""
FEASIBLE = 1e-7
"""Violation, relative to 1 + |bound|, that a vertex may show."""


def purify(program: Program, outcome: Outcome) -> Outcome:
    """The same outcome with its point moved to a vertex that is no worse.

    A structure that is ``Purifiable`` does it by its own method; otherwise, or where its answer does not stand, the simplex
    method of HiGHS does, from the support of the point or on the face that it lies on. The vertex is checked against the
    program: feasible within 1e-7, and no worse than 1e-9 relative, where a point that violates rows or bounds is allowed
    what its violation is worth at its duals.

    Parameters
    ----------
    program : a linear program.
    outcome : its outcome with a point ``x``; one without a point, or at a vertex, is handed back as it is.

    Returns
    -------
    The outcome with ``x``, ``objective``, duals and basis of the vertex, ``is_vertex`` and a note; or, when no vertex that
    passes the check is found, the given outcome with a note that says so.

    Raises
    ------
    BackendUnsupported : the program is not linear.

    Notes
    -----
    Any optimal duals belong to every optimal point, so that those of ``outcome`` stay where the structure purifies; HiGHS
    gives the duals of the vertex's own basis.
    """
    if program.kind != "LP":
        raise BackendUnsupported(f"only a linear program has an optimal vertex; {program.name!r} is of kind {program.kind}")
    if outcome.x is None or outcome.is_vertex:
        return outcome
    began = perf_counter()
    tried = []
    for vertex in _candidates(program, outcome):
        refusal = _refusal(program, outcome, vertex)
        if refusal is None:
            return _moved(program, outcome, vertex, perf_counter() - began)
        tried.append(refusal)
    reason = "; ".join(tried) or "no method ended at a vertex"
    return replace(outcome, notes=(*outcome.notes, f"not purified to a vertex: {reason}"))


def _candidates(program: Program, outcome: Outcome) -> Iterator[Vertex]:
    from eqsolve.backends.highs_vertex import Vertex, face_simplex, support_simplex

    structure: object = program.structure
    if isinstance(structure, Purifiable) and outcome.x is not None:
        yield Vertex(structure.purify(program, outcome.x), outcome.y, None)
    for method in (support_simplex, face_simplex):
        vertex = method(program, outcome)
        if vertex is not None:
            yield vertex


def _refusal(program: Program, outcome: Outcome, vertex: Vertex) -> str | None:
    """Why a vertex does not stand, or None."""
    worst, where = violation(program, vertex.x)
    if worst > FEASIBLE:
        return f"a vertex violates {where} by {worst:.3g}"
    assert outcome.x is not None
    before, after = program.objective(outcome.x), program.objective(vertex.x)
    loss = before - after if program.sense == "max" else after - before
    if loss > WORSE * (1.0 + abs(before)) + _worth_of_violation(program, outcome):
        return f"a vertex is worse by {loss:.3g}"
    return None


def _worth_of_violation(program: Program, outcome: Outcome) -> float:
    """What the point may have gained by violating rows and bounds, at its own duals."""
    if outcome.x is None or outcome.y is None or outcome.z is None:
        return 0.0
    activity = np.asarray(program.A @ outcome.x)
    rows = np.maximum(np.maximum(program.row_lower - activity, activity - program.row_upper), 0.0)
    columns = np.maximum(np.maximum(program.col_lower - outcome.x, outcome.x - program.col_upper), 0.0)
    return float(np.abs(outcome.y) @ rows + np.abs(outcome.z) @ columns)


def _moved(program: Program, outcome: Outcome, vertex: Vertex, seconds: float) -> Outcome:
    """The outcome at the vertex; point, objective and reduced costs go through the same checks as a solver's answer."""
    return make_outcome(
        program,
        outcome.termination,
        x=vertex.x,
        y=vertex.y,
        notes=(*outcome.notes, NOTE),
        bound=outcome.bound,
        basis=vertex.basis,
        is_vertex=True,
        backend=outcome.backend,
        version=outcome.version,
        options=outcome.options,
        seconds=Seconds(outcome.seconds.build, outcome.seconds.solve + seconds),
        iterations=outcome.iterations,
        warm_start=outcome.warm_start,
    )
