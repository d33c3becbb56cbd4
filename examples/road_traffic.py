"""Traffic in a city: its equilibrium, whole vehicles, the optimum, tolls, the best of nearly equal answers, and closed roads.

    python road_traffic.py [PATH [FIGURES]]

PATH is a file NAME_net.tntp beside NAME_trips.tntp, and NAME_node.tntp and NAME_flow.tntp where they exist, or a folder of such
files; without it the city is a small made-up grid. FIGURES is a folder for three figures per city.
"""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from eqsolve import solve
from eqsolve.aggregative.congestion_games import (
    AtomicRouting,
    PathEquilibrium,
    grid_city,
    marginal_cost_tolls,
    read_flow,
    read_game,
    read_net,
    select_within,
    tolled_equilibrium,
)
from eqsolve.errors import InvalidGame


def main(path=None, figures=None):
    if path is None:
        game = grid_city(4, 5, zones=8, load=1.0)
        study(game, np.ones(game.n_coordinates), None, figures)
        return
    given = Path(path)
    for net in sorted(given.glob("*_net.tntp")) if given.is_dir() else [given]:
        beside = {kind: net.with_name(net.name.replace("_net.", f"_{kind}.")) for kind in ("trips", "node", "flow")}
        game = read_game(net, beside["trips"], beside["node"] if beside["node"].exists() else None)
        study(game, read_net(net).length, beside["flow"] if beside["flow"].exists() else None, figures)


def study(game, length, best_known, figures):
    # Divisible traffic: nobody has a shorter way.
    equilibrium = solve(game, PathEquilibrium(tolerance=1e-12))
    print(equilibrium)
    x = equilibrium.aggregator
    if best_known is not None:
        flow, cost = read_flow(best_known, game.network)
        off = np.abs(x - flow).max(), np.abs(equilibrium.costs - cost).max()
        print(f"against the best known flows: at most {off[0]:.2g} vehicles and {off[1]:.2g} minutes off, on any road")

    # Whole vehicles: rounded only, and then until nobody gains. Every vehicle is judged against all the routes there are.
    rounded = solve(game, AtomicRouting(moves=0))
    whole = solve(game, AtomicRouting())
    print(f"\nrounded to whole vehicles: {rounded.gap}\n{whole}")

    # What selfishness costs, and the tolls that take it away.
    anarchy = equilibrium.price_of_anarchy()
    best = anarchy.optimum
    toll = marginal_cost_tolls(game, best)
    tolled = tolled_equilibrium(game, toll)
    saved = equilibrium.social_cost - game.social_cost(tolled.aggregator)
    print(f"\n{anarchy}; at most {anarchy.bound.value:.4g} for such costs")
    print(f"tolls of up to {toll.max():.3g} minutes save {saved:,.6g} minutes of {equilibrium.social_cost:,.8g} in all")
    print(f"tolled flows: within {np.abs(tolled.aggregator - best.x).max():.2g} vehicles of the optimum on any road")

    # Flows that are as good as an equilibrium may differ in what drivers do not look at, such as distance or emissions.
    regret = 0.01 * equilibrium.details()["mean_cost"]
    print(f"\ndistance, when nobody loses more than {regret:.3g} minutes, 1 % of the mean trip:")
    for sense in ("min", "max"):
        print(f"  {sense}  {select_within(game, equilibrium.policy, length, regret, sense=sense)}")

    # Roads closed one at a time, the busiest first.
    closed = {}
    for road in np.argsort(-x)[:80].tolist():
        with suppress(InvalidGame):  # somebody has no other way
            closed[road] = solve(game.without([road]), PathEquilibrium(1e-8)).social_cost / equilibrium.social_cost - 1.0
    if closed:
        print(f"\nclosing one of {len(closed)} roads changes the minutes of all")
        for road in (min(closed, key=closed.get), max(closed, key=closed.get)):
            print(f"  by {100 * closed[road]:+.2f} %: road {game.resource_label(road)}")
    print()

    if figures is not None:
        from eqsolve.plotting.congestion import convergence_figure, map_figure, regret_figure

        place = Path(figures)
        place.mkdir(parents=True, exist_ok=True)
        drawn = {
            "map": map_figure(game, x),
            "convergence": convergence_figure(equilibrium=equilibrium),
            "regret": regret_figure(rounded),
        }
        for name, figure in drawn.items():
            figure.savefig(place / f"{game.name.replace(' ', '-')}-{name}.png", dpi=150)


main(*sys.argv[1:])
