"""Farkas rays, improving directions and feasible points by HiGHS, each checked against the data."""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.backends.highs_model import pass_program
from eqsolve.backends.highs_options import new_model
from eqsolve.backends.proofs import elastic, feasibility, proven_direction, proven_ray, recession, relaxation
from eqsolve.programs import Program


def find_ray(program: Program, seconds: float | None = None) -> FloatArray | None:
    """A Farkas ray of rows and bounds (integrality left aside), or None when none is found.

    First HiGHS's own ray of the feasibility program without presolve, then the duals of the elastic program
    min 1's + 1't subject to L <= A x + s - t <= U, which is always feasible and positive exactly when the rows conflict.
    """
    model = _simplex(relaxation(program, np.zeros(program.n_columns)), seconds)
    if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        return None
    status, has_ray, ray = model.getDualRay()
    proven = proven_ray(program, np.asarray(ray)) if status != highspy.HighsStatus.kError and has_ray else None
    if proven is not None:
        return proven
    model = _simplex(elastic(program), seconds)
    duals = model.getSolution()
    return proven_ray(program, np.asarray(duals.row_dual)) if duals.dual_valid else None


def find_direction(program: Program, seconds: float | None = None) -> FloatArray | None:
    """An improving direction of recession with Q d = 0 and entries in [-1, 1], by a linear program; None when there is none."""
    model = _simplex(recession(program), seconds)
    return proven_direction(program, np.asarray(model.getSolution().col_value))


def find_point(program: Program, seconds: float | None = None) -> tuple[FloatArray | None, bool]:
    """A point of the feasible set (integrality kept), and whether HiGHS says that there is none."""
    model = _run(feasibility(program), seconds)
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
