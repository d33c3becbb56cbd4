"""The certificate of a program: what an outcome claims, recomputed from the program's data and the outcome's vectors."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends.outcome import Outcome, Termination
from eqsolve.certificates.bound import bound_of
from eqsolve.certificates.direction import check_direction, start_point
from eqsolve.certificates.exact import exact_objective
from eqsolve.certificates.farkas import FarkasCertificate, check_farkas, find_farkas
from eqsolve.certificates.minform import min_form
from eqsolve.certificates.program_certificate import Claim, ProgramCertificate
from eqsolve.certificates.residuals import complementarity, dual_residual, exact_primal_residual, primal_residual
from eqsolve.errors import InvalidData
from eqsolve.programs import Program


def certify(program: Program, outcome: Outcome, *, exact: bool = False) -> ProgramCertificate:
    """Judge an outcome by the program's data alone; no solver is called and no number of the outcome but its vectors is used.

    Optimal (LP, QP, cones): residuals of the point and of the multipliers, complementarity, the gap to the dual objective
    (Wolfe and Dorn for QP) and a rigorous bound. Mixed-integer: the point, a rigorous bound by the relaxation, and the solver's
    own bound, named as not certified. Infeasible: a checked Farkas ray. Unbounded: a checked improving direction and a feasible
    point. Stopped by a limit: what can be said of the point and multipliers in hand.

    Parameters
    ----------
    exact : compute the violation of the point, its objective and the bound in rational arithmetic too, where that is possible
        (not for exponential cones; the notes say so).

    Raises
    ------
    InvalidData : a vector of the outcome has another length than the program.

    Examples
    --------
    >>> from eqsolve.backends.outcome import Termination, make_outcome
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("one", sense="max")
    >>> x = b.columns("x", upper=3.0)
    >>> b.objective(x, 2.0)
    >>> program = b.build()
    >>> certify(program, make_outcome(program, Termination.OPTIMAL, x=[3.0], y=[])).holds(1e-9)
    True
    """
    _check_lengths(program, outcome)
    if outcome.termination is Termination.INFEASIBLE:
        return _infeasible(program, outcome, exact)
    if outcome.termination is Termination.INFEASIBLE_OR_UNBOUNDED:
        if outcome.ray is not None:
            return _infeasible(program, outcome, exact)
        if outcome.direction is not None:
            return _unbounded(program, outcome, exact)
    if outcome.termination is Termination.UNBOUNDED:
        return _unbounded(program, outcome, exact)
    if outcome.x is None:
        return _bound_only(program, outcome, exact)
    return _point(program, outcome, outcome.x, exact)


def _check_lengths(program: Program, outcome: Outcome) -> None:
    lengths = {"x": program.n_columns, "z": program.n_columns, "direction": program.n_columns}
    lengths |= {"y": program.n_rows, "ray": program.n_rows}
    for name, length in lengths.items():
        vector = getattr(outcome, name)
        if vector is not None and np.shape(vector) != (length,):
            raise InvalidData(
                f"{name} of the outcome has shape {np.shape(vector)}, program {program.name!r} needs ({length},)",
                "Certify an outcome with the program that it answers.",
            )


def _point(program: Program, outcome: Outcome, x: FloatArray, exact: bool) -> ProgramCertificate:
    form = min_form(program)
    notes: list[str] = []
    if not np.isfinite(x).all():
        return _certificate(
            program, outcome, "optimal", f"the point is not finite at {program.column_name(int(np.argmin(np.isfinite(x))))}"
        )
    primal, objective = primal_residual(program, x), program.objective(x)
    if exact:
        primal, exact_notes = exact_primal_residual(program, x)
        objective = exact_objective(program, x)
        notes += exact_notes
    integer = program.integrality is not None
    claim: Claim = "optimal" if outcome.termination is Termination.OPTIMAL else "feasible"
    y = outcome.y if outcome.y is None or np.isfinite(outcome.y).all() else None
    facts: dict[str, object] = {}
    if y is not None and not integer:
        gradient = form.sign * program.gradient(x)
        scale = 1.0 + abs(objective)
        dual, reduced = dual_residual(form, gradient, form.sign * y, None if outcome.z is None else form.sign * outcome.z)
        comp, dual_objective = complementarity(form, x, form.sign * y, reduced, scale)
        facts = {"dual": dual, "complementarity": comp, "dual_objective": form.sign * dual_objective}
    elif y is None and not integer:
        notes.append("no duals in hand: optimality cannot be judged; the bound is that of zero multipliers")
    bound = bound_of(form, np.zeros(program.n_rows) if y is None else y, x, exact)
    if exact and not bound.exact and bound.value is not None:
        notes.append("the bound is rigorous but not exact: " + _why_not_exact(program))
    return _certificate(
        program,
        outcome,
        claim,
        "",
        objective=objective,
        primal=primal,
        bound=bound,
        claimed_bound=outcome.bound if integer else None,
        exact=exact,
        notes=tuple(notes),
        **facts,
    )


def _why_not_exact(program: Program) -> str:
    if any(cone.kind == "exp" for cone in program.cones):
        return "exponential cones have no rational arithmetic"
    return "free columns are settled by an interval of multipliers"


def _bound_only(program: Program, outcome: Outcome, exact: bool) -> ProgramCertificate:
    reason = f"there is no point in hand: {outcome.termination.value}"
    bound = None
    if outcome.y is not None and np.isfinite(outcome.y).all():
        bound = bound_of(min_form(program), outcome.y, None, exact)
    return _certificate(program, outcome, "nothing", reason, bound=bound)


def _infeasible(program: Program, outcome: Outcome, exact: bool) -> ProgramCertificate:
    ray = outcome.ray if outcome.ray is not None and np.isfinite(outcome.ray).all() else None
    farkas = None if ray is None else check_farkas(program, ray, exact=exact)
    if farkas is None or not farkas.proven:
        farkas = find_farkas(program, exact=exact) or farkas
    if farkas is None:
        why = "no Farkas ray in hand"
        if program.integrality is not None:
            why += "; infeasibility by integrality alone has no certificate from data"
        farkas = FarkasCertificate(False, None, why)
    return _certificate(program, outcome, "infeasible", "" if farkas.proven else farkas.reason, farkas=farkas)


def _unbounded(program: Program, outcome: Outcome, exact: bool) -> ProgramCertificate:
    direction = outcome.direction
    if direction is None or not np.isfinite(direction).all() or not direction.any():
        return _certificate(program, outcome, "unbounded", "no improving direction in hand")
    checked = check_direction(program, direction, exact=exact)
    start = start_point(program, outcome.x, direction / np.abs(direction).max())
    note = () if start is not None else ("no feasible point in hand: the direction proves it unbounded only if it is feasible",)
    primal = None if start is None else exact_primal_residual(program, start)[0] if exact else primal_residual(program, start)
    return _certificate(program, outcome, "unbounded", "", direction=checked, primal=primal, notes=note)


def _certificate(program: Program, outcome: Outcome, claim: Claim, reason: str, **facts: object) -> ProgramCertificate:
    return ProgramCertificate(
        program=program.name,
        kind=program.kind,
        sense=program.sense,
        claim=claim,
        termination=outcome.termination,
        trouble=reason,
        **facts,  # type: ignore[arg-type]  # each caller passes fields of ProgramCertificate by name
    )
