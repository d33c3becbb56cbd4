"""The best approximate equilibrium for a linear objective of the flows, such as emissions or distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from eqsolve.aggregative.congestion_games.certificate import certify as wardrop_certificate
from eqsolve.aggregative.congestion_games.cost_terms import require_nondecreasing
from eqsolve.aggregative.congestion_games.decomposition import path_flows
from eqsolve.aggregative.congestion_games.flow_blocks import FlowForm
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.near_paths import MOST_PATHS, NearPaths, paths_within
from eqsolve.aggregative.congestion_games.path_set import PathSet
from eqsolve.aggregative.congestion_games.programs import selection_program
from eqsolve.arrays import FloatArray, float_array, real_number
from eqsolve.backends import Outcome, solve_program
from eqsolve.certificates import GapCertificate, certify
from eqsolve.driver import NothingReached
from eqsolve.programs import Program

SHARES = (1.0, 0.5, 0.2, 0.05)
"""Shares of a regret that are allowed to paths at the centre; the rest is for the box."""
NARROWEST, BOXES = -20.0, 10
"""Power of two of the narrowest box that is tried, relative to the loads, and how many are for each share."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Flows that are best for an objective among those that were searched, with their exact regret.

    Parameters
    ----------
    flows : the answer. value : of the objective, sum_r e_r x_r. before : its value at the flows that the search started from.
    gap : the exact Wardrop regret of the answer. promised : what no flows in the box on the listed paths exceed in regret.
    bound : proved by the multipliers of the linear program: no flows searched are better; None where the backend gave none.
    near : the paths searched. eta, half_width : (R,) of the box. program, outcome : the linear program and its answer.
    """

    flows: PathFlows
    value: float
    before: float
    gap: GapCertificate
    promised: float
    bound: float | None
    near: NearPaths
    eta: float
    half_width: FloatArray
    program: Program
    outcome: Outcome

    @property
    def is_complete(self) -> bool:
        """Whether all paths within eta were searched."""
        return bool(self.near.complete.all())

    @property
    def scope(self) -> str:
        """What the bound is a bound of."""
        cut = int((~self.near.complete).sum())
        listed = f"the {self.near.paths.n_paths:,} paths within {self.eta:g} of the cheapest at the centre"
        if cut:
            listed = f"{self.near.paths.n_paths:,} listed paths within {self.eta:g} (cut short for {cut:,} types)"
        return f"flows on {listed}, with loads in the box around it"

    def __str__(self) -> str:
        side = "least" if self.program.sense == "min" else "most"
        known = "no bound" if self.bound is None else f"at {side} {self.bound:.10g} for {self.scope}"
        return f"objective {self.value:.10g} ({self.before:.10g} before), {known}; regret {self.gap.upper:.4g}"


def select_flows(
    game: CongestionGame,
    flows: PathFlows,
    objective: FloatArray,
    *,
    eta: float,
    half_width: FloatArray | float,
    sense: Literal["min", "max"] = "min",
    backend: str = "auto",
    most_paths: int = MOST_PATHS,
) -> Selection:
    r"""Among approximate Wardrop equilibria near given flows, the best for a linear objective.

    The stage program of aggregative games with a box for a cell: paths count as best replies if they cost at most eta more than the
    cheapest at the centre, and loads stay within the box (``selection_program``). Costs change by little within the box, so that
    flows on these paths have a regret of at most

    .. math:: \max_{t, p}\ c(\hat x + b)(p) - \text{dist}_t(c(\hat x - b)) .

    The exact regret of the answer is computed afterwards.

    Parameters
    ----------
    flows : an approximate equilibrium, the centre. objective : (R,) e, per unit of load.
    eta : in units of cost, >= 0; at least the regret of the flows, so that these are searched too.
    half_width : (R,) b, loads; or a share, of the load of the centre (or of the mean load where that is more).
    most_paths : of a type; where there are more within eta, the cheapest are searched and the answer says so.

    Raises
    ------
    NoConvexProgram : costs that may fall. InvalidData : shapes, an eta or width below 0.
    NothingReached : the backend has no point: the box and the paths leave none, or it failed.
    """
    centre = _centre(game, flows, objective)
    return _selected(centre, paths_within(game, centre.cost, eta, most_paths), float(eta), half_width, sense, backend)


def select_within(
    game: CongestionGame,
    flows: PathFlows,
    objective: FloatArray,
    regret: float,
    *,
    sense: Literal["min", "max"] = "min",
    backend: str = "auto",
    most_paths: int = MOST_PATHS,
) -> Selection:
    """The best flows for a linear objective, among those tried, whose exact Wardrop regret is at most a given one.

    The regret is spent on dearer paths and on a wider box (``select_flows``). For several shares of it as eta, the half-width of
    the box is searched by bisection of its power of two, relative to the loads, towards the widest whose best flows have a regret
    that is small enough.

    Parameters
    ----------
    flows : an approximate equilibrium, best of a much smaller regret. regret : in units of cost, above 0. others : see
        ``select_flows``.

    Raises
    ------
    NothingReached : no box tried has an answer of so little regret. Others as ``select_flows``.
    """
    regret = real_number("regret", regret, above=0.0)
    centre = _centre(game, flows, objective)
    best: Selection | None = None
    for share in SHARES:
        near = paths_within(game, centre.cost, share * regret, most_paths)
        low, high = NARROWEST, 0.0
        for _ in range(BOXES):
            power = (low + high) / 2
            try:
                found = _selected(centre, near, share * regret, 2.0**power, sense, backend)
            except NothingReached:
                low = power
                continue
            if found.gap.upper <= regret:
                low = power
                if best is None or (found.value < best.value if sense == "min" else found.value > best.value):
                    best = found
            else:
                high = power
    if best is None:
        raise NothingReached(
            f"no box around the flows has a best answer of a regret of {regret:g} or less",
            "Start from flows closer to an equilibrium, or allow a larger regret.",
        )
    return best


@dataclass(frozen=True, slots=True, eq=False)
class _Centre:
    """Where a selection starts: a game, the loads of its flows with their costs, and the objective (R,)."""

    game: CongestionGame
    x: FloatArray
    cost: FloatArray
    objective: FloatArray


def _centre(game: CongestionGame, flows: PathFlows, objective: FloatArray) -> _Centre:
    require_nondecreasing(game.costs, repr(game.name))
    flows.check(game)
    x = game.aggregator(flows)
    return _Centre(game, x, game.costs.cost(x), float_array("objective", objective, x.shape))


def _selected(
    centre: _Centre, near: NearPaths, eta: float, half_width: FloatArray | float, sense: Literal["min", "max"], backend: str
) -> Selection:
    game, x, e = centre.game, centre.x, centre.objective
    if np.ndim(half_width) == 0:
        b = real_number("half_width", half_width, least=0.0) * np.maximum(x, x.mean())
    else:
        b = float_array("half_width", half_width, x.shape)
    program = selection_program(game, near.paths, e, x, b, sense)
    outcome = solve_program(program, backend)
    if outcome.x is None:
        raise NothingReached(
            f"the selection program has no answer: {outcome.termination.value}",
            "An eta of at least the regret of the flows, or a wider box, leaves room.",
        )
    form = FlowForm.of(game, near.paths)
    found = path_flows(form, program, outcome.x)
    proved = certify(program, outcome).bound
    return Selection(
        flows=found,
        value=float(np.sum(e * game.aggregator(found))),
        before=float(np.sum(e * x)),
        gap=wardrop_certificate(game, found),
        promised=_promised(game, near.paths, np.maximum(x - b, 0.0), x + b),
        bound=None if proved is None or proved.value is None else proved.value * form.units.load,
        near=near,
        eta=eta,
        half_width=b,
        program=program,
        outcome=outcome,
    )


def _promised(game: CongestionGame, paths: PathSet, low: FloatArray, high: FloatArray) -> float:
    least = game.actions.cheapest(game.costs.cost(low)).least
    return float((paths.path_costs(game.costs.cost(high)) - least[paths.type_of]).max())
