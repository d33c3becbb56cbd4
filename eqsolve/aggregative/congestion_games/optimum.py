"""The system optimum, what an equilibrium costs at most and at least, the price of anarchy between bounds, and tolls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eqsolve.aggregative.congestion_games.action_search import action_search
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram, require_nondecreasing
from eqsolve.aggregative.congestion_games.costs import CallableCosts, Costs, MarginalCosts
from eqsolve.aggregative.congestion_games.decomposition import settled
from eqsolve.aggregative.congestion_games.derived_costs import MixedCosts, TolledCosts
from eqsolve.aggregative.congestion_games.flow_blocks import by_type
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.arrays import FloatArray
from eqsolve.certificates import Bound
from eqsolve.driver import Algorithm, Result, solve
from eqsolve.errors import InvalidData

TOLERANCE = 1e-10
"""Relative gap to which equilibria are computed where no algorithm is given."""
EPSILON = float(np.finfo(np.float64).eps)
HALVINGS = 64
"""Powers of two between the narrowest and the widest interval around a load."""

WardropAlgorithm = Algorithm[CongestionGame, Any, PathFlows]


@dataclass(frozen=True, slots=True, eq=False)
class SystemOptimum:
    r"""Flows of nearly least social cost, with a proof.

    Parameters
    ----------
    flows : the flows. x : (R,) their loads. cost : their social cost, which is at least the least one.
    lower : no flows cost less: :math:`S(x) + m(x) \cdot (y - x)` with the marginal costs m and the all-or-nothing loads y, since S
        is convex. assumptions : what is said of costs given by functions.
    """

    flows: PathFlows
    x: FloatArray
    cost: float
    lower: float
    assumptions: tuple[str, ...] = ()

    @property
    def relative_gap(self) -> float:
        """(cost - lower) / cost."""
        return (self.cost - self.lower) / self.cost if self.cost else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class EquilibriumCost:
    """What all Wardrop equilibria of a game cost, from flows that are nearly one.

    Parameters
    ----------
    flows : the flows. cost : their own social cost. lower, upper : of the equilibria, which all cost the same.
    excess : what the flows cost more than the cheapest actions at the same costs, which the interval is made of.
    method : how the width was proved. assumptions : what is said of costs given by functions.
    """

    flows: PathFlows
    cost: float
    lower: float
    upper: float
    excess: float
    method: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PriceOfAnarchy:
    """Social cost of the equilibria over the least social cost, ``lower <= price <= upper``.

    Parameters
    ----------
    equilibrium, optimum : the two intervals that it is made of. bound : what a theorem promises for costs of their kind.
    """

    lower: float
    upper: float
    equilibrium: EquilibriumCost
    optimum: SystemOptimum
    bound: Bound

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the claim rests on beside the data."""
        return self.equilibrium.assumptions

    def __str__(self) -> str:
        return (
            f"price of anarchy in [{self.lower:.10g}, {self.upper:.10g}]; "
            f"equilibrium costs {self.equilibrium.lower:.10g} to {self.equilibrium.upper:.10g} ({self.equilibrium.method}), "
            f"the optimum {self.optimum.lower:.10g} to {self.optimum.cost:.10g}"
        )


def system_optimum(game: CongestionGame, algorithm: WardropAlgorithm | None = None, **options: Any) -> SystemOptimum:
    r"""The flows of least social cost :math:`S(x) = \sum_r x_r c_r(x_r)`: the Wardrop equilibrium of the marginal costs c + x c'.

    Parameters
    ----------
    algorithm : of the equilibrium; ``PathEquilibrium(1e-10)`` when left out. options : of ``eqsolve.solve``.

    Raises
    ------
    NoConvexProgram : marginal costs that may fall: S is not convex, and nothing is proved of it.
    """
    marginal = _marginal_costs(game)
    return proven_optimum(game, _equilibrium(game.with_costs(marginal), algorithm, options).policy)


def proven_optimum(game: CongestionGame, flows: PathFlows) -> SystemOptimum:
    """Flows as an approximate system optimum: their cost, and a lower bound of all flows' cost; exact to the rounding of sums.

    Raises
    ------
    NoConvexProgram : marginal costs that may fall. InvalidGame : not flows of the game.
    """
    marginal = _marginal_costs(game)
    flows = _exact(game, flows)
    x = game.aggregator(flows)
    cost = game.social_cost(x)
    excess, rounding = _excess(game, marginal.cost(x), flows)
    return SystemOptimum(flows, x, cost, cost - excess - rounding, _said(marginal))


