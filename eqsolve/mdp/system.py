"""Finite MDPs, wired for the driver."""

from __future__ import annotations

from typing import Any

from eqsolve.certificates import GapCertificate
from eqsolve.driver import Algorithm, System
from eqsolve.mdp.backward_induction import BackwardInduction
from eqsolve.mdp.certificate import optimality_gap, value_bracket
from eqsolve.mdp.dynamic_programming import MDPPolicy
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.modified_policy_iteration import ModifiedPolicyIteration
from eqsolve.mdp.occupancy_algorithm import OccupancyLP
from eqsolve.mdp.policy_iteration import PolicyIteration
from eqsolve.mdp.value_iteration import ValueIteration


def _describe(mdp: FiniteMDP) -> str:
    length = f"discount {mdp.gamma:g}" if mdp.horizon is None else f"{mdp.horizon:,} steps"
    return f"{mdp.n_states:,} states, {mdp.n_pairs:,} state-action pairs, {length}"


def _certify(mdp: FiniteMDP, policy: MDPPolicy) -> GapCertificate:
    return optimality_gap(mdp, policy.probability)


def _value(mdp: FiniteMDP, policy: MDPPolicy) -> float:
    bracket = value_bracket(mdp, policy.probability)
    return 0.5 * (bracket.value_lower + bracket.value_upper)


def _default(mdp: FiniteMDP) -> Algorithm[Any, Any, Any]:
    return ModifiedPolicyIteration() if mdp.horizon is None else BackwardInduction()


MDP = System(
    name="mdp",
    game=FiniteMDP,
    algorithms=(ModifiedPolicyIteration, PolicyIteration, ValueIteration, BackwardInduction, OccupancyLP),
    describe=_describe,
    certify=_certify,
    value=_value,
    default=_default,
)
