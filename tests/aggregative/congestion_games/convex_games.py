"""Small congestion games for the convex programs, with the least values of their objectives by an independent method."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.optimize import minimize

from eqsolve.aggregative.congestion_games import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    CongestionGame,
    ListedActions,
    MarginalCosts,
    MixedCosts,
    PiecewiseLinearCosts,
    RoadNetwork,
    SumOfPowers,
    TolledCosts,
)
from eqsolve.aggregative.congestion_games.generators import braess, pigou, random_listed, random_routed


def crossing():
    """Three zones and a crossing, two parallel roads, a road through zone 1 that only its own trips may use."""
    links = [(0, 3), (0, 3), (3, 2), (0, 1), (1, 2), (1, 3), (3, 1)]
    tail, head = np.array(links).T
    network = RoadNetwork(4, tail, head, first_through=3)
    costs = BPRCosts([2.0, 3.0, 2.0, 1.0, 1.0, 1.0, 1.0], 0.15, [3.0, 4.0, 5.0, 4.0, 4.0, 4.0, 4.0], 4)
    return CongestionGame.from_trips(network, costs, [(0, 2, 8.0), (1, 2, 3.0), (0, 1, 2.5)], name="crossing")


def mixed():
    """Every family of costs that cones describe, with tolls; listed actions of vehicles of weights 1 and 2.5."""
    families = (
        AffineCosts([0.5, 0.0], [0.1, 1.0]),
        PiecewiseLinearCosts([np.array([0.0, 2.0, 5.0]), np.array([0.0])], [np.array([1.0, 1.5, 4.5]), np.array([3.0])]),
        SumOfPowers([[0.2, 0.05], [0.0, 0.1]], [[0.0, 1.5], [0.0, 2.0]]),
    )
    costs = TolledCosts(MixedCosts(families, np.array([0, 1, 2, 0, 1, 2])), [0.0, 0.1, 0.0, 0.2, 0.0, 0.3])
    actions = ListedActions.of([[[0, 1], [2], [3, 4]], [[1, 5], [0, 2], [4]]], 6)
    return CongestionGame(costs, actions, np.array([4.0, 3.0]), np.array([1.0, 2.5]), "mixed")


def by_function():
    """The roads of Braess with exponential costs, which no cone of the program describes."""
    game = braess()
    scale = np.array([1.0, 20.0, 2.0, 20.0, 1.0])
    costs = CallableCosts(
        lambda x: scale * np.exp(x / 3), lambda x: scale * np.exp(x / 3) / 3, 5, lambda x: 3 * scale * np.expm1(x / 3), convex=True
    )
    return game.with_costs(costs)


def falling():
    game = pigou()
    return game.with_costs(AffineCosts([1.0, 2.0], [0.0, -0.5]))


GAMES = {
    "Pigou": pigou,
    "Pigou of power 4": lambda: pigou(10, 4),
    "Braess": braess,
    "crossing": crossing,
    "mixed": mixed,
    "listed": lambda: random_listed(weighted=True, seed=3),
    "routed": lambda: random_routed(nodes=5, links=9, types=3, weighted=True, power=2, seed=5),
}
KINDS = {"Pigou": "QP", "Braess": "QP"}


@cache
def game_of(name):
    return GAMES[name]()


@cache
def least(name, system=False):
    """The least Beckmann objective (or social cost) over all listed actions, by sequential quadratic programming."""
    game = game_of(name)
    listed = game.actions.listed()
    weight, count = game.weight[listed.owner], game.count[listed.owner]
    costs = MarginalCosts(game.costs) if system else game.costs
    loads = listed.incidence.toarray().T * (weight * count)
    types = np.eye(game.n_types)[listed.owner].T
    scale = 1.0 + float(costs.integral(game.demand.sum() / 2 * np.ones(game.n_coordinates)).sum())
    found = minimize(
        lambda s: float(costs.integral(loads @ s).sum()) / scale,
        1.0 / listed.n_actions[listed.owner].astype(float),
        jac=lambda s: loads.T @ costs.cost(loads @ s) / scale,
        bounds=[(0.0, 1.0)] * len(weight),
        constraints={"type": "eq", "fun": lambda s: types @ s - 1.0, "jac": lambda s: types},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    assert found.success or found.status == 8, found.message
    return found.fun * scale
