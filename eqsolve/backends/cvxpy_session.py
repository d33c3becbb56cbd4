"""A program answered through cvxpy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends.base import RebuildSession
from eqsolve.backends.cvxpy_solvers import SOLVERS, CvxpySolver
from eqsolve.backends.licences import VENDORS, is_size_complaint, too_large
from eqsolve.backends.outcome import Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.proofs import feasibility, proven_ray
from eqsolve.backends.requests import refuse_limits, remaining, start_note
from eqsolve.errors import BackendFailure, InvalidData, unknown
from eqsolve.programs.convert import CvxpyParts, duals_from_parts, to_cvxpy_parts

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


class CvxpySession(RebuildSession):
    """Builds one vector variable and one constraint per sort of rows, straight from the arrays."""

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve with tight tolerances; where the solver gives up on these, once more with its own, and the notes say so."""
        refuse_limits(self.backend, limits)
        began = perf_counter()
        parts = to_cvxpy_parts(self.program, by_block=False)
        built = perf_counter()
        limits = limits or Limits()
        termination, notes = self._run(parts, limits)
        second = self._solver.second
        if termination in (Termination.FAILED, Termination.INACCURATE) and second is not None:
            again, more = self._run(parts, remaining(limits, built), second)
            if again not in (Termination.FAILED, Termination.INACCURATE):
                how = f"with {second}" if second else "with the solver's own tolerances"
                termination, notes = again, (*more, f"the first attempt stopped short; solved {how}")
        iterations = _iterations(parts)
        x = y = ray = None
        if termination is Termination.INFEASIBLE:
            ray = self._ray(parts)
        elif termination in (Termination.UNBOUNDED, Termination.INFEASIBLE_OR_UNBOUNDED):
            termination, x, ray = self._feasibility(remaining(limits, built))
        elif termination is not Termination.FAILED:
            x = parts.point(self.program)
            told = self.program.integrality is None and (self._solver.cone_duals or not self.program.cones)
            # Multipliers of a solver that stopped short may be good all the same: the certificate judges them by the data.
            ended = termination in (Termination.OPTIMAL, Termination.INACCURATE)
            y = duals_from_parts(parts, self.program) if told and ended else None
        return make_outcome(
            self.program,
            termination,
            x=x,
            y=y,
            ray=ray,
            notes=(*self.rebuild_notes, *start_note(start), *notes),
            backend=self.backend.name,
            version=self.backend.probe().version,
            options=self.options,
            seconds=Seconds(built - began, perf_counter() - built),
            iterations=iterations,
        )

    @property
    def _name(self) -> str:
        return self.backend.name.partition(":")[2]

    @property
    def _solver(self) -> CvxpySolver:
        return SOLVERS[self._name]

    def _run(
        self, parts: CvxpyParts, limits: Limits, defaults: dict[str, object] | None = None
    ) -> tuple[Termination, tuple[str, ...]]:
        import cvxpy

        given = self._arguments(limits, defaults)
        notes: tuple[str, ...] = ()
        began = perf_counter()
        try:
            with warnings.catch_warnings(), _environment(self._name) as more:
                warnings.simplefilter("ignore")  # what they say of the answer is in the status and checked from the data
                parts.problem.solve(solver=self._name, **given, **more)
            status = str(parts.problem.status)
        except cvxpy.error.SolverError as cause:
            self._check_size(parts, str(cause))
            status, notes = "failed", (str(cause).splitlines()[0],)
        except (TypeError, ValueError, KeyError, AttributeError) as cause:
            raise self._refusal(cause) from cause
        except Exception as cause:  # each vendor has an error class of its own
            self._check_size(parts, str(cause), surely=False)
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

    def _ray(self, parts: CvxpyParts) -> FloatArray | None:
        """The solver's own Farkas ray, which cvxpy keeps as dual values, if it proves that the program is infeasible."""
        return proven_ray(self.program, duals_from_parts(parts, self.program))

    def _feasibility(self, limits: Limits) -> tuple[Termination, FloatArray | None, FloatArray | None]:
        """The verdict, a point and a ray of the program without its objective.

        Solvers say "unbounded" of a program with a direction, feasible or not; so the truth comes out.
        """
        parts = to_cvxpy_parts(feasibility(self.program), by_block=False)
        alone, _ = self._run(parts, limits)
        if alone is Termination.OPTIMAL:
            return Termination.UNBOUNDED, parts.point(self.program), None
        if alone is Termination.INFEASIBLE:
            return alone, None, self._ray(parts)
        return Termination.INFEASIBLE_OR_UNBOUNDED, None, None

    def _check_size(self, parts: CvxpyParts, message: str, surely: bool = True) -> None:
        """Raise the typed error when a licence is too small; cvxpy hides some solvers' own words, so the sizes decide as well."""
        vendor = self._solver.vendor
        if not vendor:
            return
        licence, program = VENDORS[vendor], self.program
        limited = self.backend.probe().detail == licence.free
        bounds = int(np.isfinite(program.col_lower).sum() + np.isfinite(program.col_upper).sum())
        most = sum(one.rows.size for one in parts.constraints) + bounds
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


@contextmanager
def _environment(name: str) -> Iterator[dict[str, Any]]:
    """What keeps the solvers quiet that cvxpy lets announce themselves: a Gurobi environment, or a word with HiGHS."""
    if name == "HIGHS":
        from eqsolve.backends.highs_quiet import announce_unseen

        announce_unseen()
    if name != "GUROBI":
        yield {}
        return
    import gurobipy

    with gurobipy.Env(params={"OutputFlag": 0}) as env:
        yield {"env": env}


def _iterations(parts: CvxpyParts) -> int:
    return int(getattr(parts.problem.solver_stats, "num_iters", 0) or 0)
