"""What a solve of a congestion game hands back."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from eqsolve.aggregative.congestion_games.certificate import WardropGaps, vehicle_gains, wardrop_gaps
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import FloatArray
from eqsolve.certificates import Bound
from eqsolve.driver import Result
from eqsolve.driver.report import Line, entry

if TYPE_CHECKING:
    from eqsolve.aggregative.congestion_games.optimum import PriceOfAnarchy

ROWS = 100_000
"""Rows of the table of paths at most; larger policies are in the arrays alone."""


@lru_cache(maxsize=4)
def _gaps(game: CongestionGame, flows: PathFlows) -> WardropGaps:
    return wardrop_gaps(game, flows)


@lru_cache(maxsize=4)
def _gains(game: CongestionGame, flows: PathFlows) -> FloatArray:
    return vehicle_gains(game, flows)


class CongestionResult(Result[CongestionGame, Any, PathFlows]):
    """Path flows with their exact gap: Nash's of vehicles that are indivisible, otherwise Wardrop's."""

    __slots__ = ()

    @property
    def aggregator(self) -> FloatArray:
        """(R,) the load of each resource."""
        return self.game.aggregator(self.policy)

    @property
    def costs(self) -> FloatArray:
        """(R,) the cost of each resource at its load."""
        return self.game.costs.cost(self.aggregator)

    @property
    def social_cost(self) -> float:
        """Time of all vehicles together."""
        return self.value

    @property
    def wardrop(self) -> WardropGaps:
        """Regret, relative gap and average excess cost, against proven distances."""
        return _gaps(self.game, self.policy)

    @property
    def gains(self) -> FloatArray:
        """(P,) what one vehicle on each path gains at most by leaving it alone."""
        return _gains(self.game, self.policy)

    @property
    def share(self) -> float:
        """The largest gain of a vehicle as a share of its own trip."""
        cost = self.policy.path_costs(self.costs)
        used = (self.policy.flow > 0) & (cost > 0)
        return float((self.gains[used] / cost[used]).max(initial=0.0))

    @property
    def anarchy(self) -> Bound:
        """What the kind of costs promises of the price of anarchy of divisible traffic; nothing of whole vehicles."""
        from eqsolve.aggregative.congestion_games.optimum import anarchy_bound

        bound = anarchy_bound(self.game)
        if not self.policy.atomic or bound.value is None:
            return bound
        return replace(bound, value=None, terms={}, failed=("vehicles are indivisible",))

    def price_of_anarchy(self, **options: Any) -> PriceOfAnarchy:
        """The price of anarchy of divisible traffic between proved bounds; for whole vehicles its equilibrium is computed first.

        Parameters
        ----------
        options : of ``eqsolve.solve``.

        Raises
        ------
        NoConvexProgram : costs that may fall with the flow.
        """
        from eqsolve.aggregative.congestion_games.optimum import price_of_anarchy

        return price_of_anarchy(self.game, equilibrium=None if self.policy.atomic else self.policy, **options)

    def details(self) -> dict[str, Any]:
        """The gaps of traffic assignment, and the paths in use."""
        gaps, flows = self.wardrop, self.policy
        used = int((flows.flow > 0).sum())
        return {
            "atomic": flows.atomic,
            "share_of_trip": self.share,
            "wardrop_regret": max(gaps.regret, 0.0),
            "relative_gap": gaps.relative_gap,
            "average_excess_cost": gaps.average_excess_cost,
            "social_cost": self.social_cost,
            "mean_cost": self.social_cost / float(self.game.demand.sum()),
            "price_of_anarchy_bound": self.anarchy.value,
            "paths": used,
            "extra_paths": used - self.game.n_types,
        }

    def lines(self) -> list[Line]:
        """The gap as a share of a trip, the relative gap, the social cost, the paths."""
        more = self.details()
        gap = f"average excess cost {more['average_excess_cost']:.3g}"
        kind = "indivisible vehicles" if self.policy.atomic else "divisible traffic"
        anarchy = [] if self.anarchy.value is None else [f"price of anarchy at most {self.anarchy.value:.4g} for such costs"]
        return [
            (entry("share of trip", f"{100 * self.share:.3g} %", "the largest gain, of its own trip"), ""),
            (entry("relative gap", f"{more['relative_gap']:.3g}", gap), ""),
            (entry("social cost", f"{self.social_cost:,.8g}", f"{more['mean_cost']:.6g} in the mean"), "".join(anarchy)),
            (entry("paths", f"{more['paths']:,}", f"{more['extra_paths']:,} more than types; {kind}"), ""),
        ]

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """``resources.csv``: load and cost of each; ``paths.csv``: vehicles, cost and best gain of each path in use."""
        game, flows = self.game, self.policy
        names = [game.resource_label(r) for r in range(game.n_coordinates)]
        head: tuple[Any, ...] = ("resource", "name", "flow", "cost")
        loads = zip(range(game.n_coordinates), names, self.aggregator.tolist(), self.costs.tolist(), strict=True)
        return {"resources.csv": [head, *loads], "paths.csv": path_rows(game, flows, self.costs, self.gains)}


def path_rows(game: CongestionGame, flows: PathFlows, cost: FloatArray, gains: FloatArray) -> list[tuple[Any, ...]]:
    """The head and the rows of path flows as a table, in the order of the types."""
    rows: list[tuple[Any, ...]] = [("type", "path", "vehicles", "cost", "gain")]
    costs = flows.path_costs(cost)
    used = np.flatnonzero(flows.flow > 0)
    for p in used[np.argsort(flows.type_of[used], kind="stable")][:ROWS].tolist():
        kind = int(flows.type_of[p])
        name = game.types[kind] if game.types else kind
        rows.append((name, game.action_label(flows.path(p)), float(flows.flow[p]), float(costs[p]), float(gains[p])))
    return rows
