"""The global half-step on the two-level surrogate: the global agent improves its policy for the agents that it does not see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, int_array, real_number
from eqsolve.mean_field.local_step import SHARE
from eqsolve.mean_field.two_level import TwoLevel, Valued

CLIMBS = 200


@dataclass(frozen=True, slots=True, eq=False)
class GlobalClimb:
    """A deterministic global policy and what it earns with a fixed local policy in the two-level surrogate.

    Parameters
    ----------
    global_policy : (G, N_k) actions. valued : its value with its bracket. slack : sum over rows of the largest advantage; 0 where
        the policy is stationary. evaluations : policies evaluated. climbs : moves that were accepted.
    """

    global_policy: IntArray
    valued: Valued
    slack: float
    evaluations: int
    climbs: int


def ascend_global(
    surrogate: TwoLevel,
    global_policy: npt.ArrayLike,
    local_policy: npt.ArrayLike,
    *,
    values: FloatArray | None = None,
    tolerance: float = 1e-6,
    tick: Callable[[], object] | None = None,
) -> GlobalClimb:
    r"""Climb J[K, k] from a deterministic global policy by its exact gradient.

    .. math:: \frac{\partial J}{\partial \pi_g(a \mid g, d)} = \sum_D d(g, D)\, \frac{\prod_z \binom{D_z}{d_z}}{\binom Kk}
              \Big[ r_g(g, a) + \gamma \sum_{g'} P_g(g' \mid g, a)\, \mathbb E\, V(g', D') \Big] + \text{const}

    The best response in the surrogate of the k agents seen is not the best for K: what was not seen is as it is on average there.
    All rows move to their best action, or the half, the quarter ... of them with the most to gain, the first move that the brackets
    prove to gain. Where K = k this is policy iteration.

    Parameters
    ----------
    global_policy : (G, N_k) actions. local_policy : (G, Z, A_l). values : (G, N_K) to begin with.
    tolerance : of the slack at which the climb ends, and eight times that of each value, in reward units. tick : called before
        each evaluation.
    """
    bound, game = real_number("tolerance", tolerance, above=0.0), surrogate.game
    chosen, fine = int_array("global_policy", global_policy, (game.n_global_states, None)), SHARE * bound
    identity, pause = np.eye(game.n_global_actions), tick or (lambda: None)
    pause()
    facing = surrogate.facing(identity[chosen])
    here = facing.evaluate(local_policy, tolerance=fine, start=values)
    evaluations, climbs, visits = 1, 0, None
    while True:
        pause()
        visits = facing.occupancy(local_policy, tolerance=fine / max(1.0, float(np.ptp(here.values))), start=visits)
        worth = surrogate.global_gradient(local_policy, here.values, visits)
        gains = worth.max(axis=2) - np.take_along_axis(worth, chosen[:, :, None], axis=2)[:, :, 0]
        slack = float(gains.sum())
        if slack <= bound or climbs == CLIMBS:
            break
        for moved in _moves(chosen, worth.argmax(axis=2), gains):
            pause()
            other = surrogate.facing(identity[moved])
            there = other.evaluate(local_policy, tolerance=fine, start=here.values, beaten=here.lower)
            evaluations += 1
            if there.lower > here.upper:
                chosen, facing, here, climbs = moved, other, there, climbs + 1
                break
        else:
            break
    return GlobalClimb(chosen, here, slack, evaluations, climbs)


def _moves(chosen: IntArray, best: IntArray, gains: FloatArray) -> Iterator[IntArray]:
    order = np.argsort(-gains.reshape(-1), kind="stable")
    count = int((gains > 0.0).sum())
    while count:
        moved = chosen.copy().reshape(-1)
        moved[order[:count]] = best.reshape(-1)[order[:count]]
        yield moved.reshape(chosen.shape)
        count //= 2
