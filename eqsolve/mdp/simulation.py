"""Episodes of a process under a policy, many at once, and what they say about its value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, frozen, real_number, whole_number
from eqsolve.mdp.generators import random_generator
from eqsolve.mdp.model import FiniteMDP, InvalidMDP


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """Simulated episodes.

    Parameters
    ----------
    states : (N, T + 1) the state at each step, and after the last one.
    pairs : (N, T) the state-action pair played; ``pairs - mdp.first[states[:, :-1]]`` are the action numbers.
    rewards : (N, T) the expected reward of the pair played, in reward units.
    """

    states: IntArray
    pairs: IntArray
    rewards: FloatArray

    @property
    def n_episodes(self) -> int:
        """N."""
        return len(self.pairs)


@dataclass(frozen=True, slots=True)
class ValueEstimate:
    """A Monte-Carlo estimate of a value.

    Parameters
    ----------
    mean : average discounted return of the episodes, with half of the range that the steps left out can add.
    error : standard error of the mean.
    lower, upper : the true value is between them with probability ``confidence``, asymptotically in the number of episodes; the
        interval of Student's t, widened by ``truncation`` on both sides.
    truncation : half the range of what the steps left out can add; 0 with a horizon that was played to its end.
    confidence : in (0, 1).
    """

    mean: float
    error: float
    lower: float
    upper: float
    truncation: float
    confidence: float


def simulate(
    mdp: FiniteMDP,
    policy: npt.ArrayLike,
    episodes: int,
    steps: int | None = None,
    *,
    rng: np.random.Generator | int,
) -> Trajectories:
    """Play a policy in many episodes at once.

    Parameters
    ----------
    policy : (K,), with a horizon also (H, K).
    episodes : N, at least 1.
    steps : T; with a horizon at most H, and H when left out.
    rng : a generator or a seed; the same seed gives the same episodes.

    Raises
    ------
    InvalidMDP : not a policy of the process, no number of steps without a horizon, more steps than the horizon.

    Notes
    -----
    Inverse distribution functions by one binary search per step over all rows: O(N log nnz) per step.

    Examples
    --------
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9, initial=0)
    >>> simulate(mdp, [0, 1, 1], 1, 3, rng=0).rewards
    array([[10., -1., -1.]])
    """
    given = mdp.check_policy(policy)
    N = whole_number("episodes", episodes, 1, InvalidMDP)
    if steps is None and mdp.horizon is None:
        raise InvalidMDP("the number of steps is not given, and there is no horizon", "Give steps=T.")
    T = whole_number("steps", mdp.horizon if steps is None else steps, 1, InvalidMDP, most=mdp.horizon)
    generator = random_generator("rng", rng)
    states, pairs, rewards = np.empty((N, T + 1), dtype=np.int64), np.empty((N, T), dtype=np.int64), np.empty((N, T))
    start = _Sampler(mdp.initial, np.array([0, mdp.n_states]))
    states[:, 0] = start.draw(np.zeros(N, dtype=np.int64), generator)
    act: _Sampler | None = None
    move: _Moves | None = None
    for h in range(T):
        if act is None or mdp.horizon is not None:
            act = _Sampler(given if given.ndim == 1 else given[h], mdp.first)
        if move is None or len(mdp.transition) > 1:
            move = _Moves.of(mdp, h)
        pairs[:, h] = act.draw(states[:, h], generator)
        rewards[:, h] = mdp.reward_at(h)[pairs[:, h]]
        states[:, h + 1] = move.draw(pairs[:, h], generator)
    return Trajectories(frozen(states), frozen(pairs), frozen(rewards))


def estimate_value(mdp: FiniteMDP, played: Trajectories, *, confidence: float = 0.95) -> ValueEstimate:
    """The value of the policy that was played, from its episodes.

    Parameters
    ----------
    played : at least 2 episodes of ``mdp``.
    confidence : in (0, 1).

    Raises
    ------
    InvalidMDP : fewer than 2 episodes, a confidence out of range, episodes shorter than the horizon.

    Notes
    -----
    Steps beyond the T played add between gamma^T min r / (1 - gamma) and gamma^T max r / (1 - gamma): the middle is added to every
    return, half the width to both ends.

    Examples
    --------
    >>> mdp = FiniteMDP([1], [[1.0]], [1.0], gamma=0.5)
    >>> estimate_value(mdp, simulate(mdp, [1], 10, 1, rng=0)).mean
    2.0
    """
    from scipy import stats

    level = real_number("confidence", confidence, above=0.0, below=1.0, error=InvalidMDP)
    N, T = played.pairs.shape
    if N < 2:
        raise InvalidMDP("there is one episode only", "A spread needs two or more episodes.")
    if mdp.horizon is not None and mdp.horizon != T:
        raise InvalidMDP(f"episodes have {T} steps and the horizon is {mdp.horizon}", "Simulate to the end.")
    returns = played.rewards @ mdp.gamma ** np.arange(T)
    truncation = 0.0
    if mdp.horizon is not None:
        returns = returns + mdp.gamma**T * mdp.terminal[played.states[:, -1]]
    else:
        tail = mdp.gamma**T / (1.0 - mdp.gamma)
        least, most = tail * float(mdp.reward.min()), tail * float(mdp.reward.max())
        returns, truncation = returns + 0.5 * (least + most), 0.5 * (most - least)
    mean, error = float(returns.mean()), float(returns.std(ddof=1) / np.sqrt(N))
    reach = float(stats.t.ppf(0.5 + 0.5 * level, N - 1)) * error + truncation
    return ValueEstimate(mean, error, mean - reach, mean + reach, truncation, level)


class _Sampler:
    """Draws an entry of row i of ragged rows of weights, by inverting their distribution functions."""

    def __init__(self, weights: FloatArray, first: IntArray) -> None:
        inside = np.flatnonzero(weights > 0)
        self.entry = inside
        count = np.concatenate(([0], np.cumsum(weights > 0)))
        self.first = count[first]
        owner = np.repeat(np.arange(len(first) - 1), np.diff(self.first))
        # Row i occupies (i, i + 1]: one sorted array for all rows. Each row is summed by itself, so that the sums stay accurate.
        longest = int(np.diff(self.first).max())
        padded = np.zeros((len(first) - 1, longest)) if longest * (len(first) - 1) <= 4 * len(inside) + 1000 else None
        if padded is not None:
            padded[owner, np.arange(len(inside)) - self.first[owner]] = weights[inside]
            sums = np.cumsum(padded, axis=1)[owner, np.arange(len(inside)) - self.first[owner]]
        else:
            sums = np.concatenate([np.cumsum(weights[inside[a:b]]) for a, b in zip(self.first[:-1], self.first[1:], strict=True)])
        self.sums = sums / sums[self.first[1:] - 1][owner]
        self.below = owner + self.sums

    def draw(self, rows: IntArray, rng: np.random.Generator) -> IntArray:
        """One entry of each row, as its position among all weights."""
        u = rng.random(len(rows))
        at = np.searchsorted(self.below, rows + u, side="right")
        at = np.clip(at, self.first[rows], self.first[rows + 1] - 1)
        return np.asarray(self.entry[at])


@dataclass(frozen=True, slots=True)
class _Moves:
    sampler: _Sampler
    target: IntArray | None
    width: int

    @classmethod
    def of(cls, mdp: FiniteMDP, step: int) -> _Moves:
        kernel: Any = mdp.kernel(step)
        if sparse.issparse(kernel):
            return cls(_Sampler(np.asarray(kernel.data), kernel.indptr.astype(np.int64)), kernel.indices.astype(np.int64), 0)
        K, S = kernel.shape
        return cls(_Sampler(np.asarray(kernel).reshape(-1), np.arange(0, K * S + S, S)), None, S)

    def draw(self, pairs: IntArray, rng: np.random.Generator) -> IntArray:
        """The next state of each pair."""
        entry = self.sampler.draw(pairs, rng)
        return entry % self.width if self.target is None else self.target[entry]