def equilibrium_cost(game: CongestionGame, flows: PathFlows) -> EquilibriumCost:
    r"""An interval that holds the social cost of every exact Wardrop equilibrium, from flows that are nearly one.

    Let :math:`\epsilon = c(x) \cdot x - \sum_t d_t\, \text{dist}_t(c(x))` at the loads x of the flows, and x* an equilibrium with
    costs c*. As :math:`c^* \cdot (x - x^*) \ge 0` and :math:`c(x) \cdot (x - x^*) \le \epsilon`,

    .. math:: \sum_r (c_r - c_r^*)(x_r - x_r^*) \le \epsilon, \qquad
              (c^* - c) \cdot x - \epsilon \le S(x^*) - S(x) \le (c^* - c) \cdot x .

    Costs do not fall, so every term of the sum is at most :math:`\epsilon`, which puts :math:`x_r^*` into an interval. If costs are
    convex, :math:`|c_r - c_r^*| \le K_r |x_r - x_r^*|` there with the slope :math:`K_r` of the chord to its upper end, and
    Cauchy-Schwarz gives :math:`|(c^* - c) \cdot x| \le \sqrt{\epsilon \sum_r K_r x_r^2}`. The changes of costs over the intervals,
    weighted with the loads, bound it for any costs. The smaller one counts.

    Raises
    ------
    NoConvexProgram : costs that may fall: there may be equilibria of other costs, and no interval is proved.
    InvalidGame : not flows of the game.
    """
    require_nondecreasing(game.costs, repr(game.name))
    flows = _exact(game, flows)
    x = game.aggregator(flows)
    c, cost = game.costs.cost(x), game.social_cost(x)
    found, rounding = _excess(game, c, flows)
    excess = found + rounding
    up, down = (_reach(game.costs, x, c, excess, float(game.demand.sum()), sign) for sign in (1.0, -1.0))
    rise, fall = game.costs.cost(x + up) - c, c - game.costs.cost(x - down)
    width, method = float(np.sum(x * np.maximum(rise, fall))), "monotone costs"
    if game.costs.is_convex:
        steepest = np.maximum(rise / np.where(up > 0, up, 1.0), game.costs.derivative(x))
        chord = float(np.sqrt(excess * np.sum(steepest * x**2)))
        width, method = min((width, method), (chord, "convex costs"))
    width = width * (1 + 1e-9) + rounding
    return EquilibriumCost(flows, cost, cost - excess - width, cost + width, excess, method, _said(game.costs))


def price_of_anarchy(
    game: CongestionGame,
    algorithm: WardropAlgorithm | None = None,
    *,
    equilibrium: PathFlows | None = None,
    optimum: PathFlows | None = None,
    **options: Any,
) -> PriceOfAnarchy:
    """The social cost of the Wardrop equilibria over that of the system optimum, between proved bounds.

    Parameters
    ----------
    algorithm, options : see ``system_optimum``. equilibrium, optimum : flows in hand; computed when left out.

    Raises
    ------
    NoConvexProgram : costs, or marginal costs, that may fall: nothing is proved. InvalidData : flows without any cost.
    """
    require_nondecreasing(game.costs, repr(game.name))
    best = system_optimum(game, algorithm, **options) if optimum is None else proven_optimum(game, optimum)
    flows = _equilibrium(game, algorithm, options).policy if equilibrium is None else equilibrium
    worst = equilibrium_cost(game, flows)
    if best.lower <= 0:
        raise InvalidData(
            f"the system optimum of {game.name!r} costs between {best.lower:g} and {best.cost:g}: no ratio to it has a bound",
            "Where all trips may cost nothing there is none; otherwise solve to a smaller tolerance.",
        )
    lower, upper = worst.lower / best.cost, worst.upper / best.lower
    return PriceOfAnarchy(max(lower * (1 - EPSILON), 1.0), max(upper * (1 + EPSILON), 1.0), worst, best, anarchy_bound(game))


