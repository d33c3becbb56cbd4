"""Online execution by counts: what a policy earns with n local agents, in time that does not grow with n."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, frozen, whole_number
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import rank_table
from eqsolve.mean_field.online.estimates import Estimate, by_stratum, mean_and_half_width
from eqsolve.mean_field.online.execution_tables import Order, Rewards, play, tables_of
from eqsolve.mean_field.policy import SubsampledPolicy

__all__ = ["Estimate", "Rollouts", "estimate", "mean_and_half_width", "simulate"]

SMALL = 2_000
"""Steps of all rollouts up to which numpy plays them."""
LARGEST = 250_000_000
"""Numbers of the rollouts that are written down, at most."""
MOST_AGENTS = 10**15
"""Agents up to which their counts and the products of random numbers with them are whole numbers of float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Rollouts:
    r"""Independent runs of a policy.

    Parameters
    ----------
    returns : (B,) :math:`\sum_{t < H} \gamma^t r_t`.
    first : (B,) first states of the global agent. first_counts : (B, Z) where the local agents were then.
    shares : (G,) the law of ``first``, where these are stratified; None where they are drawn.
    mode_accuracy : how often the number of the global agent's action is that of a state with most local agents (ties count), the
        first states weighted by their law. None where there are not as many actions as local states.
    state_accuracy : the same of the global agent's state.
    counts : (R, H, Z) where the local agents were, of the first R rollouts; states, choices : (R, H) the global agent's.
    steps : H. truncation : :math:`\gamma^H \tilde r / (1 - \gamma)`, in reward units.
    """

    returns: FloatArray
    first: IntArray
    first_counts: IntArray
    shares: FloatArray | None
    mode_accuracy: float | None
    state_accuracy: float | None
    counts: IntArray
    states: IntArray
    choices: IntArray
    steps: int
    truncation: float

    @property
    def modes(self) -> IntArray:
        """(R, H) the state with most local agents, the first of several."""
        return np.asarray(self.counts.argmax(axis=2))

    def estimate(self, confidence: float = 0.95) -> Estimate:
        """Mean return with its confidence interval; see ``mean_and_half_width``."""
        mean, half = mean_and_half_width(self.returns, self.first, self.shares, confidence)
        return Estimate(mean, half, confidence, self.truncation, len(self.returns), self.steps)


def simulate(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    rollouts: int,
    steps: int,
    rng: np.random.Generator,
    *,
    order: Order = "current",
    stratified: bool = True,
    rewards: Rewards = "expected",
    record: int = 0,
    compiled: bool | None = None,
) -> Rollouts:
    r"""Play a policy with n local agents, of whom only the numbers in each state are kept.

    At every step k agents are drawn without replacement (their histogram is multivariate hypergeometric), the global agent acts on
    it, and the agents of each state move by multinomials. That is exact in law, because the agents of a state are exchangeable.

    Parameters
    ----------
    rollouts, steps : B and H. rng : draws everything.
    order : ``"current"`` (the paper): local agents move by :math:`P_l(\cdot \mid s_i, s_g(t), a_i)`. ``"next"``: by
        :math:`s_g(t + 1)`, as in the code of the paper's authors; that is another game, and returns are not comparable.
    stratified : first states of the global agent in fixed shares rather than drawn.
    rewards : ``"expected"``: the mean reward given the counts and the global action, exact over local actions and noise (the
        same expectation, less variance). ``"sampled"``: actions, and stochastic rewards, are drawn.
    record : how many rollouts to write down.
    compiled : by the compiled loop, or by numpy; left out, numpy plays few steps only. The two draw different numbers.

    Raises
    ------
    InvalidPolicy : of another game. InvalidData : rollouts or steps below 1, more recorded than memory holds, an unknown option.

    Notes
    -----
    Source: Algorithm 4 of the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from eqsolve.mean_field import GlobalLocalGame, uniform_policy
    >>> stay = np.eye(2)[:, None, None, :]
    >>> game = GlobalLocalGame(np.ones((1, 1, 1)), stay, [[1.0]], np.zeros((2, 1, 1)), n=10**7, gamma=0.5)
    >>> simulate(game, uniform_policy(game, 3), 2, 4, np.random.default_rng(0)).returns
    array([1.875, 1.875])
    """
    policy.check(game)
    B, H = whole_number("rollouts", rollouts, 1), whole_number("steps", steps, 1)
    R = whole_number("record", record, 0, most=B)
    for name, value, known in (("order", order, get_args(Order)), ("rewards", rewards, get_args(Rewards))):
        if value not in known:
            raise InvalidData(f"{name} is {value!r}, not {' or '.join(map(repr, known))}")
    Z = game.n_local_states
    if R * H * Z > LARGEST:
        raise InvalidData(f"{R:,} recorded rollouts of {H:,} steps are more than {LARGEST:,} numbers", "Record fewer of them.")
    if game.n > MOST_AGENTS:
        raise InvalidData(f"there are {game.n:,} local agents", f"At most {MOST_AGENTS:,} are counted without rounding.")
    first, counts = game.initial.sample(rng, B, game.n, stratified=stratified)
    tables = tables_of(game, policy, order, rewards)
    returns, hits = np.empty(B), np.zeros((B, 2), dtype=np.int64)
    seen = np.empty((R, H, Z), dtype=np.int64), np.empty((R, H), dtype=np.int64), np.empty((R, H), dtype=np.int64)
    discounts: FloatArray = np.power(game.gamma, np.arange(H, dtype=np.float64))
    if compiled is None:
        compiled = B * H > SMALL
    if compiled:
        from eqsolve.mean_field.online.execution_kernels import rollouts as run

        before = rank_table(policy.k, Z)
        run(rng, first.copy(), counts.astype(np.int64), policy.k, before, *tables, discounts, returns, hits, *seen)
    else:
        play(rng, first, counts, policy.k, tables, discounts, returns, hits, seen)
    truncation = float(game.gamma**H * game.reward_bound / (1.0 - game.gamma))
    shares = game.initial.global_law if stratified else None
    law = np.bincount(first, minlength=game.n_global_states) / B if shares is None else shares
    named = (game.n_global_actions == Z, game.n_global_states == Z)
    accuracy = [by_stratum(hits[:, i] / H, first, law)[0] if zones else None for i, zones in enumerate(named)]
    paths = [frozen(one) for one in seen]
    start = frozen(returns), frozen(first), frozen(counts), shares
    return Rollouts(*start, accuracy[0], accuracy[1], paths[0], paths[1], paths[2], H, truncation)


def estimate(
    game: GlobalLocalGame,
    policy: SubsampledPolicy,
    *,
    rollouts: int = 750,
    steps: int = 100,
    seed: int = 0,
    confidence: float = 0.95,
    order: Order = "current",
    stratified: bool = True,
    rewards: Rewards = "expected",
) -> Estimate:
    """What a policy earns with n local agents, from ``simulate``, with interval and truncation.

    Raises
    ------
    InvalidPolicy, InvalidData : see ``simulate``; fewer than two rollouts, a confidence outside (0, 1).
    """
    rng = np.random.default_rng(seed)
    return simulate(game, policy, rollouts, steps, rng, order=order, stratified=stratified, rewards=rewards).estimate(confidence)
