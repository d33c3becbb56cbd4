"""Standard mean-field games: a warehouse of robots, federated learning, demand response, random ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Literal, get_args

import numpy as np

from eqsolve.arrays import BoolArray, FloatArray, real_number, whole_number
from eqsolve.errors import InvalidGame, unknown
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.initial import InitialLaw

WarehouseVariant = Literal["paper", "authors"]


def warehouse(
    n: int = 1000,
    variant: WarehouseVariant = "paper",
    zones: int = 5,
    gamma: float = 0.95,
    *,
    stay_is_a_target: bool = False,
    concentration: float = 0.3,
) -> GlobalLocalGame:
    r"""Robots in the zones of a warehouse, and a dispatcher who gives one zone priority (Appendix G of the paper).

    A state of the dispatcher is the zone that has priority, an action the zone that shall have it. Robots stay, go up or go down
    one zone (around the circle). Both kernels are softmaxes of logits,

    .. math:: 3 \cdot 1\{s_g' = a_g\} + \tfrac12 \cdot 1\{s_g' = s_g\}, \qquad
              3.5 \cdot 1\{s' = s\} + 1.5 \cdot 1\{s' = \mathrm{target}(s, a)\} + 0.3 \cdot 1\{s' = s_g\},

    (the +0.1 on all logits changes nothing), and with the circular distance c of two zones the rewards are

    .. math:: r_g = 4 - |s_g - a_g|, \qquad
              r_l = \begin{cases} 10 & s = s_g \\ 2 / (1 + c(s, s_g)) & \text{else} \end{cases} + (0, 0.5, -0.3)_a.

    Parameters
    ----------
    n : robots. zones : at least 3; with other than 5 zones :math:`r_g = (\text{zones} - 1) - |s_g - a_g|`.
    variant : ``"paper"``. ``"authors"``: :math:`r_g = 1` whatever is done, as the code of the authors has it.
    stay_is_a_target : the paper defines target(s, a) for the two moves only. The authors' code, and this game, give staying no
        bonus: its own zone has logit 3.5. True reads target(s, stay) = s, which makes it 5.
    concentration : of the Dirichlet law that the shares of the zones start from; the state of the dispatcher is uniform. The paper
        names no initial law; this is that of the authors' code.

    Raises
    ------
    InvalidGame : a parameter out of range. UnknownName : another variant.

    Notes
    -----
    The bonus pays robots for going up, although the text of the paper says that moving costs.

    Examples
    --------
    >>> warehouse()
    <GlobalLocalGame 'warehouse': 1,000 local agents of 5 states and 3 actions, 5 global states and actions, discount 0.95>
    """
    if variant not in get_args(WarehouseVariant):
        raise unknown("variant", variant, get_args(WarehouseVariant))
    Z = whole_number("zones", zones, 3, InvalidGame)
    alpha = real_number("concentration", concentration, above=0.0, error=InvalidGame)
    one, zone = np.eye(Z), np.arange(Z)
    moved = np.stack([zone, (zone + 1) % Z, (zone - 1) % Z], axis=1)  # (Z, 3)
    drawn = 1.5 * one[moved]
    if not stay_is_a_target:
        drawn[:, 0] = 0.0
    logits_g = 3.0 * one[None, :, :] + 0.5 * one[:, None, :]  # (s_g, a_g, s_g')
    logits_l = 3.5 * one[:, None, None, :] + drawn[:, None, :, :] + 0.3 * one[None, :, None, :]  # (s, s_g, a, s')
    apart = np.abs(zone[:, None] - zone)
    around = np.minimum(apart, Z - apart)
    base = np.where(around == 0, 10.0, 2.0 / (1.0 + around))
    names = [f"zone {z}" for z in range(Z)]
    return GlobalLocalGame(
        _softmax(logits_g),
        _softmax(logits_l),
        np.ones((Z, Z)) if variant == "authors" else Z - 1.0 - apart,
        base[:, :, None] + np.array([0.0, 0.5, -0.3]),
        n,
        gamma,
        InitialLaw(np.full(Z, 1.0 / Z), "dirichlet", np.full(Z, alpha)),
        global_states=names,
        local_states=names,
        global_actions=names,
        local_actions=("stay", "up", "down"),
        name="warehouse" if variant == "paper" else "warehouse, authors' code",
    )


RATES = {"small rate": (0.75, 0.5), "large rate": (1.0, 1.0)}
"""How much a local step is worth, and how much it drives a client away."""
LOCAL_STEPS = {"one step": (1.0, 1.0), "many steps": (2.0, 3.0), "many steps, regularised": (1.6, 1.2)}
"""The same of the actions of the clients."""


def federated(
    n: int = 500,
    *,
    drift_levels: int = 4,
    staleness_levels: int = 3,
    participation: float = 0.8,
    pull: float = 0.7,
    drift: float = 0.2,
    bandwidth: float = 1.0,
    gamma: float = 0.9,
) -> GlobalLocalGame:
    r"""Federated optimisation with partial participation (Example 2.6 of the paper): a server and n clients.

    A state of the server is its learning rate and its staleness, the rounds since its last broadcast, capped. It waits, or it
    aggregates the clients' models and broadcasts the result with a small or a large rate; waiting saves the bandwidth, which is its
    reward. A client's state is how far its model has drifted from the server's, from aligned to diverged. It takes one local step,
    many, or many with a regulariser that keeps it near the server's model.

    * A broadcast reaches a client with probability ``participation``; one that is reached falls back one level with probability
      ``pull``. A broadcast takes effect in the round after it, in which the staleness is 0.
    * Local steps drive it away by one level with probability ``drift`` times 1, 3 or 1.2 for the three actions, times 0.5 or 1 for
      the rate.
    * A round is worth 1, 2 or 1.6 for the three actions, times 0.75 or 1 for the rate, times how well the progress fits into
      the common model: 1 when aligned, 0 when diverged, divided by 1 + staleness / 2.

    Parameters
    ----------
    drift_levels : Z >= 2. staleness_levels : at least 2; the server has twice as many states.
    participation, pull : in [0, 1]. drift : in [0, 1/3]. bandwidth : what one round without a broadcast saves, in reward units.

    Raises
    ------
    InvalidGame : a parameter out of range.

    Notes
    -----
    The paper gives the story without numbers; these are ours. All rewards are non-negative.

    Examples
    --------
    >>> federated(100).local_actions
    ('one step', 'many steps', 'many steps, regularised')
    """
    Z = whole_number("drift_levels", drift_levels, 2, InvalidGame)
    T = whole_number("staleness_levels", staleness_levels, 2, InvalidGame)
    met, falls = _share("participation", participation), _share("pull", pull)
    away = real_number("drift", drift, least=0.0, error=InvalidGame)
    if away > 1.0 / 3.0:
        raise InvalidGame(f"drift is {away:g}, more than 1/3", "Many steps at a large rate drift with probability 3 drift.")
    saved = real_number("bandwidth", bandwidth, least=0.0, error=InvalidGame)
    gains, strays = np.array(list(RATES.values())).T
    worth, pushes = np.array(list(LOCAL_STEPS.values())).T
    G, kept = 2 * T, np.arange(Z)
    P_g, P_l = np.zeros((G, 3, G)), np.zeros((Z, G, 3, Z))
    r_l = np.zeros((Z, G, 3))
    fit = 1.0 - kept / (Z - 1)
    for rate, stale in product(range(2), range(T)):
        g = rate * T + stale
        P_g[g, 0, rate * T + min(stale + 1, T - 1)] = 1.0
        P_g[g, 1, 0] = P_g[g, 2, T] = 1.0
        r_l[:, g] = fit[:, None] * worth * gains[rate] / (1.0 + 0.5 * stale)
        up = np.where(kept[:, None] < Z - 1, away * pushes * strays[rate], 0.0)  # (Z, 3)
        down = np.where(kept[:, None] > 0, met * falls if stale == 0 else 0.0, 0.0) * np.ones(3)
        # The broadcast comes first: a client that falls back makes its steps from there, and ends where it was.
        moves = ((-1, down * (1.0 - up)), (0, down * up + (1.0 - down) * (1.0 - up)), (1, (1.0 - down) * up))
        for change, chance in moves:
            P_l[:, g] += chance[:, :, None] * np.eye(Z)[np.clip(kept + change, 0, Z - 1)][:, None, :]
    drifts = [f"drift {z}" for z in kept]
    return GlobalLocalGame(
        P_g,
        P_l,
        np.tile([saved, 0.0, 0.0], (G, 1)),
        r_l,
        n,
        gamma,
        InitialLaw(np.eye(G)[0], "dirichlet", np.ones(Z)),
        global_states=[f"{rate}, {stale} rounds old" for rate, stale in product(RATES, range(T))],
        local_states=["aligned", *drifts[1:-1], "diverged"],
        global_actions=("wait", *(f"broadcast, {rate}" for rate in RATES)),
        local_actions=tuple(LOCAL_STEPS),
        name="federated learning",
    )


def demand_response(
    n: int = 1000,
    *,
    shares: tuple[float, float, float] = (0.5, 0.3, 0.2),
    elasticity: float = 0.3,
    scarce_cost: float = 2.0,
    calm_cost: float = 0.4,
    discontent: float = 0.5,
    gamma: float = 0.9,
) -> GlobalLocalGame:
    r"""A grid operator who signals a price to appliances of three types with different states and numbers of actions.

    A state of the operator is the supply (ample or scarce) and the price of this round (low or high). It chooses the price of the
    next round. A high one costs ``discontent`` and calls reserves, so that supply becomes or stays ample more often. Appliances are
    heaters (cold, mild, warm; off or on), cars (empty, half, full; idle, slow or fast charging) and dishwashers (empty, loaded;
    hold or run). They see the price and the supply and their own state. When the price is high, an owner switches the appliance
    off with probability ``elasticity``, whatever it wants. The reward of an appliance is its comfort less the cost of supply times
    the energy that it takes.

    Parameters
    ----------
    shares : of heaters, cars and dishwashers, in (0, 1), of sum 1: each agent's type is drawn from them.
    elasticity : in [0, 1]. scarce_cost, calm_cost : per unit of energy, at least 0. discontent : at least 0.

    Raises
    ------
    InvalidGame : a parameter out of range.

    Notes
    -----
    Finite types as in section 2 of the paper: the state holds the type. Actions that a type does not have are not available.
    Rewards are negative where supply costs more than the comfort is worth, so that Assumption 2.2 of the paper fails.

    Examples
    --------
    >>> game = demand_response(100)
    >>> game.local_available.sum(axis=1).tolist()
    [2, 2, 2, 3, 3, 3, 2, 2]
    """
    law = np.asarray([real_number(f"shares[{i}]", one, above=0.0, error=InvalidGame) for i, one in enumerate(shares)])
    if len(law) != 3 or abs(law.sum() - 1.0) > 1e-9:
        raise InvalidGame(f"shares is {tuple(shares)}, not three numbers of sum 1")
    gives_in = _share("elasticity", elasticity)
    cost = [
        real_number(name, value, least=0.0, error=InvalidGame)
        for name, value in (("calm_cost", calm_cost), ("scarce_cost", scarce_cost))
    ]
    annoyed = real_number("discontent", discontent, least=0.0, error=InvalidGame)
    heater, car, washer = (0, 1, 2), (3, 4, 5), (6, 7)
    moves, energy = np.zeros((8, 3, 8)), np.zeros((8, 3))  # before owners step in
    _walk(moves, heater, 0, down=0.6)
    _walk(moves, heater, 1, up=0.8)
    _walk(moves, car, 0, down=0.15)
    _walk(moves, car, 1, up=0.4)
    _walk(moves, car, 2, up=0.8)
    _walk(moves, washer, 0, up=0.3)
    _walk(moves, washer, 1, down=0.9)
    energy[:3, 1], energy[3:5, 1:], energy[7, 1] = 1.0, [0.6, 1.4], 0.8
    comfort = np.array([0.0, 1.0, 1.4, 0.0, 0.8, 1.2, 1.0, 0.4])
    supply = np.array([[[0.7, 0.3], [0.25, 0.75]], [[0.95, 0.05], [0.8, 0.2]]])  # (price, now, next)
    P_g, P_l, r_l = np.zeros((4, 2, 4)), np.zeros((8, 4, 3, 8)), np.zeros((8, 4, 3))
    for scarce, high in product(range(2), range(2)):
        g, off = 2 * scarce + high, gives_in * high
        for price in range(2):
            P_g[g, price, price::2] = supply[price, scarce]
        P_l[:, g] = (1.0 - off) * moves + off * moves[:, :1]
        r_l[:, g] = comfort[:, None] - (1.0 - off) * cost[scarce] * energy
    here = np.array([[True, True, False]] * 3 + [[True, True, True]] * 3 + [[True, True, False]] * 2)
    within = np.concatenate([np.full(len(part), share / len(part)) for part, share in zip((heater, car, washer), law, strict=True)])
    return GlobalLocalGame(
        P_g,
        P_l,
        np.tile([0.0, -annoyed], (4, 1)),
        r_l,
        n,
        gamma,
        InitialLaw(np.full(4, 0.25), "iid", within),
        local_available=here,
        type_of=np.repeat([0, 1, 2], [3, 3, 2]),
        global_states=[f"{one}, {two} price" for one, two in product(("ample", "scarce"), ("low", "high"))],
        local_states=(
            *(f"heater {one}" for one in ("cold", "mild", "warm")),
            *(f"car {one}" for one in ("empty", "half", "full")),
            *(f"dishwasher {one}" for one in ("empty", "loaded")),
        ),
        global_actions=("low price", "high price"),
        local_actions=("off", "on", "fast"),
        name="demand response",
    )


def random_game(
    n: int = 20,
    *,
    global_states: int = 3,
    local_states: int = 3,
    global_actions: int = 2,
    local_actions: int = 2,
    types: int = 1,
    concentration: float = 1.0,
    coupling: float = 1.0,
    zeros: float = 0.0,
    ragged: bool = False,
    gamma: float = 0.9,
    seed: int = 0,
) -> GlobalLocalGame:
    """Dirichlet kernels and uniform rewards in [0, 1], from a random initial law.

    Parameters
    ----------
    types : of local agents, each with its own part of the local states.
    concentration : of the Dirichlet laws of next states: small ones make nearly certain moves, large ones nearly equal chances.
    coupling : in [0, 1]: how much of the local kernels and rewards depends on the global state; with 0 nothing does.
    zeros : in [0, 1): the chance of each transition to be impossible; some transition always remains.
    ragged : leave out some actions of some states.

    Raises
    ------
    InvalidGame : a parameter out of range, more types than local states.
    """
    G, Z = whole_number("global_states", global_states, 1, InvalidGame), whole_number("local_states", local_states, 1, InvalidGame)
    A, B = (
        whole_number("global_actions", global_actions, 1, InvalidGame),
        whole_number("local_actions", local_actions, 1, InvalidGame),
    )
    kinds = whole_number("types", types, 1, InvalidGame, most=Z)
    alpha = real_number("concentration", concentration, above=0.0, error=InvalidGame)
    own, none = _share("coupling", coupling), real_number("zeros", zeros, least=0.0, below=1.0, error=InvalidGame)
    rng = np.random.default_rng(whole_number("seed", seed, 0, InvalidGame))
    type_of = np.sort(np.arange(Z) % kinds)
    possible = np.broadcast_to(type_of[:, None, None] == type_of, (Z, B, Z))

    def local_kernel() -> FloatArray:
        return _random_rows(rng, alpha, _thinned(rng, possible, none))

    common = local_kernel()
    P_l = np.stack([(1.0 - own) * common + own * local_kernel() for _ in range(G)], axis=1)
    r_l = (1.0 - own) * rng.random((Z, 1, B)) + own * rng.random((Z, G, B))
    P_g = _random_rows(rng, alpha, _thinned(rng, np.ones((G, A, G), dtype=bool), none))
    return GlobalLocalGame(
        P_g,
        P_l,
        rng.random((G, A)),
        r_l,
        n,
        gamma,
        InitialLaw(rng.dirichlet(np.ones(G)), "dirichlet", 0.2 + rng.random(Z)),
        global_available=_thinned(rng, np.ones((G, A), dtype=bool), 0.4) if ragged else None,  # type: ignore[arg-type]  # None is all
        local_available=_thinned(rng, np.ones((Z, B), dtype=bool), 0.4) if ragged else None,  # type: ignore[arg-type]
        type_of=type_of,
        name="random mean-field game",
    )


def _softmax(logits: FloatArray) -> FloatArray:
    weight = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


def _share(name: str, given: float) -> float:
    found = real_number(name, given, least=0.0, error=InvalidGame)
    if found > 1.0:
        raise InvalidGame(f"{name} is {found:g}, not in [0, 1]")
    return found


def _walk(moves: FloatArray, states: tuple[int, ...], action: int, *, up: float = 0.0, down: float = 0.0) -> None:
    """One step up or down among the states of a type, staying where there is none."""
    for at, z in enumerate(states):
        moves[z, action, states[min(at + 1, len(states) - 1)]] += up
        moves[z, action, states[max(at - 1, 0)]] += down
        moves[z, action, z] += 1.0 - up - down


def _thinned(rng: np.random.Generator, possible: BoolArray, none: float) -> BoolArray:
    """Truth values with some of the True ones made False, one at least left in every row."""
    kept = possible & (rng.random(possible.shape) >= none)
    saved = np.argmax(possible * (1.0 + rng.random(possible.shape)), axis=-1)
    np.put_along_axis(kept, saved[..., None], True, axis=-1)
    return kept


def _random_rows(rng: np.random.Generator, alpha: float, possible: BoolArray) -> FloatArray:
    """Dirichlet rows over the possible entries."""
    weight = np.where(possible, rng.standard_gamma(alpha, possible.shape) + 1e-300, 0.0)
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


GENERATORS: dict[str, Callable[..., GlobalLocalGame]] = {
    "demand_response": demand_response,
    "federated": federated,
    "random_game": random_game,
    "warehouse": warehouse,
}
"""By name, for model files."""
