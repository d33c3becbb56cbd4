"""Beckmann's convex program, whose optima are the Wardrop equilibria, and the same program of the system optimum."""

from __future__ import annotations

import numpy as np

from eqsolve.aggregative.congestion_games.cost_terms import CostTerms, convex_terms
from eqsolve.aggregative.congestion_games.costs import Costs, MarginalCosts
from eqsolve.aggregative.congestion_games.decomposition import path_flows
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm, Paths, Units
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.towers import ONE, T, Tower, TowerForm, X
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs import Block, Program, ProgramBuilder


def program_costs(game: CongestionGame, system: bool) -> Costs:
    """The costs whose equilibrium a program is about: those of the game, or with ``system`` its marginal costs."""
    return MarginalCosts(game.costs) if system else game.costs


def beckmann_program(game: CongestionGame, *, system: bool = False, paths: Paths | None = None) -> Program:
    r"""The convex program of the Wardrop equilibria, as a QP or with rotated second-order cones.

    .. math:: \min \sum_r \int_0^{x_r} c_r(z)\, dz \quad \text{s.t.} \quad x_r = \sum_o v_{or}, \qquad
              \sum_{r \to i} v_{or} - \sum_{i \to r} v_{or} = b_{oi}, \qquad v \ge 0

    with the flows of each origin o, which do not pass through other zones; or, where actions are listed or paths are given,

    .. math:: x_r = \sum_{t, p \ni r} w_t f_{tp}, \qquad \sum_p f_{tp} = n_t, \qquad f \ge 0 .

    A constant cost is linear in x, an affine one quadratic. A power :math:`a x^e` has :math:`t \ge (x / u)^{e + 1}` with the
    coefficient :math:`a u^{e + 1} / (e + 1)`, where u is the load at which the power costs as much as the constant, and t stands
    on a tower of cones (``Tower``). A piecewise linear cost has one column per piece.

    Parameters
    ----------
    system : the program of the system optimum, :math:`\min \sum_r x_r c_r(x_r)`, which is Beckmann's of the marginal costs.
    paths : the only paths that are driven; all roads, or all listed actions, when left out.

    Returns
    -------
    Program whose flows and objective are in the units of its note (``Units.of(game)``); ``beckmann_flows`` reads a point.

    Raises
    ------
    NoConvexProgram : costs that may fall, or given by functions (``piecewise_program`` takes these).
    InvalidData : a power that is no fraction with a denominator of at most 64, paths that leave a type without one.
    """
    form = FlowForm.of(game, paths)
    terms = convex_terms(program_costs(game, system), repr(game.name), game.resource_label)
    builder = ProgramBuilder("system optimum program" if system else "Beckmann program")
    load = form.add_loads(builder, form.add_flows(builder))
    R = game.n_coordinates
    x = builder.columns("x", (R,), axes=("road",), labels=(form.roads,), upper=form.most)
    builder.add(load, x, np.arange(R), np.arange(R), -1.0)
    _add_objective(builder, x, terms, form)
    coned = bool((terms.exponent != 1.0).any())
    return builder.build(structure=TowerForm() if coned else None, note=form.units.note)


def beckmann_flows(game: CongestionGame, program: Program, x: FloatArray, *, paths: Paths | None = None) -> PathFlows:
    """The path flows of a point (N,) of a Beckmann or piecewise program: exact ones, which add up to the counts.

    Flows by origin are taken apart into paths; flows on cycles, and what rounding leaves, are not kept.

    Parameters
    ----------
    paths : as they were given to the program.
    """
    return path_flows(FlowForm.of(game, paths), program, x)


def objective_of(game: CongestionGame, program: Program, x: FloatArray) -> float:
    """The objective of a point (N,) of a program of the game, in units of cost times vehicles."""
    return program.objective(x) * Units.of(game).cost


