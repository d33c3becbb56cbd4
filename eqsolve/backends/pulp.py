"""The backend family ``pulp``: any solver that PuLP calls, for LP and MILP, each in a process of its own."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from eqsolve.backends.base import Backend, Capabilities, Feature, Options, Probe, RebuildSession, Session
from eqsolve.backends.child import ChildTimeout, call_in_child
from eqsolve.backends.licences import is_size_complaint, too_large
from eqsolve.backends.outcome import Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.pulp_solvers import ALIASES, DEFAULT, SOLVERS, solver_probe
from eqsolve.backends.registry import BackendFamily
from eqsolve.backends.requests import refuse_limits, start_note
from eqsolve.errors import BackendFailure, unknown
from eqsolve.programs import Program

SOLVE = "eqsolve.backends.pulp_child:solve"
CHECK = "eqsolve.backends.pulp_child:check_options"
PATIENCE = 10.0


class PulpBackend(Backend):
    """One solver behind PuLP."""

    def __init__(self, solver: str) -> None:
        self.solver = solver
        features = {Feature.DUALS} if SOLVERS[solver].duals else set()
        if SOLVERS[solver].time_limit:
            features.add(Feature.TIME_LIMIT)
        self._capabilities = Capabilities(frozenset({"LP", "MILP"}), frozenset(features))

    @property
    def name(self) -> str:
        """``pulp:`` and the solver's name in PuLP."""
        return f"pulp:{self.solver}"

    @property
    def capabilities(self) -> Capabilities:
        """LP and MILP; duals where PuLP reads them."""
        return self._capabilities

    def probe(self) -> Probe:
        """Whether PuLP can call the solver here."""
        return solver_probe(self.solver)

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        if options:
            call_in_child(CHECK, {"solver": self.solver, "options": dict(options)}, seconds=60.0, what=self.name)
        return PulpSession(self, program, options, vertex)


class PulpSession(RebuildSession):
    """Hands the arrays of a program to a worker process that builds and solves it with PuLP."""

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve; a solver that dies is a ``BackendFailure`` with its exit signal, and one that overstays is stopped."""
        assert isinstance(self.backend, PulpBackend)
        refuse_limits(self.backend, limits)
        seconds = limits.seconds if limits is not None else None
        began = perf_counter()
        notes = (*self.rebuild_notes, *start_note(start))
        facts: dict[str, Any] = {"backend": self.backend.name, "version": self.backend.probe().version, "options": self.options}
        try:
            with TemporaryDirectory(prefix="eqsolve-") as folder:
                answer = call_in_child(
                    SOLVE,
                    self._payload(seconds, folder),
                    seconds=None if seconds is None else 2 * seconds + PATIENCE,
                    what=self.backend.name,
                )
        except ChildTimeout as cause:
            spent = Seconds(0.0, perf_counter() - began)
            return make_outcome(self.program, Termination.TIME_LIMIT, notes=(*notes, cause.what), seconds=spent, **facts)
        except BackendFailure as cause:
            vendor = SOLVERS[self.backend.solver].vendor
            if is_size_complaint(vendor, cause.what):
                raise too_large(self.backend.name, vendor, self.program) from cause
            raise
        total = perf_counter() - began
        return make_outcome(
            self.program,
            Termination[answer["termination"]],
            x=answer["x"],
            y=answer["y"],
            notes=(*notes, *answer["notes"]),
            seconds=Seconds(total - answer["seconds"], answer["seconds"]),
            **facts,
        )

    def _payload(self, seconds: float | None, folder: str) -> dict[str, object]:
        assert isinstance(self.backend, PulpBackend)
        program = self.program
        rows = program.A.tocsr()
        return {
            "solver": self.backend.solver,
            "options": dict(self.options),
            "seconds": seconds,
            "folder": folder,
            "c": program.c if program.sense == "min" else -program.c,
            "negated": program.sense == "max",
            "indptr": rows.indptr,
            "indices": rows.indices,
            "data": rows.data,
            "row_lower": program.row_lower,
            "row_upper": program.row_upper,
            "col_lower": program.col_lower,
            "col_upper": program.col_upper,
            "integrality": program.integrality,
        }


def _make(solver: str | None) -> Backend:
    name = ALIASES.get(solver or DEFAULT, solver or DEFAULT)
    if name not in SOLVERS:
        raise unknown("solver of backend pulp", solver, (*SOLVERS, *ALIASES))
    return PulpBackend(name)


family = BackendFamily(_make, lambda: tuple(SOLVERS))
