"""The policy gradient dynamics of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from eqsolve.arrays import real_number
from eqsolve.bayesian_network.ascent import Ascent, BarrierAscent, Keep
from eqsolve.bayesian_network.bounds import smoothness
from eqsolve.bayesian_network.layout import dot
from eqsolve.bayesian_network.objective import Objective
from eqsolve.bayesian_network.parameters import truth_value
from eqsolve.driver import Run


@dataclass(frozen=True, slots=True)
class BNPolicyGradient(BarrierAscent):
    r"""Gradient ascent on L_lambda with all agents at once.

    .. math:: \theta^i_{t+1} = \theta^i_t + \eta\, \nabla_{\theta^i} L_\lambda(\theta_t)

    Parameters
    ----------
    step_size : eta > 0; 1 / beta_lambda when left out, for which Theorems 1 and 2 are stated.
    line_search : begin every step with twice the last one and halve it until the gain is as predicted; ``step_size`` is the first.
    keep : by default the iterate of least gradient, which the theorems speak of (their minimum over t).

    Notes
    -----
    Source: eq. (2) and (3), Theorems 1 and 2. With 1 / beta_lambda even tiny games take thousands of iterations; the other methods
    climb the same objective much faster.
    """

    step_size: float | None = None
    line_search: bool = False
    keep: Keep = "gradient"

    def __post_init__(self) -> None:
        BarrierAscent.__post_init__(self)
        if self.step_size is not None:
            object.__setattr__(self, "step_size", real_number("step_size", self.step_size, above=0.0))
        object.__setattr__(self, "line_search", truth_value("line_search", self.line_search))

    def advance(self, objective: Objective, state: Ascent, run: Run) -> Ascent:
        """One step along the gradient."""
        layout, game = objective.evaluator.layout, objective.evaluator.game
        probability = np.exp(state.logits)
        gradient = state.pull * probability + self.lam * objective.barrier_gradient(probability)
        first = self.step_size or 1.0 / smoothness(game, layout.network, self.lam)
        if not self.line_search:
            return self.settled(objective, objective.at(state.logits + first * gradient), state, step=first)
        size = 2.0 * state.step or first
        return self.search(objective, state, lambda t: state.logits + t * gradient, size, dot(gradient, gradient))
