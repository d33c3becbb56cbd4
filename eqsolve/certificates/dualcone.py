"""Multipliers moved into the cone where duals must lie, exactly: signs by row side, dual cones with a rounding-safe margin."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import BoolArray, FloatArray
from eqsolve.certificates.minform import MinForm
from eqsolve.certificates.rounding import UNIT
from eqsolve.programs.cone import ConeKind


def into_dual_cone(form: MinForm, y: FloatArray) -> FloatArray:
    """The nearest multipliers (M,), up to rounding, that are dual feasible in sign: y >= 0 where a row has no upper bound,
    y <= 0 where it has no lower bound, 0 where it has neither, and inside the dual cone on the rows of each cone.

    Where there is a choice, the multiplier of a row without columns is raised, since that leaves all reduced costs alone.
    """
    program = form.program
    y = y.copy()
    y[~form.in_cone & np.isneginf(program.row_lower) & (y > 0)] = 0.0
    y[~form.in_cone & np.isposinf(program.row_upper) & (y < 0)] = 0.0
    if program.cones:
        constant = np.bincount(form.A.indices, minlength=program.n_rows) == 0
    for cone in program.cones:
        y[cone.rows] = _into(cone.kind, y[cone.rows], constant[cone.rows])
    return y


def _into(kind: ConeKind, y: FloatArray, constant: BoolArray) -> FloatArray:
    if kind == "soc":
        return np.concatenate(([max(float(y[0]), _norm_up(y[1:]))], y[1:]))
    if kind == "rsoc":
        return _into_rotated(y, constant)
    return _into_dual_exponential(y, bool(constant[1]))


def _norm_up(v: FloatArray) -> float:
    """An upper bound of the Euclidean norm."""
    if not v.any():
        return 0.0
    scale = float(2.0 ** np.ceil(np.log2(np.abs(v).max())))
    return float(scale * np.linalg.norm(v / scale) * (1.0 + (len(v) + 8) * UNIT)) + 1e-300


def _into_rotated(y: FloatArray, constant: BoolArray) -> FloatArray:
    """2 y0 y1 >= |rest|^2 with y0, y1 >= 0, by raising the one whose row is constant, else by adding the same t to both."""
    first, second = max(float(y[0]), 0.0), max(float(y[1]), 0.0)
    need = _norm_up(y[2:])
    if not _rotated_holds(first, second, need):
        for raised, other in ((1, 0), (0, 1)):
            if constant[raised] and (first, second)[other] > 1e-100:
                pair = [first, second]
                pair[raised] = max(pair[raised], (need * need + 1e-299) / (2 * pair[other]) * (1.0 + 32 * UNIT))
                return np.concatenate((pair, y[2:]))
        half_sum, half_difference = (first + second) / 2, (first - second) / 2
        t = max(float(np.hypot(half_difference, need / np.sqrt(2.0))) - half_sum, 0.0)
        step = max(first, second, need) * 4 * UNIT
        while not _rotated_holds(first + t, second + t, need):
            t, step = t + step, 2 * step
        first, second = first + t, second + t
    return np.concatenate(([first, second], y[2:]))


def _rotated_holds(first: float, second: float, need: float) -> bool:
    return need == 0.0 or 2.0 * first * second >= need * need * (1.0 + 8 * UNIT) + 1e-300


def _into_dual_exponential(y: FloatArray, raise_v: bool) -> FloatArray:
    """-u exp(v/u) <= e w with u < 0, or u = 0 and v, w >= 0; by raising v or w, else by dropping u."""
    u, v, w = (float(one) for one in y)
    if raise_v and u < -1e-100 and w > 1e-100:
        log = float(np.log(w / -u))
        return np.array([u, max(v, u * (1.0 + log) - u * 32 * UNIT * (2.0 + abs(log))), w])
    if u < 0.0 and abs(v / u) < 600.0:
        ratio = v / u
        least = -u * float(np.exp(ratio - 1.0)) * (1.0 + 16 * UNIT * (2.0 + abs(ratio))) + 1e-300
        return np.array([u, v, max(w, least)])
    return np.array([0.0, max(v, 0.0), max(w, 0.0)])
