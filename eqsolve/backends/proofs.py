"""What makes "infeasible" and "unbounded" believable: Farkas rays and improving directions, each checked against the data.

Where a solver hands over neither, both are answers of programs of their own: ``elastic`` and ``recession``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.programs import Program
from eqsolve.programs.cone import cone_violation, dual_cone_violation

ROUNDING = 1e-12
"""Sums of terms are trusted to this, relative to the sum of their magnitudes."""
NOISE = 1e-9
"""An entry of A'y (or A d) this small, relative to its own terms, counts as zero where a bound is infinite."""

WITHOUT_BLOCKS: dict[str, Any] = {"columns": (), "rows": (), "_trusted": False}
"""Of a program whose shape changes: it is checked anew, and its columns and rows go by number."""


def proven_ray(program: Program, ray: FloatArray | None) -> FloatArray | None:
    """The ray, or its negative, if it proves by the data that no point satisfies rows, bounds and cones; else None."""
    raw = _scaled(ray)
    if raw is None:
        return None
    short = np.rint(raw * 2.0**20) / 2.0**20  # where the data are short too, noise vanishes and sums cancel to the bit
    for noise in (0.0, NOISE):
        for candidate in (raw, -raw, short, -short):
            side = np.where(candidate > 0, program.row_lower, program.row_upper)
            for cone in program.cones:
                side[cone.rows] = -cone.shift
            y = np.where(np.isinf(side), 0.0, candidate)
            if _farkas_gap(program, y, side, noise) > 0:
                y.setflags(write=False)
                return y
    return None


def _scaled(vector: FloatArray | None) -> FloatArray | None:
    """The vector with a largest entry of 1; None where there is none to be had."""
    if vector is None or not np.isfinite(vector).all() or not vector.any():
        return None
    return np.asarray(vector / np.abs(vector).max())


def _farkas_gap(program: Program, y: FloatArray, side: FloatArray, noise: float) -> float:
    """Supply of the rows minus the largest demand over the column bounds, minus what rounding may account for."""
    if any(dual_cone_violation(cone.kind, y[cone.rows]) > noise for cone in program.cones):
        return -np.inf
    supply = _products(y, side)
    a = np.asarray(program.A.T @ y)
    bound = np.where(a > 0, program.col_upper, program.col_lower)
    open_side = np.isinf(bound) & (a != 0)
    if open_side.any():
        size = np.asarray(abs(program.A).T @ np.abs(y))
        if (np.abs(a[open_side]) > noise * size[open_side]).any():
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
    d = _scaled(direction)
    if d is None:
        return None
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
    leaves_cones = (cone_violation(cone.kind, move[cone.rows]) > noise[cone.rows].max() for cone in program.cones)
    if leaves_rows.any() or leaves_columns.any() or any(leaves_cones):
        return None
    d.setflags(write=False)
    return d


def relaxation(program: Program, c: FloatArray) -> Program:
    """The program without Q and integrality, with another objective (N,)."""
    return replace(program, c=c, Q=None, integrality=None, structure=None, offset=0.0, _trusted=True)


def feasibility(program: Program) -> Program:
    """The program without its objective."""
    return replace(relaxation(program, np.zeros(program.n_columns)), integrality=program.integrality)


def elastic(program: Program) -> Program:
    """The least sum of slacks that every row needs: min 1's + 1't with rows of A x + s - t.

    Always feasible, and positive exactly when rows, bounds and cones conflict (up to closure); its duals are then a Farkas ray.
    """
    n, m = program.n_columns, program.n_rows
    eye = sparse.eye_array(m, format="csc")
    return replace(
        relaxation(program, np.concatenate([np.zeros(n), np.ones(2 * m)])),
        **WITHOUT_BLOCKS,
        sense="min",
        A=sparse.csc_array(sparse.hstack([program.A, eye, -eye])),
        col_lower=np.concatenate([program.col_lower, np.zeros(2 * m)]),
        col_upper=np.concatenate([program.col_upper, np.full(2 * m, np.inf)]),
    )


def recession(program: Program) -> Program:
    """The best direction in [-1, 1] that leaves no row, bound or cone and has Q d = 0; it improves if the program is unbounded."""
    A, row_lower, row_upper = program.A, _homogeneous(program.row_lower), _homogeneous(program.row_upper)
    if program.Q is not None:
        A = sparse.csc_array(sparse.vstack([A, program.Q]))
        row_lower, row_upper = (np.concatenate([side, np.zeros(program.n_columns)]) for side in (row_lower, row_upper))
    return replace(
        relaxation(program, program.c),
        **WITHOUT_BLOCKS,
        A=A,
        row_lower=row_lower,
        row_upper=row_upper,
        col_lower=np.maximum(_homogeneous(program.col_lower), -1.0),
        col_upper=np.minimum(_homogeneous(program.col_upper), 1.0),
        cones=tuple(replace(cone, shift=np.zeros(len(cone.rows))) for cone in program.cones),
    )


def _homogeneous(bound: FloatArray) -> FloatArray:
    return np.where(np.isfinite(bound), 0.0, bound)
