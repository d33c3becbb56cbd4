"""Exact values, visits, action values and advantages of a policy, by contraction over the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, frozen, whole_number
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.contraction import (
    arranged,
    clique_marginals,
    marginal,
    means_upwards,
    separator_marginal,
    weighted_advantages,
)
from eqsolve.bayesian_network.factors import LARGEST, Factor, in_words, spread
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.bayesian_network.plan import Pass, Plan, eliminated
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mdp.linear import PolicySystem

Tables = Sequence[FloatArray]

COMPILE_FROM = 8_000
"""Numbers in all cliques and states, and PER_AGENT more for every agent, from which the compiled passes serve a driver.

The twins then take a millisecond or so for a gradient, and loading the compiler as long as some hundred gradients. It goes by the
game and the network alone, so that the same run gives the same bits wherever it was resumed.
"""
PER_AGENT = 400
"""Numbers that numpy deals with while it is called for one more agent."""
FACTORED_UP_TO = 100
"""States up to which the chain of a policy is factored at once; LAPACK's sums in larger ones depend on the number of threads."""
ELIMINATED_UP_TO = 300
"""The same for the compiled elimination, which has one thread and passes over zeros."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluator:
    """A game laid out for the exact evaluation of policies over one network; made by ``Evaluator.of``.

    Parameters
    ----------
    game : the game. layout : of the policies' tables. buckets : the elimination.
    reward : the rewards as factors; one over the first clique where the game has a kernel over joint actions.
    kernel : (S A, S) with the joint actions in the order of that clique, or None.
    plan : of the compiled passes; None where the numpy twins serve.
    """

    game: CooperativeMarkovGame
    layout: Layout
    buckets: Buckets
    reward: tuple[Factor, ...]
    kernel: Any
    plan: Plan | None = None

    @staticmethod
    def of(game: CooperativeMarkovGame, network: BayesianNetwork, *, compiled: bool | None = None) -> Evaluator:
        """Lay out a game for a network; ``compiled`` overrides the choice of the twin, which otherwise goes by size alone.

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
                f"eliminating the agents one by one leads to cliques of up to {buckets.width + 1} agents: "
                f"{in_words(cells)} numbers",
                f"At most {LARGEST:,} are held. Give rewards and transitions as factors over few agents, or take edges out.",
            )
        if game.kernel is None:
            found = Evaluator(game, layout, buckets, _merged(game.reward), None)
        else:
            clique = buckets.cliques[buckets.home(everybody)]
            axes = (0, *(i + 1 for i in clique))
            reward = frozen(np.ascontiguousarray(game.joint_reward().transpose(axes)))
            kernel: Any = game.kernel
            if clique != everybody:
                rows = np.arange(kernel.shape[0]).reshape(game.n_states, *game.n_actions).transpose(axes).reshape(-1)
                kernel = kernel[rows]
            found = Evaluator(game, layout, buckets, (Factor(clique, reward),), kernel)
        use = cells + PER_AGENT * game.n_agents >= COMPILE_FROM if compiled is None else compiled
        return replace(found, plan=found._planned()) if use else found

    @property
    def moving(self) -> bool:
        """Whether it makes a difference where the state goes."""
        return self.game.n_states > 1 and self.game.gamma > 0.0

    def evaluate(self, policy: Tables | FloatArray) -> Evaluation:
        """Everything that is known of a policy, given by its tables or by all of them in one vector (D,); they are not checked."""
        if self.plan is not None:
            flat = policy if isinstance(policy, np.ndarray) else self.layout.flatten(policy)
            passed = self.plan.downwards(flat)
            return Evaluation(self, flat, passed, *self._solved(*passed.chain()))
        tables = self.layout.tables(policy) if isinstance(policy, np.ndarray) else policy
        marginals = clique_marginals(self.buckets, tables)
        return Evaluation(self, tables, marginals, *self._solved(*self._chain(marginals)))

    def terms(self, values: FloatArray) -> list[Factor]:
        """Rewards and discounted values of the next state, as factors: what an action is worth with the policy after it."""
        gamma = self.game.gamma
        if self.kernel is not None:
            reward = self.reward[0]
            # Not by BLAS where the kernel is dense; see ``layout.dot``.
            following = self.kernel @ values if sparse.issparse(self.kernel) else np.einsum("at,t->a", self.kernel, values)
            following = np.asarray(following).reshape(reward.table.shape)
            return [Factor(reward.agents, reward.table + gamma * following)]
        if not gamma:
            return list(self.reward)
        return [*self.reward, *(Factor(one.agents, gamma * (one.table @ values)) for one in self.game.moves)]

    def _planned(self) -> Plan:
        moves, kernel = (self.game.moves, self.kernel) if self.moving else ((), None)
        return Plan.of(self.layout, self.buckets, self.reward, moves, kernel, dense_up_to=ELIMINATED_UP_TO)

    def _solved(self, reward: FloatArray, chain: Any) -> tuple[FloatArray, FloatArray]:
        """(S,) values and (S,) visits of a policy from its mean reward and its transitions."""
        gamma, mu = self.game.gamma, self.game.initial
        if not self.moving:
            return reward / (1.0 - gamma), mu / (1.0 - gamma)
        if len(mu) <= (FACTORED_UP_TO if self.plan is None else ELIMINATED_UP_TO):
            values, visits = (_factored if self.plan is None else eliminated)(chain, gamma, reward, mu)
            if np.isfinite(values).all() and np.isfinite(visits).all():
                return values, np.maximum(visits, 0.0)
        system = PolicySystem.of(chain, gamma)
        return system.solve(reward), np.maximum(system.solve(mu, transposed=True), 0.0)

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
        for one in self.game.moves if self.moving else ():
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
    evaluator, policy : the game, and the policy by its tables or as one vector (D,).
    passed : what the pass downwards found; of the numpy twin, by agent the probability of its clique.
    values : (S,) V in reward units.
    visits : (S,) the discounted visitation measure d from the initial distribution, not normalised: it sums to 1 / (1 - gamma).
    """

    evaluator: Evaluator
    policy: Tables | FloatArray = field(repr=False)
    passed: list[FloatArray] | Pass = field(repr=False)
    values: FloatArray
    visits: FloatArray

    @cached_property
    def tables(self) -> tuple[FloatArray, ...]:
        """The policy, by agent."""
        return self.evaluator.layout.tables(self.policy) if isinstance(self.policy, np.ndarray) else tuple(self.policy)

    @cached_property
    def marginals(self) -> list[FloatArray]:
        """By agent, the probability of its clique."""
        return clique_marginals(self.evaluator.buckets, self.tables) if isinstance(self.passed, Pass) else self.passed

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

        Raises
        ------
        InvalidData : an agent that does not exist or is given twice, agents who share no clique.
        """
        d = self.visits * (1.0 - self.evaluator.game.gamma) if normalised else self.visits
        if not len(agents):
            return d
        buckets, wanted = self.evaluator.buckets, tuple(agents)
        known = [whole_number("agent", one, 0, most=len(self.tables) - 1) for one in wanted]
        if len(set(known)) != len(known) or not set(known) <= set(buckets.cliques[buckets.home(known)]):
            raise InvalidData(
                f"agents {wanted} are not different agents of one clique",
                "Visits are known for families and for the scopes of rewards and transitions; policy.marginal takes any agents.",
            )
        part = marginal(buckets, self.marginals, tuple(known))
        return np.asarray(d.reshape(-1, *(1,) * len(agents)) * part)

    def weighted_advantages(self, i: int) -> FloatArray:
        r"""(S, m_parents..., m_i) :math:`\Pr(a^{\mathcal P^i} \mid s)\, A^i(s, a^{\mathcal P^i}, a^i)`."""
        if isinstance(self.passed, Pass):
            return self.evaluator.layout.tables(self._all_weighted_advantages)[i]
        return weighted_advantages(self.evaluator.buckets, self.marginals, *self._upwards, i)

    def visited_advantages(self) -> FloatArray:
        r"""(D,) :math:`d(s, a^{\mathcal P^i})\, A^i(s, a^{\mathcal P^i}, a^i)` of all agents, in one vector."""
        if isinstance(self.passed, Pass):
            return self.passed.advantages(self.values, self.evaluator.game.gamma, self.visits)
        S = len(self.visits)
        parts = [self.weighted_advantages(i).reshape(S, -1) * self.visits[:, None] for i in range(len(self.tables))]
        return np.concatenate([one.reshape(-1) for one in parts])

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
    def _all_weighted_advantages(self) -> FloatArray:
        assert isinstance(self.passed, Pass)
        return self.passed.advantages(self.values, self.evaluator.game.gamma, np.ones(len(self.visits)))

    @cached_property
    def _upwards(self) -> tuple[list[FloatArray], list[FloatArray]]:
        return means_upwards(self.evaluator.buckets, self.tables, self.evaluator.terms(self.values))

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
    # Once only, which would not pay for loading the compiler.
    return Evaluator.of(game, policy.network, compiled=False).evaluate(policy.tables)


def _factored(chain: Any, gamma: float, reward: FloatArray, mu: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values and visits by one LU factorisation.

    ``PolicySystem`` checks and refines, which takes ten times as long as a small system does. Here that is not needed: the rows of
    I - gamma P are diagonally dominant, so that elimination at most doubles them and both residuals are of the order of S units of
    rounding (Higham, Accuracy and Stability of Numerical Algorithms, section 9.5), within what ``PolicySystem`` promises.
    """
    from scipy.linalg.lapack import dgetrf, dgetrs

    table = chain.toarray() if sparse.issparse(chain) else chain
    system = -gamma * table
    system.flat[:: len(mu) + 1] += 1.0
    factors, pivots, _ = dgetrf(system.T, overwrite_a=1)
    return dgetrs(factors, pivots, reward, trans=1)[0], dgetrs(factors, pivots, mu)[0]


def _merged(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """One factor per scope."""
    found: dict[tuple[int, ...], Factor] = {}
    for one in factors:
        known = found.get(one.agents)
        found[one.agents] = one if known is None else replace(known, table=known.table + one.table)
    return tuple(found.values())
