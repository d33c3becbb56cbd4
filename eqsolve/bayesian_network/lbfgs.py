"""Limited-memory quasi-Newton ascent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eqsolve.arrays import FloatArray, frozen, whole_number
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent
from eqsolve.bayesian_network.layout import dot, length
from eqsolve.bayesian_network.objective import Objective
from eqsolve.driver import Run

CURVED = 1e-12
"""Least cosine between a step and the change of the gradient along it for which the pair is remembered."""


@dataclass(frozen=True, slots=True)
class LBFGS(BarrierAscent):
    """L-BFGS on L_lambda in all logits; a step begins at 1 and is halved until it gains its share.

    Parameters
    ----------
    memory_size : pairs of steps and gradient changes that are remembered, at least 1.

    Notes
    -----
    Pairs along which the gradient does not fall, as a line search without a curvature condition may give, are not remembered. The
    state holds the memory, so that a resumed run goes on as it would have. Source: Nocedal and Wright (2006), algorithm 7.4.
    """

    memory_size: int = 10

    def __post_init__(self) -> None:
        BarrierAscent.__post_init__(self)
        object.__setattr__(self, "memory_size", whole_number("memory_size", self.memory_size, 1))

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One quasi-Newton step."""
        gradient = gradient_of(objective, state)
        D = len(gradient)
        steps, changes = state.memory or (np.empty((0, D)), np.empty((0, D)))
        direction = two_loops(gradient, steps, changes)
        slope = dot(gradient, direction)
        if slope <= 0.0:
            direction, slope, steps, changes = gradient, dot(gradient, gradient), steps[:0], changes[:0]
        # Without a memory, a step of length 1: the gradient's own length depends on the unit of the rewards.
        first = 1.0 if len(steps) else 1.0 / length(gradient)
        following = self.search(objective, state, lambda t: state.logits + t * direction, first, slope)
        if not following.moved and len(steps):
            return replace(state, memory=())  # start again along the gradient
        step, change = following.logits - state.logits, gradient - gradient_of(objective, following)
        if dot(step, change) > CURVED * length(step) * length(change):
            steps = np.vstack([steps, step])[-self.memory_size :]
            changes = np.vstack([changes, change])[-self.memory_size :]
        return replace(following, memory=(frozen(steps), frozen(changes)))


def gradient_of(objective: Objective, state: Ascent) -> FloatArray:
    """(D,) the gradient at a state."""
    probability = np.exp(state.logits)
    return np.asarray(state.pull * probability + objective.lam * objective.barrier_gradient(probability))


def two_loops(gradient: FloatArray, steps: FloatArray, changes: FloatArray) -> FloatArray:
    """(D,) the inverse Hessian's estimate from pairs (m, D) times the gradient; changes are those of minus the gradient."""
    q = gradient.copy()
    if not len(steps):
        return q
    rho = 1.0 / np.einsum("md,md->m", steps, changes)
    alpha = np.empty(len(steps))
    for k in range(len(steps) - 1, -1, -1):
        alpha[k] = rho[k] * dot(steps[k], q)
        q -= alpha[k] * changes[k]
    q *= dot(steps[-1], changes[-1]) / dot(changes[-1], changes[-1])
    for k in range(len(steps)):
        q += (alpha[k] - rho[k] * dot(changes[k], q)) * steps[k]
    return q
