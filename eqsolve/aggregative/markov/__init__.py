"""Aggregative Markov games: planning and learning of pure approximate Nash equilibria, step by step."""

from eqsolve.aggregative.markov.aggre_bi import AggreBI
from eqsolve.aggregative.markov.aggre_vi import AggreVI
from eqsolve.aggregative.markov.aggre_vi_unknown import AggreVIUnknownRewards
from eqsolve.aggregative.markov.fixed_point_bi import FixedPointBI
from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.generators import (
    congestion_markov,
    ev_charging_markov,
    learning_instance,
    market_markov,
    random_markov,
)
from eqsolve.aggregative.markov.learned import LearnedEquilibrium
from eqsolve.aggregative.markov.profile import MarkovProfile
from eqsolve.aggregative.markov.result import MarkovEquilibrium, PureMarkov
from eqsolve.aggregative.markov.state_wise import StateWise
from eqsolve.aggregative.markov.transitions import (
    CallableTransitions,
    ConstantTransitions,
    MixtureTransitions,
    SoftmaxTransitions,
    Transitions,
)

__all__ = [
    "AggreBI",
    "AggreVI",
    "AggreVIUnknownRewards",
    "AggregativeMarkovGame",
    "CallableTransitions",
    "ConstantTransitions",
    "FixedPointBI",
    "LearnedEquilibrium",
    "MarkovEquilibrium",
    "MarkovProfile",
    "MixtureTransitions",
    "PureMarkov",
    "SoftmaxTransitions",
    "StateWise",
    "Transitions",
    "congestion_markov",
    "ev_charging_markov",
    "learning_instance",
    "market_markov",
    "random_markov",
]
