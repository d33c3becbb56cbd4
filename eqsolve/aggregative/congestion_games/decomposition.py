"""Points of programs as path flows that add up exactly."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from eqsolve.aggregative.congestion_games.actions import Routes
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs import Program

NOTHING = 1e-9
"""Flow on a road, relative to the demand of its origin, that counts as none."""
NEGLIGIBLE = 1e-7
"""Flow on a path, relative to the vehicles of its type, that solvers leave where there should be none."""


def path_flows(form: FlowForm, program: Program, x: FloatArray) -> PathFlows:
    """The flows of a point (N,) on paths, put back on the counts of the types; those that are negligible are left out."""
    game = form.game
    values = np.maximum(x[program.columns[0].slice], 0.0) * form.units.load
    if form.paths is not None:
        paths, flow = form.paths, values
    else:
        paths = _by_paths(game, form.origins, values.reshape(len(form.origins), -1))
        flow = paths.flow
    return settled(game, paths, np.where(flow > NEGLIGIBLE * game.count[paths.type_of], flow, 0.0))


def settled(game: CongestionGame, paths: PathSet, flow: FloatArray) -> PathFlows:
    """Flows (P,) of any size, multiplied type by type so that they add up to the counts; all alike where there are none."""
    flow = np.maximum(flow, 0.0)
    total = np.bincount(paths.type_of, weights=flow, minlength=game.n_types)
    flow = np.where(total[paths.type_of] > 0, flow, 1.0)
    total = np.bincount(paths.type_of, weights=flow, minlength=game.n_types)
    return replace(paths, flow=flow * (game.count / total)[paths.type_of]).flows()


def _by_paths(game: CongestionGame, origins: IntArray, v: FloatArray) -> PathSet:
    """Flows by origin (O, R) as flows on paths; a type whose rest finds no way more keeps what it has, or its cheapest path."""
    routes = game.actions
    assert isinstance(routes, Routes)
    net = routes.network
    leaving: list[list[int]] = [[] for _ in range(net.n_nodes)]
    for r, node in enumerate(net.tail.tolist()):
        leaving[node].append(r)
    heads, tails = net.head.tolist(), net.tail.tolist()
    found: list[tuple[int, list[int], float]] = []
    missing: list[int] = []
    for k, origin in enumerate(origins.tolist()):
        own = np.flatnonzero(routes.origin == origin)
        left = v[k].copy()
        nothing = NOTHING * float(game.demand[own].sum())
        for t in own.tolist():
            rest, served = float(game.demand[t]), False
            while rest > nothing:
                path = _short_path(leaving, heads, tails, left, origin, int(routes.destination[t]), nothing)
                if path is None:
                    break
                flow = min(rest, float(left[path].min()))
                left[path] -= flow
                rest -= flow
                served = True
                found.append((t, path, flow / float(game.weight[t])))
            if not served:
                missing.append(t)
    if missing:
        cheapest = game.actions.cheapest(game.costs.cost(v.sum(axis=0)))
        found += [
            (t, cheapest.resources[cheapest.indptr[t] : cheapest.indptr[t + 1]].tolist(), float(game.count[t])) for t in missing
        ]
    found.sort(key=lambda one: one[0])
    indptr = np.concatenate(([0], np.cumsum([len(path) for _, path, _ in found]))).astype(np.int64)
    resources = np.array([r for _, path, _ in found for r in path], dtype=np.int64)
    return PathSet(np.array([t for t, _, _ in found]), indptr, resources, np.array([flow for _, _, flow in found]))


def _short_path(
    leaving: list[list[int]], heads: list[int], tails: list[int], left: FloatArray, origin: int, target: int, nothing: float
) -> list[int] | None:
    """A path of fewest links over roads that carry flow still; None where there is none."""
    before = {origin: -1}
    queue = deque([origin])
    while queue:
        node = queue.popleft()
        if node == target:
            path: list[int] = []
            while before[node] >= 0:
                path.append(before[node])
                node = tails[before[node]]
            return path[::-1]
        for r in leaving[node]:
            if left[r] > nothing and heads[r] not in before:
                before[heads[r]] = r
                queue.append(heads[r])
    return None
