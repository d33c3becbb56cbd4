"""Joint policies over a Bayesian network: every agent's action given the state and the actions of its parents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import SUM, FloatArray, IntArray, float_array, frozen, int_array, whole_number
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.contraction import clique_marginals, marginal
from eqsolve.bayesian_network.factors import LARGEST, in_words, spread, sum_onto
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.errors import InvalidData


class InvalidPolicy(InvalidData):
    """Tables that are no joint policy over the network, or a policy of another game."""


@dataclass(frozen=True, slots=True, eq=False)
class BayesianNetworkPolicy:
    r"""A joint policy over a network.

    .. math:: \pi(a \mid s) = \prod_i \pi^i(a^i \mid s, a^{\mathcal P^i})

    Parameters
    ----------
    network : the graph.
    tables : one per agent, (S, m_parents..., m_i) with the parents in ascending order; rows sum to 1 within 1e-9.

    Raises
    ------
    InvalidPolicy : a table of the wrong shape, a negative probability, a row that does not sum to 1; agent, state and the actions
        of the parents are named.

    Notes
    -----
    Source: section 3 of the Bayesian-network paper.

    Examples
    --------
    >>> import numpy as np
    >>> policy = BayesianNetworkPolicy(BayesianNetwork.chain(2), ([[0.5, 0.5]], [[[1.0, 0.0], [0.0, 1.0]]]))
    >>> policy.joint()
    array([[[0.5, 0. ],
            [0. , 0.5]]])
    """

    network: BayesianNetwork
    tables: tuple[FloatArray, ...]

    def __post_init__(self) -> None:
        given = tuple(self.tables)
        N = self.network.n_agents
        if len(given) != N:
            raise InvalidPolicy(f"there are {len(given)} tables, and the network has {N} agents")
        arrays = tuple(float_array(f"tables[{i}]", one, error=InvalidPolicy) for i, one in enumerate(given))
        S, m = self._sizes(arrays)
        for i, table in enumerate(arrays):
            shape = (S, *(m[j] for j in self.network.family(i)))
            if table.shape != shape:
                found, wanted = (" x ".join(map(str, one)) for one in (table.shape, shape))
                about = (
                    f"states, actions of parents {self.network.parents[i]}, own actions"
                    if self.network.parents[i]
                    else "states, own"
                )
                raise InvalidPolicy(f"tables[{i}] has shape {found or 'scalar'}, expected {wanted} ({about})")
            _check_rows(i, table)
        object.__setattr__(self, "tables", arrays)

    @classmethod
    def uniform(cls, network: BayesianNetwork, n_states: int, n_actions: Sequence[int]) -> BayesianNetworkPolicy:
        """All actions equally likely.

        Raises
        ------
        InvalidPolicy : no states, an agent without actions, another number of agents.
        """
        counts = int_array("n_actions", n_actions, (network.n_agents,), error=InvalidPolicy)
        if counts.min() < 1:
            i = int(np.argmax(counts < 1))
            raise InvalidPolicy(f"n_actions[{i}] is {counts[i]}", "Every agent needs an action.")
        layout = Layout(network, whole_number("n_states", n_states, 1, InvalidPolicy), tuple(counts.tolist()))
        return cls(network, tuple(np.full(shape, 1.0 / shape[-1]) for shape in layout.shapes))

    @classmethod
    def softmax(cls, network: BayesianNetwork, logits: Sequence[npt.ArrayLike]) -> BayesianNetworkPolicy:
        """Probabilities proportional to exp(logits), eq. (1) of the paper; one table of logits per agent, shaped as ``tables``."""
        arrays = [float_array(f"logits[{i}]", one, error=InvalidPolicy) for i, one in enumerate(logits)]
        for i, one in enumerate(arrays):
            _check_axes(f"logits[{i}]", one)
        tables = []
        for one in arrays:
            weight = np.exp(one - one.max(axis=-1, keepdims=True))
            tables.append(weight / weight.sum(axis=-1, keepdims=True))
        return cls(network, tuple(tables))

    @classmethod
    def from_joint(cls, network: BayesianNetwork, joint: npt.ArrayLike) -> BayesianNetworkPolicy:
        """The conditional tables of a joint distribution (S, m_1, ..., m_N).

        Over a dense network it is the joint policy itself; over another one, the closest of its policies in relative entropy. Rows
        whose parents have probability 0 are uniform.

        Raises
        ------
        InvalidPolicy : another number of axes, a negative probability, a state whose probabilities do not sum to 1.
        """
        given = float_array("joint", joint, error=InvalidPolicy)
        everybody, tables = tuple(range(network.n_agents)), []
        if given.ndim != len(everybody) + 1:
            raise InvalidPolicy(f"joint has {given.ndim - 1} axes of actions, and the network has {len(everybody)} agents")
        if given.size and given.min() < 0:
            at = [int(k) for k in np.argwhere(given < 0)[0]]
            raise InvalidPolicy(f"joint{at} is {given[tuple(at)]:g}, a negative probability")
        total = given.sum(axis=tuple(range(1, given.ndim)))
        if (np.abs(total - 1.0) > SUM).any():
            s = int(np.argmax(np.abs(total - 1.0) > SUM))
            raise InvalidPolicy(f"joint of state {s} sums to {total[s]:.12g}, not 1")
        for i in everybody:
            family = network.family(i)
            ordered = tuple(sorted(family))
            part = sum_onto(given, everybody, ordered).transpose(0, *(ordered.index(j) + 1 for j in family))
            mass = part.sum(axis=-1, keepdims=True)
            tables.append(np.where(mass > 0, part / np.where(mass > 0, mass, 1.0), 1.0 / part.shape[-1]))
        return cls(network, tuple(tables))

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.tables[0])

    @property
    def n_actions(self) -> tuple[int, ...]:
        """(N,) numbers of actions."""
        return tuple(table.shape[-1] for table in self.tables)

    def logits(self) -> tuple[FloatArray, ...]:
        """Logarithms of the tables, one of the logits that give them; minus infinity where an action is never played."""
        with np.errstate(divide="ignore"):
            return tuple(np.log(table) for table in self.tables)

    def joint(self) -> FloatArray:
        """(S, m_1, ..., m_N) the probability of every joint action.

        Raises
        ------
        InvalidPolicy : the table would be larger than memory allows; its size is told.
        """
        size = self.n_states * prod(self.n_actions)
        if size > LARGEST:
            raise InvalidPolicy(
                f"the joint policy has {in_words(prod(self.n_actions))} actions in {self.n_states:,} states: "
                f"{in_words(size)} probabilities",
                f"At most {LARGEST:,} are held. Ask for the marginal of a few agents, or sample.",
            )
        everybody = tuple(range(self.network.n_agents))
        total = np.ones((self.n_states, *(1 for _ in everybody)))
        for i in self.network.order:
            total = total * spread(self.tables[i], self.network.family(i), everybody)
        return frozen(total)

    def marginal(self, agents: Sequence[int]) -> FloatArray:
        """(S, m_agents...) the joint probability of the actions of some agents, by variable elimination over the network.

        Raises
        ------
        InvalidPolicy : an agent that does not exist or is given twice; cliques larger than memory allows, whose size is told.
        """
        if not len(agents):
            return frozen(np.ones(self.n_states))
        wanted = tuple(whole_number("agent", one, 0, InvalidPolicy, most=self.network.n_agents - 1) for one in agents)
        if len(set(wanted)) != len(wanted):
            raise InvalidPolicy(f"agents {wanted} has an agent twice")
        buckets = Buckets.of(self.network, self.n_actions, (wanted,))
        cells = buckets.cells(self.n_actions) * self.n_states
        if cells > LARGEST:
            raise InvalidPolicy(
                f"the marginal of {len(wanted)} agents leads to cliques of up to {buckets.width + 1} agents: "
                f"{in_words(cells)} numbers",
                f"At most {LARGEST:,} are held. Ask for fewer agents, or sample.",
            )
        found = clique_marginals(buckets, self.tables)
        return frozen(np.ascontiguousarray(marginal(buckets, found, wanted)))

    def sample(self, rng: np.random.Generator, states: npt.ArrayLike) -> IntArray:
        """(n, N) one joint action for each of n states, drawn agent by agent along the network."""
        s = self._checked_states(states)
        actions = np.zeros((len(s), self.network.n_agents), dtype=np.int64)
        for i in self.network.order:
            rows = self.tables[i][(s, *(actions[:, j] for j in self.network.parents[i]))]
            actions[:, i] = (np.cumsum(rows, axis=1)[:, :-1] <= rng.random(len(s))[:, None]).sum(axis=1)
        return actions

    def log_likelihood(self, states: npt.ArrayLike, actions: npt.ArrayLike) -> FloatArray:
        """(n,) log pi(a | s) of n states (n,) and joint actions (n, N); minus infinity where one is never played."""
        s = self._checked_states(states)
        a = int_array("actions", actions, (len(s), self.network.n_agents), error=InvalidPolicy)
        self._check_actions(a)
        with np.errstate(divide="ignore"):
            terms = [np.log(self.tables[i][(s, *(a[:, j] for j in self.network.family(i)))]) for i in range(len(self.tables))]
        return np.asarray(np.sum(terms, axis=0))

    def greedy(self) -> BayesianNetworkPolicy:
        """The deterministic policy of every row's likeliest action, the first of equals."""
        tables = []
        for table in self.tables:
            choice = table.argmax(axis=-1)
            tables.append((np.arange(table.shape[-1]) == choice[..., None]).astype(np.float64))
        return BayesianNetworkPolicy(self.network, tuple(tables))

    def over(self, network: BayesianNetwork) -> BayesianNetworkPolicy:
        """The same joint policy over a network with more edges.

        Raises
        ------
        InvalidPolicy : the other network lacks an edge of this one, or has another number of agents.
        """
        if network.n_agents != self.network.n_agents:
            raise InvalidPolicy(f"the network has {network.n_agents} agents and the policy has {self.network.n_agents}")
        tables = []
        for i, table in enumerate(self.tables):
            lacking = set(self.network.parents[i]) - set(network.parents[i])
            if lacking:
                raise InvalidPolicy(f"the network lacks the edge ({min(lacking)}, {i}) of the policy")
            family = network.family(i)
            wide = spread(table, self.network.family(i), family)
            tables.append(np.broadcast_to(wide, (self.n_states, *(self.n_actions[j] for j in family))).copy())
        return BayesianNetworkPolicy(network, tuple(tables))

    def __repr__(self) -> str:
        return f"<BayesianNetworkPolicy over a {self.network}; {self.n_states:,} states>"

    def _sizes(self, arrays: tuple[FloatArray, ...]) -> tuple[int, tuple[int, ...]]:
        for i, one in enumerate(arrays):
            _check_axes(f"tables[{i}]", one)
        return len(arrays[0]), tuple(one.shape[-1] for one in arrays)

    def _checked_states(self, states: npt.ArrayLike) -> IntArray:
        s = int_array("states", states, (None,), error=InvalidPolicy)
        wrong = (s < 0) | (s >= self.n_states)
        if wrong.any():
            k = int(np.argmax(wrong))
            raise InvalidPolicy(f"states[{k}] is {s[k]}", f"The states are 0 to {self.n_states - 1}.")
        return s

    def _check_actions(self, a: IntArray) -> None:
        wrong = (a < 0) | (a >= np.asarray(self.n_actions))
        if wrong.any():
            k, i = (int(one) for one in np.argwhere(wrong)[0])
            raise InvalidPolicy(f"actions[{k}, {i}] is {a[k, i]}, and agent {i} has {self.n_actions[i]} actions")


