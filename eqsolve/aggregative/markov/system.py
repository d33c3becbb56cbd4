"""Aggregative Markov games, wired for the driver."""

from __future__ import annotations

from eqsolve.aggregative.markov.aggre_bi import AggreBI
from eqsolve.aggregative.markov.aggre_vi import AggreVI
from eqsolve.aggregative.markov.aggre_vi_unknown import AggreVIUnknownRewards
from eqsolve.aggregative.markov.certificate import nash_gap, welfare
from eqsolve.aggregative.markov.fixed_point_bi import FixedPointBI
from eqsolve.aggregative.markov.game import AggregativeMarkovGame, describe
from eqsolve.aggregative.markov.state_wise import StateWise
from eqsolve.driver import System

AGGREGATIVE_MARKOV = System(
    name="aggregative_markov",
    game=AggregativeMarkovGame,
    algorithms=(AggreBI, StateWise, FixedPointBI, AggreVI, AggreVIUnknownRewards),
    describe=describe,
    certify=nash_gap,
    value=welfare,
    value_name="welfare",
)
