"""Cooperative Markov games with joint policies over a Bayesian network of agents.

The names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqsolve.bayesian_network.evaluation import Evaluation, evaluate
    from eqsolve.bayesian_network.factors import Factor
    from eqsolve.bayesian_network.game import CooperativeMarkovGame
    from eqsolve.bayesian_network.generators import (
        climbing_game,
        coordination_line,
        penalty_game,
        random_cooperative,
        random_factored,
        search_mission,
    )
    from eqsolve.bayesian_network.network import BayesianNetwork, InvalidNetwork, as_network
    from eqsolve.bayesian_network.objective import barrier_objective, policy_gradient
    from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, InvalidPolicy

__all__ = [
    "BayesianNetwork",
    "BayesianNetworkPolicy",
    "CooperativeMarkovGame",
    "Evaluation",
    "Factor",
    "InvalidNetwork",
    "InvalidPolicy",
    "as_network",
    "barrier_objective",
    "climbing_game",
    "coordination_line",
    "evaluate",
    "penalty_game",
    "policy_gradient",
    "random_cooperative",
    "random_factored",
    "search_mission",
]

_HOMES = {
    "evaluation": ("Evaluation", "evaluate"),
    "factors": ("Factor",),
    "game": ("CooperativeMarkovGame",),
    "generators": (
        "climbing_game",
        "coordination_line",
        "penalty_game",
        "random_cooperative",
        "random_factored",
        "search_mission",
    ),
    "network": ("BayesianNetwork", "InvalidNetwork", "as_network"),
    "objective": ("barrier_objective", "policy_gradient"),
    "policy": ("BayesianNetworkPolicy", "InvalidPolicy"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eqsolve.bayesian_network' has no attribute {name!r}")
    value = getattr(import_module(f"eqsolve.bayesian_network.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
