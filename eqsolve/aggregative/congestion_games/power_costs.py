"""Costs that are sums of powers of the flow: travel times of the Bureau of Public Roads, polynomials, straight lines."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.cost_function import Costs, not_negative
from eqsolve.arrays import FloatArray, IntArray, float_array, frozen
from eqsolve.errors import InvalidGame


class PowerCosts(Costs):
    """Costs that are sums of powers of the flow; the families below only differ in what they are given."""

    __slots__ = ()

    @abstractmethod
    def powers(self) -> tuple[FloatArray, FloatArray]:
        """Coefficients and exponents (R, M); each exponent is 0, or at least 1."""

    @property
    def size(self) -> int:
        """Number of resources R."""
        return len(self.powers()[0])

    def cost(self, flow: FloatArray) -> FloatArray:
        """The sum of the powers."""
        a, e = self.powers()
        return _sum_of_powers(a, e, flow)

    def integral(self, flow: FloatArray) -> FloatArray:
        """Term by term."""
        a, e = self.powers()
        return _sum_of_powers(a / (e + 1.0), e + 1.0, flow)

    def derivative(self, flow: FloatArray) -> FloatArray:
        """Term by term."""
        a, e = self.powers()
        return _sum_of_powers(a * e, np.maximum(e - 1.0, 0.0), flow)

    def curvature(self, flow: FloatArray) -> FloatArray:
        """Term by term; of a power between 1 and 2 it is infinite at 0, and counts as 0 there."""
        a, e = self.powers()
        x = np.maximum(flow, 0.0)
        return _sum_of_powers(np.where(e > 1.0, a * e * (e - 1.0), 0.0), np.where(e > 1.0, e - 2.0, 0.0), x)

    def take(self, resources: IntArray) -> Costs:
        """Rows of the data."""
        a, e = self.powers()
        return SumOfPowers(a[resources], e[resources])

    @property
    def is_nondecreasing(self) -> bool:
        """No coefficient of a positive power is negative."""
        a, e = self.powers()
        return bool(((a >= 0) | (e == 0)).all())

    @property
    def is_convex(self) -> bool:
        """No coefficient of a power above 1 is negative."""
        a, e = self.powers()
        return bool(((a >= 0) | (e <= 1)).all())

    def steepest(self, most: FloatArray) -> FloatArray:
        """The sizes of the terms of the derivative at the largest flow."""
        a, e = self.powers()
        return _sum_of_powers(np.abs(a) * e, np.maximum(e - 1.0, 0.0), most)


def _sum_of_powers(a: FloatArray, e: FloatArray, flow: FloatArray) -> FloatArray:
    x = np.maximum(np.asarray(flow, dtype=np.float64), 0.0)
    total = np.zeros(x.shape)
    for m in range(a.shape[1]):
        exponent = e[:, m]
        same = float(exponent[0]) if len(exponent) and (exponent == exponent[0]).all() else None
        with np.errstate(divide="ignore"):
            power = np.ones_like(x) if same == 0.0 else x**exponent if same is None else x**same
        total += np.where(a[:, m] != 0.0, a[:, m] * np.where(np.isinf(power) & (x == 0.0), 0.0, power), 0.0)
    return total


@dataclass(frozen=True, slots=True, eq=False)
class SumOfPowers(PowerCosts):
    """c(x) = sum_m coefficient[r, m] x^exponent[r, m].

    Parameters
    ----------
    coefficient : (R, M); c(0) is 0 or more. exponent : (R, M), each 0 or at least 1.

    Raises
    ------
    InvalidGame : shapes, numbers that are not finite, another exponent, a cost that is negative without flow.
    """

    coefficient: FloatArray
    exponent: FloatArray

    def __post_init__(self) -> None:
        a = float_array("costs.coefficient", self.coefficient, (None, None), error=InvalidGame)
        e = float_array("costs.exponent", self.exponent, a.shape, error=InvalidGame)
        wrong = (e != 0) & (e < 1)
        if wrong.any():
            r, m = (int(one) for one in np.argwhere(wrong)[0])
            raise InvalidGame(f"costs.exponent[{r}, {m}] is {e[r, m]:g}, not 0 and not 1 or more")
        not_negative("costs at no flow", np.where(e == 0, a, 0.0).sum(axis=1))
        object.__setattr__(self, "coefficient", a)
        object.__setattr__(self, "exponent", e)

    def powers(self) -> tuple[FloatArray, FloatArray]:
        """What was given."""
        return self.coefficient, self.exponent


@dataclass(frozen=True, slots=True, eq=False)
class BPRCosts(PowerCosts):
    r"""Travel times of the Bureau of Public Roads, :math:`t_0 (1 + b\,(x / \text{capacity})^p)`.

    Parameters
    ----------
    free_flow : (R,) t_0 >= 0 in units of time. b : (R,) >= 0, 0.15 in the standard function.
    capacity : (R,) > 0, in the units of the flow (0 where b is 0). power : (R,) p, 0 or at least 1; 4 in the standard function.

    Raises
    ------
    InvalidGame : a number out of range (the message names the resource), shapes, a capacity so small that costs overflow.

    Examples
    --------
    >>> BPRCosts([10.0], 0.15, [100.0], 4).cost(np.array([200.0]))
    array([34.])
    """

    free_flow: FloatArray
    b: FloatArray
    capacity: FloatArray
    power: FloatArray
    _powers: tuple[FloatArray, FloatArray] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        t0 = float_array("free_flow", self.free_flow, (None,), error=InvalidGame)
        b, capacity, p = (float_array(k, getattr(self, k), (len(t0),), error=InvalidGame) for k in ("b", "capacity", "power"))
        for name, values in (("free_flow", t0), ("b", b), ("capacity", capacity)):
            not_negative(name, values)
        for wrong, name, values, wanted in (
            ((capacity == 0) & (b > 0), "capacity", capacity, "above 0"),
            ((p < 1) & (p != 0), "power", p, "0 and not 1 or more"),
        ):
            if wrong.any():
                r = int(np.argmax(wrong))
                raise InvalidGame(f"{name}[{r}] is {values[r]:g}, not {wanted}")
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            steep = np.where(b > 0, t0 * b * np.power(1.0 / np.where(capacity > 0, capacity, 1.0), p), 0.0)
        if not np.isfinite(steep).all():
            r = int(np.argmin(np.isfinite(steep)))
            raise InvalidGame(f"capacity[{r}] is {capacity[r]:g}: the cost overflows at flow 1", "Scale flows and capacities.")
        for name, values in (("free_flow", t0), ("b", b), ("capacity", capacity), ("power", p)):
            object.__setattr__(self, name, values)
        powers = frozen(np.column_stack((t0, steep))), frozen(np.column_stack((np.zeros(len(t0)), p)))
        object.__setattr__(self, "_powers", powers)

    def powers(self) -> tuple[FloatArray, FloatArray]:
        """Exponents 0 and p."""
        return self._powers

    def take(self, resources: IntArray) -> Costs:
        """Rows of the data."""
        return BPRCosts(self.free_flow[resources], self.b[resources], self.capacity[resources], self.power[resources])


@dataclass(frozen=True, slots=True, eq=False)
class PolynomialCosts(PowerCosts):
    """c(x) = sum_m coefficients[r, m] x^m.

    Parameters
    ----------
    coefficients : (R, M), M at least 1; c(0) is 0 or more, others may be negative where the cost stays 0 or more.

    Raises
    ------
    InvalidGame : shapes, numbers that are not finite, a cost that is negative without flow.
    """

    coefficients: FloatArray
    _exponent: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        a = float_array("coefficients", self.coefficients, (None, None), error=InvalidGame)
        if not a.shape[1]:
            raise InvalidGame("coefficients has no columns; a polynomial has at least a constant")
        not_negative("costs at no flow", a[:, 0])
        object.__setattr__(self, "coefficients", a)
        object.__setattr__(self, "_exponent", frozen(np.tile(np.arange(a.shape[1], dtype=np.float64), (len(a), 1))))

    def powers(self) -> tuple[FloatArray, FloatArray]:
        """Exponents 0 .. M-1."""
        return self.coefficients, self._exponent

    def take(self, resources: IntArray) -> Costs:
        """Rows of the data."""
        return PolynomialCosts(self.coefficients[resources])


class AffineCosts(PolynomialCosts):
    """c(x) = constant + slope x.

    Parameters
    ----------
    constant : (R,) >= 0. slope : (R,); below 0 the cost falls, and the game has no convex program.

    Raises
    ------
    InvalidGame : shapes, numbers that are not finite, a negative constant.
    """

    __slots__ = ()

    def __init__(self, constant: npt.ArrayLike, slope: npt.ArrayLike) -> None:
        base = float_array("constant", constant, (None,), error=InvalidGame)
        PolynomialCosts.__init__(self, np.column_stack((base, float_array("slope", slope, (len(base),), error=InvalidGame))))

    @property
    def constant(self) -> FloatArray:
        """(R,) costs without flow."""
        return self.coefficients[:, 0]

    @property
    def slope(self) -> FloatArray:
        """(R,) what a unit of flow adds."""
        return self.coefficients[:, 1]

    def parts(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {"constant": self.constant, "slope": self.slope}

    def take(self, resources: IntArray) -> Costs:
        """Rows of the data."""
        return AffineCosts(self.constant[resources], self.slope[resources])
