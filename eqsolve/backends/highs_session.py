"""A program held by HiGHS: one native model, changed in place and started from its last basis."""

from __future__ import annotations

from time import perf_counter
from typing import Any, NamedTuple

import highspy
import numpy as np

from eqsolve.arrays import FloatArray, float_array
from eqsolve.backends.base import IIS, Backend, Options, Session
from eqsolve.backends.highs_iis import find_iis
from eqsolve.backends.highs_interrupt import Interruptible
from eqsolve.backends.highs_model import check, native_basis, pass_changes, pass_program, read_basis, read_simplex_basis
from eqsolve.backends.highs_options import new_model
from eqsolve.backends.highs_proofs import find_direction, find_point, find_ray, run_model
from eqsolve.backends.highs_quadratic import cycle_length, leave_cycle, refine
from eqsolve.backends.outcome import Basis, Limits, Outcome, Seconds, Start, Termination, make_outcome, violation
from eqsolve.backends.proofs import proven_direction, proven_ray
from eqsolve.backends.requests import refuse_limits
from eqsolve.errors import BackendFailure, InvalidData
from eqsolve.programs import Program, Update

Status: Any = highspy.HighsModelStatus
TERMINATIONS = {
    Status.kOptimal: Termination.OPTIMAL,
    Status.kInfeasible: Termination.INFEASIBLE,
    Status.kUnbounded: Termination.UNBOUNDED,
    Status.kUnboundedOrInfeasible: Termination.INFEASIBLE_OR_UNBOUNDED,
    Status.kTimeLimit: Termination.TIME_LIMIT,
    Status.kIterationLimit: Termination.ITERATION_LIMIT,
    Status.kSolutionLimit: Termination.ITERATION_LIMIT,
    Status.kObjectiveBound: Termination.INTERRUPTED,
    Status.kObjectiveTarget: Termination.INTERRUPTED,
    Status.kUnknown: Termination.INACCURATE,
}
INTERRUPTS = {Status.kInterrupt, getattr(Status, "kHighsInterrupt", Status.kInterrupt)}  # the second one came with 1.12
TERMINATIONS.update(dict.fromkeys(INTERRUPTS, Termination.INTERRUPTED))
PLAIN = frozenset({Termination.OPTIMAL, Termination.INFEASIBLE, Termination.UNBOUNDED})
LIMITING = {
    "LP": ("simplex_iteration_limit", "ipm_iteration_limit", "pdlp_iteration_limit"),
    "QP": ("qp_iteration_limit",),
    "MILP": ("mip_max_nodes",),
}
FEASIBLE = 2  # kSolutionStatusFeasible


class Proof(NamedTuple):
    """What stands behind "infeasible" or "unbounded", and a point where one is needed."""

    termination: Termination
    x: FloatArray | None = None
    ray: FloatArray | None = None
    direction: FloatArray | None = None
    notes: tuple[str, ...] = ()


