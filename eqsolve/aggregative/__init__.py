"""Aggregative games: pure approximate Nash equilibria of many players, by stage programs over a grid of aggregators."""

from eqsolve.aggregative.certificate import nash_gap, player_gains
from eqsolve.aggregative.equilibrium import Equilibrium
from eqsolve.aggregative.game import AggregativeGame
from eqsolve.aggregative.generators import GENERATORS, congestion, ev_charging, market, random_affine
from eqsolve.aggregative.grid import Grid
from eqsolve.aggregative.nash import AggregativeNash
from eqsolve.aggregative.payoffs import AffinePayoffs, CallablePayoffs, Payoffs, PolynomialPayoffs
from eqsolve.aggregative.programs import StageFamily, stage_program
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
    "Equilibrium",
    "Grid",
    "NoFeasibleCell",
    "Payoffs",
    "PolynomialPayoffs",
    "StageFamily",
    "TabulatedPayoffs",
    "Tolerance",
    "congestion",
    "ev_charging",
    "market",
    "nash_gap",
    "player_gains",
    "random_affine",
    "stage_program",
    "sweep",
]
