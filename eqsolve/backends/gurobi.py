"""The backend ``gurobi``: gurobipy's matrix interface, one model per session, changed in place."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from eqsolve.backends.base import Backend, Capabilities, Feature, Options, Probe, Session
from eqsolve.backends.licences import vendor_probe
from eqsolve.backends.registry import BackendFamily
from eqsolve.errors import unknown
from eqsolve.programs import Program


class GurobiBackend(Backend):
    """Gurobi, from the user's own licence or the size-limited one that comes with the package."""

    name = "gurobi"
    capabilities = Capabilities(
        frozenset({"LP", "MILP", "QP", "MIQP", "SOCP", "MISOCP"}),
        frozenset(set(Feature)),
    )

    def probe(self) -> Probe:
        """Starts Gurobi once to see its licence."""
        return vendor_probe("GUROBI")

    def _open(self, program: Program, options: Options, vertex: bool) -> Session:
        from eqsolve.backends.gurobi_session import GurobiSession

        names = {one.lower(): one for one in parameter_names()}
        settled: dict[str, Any] = {}
        for one, value in options.items():
            if one.lower() not in names:
                raise unknown("option of backend gurobi", one, names.values())
            settled[names[one.lower()]] = value
        return GurobiSession(self, program, settled, vertex)


@lru_cache(maxsize=1)
def parameter_names() -> tuple[str, ...]:
    """All parameters of the installed Gurobi."""
    from gurobipy import GRB

    return tuple(one for one in dir(GRB.Param) if not one.startswith("_"))


family = BackendFamily(lambda solver: GurobiBackend(), lambda: (None,))