def _add_objective(builder: ProgramBuilder, x: Block, terms: CostTerms, form: FlowForm) -> None:
    units = form.units
    builder.objective(x, terms.constant / units.price)
    exponent = terms.exponent + 1.0
    quadratic = exponent == 2.0
    own = terms.resource[quadratic]
    if len(own):
        builder.quadratic(x, x, own, own, terms.coefficient[quadratic] * (units.load / units.price))
    for q in np.unique(exponent[~quadratic]).tolist():
        which = np.flatnonzero(exponent == q)
        _add_powers(builder, x, Tower.of(q), terms, which, form)
    if len(terms.piece_of):
        _add_pieces(builder, x, terms, form)


def _add_powers(builder: ProgramBuilder, x: Block, tower: Tower, terms: CostTerms, which: IntArray, form: FlowForm) -> None:
    """t >= (x / u)^q for some powers of one exponent, in steps w^2 <= u v with the rows u, v / 2, w of a rotated cone."""
    units, q = form.units, float(tower.exponent)
    resource, a = terms.resource[which], terms.coefficient[which]
    scale = _natural_loads(terms, which, units)
    K, S = len(which), len(tower.steps)
    labels = None if form.roads is None else tuple(form.roads[r] for r in resource.tolist())
    t = builder.columns(f"t{tower.name}", (K,), axes=("road",), labels=(labels,))
    w = None
    if tower.helpers:
        w = builder.columns(f"w{tower.name}", (K, tower.helpers), axes=("road", "step"), labels=(labels, None))
    rows = builder.rows(f"power{tower.name}", (K, S, 3), axes=("road", "step", "side"), labels=(labels, None, ("u", "v", "w")))
    k = np.arange(K)
    shift = np.zeros((S, 3))
    for s, ends in enumerate(tower.steps):
        for side, (end, share) in enumerate(zip(ends, (1.0, 0.5, 1.0), strict=True)):
            at = (k * S + s) * 3 + side
            if end == X:
                builder.add(rows, x, at, resource, share * units.load / scale)
            elif end == T:
                builder.add(rows, t, at, k, share)
            elif end == ONE:
                shift[s, side] = share
            else:
                assert w is not None
                builder.add(rows, w, at, k * tower.helpers + end, share)
    for one in range(K * S):
        builder.cone("rsoc", rows, np.arange(3) + 3 * one, shift[one % S])
    builder.objective(t, a * scale**q / q / units.cost)


def _natural_loads(terms: CostTerms, which: IntArray, units: Units) -> FloatArray:
    """The loads at which powers cost as much as the constant; one unit where there is no constant."""
    constant, e = terms.constant[terms.resource[which]], terms.exponent[which]
    with np.errstate(divide="ignore"):
        found = np.where(constant > 0, (constant / terms.coefficient[which]) ** (1.0 / e), units.load)
    return np.asarray(np.clip(found, 1e-3 * units.load, 1e3 * units.load))


def _add_pieces(builder: ProgramBuilder, x: Block, terms: CostTerms, form: FlowForm) -> None:
    """Columns for the straight pieces of costs, filled one after the other because costs do not fall."""
    units, owner = form.units, terms.piece_of
    road, count = np.unique(owner, return_counts=True)
    labels = None if form.roads is None else tuple(form.roads[r] for r in road.tolist())
    y = builder.columns(
        "y", counts=count, axes=("road", "piece"), labels=(labels, None), upper=np.minimum(terms.width / units.load, form.most)
    )
    rows = builder.rows("pieces", (len(road),), axes=("road",), labels=(labels,), lower=0.0, upper=0.0)
    builder.add(rows, x, np.arange(len(road)), road, -1.0)
    builder.add(rows, y, np.searchsorted(road, owner), np.arange(len(owner)), 1.0)
    builder.objective(y, terms.cost / units.price)
    sloped = np.flatnonzero(terms.slope)
    if len(sloped):
        builder.quadratic(y, y, sloped, sloped, terms.slope[sloped] * (units.load / units.price))
