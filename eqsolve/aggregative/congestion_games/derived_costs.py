"""Costs made of other costs: marginal costs, tolls, and families side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eqsolve.aggregative.congestion_games.cost_function import Costs
from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, int_array
from eqsolve.errors import InvalidGame


@dataclass(frozen=True, slots=True, eq=False)
class MarginalCosts(Costs):
    r"""What one more unit of flow costs everyone, :math:`c(x) + x\,c'(x)`: its equilibrium is the system optimum of ``costs``."""

    costs: Costs

    @property
    def size(self) -> int:
        """Number of resources R."""
        return self.costs.size

    def cost(self, flow: FloatArray) -> FloatArray:
        """c + x c'."""
        x = np.maximum(flow, 0.0)
        return np.asarray(self.costs.cost(x) + x * self.costs.derivative(x))

    def integral(self, flow: FloatArray) -> FloatArray:
        """x c."""
        x = np.maximum(flow, 0.0)
        return np.asarray(x * self.costs.cost(x))

    def derivative(self, flow: FloatArray) -> FloatArray:
        """2 c' + x c''."""
        x = np.maximum(flow, 0.0)
        return np.asarray(2.0 * self.costs.derivative(x) + x * self.costs.curvature(x))

    def take(self, resources: IntArray) -> Costs:
        """Of some of the resources."""
        return MarginalCosts(self.costs.take(resources))

    @property
    def is_nondecreasing(self) -> bool:
        """Costs that do not fall and are convex, or sums of powers without negative coefficients."""
        powers = self.powers()
        if powers is not None:
            return bool(((powers[0] >= 0) | (powers[1] == 0)).all())
        return self.costs.is_nondecreasing and self.costs.is_convex

    @property
    def is_convex(self) -> bool:
        """Sums of powers without negative coefficients above the first power; unknown of others."""
        powers = self.powers()
        return powers is not None and bool(((powers[0] >= 0) | (powers[1] <= 1)).all())

    def powers(self) -> tuple[FloatArray, FloatArray] | None:
        """Each coefficient times one more than its exponent."""
        powers = self.costs.powers()
        return None if powers is None else (powers[0] * (1.0 + powers[1]), powers[1])


