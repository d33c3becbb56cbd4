"""Natural policy gradient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import FloatArray, real_number
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent
from eqsolve.bayesian_network.layout import dot
from eqsolve.bayesian_network.lbfgs import gradient_of
from eqsolve.bayesian_network.objective import Objective
from eqsolve.driver import Run

FURTHEST = 2.0
"""Change of a logit in one step."""


@dataclass(frozen=True, slots=True)
class NaturalGradient(BarrierAscent):
    r"""Ascent along the gradient preconditioned by the Fisher matrix of the policy.

    .. math:: \theta^i \leftarrow \theta^i + \eta \Big[ A^i(s, a^{\mathcal P^i}, a^i)
              + \frac{\lambda}{|S| |\mathcal A^{\mathcal P^i}| d(s, a^{\mathcal P^i})}
              \Big( \frac{1}{|\mathcal A^i| \pi^i} - 1 \Big) \Big]

    The Fisher matrix of row (s, a^P) of agent i is d(s, a^P) (diag pi - pi pi'), so that one gradient serves all agents. Every step
    begins with twice the last one and is halved until it gains its share.

    Parameters
    ----------
    step_size : of the first step, in units of 1 / reward; one over the span of values when left out.

    Notes
    -----
    Source: Kakade (2001), A natural policy gradient; Agarwal et al. (2021), Lemma 15, for one agent.
    """

    step_size: float | None = None

    def __post_init__(self) -> None:
        BarrierAscent.__post_init__(self)
        if self.step_size is not None:
            object.__setattr__(self, "step_size", real_number("step_size", self.step_size, above=0.0))

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One step."""
        gradient = gradient_of(objective, state)
        probability = np.exp(state.logits)
        visits = objective.evaluator.layout.to_entries(row_visits(objective, probability))
        # A row that is never visited is moved by the barrier alone, in a unit of its own.
        direction = gradient / (probability * np.where(visits > 0.0, visits, 1.0))
        first = 2.0 * state.step or self.step_size or 1.0 / self.scale(objective.evaluator.game)
        # Where an action is hardly played its entry is huge; a longer step than this would throw its row to the other end.
        first = min(first, FURTHEST / float(np.abs(direction).max()))
        return self.search(objective, state, lambda t: state.logits + t * direction, first, dot(gradient, direction))


def row_visits(objective: Objective, probability: FloatArray) -> FloatArray:
    """(R,) d(s, a^P) of every row."""
    evaluator = objective.evaluator
    found = evaluator.evaluate(evaluator.layout.tables(probability))
    parts = [found.visitation(evaluator.layout.network.parents[i]) for i in range(evaluator.game.n_agents)]
    return np.concatenate([np.ascontiguousarray(one).reshape(-1) for one in parts])
