"""A PuLP solver object with options that were checked; runs in the worker process."""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Iterable
from typing import Any

from eqsolve.backends.pulp_solvers import SOLVERS
from eqsolve.errors import EqsolveError, InvalidData, unknown

# Arguments of PuLP's constructors that the backend sets itself, or that make no sense to it.
OURS = {"self", "mip", "msg", "timeLimit", "keepFiles", "warmStart", "env", "export", "solverParams", "kwargs", "path", "logPath"}
CBC = ("PULP_CBC_CMD", "COIN_CMD")


def make_solver(name: str, options: dict[str, object], seconds: float | None, whole: bool = True) -> Any:
    """The PuLP solver with the options: arguments of PuLP's constructor, or the solver's own parameters by its own names.

    Raises
    ------
    UnknownName : neither PuLP nor the solver has the option.
    InvalidData : a value that the solver does not take.
    """
    import pulp

    kind = getattr(pulp, name)
    accepted = {one for one in inspect.signature(kind.__init__).parameters if one not in OURS}
    merged = {**dict(SOLVERS[name].defaults), **options}
    arguments: dict[str, Any] = {one: value for one, value in merged.items() if one in accepted}
    rest = {one: value for one, value in merged.items() if one not in accepted}
    own = _own_parameters(name)
    for one in rest:
        if one not in own:
            raise unknown(f"option of backend pulp:{name}", one, accepted | own)
    _try_values(name, {one: value for one, value in rest.items() if one in options})
    if name == "XPRESS_PY":
        if seconds is not None:  # the control that PuLP sets for its own timeLimit is one that Xpress 9 passes over
            rest["TIMELIMIT"], seconds = seconds, None
        arguments["options"] = [*(arguments.get("options") or ()), *rest.items()]
    else:
        arguments.update(rest)
    if name == "CPLEX_PY" and not whole:
        arguments["mip"] = False  # PuLP declares column types to CPLEX, which then has no duals
    if seconds is not None:
        arguments["timeLimit"] = seconds
    try:
        solver = kind(msg=False, **arguments)
        if options and name in CBC:
            _try_words(solver.path, name, [*solver.options, *solver.getOptions()])
    except (TypeError, ValueError) as cause:
        if isinstance(cause, EqsolveError):
            raise
        raise InvalidData(f"backend pulp:{name} does not take the options {options}: {cause}") from cause
    return solver


def _own_parameters(name: str) -> set[str]:
    """Parameters that PuLP hands through to the solver, by the solver's own names."""
    if name == "GUROBI":
        from gurobipy import GRB

        return {one for one in dir(GRB.Param) if not one.startswith("_")}
    if name == "HiGHS":
        import highspy

        return {one for one in dir(highspy.HighsOptions()) if not one.startswith("_")}
    if name == "XPRESS_PY":
        import xpress

        return {one.upper() for one in dir(xpress.problem().controls) if not one.startswith("_")}
    if name == "CPLEX_PY":
        import cplex

        with cplex.Cplex() as model:
            return {str(one).removeprefix("parameters.") for one, _ in model.parameters.get_all()} | CPLEX_AT_DEFAULT
    return set()


CPLEX_AT_DEFAULT = {"simplex.tolerances.feasibility", "simplex.tolerances.optimality", "mip.tolerances.integrality"}


def _try_values(name: str, given: dict[str, Any]) -> None:
    """Set the values on an empty model, so that a bad one is refused before anything is solved."""
    for one, value in given.items():
        refusal = _refusal(name, one, value)
        if refusal:
            raise InvalidData(f"option {one!r} of backend pulp:{name} does not take {value!r}: {refusal}")


def _refusal(name: str, one: str, value: Any) -> str:
    try:
        if name == "HiGHS":
            import highspy

            from eqsolve.backends.highs_quiet import QuietModel

            return "" if QuietModel().setOptionValue(one, value) == highspy.HighsStatus.kOk else "HiGHS refuses it"
        if name == "GUROBI":
            import gurobipy

            with gurobipy.Env(params={"OutputFlag": 0}) as env, gurobipy.Model(env=env) as empty:
                empty.setParam(one, value)
        elif name == "CPLEX_PY":
            import cplex

            with cplex.Cplex() as empty:
                parameter = empty.parameters
                for part in one.split("."):
                    parameter = getattr(parameter, part)
                parameter.set(value)
        elif name == "XPRESS_PY":
            import xpress

            xpress.problem().setControl(one, value)
    except Exception as cause:  # each vendor has an error class of its own
        return str(cause) or repr(cause)
    return ""


def _try_words(path: str, name: str, words: Iterable[object]) -> None:
    """CBC skips a word that it does not know and says so on its output only."""
    asked = [part for one in words for part in f"-{one}".split()]
    if not asked:
        return
    said = subprocess.run(
        [path, *asked, "-quit"], capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL
    )
    for line in said.stdout.splitlines():
        if line.startswith("No match for"):
            raise unknown(f"option of backend pulp:{name}", line.split()[3], ())
        if any(mark in line for mark in ("illegal", "valid range", "<Possible options")):
            raise InvalidData(f"backend pulp:{name} does not take {' '.join(asked)!r}: {line.strip()}")
