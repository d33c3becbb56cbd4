"""All families of costs."""

from eqsolve.aggregative.congestion_games.cost_function import Costs
from eqsolve.aggregative.congestion_games.derived_costs import MarginalCosts, MixedCosts, TolledCosts
from eqsolve.aggregative.congestion_games.other_costs import CallableCosts, PiecewiseLinearCosts
from eqsolve.aggregative.congestion_games.power_costs import AffineCosts, BPRCosts, PolynomialCosts, PowerCosts, SumOfPowers

__all__ = [
    "AffineCosts",
    "BPRCosts",
    "CallableCosts",
    "Costs",
    "MarginalCosts",
    "MixedCosts",
    "PiecewiseLinearCosts",
    "PolynomialCosts",
    "PowerCosts",
    "SumOfPowers",
    "TolledCosts",
]
