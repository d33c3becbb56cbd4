r"""The log-barrier objective of the paper and its exact gradient.

.. math:: L_\lambda(\theta) = V_\theta(\mu) - \lambda \sum_i \mathbb{E}_{s, a^{\mathcal P^i} \sim \text{Unif}}
          \big[ \mathrm{KL}(\text{Unif}_{\mathcal A^i}, \pi^i_\theta(\cdot \mid s, a^{\mathcal P^i})) \big]

For every network the barrier is lambda times the relative entropy of the uniform joint policy to the joint policy, averaged over
states, since

.. math:: \sum_i \mathbb{E}_{s, a \sim \text{Unif}} \log \pi^i(a^i \mid s, a^{\mathcal P^i})
          = \mathbb{E}_{s, a \sim \text{Unif}} \log \pi(a \mid s)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, real_number
from eqsolve.bayesian_network.evaluation import Evaluation, Evaluator
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.errors import unknown

Variant = Literal["corrected", "paper"]
VARIANTS = ("corrected", "paper")


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """The objective at one policy.

    Parameters
    ----------
    logits : (D,) log-probabilities, all tables in one vector (``Layout``). probability : (D,) their exponentials.
    evaluation : of the policy. value : V(mu). objective : L_lambda.
    """

    logits: FloatArray
    probability: FloatArray
    evaluation: Evaluation
    value: float
    objective: float


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """L_lambda of a game over a network, as a function of all logits in one vector (D,).

    Parameters
    ----------
    evaluator : the game laid out for the network. lam : lambda > 0, in reward units.
    """

    evaluator: Evaluator
    lam: float

    @staticmethod
    def of(game: CooperativeMarkovGame, network: BayesianNetwork, lam: float, *, compiled: bool | None = None) -> Objective:
        """Lay out a game; ``compiled`` as for ``Evaluator.of``.

        Raises
        ------
        InvalidData : lambda is not above 0. InvalidGame, InvalidNetwork : see ``Evaluator.of``.
        """
        return Objective(Evaluator.of(game, network, compiled=compiled), barrier_weight(lam))

    def at(self, logits: FloatArray) -> Point:
        """The objective at logits (D,), which need not be normalised."""
        plan = self.evaluator.plan
        if plan is not None:
            log_pi, pi, divergence = plan.softmax(logits)
        else:
            log_pi = self.evaluator.layout.log_softmax(logits)
            pi, divergence = np.exp(log_pi), self.divergence(log_pi)
        evaluation = self.evaluator.evaluate(pi)
        value = evaluation.value
        return Point(log_pi, pi, evaluation, value, value - self.lam * divergence)

    def divergence(self, log_pi: FloatArray) -> float:
        """KL(Unif, pi) averaged over the states, from log-probabilities (D,)."""
        layout = self.evaluator.layout
        weight = layout.row_weights / layout.row_sizes
        constant = float(np.log(self.evaluator.game.n_actions).sum())
        return -float(np.dot(weight, layout.row_sums(log_pi))) - constant

    def gradient(self, point: Point) -> FloatArray:
        r"""(D,) the gradient by the logits.

        .. math:: d(s, a^{\mathcal P^i})\, \pi^i A^i + \frac{\lambda}{|S| |\mathcal A^{\mathcal P^i}|}
                  \Big( \frac{1}{|\mathcal A^i|} - \pi^i \Big)

        with d not normalised; no probability is divided by. Source: Lemma 1, without its factor 1 / (1 - gamma), which belongs to
        a normalised d.
        """
        gradient, plan = self.value_gradient(point), self.evaluator.plan
        if plan is not None:
            plan.add_barrier(point.probability, self.lam, gradient)
            return gradient
        return gradient + self.lam * self.barrier_gradient(point.probability)

    def value_gradient(self, point: Point) -> FloatArray:
        """(D,) the gradient of V(mu)."""
        return self.visited_advantages(point) * point.probability

    def visited_advantages(self, point: Point) -> FloatArray:
        r"""(D,) :math:`d(s, a^{\mathcal P^i})\, A^i(s, a^{\mathcal P^i}, a^i)`; drivers hold this, and multiply by pi."""
        return point.evaluation.visited_advantages()

    def barrier_gradient(self, probability: FloatArray) -> FloatArray:
        """(D,) the gradient of minus the relative entropy."""
        if self.evaluator.plan is None:
            return self.evaluator.layout.barrier_gradient(probability)
        found = np.zeros_like(probability)
        self.evaluator.plan.add_barrier(probability, 1.0, found)
        return found

    def start(self, policy: BayesianNetworkPolicy | None = None) -> FloatArray:
        """(D,) the logits of a policy; zero, the uniform policy, when left out.

        Raises
        ------
        InvalidPolicy : of another game, or over a network with other edges. InvalidData : it has a probability of 0.
        """
        layout, game = self.evaluator.layout, self.evaluator.game
        if policy is None:
            return np.zeros(layout.size)
        check_plays(policy, game.n_states, game.n_actions)
        flat = layout.flatten(policy.over(layout.network).logits())
        return float_array("logits of the start", flat).copy()

    def policy(self, probability: FloatArray) -> BayesianNetworkPolicy:
        """The policy of probabilities (D,)."""
        return BayesianNetworkPolicy(self.evaluator.layout.network, self.evaluator.layout.tables(probability))


def barrier_objective(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, lam: float) -> float:
    """L_lambda of a policy; minus infinity where it never plays an action.

    Raises
    ------
    InvalidPolicy, InvalidGame, InvalidNetwork : see ``evaluate``. InvalidData : lambda is not above 0.
    """
    check_plays(policy, game.n_states, game.n_actions)
    objective = Objective.of(game, policy.network, lam, compiled=False)
    if min(table.min() for table in policy.tables) == 0.0:
        return -np.inf
    return objective.at(objective.start(policy)).objective


def policy_gradient(
    game: CooperativeMarkovGame,
    logits: Sequence[npt.ArrayLike],
    network: BayesianNetwork,
    lam: float,
    *,
    normalised: bool = False,
    variant: Variant = "corrected",
) -> tuple[FloatArray, ...]:
    r"""The gradient of L_lambda in the form of Lemma 1, written with visits and advantages.

    .. math:: \frac{\partial L_\lambda}{\partial \theta^i_{s, a^{\mathcal P^i}, a^i}} = c\, d(s, a^{\mathcal P^i})\,
              \pi^i(a^i \mid s, a^{\mathcal P^i})\, A^i(s, a^{\mathcal P^i}, a^i)
              + \frac{\lambda}{|S| |\mathcal A^{\mathcal P^i}|} \Big( \frac{1}{|\mathcal A^i|} - \pi^i \Big)

    Parameters
    ----------
    logits : one table per agent, (S, m_parents..., m_i).
    normalised : write it with d that sums to 1, and then c = 1 / (1 - gamma); otherwise d sums to 1 / (1 - gamma), and c = 1. Both
        are the gradient of the same function.
    variant : ``"paper"``: as printed, with the d of section 2, which is not normalised, and c = 1 / (1 - gamma) all the same. It is
        not the gradient of L_lambda, nor of any multiple of it, unless gamma is 0.

    Returns
    -------
    One table per agent, as ``logits``. Drivers use ``Objective.gradient``, which divides by no probability.

    Raises
    ------
    UnknownName : another variant. InvalidPolicy, InvalidGame, InvalidNetwork, InvalidData : as ``barrier_objective``.
    """
    if variant not in VARIANTS:
        raise unknown("variant", variant, VARIANTS)
    policy = BayesianNetworkPolicy.softmax(network, logits)
    check_plays(policy, game.n_states, game.n_actions)
    objective = Objective.of(game, network, lam, compiled=False)
    found, layout = objective.evaluator.evaluate(policy.tables), objective.evaluator.layout
    weight = barrier_weight(lam)
    tables = []
    c = 1.0 / (1.0 - game.gamma) if normalised or variant == "paper" else 1.0
    for i, pi in enumerate(policy.tables):
        d = found.visitation(network.parents[i], normalised=normalised and variant == "corrected")
        share = 1.0 / (layout.shapes[i][0] * np.prod(layout.shapes[i][1:-1]))
        gain = np.where(d[..., None] > 0, d[..., None] * found.advantages(i), 0.0)  # NaN where the parents never act so
        tables.append(c * pi * gain + weight * share * (1.0 / pi.shape[-1] - pi))
    return tuple(tables)


def barrier_weight(lam: float) -> float:
    """Lambda, above 0.

    Raises
    ------
    InvalidData : it is not.
    """
    return real_number("lam", lam, above=0.0)
