"""Cooperative games with policies over Bayesian networks, wired for the driver."""

from __future__ import annotations

from typing import Any

from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, BarrierPolicyIteration
from eqsolve.bayesian_network.bn_policy_gradient import BNPolicyGradient
from eqsolve.bayesian_network.central_path import OccupancyBarrier
from eqsolve.bayesian_network.certificate import nash_gap, policy_value
from eqsolve.bayesian_network.continuation import Continuation
from eqsolve.bayesian_network.factors import LARGEST
from eqsolve.bayesian_network.game import CooperativeMarkovGame, describe
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.natural_gradient import NaturalGradient
from eqsolve.bayesian_network.network_search import NetworkSearch
from eqsolve.bayesian_network.reinforce import Reinforce
from eqsolve.driver import Algorithm, System

DENSE_UP_TO = LARGEST // 50
"""Numbers of the joint process up to which the default is a method over the joint policy."""


def _default(game: CooperativeMarkovGame) -> Algorithm[Any, Any, Any]:
    """Dense networks where the joint process is small, since there the gap is certain to be small; a chain elsewhere."""
    numbers = game.n_states * game.n_joint * (1 if game.kernel is not None else game.n_states)
    return BarrierPolicyIteration() if numbers <= DENSE_UP_TO else AgentwiseBarrierIteration("chain")


BAYESIAN_NETWORK = System(
    name="bayesian_network",
    game=CooperativeMarkovGame,
    algorithms=(
        BarrierPolicyIteration,
        AgentwiseBarrierIteration,
        BNPolicyGradient,
        NaturalGradient,
        LBFGS,
        Reinforce,
        Continuation,
        OccupancyBarrier,
        NetworkSearch,
    ),
    describe=describe,
    certify=nash_gap,
    value=policy_value,
    default=_default,
)
