"""The backend ``native``: exact methods for known structures. It dispatches on ``program.structure`` and knows none."""

from __future__ import annotations

from time import perf_counter

from eqsolve.backends.base import Backend, Capabilities, Feature, Options, Probe, RebuildSession, Session
from eqsolve.backends.outcome import Limits, Outcome, Seconds, Start, Termination, make_outcome
from eqsolve.backends.registry import BackendFamily
from eqsolve.errors import BackendUnsupported, unknown
from eqsolve.programs import Program
from eqsolve.version import __version__

TERMINATIONS = {
    "optimal": Termination.OPTIMAL,
    "infeasible": Termination.INFEASIBLE,
    "iteration_limit": Termination.ITERATION_LIMIT,
}


class NativeBackend(Backend):
    """Answers programs that carry a structure by that structure's own method."""

    name = "native"
    capabilities = Capabilities(
        frozenset({"LP", "QP", "SOCP", "EXP", "MILP"}), frozenset({Feature.DUALS, Feature.FARKAS, Feature.VERTEX})
    )

    def probe(self) -> Probe:
        """Always here."""
        return Probe(True, None, __version__, "programs with a structure")

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        if options:
            raise unknown("option of backend native", next(iter(options)), ())
        refusal = "it carries no structure" if program.structure is None else program.structure.refuses(program)
        if refusal is not None:
            raise BackendUnsupported(f"backend 'native' cannot solve {program.name!r}: {refusal}", "Use 'highs' or 'auto'.")
        return NativeSession(self, program, options, vertex)


class NativeSession(RebuildSession):
    """Hands the program to its structure."""

    def solve(self, limits: Limits | None = None, start: Start | None = None) -> Outcome:
        """Solve exactly; limits and starts do not apply to a method without iterations."""
        assert self.program.structure is not None
        began = perf_counter()
        answer = self.program.structure.solve(self.program)
        return make_outcome(
            self.program,
            TERMINATIONS[answer.status],
            x=answer.x,
            y=answer.y,
            ray=answer.ray,
            is_vertex=answer.is_vertex,
            bound=answer.bound,
            backend=self.backend.name,
            version=__version__,
            seconds=Seconds(0.0, perf_counter() - began),
            iterations=answer.iterations,
        )


family = BackendFamily(lambda solver: NativeBackend(), lambda: (None,))
