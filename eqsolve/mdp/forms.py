"""Occupancy programs handed to linear-programming solvers: the form and the method that suit the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends import Outcome, get_backend, solve_program
from eqsolve.backends.base import Backend, Feature, Options
from eqsolve.backends.outcome import Limits, make_outcome
from eqsolve.backends.solve import at_vertex
from eqsolve.errors import BackendUnsupported, InvalidData, unknown
from eqsolve.mdp.advice import METHODS
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.programs import occupancy_program, value_program
from eqsolve.mdp.recovery import policy_from, value_of
from eqsolve.programs import Program

Form = Literal["auto", "primal", "dual"]
LPMethod = Literal["auto", "simplex", "ipm", "pdlp"]


@dataclass(frozen=True, slots=True, eq=False)
class OccupancySolution:
    """An answer to ``occupancy_program``.

    Parameters
    ----------
    program, outcome : the program over visits and its answer, whichever form was solved.
    policy : (K,), with a horizon (H, K): that of the visits, and of the duals in states that are not visited.
    value : expected total reward from the initial distribution.
    form, method : what was solved, and by which method of HiGHS (empty for other backends, and where options leave it to HiGHS).
    """

    program: Program
    outcome: Outcome
    policy: FloatArray
    value: float
    form: str
    method: str


def solve_occupancy(
    mdp: FiniteMDP,
    backend: str | Backend = "auto",
    *,
    form: Form = "auto",
    method: LPMethod = "auto",
    vertex: bool = False,
    limits: Limits | None = None,
    options: Options | None = None,
) -> OccupancySolution:
    """Solve the occupancy program by any backend, in the form and by the method that suit it.

    ``auto`` takes ``native``, which is exact and by far the fastest. Another solver gets the form over values wherever duals come
    back, since they are the visits; and HiGHS an interior-point method without crossover, or, where its factors would fill in
    (kernels like random graphs), the first-order method PDLP. Measured by the benchmark ``mdp-lp``.

    Parameters
    ----------
    form : "primal" over visits, "dual" over values, or "auto".
    method : of HiGHS: "simplex", "ipm" (without crossover), "pdlp", or "auto". ``options`` take its place.
    vertex : move the point to a vertex, the visits of a deterministic policy.
    limits, options : as in ``solve_program``.

    Raises
    ------
    UnknownName : a form, method, backend or option that does not exist.
    BackendUnsupported : a method for another backend than HiGHS, or the dual form with one that gives no duals.
    InvalidData : both a method and options.
    BackendFailure : the backend failed; InvalidData : it stopped without a point, which then has no policy.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> solution = solve_occupancy(mdp, "highs")
    >>> round(solution.value, 9), solution.policy
    (20.0, array([1., 0., 1.]))
    """
    if form not in ("auto", "primal", "dual"):
        raise unknown("form of the occupancy program", form, ("auto", "primal", "dual"))
    if method != "auto" and method not in METHODS:
        raise unknown("method of HiGHS", method, ("auto", *METHODS))
    if backend == "auto":
        backend = "native" if method == "auto" and not options else "highs"
    chosen = get_backend(backend)
    shape = _form(chosen, form, method, options)
    primal = occupancy_program(mdp)
    given = options if method == "auto" else METHODS[method]
    if shape == "primal":
        outcome = solve_program(primal, chosen, limits=limits, options=given)
    else:
        outcome = _from_dual(primal, solve_program(value_program(mdp), chosen, limits=limits, options=given))
    return _answer(mdp, primal, at_vertex(primal, outcome) if vertex else outcome, shape)


def _form(backend: Backend, form: Form, method: LPMethod, options: Options | None) -> str:
    """The form that is solved."""
    if method != "auto" and backend.name != "highs":
        raise BackendUnsupported(f"method {method!r} is one of HiGHS, not of backend {backend.name!r}", "Use options instead.")
    if method != "auto" and options is not None:
        raise InvalidData(f"both method {method!r} and options are given", "Leave one of them out.")
    has_duals = Feature.DUALS in backend.capabilities.features
    if form == "dual" and not has_duals:
        raise BackendUnsupported(
            f"backend {backend.name!r} gives no duals, and the visits are the duals of the form over values", "Use form='primal'."
        )
    if form == "auto":
        return "dual" if has_duals and backend.name != "native" else "primal"
    return form


def _from_dual(program: Program, answer: Outcome) -> Outcome:
    """The answer over visits that an answer over values stands for: points are duals and duals are points."""
    x = None if answer.y is None else np.maximum(answer.y, 0.0)
    return make_outcome(
        program,
        answer.termination,
        x=x,
        y=answer.x,
        notes=(*answer.notes, "solved in the form over values: the visits are its duals"),
        is_vertex=answer.is_vertex,
        backend=answer.backend,
        version=answer.version,
        options=answer.options,
        seconds=answer.seconds,
        iterations=answer.iterations,
        warm_start=answer.warm_start,
    )


def _answer(mdp: FiniteMDP, program: Program, outcome: Outcome, form: str) -> OccupancySolution:
    if outcome.x is None:
        raise InvalidData(
            f"backend {outcome.backend!r} has no visits to give: {outcome.termination.value}", "\n".join(outcome.notes)
        )
    method = str(outcome.options.get("solver", "")) if outcome.backend == "highs" else ""
    return OccupancySolution(program, outcome, policy_from(mdp, program, outcome), value_of(program, outcome), form, method)
