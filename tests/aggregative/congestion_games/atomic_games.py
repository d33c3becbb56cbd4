"""Small random atomic congestion games, and their gaps by brute force."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CongestionGame,
    Costs,
    ListedActions,
    PathFlows,
    PiecewiseLinearCosts,
    PolynomialCosts,
    RoadNetwork,
    Routes,
)


def random_costs(size: int, rng: np.random.Generator, kind: str) -> Costs:
    if kind == "affine":
        return AffineCosts(rng.uniform(0, 5, size), rng.uniform(0, 2, size))
    if kind == "bpr":
        return BPRCosts(rng.uniform(1, 5, size), 0.15, rng.uniform(1, 4, size), 4.0)
    if kind == "falling":
        steps = [np.array([0.0, 3.0, 8.0, 60.0])] * size
        return PiecewiseLinearCosts(steps, [rng.uniform(0.5, 6, 4) for _ in range(size)])
    return PolynomialCosts(rng.uniform(0, 1, (size, 3)) * np.array([4.0, 1.0, 0.2]))


def listed_game(rng: np.random.Generator, kind: str = "bpr", *, equal: bool = True) -> CongestionGame:
    size, types = int(rng.integers(3, 7)), int(rng.integers(1, 4))
    lists = []
    for _ in range(types):
        number = int(rng.integers(2, 5))
        lists.append([sorted(rng.choice(size, int(rng.integers(1, size)), replace=False).tolist()) for _ in range(number)])
    weight = np.full(types, 1.5) if equal else rng.uniform(0.5, 2.5, types)
    count = rng.integers(1, 8, types).astype(float)
    return CongestionGame(random_costs(size, rng, kind), ListedActions.of(lists, size), count, weight, "listed")


def routed_game(rng: np.random.Generator, kind: str = "bpr", *, equal: bool = True) -> CongestionGame:
    """Two zones, four crossings, parallel roads; zones are not passed through."""
    n, zones = 7, 3
    ring = [(k, zones + k) for k in range(zones)] + [(zones + k, k) for k in range(zones)]
    inner = [(a, b) for a in range(zones, n) for b in range(zones, n) if a != b and rng.random() < 0.7]
    around = [(zones + k, zones + (k + 1) % (n - zones)) for k in range(n - zones)]
    links = np.array(ring + around + inner + [around[0], ring[0], (0, 5)])
    network = RoadNetwork(n, links[:, 0], links[:, 1], first_through=zones)
    pairs = np.array([(a, b) for a in range(zones) for b in range(zones) if a != b])
    pairs = pairs[rng.permutation(len(pairs))[: int(rng.integers(2, 5))]]
    weight = np.ones(len(pairs)) if equal else rng.uniform(0.5, 2.5, len(pairs))
    count = rng.integers(1, 9, len(pairs)).astype(float)
    routes = Routes(network, pairs[:, 0], pairs[:, 1])
    return CongestionGame(random_costs(len(links), rng, kind), routes, count, weight, "routed")


def random_flows(game: CongestionGame, rng: np.random.Generator, *, atomic: bool = True) -> PathFlows:
    listed = game.actions.listed()
    kinds, paths, flow = [], [], []
    for t in range(game.n_types):
        own = range(int(listed.offsets[t]), int(listed.offsets[t + 1]))
        share = rng.dirichlet(np.full(len(own), 0.5))
        count = int(game.count[t])
        split = rng.multinomial(count, share).astype(float) if atomic else count * share
        for k, f in zip(own, split, strict=True):
            if f > 0:
                kinds.append(t)
                paths.append(listed.action(k))
                flow.append(f)
    indptr = np.concatenate(([0], np.cumsum([len(one) for one in paths])))
    return PathFlows(np.array(kinds), indptr, np.concatenate(paths), np.array(flow), atomic=atomic)


def brute_force_gains(game: CongestionGame, flows: PathFlows) -> np.ndarray:
    """(P,) the best gain of a vehicle on each used path (Wardrop: against the costs now), by trying all actions."""
    listed = game.actions.listed()
    x = np.zeros(game.n_coordinates)
    for p in range(flows.n_paths):
        for r in flows.path(p):
            x[r] += flows.flow[p] * game.weight[flows.type_of[p]]
    gains = np.full(flows.n_paths, -np.inf)
    for p in np.flatnonzero(flows.flow > 0):
        t = int(flows.type_of[p])
        own = set(flows.path(p).tolist())
        here = game.costs.cost(x)
        there = game.costs.cost(x + game.weight[t]) if flows.atomic else here
        for k in range(int(listed.offsets[t]), int(listed.offsets[t + 1])):
            other = set(listed.action(k).tolist())
            gain = sum(here[r] for r in own - other) - sum(there[r] for r in other - own)
            gains[p] = max(gains[p], gain)
    return gains


def flows_of(
    game: CongestionGame, paths: list[tuple[list[int], float]], *, atomic: bool, kinds: list[int] | None = None
) -> PathFlows:
    """Path flows from (resources, vehicles), of type 0 unless ``kinds`` are given."""
    indptr = np.concatenate(([0], np.cumsum([len(one) for one, _ in paths])))
    resources = np.array([r for one, _ in paths for r in one], dtype=np.int64)
    flow = np.array([f for _, f in paths])
    return PathFlows(np.array(kinds or [0] * len(paths)), indptr, resources, flow, atomic=atomic)


def plays_of(game: CongestionGame, flows: PathFlows) -> np.ndarray:
    """Vehicles per listed action, the columns of ``game.as_aggregative()``."""
    listed = game.actions.listed()
    plays = np.zeros(len(listed.indptr) - 1, dtype=np.int64)
    for p in range(flows.n_paths):
        t, own = int(flows.type_of[p]), frozenset(flows.path(p).tolist())
        columns = range(int(listed.offsets[t]), int(listed.offsets[t + 1]))
        plays[next(k for k in columns if frozenset(listed.action(k).tolist()) == own)] += int(flows.flow[p])
    return plays


def flows_of_plays(game: CongestionGame, plays: np.ndarray) -> PathFlows:
    """The flows of vehicles per listed action."""
    listed = game.actions.listed()
    used = np.flatnonzero(plays)
    paths = [(listed.action(k).tolist(), float(plays[k])) for k in used]
    return flows_of(game, paths, atomic=True, kinds=listed.owner[used].tolist())


COSTS = ("bpr", "affine", "falling", "polynomial")
MAKERS = (listed_game, routed_game)
