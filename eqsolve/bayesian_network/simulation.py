"""Episodes of cooperative games, from the model or from anything that can be played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, real_number, whole_number
from eqsolve.bayesian_network.factors import in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.errors import InvalidData

LARGEST = 500_000_000
"""Numbers of the episodes that are played at once, at most."""


class Simulator(Protocol):
    """A game that can be played without its model being known: many episodes at once."""

    @property
    def n_states(self) -> int:
        """S."""
        ...

    @property
    def n_actions(self) -> tuple[int, ...]:
        """(N,) numbers of actions."""
        ...

    @property
    def gamma(self) -> float:
        """The discount."""
        ...

    def reset(self, rng: np.random.Generator, episodes: int) -> IntArray:
        """(n,) first states."""
        ...

    def play(self, rng: np.random.Generator, states: IntArray, actions: IntArray) -> tuple[FloatArray, IntArray]:
        """Rewards (n,) and next states (n,) of joint actions (n, N) in states (n,)."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ModelSimulator:
    """A game of which the model is known, played as if it were not."""

    game: CooperativeMarkovGame

    @property
    def n_states(self) -> int:
        """S."""
        return self.game.n_states

    @property
    def n_actions(self) -> tuple[int, ...]:
        """(N,) numbers of actions."""
        return self.game.n_actions

    @property
    def gamma(self) -> float:
        """The discount."""
        return self.game.gamma

    def reset(self, rng: np.random.Generator, episodes: int) -> IntArray:
        """(n,) first states."""
        return rng.choice(self.n_states, size=episodes, p=self.game.initial / self.game.initial.sum())

    def play(self, rng: np.random.Generator, states: IntArray, actions: IntArray) -> tuple[FloatArray, IntArray]:
        """Rewards (n,) and next states (n,)."""
        game = self.game
        reward = np.zeros(len(states))
        for one in game.reward:
            reward += one.table[(states, *(actions[:, i] for i in one.agents))]
        if game.n_states == 1:
            return reward, states
        if game.kernel is not None:
            rows = states * game.n_joint + np.ravel_multi_index(tuple(actions.T), game.n_actions)
            chosen = game.kernel[rows]
            weights = chosen.toarray() if sparse.issparse(chosen) else chosen
        else:
            weights = np.zeros((len(states), game.n_states))
            for one in game.moves:
                weights += one.table[(states, *(actions[:, i] for i in one.agents))]
        draws = rng.random(len(states))[:, None] * weights.sum(axis=1, keepdims=True)
        following = (np.cumsum(weights, axis=1) <= draws).sum(axis=1)
        return reward, np.minimum(following, game.n_states - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """Episodes of one length.

    Parameters
    ----------
    states : (T, n). actions : (T, n, N). rewards : (T, n). gamma : discount.
    """

    states: IntArray
    actions: IntArray
    rewards: FloatArray
    gamma: float

    def returns(self) -> FloatArray:
        r"""(T, n) :math:`\gamma^t G_t`, the discounted reward from each step on, seen from the first."""
        discounted = self.rewards * self.gamma ** np.arange(len(self.rewards))[:, None]
        return np.asarray(np.cumsum(discounted[::-1], axis=0)[::-1])


def play_episodes(
    simulator: Simulator, policy: BayesianNetworkPolicy, rng: np.random.Generator, episodes: int, length: int
) -> Episodes:
    """Play a policy for so many steps.

    Raises
    ------
    InvalidData : the simulator answers with arrays of another length, rewards that are not finite, or states that do not exist;
        more episodes and steps than memory holds. InvalidPolicy : a policy of another game.
    """
    check_plays(policy, simulator.n_states, tuple(simulator.n_actions))
    n, T = whole_number("episodes", episodes, 1), whole_number("length", length, 1)
    size = n * T * (2 + len(simulator.n_actions))
    if size > LARGEST:
        raise InvalidData(
            f"{n:,} episodes of {T:,} steps make {in_words(size)} numbers",
            f"At most {LARGEST:,} are held; ask for fewer or shorter episodes.",
        )
    states = np.empty((T, n), dtype=np.int64)
    actions, rewards = np.empty((T, n, len(simulator.n_actions)), dtype=np.int64), np.empty((T, n))
    here: Any = simulator.reset(rng, n)
    for t in range(T):
        states[t] = _states(here, n, simulator.n_states, t)
        actions[t] = policy.sample(rng, states[t])
        answer = simulator.play(rng, states[t], actions[t])
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise InvalidData(f"the simulator's play at step {t} gives no pair of rewards and next states")
        rewards[t] = float_array(f"the simulator's rewards at step {t}", answer[0], (n,))
        here = answer[1]
    return Episodes(states, actions, rewards, simulator.gamma)


def _states(given: Any, n: int, S: int, t: int) -> IntArray:
    name = f"the simulator's states at step {t}"
    states = int_array(name, given, (n,))
    if states.min() < 0 or states.max() >= S:
        raise InvalidData(f"{name} are not all from 0 to {S - 1}: one is {states.min() if states.min() < 0 else states.max()}")
    return states


def horizon_for(gamma: float, share: float = 1e-3) -> int:
    """The length of episodes after which less than a share of all discounted visits is left: gamma^T <= share."""
    left, kept = real_number("share", share, above=0.0, below=1.0), real_number("gamma", gamma, least=0.0, below=1.0)
    return 1 if kept == 0.0 else max(1, int(np.ceil(np.log(left) / np.log(kept))))
