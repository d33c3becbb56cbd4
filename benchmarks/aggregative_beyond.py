"""Aggregators of many coordinates, where a grid is hopeless: a potential, a fixed-point search, branch and bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import eqsolve
from benchmarks.registry import Bench, case
from eqsolve.aggregative import AggregativeGame, AggregativeNash, FixedPointNash, PotentialNash, congestion, ev_charging
from eqsolve.backends import Limits


def solved(game: AggregativeGame, algorithm: Any, **more: Any) -> Callable[[], Any]:
    return lambda: eqsolve.solve(game, algorithm, **more)


@case("aggregative-beyond")
def run(bench: Bench) -> None:
    """Gap and time of the potential and the fixed-point search by d; n = 10,000 vehicles that charge by the hour at d = 24."""
    sizes = ((200, 4), (200, 8)) if bench.quick else ((1000, 3), (1000, 6), (1000, 12), (1000, 24), (10_000, 24), (100_000, 24))
    for vehicles, hours in sizes:
        game = ev_charging(vehicles, hours)
        size = f"ev charging, n={vehicles:,}, d={hours}"
        promised = (hours + 1) * game.delta * float(game.gamma.max())
        makers = {"potential": solved(game, PotentialNash()), "fixed point": solved(game, FixedPointNash())}
        for name, make in makers.items():
            result = make()
            told = f"gap {result.gap.upper:.3g}, {result.status.name.lower()} after {result.iterations} iterations"
            print(f"     {size}, {name}: {told}; (d+1) delta gamma = {promised:.3g}", flush=True)
            if vehicles == 10_000:
                bench.target(f"{size}: {name}, gap / (d+1) delta gamma", result.gap.upper / promised, 1.0, at_least=False)
        bench.compare(size, "solve", makers, repeats=1 if vehicles > 1000 else 3)


@case("aggregative-boxes")
def boxes(bench: Bench) -> None:
    """Branch and bound by d: the welfare gap that is left after a minute at most."""
    seconds = 5.0 if bench.quick else 60.0
    for roads in (3, 4) if bench.quick else (3, 4, 5, 6):
        game = congestion(200 if bench.quick else 1000, roads)
        size = f"congestion, n={game.n_players:,}, d={roads}"
        algorithm = AggregativeNash(split="widest", welfare_gap=0.01)
        result = eqsolve.solve(game, algorithm, limits=Limits(seconds=seconds))
        share = result.selection_gap / abs(result.welfare)
        took = sum(result.provenance.seconds.values())
        told = f"{result.status.name.lower()}, welfare gap {100 * share:.3g} %, Nash gap {result.gap.upper:.3g}"
        print(f"     {size}: {told}, {took:.1f} s", flush=True)
        if roads == 4:
            bench.target(f"{size}: welfare gap after {seconds:g} s at most", share, 0.01, at_least=False)
