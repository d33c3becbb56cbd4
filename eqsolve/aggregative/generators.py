"""Standard instances of aggregative games; one seed, the same game on every machine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqsolve.aggregative.game import AggregativeGame, labels_of, repeat_labels
from eqsolve.aggregative.payoffs import AffinePayoffs, PolynomialPayoffs
from eqsolve.aggregative.tables import CurvePayoffs
from eqsolve.arrays import IntArray, real_number, whole_number
from eqsolve.errors import InvalidGame

LARGEST = 2**53
"""Sizes up to which every whole number is a float."""


def congestion(players: int = 1000, roads: int = 3, types: int | None = None, seed: int = 0, power: int = 4) -> AggregativeGame:
    r"""Drivers choose one of parallel roads; the aggregator is the share of drivers on each road.

    Travel times follow the Bureau of Public Roads, :math:`t_k(x_k) = t_k^0 (1 + 0.15 (x_k / c_k)^{p})`, with free-flow times in
    [1, 2] and capacities (as shares of all drivers) in [0.5, 1] / roads. A driver of value of time v receives
    :math:`-v\, t_k(x_k) + \text{taste}_k`; the planner weighs road k by minus its emissions times the driver's vehicle.

    Parameters
    ----------
    players, roads : n at least 1, and d = number of actions at least 2.
    types : number of kinds of drivers, from 1 to ``players``; None makes every driver different.
    power : the exponent p >= 1, 4 in the standard function.
    seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    players, roads, power = _size("players", players), _size("roads", roads, 2), _size("power", power)
    kinds, rng = _kinds(types, players), _generator(seed)
    free_flow = rng.uniform(1.0, 2.0, roads)
    capacity = rng.uniform(0.5, 1.0, roads) / roads
    emission = rng.uniform(0.2, 1.0, roads)
    value_of_time = rng.uniform(0.1, 0.4, kinds)
    taste = rng.uniform(-0.2, 0.2, (kinds, roads))
    vehicle = rng.uniform(0.5, 1.5, kinds)
    powers = power * np.vstack((np.zeros((1, roads), dtype=np.int64), np.eye(roads, dtype=np.int64)))
    coefficient = np.zeros((kinds, roads, roads + 1))
    coefficient[:, :, 0] = taste - value_of_time[:, None] * free_flow
    with np.errstate(over="ignore", divide="ignore"):
        steepness = -0.15 * value_of_time[:, None] * free_flow / capacity**power
    if not np.isfinite(steepness).all():
        raise InvalidGame(f"power is {power}: travel times exceed the largest float", "Give a smaller power; 4 is the standard.")
    k = np.arange(roads)
    coefficient[:, k, k + 1] = steepness
    return AggregativeGame(
        n_actions=np.full(kinds, roads),
        contribution=np.tile(np.eye(roads) / players, (kinds, 1)),
        payoff=PolynomialPayoffs(powers, coefficient.reshape(kinds * roads, roads + 1)),
        welfare=-(vehicle[:, None] * emission).reshape(-1),
        count=_spread_players(players, kinds),
        name="congestion",
        coordinates=labels_of("road", roads),
        actions=repeat_labels(labels_of("road", roads), kinds),
    )


def random_affine(
    players: int = 100,
    actions: int | Sequence[int] = 3,
    dimension: int = 1,
    gamma: float = 0.5,
    types: int | None = None,
    seed: int = 0,
) -> AggregativeGame:
    """Contributions and welfare weights uniform on [0, 1] (scaled by 1/n), payoffs affine with Lipschitz constants up to gamma.

    Parameters
    ----------
    players, dimension : n and d, each at least 1.
    actions : one number, or (least, most) for ragged action sets; at least 1.
    gamma : in payoff units per unit of the aggregator, 0 or more.
    types : number of kinds of players, from 1 to ``players``; None makes every player different.
    seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not such a number or out of range; the message names it and its value.
    """
    players, dimension = _size("players", players), _size("dimension", dimension)
    least, most = _least_and_most(actions)
    gamma = real_number("gamma", gamma, least=0.0, error=InvalidGame)
    kinds, rng = _kinds(types, players), _generator(seed)
    n_actions = rng.integers(least, most + 1, kinds)
    columns = int(n_actions.sum())
    slope = rng.uniform(-1.0, 1.0, (columns, dimension))
    slope *= gamma / max(float(np.abs(slope).sum(axis=1).max()), 1e-12)
    return AggregativeGame(
        n_actions=n_actions,
        contribution=rng.random((columns, dimension)) / players,
        payoff=AffinePayoffs(rng.uniform(0.0, 1.0, columns) * gamma, slope),
        welfare=rng.random(columns),
        count=_spread_players(players, kinds),
        name="random affine",
    )


