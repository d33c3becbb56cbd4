"""What PuLP can call: one row per solver, as data."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from eqsolve.backends.base import Probe
from eqsolve.backends.licences import vendor_probe
from eqsolve.backends.requests import installed_version

DEFAULT = "PULP_CBC_CMD"
ALIASES = {
    "XPRESS": "XPRESS_PY",
    "CPLEX": "CPLEX_PY",
    "CBC": "PULP_CBC_CMD",
    "HIGHS": "HiGHS",
    "SCIP": "SCIP_PY",
    "GLPK": "GLPK_CMD",
}


@dataclass(frozen=True, slots=True)
class PulpSolver:
    """A solver as PuLP knows it.

    ``module`` and ``distribution`` name its Python package, ``program`` its executable, ``vendor`` its licence. ``duals`` says
    that PuLP reads its duals; ``digits`` that its answer comes as text with few digits; ``defaults`` are arguments of PuLP's
    constructor.
    """

    module: str = ""
    distribution: str = ""
    program: str = ""
    vendor: str = ""
    duals: bool = True
    time_limit: bool = True
    digits: bool = False
    defaults: tuple[tuple[str, object], ...] = ()


SOLVERS = {
    # CBC runs in one thread unless told otherwise; told "threads 1" it waits for a helper now and then, ten seconds at a time.
    "PULP_CBC_CMD": PulpSolver("pulp", "pulp", digits=True, defaults=(("gapRel", 0.0),)),
    "COIN_CMD": PulpSolver(program="cbc", digits=True, defaults=(("gapRel", 0.0),)),
    "GLPK_CMD": PulpSolver(program="glpsol", digits=True, duals=False),
    "GUROBI": PulpSolver(
        "gurobipy",
        "gurobipy",
        vendor="GUROBI",
        defaults=(
            ("MIPGap", 0.0),
            ("Threads", 1),
            ("FeasibilityTol", 1e-9),
            ("OptimalityTol", 1e-9),
            ("IntFeasTol", 1e-9),
        ),
    ),
    "GUROBI_CMD": PulpSolver(program="gurobi_cl", digits=True, vendor="GUROBI", duals=False),
    "CPLEX_PY": PulpSolver(
        "cplex",
        "cplex",
        vendor="CPLEX",
        defaults=(
            ("gapRel", 0.0),
            ("threads", 1),
            ("simplex.tolerances.feasibility", 1e-9),
            ("simplex.tolerances.optimality", 1e-9),
            ("mip.tolerances.integrality", 0.0),
        ),
    ),
    "CPLEX_CMD": PulpSolver(program="cplex", digits=True, duals=True),
    "XPRESS_PY": PulpSolver(
        "xpress",
        "xpress",
        vendor="XPRESS",
        defaults=(("gapRel", 0.0), ("THREADS", 1), ("FEASTOL", 1e-9), ("OPTIMALITYTOL", 1e-9), ("MIPTOL", 1e-9)),
    ),
    "HiGHS": PulpSolver("highspy", "highspy", defaults=(("gapRel", 0.0), ("threads", 1), ("primal_feasibility_tolerance", 1e-9))),
    "HiGHS_CMD": PulpSolver(program="highs", digits=True, duals=False),
    "MOSEK": PulpSolver("mosek", "mosek", vendor="MOSEK"),
    "COPT": PulpSolver("coptpy", "coptpy", vendor="COPT"),
    "COPT_CMD": PulpSolver(program="copt_cmd", digits=True),
    "SCIP_PY": PulpSolver("pyscipopt", "pyscipopt", duals=False, defaults=(("gapRel", 0.0),)),
    "SCIP_CMD": PulpSolver(program="scip", digits=True, duals=False),
    "FSCIP_CMD": PulpSolver(program="fscip", digits=True, duals=False),
    "CHOCO_CMD": PulpSolver(program="choco", digits=True, duals=False),
    "MIPCL_CMD": PulpSolver(program="mps_mipcl", digits=True, duals=False),
}


@lru_cache(maxsize=len(SOLVERS))
def solver_probe(name: str) -> Probe:
    """Whether PuLP can call the solver here; never raises, imports no solver but the licensed ones."""
    if find_spec("pulp") is None:
        return Probe(False, None, "", "pip install pulp")
    one = SOLVERS[name]
    if one.program and shutil.which(one.program) is None:
        return Probe(False, None, "", f"put the executable {one.program!r} on the PATH")
    if one.vendor:
        return vendor_probe(one.vendor)
    if one.module and find_spec(one.module) is None:
        return Probe(False, None, "", f"pip install {one.distribution}")
    if name == DEFAULT:
        return _bundled_cbc()
    detail = f"executable {shutil.which(one.program)}" if one.program else ""
    return Probe(True, None, installed_version(one.distribution) if one.distribution else "", detail)


def _bundled_cbc() -> Probe:
    found = find_spec("pulp")
    folder = Path(found.origin or "").parent / "solverdir" / "cbc" if found is not None else Path()
    if not any(folder.rglob("cbc*")):
        return Probe(False, None, "", "this PuLP comes without CBC: install one that has it, or use 'pulp:COIN_CMD'")
    return Probe(True, None, installed_version("pulp"), "CBC as it comes with PuLP")
