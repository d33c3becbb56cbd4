"""Aggregative games: pure approximate Nash equilibria of many players, by stage programs over a grid of aggregators."""

from eqsolve.aggregative.certificate import nash_gap, player_gains
from eqsolve.aggregative.detection import find_potential
from eqsolve.aggregative.equilibrium import Equilibrium
from eqsolve.aggregative.exact_program import exact_program
from eqsolve.aggregative.exact_pure import ExactEquilibrium, ExactPureNash, NoPureEquilibrium
from eqsolve.aggregative.fixed_point import FixedPointEquilibrium, FixedPointNash
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.generators import GENERATORS, congestion, ev_charging, market, random_affine
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.payoffs import AffinePayoffs, CallablePayoffs, Payoffs, PolynomialPayoffs
from eqsolve.aggregative.potential import NoPotential, Potential
from eqsolve.aggregative.potential_nash import PotentialEquilibrium, PotentialNash
from eqsolve.aggregative.potential_program import potential_program
from eqsolve.aggregative.programs import StageFamily, stage_program
from eqsolve.aggregative.shapes import Curves, Powers, Quadratic, Smooth
from eqsolve.aggregative.sweep import NoFeasibleCell, sweep
from eqsolve.aggregative.tables import CurvePayoffs, TabulatedPayoffs
from eqsolve.aggregative.tolerance import Tolerance

__all__ = [
    "GENERATORS",
    "AffinePayoffs",
    "AggregativeGame",
    "AggregativeNash",
    "CallablePayoffs",
    "CurvePayoffs",
    "Curves",
    "Equilibrium",
    "ExactEquilibrium",
    "ExactPureNash",
    "FixedPointEquilibrium",
    "FixedPointNash",
    "Grid",
    "NoFeasibleCell",
    "NoPotential",
    "NoPureEquilibrium",
    "Payoffs",
    "PolynomialPayoffs",
    "Potential",
    "PotentialEquilibrium",
    "PotentialNash",
    "Powers",
    "Quadratic",
    "Smooth",
    "StageFamily",
    "TabulatedPayoffs",
    "Tolerance",
    "congestion",
    "ev_charging",
    "exact_program",
    "find_potential",
    "market",
    "nash_gap",
    "player_gains",
    "potential_program",
    "random_affine",
    "stage_program",
    "sweep",
]
