"""How far a point and its multipliers are from the optimality conditions, from the program's data alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.certificates.exact import exact_activity, exact_cone_violation, excess, float_down, scaled
from eqsolve.certificates.minform import MinForm
from eqsolve.programs import Program
from eqsolve.programs.cone import cone_violation, dual_cone_violation


@dataclass(frozen=True, slots=True)
class Residual:
    """The largest violation of a group of conditions: absolute, relative, and the row or column of the relative one."""

    absolute: float = 0.0
    relative: float = 0.0
    where: str = ""

    def __str__(self) -> str:
        return f"{self.absolute:.2g} absolute, {self.relative:.2g} relative" + (f", worst at {self.where}" if self.where else "")


class _Worst:
    """Collects violations and keeps the largest."""

    def __init__(self) -> None:
        self.absolute, self.relative, self.where = 0.0, 0.0, ""

    def many(self, value: FloatArray, scale: FloatArray, name: Callable[[int], str]) -> None:
        if not len(value):
            return
        value = np.where(np.isnan(value), np.inf, value)
        relative = value / scale
        k = int(np.argmax(relative))
        self.absolute = max(self.absolute, float(value.max()))
        if relative[k] > self.relative:
            self.relative, self.where = float(relative[k]), name(k)

    def one(self, value: float, scale: float, name: Callable[[int], str], k: int) -> None:
        value = np.inf if np.isnan(value) else value
        self.absolute = max(self.absolute, value)
        if value / scale > self.relative:
            self.relative, self.where = value / scale, name(k)

    def residual(self) -> Residual:
        return Residual(self.absolute, self.relative, self.where)


def primal_residual(program: Program, x: FloatArray) -> Residual:
    """Violation of rows, bounds, cones and integrality; relative to 1 + |bound|, for cones to 1 + max|Ax + h|."""
    worst = _Worst()
    activity = np.asarray(program.A @ x)
    for value, lower, upper, name in (
        (activity, program.row_lower, program.row_upper, program.row_name),
        (x, program.col_lower, program.col_upper, program.column_name),
    ):
        for bound, sign in ((lower, 1.0), (upper, -1.0)):
            finite = np.isfinite(bound)
            side = np.where(finite, bound, 0.0)
            worst.many(np.where(finite, np.maximum(sign * (side - value), 0.0), 0.0), 1.0 + np.abs(side), name)
    for cone in program.cones:
        z = activity[cone.rows] + cone.shift
        worst.one(cone_violation(cone.kind, z), 1.0 + float(np.abs(z).max()), program.row_name, int(cone.rows[0]))
    _integrality(worst, program, x)
    return worst.residual()


def exact_primal_residual(program: Program, x: FloatArray) -> tuple[Residual, tuple[str, ...]]:
    """``primal_residual`` in rational arithmetic, rounded up; and what could not be computed so."""
    worst = _Worst()
    notes: tuple[str, ...] = ()
    activity = exact_activity(program.A, x)
    for value, lower, upper, name in (
        (activity, program.row_lower, program.row_upper, program.row_name),
        (scaled(x), program.col_lower, program.col_upper, program.column_name),
    ):
        for i, beyond in excess(value, lower, upper).items():
            bound = min(abs(float(lower[i])), abs(float(upper[i])))
            worst.one(-float_down(-beyond), 1.0 + bound, name, i)
    floats = np.asarray(program.A @ x)
    for cone in program.cones:
        z = floats[cone.rows] + cone.shift
        exact = exact_cone_violation(cone, activity)
        if exact is None:
            notes = ("exponential cones are checked in float arithmetic",)
            exact = cone_violation(cone.kind, z)
        worst.one(exact, 1.0 + float(np.abs(z).max()), program.row_name, int(cone.rows[0]))
    _integrality(worst, program, x)
    return worst.residual(), notes


def _integrality(worst: _Worst, program: Program, x: FloatArray) -> None:
    if program.integrality is not None:
        fraction = np.where(program.integrality, np.abs(x - np.round(x)), 0.0)
        worst.many(fraction, np.ones(len(x)), program.column_name)


def dual_residual(form: MinForm, gradient: FloatArray, y: FloatArray, z: FloatArray | None) -> tuple[Residual, FloatArray]:
    """Violation of the dual conditions, and the reduced costs (N,); both as a minimisation.

    Signs of the multipliers by the sides that a row has, dual cones, signs of the reduced costs by the bounds that a column
    has, and the distance of the ``z`` handed out to gradient - A'y. Relative to 1 + max|y| and 1 + max|gradient|.
    """
    program, worst = form.program, _Worst()
    reduced = np.asarray(gradient - form.A.T @ y)
    size_y, size_c = 1.0 + float(np.abs(y).max(initial=0.0)), 1.0 + float(np.abs(gradient).max(initial=0.0))
    row_sides = (program.row_lower, program.row_upper)
    rows = np.where(form.in_cone, 0.0, _wrong_side(y, *row_sides))
    worst.many(rows, np.full(len(y), size_y), program.row_name)
    for cone in program.cones:
        outside = dual_cone_violation(cone.kind, y[cone.rows])
        worst.one(outside, size_y, program.row_name, int(cone.rows[0]))
    wrong = _wrong_side(reduced, program.col_lower, program.col_upper)
    worst.many(wrong, np.full(len(reduced), size_c), program.column_name)
    if z is not None:
        worst.many(np.abs(reduced - z), np.full(len(reduced), size_c), program.column_name)
    return worst.residual(), reduced


def _wrong_side(price: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Size of a price > 0 where there is no lower bound, or < 0 where there is no upper bound."""
    return np.where(np.isneginf(lower), np.maximum(price, 0.0), 0.0) + np.where(np.isposinf(upper), np.maximum(-price, 0.0), 0.0)


def complementarity(form: MinForm, x: FloatArray, y: FloatArray, reduced: FloatArray, scale: float) -> tuple[Residual, float]:
    """Largest price times slack, relative to ``scale``; and the dual objective (Wolfe and Dorn) as a minimisation.

    Prices on a side without bound count as a dual violation, not here.
    """
    program, worst = form.program, _Worst()
    activity = np.asarray(form.A @ x)
    dual = form.offset - (0.0 if form.Q is None else float(x @ (form.Q @ x)) / 2)
    for price, value, lower, upper, name in (
        (np.where(form.in_cone, 0.0, y), activity, program.row_lower, program.row_upper, program.row_name),
        (reduced, x, program.col_lower, program.col_upper, program.column_name),
    ):
        side = np.where(price > 0, lower, upper)
        priced = np.isfinite(side) & (price != 0.0)
        side = np.where(priced, side, 0.0)
        worst.many(np.where(priced, np.abs(price * (value - side)), 0.0), np.full(len(price), scale), name)
        dual += float(np.where(priced, price, 0.0) @ side)
    for cone in program.cones:
        z, price = activity[cone.rows] + cone.shift, y[cone.rows]
        worst.one(abs(float(price @ z)), scale, program.row_name, int(cone.rows[0]))
        dual -= float(price @ cone.shift)
    return worst.residual(), dual
