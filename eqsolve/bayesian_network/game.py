"""Cooperative Markov games: agents with one reward for all, dense over joint actions or as sums over few agents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import SUM, FloatArray, Kernel, distinct_labels, float_array, frozen, int_array, real_number, transition_kernels
from eqsolve.bayesian_network.factors import LARGEST, Factor, as_factors, expand, in_words, is_listed
from eqsolve.errors import InvalidGame
from eqsolve.mdp import FiniteMDP

STAYS = Factor((), frozen(np.ones((1, 1))))
"""The transitions of one state."""


@dataclass(frozen=True, slots=True, eq=False, init=False)
class CooperativeMarkovGame:
    r"""A discounted Markov game of N agents who share one reward and all see the state.

    .. math:: V^\pi(\mu) = \mathbb{E}\Big[ \sum_{t \ge 0} \gamma^t r(s_t, a_t) \Big], \qquad s_0 \sim \mu,\
              a_t \sim \pi(\cdot \mid s_t),\ s_{t+1} \sim P(\cdot \mid s_t, a_t)

    Rewards are sums of factors, each a table over the states and the actions of a few agents; a dense reward is one factor over
    all. Transitions are a kernel over joint actions, or a sum of factors as well (a mixture: which factor moves the state is
    drawn, and it looks at its agents only), so that games of many agents need no table over joint actions.

    Parameters
    ----------
    n_actions : (N,) number of actions of each agent, the same in every state.
    transition : (S, m_1, ..., m_N, S), (S, A, S) or (S A, S) with A joint actions in row-major order, dense or (the last form)
        scipy sparse; or a list of factors (agents, table (S, m_agents..., S)) whose tables sum to a distribution. May be left out
        where there is one state.
    reward : (S, m_1, ..., m_N) or (S, A); or a list of factors (agents, table (S, m_agents...)). In reward units.
    gamma : discount in [0, 1).
    initial : (S,) distribution of the first state; uniform when left out.
    name : of the game. states, agents : labels; numbers when left out. actions : one list of labels per agent, or one for all.

    Raises
    ------
    InvalidGame : a table of the wrong shape or not finite, an agent without actions, a negative probability, a distribution that
        does not sum to 1 within 1e-9 (the message names state and joint action), gamma outside [0, 1).

    Notes
    -----
    Source: section 2 of the Bayesian-network paper.

    Examples
    --------
    >>> import numpy as np
    >>> CooperativeMarkovGame([3, 3], None, np.diag([10.0, 2.0, 10.0])[None], 0.0)
    <CooperativeMarkovGame 'cooperative game': 2 agents, 9 joint actions, 1 state, discount 0>
    """

    n_actions: tuple[int, ...]
    kernel: Kernel | None
    """(S A, S) over joint actions, or None where the transitions are factors or there is one state."""
    moves: tuple[Factor, ...]
    """The transitions as factors; empty where ``kernel`` is given."""
    reward: tuple[Factor, ...]
    gamma: float
    initial: FloatArray
    name: str
    states: tuple[str, ...]
    agents: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]

    def __init__(
        self,
        n_actions: npt.ArrayLike,
        transition: Any,
        reward: Any,
        gamma: float,
        *,
        initial: npt.ArrayLike | None = None,
        name: str = "cooperative game",
        states: Sequence[str] = (),
        agents: Sequence[str] = (),
        actions: Sequence[Any] = (),
    ) -> None:
        put = object.__setattr__
        counts = int_array("n_actions", n_actions, (None,), error=InvalidGame)
        if not counts.size or counts.min() < 1:
            i = int(np.argmax(counts < 1)) if counts.size else 0
            raise InvalidGame(
                f"n_actions[{i}] is {counts[i]}" if counts.size else "n_actions is empty: there are no agents",
                "Every agent needs an action.",
            )
        put(self, "n_actions", tuple(counts.tolist()))
        discount = real_number("gamma", gamma, least=0.0, error=InvalidGame)
        if discount >= 1.0:
            raise InvalidGame(f"gamma is {discount:g}, not in [0, 1)", "Values are discounted sums; take gamma below 1.")
        put(self, "gamma", discount)
        put(self, "reward", as_factors("reward", reward, self.n_actions, None))
        if not self.n_states:
            raise InvalidGame("reward has no entries: there are no states")
        put(self, "name", str(name))
        put(self, "states", distinct_labels("states", states, self.n_states, InvalidGame))
        put(self, "agents", distinct_labels("agents", agents, self.n_agents, InvalidGame))
        put(self, "actions", _action_labels(actions, self.n_actions))
        kernel, moves = self._transitions(transition)
        put(self, "kernel", kernel)
        put(self, "moves", moves)
        put(self, "initial", self._distribution(initial))

    def parts(self) -> dict[str, Any]:
        """What the constructor takes, for files."""
        names = ("n_actions", "reward", "gamma", "initial", "name", "states", "agents", "actions")
        return {name: getattr(self, name) for name in names} | {"transition": self.moves if self.kernel is None else self.kernel}

    @property
    def n_agents(self) -> int:
        """N."""
        return len(self.n_actions)

    @property
    def n_states(self) -> int:
        """S."""
        return len(self.reward[0].table)

    @property
    def n_joint(self) -> int:
        """A, the number of joint actions; a Python integer of any size."""
        return prod(self.n_actions)

    @property
    def is_factored(self) -> bool:
        """Whether nothing in the game is a table over the joint actions of all agents."""
        return self.kernel is None and max(len(one.agents) for one in (*self.reward, *self.moves)) < self.n_agents

    @property
    def reward_range(self) -> tuple[float, float]:
        """r_min and r_max over all states and joint actions; with several factors true bounds of them."""
        return sum(float(one.table.min()) for one in self.reward), sum(float(one.table.max()) for one in self.reward)

    @property
    def value_span(self) -> float:
        """(r_max - r_min) / (1 - gamma), the most by which two values can differ."""
        low, high = self.reward_range
        return (high - low) / (1.0 - self.gamma)

    def joint_reward(self) -> FloatArray:
        """(S, m_1, ..., m_N) the reward of every joint action.

        Raises
        ------
        InvalidGame : the table would be larger than memory allows; its size is told, and what to do instead.
        """
        if len(self.reward) == 1 and len(self.reward[0].agents) == self.n_agents:
            return self.reward[0].table
        self.check_joint(self.n_states * self.n_joint, "rewards")
        return expand(self.reward, self.n_states, self.n_actions)

    def joint_kernel(self) -> Kernel:
        """(S A, S) the transitions over joint actions; raises as ``joint_reward``."""
        if self.kernel is not None:
            return self.kernel
        S = self.n_states
        self.check_joint(S * self.n_joint * S, "transition probabilities")
        total = np.zeros((S, *self.n_actions, S))
        for one in self.moves:
            shape = [m if i in one.agents else 1 for i, m in enumerate(self.n_actions)]
            total += one.table.reshape(S, *shape, S)
        return frozen(total.reshape(-1, S))

    def joint_mdp(self) -> FiniteMDP:
        """The decision process of one agent who chooses the joint actions: S states of A actions each; raises as ``joint_reward``.

        Policies of the two are the same arrays: ``policy.joint().reshape(-1)`` of a Bayesian-network policy is one of the process.
        """
        reward = self.joint_reward().reshape(-1)
        return FiniteMDP(
            [self.n_joint] * self.n_states, self.joint_kernel(), reward, self.gamma, initial=self.initial, name=self.name
        )

    def merged(self) -> CooperativeMarkovGame:
        """The game of one agent who chooses the joint actions, in row-major order; raises as ``joint_reward``."""
        if self.n_agents == 1:
            return self
        S = self.n_states
        kernel, reward = None if S == 1 else self.joint_kernel(), self.joint_reward().reshape(S, -1)
        return CooperativeMarkovGame(
            [self.n_joint], kernel, reward, self.gamma, initial=self.initial, name=self.name, states=self.states
        )

    def check_joint(self, numbers: int, what: str) -> None:
        """Refuse tables over joint actions that no memory holds."""
        if numbers > LARGEST:
            raise InvalidGame(
                f"the joint space of {self.n_agents} agents has {in_words(self.n_joint)} actions: "
                f"{in_words(numbers)} {what} in all",
                f"At most {LARGEST:,} are held. Give rewards and transitions as factors over few agents and use a sparse network.",
            )

    def state_label(self, s: int) -> str:
        """The name of a state, or its number."""
        return self.states[s] if self.states else str(s)

    def agent_label(self, i: int) -> str:
        """The name of an agent, or ``agent 0``."""
        return self.agents[i] if self.agents else f"agent {i}"

    def action_label(self, i: int, a: int) -> str:
        """The name of an action of an agent, or its number."""
        return self.actions[i][a] if self.actions else str(a)

    def _transitions(self, given: Any) -> tuple[Kernel | None, tuple[Factor, ...]]:
        S = self.n_states
        if given is None or (isinstance(given, tuple | list) and not len(given)):
            if S != 1:
                raise InvalidGame(f"transition is left out, and there are {S} states", "It may be left out where there is one.")
            return None, (STAYS,)
        if is_listed(given):
            moves = as_factors("transition", given, self.n_actions, S, to_states=True)
            _check_mixture(moves, S)
            return None, moves
        if not sparse.issparse(given):
            array = float_array("transition", given, error=InvalidGame)
            if array.ndim > 2:
                forms = [(S, *self.n_actions, S), (S, self.n_joint, S)]
                if array.shape not in forms:
                    found, *wanted = (" x ".join(map(str, one)) for one in (array.shape, *dict.fromkeys(forms)))
                    raise InvalidGame(f"transition has shape {found}, expected {' or '.join(wanted)}")
                array = array.reshape(-1, S)
            given = array
        kernel = transition_kernels(given, (S * self.n_joint, S), None, self._place, InvalidGame)[0]
        return (None, (STAYS,)) if S == 1 else (kernel, ())

    def _place(self, step: int | None, row: int) -> str:
        s, joint = divmod(row, self.n_joint)
        chosen = ", ".join(self.action_label(i, int(a)) for i, a in enumerate(np.unravel_index(joint, self.n_actions)))
        return f"transition of state {self.state_label(s)}, joint action ({chosen})"

    def _distribution(self, given: Any) -> FloatArray:
        S = self.n_states
        if given is None:
            return frozen(np.full(S, 1.0 / S))
        mu = float_array("initial", given, (S,), error=InvalidGame)
        if mu.min() < 0:
            s = int(np.argmax(mu < 0))
            raise InvalidGame(f"initial[{s}] is {mu[s]:g}, a negative probability")
        if abs(mu.sum() - 1.0) > SUM:
            raise InvalidGame(f"initial sums to {mu.sum():.12g}, not 1")
        return mu

    def __repr__(self) -> str:
        S, form = self.n_states, ", factored" if self.is_factored else ""
        return (
            f"<CooperativeMarkovGame {self.name!r}: {self.n_agents} agents, {in_words(self.n_joint)} joint actions, "
            f"{S:,} {'state' if S == 1 else 'states'}, discount {self.gamma:g}{form}>"
        )


def describe(game: CooperativeMarkovGame) -> str:
    """Its size in words."""
    S = game.n_states
    states = f"{S:,} {'state' if S == 1 else 'states'}"
    return f"{game.n_agents} agents, {in_words(game.n_joint)} joint actions, {states}, discount {game.gamma:g}"


def _check_mixture(moves: tuple[Factor, ...], S: int) -> None:
    """Every factor moves with a probability of its own per state, whatever its agents do; these sum to 1."""
    total = np.zeros(S)
    for k, one in enumerate(moves):
        if one.table.min() < 0:
            at = [int(x) for x in np.argwhere(one.table < 0)[0]]
            raise InvalidGame(f"transition[{k}]{at} is {one.table[tuple(at)]:g}, a negative probability")
        mass = one.table.sum(axis=-1).reshape(S, -1)
        uneven = np.ptp(mass, axis=1) > SUM
        if uneven.any():
            s = int(np.argmax(uneven))
            raise InvalidGame(
                f"transition[{k}] of state {s} sums to {mass[s].min():.12g} for some actions and {mass[s].max():.12g} for others",
                "Each factor is a part of a mixture: its rows sum to one weight per state, whatever the agents do.",
            )
        total += mass[:, 0]
    if (np.abs(total - 1.0) > SUM).any():
        s = int(np.argmax(np.abs(total - 1.0)))
        raise InvalidGame(f"the transition factors of state {s} sum to {total[s]:.12g}, not 1")


def _action_labels(given: Any, n_actions: tuple[int, ...]) -> tuple[tuple[str, ...], ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidGame(f"actions is {given!r}, not a list of labels", "Leave it out for numbers.")
    listed = tuple(given)
    if not listed:
        return ()
    if all(isinstance(one, str) for one in listed):
        listed = (listed,) * len(n_actions)
    if len(listed) != len(n_actions):
        raise InvalidGame(f"actions has {len(listed)} lists of labels, and there are {len(n_actions)} agents")
    return tuple(
        distinct_labels(f"actions[{i}]", one, m, InvalidGame) for i, (one, m) in enumerate(zip(listed, n_actions, strict=True))
    )
