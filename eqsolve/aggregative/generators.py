"""Standard instances of aggregative games; one seed, the same game on every machine."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.game import AggregativeGame, labels_of, repeat_labels
from eqsolve.aggregative.payoffs import AffinePayoffs, CurvePayoffs, PolynomialPayoffs
from eqsolve.errors import InvalidGame


def congestion(players: int = 1000, roads: int = 3, types: int | None = None, seed: int = 0, power: int = 4) -> AggregativeGame:
    r"""Drivers choose one of parallel roads; the aggregator is the share of drivers on each road.

    Travel times follow the Bureau of Public Roads, :math:`t_k(x_k) = t_k^0 (1 + 0.15 (x_k / c_k)^{p})`, with free-flow times in
    [1, 2] and capacities (as shares of all drivers) in [0.5, 1] / roads. A driver of value of time v receives
    :math:`-v\, t_k(x_k) + \text{taste}_k`; the planner weighs road k by minus its emissions times the driver's vehicle.

    Parameters
    ----------
    players, roads : n and d = number of actions, each at least 1 (roads at least 2).
    types : number of kinds of drivers; None makes every driver different.
    power : the exponent p, 4 in the standard function.
    """
    rng = _rng(seed, players=players, roads=roads - 1, power=power)
    kinds = players if types is None else types
    if not 1 <= kinds <= players:
        raise InvalidGame(f"types is {kinds}; it lies between 1 and the {players} players")
    free_flow = rng.uniform(1.0, 2.0, roads)
    capacity = rng.uniform(0.5, 1.0, roads) / roads
    emission = rng.uniform(0.2, 1.0, roads)
    value_of_time = rng.uniform(0.1, 0.4, kinds)
    taste = rng.uniform(-0.2, 0.2, (kinds, roads))
    vehicle = rng.uniform(0.5, 1.5, kinds)
    powers = power * np.vstack((np.zeros((1, roads), dtype=np.int64), np.eye(roads, dtype=np.int64)))
    coefficient = np.zeros((kinds, roads, roads + 1))
    coefficient[:, :, 0] = taste - value_of_time[:, None] * free_flow
    k = np.arange(roads)
    coefficient[:, k, k + 1] = -0.15 * value_of_time[:, None] * free_flow / capacity**power
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
    actions: int | tuple[int, int] = 3,
    dimension: int = 1,
    gamma: float = 0.5,
    types: int | None = None,
    seed: int = 0,
) -> AggregativeGame:
    """Contributions and welfare weights uniform on [0, 1] (scaled by 1/n), payoffs affine with Lipschitz constants up to gamma.

    ``actions`` is one number, or (least, most) for ragged action sets.
    """
    least, most = (actions, actions) if isinstance(actions, int) else actions
    rng = _rng(seed, players=players, actions=least, dimension=dimension)
    kinds = players if types is None else types
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
    """
    rng = _rng(seed, players=players, quantities=quantities - 1)
    kinds = players if types is None else types
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
    """
    rng = _rng(seed, vehicles=vehicles, hours=hours - 1)
    kinds = vehicles if types is None else types
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


def _rng(seed: int, **at_least_one: int) -> np.random.Generator:
    for name, value in at_least_one.items():
        if value < 1:
            raise InvalidGame(f"the generator got too small a number of {name} ({value} after its minimum is taken off)")
    return np.random.default_rng(seed)


def _spread_players(players: int, kinds: int) -> np.ndarray:
    """Players per type, as even as they can be."""
    if not 1 <= kinds <= players:
        raise InvalidGame(f"types is {kinds}; it lies between 1 and the {players} players")
    return np.full(kinds, players // kinds) + (np.arange(kinds) < players % kinds)
