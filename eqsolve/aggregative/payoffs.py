r"""Families of payoffs u_c(x) of an aggregative game, one for each column c = (player type, action).

Every family evaluates at any aggregator x in batch and bounds its own Lipschitz constants over a box, in the sup norm:
:math:`|u_c(x) - u_c(x')| \le \gamma_c \lVert x - x' \rVert_\infty`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Self

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array
from eqsolve.errors import InvalidGame


class Payoffs(ABC):
    """Payoffs of N columns over d aggregator coordinates."""

    lipschitz_is_computed = True
    """Whether ``lipschitz`` follows from the family's own numbers; False where it is the user's word."""

    @property
    @abstractmethod
    def n_columns(self) -> int:
        """N, the number of columns."""

    @property
    @abstractmethod
    def n_coordinates(self) -> int:
        """d, the number of aggregator coordinates."""

    @abstractmethod
    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Payoffs (K,) of columns (K,), each at its own aggregator (K, d)."""

    @abstractmethod
    def batch(self, x: FloatArray) -> FloatArray:
        """Payoffs (B, N) of all columns at aggregators (B, d)."""

    @abstractmethod
    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Constants (N,) valid for any two points of the box ``lower <= x <= upper`` (d,), in the sup norm."""

    @abstractmethod
    def take(self, columns: IntArray) -> Self:
        """The family restricted to some columns, in the given order."""

    @abstractmethod
    def signature(self) -> FloatArray | None:
        """Numbers (N, L) that are equal for two columns only if their payoffs are; None where that is not known."""

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """Why the family cannot be evaluated on the whole box, or None."""
        return None


@dataclass(frozen=True, slots=True, eq=False)
class AffinePayoffs(Payoffs):
    r"""u_c(x) = base_c + slope_c . x, with base (N,) and slope (N, d); :math:`\gamma_c = \lVert slope_c \rVert_1`."""

    base: FloatArray
    slope: FloatArray

    def __post_init__(self) -> None:
        base = float_array("payoff.base", self.base, (None,), error=InvalidGame)
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "slope", float_array("payoff.slope", self.slope, (len(base), None), error=InvalidGame))

    @property
    def n_columns(self) -> int:
        """N."""
        return len(self.base)

    @property
    def n_coordinates(self) -> int:
        """D."""
        return int(self.slope.shape[1])

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Base plus slope, column by column."""
        return np.asarray(self.base[columns] + np.einsum("kd,kd->k", self.slope[columns], x))

    def batch(self, x: FloatArray) -> FloatArray:
        """Base plus one matrix product."""
        return np.asarray(x @ self.slope.T + self.base)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The exact constants, on any box: sum of |slope| over the coordinates that can move."""
        return np.asarray(np.abs(self.slope) @ (upper > lower).astype(float))

    def take(self, columns: IntArray) -> Self:
        """Rows of base and slope."""
        return type(self)(self.base[columns], self.slope[columns])

    def signature(self) -> FloatArray:
        """Base and slope."""
        return np.column_stack((self.base, self.slope))


@dataclass(frozen=True, slots=True, eq=False)
class PolynomialPayoffs(Payoffs):
    r"""u_c(x) = sum_e coefficient[c, e] * prod_k x_k^powers[e, k].

    Parameters
    ----------
    powers : (E, d) whole exponents >= 0, shared by all columns.
    coefficient : (N, E).
    """

    powers: IntArray
    coefficient: FloatArray
    _parts: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        powers = int_array("payoff.powers", self.powers, (None, None), error=InvalidGame)
        if powers.size and powers.min() < 0:
            e, k = (int(one) for one in np.argwhere(powers < 0)[0])
            raise InvalidGame(f"payoff.powers[{e}, {k}] is {powers[e, k]}; exponents are 0 or more")
        object.__setattr__(self, "powers", powers)
        shape = (None, len(powers))
        coefficient = float_array("payoff.coefficient", self.coefficient, shape, error=InvalidGame)
        object.__setattr__(self, "coefficient", coefficient)
        object.__setattr__(self, "_parts", np.hstack((np.maximum(coefficient, 0.0), np.minimum(coefficient, 0.0))))

    @property
    def n_columns(self) -> int:
        """N."""
        return len(self.coefficient)

    @property
    def n_coordinates(self) -> int:
        """D."""
        return int(self.powers.shape[1])

    def _monomials(self, x: FloatArray) -> FloatArray:
        values = np.ones((len(x), len(self.powers)))
        for k in range(self.n_coordinates):
            values *= x[:, k, None] ** self.powers[None, :, k]
        return values

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Monomials times coefficients, column by column."""
        return np.asarray(np.einsum("ke,ke->k", self.coefficient[columns], self._monomials(x)))

    def batch(self, x: FloatArray) -> FloatArray:
        """Monomials at each point, then one matrix product."""
        return np.asarray(self._monomials(x) @ self.coefficient.T)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Interval bounds on the partial derivatives, added over the coordinates; exact for single-signed terms."""
        total = np.zeros(self.n_columns)
        for k in np.flatnonzero(upper > lower):
            low, high = self._derivative_interval(int(k), lower, upper)
            down, up = self._parts @ np.concatenate((low, high)), self._parts @ np.concatenate((high, low))
            total += np.maximum(np.abs(down), np.abs(up))
        return total

    def _derivative_interval(self, k: int, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Interval (E,), (E,) of the derivative of each monomial by coordinate k over the box."""
        exponents = self.powers.copy()
        factor = exponents[:, k].astype(float)
        exponents[:, k] = np.maximum(exponents[:, k] - 1, 0)
        low = high = factor
        for axis in range(self.n_coordinates):
            p = exponents[:, axis]
            ends = np.stack((lower[axis] ** p, upper[axis] ** p))
            least, most = ends.min(axis=0), ends.max(axis=0)
            if lower[axis] < 0 < upper[axis]:
                least = np.where((p > 0) & (p % 2 == 0), 0.0, least)
            corners = np.stack([a * b for a, b in product((low, high), (least, most))])
            low, high = corners.min(axis=0), corners.max(axis=0)
        return low, high

    def take(self, columns: IntArray) -> Self:
        """Rows of the coefficients."""
        return type(self)(self.powers, self.coefficient[columns])

    def signature(self) -> FloatArray:
        """The coefficients."""
        return self.coefficient


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
        """N."""
        return len(self.curve)

    @property
    def n_coordinates(self) -> int:
        """D."""
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
        slope = np.abs(np.diff(self.curves, axis=1) / np.diff(self.nodes))
        steepest = np.zeros((len(self.curves), self.dimension))
        for k in np.flatnonzero(upper > lower):
            reached = (self.nodes[:-1] < upper[k]) & (self.nodes[1:] > lower[k])
            steepest[:, k] = slope[:, reached].max(axis=1)
        return np.asarray(np.abs(self.scale) * steepest[self.curve, self.coordinate])

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
        """The grid must reach both ends of every coordinate that a column reads."""
        used = np.unique(self.coordinate)
        return _outside([self.nodes] * self.dimension, lower, upper, used)


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
        nodes = tuple(_increasing(f"payoff.nodes[{k}]", axis) for k, axis in enumerate(self.nodes))
        shape = (None, *(len(axis) for axis in nodes))
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "values", float_array("payoff.values", self.values, shape, error=InvalidGame))

    @property
    def n_columns(self) -> int:
        """N."""
        return len(self.values)

    @property
    def n_coordinates(self) -> int:
        """D."""
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
        total: FloatArray = np.zeros((self.n_columns, *(1,) * self.n_coordinates))
        for k, axis in enumerate(self.nodes):
            steps = np.diff(axis).reshape([-1 if a == k + 1 else 1 for a in range(self.n_coordinates + 1)])
            slope = np.abs(np.diff(self.values, axis=k + 1) / steps)
            for other in range(self.n_coordinates):
                if other != k:
                    first = [slice(None)] * slope.ndim
                    second = [slice(None)] * slope.ndim
                    first[other + 1], second[other + 1] = slice(0, -1), slice(1, None)
                    slope = np.maximum(slope[tuple(first)], slope[tuple(second)])
            total = total + (slope if upper[k] > lower[k] else 0.0)
        reached = tuple(
            np.flatnonzero((axis[:-1] <= high) & (axis[1:] >= low))
            for axis, low, high in zip(self.nodes, lower, upper, strict=True)
        )
        if total.shape[1:] == (1,) * self.n_coordinates:
            return total.reshape(self.n_columns)
        return np.asarray(total[np.ix_(np.arange(self.n_columns), *reached)].reshape(self.n_columns, -1).max(axis=1))

    def take(self, columns: IntArray) -> Self:
        """Rows of the values."""
        return type(self)(self.nodes, self.values[columns])

    def signature(self) -> FloatArray:
        """The values."""
        return self.values.reshape(self.n_columns, -1)

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """The grid must reach both ends of every coordinate."""
        return _outside(self.nodes, lower, upper, np.arange(self.n_coordinates))