class HighsSession(Session):
    """One HiGHS model."""

    def __init__(self, backend: Backend, program: Program, options: Options, vertex: bool) -> None:
        super().__init__(backend, program, options, vertex)
        began = perf_counter()
        wished = {"run_crossover": "on"} if vertex else {}
        self._model: Any = new_model({**wished, **options})
        self._limits: dict[str, Any] = {"time_limit": self._option("time_limit")}
        self._limits.update({name: self._option(name) for name in LIMITING[program.kind]})
        self._set = dict(self._limits)
        if program.kind == "QP":
            self._limits["qp_iteration_limit"] = min(self._limits["qp_iteration_limit"], cycle_length(program))
            status, self._regularisation = self._model.getOptionValue("qp_regularization_value")
            self._regularised = status != highspy.HighsStatus.kError
        self._version = str(self._model.version())
        self._simplex_first = self._option("solver") in ("choose", "simplex")
        self._ctrl_c = Interruptible(self._model)
        self._has_basis = False
        self._began = began
        self._load()
        self._build = perf_counter() - began

    def _option(self, name: str) -> Any:
        return self._model.getOptionValue(name)[1]

    def _load(self) -> None:
        self._has_basis = False
        self._notes = pass_program(self._model, self.program) if self.program.n_columns else ()

    def update(self, update: Update) -> None:
        """Change values in the native model, only where they differ; the last basis stays for the next solve.

        Raises
        ------
        InvalidProgram : a wrong shape, NaN or crossed bounds; nothing changes.
        BackendUnsupported : a cost that HiGHS would take as infinite; nothing changes.
        BackendFailure : HiGHS refuses a value; nothing changes, except that the basis is lost.
        """
        began = perf_counter()
        self._check_open()
        changed = self.program.with_values(update)
        try:
            if changed.n_columns:
                pass_changes(self._model, self.program, changed)
        except BackendFailure:
            self._load()
            raise
        self.program = changed
        self._build += perf_counter() - began

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve from the last basis where there is one; limits count from here.

        Raises
        ------
        InvalidData : a limit that is not positive, a start of another shape.
        BackendFailure : an error code of HiGHS.
        """
        self._check_open()
        refuse_limits(self.backend, limits)
        self._began = perf_counter()
        if not self.program.n_columns:
            return self._without_columns()
        deadline = self._set_limits(limits or Limits(), self._began)
        warm, notes = self._begin(start)
        notes = (*self._notes, *notes)
        status, retried = self._run()
        if retried:
            warm, notes = False, (*notes, retried)
        termination = TERMINATIONS.get(status, Termination.FAILED)
        if termination is Termination.OPTIMAL:
            return self._optimal(warm, notes)
        if termination in PLAIN or termination is Termination.INFEASIBLE_OR_UNBOUNDED:
            proof = self._prove(termination, max(deadline - perf_counter(), 0.01))
            facts = {"ray": proof.ray, "direction": proof.direction}
            return self._outcome(proof.termination, proof.x, None, (*notes, *proof.notes), warm, **facts)
        return self._stopped(termination, status, warm, notes)

    def _check_open(self) -> None:
        if self._model is None:
            raise BackendFailure(f"the session of program {self.program.name!r} is closed", "Open another one.")

    def _set_limits(self, limits: Limits, now: float) -> float:
        """Set what changed; HiGHS counts time over the life of the model, so its clock is added. Returns the deadline."""
        wanted = dict(self._limits)
        seconds = min(float(wanted["time_limit"]), np.inf if limits.seconds is None else limits.seconds)
        wanted["time_limit"] = seconds if np.isinf(seconds) else seconds + self._model.getRunTime()
        if limits.iterations is not None:
            for name in LIMITING[self.program.kind]:
                wanted[name] = min(int(limits.iterations), highspy.kHighsIInf, wanted[name])
        for name, value in wanted.items():
            if self._set[name] != value:
                check(self._model.setOptionValue(name, value), f"setting {name}", self.program)
        self._set = wanted
        return now + seconds

    def _begin(self, start: Start | None) -> tuple[bool, tuple[str, ...]]:
        """Put the start in; returns whether the solve is warm, and notes on what was not used."""
        kept = self._has_basis and self._simplex_first and self.program.kind == "LP"
        if start is None or (start.x is None and start.basis is None):
            return kept, ()
        x = None if start.x is None else float_array("start.x", start.x, (self.program.n_columns,))
        notes: tuple[str, ...] = ()
        if start.basis is not None:
            refusal = self._refuse_basis(start.basis)
            if refusal is None:
                return True, ()
            notes = (f"the start basis was not used: {refusal}",)
        if x is None:
            return kept, notes
        if self.program.kind != "MILP":
            return kept, (*notes, "the start point was not used: HiGHS starts only branch and bound from a point")
        if violation(self.program, x)[0] > 1e-6:
            return kept, (*notes, "the start point was not used: it is not feasible")
        k = np.arange(len(x), dtype=np.int32)
        check(self._model.setSolution(len(x), k, x), "taking the start point", self.program)
        return True, notes

    def _refuse_basis(self, basis: Basis) -> str | None:
        """Put a basis in, or say why not."""
        for one, codes, length in (
            ("columns", basis.columns, self.program.n_columns),
            ("rows", basis.rows, self.program.n_rows),
        ):
            if np.shape(codes) != (length,) or not np.isin(codes, range(5)).all():
                raise InvalidData(f"start.basis.{one} is not {length} status codes from 0 to 4")
        if self.program.kind != "LP" or not self._simplex_first:
            return "only the simplex method starts from one"
        basic = int(np.count_nonzero(basis.columns == 1) + np.count_nonzero(basis.rows == 1))
        if basic != self.program.n_rows:
            return f"{basic} columns and rows are basic, and there are {self.program.n_rows} rows"
        if self._model.setBasis(native_basis(basis)) == highspy.HighsStatus.kError:
            return "HiGHS refuses it"
        return None

    def _run(self) -> tuple[Any, str]:
        """Run; where an LP ends without a verdict, run once more from nothing. Returns the status and a note on that."""
        if self.program.kind == "QP" and self._regularised:
            self._model.setOptionValue("qp_regularization_value", self._regularisation)
        with self._ctrl_c as ctrl_c:
            code = run_model(self._model)
            status = self._model.getModelStatus()
            note = ""
            simplex = self.program.kind == "LP" and self._simplex_first
            if simplex and not ctrl_c.asked and (status not in TERMINATIONS or status == Status.kUnknown):
                note = f"solved again from nothing: at first HiGHS stopped with {status.name}"
                self._model.clearSolver()
                code = run_model(self._model)
                status = self._model.getModelStatus()
            steps = self._model.getInfo().qp_iteration_count
            cycles = status == Status.kIterationLimit and steps >= cycle_length(self.program)
            # Not set: rounding made HiGHS call a singular Q non-convex.
            failed = status in (Status.kSolveError, Status.kNotset)
            if self.program.kind == "QP" and (cycles or failed) and not ctrl_c.asked:
                note = leave_cycle(self._model)
                status = self._model.getModelStatus()
            ctrl_c.heeded = status in INTERRUPTS
        if status == Status.kNotset and not note:
            check(code, "solving", self.program)
        self._has_basis = self._model.getInfo().basis_validity == 1
        return status, note

    def _optimal(self, warm: bool, notes: tuple[str, ...]) -> Outcome:
        model, program = self._model, self.program
        solution, info = model.getSolution(), model.getInfo()
        x = np.array(solution.col_value)
        if program.kind == "QP":
            step = refine(model, program, self._ctrl_c)
            if step.diverges or not step.holds:
                direction = find_direction(program)
                if direction is not None:
                    point = find_point(program)[0]  # that of the run may be far out, where rounding leaves the rows
                    return self._outcome(
                        Termination.UNBOUNDED, x if point is None else point, None, notes, warm, direction=direction
                    )
            termination = Termination.OPTIMAL if step.holds else Termination.INACCURATE
            return self._outcome(termination, step.x, step.y, (*notes, *step.notes), warm, iterations=step.iterations)
        if program.kind == "MILP":
            gap = abs(info.mip_dual_bound - info.objective_function_value)
            if gap > 1e-6 * (1 + abs(info.objective_function_value)):
                notes = (*notes, f"optimal within the gap of branch and bound that was asked for: {gap:.3g}")
            return self._outcome(Termination.OPTIMAL, x, None, notes, warm, bound=float(info.mip_dual_bound))
        y = np.array(solution.row_dual) if solution.dual_valid else None
        basic = info.basis_validity == 1
        basis = None
        if basic and warm and info.simplex_iteration_count > 0:
            basis = read_simplex_basis(model, program, x, np.array(solution.row_value))
        elif basic:
            basis = read_basis(model)
        return self._outcome(Termination.OPTIMAL, x, y, notes, warm, basis=basis, is_vertex=basic)

    def _stopped(self, termination: Termination, status: Any, warm: bool, notes: tuple[str, ...]) -> Outcome:
        """What is in hand when HiGHS stopped before a verdict."""
        solution, info = self._model.getSolution(), self._model.getInfo()
        x = np.array(solution.col_value) if solution.value_valid else None
        y = (
            np.array(solution.row_dual)[: self.program.n_rows]
            if solution.dual_valid and info.dual_solution_status == FEASIBLE
            else None
        )
        words = self._model.modelStatusToString(status)
        facts: dict[str, object] = {}
        if self.program.kind == "MILP":
            facts["bound"] = float(info.mip_dual_bound) if np.isfinite(info.mip_dual_bound) else None
        elif self.program.kind == "LP" and self._has_basis and x is not None:
            facts["basis"] = read_basis(self._model)
            facts["is_vertex"] = violation(self.program, x)[0] <= 1e-6
        return self._outcome(termination, x, y, (*notes, f"HiGHS says: {words}"), warm, **facts)

    def _prove(self, termination: Termination, seconds: float) -> Proof:
        """Bring forward what proves the verdict; decide one that is open."""
        model, program = self._model, self.program
        budget = None if np.isinf(seconds) else seconds
        if termination is Termination.INFEASIBLE:
            has_ray, ray = model.getDualRay()[1:] if program.kind == "LP" else (False, None)
            found = proven_ray(program, np.asarray(ray)) if has_ray else None
            return self._infeasible(found if found is not None else find_ray(program, budget))
        solution, info = model.getSolution(), model.getInfo()
        x = np.array(solution.col_value) if solution.value_valid and info.primal_solution_status == FEASIBLE else None
        if x is None or violation(program, x)[0] > 1e-6:
            x, none = find_point(program, budget)
            if none:
                return self._infeasible(find_ray(program, budget))
        has_direction, direction = model.getPrimalRay()[1:] if program.kind == "LP" else (False, None)
        found = proven_direction(program, np.asarray(direction)) if has_direction else None
        found = found if found is not None else find_direction(program, budget)
        if found is not None and x is not None:
            return Proof(Termination.UNBOUNDED, x, direction=found)
        if found is None and program.kind == "QP" and termination is Termination.UNBOUNDED:
            return Proof(Termination.INACCURATE, x, notes=("HiGHS calls it unbounded, but no direction improves without end",))
        missing = "direction of improvement" if found is None else "feasible point"
        return Proof(termination, x, direction=found, notes=(f"no {missing} was found that proves it",))

    def _infeasible(self, ray: FloatArray | None) -> Proof:
        if ray is not None:
            return Proof(Termination.INFEASIBLE, ray=ray)
        why = "branch and bound found no integer point; rows and bounds alone do not conflict"
        if self.program.kind != "MILP":
            why = "infeasible by the tolerances of HiGHS; no Farkas ray was found that proves it"
        return Proof(Termination.INFEASIBLE, notes=(why,))

    def _without_columns(self) -> Outcome:
        """HiGHS calls a program without columns empty and looks at no row of it."""
        rows = self.program
        wrong = np.flatnonzero((rows.row_lower > 0) | (rows.row_upper < 0))
        if len(wrong):
            ray = np.zeros(rows.n_rows)
            ray[wrong[0]] = 1.0 if rows.row_lower[wrong[0]] > 0 else -1.0
            return self._outcome(Termination.INFEASIBLE, None, None, (), False, ray=ray)
        x, y = np.zeros(0), np.zeros(rows.n_rows)
        return self._outcome(Termination.OPTIMAL, x, y if rows.kind == "LP" else None, (), False, is_vertex=True)

    def _outcome(
        self,
        termination: Termination,
        x: FloatArray | None,
        y: FloatArray | None,
        notes: tuple[str, ...],
        warm: bool,
        **facts: Any,
    ) -> Outcome:
        facts.setdefault("iterations", self._iterations())
        seconds = Seconds(self._build, perf_counter() - self._began)
        self._build = 0.0
        return make_outcome(
            self.program,
            termination,
            x=x,
            y=y,
            notes=notes,
            backend=self.backend.name,
            version=self._version,
            options=self.options,
            seconds=seconds,
            warm_start=warm,
            **facts,
        )

    def _iterations(self) -> int:
        info = self._model.getInfo()
        if self.program.kind == "MILP":
            return max(int(info.mip_node_count), 0)
        counts = (info.simplex_iteration_count, info.ipm_iteration_count, info.crossover_iteration_count)
        return sum(max(int(count), 0) for count in (*counts, info.pdlp_iteration_count, info.qp_iteration_count))

    def iis(self) -> IIS:
        """An irreducible infeasible subsystem of rows and column bounds.

        Raises
        ------
        BackendFailure : rows and bounds do not conflict, or HiGHS finds no subsystem.
        """
        self._check_open()
        return find_iis(self.program)

    def close(self) -> None:
        """Free the native model."""
        if self._model is not None:
            self._model.clear()
        self._model = None
