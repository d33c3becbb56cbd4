"""All-or-nothing programs answered by cheapest actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from eqsolve.aggregative.congestion_games.actions import Routes
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.arrays import FloatArray
from eqsolve.programs import Program, ProgramBuilder, StructureAnswer


@dataclass(frozen=True, slots=True, eq=False)
class CheapestForm:
    """The structure of an all-or-nothing program: flows without any other rows, at costs of 0 or more.

    Parameters
    ----------
    form : how the flows stand in the program.
    """

    form: FlowForm

    @property
    def name(self) -> str:
        """The form's name."""
        return "cheapest actions"

    def refuses(self, program: Program) -> str | None:
        """Why a program is not of the form, or None."""
        if program.kind != "LP" or program.sense != "min":
            return "it is not a linear program to minimise"
        builder = ProgramBuilder("flows")
        self.form.add_flows(builder)
        base = builder.build()
        if program.A.shape != base.A.shape or (program.A != base.A).nnz:
            return "its rows are not those of the flows"
        for side in ("row_lower", "row_upper", "col_lower", "col_upper"):
            if not np.array_equal(getattr(program, side), getattr(base, side)):
                return f"{side} is not that of the flows"
        if (program.c < 0).any():
            return "a cost is negative"
        if self.form.paths is None and np.ptp(program.c.reshape(len(self.form.origins), -1), axis=0).any():
            return "the costs of a road differ between the origins"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """Everybody on one cheapest action; the duals are the least costs, by type or by node."""
        x, y = self._by_origin(program) if self.form.paths is None else self._by_path(program, self.form.paths)
        return StructureAnswer("optimal", x, y, is_vertex=True)

    def _by_path(self, program: Program, paths: PathSet) -> tuple[FloatArray, FloatArray]:
        first = paths.first(self.form.game.n_types)[:-1]
        least = np.minimum.reduceat(program.c, first)
        at = np.flatnonzero(program.c == least[paths.type_of])
        chosen = at[np.unique(paths.type_of[at], return_index=True)[1]]
        x = np.zeros(program.n_columns)
        x[chosen] = program.row_lower
        return x, least

    def _by_origin(self, program: Program) -> tuple[FloatArray, FloatArray]:
        routes, origins = self.form.game.actions, self.form.origins
        assert isinstance(routes, Routes)
        R, n = routes.n_resources, routes.network.n_nodes
        cost = program.c[:R]
        found = routes.cheapest(cost)
        row = np.repeat(np.searchsorted(origins, routes.origin), np.diff(found.indptr))
        load = np.repeat(self.form.game.demand / self.form.units.load, np.diff(found.indptr))
        x = np.bincount(row * R + found.resources, weights=load, minlength=program.n_columns)
        forest = routes.forest
        link = forest.cheapest_links(cost)
        graph = sparse.csr_array((cost[link], forest.pair_head, forest.pair_indptr), shape=(forest.n_vertices,) * 2)
        away = np.asarray(csgraph.dijkstra(graph, indices=forest.source))[:, :n]
        away[np.arange(len(origins)), origins] = 0.0
        # Places that an origin does not reach may be as far as any: no open road leads to them.
        farthest = np.where(np.isfinite(away), away, 0.0).max(axis=1, keepdims=True)
        return np.minimum(x, program.col_upper), np.where(np.isfinite(away), away, farthest).reshape(-1)
