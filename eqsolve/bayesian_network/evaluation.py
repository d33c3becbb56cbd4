"""Exact values, visits, action values and advantages of a policy, by contraction over the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, frozen
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.contraction import (
    arranged,
    clique_marginals,
    marginal,
    means_upwards,
    separator_marginal,
    weighted_advantages,
)
from eqsolve.bayesian_network.factors import LARGEST, Factor, spread
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.errors import InvalidGame
from eqsolve.mdp.linear import PolicySystem

Tables = Sequence[FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """A game laid out for the exact evaluation of policies over one network; made by ``Evaluator.of``.

    Parameters
    ----------
    game : the game. layout : of the policies' tables. buckets : the elimination.
    reward : the rewards as factors; one over the first clique where the game has a kernel over joint actions.
    kernel : (S A, S) with the joint actions in the order of that clique, or None.
    """

    game: CooperativeMarkovGame
    layout: Layout
    buckets: Buckets
    reward: tuple[Factor, ...]
    kernel: Any

    @staticmethod
    def of(game: CooperativeMarkovGame, network: BayesianNetwork) -> Evaluator:
        """Lay out a game for a network.

        Raises
        ------
        InvalidNetwork : for another number of agents; a table larger than memory.
        InvalidGame : the elimination would need more memory than there is; its width and size are told, and what to do instead.
        """
        layout = Layout(network, game.n_states, game.n_actions)
        everybody = tuple(range(game.n_agents))
        scopes = [everybody] if game.kernel is not None else [one.agents for one in (*game.reward, *game.moves)]
        buckets = Buckets.of(network, game.n_actions, scopes)
        cells = buckets.cells(game.n_actions) * game.n_states
        if cells > LARGEST:
            raise InvalidGame(
                f"eliminating the agents one by one leads to cliques of up to {buckets.width + 1} agents: {cells:,} numbers",
                f"At most {LARGEST:,} are held. Give rewards and transitions as factors over few agents, or take edges out.",
            )
        if game.kernel is None:
            return Evaluator(game, layout, buckets, _merged(game.reward), None)
        clique = buckets.cliques[buckets.home(everybody)]
        axes = (0, *(i + 1 for i in clique))
        reward = frozen(np.ascontiguousarray(game.joint_reward().transpose(axes)))
        kernel: Any = game.kernel
        if clique != everybody:
            rows = np.arange(kernel.shape[0]).reshape(game.n_states, *game.n_actions).transpose(axes).reshape(-1)
            kernel = kernel[rows]
        return Evaluator(game, layout, buckets, (Factor(clique, reward),), kernel)

    def evaluate(self, tables: Tables) -> Evaluation:
        """Everything that is known of a policy given by its tables, which are not checked."""
        marginals = clique_marginals(self.buckets, tables)
        reward, chain = self._chain(marginals)
        gamma, mu = self.game.gamma, self.game.initial
        if len(mu) == 1:
            values, visits = reward / (1.0 - gamma), mu / (1.0 - gamma)
        else:
            system = PolicySystem.of(chain, gamma)
            values, visits = system.solve(reward), np.maximum(system.solve(mu, transposed=True), 0.0)
        return Evaluation(self, tuple(tables), marginals, values, visits)

    def terms(self, values: FloatArray) -> list[Factor]:
        """Rewards and discounted values of the next state, as factors: what an action is worth with the policy after it."""
        gamma = self.game.gamma
        if self.kernel is not None:
            reward = self.reward[0]
            following = np.asarray(self.kernel @ values).reshape(reward.table.shape)
            return [Factor(reward.agents, reward.table + gamma * following)]
        if not gamma:
            return list(self.reward)
        return [*self.reward, *(Factor(one.agents, gamma * (one.table @ values)) for one in self.game.moves)]

    def _chain(self, marginals: list[FloatArray]) -> tuple[FloatArray, Any]:
        """(S,) the mean reward and (S, S) the transitions of a policy."""
        S = self.game.n_states
        if self.kernel is not None:
            joint = marginals[self.buckets.home(self.reward[0].agents)].reshape(S, -1)
            reward = np.einsum("sa,sa->s", joint, self.reward[0].table.reshape(S, -1))
            if sparse.issparse(self.kernel):
                ends = np.arange(S + 1) * joint.shape[1]
                weights = sparse.csr_array((joint.reshape(-1), np.arange(joint.size), ends), shape=(S, joint.size))
                return reward, weights @ self.kernel
            return reward, np.matmul(joint[:, None, :], self.kernel.reshape(S, -1, S))[:, 0]
        reward = np.zeros(S)
        for one in self.reward:
            reward += (self._weights(marginals, one) * one.table.reshape(S, -1)).sum(axis=1)
        chain = np.zeros((S, S))
        for one in self.game.moves if S > 1 else ():
            chain += np.einsum("sa,sat->st", self._weights(marginals, one), one.table.reshape(S, -1, S))
        return reward, chain

    def _weights(self, marginals: list[FloatArray], one: Factor) -> FloatArray:
        if not one.agents:
            return np.ones((self.game.n_states, 1))
        return marginal(self.buckets, marginals, one.agents).reshape(self.game.n_states, -1)


@dataclass(frozen=True, eq=False)
class Evaluation:
    r"""A policy, evaluated exactly.

    Parameters
    ----------
    evaluator, tables : the game and the policy. marginals : by agent, the probability of its clique.
    values : (S,) V in reward units.
    visits : (S,) the discounted visitation measure d from the initial distribution, not normalised: it sums to 1 / (1 - gamma).
    """

    evaluator: Evaluator
    tables: tuple[FloatArray, ...]
    marginals: list[FloatArray] = field(repr=False)
    values: FloatArray
    visits: FloatArray

    @property
    def value(self) -> float:
        """V(mu), from the initial distribution."""
        return float(self.evaluator.game.initial @ self.values)

    def visitation(self, agents: Sequence[int] = (), *, normalised: bool = False) -> FloatArray:
        r"""(S, m_agents...) :math:`d(s, a^{\mathcal M}) = d(s) \Pr(a^{\mathcal M} \mid s)` for agents who share a clique.

        Parameters
        ----------
        agents : such as a family or its parents; nobody for d(s).
        normalised : divide by the sum of d(s), which is 1 / (1 - gamma).
        """
        d = self.visits * (1.0 - self.evaluator.game.gamma) if normalised else self.visits
        if not len(agents):
            return d
        part = marginal(self.evaluator.buckets, self.marginals, tuple(agents))
        return np.asarray(d.reshape(-1, *(1,) * len(agents)) * part)

    def weighted_advantages(self, i: int) -> FloatArray:
        r"""(S, m_parents..., m_i) :math:`\Pr(a^{\mathcal P^i} \mid s)\, A^i(s, a^{\mathcal P^i}, a^i)`."""
        return weighted_advantages(self.evaluator.buckets, self.marginals, *self._upwards, i)

    def advantages(self, i: int) -> FloatArray:
        r"""(S, m_parents..., m_i) :math:`A^i = Q(s, a^{\mathcal P^i}, a^i) - Q(s, a^{\mathcal P^i})`.

        NaN where the parents never act so.
        """
        weight = self._parents(i)[..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(weight > 0, self.weighted_advantages(i) / weight, np.nan))

    def action_values(self, i: int) -> FloatArray:
        r"""(S, m_parents..., m_i) :math:`Q(s, a^{\mathcal P^i_+})`, the mean of Q given the actions of a family.

        NaN where the parents never act so. The conditioning is Bayes's: what the parents' actions tell about the others counts.
        """
        buckets = self.evaluator.buckets
        part = arranged(self._weighted_totals[i][0], buckets.cliques[i][:-1], buckets.network.parents[i])
        weight = self._parents(i)
        with np.errstate(divide="ignore", invalid="ignore"):
            given = np.where(weight > 0, part / weight, np.nan)
        return np.asarray(given[..., None] + self.advantages(i))

    def _parents(self, i: int) -> FloatArray:
        buckets = self.evaluator.buckets
        separator = separator_marginal(buckets, self.marginals, i)
        weight = arranged(separator, buckets.cliques[i][:-1], buckets.network.parents[i])
        return np.broadcast_to(weight, self.tables[i].shape[:-1])

    @cached_property
    def _upwards(self) -> tuple[list[FloatArray], list[FloatArray]]:
        return means_upwards(self.evaluator.buckets, self.tables, self.evaluator.terms(self.values))[:2]

    @cached_property
    def _weighted_totals(self) -> list[tuple[FloatArray, FloatArray]]:
        """By agent, the sums of pi(a) Q(s, a) over everybody outside its separator, and outside its clique."""
        buckets, (inner, means) = self.evaluator.buckets, self._upwards
        found: list[tuple[FloatArray, FloatArray]] = [(np.empty(0), np.empty(0))] * len(self.tables)
        for i in buckets.order:
            above = buckets.above[i]
            separator = separator_marginal(buckets, self.marginals, i)
            total = self.values if above < 0 else arranged(found[above][1], buckets.cliques[above], buckets.cliques[i][:-1])
            own = separator[..., None] * (inner[i] - means[i][..., None]) + total[..., None]
            table = self.marginals[i].shape
            family = buckets.network.family(i)
            found[i] = (total, np.broadcast_to(spread(self.tables[i], family, buckets.cliques[i]) * own, table))
        return found


def evaluate(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> Evaluation:
    """Values, visits, action values and advantages of a policy.

    Work and memory go by the cliques of an elimination of the agents, not by the joint actions; where the transitions are a kernel
    over joint actions, or a reward looks at everybody, the first clique is everybody.

    Raises
    ------
    InvalidPolicy : of another game. InvalidGame, InvalidNetwork : see ``Evaluator.of``.

    Examples
    --------
    >>> from eqsolve.bayesian_network import coordination_line
    >>> game = coordination_line(50, 5)
    >>> found = evaluate(game, BayesianNetworkPolicy.uniform(BayesianNetwork.chain(50), 1, game.n_actions))
    >>> found.action_values(7).shape
    (1, 5, 5)
    """
    check_plays(policy, game.n_states, game.n_actions)
    return Evaluator.of(game, policy.network).evaluate(policy.tables)


def _merged(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """One factor per scope."""
    found: dict[tuple[int, ...], Factor] = {}
    for one in factors:
        known = found.get(one.agents)
        found[one.agents] = one if known is None else replace(known, table=known.table + one.table)
    return tuple(found.values())
