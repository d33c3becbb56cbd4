"""A program held by Gurobi."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.backends.base import IIS, Backend, Options, Session
from eqsolve.backends.licences import is_size_complaint, too_large
from eqsolve.backends.outcome import Basis, Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.requests import installed_version, refuse_limits
from eqsolve.errors import BackendFailure, BackendUnavailable, BackendUnsupported, EqsolveError, InvalidData
from eqsolve.programs import Program, Update

Found = TypeVar("Found")
INFINITY = 1e100
# By the names in gurobipy.GRB.Status.
TERMINATIONS = {
    "OPTIMAL": Termination.OPTIMAL,
    "INFEASIBLE": Termination.INFEASIBLE,
    "INF_OR_UNBD": Termination.INFEASIBLE_OR_UNBOUNDED,
    "UNBOUNDED": Termination.UNBOUNDED,
    "ITERATION_LIMIT": Termination.ITERATION_LIMIT,
    "NODE_LIMIT": Termination.ITERATION_LIMIT,
    "SOLUTION_LIMIT": Termination.ITERATION_LIMIT,
    "WORK_LIMIT": Termination.TIME_LIMIT,
    "TIME_LIMIT": Termination.TIME_LIMIT,
    "INTERRUPTED": Termination.INTERRUPTED,
    "SUBOPTIMAL": Termination.INACCURATE,
    "USER_OBJ_LIMIT": Termination.INTERRUPTED,
}
# Tight, because a certificate is asked of every answer; the user's options come after and win.
DEFAULTS = {
    "OutputFlag": 0,
    "Threads": 1,
    "InfUnbdInfo": 1,
    "FeasibilityTol": 1e-9,
    "OptimalityTol": 1e-9,
    "IntFeasTol": 1e-9,
    "BarConvTol": 1e-12,
    "BarQCPConvTol": 1e-9,
    "MIPGap": 0.0,
    "MIPGapAbs": 1e-9,
}
# Gurobi's codes are 0 basic, -1 at lower, -2 at upper, -3 superbasic; ours 0 lower, 1 basic, 2 upper, 3 free, 4 nonbasic.
TO_STATUS = np.array([1, 0, 2, 4], dtype=np.int8)
FROM_STATUS = np.array([-1, 0, -2, -3, -1], dtype=np.int64)


class GurobiSession(Session):
    r"""One Gurobi model.

    A row with one bound or an equality is a constraint of that sense, changed in place. A ranged row, and every row of a cone,
    is an equality :math:`a'x - r = -h` with a column r of its own that carries the bounds or the cone, so that the
    multiplier of the equality is the row's dual in every case.
    """

    def __init__(self, backend: Backend, program: Program, options: Options, vertex: bool) -> None:
        super().__init__(backend, program, options, vertex)
        began = perf_counter()
        import gurobipy

        self._gurobi = gurobipy
        self._env: Any = None
        self._model: Any = None
        self._solved = False
        try:
            with self._translated():
                self._start()
                self._build()
        except EqsolveError:
            self.close()
            raise
        self._build_seconds = perf_counter() - began

    def update(self, update: Update) -> None:
        """Change coefficients of the objective, bounds of rows and of columns in the model that Gurobi holds."""
        changed = self.program.with_values(update)
        with self._translated():
            if update.c is not None:
                self._x.Obj = changed.c
            if update.col_lower is not None:
                self._x.LB = changed.col_lower
            if update.col_upper is not None:
                self._x.UB = changed.col_upper
            if update.offset is not None:
                self._model.ObjCon = changed.offset
            if update.row_lower is not None or update.row_upper is not None:
                self._set_rows(changed)
        self.program = changed

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve from the last basis, or from the given start."""
        refuse_limits(self.backend, limits)
        began = perf_counter()
        limits = limits or Limits()
        with self._translated():
            self._set_limits(limits)
            warm, notes = self._set_start(start)
            self._model.optimize()
            iterations = int(self._number("IterCount") or self._number("BarIterCount"))
            bound = self._number("ObjBound")
            outcome = self._outcome(warm, notes, began, iterations, bound)
        self._solved = outcome.basis is not None
        return outcome

    def iis(self) -> IIS:
        """Gurobi's irreducible infeasible subsystem.

        Raises
        ------
        InvalidData : the program is not infeasible.
        """
        try:
            self._model.computeIIS()
        except self._gurobi.GurobiError as cause:
            raise InvalidData(f"no infeasible subsystem of {self.program.name!r}: {cause}", "Is the program infeasible?") from cause
        inside = np.array(self._model.getAttr("IISConstr", self._model.getConstrs()), dtype=bool)
        columns = np.array(self._x.IISLB, dtype=bool) | np.array(self._x.IISUB, dtype=bool)
        for k, column in self._range.items():
            inside[k] |= bool(column.IISLB or column.IISUB)
        rows_at, columns_at = (tuple(int(k) for k in np.flatnonzero(one)) for one in (inside, columns))
        names = (*map(self.program.row_name, rows_at), *map(self.program.column_name, columns_at))
        return IIS(rows_at, columns_at, names)

    def close(self) -> None:
        """Give the model and the licence token back."""
        for one in (self._model, self._env):
            if one is not None:
                one.dispose()
        self._model = self._env = None

    def _start(self) -> None:
        self._env = self._gurobi.Env(empty=True)
        self._env.setParam("OutputFlag", 0)
        self._env.start()
        self._model = self._gurobi.Model(self.program.name, env=self._env)
        if self.program.cones:
            self._model.setParam("QCPDual", 1)
        for name, value in {**DEFAULTS, **self.options}.items():
            self._model.setParam(name, value)

    def _build(self) -> None:
        program, model = self.program, self._model
        kinds = np.full(program.n_columns, "C")
        if program.integrality is not None:
            kinds[program.integrality] = "I"
        self._x = model.addMVar(program.n_columns, lb=program.col_lower, ub=program.col_upper, vtype=kinds)
        if program.Q is not None:
            model.setMObjective(program.Q / 2, program.c, program.offset, self._x, self._x, self._x)
        else:
            self._x.Obj = program.c
            model.ObjCon = program.offset
        model.ModelSense = 1 if program.sense == "min" else -1
        model.update()
        sense, rhs, ranged = row_forms(program)
        coned = np.zeros(program.n_rows, dtype=bool)
        for cone in program.cones:
            coned[cone.rows] = True
            rhs[cone.rows] = -cone.shift
        sense[coned] = "="
        own = np.flatnonzero(ranged | coned)
        matrix = program.A.tocsr()
        if len(own):
            picks = sparse.csr_array((-np.ones(len(own)), (own, np.arange(len(own)))), shape=(program.n_rows, len(own)))
            lower = np.where(coned, -np.inf, program.row_lower)[own]
            upper = np.where(coned, np.inf, program.row_upper)[own]
            extra = model.addMVar(len(own), lb=lower, ub=upper)
            matrix = sparse.hstack([matrix, picks], format="csr")
            model.update()
        if program.n_rows:
            model.addMConstr(matrix, None, sense, rhs)
        model.update()
        self._constraints = model.getConstrs()
        self._range: dict[int, Any] = {int(k): extra[i].item() for i, k in enumerate(own) if not coned[k]} if len(own) else {}
        slot = {int(k): i for i, k in enumerate(own)}
        for cone in program.cones:
            self._add_cone(cone.kind, [extra[slot[int(k)]].item() for k in cone.rows])
        model.update()

    def _add_cone(self, kind: str, z: list[Any]) -> None:
        if kind == "soc":
            z[0].LB = 0.0
            self._model.addQConstr(self._gurobi.quicksum(one * one for one in z[1:]) <= z[0] * z[0])
        elif kind == "rsoc":
            z[0].LB = z[1].LB = 0.0
            self._model.addQConstr(self._gurobi.quicksum(one * one for one in z[2:]) <= 2 * z[0] * z[1])
        else:
            raise BackendUnsupported(f"backend 'gurobi' has no {kind!r} cone", "Use 'cvxpy:CLARABEL'.")

    def _set_rows(self, changed: Program) -> None:
        old = self.program
        sense, rhs, ranged = row_forms(changed)
        moved = (old.row_lower != changed.row_lower) | (old.row_upper != changed.row_upper)
        for k in np.flatnonzero(moved):
            row, at = self._constraints[k], int(k)
            if at not in self._range and ranged[at]:
                self._range[at] = self._model.addVar(column=self._gurobi.Column(-1.0, row))
                row.Sense, row.RHS = "=", 0.0
            if at in self._range:
                self._range[at].LB, self._range[at].UB = float(changed.row_lower[at]), float(changed.row_upper[at])
            else:
                row.Sense, row.RHS = str(sense[at]), float(rhs[at])

    def _set_limits(self, limits: Limits) -> None:
        seconds = self.options.get("TimeLimit", INFINITY) if limits.seconds is None else limits.seconds
        self._model.setParam("TimeLimit", seconds)
        for name in ("NodeLimit",) if self.program.integrality is not None else ("IterationLimit", "BarIterLimit"):
            default = self._model.getParamInfo(name)[5]
            value = self.options.get(name, default) if limits.iterations is None else limits.iterations
            self._model.setParam(name, value)

    def _set_start(self, start: Start | None) -> tuple[bool, tuple[str, ...]]:
        if start is None or (start.x is None and start.basis is None):
            return self._solved, ()
        if self.program.integrality is not None:
            if start.x is None:
                return False, ("the start was not used: a mixed-integer program begins from a point",)
            self._x.Start = start.x
            return True, ()
        if self.program.Q is not None or self.program.cones:
            return False, ("the start was not used: the barrier begins afresh",)
        if start.basis is not None:
            self._set_basis(start.basis)
        else:
            self._x.PStart = start.x
        return True, ()

    def _set_basis(self, basis: Basis) -> None:
        self._model.update()
        self._x.VBasis = FROM_STATUS[basis.columns]
        for k, row in enumerate(self._constraints):
            basic = basis.rows[k] == 1
            if k in self._range:
                self._range[k].VBasis = int(FROM_STATUS[basis.rows[k]])
                row.CBasis = -1
            else:
                row.CBasis = 0 if basic else -1

    def _outcome(self, warm: bool, notes: tuple[str, ...], began: float, iterations: int, bound: float) -> Outcome:
        program = self.program
        termination, more = self._settled()
        notes = (*notes, *more)
        linear = program.integrality is None
        x = self._point
        y = None
        if linear and termination is Termination.OPTIMAL:
            y = self._rows_attribute("Pi")
        basis = None
        if linear and program.Q is None and not program.cones and termination is Termination.OPTIMAL:
            basis = self._basis()
        return make_outcome(
            program,
            termination,
            x=x,
            y=y,
            ray=self._ray,
            direction=self._direction if termination is Termination.UNBOUNDED else None,
            bound=bound if not linear and abs(bound) < INFINITY else None,
            basis=basis,
            is_vertex=basis is not None and not (basis.columns >= 3).any(),
            backend=self.backend.name,
            version=installed_version("gurobipy"),
            options=self.options,
            seconds=Seconds(self._build_seconds, perf_counter() - began),
            iterations=iterations,
            warm_start=warm,
            notes=notes,
        )

    def _settled(self) -> tuple[Termination, tuple[str, ...]]:
        """The termination; "unbounded" only once a feasible point is known to exist, which Gurobi's own status leaves open."""
        model = self._model
        self._point: FloatArray | None = None
        self._direction: FloatArray | None = None
        self._ray: FloatArray | None = None
        linear = self.program.Q is None and not self.program.cones and self.program.integrality is None
        if self._status() == "INF_OR_UNBD":
            model.setParam("DualReductions", 0)
            model.optimize()
            model.setParam("DualReductions", self.options.get("DualReductions", 1))
        status = self._status()
        if status == "UNBOUNDED":
            if linear:
                self._direction = np.array(self._x.UnbdRay)
            status = self._without_objective(self._read)
            status = "UNBOUNDED" if status == "OPTIMAL" else status
        elif status == "INFEASIBLE" and self.program.Q is not None and not self.program.cones:
            self._without_objective(self._read)
        else:
            self._read()
        found = TERMINATIONS.get(status, Termination.FAILED)
        return found, () if found is not Termination.FAILED else (f"gurobi stopped with status {status}",)

    def _read(self) -> str:
        """Keep the point or the Farkas ray of the last solve, and return its status."""
        status = self._status()
        if status != "INFEASIBLE":
            self._point = np.array(self._x.X) if self._model.SolCount else None
        elif self.program.integrality is None and not self.program.cones:
            try:
                self._ray = -self._rows_attribute("FarkasDual")
            except (AttributeError, self._gurobi.GurobiError):
                self._ray = None
        return status

    def _number(self, attribute: str) -> float:
        """A number of the last solve, infinite where Gurobi has none."""
        try:
            return float(self._model.getAttr(attribute))
        except (AttributeError, self._gurobi.GurobiError):
            return INFINITY if attribute == "ObjBound" else 0.0

    def _status(self) -> str:
        known = self._gurobi.GRB.Status
        return next((name for name in dir(known) if getattr(known, name) == self._model.Status), "")

    def _without_objective(self, read: Callable[[], Found]) -> Found:
        """Solve for feasibility alone, read something, and put the objective back."""
        model = self._model
        objective = model.getObjective()
        model.setObjective(0.0)
        model.optimize()
        result = read()
        model.setObjective(objective)
        model.update()
        return result

    def _rows_attribute(self, name: str) -> FloatArray:
        return np.array(self._model.getAttr(name, self._constraints), dtype=np.float64)

    def _basis(self) -> Basis | None:
        try:
            columns = TO_STATUS[-np.array(self._x.VBasis, dtype=np.int64)]
            rows = np.where(np.array(self._model.getAttr("CBasis", self._constraints), dtype=np.int64) == 0, 1, 0).astype(np.int8)
        except (AttributeError, self._gurobi.GurobiError):
            return None
        free = (columns != 1) & ~np.isfinite(self.program.col_lower) & ~np.isfinite(self.program.col_upper)
        columns[free] = 3
        upper_only = ~np.isfinite(self.program.row_lower) & (rows != 1)
        rows[upper_only] = 2
        for k, column in self._range.items():
            if rows[k] != 1:
                rows[k] = TO_STATUS[-column.VBasis]
        return Basis(columns, rows)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Gurobi's errors as EqSolve's."""
        codes = self._gurobi.GRB.Error
        given = f"The options are {dict(self.options)}."
        try:
            yield
        except (TypeError, OverflowError) as cause:
            raise InvalidData(f"gurobi refuses a value: {cause}", given) from cause
        except self._gurobi.GurobiError as cause:
            if is_size_complaint("GUROBI", f"{cause} {cause.errno}"):
                raise too_large(self.backend.name, "GUROBI", self.program) from cause
            if cause.errno in (codes.INVALID_ARGUMENT, codes.VALUE_OUT_OF_RANGE, codes.UNKNOWN_PARAMETER):
                raise InvalidData(f"gurobi refuses a value: {cause}", given) from cause
            if cause.errno == codes.NO_LICENSE:
                raise BackendUnavailable(f"gurobi has no licence: {cause}", "Get one at gurobi.com, or use 'highs'.") from cause
            raise BackendFailure(f"gurobi failed: {cause} (error {cause.errno})") from cause


def row_forms(program: Program) -> tuple[Any, FloatArray, Any]:
    """Per row (M,): Gurobi's sense, the right-hand side, and whether both bounds differ and are finite."""
    lower, upper = program.row_lower, program.row_upper
    ranged = np.isfinite(lower) & np.isfinite(upper) & (lower != upper)
    sense = np.full(program.n_rows, "<")
    rhs = np.where(np.isfinite(upper), upper, INFINITY)
    only_lower = np.isfinite(lower) & ~np.isfinite(upper)
    sense[only_lower], rhs[only_lower] = ">", lower[only_lower]
    sense[lower == upper] = "="
    sense[ranged], rhs[ranged] = "=", 0.0
    return sense, rhs, ranged
