"""The part of the ``pulp`` backend that runs in the worker process: build with PuLP, solve, tell the truth about the status."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import lsqr

from eqsolve.arrays import BoolArray, FloatArray
from eqsolve.backends.pulp_options import make_solver
from eqsolve.backends.pulp_solvers import SOLVERS
from eqsolve.backends.pulp_status import termination
from eqsolve.errors import InvalidData

EMPTY_ROW = 1e-9
ROUNDING = 1e-7

Payload = dict[str, Any]


def check_options(payload: Payload) -> None:
    """Refuse an option that the solver does not have, or a value that it does not take."""
    make_solver(payload["solver"], payload["options"], None)


def solve(payload: Payload) -> Payload:
    """Solve the program of the payload and answer with plain arrays."""
    home = Path.cwd()
    os.chdir(payload["folder"])
    try:
        return _solve(payload)
    except (TypeError, ValueError) as cause:
        if not payload["options"]:
            raise
        raise InvalidData(f"backend pulp:{payload['solver']} does not take the options {payload['options']}: {cause}") from cause
    finally:
        os.chdir(home)


def _solve(payload: Payload) -> Payload:
    empty = np.diff(payload["indptr"]) == 0
    wrong = empty & ((payload["row_lower"] > EMPTY_ROW) | (payload["row_upper"] < -EMPTY_ROW))
    if wrong.any():
        note = f"row {int(np.argmax(wrong))} has no entries and excludes 0"
        return {"termination": "INFEASIBLE", "x": None, "y": None, "notes": (note,), "seconds": 0.0}
    problem, columns, rows = _build(payload, payload["c"])
    began = perf_counter()
    found, notes = _run(problem, payload)
    if found in ("UNBOUNDED", "INFEASIBLE_OR_UNBOUNDED"):
        found = _feasibility(payload, found)
    spent = perf_counter() - began
    x = y = None
    if found not in ("INFEASIBLE", "UNBOUNDED", "INFEASIBLE_OR_UNBOUNDED"):
        x = _point(payload, columns)
        if x is not None and SOLVERS[payload["solver"]].digits:
            x = restore_digits(payload, x)
        y = _duals(payload, rows) if found == "OPTIMAL" and SOLVERS[payload["solver"]].duals else None
    return {"termination": found, "x": x, "y": y, "notes": notes, "seconds": spent}


def _build(payload: Payload, c: FloatArray) -> tuple[Any, list[Any], list[list[Any]]]:
    """The PuLP problem (always a minimisation, so that duals have one sign), its columns, and its constraints by row.

    Columns fixed at 0 are left out; a ranged row becomes two constraints; empty rows are left out.
    """
    import pulp

    lower, upper, integrality = payload["col_lower"], payload["col_upper"], payload["integrality"]
    used = (lower != 0) | (upper != 0)
    problem = pulp.LpProblem("program", pulp.LpMinimize)
    columns: list[Any] = [None] * len(c)
    for j in np.flatnonzero(used):
        whole = integrality is not None and bool(integrality[j])
        columns[j] = pulp.LpVariable(
            f"x{j:09d}", _bound(lower[j]), _bound(upper[j]), pulp.LpInteger if whole else pulp.LpContinuous
        )
    costs = [(columns[j], float(c[j])) for j in np.flatnonzero(used & (c != 0))]
    if not costs:
        costs = [(pulp.LpVariable("zero", 0.0, 0.0), 1.0)]
    problem.setObjective(pulp.LpAffineExpression(costs))
    rows: list[list[Any]] = []
    for i, (low, high) in enumerate(zip(payload["row_lower"], payload["row_upper"], strict=True)):
        entries = slice(payload["indptr"][i], payload["indptr"][i + 1])
        terms = [
            (columns[j], float(a))
            for j, a in zip(payload["indices"][entries], payload["data"][entries], strict=True)
            if a != 0 and columns[j] is not None
        ]
        rows.append(_constraints(problem, terms, i, float(low), float(high)))
    return problem, columns, rows


def _constraints(problem: Any, terms: list[Any], i: int, low: float, high: float) -> list[Any]:
    import pulp

    if not terms:
        if max(low, -high) > EMPTY_ROW:  # all its columns are fixed at 0, and it excludes 0
            zero = pulp.LpVariable(f"none{i:09d}", 0.0, 0.0)
            terms = [(zero, 1.0)]
        else:
            return []
    sides = [(pulp.LpConstraintEQ, low)] if low == high else [(pulp.LpConstraintGE, low), (pulp.LpConstraintLE, high)]
    made = []
    for sense, side in sides:
        if np.isfinite(side):
            one = pulp.LpConstraint(
                pulp.LpAffineExpression(terms), sense, f"r{i:09d}{'e' if len(sides) == 1 else 'gl'[sense < 0]}", side
            )
            problem.addConstraint(one)
            made.append(one)
    return made


def _run(problem: Any, payload: Payload) -> tuple[str, tuple[str, ...]]:
    solver = make_solver(payload["solver"], payload["options"], payload["seconds"], payload["integrality"] is not None)
    solver.tmpDir = payload["folder"]
    began = perf_counter()
    problem.solve(solver)
    late = payload["seconds"] is not None and perf_counter() - began >= 0.9 * payload["seconds"]
    return termination(payload["solver"], problem, payload["seconds"] is not None, late)


def _feasibility(payload: Payload, found: str) -> str:
    """Solvers say "unbounded" of a program with a ray, feasible or not; without its objective the truth comes out."""
    problem, _, _ = _build(payload, np.zeros_like(payload["c"]))
    alone, _ = _run(problem, payload)
    return {"OPTIMAL": "UNBOUNDED", "INFEASIBLE": "INFEASIBLE"}.get(alone, found)


def _point(payload: Payload, columns: list[Any]) -> FloatArray | None:
    x: FloatArray = np.clip(0.0, payload["col_lower"], payload["col_upper"])
    got = False
    for j, column in enumerate(columns):
        value = None if column is None else column.varValue
        if value is not None:
            x[j], got = value, True
    if not got and any(column is not None for column in columns) and len(payload["row_lower"]):
        return None
    whole: BoolArray | None = payload["integrality"]
    if whole is not None:
        near = whole & (np.abs(x - np.round(x)) < 1e-5)
        x[near] = np.round(x[near])
    return x


def _duals(payload: Payload, rows: list[list[Any]]) -> FloatArray | None:
    if payload["integrality"] is not None:
        return None
    y: FloatArray = np.zeros(len(rows))
    for i, constraints in enumerate(rows):
        for one in constraints:
            if one.pi is None:
                return None
            y[i] += one.pi
    return -y if payload["negated"] else y


def _bound(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def restore_digits(payload: Payload, x: FloatArray) -> FloatArray:
    """The point behind one that was written with few digits.

    Rows that hold with equality to within these digits are made to hold exactly, by the least change of the continuous columns
    strictly between their bounds. The point is kept where that does not bring the rows closer to their bounds.
    """
    shape = (len(payload["row_lower"]), len(x))
    A = sparse.csr_array((payload["data"], payload["indices"], payload["indptr"]), shape=shape)
    activity, rounding = A @ x, ROUNDING * (1.0 + abs(A) @ np.abs(x))
    target = np.clip(activity, payload["row_lower"], payload["row_upper"])
    for side in (payload["row_lower"], payload["row_upper"]):
        target = np.where(np.abs(activity - side) <= rounding, side, target)
    tight = (payload["row_lower"] == payload["row_upper"]) | (target != activity)
    near = ROUNDING * (1.0 + np.abs(x))
    free = (x > payload["col_lower"] + near) & (x < payload["col_upper"] - near)
    if payload["integrality"] is not None:
        free &= ~payload["integrality"]
    if not tight.any() or not free.any():
        return x
    moved = x.copy()
    moved[free] += lsqr(A[tight][:, free], (target - activity)[tight], atol=1e-15, btol=1e-15)[0]
    moved = np.clip(moved, payload["col_lower"], payload["col_upper"])
    before, after = (np.abs(target - A @ one).max() for one in (x, moved))
    return moved if after < before else x