def market(players: int = 500, quantities: int = 5, types: int | None = None, seed: int = 0) -> AggregativeGame:
    r"""Cournot competition: firms choose one of several quantities, the price falls with the mean quantity.

    The aggregator x is the mean quantity (d = 1), the price is :math:`P(x) = 2 - x`, and a firm of unit cost c and capacity
    q_max that sells q receives :math:`q\,(P(x) - c) - q^2/4`. The weight is the quantity sold. Firms without the capacity for
    the largest quantities have fewer actions, so that action sets are ragged.

    Parameters
    ----------
    players, quantities : n at least 1, and the number of quantities from 0 to 1, at least 2.
    types : number of kinds of firms, from 1 to ``players``; None makes every firm different.
    seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    players, quantities = _size("players", players), _size("quantities", quantities, 2)
    kinds, rng = _kinds(types, players), _generator(seed)
    levels = np.linspace(0.0, 1.0, quantities)
    n_actions = rng.integers(2, quantities + 1, kinds)
    cost = np.round(rng.uniform(0.2, 1.4, kinds), 3)
    quantity = np.concatenate([levels[:m] for m in n_actions])
    unit_cost = np.repeat(cost, n_actions)
    return AggregativeGame(
        n_actions=n_actions,
        contribution=quantity[:, None] / players,
        payoff=AffinePayoffs(quantity * (2.0 - unit_cost) - quantity**2 / 4, -quantity[:, None]),
        welfare=quantity,
        count=_spread_players(players, kinds),
        name="market",
        coordinates=("mean quantity",),
        actions=tuple(f"sell {q:g}" for q in quantity),
    )


def ev_charging(vehicles: int = 1000, hours: int = 3, types: int | None = None, seed: int = 0) -> AggregativeGame:
    r"""Electric vehicles choose the hour in which they charge; the aggregator is the mean load in each hour.

    The price of an hour is piecewise linear in its load (cheap up to the base capacity, steep above it). A vehicle that needs
    e units receives :math:`-e\, \text{price}_k(x_k) - \text{inconvenience}_k`, may charge only within its window of
    consecutive hours (ragged action sets), and the weight of an hour is its share of renewable energy times e.

    Parameters
    ----------
    vehicles, hours : n at least 1, and d = number of hours at least 2.
    types : number of kinds of vehicles, from 1 to ``vehicles``; None makes every vehicle different.
    seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    vehicles, hours = _size("vehicles", vehicles), _size("hours", hours, 2)
    kinds, rng = _kinds(types, vehicles, "vehicles"), _generator(seed)
    energy = np.round(rng.uniform(0.3, 1.0, kinds), 3)
    width = rng.integers(1, hours + 1, kinds)
    start = rng.integers(0, hours - width + 1)
    hour = np.concatenate([np.arange(a, a + b) for a, b in zip(start, width, strict=True)])
    owner = np.repeat(np.arange(kinds), width)
    capacity = rng.uniform(0.3, 0.6, hours)
    nodes = np.linspace(0.0, 1.0, 21)
    curves = 0.2 + 0.2 * nodes + 1.5 * np.maximum(nodes - capacity[:, None], 0.0)
    contribution = np.zeros((len(hour), hours))
    contribution[np.arange(len(hour)), hour] = energy[owner] / vehicles
    renewable = rng.random(hours)
    return AggregativeGame(
        n_actions=width,
        contribution=contribution,
        payoff=CurvePayoffs(nodes, curves, hour, hour, -energy[owner], -0.1 * rng.random(len(hour)), hours),
        welfare=renewable[hour] * energy[owner],
        count=_spread_players(vehicles, kinds),
        name="ev charging",
        coordinates=labels_of("hour", hours),
        actions=tuple(f"hour {h}" for h in hour),
    )


GENERATORS = {"congestion": congestion, "random_affine": random_affine, "market": market, "ev_charging": ev_charging}
"""The generators by the names that model files use."""


def _size(name: str, value: object, least: int = 1) -> int:
    return whole_number(name, value, least, InvalidGame, most=LARGEST)


def _kinds(types: object, players: int, who: str = "players") -> int:
    """Number of types: all different for None, and never more than there are players."""
    if types is None:
        return players
    kinds = whole_number("types", types, 1, InvalidGame)
    if kinds > players:
        raise InvalidGame(f"types is {kinds}, more than the {players} {who}", f"Give at most as many types as {who}.")
    return kinds


def _generator(seed: object) -> np.random.Generator:
    return np.random.default_rng(whole_number("seed", seed, 0, InvalidGame))


def _least_and_most(actions: object) -> tuple[int, int]:
    if not isinstance(actions, tuple | list) and not (isinstance(actions, np.ndarray) and actions.ndim):
        both = _size("actions", actions)
        return both, both
    if len(actions) != 2:
        raise InvalidGame(f"actions has {len(actions)} entries", "Give one number, or (least, most).")
    least, most = (_size(f"actions[{k}]", one) for k, one in enumerate(actions))
    if least > most:
        raise InvalidGame(f"actions is ({least}, {most}): the least is above the most", "Give (least, most).")
    return least, most


def _spread_players(players: int, kinds: int) -> IntArray:
    """Players per type, as even as they can be."""
    return np.full(kinds, players // kinds) + (np.arange(kinds) < players % kinds)
