"""Why a solver under PuLP stopped, from the solver itself where PuLP's own status would say "optimal" of a time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

GUROBI = {
    2: "OPTIMAL", 3: "INFEASIBLE", 4: "INFEASIBLE_OR_UNBOUNDED", 5: "UNBOUNDED", 7: "ITERATION_LIMIT", 8: "ITERATION_LIMIT",
    9: "TIME_LIMIT", 10: "ITERATION_LIMIT", 11: "INTERRUPTED", 13: "INACCURATE", 16: "TIME_LIMIT",
}  # fmt: skip
CPLEX = {
    1: "OPTIMAL", 2: "UNBOUNDED", 3: "INFEASIBLE", 4: "INFEASIBLE_OR_UNBOUNDED", 5: "INACCURATE", 6: "INACCURATE",
    10: "ITERATION_LIMIT", 11: "TIME_LIMIT", 13: "INTERRUPTED", 25: "TIME_LIMIT", 101: "OPTIMAL", 102: "OPTIMAL", 103: "INFEASIBLE",
    104: "ITERATION_LIMIT", 105: "ITERATION_LIMIT", 106: "ITERATION_LIMIT", 107: "TIME_LIMIT", 108: "TIME_LIMIT",
    113: "INTERRUPTED", 114: "INTERRUPTED", 115: "INACCURATE", 118: "UNBOUNDED", 119: "INFEASIBLE_OR_UNBOUNDED",
    131: "TIME_LIMIT", 132: "TIME_LIMIT",
}  # fmt: skip
HIGHS = {
    "kOptimal": "OPTIMAL", "kModelEmpty": "OPTIMAL", "kInfeasible": "INFEASIBLE", "kUnbounded": "UNBOUNDED",
    "kUnboundedOrInfeasible": "INFEASIBLE_OR_UNBOUNDED", "kTimeLimit": "TIME_LIMIT", "kIterationLimit": "ITERATION_LIMIT",
    "kSolutionLimit": "ITERATION_LIMIT", "kInterrupt": "INTERRUPTED",
}  # fmt: skip
XPRESS_SOLUTION = {1: "OPTIMAL", 3: "INFEASIBLE", 4: "UNBOUNDED"}
XPRESS_STOP = {1: "TIME_LIMIT", 2: "INTERRUPTED", 3: "ITERATION_LIMIT", 4: "ITERATION_LIMIT", 6: "ITERATION_LIMIT"}
SCIP = {
    "optimal": "OPTIMAL", "infeasible": "INFEASIBLE", "unbounded": "UNBOUNDED", "inforunbd": "INFEASIBLE_OR_UNBOUNDED",
    "timelimit": "TIME_LIMIT", "nodelimit": "ITERATION_LIMIT", "userinterrupt": "INTERRUPTED",
}  # fmt: skip


def _xpress(model: Any) -> str:
    found = XPRESS_SOLUTION.get(int(model.attributes.solstatus))
    return found or XPRESS_STOP.get(int(model.attributes.stopstatus), "FAILED")


READERS: dict[str, Callable[[Any], str]] = {
    "GUROBI": lambda model: GUROBI.get(model.Status, "FAILED"),
    "CPLEX_PY": lambda model: CPLEX.get(model.solution.get_status(), "FAILED"),
    "HiGHS": lambda model: HIGHS.get(model.getModelStatus().name, "FAILED"),
    "XPRESS_PY": _xpress,
    "SCIP_PY": lambda model: SCIP.get(model.getStatus(), "FAILED"),
}


def termination(solver: str, problem: Any, limited: bool, late: bool) -> tuple[str, tuple[str, ...]]:
    """Name of the ``Termination`` and notes.

    Parameters
    ----------
    problem : the PuLP problem after its solve.
    limited, late : whether there was a time limit, and whether nine tenths of it had gone by.
    """
    import pulp

    if solver in READERS and getattr(problem, "solverModel", None) is not None:
        found = READERS[solver](problem.solverModel)
        return found, () if found != "FAILED" else (f"PuLP calls it {pulp.LpStatus[problem.status]!r}",)
    if problem.status == pulp.LpStatusOptimal and problem.sol_status == pulp.LpSolutionOptimal and not late:
        return "OPTIMAL", ()
    if problem.status == pulp.LpStatusInfeasible and not late:
        return "INFEASIBLE", ()
    if problem.status == pulp.LpStatusUnbounded:
        return "UNBOUNDED", ()
    note = f"PuLP calls it {pulp.LpStatus[problem.status]!r}, {pulp.LpSolution[problem.sol_status]!r}"
    return "TIME_LIMIT" if late or (limited and problem.status != pulp.LpStatusUndefined) else "INTERRUPTED", (note,)