@dataclass(frozen=True, slots=True, eq=False)
class TolledCosts(Costs):
    """Costs plus a toll of each resource.

    Parameters
    ----------
    costs : R costs. toll : (R,) in units of the costs; a toll below 0 is a subsidy, which may not make a cost negative.

    Raises
    ------
    InvalidGame : another shape, a number that is not finite, a subsidy above the cost without flow.
    """

    costs: Costs
    toll: FloatArray

    def __post_init__(self) -> None:
        toll = float_array("toll", self.toll, (self.costs.size,), error=InvalidGame)
        low = self.costs.cost(np.zeros(self.costs.size)) + toll
        if len(low) and low.min() < 0:
            r = int(np.argmin(low))
            raise InvalidGame(f"toll[{r}] is {toll[r]:g}: the cost without flow is {low[r]:g}, not 0 or more")
        object.__setattr__(self, "toll", toll)

    @property
    def size(self) -> int:
        """Number of resources R."""
        return self.costs.size

    def cost(self, flow: FloatArray) -> FloatArray:
        """c + toll."""
        return np.asarray(self.costs.cost(flow) + self.toll)

    def integral(self, flow: FloatArray) -> FloatArray:
        """That of c, and toll x."""
        return np.asarray(self.costs.integral(flow) + self.toll * np.maximum(flow, 0.0))

    def derivative(self, flow: FloatArray) -> FloatArray:
        """c'."""
        return self.costs.derivative(flow)

    def curvature(self, flow: FloatArray) -> FloatArray:
        """c''."""
        return self.costs.curvature(flow)

    def take(self, resources: IntArray) -> Costs:
        """Of some of the resources."""
        return TolledCosts(self.costs.take(resources), self.toll[resources])

    @property
    def is_nondecreasing(self) -> bool:
        """As without tolls."""
        return self.costs.is_nondecreasing

    @property
    def is_convex(self) -> bool:
        """As without tolls."""
        return self.costs.is_convex

    def steepest(self, most: FloatArray) -> FloatArray:
        """As without tolls."""
        return self.costs.steepest(most)

    def powers(self) -> tuple[FloatArray, FloatArray] | None:
        """One more term of exponent 0."""
        powers = self.costs.powers()
        if powers is None:
            return None
        return np.column_stack((powers[0], self.toll)), np.column_stack((powers[1], np.zeros(self.size)))

    def breakpoints(self) -> tuple[tuple[FloatArray, FloatArray], ...] | None:
        """The same flows, dearer."""
        points = self.costs.breakpoints()
        return None if points is None else tuple((x, c + toll) for (x, c), toll in zip(points, self.toll.tolist(), strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class MixedCosts(Costs):
    """Families side by side.

    Parameters
    ----------
    parts : the families. which : (R,) the family of each resource; a family's resources are its own in their order.

    Raises
    ------
    InvalidGame : a family that does not exist, or has another number of resources than are given to it.
    """

    families: tuple[Costs, ...]
    which: IntArray
    _place: tuple[IntArray, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        families = tuple(self.families)
        which = int_array("which", self.which, (None,), error=InvalidGame)
        wrong = (which < 0) | (which >= len(families))
        if wrong.any():
            r = int(np.argmax(wrong))
            raise InvalidGame(f"which[{r}] is {which[r]}; there are {len(families)} families of costs")
        place = tuple(frozen(np.flatnonzero(which == k)) for k in range(len(families)))
        for k, (one, own) in enumerate(zip(families, place, strict=True)):
            if one.size != len(own):
                raise InvalidGame(f"family {k} has costs of {one.size} resources; which gives it {len(own)}")
        object.__setattr__(self, "families", families)
        object.__setattr__(self, "which", which)
        object.__setattr__(self, "_place", place)

    @property
    def size(self) -> int:
        """Number of resources R."""
        return len(self.which)

    def _ask(self, name: str, flow: FloatArray) -> FloatArray:
        x = np.asarray(flow, dtype=np.float64)
        found = np.empty(x.shape)
        for one, own in zip(self.families, self._place, strict=True):
            found[..., own] = getattr(one, name)(x[..., own])
        return found

    def cost(self, flow: FloatArray) -> FloatArray:
        """Family by family."""
        return self._ask("cost", flow)

    def integral(self, flow: FloatArray) -> FloatArray:
        """Family by family."""
        return self._ask("integral", flow)

    def derivative(self, flow: FloatArray) -> FloatArray:
        """Family by family."""
        return self._ask("derivative", flow)

    def curvature(self, flow: FloatArray) -> FloatArray:
        """Family by family."""
        return self._ask("curvature", flow)

    def steepest(self, most: FloatArray) -> FloatArray:
        """Family by family."""
        return self._ask("steepest", most)

    def take(self, resources: IntArray) -> Costs:
        """Of some of the resources."""
        which = self.which[resources]
        rank = np.empty(self.size, dtype=np.int64)
        for own in self._place:
            rank[own] = np.arange(len(own))
        families = tuple(one.take(rank[resources][which == k]) for k, one in enumerate(self.families))
        return MixedCosts(families, which)

    @property
    def is_nondecreasing(self) -> bool:
        """Whether all families are."""
        return all(one.is_nondecreasing for one in self.families)

    @property
    def is_convex(self) -> bool:
        """Whether all families are."""
        return all(one.is_convex for one in self.families)

    def powers(self) -> tuple[FloatArray, FloatArray] | None:
        """Of all families, with zeros where others have more terms."""
        found = [one.powers() for one in self.families]
        terms = [one for one in found if one is not None]
        if len(terms) < len(found):
            return None
        width = max((a.shape[1] for a, _ in terms), default=0)
        coefficient, exponent = np.zeros((self.size, width)), np.zeros((self.size, width))
        for (a, e), own in zip(terms, self._place, strict=True):
            coefficient[own, : a.shape[1]], exponent[own, : a.shape[1]] = a, e
        return coefficient, exponent

    def breakpoints(self) -> tuple[tuple[FloatArray, FloatArray], ...] | None:
        """Of all families."""
        found: list[tuple[FloatArray, FloatArray]] = [(np.zeros(0), np.zeros(0))] * self.size
        for one, own in zip(self.families, self._place, strict=True):
            points = one.breakpoints()
            if points is None:
                return None
            for r, pair in zip(own.tolist(), points, strict=True):
                found[r] = pair
        return tuple(found)