def check_plays(policy: Any, n_states: int, n_actions: tuple[int, ...]) -> BayesianNetworkPolicy:
    """The policy, if it is one for a game of that size.

    Raises
    ------
    InvalidPolicy : not a policy over a network, or of another game.
    """
    if not isinstance(policy, BayesianNetworkPolicy):
        raise InvalidPolicy(f"a {type(policy).__name__} is not a policy over a Bayesian network")
    if (policy.n_states, policy.n_actions) != (n_states, n_actions):
        raise InvalidPolicy(
            f"the policy is of another game: {policy.n_states} states and actions {policy.n_actions}",
            f"This game has {n_states} states and actions {n_actions}.",
        )
    return policy


def _check_axes(name: str, table: FloatArray) -> None:
    if table.ndim < 2 or not table.size:
        raise InvalidPolicy(f"{name} has shape {table.shape}; a table has axes (states, parents..., own actions)")


def _check_rows(i: int, table: FloatArray) -> None:
    if table.min() < 0:
        at = [int(k) for k in np.argwhere(table < 0)[0]]
        raise InvalidPolicy(f"tables[{i}]{at} is {table[tuple(at)]:g}, a negative probability")
    total = table.sum(axis=-1)
    wrong = np.abs(total - 1.0) > SUM
    if wrong.any():
        at = [int(k) for k in np.argwhere(wrong)[0]]
        given = f", its parents playing {tuple(at[1:])}" if len(at) > 1 else ""
        raise InvalidPolicy(f"the policy of agent {i} in state {at[0]}{given} sums to {total[tuple(at)]:.12g}, not 1")
