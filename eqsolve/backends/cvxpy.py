"""The backend family ``cvxpy``: any solver that cvxpy calls, for every kind of program that the solver takes."""

from __future__ import annotations

from eqsolve.backends.base import Backend, Capabilities, Options, Probe, Session
from eqsolve.backends.cvxpy_solvers import DEFAULT, SOLVERS, solver_probe
from eqsolve.backends.registry import BackendFamily
from eqsolve.errors import unknown
from eqsolve.programs import Program


class CvxpyBackend(Backend):
    """One solver behind cvxpy."""

    def __init__(self, solver: str) -> None:
        self.solver = solver

    @property
    def name(self) -> str:
        """``cvxpy:`` and the solver's name in cvxpy."""
        return f"cvxpy:{self.solver}"

    @property
    def capabilities(self) -> Capabilities:
        """From the table of solvers."""
        return SOLVERS[self.solver].capabilities

    def probe(self) -> Probe:
        """Whether cvxpy can call the solver here."""
        return solver_probe(self.solver)

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        from eqsolve.backends.cvxpy_session import CvxpySession

        known = SOLVERS[self.solver].known
        if options and known is not None:
            names = known()
            for one in options:
                if one not in names:
                    raise unknown(f"option of backend {self.name}", one, names)
        return CvxpySession(self, program, options, vertex)


def _make(solver: str | None) -> Backend:
    name = solver or DEFAULT
    if name not in SOLVERS:
        raise unknown("solver of backend cvxpy", name, SOLVERS)
    return CvxpyBackend(name)


family = BackendFamily(_make, lambda: tuple(SOLVERS))
