"""Best responses of single agents by policy iteration over the network, for the records of a run.

The certificate of a result does not use this; it builds the process that a deviating agent faces by code of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.evaluation import Evaluator

ROUNDS = 100
ROUNDING = 1e-12
"""Gains, relative to the largest value there can be, that may be rounding."""


def best_response(evaluator: Evaluator, tables: Sequence[FloatArray], i: int) -> tuple[FloatArray, float]:
    """The best table of agent i, (S, m_parents..., m_i), when the others keep theirs, and V(mu) with it.

    Howard's policy iteration on the process whose states are (state, actions of the parents): every round evaluates all tables by
    contraction and takes the action of largest advantage where it gains more than rounding.
    """
    mine = list(tables)
    found = evaluator.evaluate(mine)
    scale = ROUNDING * max(map(abs, evaluator.game.reward_range)) / (1.0 - evaluator.game.gamma)
    for _ in range(ROUNDS):
        gain = found.weighted_advantages(i)
        top = gain.max(axis=-1, keepdims=True)
        better = top[..., 0] > scale
        if not better.any():
            break
        choice = np.arange(gain.shape[-1]) == gain.argmax(axis=-1)[..., None]
        mine[i] = np.where(better[..., None], choice, mine[i]).astype(np.float64)
        found = evaluator.evaluate(mine)
    return mine[i], found.value


def largest_gain(evaluator: Evaluator, tables: Sequence[FloatArray]) -> float:
    """The Nash gap: the most that one agent gains by the best table of its own (Definition 1 of the paper)."""
    value = evaluator.evaluate(tables).value
    return max(0.0, *(best_response(evaluator, tables, i)[1] - value for i in range(len(tables))))
