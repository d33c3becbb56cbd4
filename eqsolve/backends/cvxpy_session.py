"""A program answered through cvxpy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.backends.base import RebuildSession
from eqsolve.backends.cvxpy_solvers import SOLVERS, CvxpySolver
from eqsolve.backends.licences import VENDORS, is_size_complaint, too_large
from eqsolve.backends.outcome import Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.requests import refuse_limits, start_note
from eqsolve.backends.scipy import row_sides
from eqsolve.errors import BackendFailure, InvalidData, unknown
from eqsolve.programs import Program
from eqsolve.programs.cone import ConeKind

TERMINATIONS = {
    "optimal": Termination.OPTIMAL,
    "infeasible": Termination.INFEASIBLE,
    "unbounded": Termination.UNBOUNDED,
    "infeasible_or_unbounded": Termination.INFEASIBLE_OR_UNBOUNDED,
    "user_limit": Termination.ITERATION_LIMIT,
    "optimal_inaccurate": Termination.INACCURATE,
    "infeasible_inaccurate": Termination.INACCURATE,
    "unbounded_inaccurate": Termination.INACCURATE,
}
NO_POINT = (Termination.INFEASIBLE, Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED, Termination.FAILED)


@dataclass(slots=True)
class Parts:
    """A cvxpy problem (always a minimisation), its variable, and its constraints with the rows that each one stands for."""

    problem: Any
    x: Any
    rows: list[tuple[Any, IntArray, float]]
    cones: list[tuple[Any, IntArray, ConeKind]]


class CvxpySession(RebuildSession):
    """Builds one vector variable and one constraint per group of rows, straight from the arrays."""

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve with tight tolerances; where the solver gives up on these, once more with its own, and the notes say so."""
        refuse_limits(self.backend, limits)
        began = perf_counter()
        parts = build(self.program, self.program.c)
        built = perf_counter()
        limits = limits or Limits()
        termination, notes = self._run(parts, limits)
        second = self._solver.second
        if termination in (Termination.FAILED, Termination.INACCURATE) and second is not None:
            again, more = self._run(parts, _remaining(limits, built), second)
            if again not in (Termination.FAILED, Termination.INACCURATE):
                how = f"with {second}" if second else "with the solver's own tolerances"
                termination, notes = again, (*more, f"the first attempt stopped short; solved {how}")
        continuous = self.program.integrality is None
        x = y = None
        if termination not in NO_POINT and parts.x.value is not None:
            x = np.asarray(parts.x.value, dtype=np.float64)
            told = continuous and (self._solver.cone_duals or not self.program.cones)
            y = duals(self.program, parts) if told and termination is Termination.OPTIMAL else None
        stats = parts.problem.solver_stats
        if termination in (Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED):
            termination = self._feasibility(termination, limits)
        return make_outcome(
            self.program,
            termination,
            x=x,
            y=y,
            notes=(*self.rebuild_notes, *start_note(start), *notes),
            backend=self.backend.name,
            version=self.backend.probe().version,
            options=self.options,
            seconds=Seconds(built - began, perf_counter() - built),
            iterations=int(getattr(stats, "num_iters", 0) or 0),
        )

    @property
    def _name(self) -> str:
        return self.backend.name.partition(":")[2]

    @property
    def _solver(self) -> CvxpySolver:
        return SOLVERS[self._name]

    def _run(self, parts: Parts, limits: Limits, defaults: dict[str, object] | None = None) -> tuple[Termination, tuple[str, ...]]:
        import cvxpy

        given = self._arguments(limits, defaults)
        notes: tuple[str, ...] = ()
        began = perf_counter()
        try:
            with warnings.catch_warnings(), _environment(self._name) as more:
                warnings.simplefilter("ignore")
                parts.problem.solve(solver=self._name, **given, **more)
            status = str(parts.problem.status)
        except cvxpy.error.SolverError as cause:
            self._check_size(str(cause))
            status, notes = "failed", (str(cause).splitlines()[0],)
        except (TypeError, ValueError, KeyError, AttributeError) as cause:
            raise self._refusal(cause) from cause
        except Exception as cause:  # each vendor has an error class of its own
            self._check_size(str(cause), surely=False)
            if self.options and any(word in str(cause).lower() for word in ("parameter", "option", "control")):
                raise self._refusal(cause) from cause
            raise BackendFailure(f"{self.backend.name} failed: {type(cause).__name__}: {cause}") from cause
        found = TERMINATIONS.get(status, Termination.FAILED)
        if found is Termination.ITERATION_LIMIT and not self._solver.iterations:
            found = Termination.INACCURATE  # the solver's word for an answer short of its tolerances
        late = limits.seconds is not None and perf_counter() - began >= 0.9 * limits.seconds
        if late and found in (Termination.ITERATION_LIMIT, Termination.INACCURATE, Termination.FAILED):
            found = Termination.TIME_LIMIT
        if status.endswith("_inaccurate"):
            notes = (f"cvxpy calls it {status!r}",)
        return found, notes

    def _arguments(self, limits: Limits, defaults: dict[str, object] | None) -> dict[str, Any]:
        solver = self._solver
        if defaults is None:
            defaults = solver.tight if self.program.integrality is None else solver.whole
        merged: dict[str, Any] = {**defaults, **self.options}
        if limits.seconds is not None:
            merged[solver.seconds] = max(limits.seconds, 1e-3)
        if limits.iterations is not None:
            merged[solver.iterations] = limits.iterations
        return {solver.nested: merged} if solver.nested and merged else merged

    def _feasibility(self, found: Termination, limits: Limits) -> Termination:
        """Solvers say "unbounded" of a program with a ray, feasible or not; without its objective the truth comes out."""
        parts = build(self.program, np.zeros(self.program.n_columns), quadratic=False)
        alone, _ = self._run(parts, limits)
        if alone is Termination.OPTIMAL:
            return Termination.UNBOUNDED
        return alone if alone is Termination.INFEASIBLE else Termination.INFEASIBLE_OR_UNBOUNDED

    def _check_size(self, message: str, surely: bool = True) -> None:
        """Raise the typed error when a licence is too small; cvxpy hides some solvers' own words, so the sizes decide as well."""
        vendor = self._solver.vendor
        if not vendor:
            return
        licence, program = VENDORS[vendor], self.program
        limited = self.backend.probe().detail == licence.free
        bounds = int(np.isfinite(program.col_lower).sum() + np.isfinite(program.col_upper).sum())
        most = sum(int(side.sum()) for side in row_sides(program)) + sum(len(one.rows) for one in program.cones) + bounds
        columns = licence.columns is not None and program.n_columns > licence.columns
        rows = licence.rows is not None and most > licence.rows
        total = licence.total is not None and program.n_columns + most > licence.total
        if is_size_complaint(vendor, message) or (limited and surely and (columns or rows or total)):
            raise too_large(self.backend.name, vendor, program, f"cvxpy makes up to {most} rows of it, bounds included")

    def _refusal(self, cause: Exception) -> Exception:
        if not self.options:
            return BackendFailure(f"{self.backend.name} failed: {type(cause).__name__}: {cause}")
        if self._solver.known is None and isinstance(cause, (KeyError, AttributeError)):
            return unknown(f"option of backend {self.backend.name}", next(iter(self.options)), ())
        return InvalidData(f"{self.backend.name} does not take the options {dict(self.options)}: {cause}")


