"""Congestion games: vehicles of many types, each on the cheapest of its sets of resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.actions import MOST_LISTED, Actions, Routes
from eqsolve.aggregative.congestion_games.costs import Costs, TolledCosts
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.game import MOST_PLAYERS, AggregativeGame
from eqsolve.aggregative.payoffs import CallablePayoffs, Payoffs, PolynomialPayoffs
from eqsolve.arrays import FloatArray, IntArray, float_array, int_array
from eqsolve.errors import InvalidGame

MONOMIALS = 1_000_000
"""Largest table of coefficients of the payoffs of the aggregative game."""


@dataclass(frozen=True, slots=True, eq=False)
class CongestionGame:
    r"""T types of vehicles choose sets of R resources whose costs rise with their use.

    .. math:: x_r = \sum_t w_t \sum_{p \ni r} f_{tp}, \qquad \text{a vehicle of type } t \text{ on } p \text{ pays }
              \sum_{r \in p} c_r(x_r)

    With divisible traffic (non-atomic), Wardrop's equilibrium has every vehicle on a cheapest action. With indivisible vehicles
    (atomic), one who moves adds its own weight to what it newly uses.

    Parameters
    ----------
    costs : of the R resources, in units of time. actions : of the T types.
    count : (T,) vehicles of each type, above 0; where one is not whole, the game is non-atomic only.
    weight : (T,) what one vehicle adds to the flow, above 0; 1 when left out.
    name : one line. resources, types : names; those of the network or numbers when left out.

    Raises
    ------
    InvalidGame : shapes, a count or weight that is not above 0, vehicles that cannot be counted exactly, a cost that is negative or
        not finite between no flow and all the demand.

    Notes
    -----
    Source: Rosenthal (1973) for indivisible vehicles, Beckmann, McGuire and Winsten (1956) for divisible traffic. It is the
    aggregative game whose aggregator is the flow x.
    """

    costs: Costs
    actions: Actions
    count: FloatArray
    weight: FloatArray = 1.0  # type: ignore[assignment]  # a number is spread over the types
    name: str = "congestion game"
    resources: tuple[str, ...] = ()
    types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _settle(self)

    @staticmethod
    def from_trips(
        network: RoadNetwork, costs: Costs, trips: Any, weight: npt.ArrayLike | None = None, name: str = "road traffic"
    ) -> CongestionGame:
        """The game of trips on roads, one type per pair of places with trips.

        Parameters
        ----------
        network, costs : of its links.
        trips : an array (Z, Z) of vehicles from zone to zone, the zones being the first nodes; or a list of (origin, destination,
            vehicles). Pairs without trips are left out, and so are trips from a place to itself, which use no road.
        weight : of one vehicle of each type that is left; 1 when left out.

        Raises
        ------
        InvalidGame : shapes, a negative number, a node that does not exist, no trips at all, a pair that no road connects.
        """
        origin, destination, count = _trips(network, trips)
        kept = (count > 0) & (origin != destination)
        if not kept.any():
            raise InvalidGame("there are no trips: all demand is zero", "Give at least one pair of places with vehicles.")
        origin, destination = origin[kept], destination[kept]
        pairs = zip(origin.tolist(), destination.tolist(), strict=True)
        types = tuple(f"{network.node_label(o)}-{network.node_label(d)}" for o, d in pairs)
        routes = Routes(network, origin, destination)
        spread = float_array("weight", 1.0 if weight is None else weight, (len(origin),), error=InvalidGame)
        return CongestionGame(costs, routes, count[kept], spread, name, (), types)

    @property
    def n_types(self) -> int:
        """Number of types T."""
        return self.actions.n_types

    @property
    def n_coordinates(self) -> int:
        """Number of resources R, the coordinates of the aggregator."""
        return self.costs.size

    @property
    def n_players(self) -> int:
        """Number of vehicles of all types, rounded up where they are divisible."""
        return int(np.ceil(self.count.sum()))

    @property
    def demand(self) -> FloatArray:
        """(T,) flow of each type: count times weight."""
        return np.asarray(self.count * self.weight)

    @property
    def is_atomic(self) -> bool:
        """Whether all counts are whole, so that vehicles may be indivisible."""
        return bool((self.count == np.floor(self.count)).all())

    @property
    def network(self) -> RoadNetwork | None:
        """The roads, where the actions are routes."""
        return self.actions.network if isinstance(self.actions, Routes) else None

    def aggregator(self, flows: PathFlows) -> FloatArray:
        """x (R,), the flow on each resource."""
        return flows.x(self.n_coordinates, self.weight)

    def social_cost(self, x: FloatArray) -> float:
        """Time of all vehicles together, weighted: sum_r x_r c_r(x_r)."""
        return float(np.sum(x * self.costs.cost(x)))

    def welfare(self, x: FloatArray) -> float:
        """Minus the social cost."""
        return -self.social_cost(x)

    def with_costs(self, costs: Costs) -> CongestionGame:
        """The game with other costs of the same resources."""
        return replace(self, costs=costs)

    def tolled(self, toll: npt.ArrayLike) -> CongestionGame:
        """The game with a toll (R,) added to the costs."""
        return self.with_costs(TolledCosts(self.costs, float_array("toll", toll, (self.n_coordinates,), error=InvalidGame)))

    def without(self, resources: Sequence[int] | IntArray) -> CongestionGame:
        """The game without some resources; the others are numbered anew, in their order.

        Raises
        ------
        InvalidGame : a resource does not exist, a type is left without action.
        """
        gone = int_array("resources", resources, (None,), error=InvalidGame)
        wrong = (gone < 0) | (gone >= self.n_coordinates)
        if wrong.any():
            raise InvalidGame(f"resource {gone[int(np.argmax(wrong))]} does not exist; they are 0 to {self.n_coordinates - 1}")
        keep = np.setdiff1d(np.arange(self.n_coordinates), gone)
        names = tuple(self.resources[r] for r in keep) if self.resources else ()
        return replace(self, costs=self.costs.take(keep), actions=self.actions.without(gone), resources=names)

    def as_aggregative(self, most: int = MOST_LISTED) -> AggregativeGame:
        """The same game with listed actions, for the general methods: payoffs are minus the costs of an action.

        The Lipschitz constants of costs that are given by functions come from samples of their derivatives.

        The aggregator is the flow x, which counts the player itself. The welfare weights are minus the cost without any flow, times
        the weight: welfare of the aggregative game is linear, and the social cost is not.

        Raises
        ------
        InvalidGame : counts that are not whole, more than ``most`` routes.
        """
        if not self.is_atomic:
            t = int(np.argmax(self.count != np.floor(self.count)))
            raise InvalidGame(f"count of {self.type_label(t)} is {self.count[t]:g}", "An aggregative game has whole players.")
        listed = self.actions.listed(most)
        incidence = listed.incidence.toarray()
        weight = self.weight[listed.owner]
        empty = self.costs.cost(np.zeros(self.n_coordinates))
        actions = tuple(self.action_label(listed.action(k)) for k in range(len(incidence)))
        return AggregativeGame(
            n_actions=listed.n_actions,
            contribution=weight[:, None] * incidence,
            payoff=_payoffs(self.costs, incidence, self.demand.sum()),
            welfare=-weight * (incidence @ empty),
            count=self.count.astype(np.int64),
            name=self.name,
            coordinates=tuple(map(self.resource_label, range(self.n_coordinates))),
            types=self.types,
            actions=actions,
        )

    def resource_label(self, r: int) -> str:
        """Name of a resource; of a link its ends."""
        if self.resources:
            return self.resources[r]
        return str(r) if self.network is None else self.network.link_label(r)

    def action_label(self, resources: IntArray) -> str:
        """Name of an action: the nodes along a route, or its resources."""
        if self.network is not None:
            return self.network.route_label(resources)
        return ", ".join(map(self.resource_label, resources.tolist())) or "nothing"

    def type_label(self, t: int) -> str:
        """Name of a type, such as ``type 3-12``."""
        return f"type {self.types[t] if self.types else t}"

    def __repr__(self) -> str:
        return f"<CongestionGame {self.name!r}: {describe(self)}>"


class CostPayoffs:
    """Payoffs of columns as a function: minus the costs of the resources of each, by their incidence (N, R)."""

    __slots__ = ("costs", "incidence")

    def __init__(self, costs: Costs, incidence: FloatArray) -> None:
        self.costs, self.incidence = costs, incidence

    def __call__(self, columns: IntArray, x: FloatArray) -> FloatArray:
        """(K,) payoffs of columns (K,) at aggregators (K, R)."""
        return np.asarray(-np.einsum("kr,kr->k", self.incidence[columns], self.costs.cost(x)))

    def parts(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {"costs": self.costs, "incidence": self.incidence}


def _payoffs(costs: Costs, incidence: FloatArray, most: float) -> Payoffs:
    """Polynomials where the costs are, else the function with the steepest slopes up to a flow as its constants."""
    powers = costs.powers()
    if powers is not None and (powers[1] == np.floor(powers[1])).all():
        r, m = np.nonzero(powers[0])
        keys, term = np.unique(np.column_stack((np.where(powers[1][r, m] > 0, r, 0), powers[1][r, m])), axis=0, return_inverse=True)
        table = np.zeros((len(keys), costs.size), dtype=np.int64)
        table[np.arange(len(keys)), keys[:, 0].astype(np.int64)] = keys[:, 1].astype(np.int64)
        if len(incidence) * len(keys) <= MONOMIALS:
            coefficient = np.zeros((len(incidence), len(keys)))
            np.add.at(coefficient.T, term.reshape(-1), -(incidence[:, r] * powers[0][r, m]).T)
            return PolynomialPayoffs(table, coefficient)
    steep = costs.steepest(np.full(costs.size, most))
    return CallablePayoffs(CostPayoffs(costs, incidence), incidence @ steep, len(incidence), costs.size)


def describe(game: CongestionGame) -> str:
    """Sizes in words: ``528 types, 360,600 vehicles, 76 roads, 24 nodes``."""
    total = float(game.count.sum())
    vehicles = f"{total:,.0f}" if total == np.floor(total) else f"{total:,.6g}"
    sizes = f"{game.n_types:,} type{'s' * (game.n_types != 1)}, {vehicles} vehicle{'s' * (total != 1)}"
    if game.network is None:
        return f"{sizes}, {game.n_coordinates:,} resource{'s' * (game.n_coordinates != 1)}"
    return f"{sizes}, {game.n_coordinates:,} roads, {game.network.n_nodes:,} nodes"


def _settle(game: CongestionGame) -> None:
    if not isinstance(game.costs, Costs):
        raise InvalidGame(f"costs is {game.costs!r}, not a family of costs", "Use BPRCosts, AffineCosts ...")
    if not isinstance(game.actions, Actions):
        raise InvalidGame(f"actions is {game.actions!r}, not action sets", "Use Routes or ListedActions.")
    T, R = game.actions.n_types, game.costs.size
    if not T:
        raise InvalidGame("the game has no types")
    if game.actions.n_resources != R:
        raise InvalidGame(f"there are costs of {R} resources, and actions over {game.actions.n_resources}")
    count = float_array("count", game.count, (T,), error=InvalidGame)
    weight = float_array("weight", game.weight, (T,), error=InvalidGame)
    for name, values in (("count", count), ("weight", weight)):
        if values.min() <= 0:
            t = int(np.argmin(values))
            raise InvalidGame(f"{name}[{t}] is {values[t]:g}, not above 0", "Leave out types without vehicles.")
    if float(count.sum()) > MOST_PLAYERS:
        raise InvalidGame(f"count adds up to {count.sum():g} vehicles; at most 2^53 can be counted exactly", "Give them weights.")
    own: dict[str, Any] = {"count": count, "weight": weight}
    for name, length in (("resources", R), ("types", T)):
        names = tuple(map(str, getattr(game, name)))
        if names and len(names) != length:
            raise InvalidGame(f"{len(names)} names of {name}, expected {length}")
        own[name] = names
    for name, value in own.items():
        object.__setattr__(game, name, value)
    most = float(game.demand.sum())
    if not np.isfinite(most):
        raise InvalidGame("the demand overflows", "Scale counts and weights.")
    game.costs.check(np.full(R, most), lambda r: f"resource {game.resource_label(r)}")


def _trips(network: RoadNetwork, trips: Any) -> tuple[IntArray, IntArray, FloatArray]:
    """Origins, destinations and vehicles of all pairs."""
    table = float_array("trips", trips, error=InvalidGame)
    if table.ndim == 2 and table.shape[0] == table.shape[1] and isinstance(trips, np.ndarray):
        origin, destination = (one.reshape(-1) for one in np.indices(table.shape))
        count = table.reshape(-1)
    elif table.ndim == 2 and table.shape[1] == 3:
        origin, destination = (int_array(f"trips[:, {k}]", table[:, k], error=InvalidGame) for k in range(2))
        count = table[:, 2]
    else:
        size = " x ".join(map(str, table.shape))
        raise InvalidGame(f"trips has shape {size}", "Give an array (Z, Z), or a list of (origin, destination, vehicles).")
    if len(count) and count.min() < 0:
        k = int(np.argmin(count))
        raise InvalidGame(f"trips from {origin[k]} to {destination[k]} are {count[k]:g}, not 0 or more")
    used = count > 0
    for ends in (origin, destination):
        wrong = used & ((ends < 0) | (ends >= network.n_nodes))
        if wrong.any():
            k = int(np.argmax(wrong))
            raise InvalidGame(f"trips lead from {origin[k]} to {destination[k]}; the nodes are 0 to {network.n_nodes - 1}")
    return origin, destination, count
