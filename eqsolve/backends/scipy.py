"""The backend ``scipy``: ``scipy.optimize.linprog`` for linear programs, ``milp`` for those with integer columns."""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends.base import Backend, Capabilities, Feature, Options, Probe, RebuildSession, Session
from eqsolve.backends.outcome import Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.registry import BackendFamily
from eqsolve.backends.requests import installed_version, refuse_limits, start_note
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program
from eqsolve.programs.convert import row_sides

METHODS = ("highs", "highs-ds", "highs-ipm")
LP_OPTIONS = (
    "method",
    "presolve",
    "dual_feasibility_tolerance",
    "primal_feasibility_tolerance",
    "ipm_optimality_tolerance",
    "simplex_dual_edge_weight_strategy",
)
MILP_OPTIONS = ("presolve", "node_limit", "mip_rel_gap")
TERMINATIONS = {
    0: Termination.OPTIMAL,
    1: Termination.ITERATION_LIMIT,
    2: Termination.INFEASIBLE,
    3: Termination.UNBOUNDED,
    4: Termination.FAILED,
}


class ScipyBackend(Backend):
    """HiGHS as it comes inside scipy; every solve hands the whole program over."""

    name = "scipy"
    capabilities = Capabilities(
        frozenset({"LP", "MILP"}), frozenset({Feature.DUALS, Feature.VERTEX, Feature.TIME_LIMIT, Feature.ITERATION_LIMIT})
    )

    def probe(self) -> Probe:
        """Always here: EqSolve depends on scipy."""
        return Probe(True, None, installed_version("scipy"), "linprog and milp")

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        known = LP_OPTIONS if program.integrality is None else MILP_OPTIONS
        for one in options:
            if one not in known:
                raise unknown("option of backend scipy", one, known)
        method = options.get("method", METHODS[1])
        if method not in METHODS:
            raise unknown("method of backend scipy", method, METHODS)
        return ScipySession(self, program, options, vertex)


class ScipySession(RebuildSession):
    """One program; rows are split into equalities and one-sided rows, and their marginals joined again."""

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve; starts are not used, and the notes say so."""
        refuse_limits(self.backend, limits)
        began = perf_counter()
        solved, y = self._answer(limits or Limits(), None)
        if solved.status == 4:
            solved, y = self._answer(limits or Limits(), False)
        termination = TERMINATIONS[solved.status]
        if solved.status == 1 and "time" in solved.message.lower():
            termination = Termination.TIME_LIMIT
        simplex = self.program.integrality is None and self.options.get("method", METHODS[1]) == METHODS[1]
        gap_bound = getattr(solved, "mip_dual_bound", None)
        bound = None if gap_bound is None else self._sign * gap_bound + self.program.offset
        return make_outcome(
            self.program,
            termination,
            x=solved.x,
            y=y,
            notes=(*self.rebuild_notes, *start_note(start), *(() if solved.status == 0 else (solved.message.strip(),))),
            bound=bound,
            is_vertex=simplex and termination is Termination.OPTIMAL,
            backend=self.backend.name,
            version=installed_version("scipy"),
            options=self.options,
            seconds=Seconds(0.0, perf_counter() - began),
            iterations=int(getattr(solved, "nit", 0) or 0),
        )

    @property
    def _sign(self) -> float:
        return 1.0 if self.program.sense == "min" else -1.0

    def _answer(self, limits: Limits, presolve: bool | None) -> tuple[Any, FloatArray | None]:
        given: dict[str, Any] = dict(self.options)
        if presolve is not None:
            given["presolve"] = presolve
        if limits.seconds is not None:
            given["time_limit"] = limits.seconds
        from scipy.optimize import OptimizeWarning

        answer = self._linprog if self.program.integrality is None else self._milp
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", OptimizeWarning)  # an option with a bad value is passed over with a warning
                return answer(given, limits)
        except (TypeError, ValueError, OptimizeWarning) as cause:
            raise InvalidData(f"scipy refuses the options {given}: {cause}", "Check the values of the options.") from cause

    def _linprog(self, given: dict[str, Any], limits: Limits) -> tuple[Any, FloatArray | None]:
        from scipy import optimize, sparse

        program = self.program
        method = given.pop("method", METHODS[1])
        if limits.iterations is not None:
            given["maxiter"] = limits.iterations
        equal, upper, lower = row_sides(program)
        A = program.A.tocsr()
        inequalities = sparse.vstack([A[upper], -A[lower]], format="csr") if upper.any() or lower.any() else None
        solved = optimize.linprog(
            self._sign * program.c,
            A_ub=inequalities,
            b_ub=None if inequalities is None else np.concatenate([program.row_upper[upper], -program.row_lower[lower]]),
            A_eq=A[equal] if equal.any() else None,
            b_eq=program.row_upper[equal] if equal.any() else None,
            bounds=np.column_stack([program.col_lower, program.col_upper]),
            method=method,
            options=given,
        )
        if solved.status != 0:
            return solved, None
        y = np.zeros(program.n_rows)
        if inequalities is not None:
            count = int(upper.sum())
            y[upper] += solved.ineqlin.marginals[:count]
            y[lower] -= solved.ineqlin.marginals[count:]
        if equal.any():
            y[equal] = solved.eqlin.marginals
        return solved, self._sign * y

    def _milp(self, given: dict[str, Any], limits: Limits) -> tuple[Any, None]:
        from scipy import optimize

        program = self.program
        if limits.iterations is not None:
            given["node_limit"] = limits.iterations
        rows = optimize.LinearConstraint(program.A, program.row_lower, program.row_upper) if program.n_rows else None
        solved = optimize.milp(
            self._sign * program.c,
            integrality=program.integrality,
            bounds=optimize.Bounds(program.col_lower, program.col_upper),
            constraints=rows,
            options={"mip_rel_gap": 0.0, **given},
        )
        return solved, None


family = BackendFamily(lambda solver: ScipyBackend(), lambda: (None,))
