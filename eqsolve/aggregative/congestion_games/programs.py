"""The linear programs of congestion games: all or nothing, the master of column generation, and the selection of flows."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.congestion_games.beckmann import beckmann_program
from eqsolve.aggregative.congestion_games.cheapest_form import CheapestForm
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm, Paths
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.piecewise import piecewise_program, points_around
from eqsolve.aggregative.congestion_games.vertex_program import vertex_program
from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program, ProgramBuilder

NAMES = ("beckmann", "system", "all-or-nothing", "master", "inner", "outer", "vertex")
ROUNDING = 1e-12
"""Of a load, relative to it: boxes are wider by it, so that their centre is inside."""


def named_program(game: CongestionGame, flows: PathFlows, *which: str) -> Program:
    """A program of a game at some flows, by its name.

    Parameters
    ----------
    which : ``beckmann`` (also when nothing is named), ``system`` (that of the system optimum), ``all-or-nothing`` (at the costs of
        the flows), ``master`` (over the paths of the flows), ``inner`` or ``outer`` (the piecewise linear programs), ``vertex``
        (which moves the flows to a vertex).

    Raises
    ------
    UnknownName : another name. NoConvexProgram : costs that the program cannot have.
    """
    name, x = ":".join(map(str, which)) or "beckmann", game.aggregator(flows)
    if name in ("beckmann", "system"):
        return beckmann_program(game, system=name == "system")
    if name == "all-or-nothing":
        return all_or_nothing_program(game, game.costs.cost(x))
    if name == "master":
        return master_program(game, flows, points_around(game, x))
    if name in ("inner", "outer"):
        return piecewise_program(game, points_around(game, x), side="inner" if name == "inner" else "outer")
    if name == "vertex":
        return vertex_program(game, flows)
    raise unknown("program", name, NAMES)


def all_or_nothing_program(game: CongestionGame, cost: FloatArray, *, paths: Paths | None = None, note: str = "") -> Program:
    r"""The linear program of a step of Frank and Wolfe: everybody takes a cheapest action at given costs.

    .. math:: \min \sum_{o, r} c_r v_{or} \quad \text{s.t.} \quad \sum_{r \to i} v_{or} - \sum_{i \to r} v_{or} = b_{oi}, \quad
              v \ge 0

    with the flows of each origin, or of paths, as in ``beckmann_program``. Its optimum is
    :math:`\sum_t w_t n_t\, \text{dist}_t(c)`, and the duals of ``conservation`` are the distances of the nodes from the origin, in
    units of price. The backend ``native`` answers it by shortest paths.

    Parameters
    ----------
    cost : (R,) 0 or more. paths : the only paths that are driven; all when left out.

    Raises
    ------
    InvalidData : a negative cost (the message names the resource), shapes.
    """
    given = float_array("cost", cost, (game.n_coordinates,))
    if given.min() < 0:
        r = int(np.argmin(given))
        raise InvalidData(f"cost of {game.resource_label(r)} is {given[r]:g}, not 0 or more")
    form = FlowForm.of(game, paths)
    builder = ProgramBuilder("all-or-nothing program")
    builder.objective(form.add_flows(builder), form.column_costs(given))
    return builder.build(structure=CheapestForm(form), note=note or form.units.note)


def master_program(game: CongestionGame, paths: Paths, points: FloatArray) -> Program:
    r"""The master of column generation: the best flows on some paths, with straight pieces in place of the integrals of the costs.

    .. math:: \min \sum_{r, k} \bar c_{rk}\, y_{rk} \quad \text{s.t.} \quad \sum_p f_{tp} = n_t, \quad
              \sum_{t, p \ni r} w_t f_{tp} = \sum_k y_{rk}, \quad 0 \le y_{rk} \le a_{r, k + 1} - a_{rk}

    with the mean cost :math:`\bar c_{rk}` of each piece. Paths whose cost at the duals of ``load`` is less than the dual of
    ``demand`` would improve it.

    Parameters
    ----------
    points : (R, K) increasing loads from 0 to the whole demand, see ``points_around``.

    Raises
    ------
    NoConvexProgram, InvalidData : see ``piecewise_program``.
    """
    return piecewise_program(game, points, paths=paths, name="master program")


def selection_program(
    game: CongestionGame, paths: Paths, objective: FloatArray, centre: FloatArray, half_width: FloatArray, sense: str = "min"
) -> Program:
    r"""The best flows for a linear objective on given paths, with loads in a box.

    .. math:: \min \sum_r e_r x_r \quad \text{s.t.} \quad \sum_p f_{tp} = n_t, \quad
              \hat x_r - b_r \le \sum_{t, p \ni r} w_t f_{tp} \le \hat x_r + b_r, \quad f \ge 0

    Parameters
    ----------
    paths : those that count as cheap at the centre. objective : (R,) e, per unit of load, such as the emissions of a vehicle.
    centre, half_width : (R,) of the box, in vehicles times weight.
    sense : ``"min"`` or ``"max"``.

    Raises
    ------
    InvalidData : shapes, a negative width, paths that leave a type without one.
    """
    R = game.n_coordinates
    e, x, b = (float_array(k, v, (R,)) for k, v in (("objective", objective), ("centre", centre), ("half_width", half_width)))
    if b.min() < 0:
        r = int(np.argmin(b))
        raise InvalidData(f"half_width of {game.resource_label(r)} is {b[r]:g}, not 0 or more")
    if sense not in ("min", "max"):
        raise InvalidData(f"sense is {sense!r}, not 'min' or 'max'")
    form = FlowForm.of(game, paths)
    builder = ProgramBuilder("selection program", sense="min" if sense == "min" else "max")
    flows = form.add_flows(builder)
    wide = b + ROUNDING * (x + float(x.max()))
    form.add_loads(builder, flows, np.maximum(x - wide, 0.0) / form.units.load, (x + wide) / form.units.load)
    builder.objective(flows, form.column_costs(e) * form.units.price)
    return builder.build(note=f"flows and objective in units of {form.units.load:g}")
