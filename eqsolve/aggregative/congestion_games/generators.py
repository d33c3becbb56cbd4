"""Standard instances of congestion games; one seed, the same game on every machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eqsolve.aggregative.congestion_games.actions import ListedActions, Routes
from eqsolve.aggregative.congestion_games.costs import AffineCosts, BPRCosts, PolynomialCosts
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.game import MOST_PLAYERS
from eqsolve.arrays import FloatArray, IntArray, real_number, whole_number
from eqsolve.errors import InvalidGame

NEW_ROAD = 2
"""The road whose removal helps everybody in ``braess``."""
MOST_NODES = 10_000
"""Nodes of the largest grid city."""
CAPACITY = 1000.0
"""Mean capacity of a road of a grid city, in vehicles."""


def braess(vehicles: int = 6) -> CongestionGame:
    r"""Braess's paradox with the numbers of his paper: a road whose removal lowers everybody's time.

    From node 0 to node 3 by 0-1 and 2-3 at cost 10 x, by 0-2 and 1-3 at cost 50 + x, and between them the new road 1-2 at cost
    10 + x. For 6 vehicles the equilibrium costs 92 with the new road, and 83 without.

    Parameters
    ----------
    vehicles : at least 1.

    Raises
    ------
    InvalidGame : ``vehicles`` is not such a number.

    Notes
    -----
    Source: Braess (1968), "Über ein Paradoxon aus der Verkehrsplanung".

    Examples
    --------
    >>> braess().without([NEW_ROAD])
    <CongestionGame 'Braess': 1 type, 6 vehicles, 4 roads, 4 nodes>
    """
    count = _size("vehicles", vehicles)
    network = RoadNetwork(4, np.array([0, 0, 1, 1, 2]), np.array([1, 2, 2, 3, 3]))
    costs = AffineCosts([0.0, 50.0, 10.0, 50.0, 0.0], [10.0, 1.0, 1.0, 1.0, 10.0])
    return CongestionGame.from_trips(network, costs, [(0, 3, count)], name="Braess")


def pigou(vehicles: int = 1, power: int = 1) -> CongestionGame:
    r"""Two parallel roads of costs 1 and :math:`(x / \text{vehicles})^p`: all take the second, the optimum is to share.

    The price of anarchy is :math:`\left(1 - p\,(p + 1)^{-(p+1)/p}\right)^{-1}`, 4/3 at p = 1.

    Parameters
    ----------
    vehicles, power : at least 1.

    Raises
    ------
    InvalidGame : a parameter is not such a number.

    Notes
    -----
    Source: Pigou (1920); Roughgarden and Tardos (2002).
    """
    count, power = _size("vehicles", vehicles), whole_number("power", power, 1, InvalidGame, most=60)
    coefficients = np.zeros((2, power + 1))
    coefficients[0, 0], coefficients[1, power] = 1.0, float(count) ** -power
    network = RoadNetwork(2, np.array([0, 0]), np.array([1, 1]))
    return CongestionGame.from_trips(network, PolynomialCosts(coefficients), [(0, 1, count)], name="Pigou")


def parallel_links(links: int = 5, vehicles: int = 100, types: int = 1, seed: int = 0) -> CongestionGame:
    """Parallel roads with BPR costs, free-flow times in [1, 2] and capacities of [0.5, 1.5] times the vehicles per road.

    Parameters
    ----------
    links : at least 1. vehicles : at least ``types``. types : kinds of vehicles, all with the same roads; vehicle of kind t weighs
        t + 1. seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    links, types, rng = _size("links", links), _size("types", types), _generator(seed)
    count = _spread(_size("vehicles", vehicles, types), types)
    free_flow = rng.uniform(1.0, 2.0, links)
    capacity = rng.uniform(0.5, 1.5, links) * float(np.sum(count * np.arange(1, types + 1))) / links
    network = RoadNetwork(2, np.full(links, 0), np.full(links, 1))
    routes = Routes(network, np.full(types, 0), np.full(types, 1))
    weight = np.arange(1.0, types + 1.0)
    return CongestionGame(
        BPRCosts(free_flow, np.full(links, 0.15), capacity, np.full(links, 4.0)), routes, count, weight, "parallel links"
    )