def anarchy_bound(game: CongestionGame) -> Bound:
    r"""What is known of the price of anarchy from the powers in the costs alone: :math:`(1 - p (p + 1)^{-(p + 1) / p})^{-1}`.

    p is the largest power; 4/3 for affine costs, about 2.151 for BPR costs of power 4. Source: Roughgarden (2003), "The price of
    anarchy is independent of the network topology".
    """
    name, source = "price of anarchy", "Roughgarden (2003), Theorem 4.3"
    powers = game.costs.powers()
    if powers is None:
        return Bound(name, None, source, failed=("the costs are not sums of powers",))
    a, e = powers
    if (a < 0).any():
        return Bound(name, None, source, failed=("a coefficient is negative",))
    p = float(e[a > 0].max(initial=0.0))
    value = 1.0 / (1.0 - p * (p + 1.0) ** (-(p + 1.0) / p)) if p > 0 else 1.0
    return Bound(name, value, source, {"largest power": p})


def marginal_cost_tolls(game: CongestionGame, optimum: SystemOptimum | None = None) -> FloatArray:
    r"""The tolls (R,) :math:`x_r c_r'(x_r)` at the system optimum, under which it is a Wardrop equilibrium (Pigou).

    At a kink of a cost the derivative is that from the right; there, the optimum may need a smaller toll.

    Parameters
    ----------
    optimum : computed when left out.
    """
    x = (system_optimum(game) if optimum is None else optimum).x
    return np.asarray(x * game.costs.derivative(x))


def tolled_equilibrium(
    game: CongestionGame, toll: FloatArray | None = None, algorithm: WardropAlgorithm | None = None, **options: Any
) -> Result[CongestionGame, Any, PathFlows]:
    """The Wardrop equilibrium with tolls (R,), those of marginal costs when left out; its game is ``game.tolled(toll)``.

    ``game.social_cost`` of its loads leaves the tolls out, which somebody receives.
    """
    return _equilibrium(game.tolled(marginal_cost_tolls(game) if toll is None else toll), algorithm, options)


def _equilibrium(
    game: CongestionGame, algorithm: WardropAlgorithm | None, options: dict[str, Any]
) -> Result[CongestionGame, Any, PathFlows]:
    require_nondecreasing(game.costs, repr(game.name))
    found: Result[CongestionGame, Any, PathFlows] = solve(game, algorithm or PathEquilibrium(TOLERANCE), **options)
    return found


def _marginal_costs(game: CongestionGame) -> MarginalCosts:
    marginal = MarginalCosts(game.costs)
    if not marginal.is_nondecreasing:
        raise NoConvexProgram(
            f"the marginal costs of {game.name!r} may fall with the flow: there is no convex program of its system optimum",
            "Costs that are convex have rising marginal costs; of a function, CallableCosts(..., convex=True) says that it is.",
        )
    return marginal


def _exact(game: CongestionGame, flows: PathFlows) -> PathFlows:
    """The flows, made to add up to the counts to the last bits, where a check leaves more room."""
    flows.check(game)
    return settled(game, by_type(flows), by_type(flows).flow)


def _excess(game: CongestionGame, cost: FloatArray, flows: PathFlows) -> tuple[float, float]:
    """What flows cost more than the cheapest actions at given costs, against proven distances; and the rounding of the sums."""
    least = action_search(game.actions).least(cost, np.arange(game.n_types))
    total = float(np.sum(cost * game.aggregator(flows)))
    terms = flows.n_paths + game.n_coordinates + game.n_types
    return max(total - float(np.sum(game.demand * least)), 0.0), EPSILON * terms * total


def _reach(costs: Costs, x: FloatArray, c: FloatArray, excess: float, most: float, sign: float) -> FloatArray:
    """(R,) how far up or down a load may be so that (change of cost) times (change of load) is at most the excess, and beyond."""
    room = np.maximum(most - x, 0.0) if sign > 0 else x

    def inside(step: FloatArray) -> FloatArray:
        return np.asarray((costs.cost(x + sign * step) - c) * (sign * step) <= excess)

    low, high = np.full(len(x), -float(HALVINGS)), np.zeros(len(x))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        here = inside(np.minimum(most * 2.0**middle, room))
        low, high = np.where(here, middle, low), np.where(here, high, middle)
    return np.asarray(np.minimum(most * 2.0**high, room))


def _said(costs: Costs) -> tuple[str, ...]:
    """What is taken on the word of who gave the costs."""
    return ("the costs that are given by functions do not fall, and are convex where it is said",) if _by_function(costs) else ()


def _by_function(costs: Costs) -> bool:
    if isinstance(costs, MarginalCosts | TolledCosts):
        return _by_function(costs.costs)
    if isinstance(costs, MixedCosts):
        return any(map(_by_function, costs.families))
    return isinstance(costs, CallableCosts)
