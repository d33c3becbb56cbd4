"""Payoffs tabulated on grids: piecewise-linear curves of one coordinate each, and tables over all coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Self

import numpy as np

from eqsolve.aggregative.payoffs import RANGE, Payoffs, overflow_in
from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, whole_number
from eqsolve.errors import InvalidGame


@dataclass(frozen=True, slots=True, eq=False)
class CurvePayoffs(Payoffs):
    r"""u_c(x) = base_c + scale_c * curve_{curve_c}(x_{coordinate_c}): piecewise-linear curves tabulated on one grid.

    A road's travel time depends on that road's own load: each column names a curve, the coordinate it reads and the weight
    it has (minus the value of time), so that a thousand players share a handful of curves.

    Parameters
    ----------
    nodes : (K,) strictly increasing grid of the coordinate, K >= 2; every aggregator that can be reached lies between its ends.
    curves : (C, K) tabulated values.
    curve, coordinate : (N,) which curve each column uses and which coordinate it reads.
    scale, base : (N,) weights and constants.
    dimension : d, the number of coordinates of the aggregator.
    """

    nodes: FloatArray
    curves: FloatArray
    curve: IntArray
    coordinate: IntArray
    scale: FloatArray
    base: FloatArray
    dimension: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", whole_number("payoff.dimension", self.dimension, 1, InvalidGame))
        nodes = _increasing("payoff.nodes", self.nodes)
        curves = float_array("payoff.curves", self.curves, (None, len(nodes)), error=InvalidGame)
        curve = int_array("payoff.curve", self.curve, (None,), error=InvalidGame)
        n = len(curve)
        coordinate = int_array("payoff.coordinate", self.coordinate, (n,), error=InvalidGame)
        for name, where, limit in (("curve", curve, len(curves)), ("coordinate", coordinate, self.dimension)):
            bad = (where < 0) | (where >= limit)
            if bad.any():
                k = int(np.argmax(bad))
                raise InvalidGame(f"payoff.{name}[{k}] is {where[k]}; there are {limit}")
        for name, value in (("nodes", nodes), ("curves", curves), ("curve", curve), ("coordinate", coordinate)):
            object.__setattr__(self, name, value)
        for name in ("scale", "base"):
            object.__setattr__(self, name, float_array(f"payoff.{name}", getattr(self, name), (n,), error=InvalidGame))

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self.curve)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return self.dimension

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Linear interpolation, column by column."""
        own = x[np.arange(len(columns)), self.coordinate[columns]]
        cell, part = _locate(self.nodes, own)
        curve = self.curve[columns]
        value = self.curves[curve, cell] * (1 - part) + self.curves[curve, cell + 1] * part
        return np.asarray(self.base[columns] + self.scale[columns] * value)

    def batch(self, x: FloatArray) -> FloatArray:
        """Every curve at every coordinate once, then spread over the columns."""
        cell, part = _locate(self.nodes, x)
        values = self.curves[:, cell] * (1 - part) + self.curves[:, cell + 1] * part
        return np.asarray(self.base + self.scale * values[self.curve, :, self.coordinate].T)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The steepest piece of each curve over the part of the grid that the coordinate can reach; exact."""
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.abs(np.diff(self.curves, axis=1) / np.diff(self.nodes))
            steepest = np.zeros((len(self.curves), self.dimension))
            for k in np.flatnonzero(upper > lower):
                steepest[:, k] = slope[:, _reached(self.nodes, lower[k], upper[k])].max(axis=1)
            gamma = np.abs(self.scale) * steepest[self.curve, self.coordinate]
        return np.where(np.isnan(gamma), np.inf, gamma)

    def range_on(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The least and the largest of each curve at the ends of the interval and at the nodes in between; exact."""
        low, high = np.zeros((len(self.curves), self.dimension)), np.zeros((len(self.curves), self.dimension))
        for k in range(self.dimension):
            cell, part = _locate(self.nodes, np.array([lower[k], upper[k]]))
            ends = self.curves[:, cell] * (1 - part) + self.curves[:, cell + 1] * part
            seen = np.hstack((ends, self.curves[:, (self.nodes > lower[k]) & (self.nodes < upper[k])]))
            low[:, k], high[:, k] = seen.min(axis=1), seen.max(axis=1)
        one, other = (self.scale * side[self.curve, self.coordinate] for side in (low, high))
        room = RANGE * (np.abs(self.base) + np.abs(self.scale) * np.abs(self.curves).max(axis=1)[self.curve])
        return self.base + np.minimum(one, other) - room, self.base + np.maximum(one, other) + room

    def take(self, columns: IntArray) -> Self:
        """The columns' own entries; the curves stay."""
        return type(self)(
            self.nodes,
            self.curves,
            self.curve[columns],
            self.coordinate[columns],
            self.scale[columns],
            self.base[columns],
            self.dimension,
        )

    def signature(self) -> FloatArray:
        """Curve, coordinate, scale and base."""
        return np.column_stack((self.curve, self.coordinate, self.scale, self.base))

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """The grid must reach both ends of every coordinate that a column reads, and no payoff may overflow."""
        used = np.unique(self.coordinate)
        with np.errstate(over="ignore"):
            size = np.abs(self.base) + np.abs(self.scale) * np.abs(self.curves).max(axis=1)[self.curve]
        return _outside([self.nodes] * self.dimension, lower, upper, used) or overflow_in(size, lower, upper)


