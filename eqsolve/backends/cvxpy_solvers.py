"""What cvxpy can call: one row per solver, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from eqsolve.backends.base import Capabilities, Feature, Probe
from eqsolve.backends.licences import vendor_probe
from eqsolve.backends.requests import installed_version
from eqsolve.programs import Kind

DEFAULT = "CLARABEL"
LP: tuple[Kind, ...] = ("LP",)
QP: tuple[Kind, ...] = ("LP", "QP")
SOCP: tuple[Kind, ...] = ("LP", "QP", "SOCP")
EXP: tuple[Kind, ...] = ("LP", "QP", "SOCP", "EXP")
MILP: tuple[Kind, ...] = ("LP", "MILP")
MISOCP: tuple[Kind, ...] = ("LP", "QP", "SOCP", "MILP", "MIQP", "MISOCP")


@dataclass(frozen=True, slots=True)
class CvxpySolver:
    """A solver as cvxpy knows it.

    Parameters
    ----------
    kinds : what it solves to 1e-6 in objective with the tolerances below.
    module, distribution, vendor : its Python package, and its licence if it needs one.
    nested : the keyword under which cvxpy takes the solver's own options as a dict; empty where they are keywords.
    seconds, iterations : its options for limits; empty where it has none.
    tight : tolerances for continuous programs; ``whole`` those for integer ones. The user's options win.
    second : what a second attempt is made with when the first fails or stops short, instead of ``tight`` or ``whole``.
    cone_duals : False where the duals of programs with cones are missing or wrong in the fifth digit; they are withheld.
    farkas : whether its Farkas rays reach cvxpy's dual values.
    known : the names of all its options, or None where cvxpy or the solver refuses unknown ones itself.
    """

    kinds: tuple[Kind, ...]
    module: str
    distribution: str
    vendor: str = ""
    nested: str = ""
    seconds: str = ""
    iterations: str = ""
    tight: dict[str, object] = field(default_factory=dict)
    whole: dict[str, object] = field(default_factory=dict)
    second: dict[str, object] | None = None
    cone_duals: bool = True
    farkas: bool = False
    known: Callable[[], set[str]] | None = None

    @property
    def capabilities(self) -> Capabilities:
        """The row as capabilities: duals of continuous programs, Farkas rays, and the limits it keeps."""
        features = {Feature.DUALS}
        if self.farkas:
            features.add(Feature.FARKAS)
        if self.seconds:
            features.add(Feature.TIME_LIMIT)
        if self.iterations:
            features.add(Feature.ITERATION_LIMIT)
        return Capabilities(frozenset(self.kinds), frozenset(features))


def _public(thing: Any) -> set[str]:
    return {one for one in dir(thing) if not one.startswith("_")}


def _clarabel() -> set[str]:
    clarabel = import_module("clarabel")

    return _public(clarabel.DefaultSettings()) - {"default"}


def _highs() -> set[str]:
    import highspy

    return _public(highspy.HighsOptions())


def _gurobi() -> set[str]:
    from gurobipy import GRB

    return _public(GRB.Param)


def _xpress() -> set[str]:
    import xpress

    return _public(xpress.problem().controls)


def _scs() -> set[str]:
    return {
        "eps_abs", "eps_rel", "eps_infeas", "alpha", "rho_x", "scale", "adaptive_scale", "normalize", "max_iters",
        "acceleration_lookback", "acceleration_interval", "time_limit_secs", "use_indirect", "linear_solver",
        "write_data_filename", "log_csv_filename",
    }  # fmt: skip


def _osqp() -> set[str]:
    osqp = import_module("osqp")

    return (_public(osqp.OSQP().ext.OSQPSettings) | {"polishing"}) - {"verbose"}


def _scipy() -> set[str]:
    return {
        "method", "presolve", "maxiter", "time_limit", "dual_feasibility_tolerance", "primal_feasibility_tolerance",
        "ipm_optimality_tolerance", "simplex_dual_edge_weight_strategy", "mip_rel_gap",
    }  # fmt: skip


def _cplex() -> set[str]:
    """All parameters in dot notation, found by walking the tree."""
    import cplex

    found: set[str] = set()

    def walk(group: Any, path: str) -> None:
        for one in _public(group):
            inner = getattr(group, one)
            if hasattr(inner, "set") and hasattr(inner, "default"):
                found.add(f"{path}{one}")
            elif type(inner).__name__ == "ParameterGroup":
                walk(inner, f"{path}{one}.")

    with cplex.Cplex() as model:
        walk(model.parameters, "")
    return found


_TIGHT_IPM: dict[str, object] = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
_GUROBI: dict[str, object] = {"Threads": 1, "FeasibilityTol": 1e-9, "OptimalityTol": 1e-9}

SOLVERS = {
    "CLARABEL": CvxpySolver(
        EXP, "clarabel", "clarabel", seconds="time_limit", iterations="max_iter", tight=_TIGHT_IPM, second={}, farkas=True,
        known=_clarabel,
    ),
    "SCS": CvxpySolver(
        EXP, "scs", "scs", seconds="time_limit_secs", iterations="max_iters",
        tight={"eps_abs": 1e-10, "eps_rel": 1e-10, "eps_infeas": 1e-9, "max_iters": 200_000}, farkas=True, known=_scs,
    ),
    # Not LP: alternating directions take millions of steps on degenerate ones, such as Beale's.
    "OSQP": CvxpySolver(
        ("QP",), "osqp", "osqp", seconds="time_limit", iterations="max_iter",
        tight={"eps_abs": 1e-9, "eps_rel": 1e-9, "eps_prim_inf": 1e-8, "eps_dual_inf": 1e-8, "max_iter": 200_000,
               "polishing": False},
        known=_osqp,
    ),
    "HIGHS": CvxpySolver(
        (*QP, "MILP"), "highspy", "highspy", seconds="time_limit", tight={"threads": 1},
        whole={"mip_rel_gap": 0.0, "threads": 1}, known=_highs,
    ),
    "SCIPY": CvxpySolver(
        MILP, "scipy", "scipy", nested="scipy_options", seconds="time_limit", tight={"method": "highs-ds"},
        whole={"method": "highs", "mip_rel_gap": 0.0}, second={"method": "highs", "mip_rel_gap": 0.0, "presolve": False},
        known=_scipy,
    ),
    "GUROBI": CvxpySolver(
        MISOCP, "gurobipy", "gurobipy", "GUROBI", seconds="TimeLimit",
        tight={**_GUROBI, "BarConvTol": 1e-12, "BarQCPConvTol": 1e-9},
        whole={**_GUROBI, "MIPGap": 0.0, "MIPGapAbs": 1e-9, "IntFeasTol": 1e-9}, second={"Threads": 1},
        cone_duals=False, known=_gurobi,
    ),
    "CPLEX": CvxpySolver(
        MISOCP, "cplex", "cplex", "CPLEX", nested="cplex_params", seconds="timelimit",
        tight={"threads": 1, "barrier.convergetol": 1e-10, "barrier.qcpconvergetol": 1e-10},
        whole={"threads": 1, "mip.tolerances.mipgap": 0.0, "mip.tolerances.absmipgap": 1e-9, "mip.tolerances.integrality": 0.0},
        known=_cplex,
    ),
    "XPRESS": CvxpySolver(
        MISOCP, "xpress", "xpress", "XPRESS", seconds="timelimit", tight={"threads": 1, "bargaptarget": 1e-12, "feastol": 1e-9},
        whole={"threads": 1, "miprelstop": 0.0, "mipabsstop": 1e-9, "feastol": 1e-9, "miptol": 1e-9}, cone_duals=False,
        known=_xpress,
    ),
    "MOSEK": CvxpySolver(
        (*EXP, "MILP", "MIQP", "MISOCP", "MIEXP"), "mosek", "mosek", "MOSEK", nested="mosek_params",
        seconds="MSK_DPAR_OPTIMIZER_MAX_TIME", iterations="MSK_IPAR_INTPNT_MAX_ITERATIONS",
        tight={"MSK_DPAR_INTPNT_CO_TOL_REL_GAP": 1e-10},
        whole={"MSK_DPAR_MIO_TOL_REL_GAP": 0.0, "MSK_DPAR_MIO_TOL_ABS_GAP": 1e-9},
    ),
    "COPT": CvxpySolver(
        (*EXP, "MILP", "MIQP", "MISOCP"), "coptpy", "coptpy", "COPT", seconds="TimeLimit", whole={"RelGap": 0.0}
    ),
    "SCIP": CvxpySolver(
        MISOCP, "pyscipopt", "pyscipopt", nested="scip_params", seconds="limits/time", whole={"limits/gap": 0.0}
    ),
    "CBC": CvxpySolver(MILP, "cylp", "cylp", seconds="maximumSeconds", whole={"allowableGap": 0.0}),
    "GLPK": CvxpySolver(LP, "cvxopt", "cvxopt"),
    "GLPK_MI": CvxpySolver(MILP, "cvxopt", "cvxopt"),
    "CVXOPT": CvxpySolver(SOCP, "cvxopt", "cvxopt", iterations="max_iters"),
    "ECOS": CvxpySolver(EXP, "ecos", "ecos", iterations="max_iters"),
    "PIQP": CvxpySolver(QP, "piqp", "piqp", iterations="max_iter"),
    "PROXQP": CvxpySolver(QP, "proxsuite", "proxsuite", iterations="max_iter"),
    "QOCO": CvxpySolver(SOCP, "qoco", "qoco", iterations="max_iters"),
    "DAQP": CvxpySolver(QP, "daqp", "daqp"),
}  # fmt: skip


@lru_cache(maxsize=len(SOLVERS))
def solver_probe(name: str) -> Probe:
    """Whether cvxpy can call the solver here; never raises, imports no solver but the licensed ones."""
    if find_spec("cvxpy") is None:
        return Probe(False, None, "", "pip install cvxpy")
    one = SOLVERS[name]
    if one.vendor:
        return vendor_probe(one.vendor)
    if find_spec(one.module) is None:
        return Probe(False, None, "", f"pip install {one.distribution}")
    return Probe(True, None, installed_version(one.distribution))
