r"""Concave functions :math:`\Psi` of the aggregator, by the pieces of a convex program that stand for them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen
from eqsolve.errors import InvalidData

DIFFERENCE = 1e-5
"""Step of a difference quotient, relative to the range of the coordinate."""

STRAIGHT = 1e-12
"""Relative difference of slopes that counts as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    r"""A concave quadratic in pieces y: :math:`x = origin + \sum_m y_m e_{coordinate_m}`,
    :math:`\Psi(x) = offset + slope \cdot y + \tfrac12 y' curvature\, y`, with ``lower <= y <= upper``.

    Parameters
    ----------
    origin : (d,). coordinate, slope, lower, upper : (M,), the pieces of a coordinate consecutive and in order.
    curvature : (M,) the diagonal, or (M, M); negative semidefinite. offset : a number.
    """

    origin: FloatArray
    coordinate: IntArray
    slope: FloatArray
    curvature: FloatArray
    lower: FloatArray
    upper: FloatArray
    offset: float


class Shape(ABC):
    r"""A concave function :math:`\Psi` with its gradient F."""

    is_exact = True
    """Whether ``pieces`` are the function itself, or a quadratic model at a point."""

    @property
    @abstractmethod
    def n_coordinates(self) -> int:
        """Number of coordinates d."""

    @abstractmethod
    def value(self, x: FloatArray) -> float:
        """The function at a point (d,)."""

    @abstractmethod
    def gradient(self, x: FloatArray) -> FloatArray:
        """F (d,) at a point (d,)."""

    @abstractmethod
    def pieces(self, x: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
        """The function in pieces over the box ``lower - pad .. upper + pad``; the model at ``x`` where it is not exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Quadratic(Shape):
    r""":math:`\Psi(x) = slope \cdot x + \tfrac12 x' matrix\, x`, matrix (d, d) symmetric and negative semidefinite."""

    matrix: FloatArray
    slope: FloatArray

    def __post_init__(self) -> None:
        slope = float_array("shape.slope", self.slope, (None,))
        matrix = float_array("shape.matrix", self.matrix, (len(slope), len(slope)))
        size = max(float(np.abs(matrix).max(initial=0.0)), 1e-300)
        askew = np.abs(matrix - matrix.T)
        if askew.max(initial=0.0) > 1e-9 * size:
            a, b = (int(one) for one in np.unravel_index(int(np.argmax(askew)), askew.shape))
            raise InvalidData(f"shape.matrix[{a}, {b}] is {matrix[a, b]:g}, but [{b}, {a}] is {matrix[b, a]:g}", "It is symmetric.")
        top = float(np.linalg.eigvalsh(matrix).max(initial=0.0))
        if top > 1e-9 * size:
            raise InvalidData(f"shape.matrix has the eigenvalue {top:g}", "A concave function has none above 0.")
        object.__setattr__(self, "slope", slope)
        object.__setattr__(self, "matrix", frozen(_concave(matrix)))

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return len(self.slope)

    def value(self, x: FloatArray) -> float:
        """Linear and quadratic part."""
        return float(self.slope @ x + x @ self.matrix @ x / 2)

    def gradient(self, x: FloatArray) -> FloatArray:
        """Slope plus matrix times x."""
        return np.asarray(self.slope + self.matrix @ x)

    def pieces(self, x: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
        """One piece for each coordinate."""
        return _one_each(self.matrix, self.gradient(lower), self.value(lower), lower, upper, pad)


@dataclass(frozen=True, slots=True, eq=False)
class Curves(Shape):
    r""":math:`\Psi(x) = \sum_k \int_{nodes_{k0}}^{x_k} F_k`, each F_k piecewise linear, and falling or level.

    Parameters
    ----------
    nodes : d arrays, increasing, each of 2 or more; beyond its ends a curve goes on as its last piece does.
    values : d arrays of the values of F_k at the nodes.
    """

    nodes: tuple[FloatArray, ...]
    values: tuple[FloatArray, ...]

    def __post_init__(self) -> None:
        if len(self.nodes) != len(self.values):
            raise InvalidData(f"shape.nodes has {len(self.nodes)} curves, shape.values {len(self.values)}")
        nodes = tuple(float_array(f"shape.nodes[{k}]", one, (None,)) for k, one in enumerate(self.nodes))
        values = tuple(float_array(f"shape.values[{k}]", v, (len(nodes[k]),)) for k, v in enumerate(self.values))
        for k, (at, value) in enumerate(zip(nodes, values, strict=True)):
            if len(at) < 2 or np.diff(at).min() <= 0:
                raise InvalidData(f"shape.nodes[{k}] does not increase, or has fewer than 2 nodes")
            rise = np.diff(value)
            if rise.max() > 1e-9 * max(float(np.abs(value).max()), 1e-300):
                s = int(np.argmax(rise))
                raise InvalidData(f"shape.values[{k}] rises from {value[s]:g} to {value[s + 1]:g}", "A concave function's falls.")
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "values", values)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return len(self.nodes)

    def value(self, x: FloatArray) -> float:
        """The areas under the curves."""
        total = 0.0
        for k, (at, value) in enumerate(zip(self.nodes, self.values, strict=True)):
            s = _piece(at, x[k])
            mean = (value[1:] + value[:-1]) / 2
            part = x[k] - at[s]
            slope = (value[s + 1] - value[s]) / (at[s + 1] - at[s])
            total += float(mean[:s] @ np.diff(at)[:s] + value[s] * part + slope * part**2 / 2)
        return total

    def gradient(self, x: FloatArray) -> FloatArray:
        """The curves themselves."""
        found = np.empty(len(x))
        for k, (at, value) in enumerate(zip(self.nodes, self.values, strict=True)):
            s = _piece(at, x[k])
            found[k] = value[s] + (value[s + 1] - value[s]) / (at[s + 1] - at[s]) * (x[k] - at[s])
        return found

    def pieces(self, x: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
        """One piece for each interval between nodes that the box reaches; concavity fills them in order."""
        coordinate, slope, curvature, low, high = [], [], [], [], []
        for k, at in enumerate(self.nodes):
            inner = at[1:-1][(at[1:-1] > lower[k]) & (at[1:-1] < upper[k])]
            edges = np.concatenate(([lower[k]], inner, [max(upper[k], lower[k])]))
            s = np.array([_piece(at, one) for one in (edges[:-1] + edges[1:]) / 2])
            steep = np.diff(self.values[k])[s] / np.diff(at)[s]
            # Neighbours on one straight line are one piece.
            bend = np.concatenate(([True], np.abs(np.diff(steep)) > STRAIGHT * np.abs(steep).max(initial=0.0)))
            s, steep, edges = s[bend], steep[bend], np.concatenate((edges[:-1][bend], edges[-1:]))
            length = np.diff(edges)
            coordinate.append(np.full(len(s), k))
            slope.append(self.values[k][s] + steep * (edges[:-1] - at[s]))
            curvature.append(np.minimum(steep, 0.0))
            low.append(np.where(np.arange(len(s)) == 0, -pad[k], 0.0))
            high.append(np.where(np.arange(len(s)) == len(s) - 1, length + pad[k], length))
        return Pieces(
            origin=lower,
            coordinate=np.concatenate(coordinate),
            slope=np.concatenate(slope),
            curvature=np.concatenate(curvature),
            lower=np.concatenate(low),
            upper=np.concatenate(high),
            offset=self.value(lower),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Powers(Shape):
    r"""F_k(x) = :math:`\sum_{p \ge 0} coefficient_{kp}\, x_k^p`, coefficient (d, P); concave where every F_k falls."""

    coefficient: FloatArray

    is_exact = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "coefficient", float_array("shape.coefficient", self.coefficient, (None, None)))

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return len(self.coefficient)

    def value(self, x: FloatArray) -> float:
        """The integral from 0."""
        p = np.arange(self.coefficient.shape[1])
        return float((self.coefficient / (p + 1) * x[:, None] ** (p + 1)).sum())

    def gradient(self, x: FloatArray) -> FloatArray:
        """The polynomials."""
        return np.asarray((self.coefficient * x[:, None] ** np.arange(self.coefficient.shape[1])).sum(axis=1))

    def pieces(self, x: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
        """The quadratic model at ``x``."""
        p = np.arange(1, self.coefficient.shape[1])
        steep = (self.coefficient[:, 1:] * p * x[:, None] ** (p - 1)).sum(axis=1)
        return _model(self, x, np.diag(np.minimum(steep, 0.0)), lower, upper, pad)


class Smooth(Shape):
    r"""Any differentiable concave :math:`\Psi`, given by functions.

    Parameters
    ----------
    value, gradient : ``value(x)`` and ``gradient(x)`` for x (d,); the gradient returns (d,).
    n_coordinates : d.
    hessian : ``hessian(x)`` (d, d); difference quotients of the gradient when left out.
    """

    is_exact = False

    def __init__(
        self,
        value: Callable[[FloatArray], Any],
        gradient: Callable[[FloatArray], Any],
        n_coordinates: int,
        hessian: Callable[[FloatArray], Any] | None = None,
    ) -> None:
        for name, given in (("value", value), ("gradient", gradient)):
            if not callable(given):
                raise InvalidData(f"shape.{name} is {given!r}, which cannot be called", "Give a function of x.")
        self._value, self._gradient, self._hessian, self._d = value, gradient, hessian, n_coordinates

    def parts(self) -> dict[str, Any]:
        """What the constructor takes; files cannot hold the functions, fingerprints take their names."""
        return {"value": self._value, "gradient": self._gradient, "n_coordinates": self._d, "hessian": self._hessian}

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return self._d

    def value(self, x: FloatArray) -> float:
        """The user's function."""
        return float(self._value(x))

    def gradient(self, x: FloatArray) -> FloatArray:
        """The user's function, its answer checked."""
        return float_array("shape.gradient(x)", self._gradient(x), (self._d,))

    def pieces(self, x: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
        """The quadratic model at ``x``."""
        if self._hessian is not None:
            matrix = float_array("shape.hessian(x)", self._hessian(x), (self._d, self._d))
        else:
            matrix = np.zeros((self._d, self._d))
            for k in np.flatnonzero(upper > lower):
                step = DIFFERENCE * (upper[k] - lower[k])
                ends = np.repeat(x[None, :], 2, axis=0)
                ends[:, k] = np.clip((x[k] - step, x[k] + step), lower[k], upper[k])
                matrix[k] = (self.gradient(ends[1]) - self.gradient(ends[0])) / (ends[1, k] - ends[0, k])
        return _model(self, x, _concave((matrix + matrix.T) / 2), lower, upper, pad)


def _model(shape: Shape, x: FloatArray, matrix: FloatArray, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
    """The quadratic with the shape's value and gradient at ``x`` and the given curvature."""
    away, rise = lower - x, shape.gradient(x)
    value = shape.value(x) + float(rise @ away + away @ matrix @ away / 2)
    return _one_each(matrix, rise + matrix @ away, value, lower, upper, pad)


def _one_each(matrix: FloatArray, slope: FloatArray, value: float, lower: FloatArray, upper: FloatArray, pad: FloatArray) -> Pieces:
    return Pieces(lower, np.arange(len(lower)), slope, matrix, -pad, upper - lower + pad, value)


def _concave(matrix: FloatArray) -> FloatArray:
    """The nearest negative semidefinite matrix; a diagonal one stays diagonal."""
    matrix = (matrix + matrix.T) / 2
    if not np.count_nonzero(matrix - np.diag(np.diag(matrix))):
        return np.diag(np.minimum(np.diag(matrix), 0.0))
    values, vectors = np.linalg.eigh(matrix)
    if values.max(initial=0.0) <= 0.0:
        return matrix
    cut = (vectors * np.minimum(values, 0.0)) @ vectors.T
    return np.asarray((cut + cut.T) / 2)


def _piece(nodes: FloatArray, x: float) -> int:
    return min(max(int(np.searchsorted(nodes, x, side="right")) - 1, 0), len(nodes) - 2)
