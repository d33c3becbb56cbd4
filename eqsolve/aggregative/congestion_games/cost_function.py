r"""Cost functions c_r(x_r) of resources, in units of time, with their integrals and derivatives; vectorised over the resources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidGame

SAMPLES = 17
"""Flows at which ``check`` tries each cost."""
ROUNDING = 1e-12
"""Relative fall of a sampled cost that counts as rounding."""


class Costs(ABC):
    """Costs of R resources, each a function of its own flow >= 0. Flows have the shape (..., R); those below 0 count as 0."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of resources R."""

    @abstractmethod
    def cost(self, flow: FloatArray) -> FloatArray:
        """c(x)."""

    @abstractmethod
    def integral(self, flow: FloatArray) -> FloatArray:
        """The integral of c from 0 to x."""

    @abstractmethod
    def derivative(self, flow: FloatArray) -> FloatArray:
        """c'(x), from the right where there is a kink."""

    def curvature(self, flow: FloatArray) -> FloatArray:
        """c''(x), by a difference of ``derivative`` unless the family knows better; steers Newton steps on marginal costs."""
        x = np.maximum(flow, 0.0)
        step = 1e-5 * np.maximum(x, 1e-3)
        return np.asarray((self.derivative(x + step) - self.derivative(x)) / step)

    @abstractmethod
    def take(self, resources: IntArray) -> Costs:
        """The costs of some resources, in the given order."""

    @property
    @abstractmethod
    def is_nondecreasing(self) -> bool:
        """Whether no cost falls with its flow: proved from the numbers, or the word of who gave the function."""

    @property
    @abstractmethod
    def is_convex(self) -> bool:
        """Whether every cost is a convex function of its flow: proved from the numbers, or declared."""

    def steepest(self, most: FloatArray) -> FloatArray:
        """(R,) bounds on |c'| between 0 and ``most`` (R,); from samples where only functions are given."""
        share = np.linspace(0.0, 1.0, SAMPLES)[:, None]
        return np.asarray(np.abs(self.derivative(share * most)).max(axis=0))

    def powers(self) -> tuple[FloatArray, FloatArray] | None:
        """Coefficients and exponents (R, M) with c = sum_m coefficient x^exponent; None where costs are not of this form."""
        return None

    def breakpoints(self) -> tuple[tuple[FloatArray, FloatArray], ...] | None:
        """Flows and costs at the kinks, one pair per resource; None where costs are not piecewise linear."""
        return None

    def check(self, most: FloatArray, label: Callable[[int], str] = "resource {}".format) -> None:
        """Try the costs at flows between 0 and ``most`` (R,).

        Raises
        ------
        InvalidGame : a cost is negative or not finite, or falls although it is said not to; the message names resource and flow.
        """
        flow = np.linspace(0.0, 1.0, SAMPLES)[:, None] * most
        with np.errstate(over="ignore", invalid="ignore"):
            cost = self.cost(flow)
        for wrong, what in ((~np.isfinite(cost), "a finite number"), (cost < 0, "0 or more")):
            if wrong.any():
                k, r = (int(one) for one in np.argwhere(wrong)[0])
                raise InvalidGame(f"the cost of {label(r)} is {cost[k, r]:g} at flow {flow[k, r]:g}, not {what}")
        if self.is_nondecreasing:
            fall = np.diff(cost, axis=0) < -ROUNDING * np.abs(cost[:-1])
            if fall.any():
                k, r = (int(one) for one in np.argwhere(fall)[0])
                raise InvalidGame(
                    f"the cost of {label(r)} falls from {cost[k, r]:g} to {cost[k + 1, r]:g} "
                    f"between flows {flow[k, r]:g} and {flow[k + 1, r]:g}",
                    "Say nondecreasing=False: the game then has no convex program.",
                )


def not_negative(name: str, values: FloatArray) -> None:
    """Refuse the first of numbers (R,) below 0."""
    if len(values) and values.min() < 0:
        r = int(np.argmin(values))
        raise InvalidGame(f"{name}[{r}] is {values[r]:g}, not 0 or more")