@dataclass(frozen=True, slots=True, eq=False)
class TabulatedPayoffs(Payoffs):
    r"""u_c multilinear between tabulated values on a grid over all d coordinates.

    Parameters
    ----------
    nodes : d strictly increasing arrays, each of length >= 2, that cover every aggregator that can be reached.
    values : (N, K_1, ..., K_d).
    """

    nodes: tuple[FloatArray, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        axes = list(self.nodes) if np.iterable(self.nodes) else []
        if not axes:
            raise InvalidGame("payoff.nodes holds no grid", "Give one increasing array for each coordinate, in a tuple.")
        nodes = tuple(_increasing(f"payoff.nodes[{k}]", axis) for k, axis in enumerate(axes))
        shape = (None, *(len(axis) for axis in nodes))
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "values", float_array("payoff.values", self.values, shape, error=InvalidGame))

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self.values)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return len(self.nodes)

    def _corners(self, x: FloatArray) -> list[tuple[tuple[IntArray, ...], FloatArray]]:
        """The 2^d grid corners around each point (B, d) and their weights (B,)."""
        located = [_locate(axis, x[:, k]) for k, axis in enumerate(self.nodes)]
        corners = []
        for sides in product((0, 1), repeat=self.n_coordinates):
            weight = np.ones(len(x))
            where = []
            for (cell, part), side in zip(located, sides, strict=True):
                weight = weight * (part if side else 1 - part)
                where.append(cell + side)
            corners.append((tuple(where), weight))
        return corners

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Multilinear interpolation, column by column."""
        total = np.zeros(len(columns))
        for where, weight in self._corners(x):
            total += weight * self.values[(columns, *where)]
        return total

    def batch(self, x: FloatArray) -> FloatArray:
        """Multilinear interpolation of all columns at each point."""
        total = np.zeros((len(x), self.n_columns))
        for where, weight in self._corners(x):
            index: tuple[Any, ...] = (slice(None), *where)
            total += weight[:, None] * self.values[index].T
        return total

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Over each grid cell the gradient is a mean of edge slopes: the largest sum over coordinates of the steepest edges."""
        reached = [_reached(axis, low, high) for axis, low, high in zip(self.nodes, lower, upper, strict=True)]
        table = self.values[(slice(None), *(slice(one.start, one.stop + 1) for one in reached))]
        total = np.zeros((self.n_columns, *(one.stop - one.start for one in reached)))
        with np.errstate(over="ignore", invalid="ignore"):
            for k in np.flatnonzero(upper > lower):
                steps = np.diff(self.nodes[k])[reached[k]].reshape([-1 if a == k else 1 for a in range(self.n_coordinates)])
                slope = np.abs(np.diff(table, axis=k + 1) / steps)
                for other in range(1, slope.ndim):
                    if other != k + 1:
                        lines = np.moveaxis(slope, other, 0)
                        slope = np.moveaxis(np.maximum(lines[:-1], lines[1:]), 0, other)
                total += slope
        return np.asarray(total.max(axis=tuple(range(1, total.ndim))))

    def take(self, columns: IntArray) -> Self:
        """Rows of the values."""
        return type(self)(self.nodes, self.values[columns])

    def signature(self) -> FloatArray:
        """The values."""
        return self.values.reshape(self.n_columns, prod(self.values.shape[1:]))

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """The grid must reach both ends of every coordinate."""
        return _outside(self.nodes, lower, upper, np.arange(self.n_coordinates))


def _increasing(name: str, nodes: Any) -> FloatArray:
    array = float_array(name, nodes, (None,), error=InvalidGame)
    if len(array) < 2:
        raise InvalidGame(f"{name} has {len(array)} grid points; a table needs 2 or more")
    step = np.diff(array)
    if step.min() <= 0:
        k = int(np.argmax(step <= 0))
        raise InvalidGame(f"{name}[{k + 1}] is {array[k + 1]:g}, not above {name}[{k}] = {array[k]:g}", "The grid must increase.")
    return array


def _locate(nodes: FloatArray, x: FloatArray) -> tuple[IntArray, FloatArray]:
    """Grid cell and position within it (0 to 1); rounding just outside the grid is taken as its end."""
    cell = np.clip(np.searchsorted(nodes, x, side="right") - 1, 0, len(nodes) - 2)
    part = np.clip((x - nodes[cell]) / (nodes[cell + 1] - nodes[cell]), 0.0, 1.0)
    return cell, part


def _reached(nodes: FloatArray, low: float, high: float) -> slice:
    """Pieces of the grid that lie partly within ``low < x < high``; the nearest one when none does."""
    first = min(max(int(np.searchsorted(nodes, low, side="right")) - 1, 0), len(nodes) - 2)
    last = min(max(int(np.searchsorted(nodes, high, side="left")) - 1, 0), len(nodes) - 2)
    return slice(first, max(first, last) + 1)


def _outside(nodes: Sequence[FloatArray], lower: FloatArray, upper: FloatArray, used: IntArray) -> str | None:
    for k in used:
        first, last = nodes[k][0], nodes[k][-1]
        # The ends of the range are sums over the players, and tables come from text: both are rounded.
        slack = 1e-12 * max(abs(lower[k]), abs(upper[k]), last - first) + 1e-9 * (upper[k] - lower[k])
        if first > lower[k] + slack or last < upper[k] - slack:
            reach = f"the aggregator's coordinate {k} ranges over [{lower[k]:g}, {upper[k]:g}]"
            return f"the table of coordinate {k} covers [{first:g}, {last:g}], but {reach}"
    return None
