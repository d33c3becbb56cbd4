"""Congestion games: traffic on road networks, and any game whose costs rise with the use of shared resources."""

from eqsolve.aggregative.congestion_games.actions import Actions, Cheapest, ListedActions, Routes
from eqsolve.aggregative.congestion_games.atomic import AtomicRouting
from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, beckmann_program, objective_of
from eqsolve.aggregative.congestion_games.bounds import selection_loss
from eqsolve.aggregative.congestion_games.certificate import WardropGaps, certify, regret_histogram, vehicle_gains, wardrop_gaps
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram
from eqsolve.aggregative.congestion_games.costs import (
    AffineCosts,
    BPRCosts,
    CallableCosts,
    Costs,
    MarginalCosts,
    MixedCosts,
    PiecewiseLinearCosts,
    PolynomialCosts,
    SumOfPowers,
    TolledCosts,
)
from eqsolve.aggregative.congestion_games.flows import PathFlows
from eqsolve.aggregative.congestion_games.frank_wolfe import FrankWolfe
from eqsolve.aggregative.congestion_games.game import CongestionGame, describe
from eqsolve.aggregative.congestion_games.generators import braess, grid_city, parallel_links, pigou, random_listed, random_routed
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.congestion_games.optimum import (
    EquilibriumCost,
    PriceOfAnarchy,
    SystemOptimum,
    anarchy_bound,
    equilibrium_cost,
    marginal_cost_tolls,
    price_of_anarchy,
    system_optimum,
    tolled_equilibrium,
)
from eqsolve.aggregative.congestion_games.path_equilibrium import PathEquilibrium
from eqsolve.aggregative.congestion_games.piecewise import piecewise_bracket, piecewise_program
from eqsolve.aggregative.congestion_games.potential import beckmann, rosenthal, rosenthal_change, weighted_potential
from eqsolve.aggregative.congestion_games.programs import all_or_nothing_program, master_program, selection_program
from eqsolve.aggregative.congestion_games.result import CongestionResult
from eqsolve.aggregative.congestion_games.selection import Selection, select_flows, select_within
from eqsolve.aggregative.congestion_games.tntp import Roads, read_flow, read_game, read_net, read_nodes, read_trips
from eqsolve.aggregative.congestion_games.vertex_program import vertex_flows, vertex_program

__all__ = [
    "Actions",
    "AffineCosts",
    "AtomicRouting",
    "BPRCosts",
    "CallableCosts",
    "Cheapest",
    "CongestionGame",
    "CongestionResult",
    "Costs",
    "EquilibriumCost",
    "FrankWolfe",
    "LinearMasters",
    "ListedActions",
    "MarginalCosts",
    "MixedCosts",
    "NoConvexProgram",
    "PathEquilibrium",
    "PathFlows",
    "PiecewiseLinearCosts",
    "PolynomialCosts",
    "PriceOfAnarchy",
    "RoadNetwork",
    "Roads",
    "Routes",
    "Selection",
    "SumOfPowers",
    "SystemOptimum",
    "TolledCosts",
    "WardropGaps",
    "all_or_nothing_program",
    "anarchy_bound",
    "beckmann",
    "beckmann_flows",
    "beckmann_program",
    "braess",
    "certify",
    "describe",
    "equilibrium_cost",
    "grid_city",
    "marginal_cost_tolls",
    "master_program",
    "objective_of",
    "parallel_links",
    "piecewise_bracket",
    "piecewise_program",
    "pigou",
    "price_of_anarchy",
    "random_listed",
    "random_routed",
    "read_flow",
    "read_game",
    "read_net",
    "read_nodes",
    "read_trips",
    "regret_histogram",
    "rosenthal",
    "rosenthal_change",
    "select_flows",
    "select_within",
    "selection_loss",
    "selection_program",
    "system_optimum",
    "tolled_equilibrium",
    "vehicle_gains",
    "vertex_flows",
    "vertex_program",
    "wardrop_gaps",
    "weighted_potential",
]
