"""The backend ``highs``: linear, mixed-integer and convex quadratic programs by HiGHS, through highspy's arrays."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from eqsolve.backends.base import Backend, Capabilities, Feature, Options, Probe, Session
from eqsolve.backends.registry import BackendFamily
from eqsolve.errors import BackendUnavailable, unknown
from eqsolve.programs import Program


class HighsBackend(Backend):
    """HiGHS with one native model per session, updated in place and warm-started.

    Options are those of HiGHS by their own names (``HighsOptions``). Defaults that differ from HiGHS's: feasibility
    tolerances 1e-9, gaps of branch and bound 1e-9, one thread, no output. ``simplex_iteration_limit`` and its kin bound
    one solve, and so does ``time_limit``, although HiGHS counts it over the life of a model. Without crossover (and with
    ``pdlp``) presolve is off and the tolerances are 1e-7 unless given: HiGHS carries duals back through presolve by a basis only.
    """

    name = "highs"
    capabilities = Capabilities(frozenset({"LP", "MILP", "QP"}), frozenset(Feature))

    def probe(self) -> Probe:
        """Found by the package's own metadata; highspy is not imported."""
        return _probe()

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        try:
            from eqsolve.backends.highs_session import HighsSession
        except ImportError as cause:
            raise BackendUnavailable(
                f"highspy is installed but cannot be imported: {cause}", "Reinstall it: pip install highspy"
            ) from cause
        return HighsSession(self, program, options, vertex)


@lru_cache(maxsize=1)
def _probe() -> Probe:
    if find_spec("highspy") is None:
        return Probe(False, None, "", "pip install highspy")
    try:
        found = version("highspy")
    except PackageNotFoundError:
        found = ""
    return Probe(True, None, found, "MIT licence, no key needed")


def _make(solver: str | None) -> Backend:
    if solver is not None:
        raise unknown("solver of backend highs", solver, ())
    return HighsBackend()


family = BackendFamily(_make, lambda: (None,))
