"""What makes "infeasible" and "unbounded" believable: Farkas rays and improving directions, each checked against the data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import highspy
import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.backends.highs_model import pass_program
from eqsolve.backends.highs_options import new_model
from eqsolve.programs import Program

ROUNDING = 1e-12
"""Sums of terms are trusted to this, relative to the sum of their magnitudes."""
NOISE = 1e-9
"""An entry of A'y (or A d) this small, relative to its own terms, counts as zero where a bound is infinite."""


def proven_ray(program: Program, ray: FloatArray | None) -> FloatArray | None:
    """The ray, or its negative, if it proves by the data that no point satisfies rows and bounds; else None."""
    if ray is None or not np.isfinite(ray).all():
        return None
    largest = float(np.abs(ray).max(initial=0.0))
    if largest == 0.0:
        return None
    for candidate in (ray / largest, -ray / largest):
        y = np.where(np.isinf(np.where(candidate > 0, program.row_lower, program.row_upper)), 0.0, candidate)
        if _farkas_gap(program, y) > 0:
            y.setflags(write=False)
            return y
    return None


def _farkas_gap(program: Program, y: FloatArray) -> float:
    """Supply of the rows minus the largest demand over the column bounds, minus what rounding may account for."""
    supply = _products(y, np.where(y > 0, program.row_lower, program.row_upper))
    a = np.asarray(program.A.T @ y)
    bound = np.where(a > 0, program.col_upper, program.col_lower)
    open_side = np.isinf(bound) & (a != 0)
    if open_side.any():
        size = np.asarray(abs(program.A).T @ np.abs(y))
        if (np.abs(a[open_side]) > NOISE * size[open_side]).any():
            return -np.inf
        a = np.where(open_side, 0.0, a)
    demand = _products(a, bound)
    slack = ROUNDING * float(np.abs(supply).sum() + np.abs(demand).sum())
    return float(supply.sum() - demand.sum()) - slack


def _products(weight: FloatArray, bound: FloatArray) -> FloatArray:
    used = weight != 0
    return np.where(used, weight, 0.0) * np.where(used, bound, 0.0)


def proven_direction(program: Program, direction: FloatArray | None) -> FloatArray | None:
    """The direction if, by the data, every feasible point stays feasible along it and improves without end; else None."""
    if direction is None or not np.isfinite(direction).all():
        return None
    largest = float(np.abs(direction).max(initial=0.0))
    if largest == 0.0:
        return None
    d = direction / largest
    d = np.where(np.abs(d) <= NOISE, 0.0, d)
    gain = float(program.c @ d) * (1.0 if program.sense == "max" else -1.0)
    if gain <= NOISE * float(np.abs(program.c) @ np.abs(d)):
        return None
    if program.Q is not None and (np.abs(program.Q @ d) > NOISE * (abs(program.Q) @ np.abs(d))).any():
        return None
    noise = NOISE * np.asarray(abs(program.A) @ np.abs(d))
    move = np.asarray(program.A @ d)
    leaves_rows = (np.isfinite(program.row_lower) & (move < -noise)) | (np.isfinite(program.row_upper) & (move > noise))
    leaves_columns = (np.isfinite(program.col_lower) & (d < 0)) | (np.isfinite(program.col_upper) & (d > 0))
    if leaves_rows.any() or leaves_columns.any():
        return None
    d.setflags(write=False)
    return d


def linear_relaxation(program: Program, c: FloatArray) -> Program:
    """The program without Q and integrality, with another objective."""
    return replace(program, c=c, Q=None, integrality=None, structure=None, offset=0.0, _trusted=True)


def find_ray(program: Program, seconds: float | None = None) -> FloatArray | None:
    """A Farkas ray of rows and bounds (integrality left aside), or None when none is found.

    First HiGHS's own ray of the feasibility program without presolve, then the duals of the elastic program
    min 1's + 1't subject to L <= A x + s - t <= U, which is always feasible and positive exactly when the rows conflict.
    """
    model = _simplex(linear_relaxation(program, np.zeros(program.n_columns)), seconds)
    if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        return None
    status, has_ray, ray = model.getDualRay()
    proven = proven_ray(program, np.asarray(ray)) if status != highspy.HighsStatus.kError and has_ray else None
    if proven is not None:
        return proven
    model = _simplex(_elastic(program), seconds)
    duals = model.getSolution()
    return proven_ray(program, np.asarray(duals.row_dual)) if duals.dual_valid else None


def _elastic(program: Program) -> Program:
    n, m = program.n_columns, program.n_rows
    eye = sparse.eye_array(m, format="csc")
    return replace(
        linear_relaxation(program, np.concatenate([np.zeros(n), np.ones(2 * m)])),
        sense="min",
        A=sparse.csc_array(sparse.hstack([program.A, eye, -eye])),
        col_lower=np.concatenate([program.col_lower, np.zeros(2 * m)]),
        col_upper=np.concatenate([program.col_upper, np.full(2 * m, np.inf)]),
    )


def find_direction(program: Program, seconds: float | None = None) -> FloatArray | None:
    """An improving direction of recession with Q d = 0 and entries in [-1, 1], by a linear program; None when there is none."""
    A, row_lower, row_upper = program.A, _recession(program.row_lower), _recession(program.row_upper)
    if program.Q is not None:
        A = sparse.csc_array(sparse.vstack([A, program.Q]))
        row_lower, row_upper = (np.concatenate([side, np.zeros(program.n_columns)]) for side in (row_lower, row_upper))
    recession = replace(
        linear_relaxation(program, program.c),
        A=A,
        row_lower=row_lower,
        row_upper=row_upper,
        col_lower=np.maximum(_recession(program.col_lower), -1.0),
        col_upper=np.minimum(_recession(program.col_upper), 1.0),
    )
    model = _simplex(recession, seconds)
    return proven_direction(program, np.asarray(model.getSolution().col_value))


def _recession(bound: FloatArray) -> FloatArray:
    return np.where(np.isfinite(bound), 0.0, bound)


def find_point(program: Program, seconds: float | None = None) -> tuple[FloatArray | None, bool]:
    """A point of the feasible set (integrality kept), and whether HiGHS says that there is none."""
    target = replace(linear_relaxation(program, np.zeros(program.n_columns)), integrality=program.integrality)
    model = _run(target, seconds)
    if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        return np.asarray(model.getSolution().col_value), False
    return None, bool(model.getModelStatus() == highspy.HighsModelStatus.kInfeasible)


def _simplex(program: Program, seconds: float | None) -> Any:
    return _run(program, seconds, presolve="off", solver="simplex")


def _run(program: Program, seconds: float | None, **options: object) -> Any:
    model = new_model(options if seconds is None else {**options, "time_limit": seconds})
    pass_program(model, program)
    run_model(model)
    return model


def run_model(model: Any) -> Any:
    """Run HiGHS; where its scheduler was started with another number of threads, start that anew and run again.

    Schedulers belong to a thread of Python, so that a new start disturbs no run that is under way elsewhere.
    """
    status = model.run()
    if status == highspy.HighsStatus.kError and model.getModelStatus() == highspy.HighsModelStatus.kNotset:
        highspy.Highs.resetGlobalScheduler(True)
        status = model.run()
    return status
