"""Cooperative Markov games with joint policies over a Bayesian network of agents.

The names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqsolve.bayesian_network.barrier import BarrierRows, barrier_maximum, barrier_rows_program
    from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
    from eqsolve.bayesian_network.best_joint import max_sum
    from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
    from eqsolve.bayesian_network.bounds import (
        Iterations,
        a_posteriori,
        iterations_nash,
        iterations_optimal,
        mismatch,
        promised_nash,
        promised_optimal,
        smoothness,
        stationary_nash,
        stationary_optimal,
    )
    from eqsolve.bayesian_network.central_path import CentralPath, OccupancyBarrier, central_path_program
    from eqsolve.bayesian_network.certificate import agent_gaps, nash_gap, optimal_value, optimality_gap, policy_value
    from eqsolve.bayesian_network.continuation import Continuation
    from eqsolve.bayesian_network.deviation import augmented_mdp
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
    from eqsolve.bayesian_network.lbfgs import LBFGS
    from eqsolve.bayesian_network.natural_gradient import NaturalGradient
    from eqsolve.bayesian_network.network import BayesianNetwork, InvalidNetwork, as_network
    from eqsolve.bayesian_network.network_search import NetworkSearch, distinct_networks
    from eqsolve.bayesian_network.objective import barrier_objective, policy_gradient
    from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, InvalidPolicy
    from eqsolve.bayesian_network.programs import barrier_program, named_program
    from eqsolve.bayesian_network.reinforce import Reinforce, ascend_by_playing, sampled_value_gradient
    from eqsolve.bayesian_network.simulation import Simulator, play_episodes

__all__ = [
    "LBFGS",
    "AgentwiseBarrierIteration",
    "BNPolicyGradient",
    "BarrierPolicyIteration",
    "BarrierRows",
    "BayesianNetwork",
    "BayesianNetworkPolicy",
    "CentralPath",
    "Continuation",
    "CooperativeMarkovGame",
    "Evaluation",
    "Factor",
    "InvalidNetwork",
    "InvalidPolicy",
    "Iterations",
    "NaturalGradient",
    "NetworkSearch",
    "OccupancyBarrier",
    "Reinforce",
    "Simulator",
    "a_posteriori",
    "agent_gaps",
    "as_network",
    "ascend_by_playing",
    "augmented_mdp",
    "barrier_maximum",
    "barrier_objective",
    "barrier_program",
    "barrier_rows_program",
    "central_path_program",
    "climbing_game",
    "coordination_line",
    "distinct_networks",
    "evaluate",
    "iterations_nash",
    "iterations_optimal",
    "max_sum",
    "mismatch",
    "named_program",
    "nash_gap",
    "optimal_value",
    "optimality_gap",
    "penalty_game",
    "play_episodes",
    "policy_gradient",
    "policy_value",
    "promised_nash",
    "promised_optimal",
    "random_cooperative",
    "random_factored",
    "sampled_value_gradient",
    "search_mission",
    "smoothness",
    "stationary_nash",
    "stationary_optimal",
]

_HOMES = {
    "barrier": (
        "BarrierRows",
        "barrier_maximum",
        "barrier_rows_program",
    ),
    "barrier_iteration": (
        "AgentwiseBarrierIteration",
        "BarrierPolicyIteration",
    ),
    "best_joint": ("max_sum",),
    "bounds": (
        "Iterations",
        "a_posteriori",
        "iterations_nash",
        "iterations_optimal",
        "mismatch",
        "promised_nash",
        "promised_optimal",
        "smoothness",
        "stationary_nash",
        "stationary_optimal",
    ),
    "central_path": (
        "CentralPath",
        "OccupancyBarrier",
        "central_path_program",
    ),
    "certificate": (
        "agent_gaps",
        "nash_gap",
        "optimal_value",
        "optimality_gap",
        "policy_value",
    ),
    "continuation": ("Continuation",),
    "deviation": ("augmented_mdp",),
    "evaluation": (
        "Evaluation",
        "evaluate",
    ),
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
    "lbfgs": ("LBFGS",),
    "natural_gradient": ("NaturalGradient",),
    "network": (
        "BayesianNetwork",
        "InvalidNetwork",
        "as_network",
    ),
    "network_search": (
        "NetworkSearch",
        "distinct_networks",
    ),
    "objective": (
        "barrier_objective",
        "policy_gradient",
    ),
    "policy": (
        "BayesianNetworkPolicy",
        "InvalidPolicy",
    ),
    "bn_policy_gradient": ("BNPolicyGradient",),
    "programs": (
        "barrier_program",
        "named_program",
    ),
    "reinforce": (
        "Reinforce",
        "ascend_by_playing",
        "sampled_value_gradient",
    ),
    "simulation": (
        "Simulator",
        "play_episodes",
    ),
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
