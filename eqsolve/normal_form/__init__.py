"""Finite games in normal form, and Markov games with one in every state: equilibria by explicit programs, with exact gaps."""

from eqsolve.normal_form.algorithms import CorrelatedSelection, PureNashSelection, ZeroSum
from eqsolve.normal_form.backward import MarkovCorrelated, Stage, markov_correlated, stage
from eqsolve.normal_form.correlated import CorrelatedEquilibrium, correlated_equilibrium
from eqsolve.normal_form.game import NormalFormGame
from eqsolve.normal_form.generators import (
    TEXTBOOK,
    battle_of_sexes,
    chicken,
    congestion_game,
    matching_pennies,
    prisoners_dilemma,
    random_game,
    random_polymatrix,
    rock_paper_scissors,
    shapley,
    stag_hunt,
)
from eqsolve.normal_form.interop import from_gambit, from_open_spiel, from_quantecon, to_gambit, to_quantecon
from eqsolve.normal_form.markov import FiniteMarkovGame, random_markov_game
from eqsolve.normal_form.markov_algorithm import MarkovLottery, MarkovSelection
from eqsolve.normal_form.markov_regret import deviation_values, markov_gap, policy_values
from eqsolve.normal_form.nfg import nfg_text, parse_nfg, read_nfg, write_nfg
from eqsolve.normal_form.policies import Lottery, MixedProfile
from eqsolve.normal_form.polymatrix import PolymatrixGame
from eqsolve.normal_form.programs import correlated_program
from eqsolve.normal_form.pure import PureNash, pure_nash, pure_nash_mask, pure_nash_program
from eqsolve.normal_form.regret import correlated_gap, deviation_gains, nash_gap, pure_gains
from eqsolve.normal_form.zero_sum import ZeroSumSolution, value_program, zero_sum

__all__ = [
    "TEXTBOOK",
    "CorrelatedEquilibrium",
    "CorrelatedSelection",
    "FiniteMarkovGame",
    "Lottery",
    "MarkovCorrelated",
    "MarkovLottery",
    "MarkovSelection",
    "MixedProfile",
    "NormalFormGame",
    "PolymatrixGame",
    "PureNash",
    "PureNashSelection",
    "Stage",
    "ZeroSum",
    "ZeroSumSolution",
    "battle_of_sexes",
    "chicken",
    "congestion_game",
    "correlated_equilibrium",
    "correlated_gap",
    "correlated_program",
    "deviation_gains",
    "deviation_values",
    "from_gambit",
    "from_open_spiel",
    "from_quantecon",
    "markov_correlated",
    "markov_gap",
    "matching_pennies",
    "nash_gap",
    "nfg_text",
    "parse_nfg",
    "policy_values",
    "prisoners_dilemma",
    "pure_gains",
    "pure_nash",
    "pure_nash_mask",
    "pure_nash_program",
    "random_game",
    "random_markov_game",
    "random_polymatrix",
    "read_nfg",
    "rock_paper_scissors",
    "shapley",
    "stag_hunt",
    "stage",
    "to_gambit",
    "to_quantecon",
    "value_program",
    "write_nfg",
    "zero_sum",
]
