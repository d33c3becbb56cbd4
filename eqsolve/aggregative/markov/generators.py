"""Standard instances of aggregative Markov games; one seed, the same game on every machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from eqsolve.aggregative.game import AggregativeGame, labels_of
from eqsolve.aggregative.generators import congestion, ev_charging, market, random_affine
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.transitions import MixtureTransitions, SoftmaxTransitions
from eqsolve.aggregative.payoffs import AffinePayoffs, PolynomialPayoffs
from eqsolve.aggregative.tables import CurvePayoffs
from eqsolve.arrays import FloatArray, real_number, whole_number
from eqsolve.errors import InvalidGame


def congestion_markov(
    players: int = 1000, roads: int = 2, wear: int = 5, horizon: int = 10, types: int | None = None, seed: int = 0
) -> AggregativeMarkovGame:
    r"""Drivers on parallel roads whose first road wears with use and is mended from time to time.

    The state is the wear of road 0, from 0 (new) to ``wear - 1``; a worn road is slower, by a fifth of its free-flow time per
    level. With load x_0 it wears one level further with probability :math:`\min(1, x_0)`, and is otherwise mended by one level.
    Rewards and welfare are those of ``congestion``, with travel times of power 4.

    Parameters
    ----------
    players, roads : n at least 1, and d = number of actions at least 2. wear : S, at least 1. horizon : H.
    types : number of kinds of drivers; None makes every driver different. seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    base = congestion(players, roads, types, seed)
    S = whole_number("wear", wear, 1, InvalidGame)
    payoff = base.payoff
    assert isinstance(payoff, PolynomialPayoffs)
    first = np.flatnonzero(np.tile(np.arange(roads), base.n_types) == 0)
    families = []
    for level in range(S):
        coefficient = payoff.coefficient.copy()
        slower = 1.0 + 0.2 * level
        time_and_taste = coefficient[first, 0]
        # The load-dependent part scales with the free-flow time, the constant one by what the free-flow time adds to it.
        coefficient[first, 1] *= slower
        free_flow = -payoff.coefficient[first, 1] / 0.15 * _capacity(base, seed, roads) ** 4
        coefficient[first, 0] = time_and_taste - (slower - 1.0) * free_flow
        families.append(PolynomialPayoffs(payoff.powers, coefficient))
    worse = np.minimum(np.arange(S) + 1, S - 1)
    better = np.maximum(np.arange(S) - 1, 0)
    slope = np.zeros((S, roads))
    slope[:, 0] = 1.0
    return AggregativeMarkovGame(
        horizon=horizon,
        n_actions=base.n_actions,
        contribution=base.contribution,
        rewards=families,
        transition=MixtureTransitions(np.eye(S)[better], np.eye(S)[worse], np.zeros(S), slope),
        initial=np.eye(S)[0],
        welfare=base.weights,
        count=base.players,
        name="congestion with wear",
        states=labels_of("wear", S),
        coordinates=base.coordinates,
        actions=base.actions,
    )


def _capacity(base: AggregativeGame, seed: int, roads: int) -> float:
    """The capacity of road 0, as ``congestion`` draws it."""
    rng = np.random.default_rng(seed)
    rng.uniform(1.0, 2.0, roads)
    return float(rng.uniform(0.5, 1.0, roads)[0] / roads)


