"""Beckmann's program as linear programs, from above and from below, with a certified error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, program_costs
from eqsolve.aggregative.congestion_games.cost_terms import require_nondecreasing
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm, Paths
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.arrays import FloatArray, float_array, real_number, whole_number
from eqsolve.backends import Outcome, solve_program
from eqsolve.certificates import certify
from eqsolve.driver import NothingReached
from eqsolve.errors import InvalidData, unknown
from eqsolve.programs import Program, ProgramBuilder

Side = Literal["inner", "outer"]
PATIENCE = 4
"""Linear programs without a smaller error after which a bracket is as good as its backend."""
STARTS = 8
"""All-or-nothing loads whose average is the first guess of the loads."""


def piecewise_program(
    game: CongestionGame,
    points: FloatArray | None = None,
    *,
    side: Side = "inner",
    system: bool = False,
    paths: Paths | None = None,
    name: str = "",
) -> Program:
    r"""Beckmann's program with straight pieces in place of the integrals :math:`B_r(x) = \int_0^x c_r`.

    ``inner``: one column per piece between neighbouring points, :math:`\sum_k y_{rk} = x_r`, each at the mean cost of its piece
    (the slope of the chord of :math:`B_r`). Its optimum is no less than Beckmann's, and its objective is exact at the points.

    ``outer``: one column z per resource above the tangents at the points,
    :math:`z_r \ge B_r(a_k) + c_r(a_k)(x_r - a_k)`. Its optimum is no more than Beckmann's.

    Parameters
    ----------
    points : (R, K) increasing loads in vehicles, from 0 to at least the whole demand for ``inner``; ``points_around`` a rough
        guess when left out. Equal neighbours are allowed: the piece between them is fixed at 0.
    system, paths : see ``beckmann_program``; any costs that do not fall are taken.

    Raises
    ------
    NoConvexProgram : costs that may fall. InvalidData : points that fall, or do not reach far enough.
    """
    if side not in get_args(Side):
        raise unknown("side", side, get_args(Side))
    costs = program_costs(game, system)
    require_nondecreasing(costs, repr(game.name))
    form = FlowForm.of(game, paths)
    R, units, most = game.n_coordinates, form.units, float(game.demand.sum())
    if points is None:
        points = points_around(game, rough_loads(game, system))[:, : None if side == "inner" else -1]
    a = float_array("points", points, (R, None))
    if (np.diff(a, axis=1) < 0).any() or a[:, 0].min() < 0:
        r = int(np.argmax((np.diff(a, axis=1) < 0).any(axis=1) | (a[:, 0] < 0)))
        raise InvalidData(f"points of {game.resource_label(r)} fall, or begin below 0", "Give increasing loads of 0 or more.")
    builder = ProgramBuilder(name or f"piecewise {'system optimum' if system else 'Beckmann'} program, {side}")
    flows = form.add_flows(builder)
    load = form.add_loads(builder, flows)
    B = _by_columns(costs.integral, a)
    row = np.repeat(np.arange(R), a.shape[1] - (side == "inner"))
    if side == "inner":
        if a[:, 0].max() > 0 or a[:, -1].min() < most * (1 - 1e-12):
            r = int(np.argmax((a[:, 0] > 0) | (a[:, -1] < most * (1 - 1e-12))))
            raise InvalidData(
                f"points of {game.resource_label(r)} reach from {a[r, 0]:g} to {a[r, -1]:g}", f"They must cover 0 to {most:g}."
            )
        width, c = np.diff(a, axis=1), _by_columns(costs.cost, a)
        # Mean cost of a piece; where it is short, differences of integrals are all rounding.
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.where(width > 1e-6 * a[:, 1:], np.diff(B, axis=1) / width, (c[:, 1:] + c[:, :-1]) / 2)
        y = builder.columns("y", mean.shape, axes=("road", "piece"), labels=(form.roads, None), upper=width / units.load)
        builder.add(load, y, row, np.arange(len(row)), -1.0)
        builder.objective(y, np.maximum.accumulate(mean, axis=1) / units.price)
    else:
        c = _by_columns(costs.cost, a)
        x = builder.columns("x", (R,), axes=("road",), labels=(form.roads,), upper=form.most)
        top = costs.integral(np.full(R, most)) / units.cost
        z = builder.columns("z", (R,), axes=("road",), labels=(form.roads,), upper=top * (1 + 1e-9) + 1.0)
        builder.add(load, x, np.arange(R), np.arange(R), -1.0)
        tangents = builder.rows(
            "tangent", a.shape, axes=("road", "point"), labels=(form.roads, None), lower=(B - a * c) / units.cost
        )
        builder.add(tangents, z, np.arange(len(row)), row, 1.0)
        builder.add(tangents, x, np.arange(len(row)), row, -c.reshape(-1) / units.price)
        builder.objective(z, 1.0)
    return builder.build(note=units.note)


def points_around(game: CongestionGame, x: FloatArray, width: FloatArray | float = 0.05, per_side: int = 6) -> FloatArray:
    """Points (R, 2 per_side + 3) that lie close to some loads x (R,) and thin out, from 0 over x to 2 x and the whole demand.

    Parameters
    ----------
    width : of the two pieces next to x: a share of x (of a tenth of the mean load where x is less), or loads (R,).
    """
    most, per_side = float(game.demand.sum()), whole_number("per_side", per_side, 2)
    far = np.maximum(x, 0.1 * x.mean())
    near = np.maximum(far * width if np.ndim(width) == 0 else np.asarray(width), 1e-12 * most)
    steps = near[:, None] * np.maximum(far / near, 1.0)[:, None] ** (np.arange(per_side) / (per_side - 1))
    inside = np.clip(np.hstack((x[:, None] - steps[:, ::-1], x[:, None], x[:, None] + steps)), 0.0, most)
    return np.hstack((np.zeros((len(x), 1)), inside, np.full((len(x), 1), most)))


def rough_loads(game: CongestionGame, system: bool = False) -> FloatArray:
    """Loads (R,) after a few averaged all-or-nothing loads."""
    costs = program_costs(game, system)
    x = game.actions.load(costs.cost(np.zeros(game.n_coordinates)), game.demand)[0]
    for k in range(2, STARTS + 1):
        x = x + (game.actions.load(costs.cost(x), game.demand)[0] - x) / k
    return np.asarray(x)


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseBracket:
    """Two true bounds of Beckmann's optimum, and the flows that attain the upper one.

    Parameters
    ----------
    lower : proved by the multipliers of a linear program of tangents. upper : the objective of the flows.
    flows : exact path flows. program, outcome : the last linear program and its answer. rounds : programs answered.
    """

    lower: float
    upper: float
    flows: PathFlows
    program: Program
    outcome: Outcome
    rounds: int

    @property
    def relative_error(self) -> float:
        """(upper - lower) / upper."""
        return (self.upper - self.lower) / self.upper if self.upper else 0.0


def piecewise_bracket(
    game: CongestionGame,
    tolerance: float = 1e-4,
    *,
    system: bool = False,
    paths: Paths | None = None,
    backend: str = "auto",
    rounds: int = 30,
) -> PiecewiseBracket:
    """Beckmann's optimum between two bounds, by linear programs of tangents that are refined around their own answers.

    The lower bound is rigorous (``certify``): it holds whatever the backend did. The upper one is the objective of exact flows.

    Parameters
    ----------
    tolerance : of the relative error, above 0; the rounds, or the precision of the backend, may end before it is reached, which the
        bracket shows.

    Raises
    ------
    NoConvexProgram : costs that may fall. NothingReached : the backend had no answer to the first program.
    """
    tolerance = real_number("tolerance", tolerance, above=0.0)
    whole_number("rounds", rounds, 1)
    costs, form = program_costs(game, system), FlowForm.of(game, paths)
    x, width = rough_loads(game, system), 0.1
    lower, best, idle = -np.inf, None, 0
    for k in range(rounds):
        program = piecewise_program(game, points_around(game, x, width)[:, :-1], side="outer", system=system, paths=form.paths)
        outcome = solve_program(program, backend)
        proved = certify(program, outcome).bound
        if proved is not None and proved.value is not None:
            lower = max(lower, proved.value * form.units.cost)
        if outcome.x is None:
            break
        flows = beckmann_flows(game, program, outcome.x, paths=form.paths)
        x = game.aggregator(flows)
        upper = float(np.sum(costs.integral(x)))
        if best is not None and best.upper <= upper:
            upper, flows = best.upper, best.flows
        before = np.inf if best is None else best.relative_error
        best = PiecewiseBracket(lower, upper, flows, program, outcome, k + 1)
        idle = 0 if best.relative_error < 0.9 * before else idle + 1
        if best.relative_error <= tolerance or idle == PATIENCE:
            break
        x = game.aggregator(flows)
        width /= 2
    if best is None or not np.isfinite(lower):
        raise NothingReached("no linear program was answered", "Try another backend.")
    return best


def _by_columns(function: object, a: FloatArray) -> FloatArray:
    return np.asarray(function(a.T)).T  # type: ignore[operator]  # a method of Costs
