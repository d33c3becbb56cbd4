r"""Families of payoffs u_c(x) of an aggregative game, one for each column c = (player type, action).

Every family evaluates at any aggregator x in batch and bounds its own Lipschitz constants over a box, in the sup norm:
:math:`|u_c(x) - u_c(x')| \le \gamma_c \lVert x - x' \rVert_\infty`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, whole_number
from eqsolve.errors import InvalidGame

RANGE = 1e-14
"""Rounding of a bound on payoffs, relative to the sum of the sizes of its terms."""


class Payoffs(ABC):
    """Payoffs of N columns over d aggregator coordinates."""

    lipschitz_is_computed = True
    """Whether ``lipschitz`` follows from the family's own numbers; False where it is the user's word."""

    @property
    @abstractmethod
    def n_columns(self) -> int:
        """Number of columns N."""

    @property
    @abstractmethod
    def n_coordinates(self) -> int:
        """Number of aggregator coordinates d."""

    @abstractmethod
    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Payoffs (K,) of columns (K,), each at its own aggregator (K, d)."""

    @abstractmethod
    def batch(self, x: FloatArray) -> FloatArray:
        """Payoffs (B, N) of all columns at aggregators (B, d)."""

    @abstractmethod
    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Constants (N,) valid for any two points of the box ``lower <= x <= upper`` (d,), in the sup norm.

        Infinite where the arithmetic overflows.
        """

    def range_on(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Bounds (N,), (N,) on the payoffs over a box (d,), rounding included, from the family's own form.

        Infinite where it says no more than ``lipschitz`` does.
        """
        return np.full(self.n_columns, -np.inf), np.full(self.n_columns, np.inf)

    def lead_on(self, columns: IntArray, others: IntArray, lower: FloatArray, upper: FloatArray) -> FloatArray | None:
        """The most (K,) by which columns (K,) exceed others (K,) over a box (d,), rounding included.

        None where the family knows no more of it than ``range_on``.
        """
        return None

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
        """Number of columns N."""
        return len(self.base)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return int(self.slope.shape[1])

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Base plus slope, column by column."""
        return np.asarray(self.base[columns] + np.einsum("kd,kd->k", self.slope[columns], x))

    def batch(self, x: FloatArray) -> FloatArray:
        """Base plus one matrix product."""
        return np.asarray(x @ self.slope.T + self.base)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """The exact constants, on any box: sum of |slope| over the coordinates that can move."""
        with np.errstate(over="ignore"):
            return np.asarray(np.abs(self.slope) @ (upper > lower).astype(float))

    def range_on(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Exact: the value at the middle, and the sum of |slope| times half the width."""
        middle = self.base + self.slope @ ((lower + upper) / 2)
        steep = np.abs(self.slope)
        room = steep @ ((upper - lower) / 2) + RANGE * (np.abs(self.base) + steep @ np.maximum(np.abs(lower), np.abs(upper)))
        return middle - room, middle + room

    def lead_on(self, columns: IntArray, others: IntArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Exact: slopes that are common to both columns cancel."""
        slope = self.slope[columns] - self.slope[others]
        size = np.abs(self.base) + np.abs(self.slope) @ np.maximum(np.abs(lower), np.abs(upper))
        middle = self.base[columns] - self.base[others] + slope @ ((lower + upper) / 2)
        return np.asarray(middle + np.abs(slope) @ ((upper - lower) / 2) + RANGE * (size[columns] + size[others]))

    def take(self, columns: IntArray) -> Self:
        """Rows of base and slope."""
        return type(self)(self.base[columns], self.slope[columns])

    def signature(self) -> FloatArray:
        """Base and slope."""
        return np.column_stack((self.base, self.slope))

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """No payoff may overflow."""
        with np.errstate(over="ignore"):
            size = np.abs(self.base) + np.abs(self.slope) @ np.maximum(np.abs(lower), np.abs(upper))
        return overflow_in(size, lower, upper)


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
    _lowered: IntArray = field(init=False, repr=False)

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
        one_less = np.maximum(powers - np.eye(powers.shape[1], dtype=np.int64)[:, None, :], 0)
        object.__setattr__(self, "_lowered", one_less)

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self.coefficient)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return int(self.powers.shape[1])

    def _monomials(self, x: FloatArray) -> FloatArray:
        values = np.ones((len(x), len(self.powers)))
        for k in range(self.n_coordinates):
            own = np.flatnonzero(self.powers[:, k])
            values[:, own] *= x[:, k, None] ** self.powers[None, own, k]
        return values

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """Monomials times coefficients, column by column."""
        return np.asarray(np.einsum("ke,ke->k", self.coefficient[columns], self._monomials(x)))

    def batch(self, x: FloatArray) -> FloatArray:
        """Monomials at each point, then one matrix product."""
        return np.asarray(self._monomials(x) @ self.coefficient.T)

    def lipschitz(self, lower: FloatArray, upper: FloatArray) -> FloatArray:
        """Interval bounds on the partial derivatives, added over the coordinates; exact for single-signed terms."""
        moving = np.flatnonzero(upper > lower)
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = self._derivative_intervals(moving, lower, upper)
            sides = np.hstack((np.vstack((low, high)), np.vstack((high, low))))
            down_and_up = np.abs(self._parts @ sides)
            steepest = np.maximum(down_and_up[:, : len(moving)], down_and_up[:, len(moving) :])
            # Column by column: several times faster than a reduction over a short last axis.
            total = sum((steepest[:, k] for k in range(len(moving))), np.zeros(self.n_columns))
        return np.where(np.isnan(total), np.inf, total)

    def range_on(self, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Interval arithmetic, term by term: exact where each coordinate is in one term of a single sign."""
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = self._intervals(self.powers, np.ones(len(self.powers)), lower, upper)
            least = self._parts @ np.concatenate((low, high))
            most = self._parts @ np.concatenate((high, low))
            size = np.maximum(np.abs(low), np.abs(high))
            room = RANGE * (np.abs(self.coefficient) @ size)
        return np.nan_to_num(least - room, nan=-np.inf), np.nan_to_num(most + room, nan=np.inf, posinf=np.inf, neginf=-np.inf)

    def _derivative_intervals(self, moving: IntArray, lower: FloatArray, upper: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Intervals (E, M), (E, M) over the box of the derivative of each monomial by each coordinate of ``moving`` (M,)."""
        factor = self.powers[:, moving].T.astype(float)
        low, high = self._intervals(self._lowered[moving], factor, lower, upper)
        return low.T, high.T

    def _intervals(
        self, powers: IntArray, factor: FloatArray, lower: FloatArray, upper: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Intervals (...), (...) over the box of ``factor`` (...) >= 0 times the monomials of ``powers`` (..., d)."""
        ends = np.stack((lower, upper)).reshape(2, *(1,) * (powers.ndim - 1), len(lower)) ** powers
        if (lower >= 0).all():
            low, high = ends.prod(axis=-1) * factor
            return low, high
        least, most = ends.min(axis=0), ends.max(axis=0)
        through_zero = (lower < 0) & (upper > 0) & (powers > 0) & (powers % 2 == 0)
        least = np.where(through_zero, 0.0, least)
        low = high = factor
        for axis in range(self.n_coordinates):
            a, b = least[..., axis], most[..., axis]
            corners = np.stack((low * a, low * b, high * a, high * b))
            low, high = corners.min(axis=0), corners.max(axis=0)
        return low, high

    def take(self, columns: IntArray) -> Self:
        """Rows of the coefficients."""
        return type(self)(self.powers, self.coefficient[columns])

    def signature(self) -> FloatArray:
        """The coefficients."""
        return self.coefficient

    def covers(self, lower: FloatArray, upper: FloatArray) -> str | None:
        """No payoff may overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(self.coefficient) @ self._monomials(np.maximum(np.abs(lower), np.abs(upper))[None, :])[0]
        return overflow_in(size, lower, upper)


class CallablePayoffs(Payoffs):
    r"""Any function, with the user's word on its Lipschitz constants.

    Parameters
    ----------
    function : ``function(columns, x)`` with columns (K,) int64 and x (K, d), returning (K,) payoffs. Must be deterministic.
    lipschitz : one number or (N,), in the sup norm over the attainable range. It is the user's word: results carry it as an
        assumption, and ``AggregativeGame.check_lipschitz`` tries to refute it by samples.
    n_columns, n_coordinates : N and d.

    Raises
    ------
    InvalidGame : ``function`` cannot be called, a constant is negative or not finite, or a size is not a whole number.
    """

    lipschitz_is_computed = False

    def __init__(
        self, function: Callable[[IntArray, FloatArray], Any], lipschitz: float | FloatArray, n_columns: int, n_coordinates: int
    ) -> None:
        self.function = _checked_function(function)
        n = whole_number("payoff.n_columns", n_columns, 0, InvalidGame)
        self.constants = float_array("payoff.lipschitz", lipschitz, (n,), error=InvalidGame)
        if n and self.constants.min() < 0:
            c = int(np.argmin(self.constants))
            raise InvalidGame(f"payoff.lipschitz[{c}] is {self.constants[c]}; a Lipschitz constant is 0 or more")
        self._columns = np.arange(n)
        self._dimension = whole_number("payoff.n_coordinates", n_coordinates, 1, InvalidGame)

    def parts(self) -> dict[str, Any]:
        """What the constructor takes; files cannot hold the function, fingerprints take its name."""
        return {
            "function": self.function,
            "lipschitz": self.constants,
            "n_columns": self.n_columns,
            "n_coordinates": self._dimension,
        }

    @property
    def n_columns(self) -> int:
        """Number of columns N."""
        return len(self._columns)

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates d."""
        return self._dimension

    def at(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """The function, its answer checked for shape and finiteness; it is not asked for no columns at all."""
        if not len(columns):
            return np.zeros(0)
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


def _checked_function(given: Any) -> Callable[[IntArray, FloatArray], Any]:
    if not callable(given):
        remedy = "Give a function of (columns, x); tables and formulas have families of their own."
        raise InvalidGame(f"payoff.function is {given!r}, which cannot be called", remedy)
    function: Callable[[IntArray, FloatArray], Any] = given
    return function


def overflow_in(size: FloatArray, lower: FloatArray, upper: FloatArray) -> str | None:
    """Why payoffs of at most ``size`` (N,) cannot be evaluated, or None."""
    if np.isfinite(size).all():
        return None
    c = int(np.argmin(np.isfinite(size)))
    return f"the payoff of column {c} exceeds the largest float between x = {lower.tolist()} and x = {upper.tolist()}"
