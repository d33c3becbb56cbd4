r"""The linear program that moves fractional path flows to a vertex: at most R extra paths in use over all types.

.. math:: \min\ \sum_p g_p f_p \quad \text{s.t.} \quad \sum_{p \in t} f_p = N_t\ \ \forall t, \qquad
          x_r - \tau \le \sum_{p \ni r} w_{t(p)} f_p \le x_r + \tau\ \ \forall r, \qquad f \ge 0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.aggregative.congestion_games.actions import gathered
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.purification import purified_solution
from eqsolve.aggregative.congestion_games.rounding import used_paths
from eqsolve.arrays import BoolArray, FloatArray, IntArray, float_array, real_number
from eqsolve.backends import Limits, Outcome, solve_program
from eqsolve.errors import InvalidData
from eqsolve.programs import Program, ProgramBuilder, StructureAnswer

NOTHING = 1e-11
"""Share of a type below which a flow counts as 0."""
LARGEST = 300_000
"""Numbers of the full table (rows, paths of split types) up to which the method of its own is used."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitPaths:
    """The structure of a vertex program: rows 0..T-1 add up the paths of a type, the others load the roads.

    A point of the program is known from the start: the flows themselves. Without objective any vertex answers the program, and the
    method moves the known point there along null directions of the rows that hold with equality.

    Parameters
    ----------
    offsets : (T+1,) first path of each type, and P. flow : (P,) the flows that are known.
    """

    offsets: IntArray
    flow: FloatArray

    @property
    def name(self) -> str:
        """The form's name."""
        return "path flows with given loads"

    def refuses(self, program: Program) -> str | None:
        """Why a program is beyond the method, or None."""
        if program.kind != "LP" or program.n_columns != len(self.flow) or program.n_rows < len(self.offsets) - 1:
            return "it is not the vertex program of these flows"
        if program.c.any():
            return "it has an objective, and the method only finds a vertex"
        if (program.row_lower != program.row_upper).any():
            return "its loads are not fixed"
        types = len(self.offsets) - 1
        split = self._split(self.flow)
        if int(split.sum()) * (int(split[self.offsets[:-1]].sum()) + program.n_rows - types) > LARGEST:
            return "it has so many paths of split types that a sparse simplex method is faster"
        return None

    def solve(self, program: Program) -> StructureAnswer:
        """A vertex, from the flows that are known."""
        x = self.purify(program, self.flow)
        return StructureAnswer("optimal", x, np.zeros(program.n_rows), is_vertex=True)

    def purify(self, program: Program, x: FloatArray) -> FloatArray:
        """A vertex no worse than a feasible point of a program whose loads are fixed; types on one path stay as they are."""
        paths = np.diff(self.offsets)
        need = np.repeat(program.row_lower[: len(paths)], paths)
        f = np.where(x > NOTHING * need, x, 0.0)
        total = np.add.reduceat(f, self.offsets[:-1])
        f *= need / np.repeat(total, paths)
        split = np.flatnonzero(self._split(f))
        if not len(split):
            return f
        columns = program.A[:, split]
        rows = np.flatnonzero(np.diff(columns.tocsr().indptr))
        c = -program.c[split] if program.sense == "max" else program.c[split]
        f[split] = purified_solution(columns[rows].toarray(), f[split], c, NOTHING * need[split])
        return f

    def _split(self, f: FloatArray) -> BoolArray:
        """(P,) whether the type of each path has more than one in use."""
        used = np.add.reduceat((f > 0).astype(np.int64), self.offsets[:-1])
        return np.asarray(np.repeat(used > 1, np.diff(self.offsets)))


def vertex_program(
    game: CongestionGame, flows: PathFlows, tolerance: float = 0.0, objective: npt.ArrayLike | None = None
) -> Program:
    """The vertex program of path flows; its columns are the used paths, type by type (see ``used_by_type``).

    Parameters
    ----------
    tolerance : tau, by how much the load of a resource may change, in units of load.
    objective : (P,) g, the cost of one vehicle on each of the given paths; none when left out.

    Raises
    ------
    InvalidData : a tolerance below 0, an objective of another length.
    """
    tau = real_number("tolerance", tolerance, least=0.0)
    g = float_array("objective", 0.0 if objective is None else objective, (len(flows.flow),))
    order = used_by_type(flows)
    used = _reordered(flows, order)
    per_type = np.bincount(used.type_of, minlength=game.n_types)
    builder = ProgramBuilder("vertex program", sense="min")
    types = game.types or None
    most = game.count[used.type_of]
    f = builder.columns("f", counts=per_type, axes=("type", "path"), labels=(types, None), upper=most)
    demand = builder.rows("demand", (game.n_types,), axes=("type",), labels=(types,), lower=game.count, upper=game.count)
    x = game.aggregator(used)
    loaded = np.flatnonzero(np.bincount(used.resources, minlength=game.n_coordinates))
    labels = tuple(map(game.resource_label, loaded.tolist()))
    road = builder.rows("load", (len(loaded),), axes=("road",), labels=(labels,), lower=x[loaded] - tau, upper=x[loaded] + tau)
    builder.add(demand, f, used.type_of, np.arange(len(order)))
    path = np.repeat(np.arange(len(order)), np.diff(used.indptr))
    builder.add(road, f, np.searchsorted(loaded, used.resources), path, game.weight[used.type_of[path]])
    builder.objective(f, g[order])
    offsets = np.concatenate(([0], np.cumsum(per_type)))
    note = f"{len(order):,} paths of {game.n_types:,} types" + (f", loads within {tau:g}" if tau else ", loads fixed")
    return builder.build(structure=None if tau else SplitPaths(offsets, used.flow), note=note)


def used_by_type(flows: PathFlows) -> IntArray:
    """The used paths, in order of their types: the columns of the vertex program."""
    used = np.flatnonzero(flows.flow > 0)
    return used[np.argsort(flows.type_of[used], kind="stable")]


def vertex_flows(
    game: CongestionGame,
    flows: PathFlows,
    tolerance: float = 0.0,
    objective: npt.ArrayLike | None = None,
    *,
    backend: str = "auto",
    limits: Limits | None = None,
) -> tuple[PathFlows, Outcome]:
    """Flows with (nearly) the same loads and at most R extra paths in use, and the answer they come from.

    Raises
    ------
    InvalidData : the backend gave no point.
    """
    program = vertex_program(game, flows, tolerance, objective)
    outcome = solve_program(program, backend, vertex=True, limits=limits)
    if outcome.x is None:
        raise InvalidData(f"the vertex program has no answer: {outcome.termination}", "Allow a tolerance, or another backend.")
    return flows_of_point(game, flows, outcome.x), outcome


def flows_of_point(game: CongestionGame, flows: PathFlows, point: FloatArray) -> PathFlows:
    """The path flows that a point of the vertex program of ``flows`` stands for, put back on the counts of the types."""
    used = _reordered(flows, used_by_type(flows))
    f = np.clip(point, 0.0, None)
    f[f <= NOTHING * game.count[used.type_of]] = 0.0
    total = np.bincount(used.type_of, weights=f, minlength=game.n_types)
    return used_paths(used, f * (game.count / total)[used.type_of], atomic=False)


def _reordered(flows: PathFlows, order: IntArray) -> PathFlows:
    indptr, resources = gathered(flows.indptr, flows.resources, order)
    return PathFlows(flows.type_of[order], indptr, resources, flows.flow[order], atomic=False)