def ev_charging_markov(
    vehicles: int = 1000, hours: int = 3, states: int = 4, horizon: int = 7, types: int | None = None, seed: int = 0
) -> AggregativeMarkovGame:
    r"""Electric vehicles choose, day by day, the hour in which they charge; the state is the temperature of the grid.

    From cool (state 0) to hot (S - 1) prices rise by a quarter per level. Next day's temperature is drawn with logits affine in
    the load: the more is charged in the busiest hours, the hotter. Rewards and welfare are those of ``ev_charging``.

    Parameters
    ----------
    vehicles, hours : n at least 1, and d = number of hours at least 2. states : S. horizon : H, days.
    types : number of kinds of vehicles; None makes every vehicle different. seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    base = ev_charging(vehicles, hours, types, seed)
    S = whole_number("states", states, 1, InvalidGame)
    payoff = base.payoff
    assert isinstance(payoff, CurvePayoffs)
    families = [
        CurvePayoffs(
            payoff.nodes, (1.0 + 0.25 * s) * payoff.curves, payoff.curve, payoff.coordinate, payoff.scale, payoff.base, hours
        )
        for s in range(S)
    ]
    level = np.arange(S, dtype=np.float64)
    logits = -1.0 * np.abs(level[:, None] - level)  # tomorrow is much like today
    slope = np.repeat((level - level.mean())[None, :, None], S, axis=0) * np.linspace(0.5, 2.0, hours)
    return AggregativeMarkovGame(
        horizon=horizon,
        n_actions=base.n_actions,
        contribution=base.contribution,
        rewards=families,
        transition=SoftmaxTransitions(logits, slope),
        initial=np.eye(S)[0],
        welfare=base.weights,
        count=base.players,
        name="ev charging with temperature",
        states=labels_of("temperature", S),
        coordinates=base.coordinates,
        actions=base.actions,
    )


def market_markov(
    players: int = 500, quantities: int = 5, states: int = 3, horizon: int = 12, types: int | None = None, seed: int = 0
) -> AggregativeMarkovGame:
    r"""Cournot competition in a market whose demand falls when it is flooded.

    The state is the demand, from weak (0) to strong (S - 1): the price is :math:`P_s(x) = 1 + s / (S - 1) - x` (2 - x where S = 1).
    Demand moves one level down with probability equal to the mean quantity x, and one level up otherwise.

    Parameters
    ----------
    players, quantities : n at least 1, quantities from 0 to 1, at least 2. states : S. horizon : H.
    types : number of kinds of firms; None makes every firm different. seed : a whole number >= 0.

    Raises
    ------
    InvalidGame : a parameter is not a whole number or out of range; the message names it and its value.
    """
    base = market(players, quantities, types, seed)
    S = whole_number("states", states, 1, InvalidGame)
    payoff = base.payoff
    assert isinstance(payoff, AffinePayoffs)
    sold = -payoff.slope[:, 0]
    lower = 1.0 - np.arange(S) / max(S - 1, 1) if S > 1 else np.zeros(1)
    families = [AffinePayoffs(payoff.base - lower[s] * sold, payoff.slope) for s in range(S)]
    down, up = np.eye(S)[np.maximum(np.arange(S) - 1, 0)], np.eye(S)[np.minimum(np.arange(S) + 1, S - 1)]
    return AggregativeMarkovGame(
        horizon=horizon,
        n_actions=base.n_actions,
        contribution=base.contribution,
        rewards=families,
        transition=MixtureTransitions(up, down, np.zeros(S), np.ones((S, 1))),
        initial=np.eye(S)[-1],
        welfare=base.weights,
        count=base.players,
        name="market with demand",
        states=labels_of("demand", S),
        coordinates=base.coordinates,
        actions=base.actions,
    )


def random_markov(
    players: int = 100,
    actions: int | Sequence[int] = 3,
    dimension: int = 1,
    states: int = 3,
    horizon: int = 3,
    gamma: float = 0.5,
    gamma_transition: float = 0.2,
    types: int | None = None,
    seed: int = 0,
) -> AggregativeMarkovGame:
    r"""Contributions as in ``random_affine``, rewards affine and of their own in every state, transitions mixed by the aggregator.

    Rewards lie in [0, 1] at most up to the slope; two random kernels are mixed by a share affine in x whose steepness makes the
    Lipschitz constant of the transitions at most ``gamma_transition``.

    Parameters
    ----------
    players, actions, dimension, gamma, types, seed : as in ``random_affine``. states, horizon : S and H.
    gamma_transition : in total variation per unit of the aggregator, 0 or more.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    S, H = whole_number("states", states, 1, InvalidGame), whole_number("horizon", horizon, 1, InvalidGame)
    steepness = real_number("gamma_transition", gamma_transition, least=0.0, error=InvalidGame)
    base = random_affine(players, actions, dimension, gamma, types, seed)
    rng = np.random.default_rng([whole_number("seed", seed, 0, InvalidGame), 1])
    payoff, N = base.payoff, base.n_columns
    assert isinstance(payoff, AffinePayoffs)

    def family() -> AffinePayoffs:
        slope = rng.uniform(-1.0, 1.0, (N, dimension))
        slope *= gamma / max(float(np.abs(slope).sum(axis=1).max()), 1e-12)
        return AffinePayoffs(rng.random(N), slope)

    families = [[family() for _ in range(S)] for _ in range(H)]
    low, high = (rng.dirichlet(np.ones(S), (H, S)) for _ in range(2))
    slope = rng.uniform(-1.0, 1.0, (H, S, dimension))
    apart = np.maximum(0.5 * np.abs(low - high).sum(axis=-1), 1e-12)
    slope *= (steepness / (np.abs(slope).sum(axis=-1) * apart))[..., None]
    centre: FloatArray = 0.5 * (base.lower + base.upper)
    return AggregativeMarkovGame(
        horizon=H,
        n_actions=base.n_actions,
        contribution=base.contribution,
        rewards=families,
        transition=MixtureTransitions(low, high, 0.5 - slope @ centre, slope),
        initial=rng.dirichlet(np.ones(S)),
        welfare=rng.random((H, S, N)),
        count=base.players,
        name="random Markov",
    )


def learning_instance(
    players: int = 20,
    states: int = 2,
    horizon: int = 3,
    actions: int | Sequence[int] = 2,
    dimension: int = 1,
    gamma: float = 0.5,
    gamma_transition: float = 0.05,
    seed: int = 0,
) -> AggregativeMarkovGame:
    """``random_markov`` with all rewards moved and scaled into [0, 1], as the learning algorithms expect; small by default.

    Parameters
    ----------
    players, states, horizon, actions, dimension, gamma, gamma_transition, seed : as in ``random_markov``; gamma before scaling.

    Raises
    ------
    InvalidGame : a parameter is out of range; the message names it and its value.
    """
    game = random_markov(players, actions, dimension, states, horizon, gamma, gamma_transition, None, seed)
    low, high = np.inf, -np.inf
    for h, row in enumerate(game.rewards):
        middle, half = 0.5 * (game.lower[h] + game.upper[h]), 0.5 * (game.upper[h] - game.lower[h])
        for one in row:
            value, room = one.base + one.slope @ middle, np.abs(one.slope) @ half
            low, high = min(low, float((value - room).min())), max(high, float((value + room).max()))
    size = 1.0 / (high - low)
    rewards = [[AffinePayoffs((one.base - low) * size, one.slope * size) for one in row] for row in game.rewards]
    return replace(game, rewards=rewards, name="random Markov, rewards in [0, 1]")


GENERATORS: dict[str, Callable[..., AggregativeMarkovGame]] = {
    "congestion_markov": congestion_markov,
    "ev_charging_markov": ev_charging_markov,
    "learning_instance": learning_instance,
    "market_markov": market_markov,
    "random_markov": random_markov,
}
"""The generators by the names that model files use."""