def build(program: Program, c: FloatArray, *, quadratic: bool = True) -> Parts:
    """The program as a cvxpy minimisation of c'x (plus x'Qx/2), negated when the program is to maximise."""
    import cvxpy as cp

    sign = 1.0 if program.sense == "min" else -1.0
    x = _variable(program)
    objective = (sign * c) @ x
    if quadratic and program.Q is not None:
        objective = objective + 0.5 * cp.quad_form(x, cp.psd_wrap(sign * program.Q))
    A = program.A.tocsr()
    equal, above, below = row_sides(program)
    rows = []
    for mask, side, direction in ((equal, program.row_lower, 0), (above, program.row_upper, 1), (below, program.row_lower, -1)):
        at = np.flatnonzero(mask)
        if len(at):
            activity = A[at] @ x
            constraint = activity == side[at] if direction == 0 else activity <= side[at] if direction > 0 else activity >= side[at]
            rows.append((constraint, at, 1.0 if direction >= 0 else -1.0))
    cones = []
    for one in program.cones:
        z = A[one.rows] @ x + one.shift
        if one.kind == "exp":
            made = cp.ExpCone(z[0], z[1], z[2])
        elif one.kind == "soc":
            made = cp.SOC(z[0], z[1:]) if len(one.rows) > 1 else z[0] >= 0
        else:
            made = cp.SOC(z[0] + z[1], cp.hstack([z[0] - z[1], np.sqrt(2) * z[2:]]) if len(one.rows) > 2 else z[0:1] - z[1:2])
        cones.append((made, one.rows, one.kind))
    constraints = [*(one for one, _, _ in rows), *(one for one, _, _ in cones)]
    return Parts(cp.Problem(cp.Minimize(objective), constraints), x, rows, cones)


def _variable(program: Program) -> Any:
    """The columns (N,): one vector variable, or a whole and a continuous one put in their places."""
    import cvxpy as cp

    whole = program.integrality
    lower, upper = program.col_lower, program.col_upper
    if whole is None or whole.all():
        return cp.Variable(program.n_columns, integer=whole is not None, bounds=[lower, upper])
    places = sparse.eye_array(program.n_columns, format="csc")
    parts = (whole, ~whole)
    return sum(places[:, at] @ cp.Variable(int(at.sum()), integer=at is whole, bounds=[lower[at], upper[at]]) for at in parts)


def duals(program: Program, parts: Parts) -> FloatArray | None:
    """The duals (M,) in the user's sense, from cvxpy's: its multiplier of ``g(x) <= 0`` is minus d(optimum)/d(rhs)."""
    y = np.zeros(program.n_rows)
    for constraint, at, direction in parts.rows:
        if constraint.dual_value is None:
            return None
        value = np.ravel(np.asarray(constraint.dual_value, dtype=np.float64))
        if value.shape != at.shape:
            return None
        y[at] -= direction * value
    for constraint, at, kind in parts.cones:
        multiplier = cone_dual(constraint, kind)
        if multiplier is None or multiplier.shape != at.shape:
            return None
        y[at] = multiplier
    return y if program.sense == "min" else -y


def cone_dual(constraint: Any, kind: ConeKind) -> FloatArray | None:
    """The multiplier in the dual cone, by the rows of the cone."""
    value = constraint.dual_value
    if value is None or (isinstance(value, list) and any(one is None for one in value)):
        return None
    flat = np.concatenate([np.ravel(one) for one in value]) if isinstance(value, list) else np.ravel(value)
    if kind != "rsoc" or len(flat) < 2:
        return flat
    return np.concatenate([[flat[0] + flat[1], flat[0] - flat[1]], np.sqrt(2) * flat[2:]])


@contextmanager
def _environment(name: str) -> Iterator[dict[str, Any]]:
    """A Gurobi environment that does not announce its licence, for the one solver that cvxpy lets announce it."""
    if name != "GUROBI":
        yield {}
        return
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env:
        yield {"env": env}


def _remaining(limits: Limits, since: float) -> Limits:
    if limits.seconds is None:
        return limits
    return Limits(max(limits.seconds - (perf_counter() - since), 1e-3), limits.iterations)
