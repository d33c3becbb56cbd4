"""Costs on straight lines between points, and costs given as functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.cost_function import Costs
from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, whole_number
from eqsolve.errors import InvalidGame

NODES = 64
"""Points of the Gauss-Legendre rule for integrals that are not given."""


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseLinearCosts(Costs):
    """Costs between given points on straight lines; beyond the last point the last line goes on.

    Parameters
    ----------
    flow : R arrays of increasing flows, each from 0 on. cost : R arrays of costs >= 0 at them, of the same lengths.

    Raises
    ------
    InvalidGame : lengths, a first flow that is not 0, flows that do not increase, a negative cost; the message names the resource.
    """

    flow: tuple[FloatArray, ...]
    cost_at: tuple[FloatArray, ...]
    _nodes: FloatArray = field(init=False, repr=False)
    _values: FloatArray = field(init=False, repr=False)
    _slopes: FloatArray = field(init=False, repr=False)
    _areas: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        flow = tuple(float_array(f"flow[{r}]", one, (None,), error=InvalidGame) for r, one in enumerate(self.flow))
        if len(self.cost_at) != len(flow):
            raise InvalidGame(f"there are costs of {len(self.cost_at)} resources, and flows of {len(flow)}")
        cost = tuple(float_array(f"cost[{r}]", one, flow[r].shape, error=InvalidGame) for r, one in enumerate(self.cost_at))
        for r, (x, c) in enumerate(zip(flow, cost, strict=True)):
            if not len(x) or x[0] != 0:
                raise InvalidGame(f"flow[{r}] begins at {x[0] if len(x) else 'nothing'}, not at 0")
            if (np.diff(x) <= 0).any():
                k = int(np.argmax(np.diff(x) <= 0))
                raise InvalidGame(f"flow[{r}] goes from {x[k]:g} to {x[k + 1]:g}; flows must increase")
            if c.min() < 0:
                raise InvalidGame(f"cost[{r}, {int(np.argmin(c))}] is {c.min():g}, not 0 or more")
        width = max((len(x) for x in flow), default=1)
        nodes, values, slopes = np.full((len(flow), width), np.inf), np.zeros((len(flow), width)), np.zeros((len(flow), width))
        for r, (x, c) in enumerate(zip(flow, cost, strict=True)):
            lines = np.diff(c) / np.diff(x)
            nodes[r, : len(x)], values[r, : len(x)] = x, c
            slopes[r, : len(x)] = np.append(lines, lines[-1] if len(lines) else 0.0)
        areas = np.zeros_like(nodes)
        for r, (x, c) in enumerate(zip(flow, cost, strict=True)):
            areas[r, 1 : len(x)] = np.cumsum(np.diff(x) * 0.5 * (c[1:] + c[:-1]))
        own = {"flow": flow, "cost_at": cost, "_nodes": nodes, "_values": values, "_slopes": slopes, "_areas": areas}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """Number of resources R."""
        return len(self.flow)

    def _piece(self, flow: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Of the line that each flow lies on: how far along it the flow is, the cost where it begins, slope and area before."""
        x = np.maximum(np.asarray(flow, dtype=np.float64), 0.0)
        r = np.arange(self.size)
        k = (x[..., None] >= self._nodes).sum(axis=-1) - 1
        return x - self._nodes[r, k], self._values[r, k], self._slopes[r, k], self._areas[r, k]

    def cost(self, flow: FloatArray) -> FloatArray:
        """On the line."""
        along, value, slope, _ = self._piece(flow)
        return np.asarray(value + slope * along)

    def integral(self, flow: FloatArray) -> FloatArray:
        """Trapezoids."""
        along, value, slope, area = self._piece(flow)
        return np.asarray(area + along * (value + 0.5 * slope * along))

    def derivative(self, flow: FloatArray) -> FloatArray:
        """The slope of the line to the right."""
        return self._piece(flow)[2]

    def curvature(self, flow: FloatArray) -> FloatArray:
        """0 between the kinks."""
        return np.zeros(np.shape(flow))

    def take(self, resources: IntArray) -> Costs:
        """Some of the resources."""
        chosen = [int(r) for r in resources]
        return PiecewiseLinearCosts(tuple(self.flow[r] for r in chosen), tuple(self.cost_at[r] for r in chosen))

    @property
    def is_nondecreasing(self) -> bool:
        """No line falls."""
        return bool((self._slopes >= 0).all())

    @property
    def is_convex(self) -> bool:
        """No line is flatter than the one before."""
        return all((np.diff(self._slopes[r, : len(x)]) >= 0).all() for r, x in enumerate(self.flow))

    def steepest(self, most: FloatArray) -> FloatArray:
        """The steepest line that is reached."""
        return np.asarray(np.where(self._nodes <= most[:, None], np.abs(self._slopes), 0.0).max(axis=1, initial=0.0))

    def breakpoints(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """What was given."""
        return tuple(zip(self.flow, self.cost_at, strict=True))


class CallableCosts(Costs):
    """Any functions of the flows, with the user's word on their monotonicity.

    Parameters
    ----------
    function, derivative : take flows (..., R) and return costs and their derivatives of the same shape; deterministic.
    size : R. integral : the same for the integral from 0; by a Gauss-Legendre rule of 64 points when left
        out, and bounds of Beckmann's objective are then as exact as the rule, which kinks and jumps spoil.
    nondecreasing, convex : what is said of the functions; ``check`` tries the first on samples.

    Raises
    ------
    InvalidGame : something that cannot be called, an answer of another shape or that is not finite.
    """

    def __init__(
        self,
        function: Callable[[FloatArray], Any],
        derivative: Callable[[FloatArray], Any],
        size: int,
        integral: Callable[[FloatArray], Any] | None = None,
        nondecreasing: bool = True,
        convex: bool = False,
        resources: npt.ArrayLike | None = None,
    ) -> None:
        for name, given in (("function", function), ("derivative", derivative), ("integral", integral)):
            if not callable(given) and not (name == "integral" and given is None):
                raise InvalidGame(f"costs.{name} is {given!r}, which cannot be called", "Give a function of flows (..., R).")
        self._given = function, derivative, integral
        self._all = whole_number("costs.size", size, 1, InvalidGame)
        self._said = bool(nondecreasing), bool(convex)
        self._resources = (
            np.arange(self._all) if resources is None else int_array("resources", resources, (None,), error=InvalidGame)
        )

    def parts(self) -> dict[str, Any]:
        """What the constructor takes; files cannot hold the functions, fingerprints take their names."""
        function, derivative, integral = self._given
        return {
            "function": function,
            "derivative": derivative,
            "size": self._all,
            "integral": integral,
            "nondecreasing": self._said[0],
            "convex": self._said[1],
            "resources": self._resources,
        }

    @property
    def size(self) -> int:
        """Number of resources R."""
        return len(self._resources)

    def _ask(self, name: str, function: Callable[[FloatArray], Any], flow: FloatArray) -> FloatArray:
        x = np.maximum(np.asarray(flow, dtype=np.float64), 0.0)
        full = np.zeros((*x.shape[:-1], self._all))
        full[..., self._resources] = x
        return float_array(f"costs.{name}(flow)", function(full), full.shape, error=InvalidGame)[..., self._resources]

    def cost(self, flow: FloatArray) -> FloatArray:
        """The function, its answer checked."""
        return self._ask("function", self._given[0], flow)

    def integral(self, flow: FloatArray) -> FloatArray:
        """The function given for it, or the rule."""
        if self._given[2] is not None:
            return self._ask("integral", self._given[2], flow)
        x = np.maximum(np.asarray(flow, dtype=np.float64), 0.0)
        point, weight = np.polynomial.legendre.leggauss(NODES)
        share = (0.5 * (point + 1.0)).reshape(-1, *(1,) * x.ndim)
        return np.asarray(x * np.einsum("k,k...->...", 0.5 * weight, self.cost(share * x)))

    def derivative(self, flow: FloatArray) -> FloatArray:
        """The function given for it, its answer checked."""
        return self._ask("derivative", self._given[1], flow)

    def take(self, resources: IntArray) -> Costs:
        """The same functions, of some of their resources."""
        return CallableCosts(**(self.parts() | {"resources": self._resources[resources]}))

    @property
    def is_nondecreasing(self) -> bool:
        """The user's word."""
        return self._said[0]

    @property
    def is_convex(self) -> bool:
        """The user's word."""
        return self._said[1]
