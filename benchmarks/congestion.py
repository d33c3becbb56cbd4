"""Road traffic: equilibria beside Frank-Wolfe and conic programs, growth on cities of up to 10,000 nodes, indivisible vehicles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import eqsolve
from benchmarks.registry import Bench, case
from eqsolve.aggregative.congestion_games.atomic import AtomicRouting
from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, beckmann_program
from eqsolve.aggregative.congestion_games.certificate import certify
from eqsolve.aggregative.congestion_games.frank_wolfe import FrankWolfe
from eqsolve.aggregative.congestion_games.game import CongestionGame, describe
from eqsolve.aggregative.congestion_games.generators import grid_city
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.potential import beckmann
from eqsolve.aggregative.congestion_games.tntp import read_flow, read_game
from eqsolve.arrays import FloatArray
from eqsolve.backends import Limits, solve_program

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "transport"
GAPS = (1e-4, 1e-6, 1e-8)
PEERS = 20
"""Side of the largest grid that the peers are given."""


def town() -> tuple[str, CongestionGame]:
    """Sioux Falls where its files are, else a grid of that size."""
    net, trips = (DATA / f"SiouxFalls_{kind}.tntp" for kind in ("net", "trips"))
    if net.exists() and trips.exists():
        return "Sioux Falls", read_game(net, trips)
    return "grid city 6 x 4", grid_city(6, 4, zones=24, load=1.0)


def relative_gap(game: CongestionGame, x: FloatArray) -> float:
    """Of loads alone; below 0 where they carry less than the demand."""
    cost = game.costs.cost(x)
    total = float(np.sum(x * cost))
    return (total - float(np.sum(game.demand * game.actions.load(cost, game.demand)[1]))) / total


def by_hand(game: CongestionGame) -> tuple[Any, Any, float]:
    """The link-flow formulation as one writes it with cvxpy: the problem, its loads, and the vehicles in a unit of flow."""
    import cvxpy as cp
    from scipy import sparse

    network, routes, costs = game.network, game.actions, game.costs
    R = game.n_coordinates
    ends = np.concatenate((network.head, network.tail))
    signs = np.repeat([1.0, -1.0], R)
    balance = sparse.csr_array((signs, (ends, np.tile(np.arange(R), 2))), shape=(network.n_nodes, R))
    origins = np.unique(routes.origin)
    needs = np.zeros((network.n_nodes, len(origins)))
    for o, d, vehicles in zip(routes.origin.tolist(), routes.destination.tolist(), game.demand.tolist(), strict=True):
        k = int(np.searchsorted(origins, o))
        needs[d, k] += vehicles
        needs[o, k] -= vehicles
    unit = float(costs.capacity.mean())
    flow = cp.Variable((R, len(origins)), nonneg=True)
    x = cp.sum(flow, axis=1)
    power = float(costs.power[0])
    rise = cp.sum(cp.multiply(costs.free_flow * costs.b / (power + 1) * (unit / costs.capacity) ** power, cp.power(x, power + 1)))
    return cp.Problem(cp.Minimize(costs.free_flow @ x + rise), [balance @ flow == needs / unit]), x, unit


def hand_solved(game: CongestionGame) -> Callable[[], FloatArray]:
    """Build the problem and solve it: its loads."""

    def run() -> FloatArray:
        problem, x, unit = by_hand(game)
        problem.solve(solver="CLARABEL")
        return np.asarray(x.value * unit)

    return run


def program_solved(game: CongestionGame, backend: str) -> Callable[[], FloatArray]:
    """Build the Beckmann program and solve it: the loads of exact path flows."""

    def run() -> FloatArray:
        program = beckmann_program(game)
        outcome = solve_program(program, backend)
        assert outcome.x is not None
        return game.aggregator(beckmann_flows(game, program, outcome.x))

    return run


def conic(game: CongestionGame) -> dict[str, Callable[[], FloatArray]]:
    """The peers that solve a conic program."""
    return {
        "cvxpy by hand, Clarabel": hand_solved(game),
        "beckmann_program, cvxpy:CLARABEL": program_solved(game, "cvxpy:CLARABEL"),
    }


def kept(into: dict[str, Any], name: str, work: Callable[[], Any]) -> Callable[[], None]:
    """The work, which leaves its answer."""

    def run() -> None:
        into[name] = work()

    return run


def driven(
    game: CongestionGame, algorithm: Any, found: dict[str, Any], name: str, seconds: float | None = None
) -> Callable[[], None]:
    """Solve, and leave the result."""
    return kept(found, name, lambda: eqsolve.solve(game, algorithm, limits=None if seconds is None else Limits(seconds=seconds)))


def tell(size: str, name: str, game: CongestionGame, x: FloatArray, best: float) -> None:
    """What loads are worth."""
    error = (beckmann(game, x) - best) / best
    print(f"     {size}, {name}: objective off by {error:+.2g}, relative gap {relative_gap(game, x):.3g}", flush=True)


@case("road-traffic")
def run(bench: Bench) -> None:
    """Time to relative gaps of 1e-4, 1e-6 and 1e-8, beside Frank-Wolfe, linear masters and cvxpy with Clarabel."""
    size, game = town()
    budget = 2.0 if bench.quick else 60.0
    reference = eqsolve.solve(game, PathEquilibrium(1e-13))  # loads and compiles
    best = beckmann(game, reference.aggregator)
    reached = True
    for gap in GAPS:
        found: dict[str, Any] = {}
        makers = {
            "PathEquilibrium": driven(game, PathEquilibrium(gap), found, "PathEquilibrium"),
            "LinearMasters, HiGHS": driven(game, LinearMasters(gap), found, "LinearMasters, HiGHS", budget),
        }
        bench.compare(size, f"{gap:g}", makers)
        plain = driven(game, FrankWolfe(gap), found, "FrankWolfe", budget)
        if reached:
            bench.compare(size, f"{gap:g}", {"FrankWolfe": plain}, repeats=1)
            reached = found["FrankWolfe"].is_converged
        for name, result in found.items():
            tell(size, f"{name}, {result.status.name.lower()} after {result.iterations} steps", game, result.aggregator, best)
    bench.compare(size, "build", {"beckmann_program": lambda: beckmann_program(game), "cvxpy by hand": lambda: by_hand(game)})
    loads: dict[str, FloatArray] = {}
    contestants = {"PathEquilibrium 1e-8": driven(game, PathEquilibrium(1e-8), {}, "")}
    contestants |= {name: kept(loads, name, work) for name, work in conic(game).items()}
    taken = bench.compare(size, "solve", contestants)
    for name, x in loads.items():
        tell(size, name, game, x, best)
    bench.compare(size, "certify", {"Wardrop regret": partial(certify, game, reference.policy)})
    bench.target(f"{size}: seconds to 1e-8", taken["PathEquilibrium 1e-8"], 5.0, at_least=False)
    ratio = taken["cvxpy by hand, Clarabel"] / taken["PathEquilibrium 1e-8"]
    bench.target(f"{size}: cvxpy with Clarabel / PathEquilibrium to 1e-8", ratio, 10.0)
    if size == "Sioux Falls" and (DATA / "SiouxFalls_flow.tntp").exists():
        known = read_flow(DATA / "SiouxFalls_flow.tntp", game.network)[0]
        off = float((np.abs(reference.aggregator - known) / np.maximum(known, 1.0)).max())
        bench.target(f"{size}: largest relative difference from the best known link flows", off, 1e-4, at_least=False)


@case("road-traffic-growth")
def growth(bench: Bench) -> None:
    """Grid cities of 100 to 10,000 nodes to a relative gap of 1e-6; peers where they can."""
    eqsolve.solve(grid_city(5, 5), PathEquilibrium(1e-6))  # loads and compiles
    budget = 2.0 if bench.quick else 60.0
    for side in (6, 10) if bench.quick else (10, 20, 32, 56, 100):
        game = grid_city(side, side)
        size = f"{side * side:,} nodes"
        print(f"     {size}: {describe(game)}", flush=True)
        found: dict[str, Any] = {}
        path = driven(game, PathEquilibrium(1e-6), found, "PathEquilibrium")
        bench.compare(size, "solve", {"PathEquilibrium": path}, repeats=1 if side > 32 else None)
        policy = found["PathEquilibrium"].policy
        bench.compare(size, "certify", {"Wardrop regret": partial(certify, game, policy)}, repeats=1)
        best = found["PathEquilibrium"].state.lower
        if side <= PEERS:
            best = eqsolve.solve(game, PathEquilibrium(1e-12)).state.lower
            makers = {
                "FrankWolfe, 1e-3": driven(game, FrankWolfe(1e-3), found, "FrankWolfe", budget),
                "LinearMasters 1e-4, HiGHS": driven(game, LinearMasters(1e-4), found, "LinearMasters", budget),
            }
            bench.compare(size, "solve", makers, repeats=1)
        for name, one in found.items():
            tell(size, f"{name}, {one.status.name.lower()} after {one.iterations} steps", game, one.aggregator, best)
        if side <= PEERS:
            loads: dict[str, FloatArray] = {}
            bench.compare(size, "solve", {name: kept(loads, name, work) for name, work in conic(game).items()}, repeats=1)
            for name, x in loads.items():
                tell(size, name, game, x, best)


@case("road-traffic-atomic")
def atomic(bench: Bench) -> None:
    """Indivisible vehicles to an exact Nash gap of 0: more and smaller ones of the same traffic, and larger cities."""
    eqsolve.solve(grid_city(4, 4), AtomicRouting())  # loads and compiles
    name, base = town()
    scales = (0.1, 1.0) if bench.quick else (0.1, 1.0, 10.0, 100.0)
    games = [(name, replace(base, count=np.round(base.count * k), weight=np.full(base.n_types, 1 / k))) for k in scales]
    games += [(f"{n * n:,} nodes", grid_city(n, n)) for n in ((10,) if bench.quick else (10, 20, 32))]
    for place, game in games:
        size = f"{place}, {game.n_players:,} vehicles"
        found: dict[str, Any] = {}
        contestants = {
            "PathEquilibrium 1e-8": driven(game, PathEquilibrium(), found, "divisible"),
            "AtomicRouting": driven(game, AtomicRouting(), found, "atomic"),
        }
        large = game.network is not None and game.network.n_nodes > 100
        bench.compare(size, "solve", contestants, repeats=1 if large else min(bench.repeats, 3))
        result = found["atomic"]
        bench.compare(size, "certify", {"Nash gap": partial(certify, game, result.policy)}, repeats=1)
        more = result.details()
        rounded = f"{more['gap_before_polish']:.3g} before the polish, {result.bounds[0].value:.3g} promised"
        extra = f"{more['extra_paths_of_vertex']:,} extra paths at the vertex of {game.n_coordinates:,}"
        print(f"     {size}: gap {result.gap.upper:.3g} ({rounded}), {extra}, {more['replies']:,} replies", flush=True)
        bench.target(f"{size}: exact Nash gap", result.gap.upper, 0.0, at_least=False)