def grid_city(rows: int = 10, columns: int = 10, zones: int | None = None, load: float = 0.6, seed: int = 0) -> CongestionGame:
    r"""A city whose streets form a grid, with a road each way between neighbours.

    Free-flow times in [1, 2], capacities in [500, 1500], BPR costs with b = 0.15 and power 4. Trips between places follow a gravity
    model: sizes of the places times :math:`e^{-\text{distance} / \text{mean}}`.

    Parameters
    ----------
    rows, columns : at least 2 each, together at most 10,000 nodes. zones : places where trips begin and end, at least 2; twice the
        square root of the number of nodes when left out. load : mean flow over mean capacity if all drove straight, above 0.
    seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    rows, columns = (whole_number(k, v, 2, InvalidGame) for k, v in (("rows", rows), ("columns", columns)))
    n = rows * columns
    if n > MOST_NODES:
        raise InvalidGame(f"rows times columns is {n:,}, more than {MOST_NODES:,} nodes")
    places = round(2 * n**0.5) if zones is None else whole_number("zones", zones, 2, InvalidGame, most=n)
    load, rng = real_number("load", load, above=0.0, error=InvalidGame), _generator(seed)
    node = np.arange(n).reshape(rows, columns)
    east, south = (node[:, :-1].ravel(), node[:, 1:].ravel()), (node[:-1].ravel(), node[1:].ravel())
    tail = np.concatenate((east[0], east[1], south[0], south[1]))
    head = np.concatenate((east[1], east[0], south[1], south[0]))
    R = len(tail)
    costs = BPRCosts(rng.uniform(1.0, 2.0, R), np.full(R, 0.15), CAPACITY * rng.uniform(0.5, 1.5, R), np.full(R, 4.0))
    position = np.column_stack((node.ravel() % columns, node.ravel() // columns)).astype(np.float64)
    chosen = np.sort(rng.choice(n, min(places, n), replace=False))
    size = rng.uniform(0.5, 1.5, len(chosen))
    steps = np.abs(position[chosen][:, None] - position[chosen][None]).sum(axis=2)
    mean = float(steps[steps > 0].mean())
    pull = np.where(steps > 0, size[:, None] * size * np.exp(-steps / mean), 0.0)
    vehicles = load * CAPACITY * R * pull / float((pull * steps).sum())
    trips = np.floor(vehicles + rng.random(vehicles.shape))
    if not trips.any():
        trips.flat[int(np.argmax(pull))] = 1.0
    o, d = np.nonzero(trips)
    listed = np.column_stack((chosen[o], chosen[d], trips[o, d])).tolist()
    network = RoadNetwork(n, tail, head, 0, position)
    return CongestionGame.from_trips(network, costs, listed, name=f"grid city {rows} x {columns}")


def random_listed(
    types: int = 3, resources: int = 5, actions: int = 3, vehicles: int = 10, power: int = 2, weighted: bool = False, seed: int = 0
) -> CongestionGame:
    """Listed actions of random resources, with costs that are polynomials of random coefficients.

    Parameters
    ----------
    types, resources, actions : at least 1; each type has that many actions or, if there are fewer sets, as many as there are.
    vehicles : of all types, at least ``types``. power : degree of the costs, at least 0.
    weighted : whether vehicles weigh 1, 2 or 3, all those of a type the same. seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    types, actions = _size("types", types), _size("actions", actions)
    resources, power = whole_number("resources", resources, 1, InvalidGame), whole_number("power", power, 0, InvalidGame, most=20)
    count, rng = _spread(_size("vehicles", vehicles, types), types), _generator(seed)
    sets: list[list[list[int]]] = []
    for _ in range(types):
        own: dict[tuple[int, ...], None] = {}
        for _ in range(20 * actions):
            if len(own) == actions:
                break
            chosen = np.flatnonzero(rng.random(resources) < 0.5)
            if len(chosen):
                own.setdefault(tuple(chosen.tolist()))
        sets.append([list(one) for one in own] or [[0]])
    coefficients = rng.uniform(0.0, 1.0, (resources, power + 1)) / float(count.sum()) ** np.arange(power + 1)
    weight = rng.integers(1, 4, types).astype(np.float64) if weighted else np.ones(types)
    return CongestionGame(PolynomialCosts(coefficients), ListedActions.of(sets, resources), count, weight, "random listed")


def random_routed(
    nodes: int = 6, links: int = 14, types: int = 4, vehicles: int = 20, power: int = 2, weighted: bool = False, seed: int = 0
) -> CongestionGame:
    """A ring of one-way roads and random roads beside it, which may be parallel; costs as in ``random_listed``.

    Parameters
    ----------
    nodes : at least 2. links : at least ``nodes``. types : pairs of places, at least 1; some may be the same.
    vehicles, power, weighted, seed : as in ``random_listed``.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    nodes = whole_number("nodes", nodes, 2, InvalidGame, most=MOST_NODES)
    links, types = whole_number("links", links, nodes, InvalidGame), _size("types", types)
    power = whole_number("power", power, 0, InvalidGame, most=20)
    count, rng = _spread(_size("vehicles", vehicles, types), types), _generator(seed)
    ring = np.arange(nodes)
    tail = np.concatenate((ring, rng.integers(0, nodes, links - nodes)))
    head = np.concatenate(((ring + 1) % nodes, (tail[nodes:] + rng.integers(1, nodes, links - nodes)) % nodes))
    coefficients = rng.uniform(0.0, 1.0, (links, power + 1)) / float(count.sum()) ** np.arange(power + 1)
    origin = rng.integers(0, nodes, types)
    routes = Routes(RoadNetwork(nodes, tail, head), origin, (origin + rng.integers(1, nodes, types)) % nodes)
    weight = rng.integers(1, 4, types).astype(np.float64) if weighted else np.ones(types)
    return CongestionGame(PolynomialCosts(coefficients), routes, count, weight, "random routed")


GENERATORS: dict[str, Callable[..., CongestionGame]] = {
    "braess": braess,
    "pigou": pigou,
    "parallel_links": parallel_links,
    "grid_city": grid_city,
    "random_listed": random_listed,
    "random_routed": random_routed,
}
"""The generators by the names that model files use."""


def _size(name: str, value: object, least: int = 1) -> int:
    return whole_number(name, value, least, InvalidGame, most=MOST_PLAYERS)


def _generator(seed: object) -> np.random.Generator:
    return np.random.default_rng(whole_number("seed", seed, 0, InvalidGame))


def _spread(vehicles: int, types: int) -> FloatArray:
    """Vehicles per type, as even as they can be."""
    extra: IntArray = (np.arange(types) < vehicles % types).astype(np.int64)
    return (vehicles // types + extra).astype(np.float64)