class CallablePayoffs(Payoffs):
    r"""Any function, with the user's word on its Lipschitz constants.

    Parameters
    ----------
    function : ``function(columns, x)`` with columns (K,) int64 and x (K, d), returning (K,) payoffs. Must be deterministic.
    lipschitz : one number or (N,), in the sup norm over the attainable range. It is the user's word: results carry it as an
        assumption, and ``AggregativeGame.check_lipschitz`` tries to refute it by samples.
    n_columns, n_coordinates : N and d.
    """

    lipschitz_is_computed = False

    def __init__(
        self, function: Callable[[IntArray, FloatArray], Any], lipschitz: float | FloatArray, n_columns: int, n_coordinates: int
    ) -> None:
        self.function = function
        self.constants = float_array("payoff.lipschitz", lipschitz, (n_columns,), error=InvalidGame)
        if n_columns and self.constants.min() < 0:
            c = int(np.argmin(self.constants))
            raise InvalidGame(f"payoff.lipschitz[{c}] is {self.constants[c]}; a Lipschitz constant is 0 or more")
        self._columns = np.arange(n_columns)
        self._dimension = n_coordinates

    @property
    def n_columns(self) -> int:
        """N."""
        return len(self._columns)

    @property
    def n_coordinates(self) -> int:
        """D."""
        return self._dimension

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """The function, its answer checked for shape and finiteness."""
        values = self.function(self._columns[columns], x)
        return float_array("payoff function(columns, x)", values, (len(columns),), error=InvalidGame)

    def batch(self, x: FloatArray) -> FloatArray:
        """The function at every column and point."""
        columns = np.tile(np.arange(self.n_columns), len(x))
        return self.at(columns, np.repeat(x, self.n_columns, axis=0)).reshape(len(x), self.n_columns)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The user's constants."""
        return self.constants

    def take(self, columns: IntArray) -> Self:
        """The same function on some of its columns."""
        part = type(self)(self.function, self.constants[columns], len(columns), self._dimension)
        part._columns = self._columns[columns]
        return part

    def signature(self) -> None:
        """Unknown: two functions cannot be compared."""


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


def _outside(nodes: Sequence[FloatArray], lower: FloatArray, upper: FloatArray, used: IntArray) -> str | None:
    slack = 1e-9 * (1.0 + np.abs(upper - lower))
    for k in used:
        if nodes[k][0] > lower[k] + slack[k] or nodes[k][-1] < upper[k] - slack[k]:
            reach = f"the aggregator's coordinate {k} ranges over [{lower[k]:g}, {upper[k]:g}]"
            return f"the table of coordinate {k} covers [{nodes[k][0]:g}, {nodes[k][-1]:g}], but {reach}"
    return None
