"""Finite Markov decision processes: model, programs, evaluation, exact methods, certificates.

The names below are loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eqsolve.mdp.model import FiniteMDP, InvalidMDP, available_actions

if TYPE_CHECKING:
    from eqsolve.mdp.backward_induction import Backward, BackwardInduction
    from eqsolve.mdp.ball_dual import BallOptimum, ball_optimal
    from eqsolve.mdp.ball_program import chi_square_ball_program, disjoint_union, expected_chi_square
    from eqsolve.mdp.bellman import Bracket
    from eqsolve.mdp.certificate import ValueBracket, optimal_bracket, optimality_gap, value_bracket
    from eqsolve.mdp.chi_square import AveragedBallResponse, BallResponse, averaged_ball_best_response, ball_best_response
    from eqsolve.mdp.constrained import ConstrainedSolution, InfeasibleMDP, solve_constrained
    from eqsolve.mdp.dynamic_programming import MDPPolicy
    from eqsolve.mdp.entropy import entropy_program
    from eqsolve.mdp.evaluation import advantages, evaluate, evaluation_error, policy_kernel, q_values, visitation
    from eqsolve.mdp.forms import OccupancySolution, solve_occupancy
    from eqsolve.mdp.generators import forest, grid_world, random_mdp
    from eqsolve.mdp.interop import from_gymnasium, from_quantecon, to_quantecon
    from eqsolve.mdp.mismatch import Mismatch, avoidable, mismatch_coefficient, reachable, visitation_range
    from eqsolve.mdp.modified_policy_iteration import ModifiedPolicyIteration
    from eqsolve.mdp.native import Solution, optimal_policy
    from eqsolve.mdp.occupancy import Occupancy, StateValues
    from eqsolve.mdp.occupancy_algorithm import OccupancyLP
    from eqsolve.mdp.policy_iteration import PolicyIteration
    from eqsolve.mdp.programs import LinearConstraint, VisitationFamily, occupancy_program, value_program, visitation_program
    from eqsolve.mdp.recovery import occupancy_of, policy_basis, policy_from, policy_of, value_of
    from eqsolve.mdp.regularised import (
        ChiSquare,
        Entropy,
        RegularisedOptimum,
        chi_square_maximum,
        chi_square_optimal,
        chi_square_value,
        soft_maximum,
        soft_optimal,
        soft_value,
    )
    from eqsolve.mdp.simplex import SimplexUpdate, simplex_update
    from eqsolve.mdp.simulation import Trajectories, ValueEstimate, estimate_value, simulate
    from eqsolve.mdp.value_iteration import ValueIteration

__all__ = [
    "AveragedBallResponse",
    "Backward",
    "BackwardInduction",
    "BallOptimum",
    "BallResponse",
    "Bracket",
    "ChiSquare",
    "ConstrainedSolution",
    "Entropy",
    "FiniteMDP",
    "InfeasibleMDP",
    "InvalidMDP",
    "LinearConstraint",
    "MDPPolicy",
    "Mismatch",
    "ModifiedPolicyIteration",
    "Occupancy",
    "OccupancyLP",
    "OccupancySolution",
    "PolicyIteration",
    "RegularisedOptimum",
    "SimplexUpdate",
    "Solution",
    "StateValues",
    "Trajectories",
    "ValueBracket",
    "ValueEstimate",
    "ValueIteration",
    "VisitationFamily",
    "advantages",
    "available_actions",
    "averaged_ball_best_response",
    "avoidable",
    "ball_best_response",
    "ball_optimal",
    "chi_square_ball_program",
    "chi_square_maximum",
    "chi_square_optimal",
    "chi_square_value",
    "disjoint_union",
    "entropy_program",
    "estimate_value",
    "evaluate",
    "evaluation_error",
    "expected_chi_square",
    "forest",
    "from_gymnasium",
    "from_quantecon",
    "grid_world",
    "mismatch_coefficient",
    "occupancy_of",
    "occupancy_program",
    "optimal_bracket",
    "optimal_policy",
    "optimality_gap",
    "policy_basis",
    "policy_from",
    "policy_kernel",
    "policy_of",
    "q_values",
    "random_mdp",
    "reachable",
    "simplex_update",
    "simulate",
    "soft_maximum",
    "soft_optimal",
    "soft_value",
    "solve_constrained",
    "solve_occupancy",
    "to_quantecon",
    "value_bracket",
    "value_of",
    "value_program",
    "visitation",
    "visitation_program",
    "visitation_range",
]

_HOMES = {
    "backward_induction": (
        "Backward",
        "BackwardInduction",
    ),
    "ball_dual": (
        "BallOptimum",
        "ball_optimal",
    ),
    "ball_program": (
        "chi_square_ball_program",
        "disjoint_union",
        "expected_chi_square",
    ),
    "bellman": ("Bracket",),
    "certificate": (
        "ValueBracket",
        "optimal_bracket",
        "optimality_gap",
        "value_bracket",
    ),
    "chi_square": (
        "AveragedBallResponse",
        "BallResponse",
        "averaged_ball_best_response",
        "ball_best_response",
    ),
    "constrained": (
        "ConstrainedSolution",
        "InfeasibleMDP",
        "solve_constrained",
    ),
    "dynamic_programming": ("MDPPolicy",),
    "entropy": ("entropy_program",),
    "occupancy_algorithm": ("OccupancyLP",),
    "evaluation": (
        "advantages",
        "evaluate",
        "evaluation_error",
        "policy_kernel",
        "q_values",
        "visitation",
    ),
    "forms": (
        "OccupancySolution",
        "solve_occupancy",
    ),
    "generators": (
        "forest",
        "grid_world",
        "random_mdp",
    ),
    "interop": (
        "from_gymnasium",
        "from_quantecon",
        "to_quantecon",
    ),
    "mismatch": (
        "Mismatch",
        "avoidable",
        "mismatch_coefficient",
        "reachable",
        "visitation_range",
    ),
    "modified_policy_iteration": ("ModifiedPolicyIteration",),
    "native": (
        "Solution",
        "optimal_policy",
    ),
    "occupancy": (
        "Occupancy",
        "StateValues",
    ),
    "policy_iteration": ("PolicyIteration",),
    "programs": (
        "LinearConstraint",
        "VisitationFamily",
        "occupancy_program",
        "value_program",
        "visitation_program",
    ),
    "recovery": (
        "occupancy_of",
        "policy_basis",
        "policy_from",
        "policy_of",
        "value_of",
    ),
    "regularised": (
        "ChiSquare",
        "Entropy",
        "RegularisedOptimum",
        "chi_square_maximum",
        "chi_square_optimal",
        "chi_square_value",
        "soft_maximum",
        "soft_optimal",
        "soft_value",
    ),
    "simplex": (
        "SimplexUpdate",
        "simplex_update",
    ),
    "simulation": (
        "Trajectories",
        "ValueEstimate",
        "estimate_value",
        "simulate",
    ),
    "value_iteration": ("ValueIteration",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eqsolve.mdp' has no attribute {name!r}")
    value = getattr(import_module(f"eqsolve.mdp.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
