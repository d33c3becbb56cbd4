"""The part that all programs of flows share: columns of flows, their conservation, and the loads of the resources."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

import numpy as np

from eqsolve.aggregative.congestion_games.actions import ListedActions, Routes, gathered
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.errors import InvalidData
from eqsolve.programs import Block, ProgramBuilder

Paths = PathSet | PathFlows
"""Paths as the columns of a program; their flows are not looked at."""


@dataclass(frozen=True, slots=True)
class Units:
    """In what the columns and the objective of a game's programs are measured, powers of ten, so that numbers are about 1.

    Parameters
    ----------
    load : vehicles (times their weight) in one unit of flow. price : cost in one unit of the price of a path.
    """

    load: float
    price: float

    @property
    def cost(self) -> float:
        """Total cost in one unit of the objective."""
        return self.load * self.price

    @property
    def note(self) -> str:
        """For a program."""
        return f"flows in units of {self.load:g}, objective in units of {self.cost:g}"

    @staticmethod
    def of(game: CongestionGame) -> Units:
        """The demand of an origin (or a type), and what a trip costs when the roads are empty, or else all are on the cheapest."""
        groups = len(np.unique(game.actions.origin)) if isinstance(game.actions, Routes) else game.n_types
        total = float(game.demand.sum())
        x, least = game.actions.load(game.costs.cost(np.zeros(game.n_coordinates)), game.demand)
        trip = float(np.einsum("t,t->", game.demand, least)) or game.social_cost(x)
        return Units(_power_of_ten(total / groups), _power_of_ten(trip / total))


@dataclass(frozen=True, slots=True, eq=False)
class FlowForm:
    """How the flows of a game stand in a program.

    Parameters
    ----------
    game, units : of what, and measured in what. paths : the columns ``f[type, path]``; None for ``v[origin, road]``.
    """

    game: CongestionGame
    units: Units
    paths: PathSet | None

    @staticmethod
    def of(game: CongestionGame, paths: Paths | None = None) -> FlowForm:
        """Flows by origin on road networks, of listed actions, or of the paths that are given.

        Raises
        ------
        InvalidData : the paths leave a type without one.
        """
        if paths is None:
            actions = game.actions
            if not isinstance(actions, ListedActions):
                return FlowForm(game, Units.of(game), None)
            owner = np.repeat(np.arange(game.n_types), actions.n_actions)
            return FlowForm(game, Units.of(game), PathSet(owner, actions.indptr, actions.resources, np.zeros(len(owner))))
        missing = np.flatnonzero(np.bincount(paths.type_of, minlength=game.n_types) == 0)
        if len(missing):
            label = game.type_label(int(missing[0]))
            raise InvalidData(f"{label} has none of the paths given", f"{len(missing)} types have none; give each at least one.")
        return FlowForm(game, Units.of(game), by_type(paths))

    @property
    def origins(self) -> IntArray:
        """The distinct origins, increasing."""
        assert isinstance(self.game.actions, Routes)
        return np.unique(self.game.actions.origin)

    def add_flows(self, builder: ProgramBuilder) -> Block:
        """Add the columns of the flows, and the rows of their conservation."""
        return self._by_origin(builder) if self.paths is None else self._by_path(builder, self.paths)

    def add_loads(
        self, builder: ProgramBuilder, flows: Block, lower: FloatArray | float = 0.0, upper: FloatArray | float = 0.0
    ) -> Block:
        """Add rows ``load[road]`` that hold the loads which the flows put on the resources, within bounds, in units."""
        load = builder.rows("load", (self.game.n_coordinates,), axes=("road",), labels=(self.roads,), lower=lower, upper=upper)
        builder.add(load, flows, *self._loads(flows))
        return load

    @property
    def roads(self) -> tuple[str, ...] | None:
        """Names of the resources: as given, the ends of the links where they tell them apart, or none."""
        game = self.game
        if game.resources:
            return game.resources
        if game.network is None:
            return None
        names = tuple(game.network.link_label(r) for r in range(game.network.n_links))
        return names if len(set(names)) == len(names) else None

    @property
    def most(self) -> float:
        """The largest load that any resource can have, in units."""
        return float(self.game.demand.sum()) / self.units.load

    def column_costs(self, cost: FloatArray) -> FloatArray:
        """What one unit in each flow column costs, in units of the objective, when the resources cost ``cost`` (R,)."""
        if self.paths is None:
            return np.tile(cost, len(self.origins)) / self.units.price
        return self.game.weight[self.paths.type_of] * self.paths.path_costs(cost) / self.units.price

    def _loads(self, flows: Block) -> tuple[IntArray, IntArray, FloatArray]:
        R = self.game.n_coordinates
        column = np.arange(flows.size)
        if self.paths is None:
            return column % R, column, np.ones(flows.size)
        column = np.repeat(column, np.diff(self.paths.indptr))
        return self.paths.resources, column, np.asarray(self.game.weight[self.paths.type_of[column]], dtype=np.float64)

    def _by_path(self, builder: ProgramBuilder, paths: PathSet) -> Block:
        game = self.game
        count = np.asarray(game.count, dtype=np.float64) / self.units.load
        types = game.types or None
        f = builder.columns(
            "f",
            counts=np.bincount(paths.type_of, minlength=game.n_types),
            axes=("type", "path"),
            labels=(types, None),
            upper=count[paths.type_of],
        )
        demand = builder.rows("demand", (game.n_types,), axes=("type",), labels=(types,), lower=count, upper=count)
        builder.add(demand, f, paths.type_of, np.arange(paths.n_paths))
        return f

    def _by_origin(self, builder: ProgramBuilder) -> Block:
        """What arrives less what leaves, at every node; roads out of other zones and into the origin are closed."""
        routes = self.game.actions
        assert isinstance(routes, Routes)
        net, origins = routes.network, self.origins
        K, R, N = len(origins), net.n_links, net.n_nodes
        need = np.zeros((K, N))
        np.add.at(need, (np.searchsorted(origins, routes.origin), routes.destination), self.game.demand / self.units.load)
        total = need.sum(axis=1)
        own = net.tail == origins[:, None]
        closed = ((net.tail < net.first_through) & ~own) | (net.head == origins[:, None])
        names = net.names or None
        labels = None if names is None else tuple(names[k] for k in origins.tolist())
        upper = np.where(closed, 0.0, total[:, None])
        v = builder.columns("v", (K, R), axes=("origin", "road"), labels=(labels, self.roads), upper=upper)
        lower, upper_need = need.copy(), need.copy()
        # What leaves the origin follows from the other nodes: its row would be dependent.
        lower[np.arange(K), origins], upper_need[np.arange(K), origins] = -np.inf, np.inf
        rows = builder.rows("conservation", (K, N), axes=("origin", "node"), labels=(labels, names), lower=lower, upper=upper_need)
        o, r = (one.reshape(-1) for one in np.indices((K, R)))
        builder.add(rows, v, o * N + net.head[r], o * R + r, 1.0)
        builder.add(rows, v, o * N + net.tail[r], o * R + r, -1.0)
        return v


def by_type(paths: Paths) -> PathSet:
    """Paths in order of their types, as programs have them."""
    order = np.argsort(paths.type_of, kind="stable")
    return PathSet(paths.type_of[order], *gathered(paths.indptr, paths.resources, order), paths.flow[order])


def _power_of_ten(value: float) -> float:
    return float(10.0 ** floor(log10(value) + 0.5)) if value > 0 else 1.0
