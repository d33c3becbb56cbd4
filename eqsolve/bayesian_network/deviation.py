"""What one agent faces when the others keep to a policy: a decision process over the states and its parents' actions.

The judge's side: inference of its own, and bounds of its rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from scipy import sparse

from eqsolve.arrays import FloatArray, frozen, whole_number
from eqsolve.bayesian_network.factors import Factor, spread
from eqsolve.bayesian_network.frontier import means
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.certificates.rounding import UNIT, gamma
from eqsolve.errors import InvalidGame
from eqsolve.mdp import FiniteMDP

LEAST = 1e-250
"""Parents' actions of no larger probability are taken for never met: far below rounding, and quotients stay exact above it."""


@dataclass(frozen=True, slots=True, eq=False)
class Deviation:
    r"""What an agent faces in a state when its parents act and the others keep to their policy.

    .. math:: w(s, a^{\mathcal P}) = \Pr(a^{\mathcal P} \mid s), \qquad
              r(s, a^{\mathcal P}, a^i) = \mathbb{E}[r \mid s, a^{\mathcal P}, \mathrm{do}(a^i)], \qquad
              P(s' \mid s, a^{\mathcal P}, a^i) = \Pr(s' \mid s, a^{\mathcal P}, \mathrm{do}(a^i))

    Actions that the agent's own policy never plays are covered. Conditioning on the parents' actions is Bayes's: what they tell
    about agents further up counts. Where the parents never act so, the reward is 0 and the state stays.

    Parameters
    ----------
    agent : which, or None for nobody: the others are then all, and the process is the chain of the policy.
    weight : (S, m_parents...). reward : (S, m_parents..., m_i), in reward units. kernel : sparse, rows as ``reward`` flat, (., S).
    error : bound of the rounding in a value of the process, whoever plays, and of what rows that sum to 1 within 1e-9 only leave
        open: they are read as divided by their sums.
    """

    agent: int | None
    weight: FloatArray
    reward: FloatArray
    kernel: Any
    error: float = field(default=0.0)

    def process(self, game: CooperativeMarkovGame) -> FiniteMDP:
        r"""The augmented process, whose best policies are the best deviations; its value from the start is V(mu).

        States 0 to S - 1 are those of the game, with one action that draws the parents' actions; state
        :math:`S + s |\mathcal A^{\mathcal P}| + a^{\mathcal P}` follows, with the agent's actions. Two steps of discount
        :math:`\sqrt\gamma` are one of the game; it starts after the first draw. For nobody, it is the chain itself.
        """
        S = game.n_states
        if self.agent is None:
            return FiniteMDP([1] * S, self.kernel, self.reward, game.gamma, initial=game.initial, name=game.name)
        m, flat = self.reward.shape[-1], self.weight.reshape(S, -1)
        P = flat.shape[1]
        draws = sparse.csr_array((flat.reshape(-1), np.arange(S * P), np.arange(S + 1) * P), shape=(S, S * P))
        kernel = sparse.block_array([[None, draws], [self.kernel, None]], format="csr")
        start = np.concatenate((np.zeros(S), (game.initial[:, None] * flat).reshape(-1)))
        reward = np.concatenate((np.zeros(S), self.reward.reshape(-1)))
        counts = np.concatenate((np.ones(S, dtype=np.int64), np.full(S * P, m)))
        name = f"{game.name}, {game.agent_label(self.agent)}"
        return FiniteMDP(counts, kernel, reward, float(np.sqrt(game.gamma)), initial=start, name=name)

    def own(self, policy: BayesianNetworkPolicy) -> FloatArray:
        """The policy of the augmented process that plays the agent's own table."""
        S = len(self.weight)
        if self.agent is None:
            return np.ones(S)
        return np.concatenate((np.ones(S), distributions(policy)[self.agent].reshape(-1)))


def faced(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, agent: int | None) -> Deviation:
    """What an agent faces, or with None, what the policy does.

    Where the transitions are a kernel over joint actions, the kernel is summed out agent by agent, as a sparse matrix if it is one;
    where they are factors, by ``frontier.means``. The agent's own table is left out, as if it were all ones.

    Raises
    ------
    InvalidPolicy : of another game. InvalidGame : no such agent; a table larger than memory (its size is told).
    """
    check_plays(policy, game.n_states, game.n_actions)
    i = None if agent is None else whole_number("agent", agent, 0, InvalidGame, most=game.n_agents - 1)
    family = () if i is None else policy.network.family(i)
    tables = distributions(policy)
    if game.kernel is not None:
        p, total, moved = _from_kernel(game, policy.network, tables, family, i)
    else:
        p, total, moved = _from_factors(game, policy.network, tables, family, i)
    met = p > LEAST
    reward = np.divide(total, p, out=np.zeros_like(p), where=met)
    kernel, defect = _conditional(moved, p.reshape(-1), met.reshape(-1), game.n_states)
    weight = np.where(met, p, 0.0)
    if i is not None:
        weight = np.ascontiguousarray(weight[..., 0])
    # Draws err by the roundings of one mean, rewards and next states by those of two and of a quotient.
    n, row = roundings(game), int(np.diff(kernel.indptr).max())
    of_rewards, of_moves = 2 * n + 2 * len(game.reward) + 4, 3 * n + 2 * len(game.moves) + row + 10
    return Deviation(i, frozen(weight), frozen(reward), kernel, value_error(game, of_rewards, of_moves, defect))


def augmented_mdp(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy, i: int) -> FiniteMDP:
    r"""The decision process that agent i faces when the others keep to the policy, over states and its parents' actions.

    It has S + S A^P states and discount sqrt(gamma); see ``Deviation.process`` for their numbers. The value of the agent's own
    table in it is V(mu), and its optimal value is :math:`\max_{\bar\pi^i} V_{\bar\pi^i, \pi^{-i}}(\mu)`.

    Raises
    ------
    InvalidPolicy, InvalidGame : see ``faced``.

    Notes
    -----
    Source: the augmented states of section 4.2 of the Bayesian-network paper.

    Examples
    --------
    >>> from eqsolve.bayesian_network import BayesianNetwork, BayesianNetworkPolicy, penalty_game
    >>> game = penalty_game()
    >>> augmented_mdp(game, BayesianNetworkPolicy.uniform(BayesianNetwork.chain(2), 1, game.n_actions), 1)
    <FiniteMDP 'penalty, agent 1': 4 states, 10 state-action pairs, discount 0, sparse>
    """
    return faced(game, policy, whole_number("agent", i, 0, InvalidGame, most=game.n_agents - 1)).process(game)


def distributions(policy: BayesianNetworkPolicy) -> tuple[FloatArray, ...]:
    """The tables with every row divided by its sum, which is 1 within 1e-9."""
    return tuple(table / table.sum(axis=-1, keepdims=True) for table in policy.tables)


def joint_probabilities(game: CooperativeMarkovGame, policy: BayesianNetworkPolicy) -> FloatArray:
    """(S, m_1, ..., m_N) the product of the tables; raises InvalidGame where it is larger than memory."""
    game.check_joint(game.n_states * game.n_joint, "probabilities")
    everybody = tuple(range(game.n_agents))
    total = np.ones((game.n_states, *game.n_actions))
    for i, table in enumerate(distributions(policy)):
        total *= spread(table, policy.network.family(i), everybody)
    return total


def value_error(game: CooperativeMarkovGame, of_rewards: int, of_moves: int, defect: float = 0.0) -> float:
    r"""How far values move at most when one step of the process errs by a few roundings.

    Relative errors :math:`\delta_r` of the rewards and :math:`\delta_P` of the probabilities of one step move values by at most

    .. math:: \frac{R}{1 - \gamma} \Big( \delta_r + \frac{\delta_P}{1 - \gamma} \Big), \qquad R = \sum_k \max_{s, a} |r_k(s, a)|

    Parameters
    ----------
    of_rewards, of_moves : roundings. defect : by how much a row of probabilities may be off in sum beyond these.
    """
    largest = sum(float(np.abs(one.table).max()) for one in game.reward)
    moves = (float(gamma(of_moves)) + defect) / (1.0 - game.gamma)
    return (float(gamma(of_rewards)) + moves) * largest / (1.0 - game.gamma) * (1.0 + 1e-6)


def roundings(game: CooperativeMarkovGame) -> int:
    """Of one mean over joint actions: rows divided by their sums, multiplied, and summed out one agent at a time."""
    return 2 * sum(game.n_actions)


def _from_factors(
    game: CooperativeMarkovGame,
    network: BayesianNetwork,
    tables: Sequence[FloatArray],
    family: tuple[int, ...],
    clamped: int | None,
) -> tuple[FloatArray, FloatArray, Any]:
    """Probability p and reward (S, m_family...), and the next states' masses, rows as p flat; None where they do not matter."""
    rewards = [Factor(one.agents, one.table[..., None]) for one in game.reward]
    p, total = means(network, tables, rewards, keep=family, clamped=clamped)
    if game.n_states == 1 or game.gamma == 0.0:
        return p, total[..., 0], None
    moved = means(network, tables, game.moves, keep=family, clamped=clamped)[1]
    return p, total[..., 0], moved.reshape(-1, game.n_states)


def _from_kernel(
    game: CooperativeMarkovGame,
    network: BayesianNetwork,
    tables: Sequence[FloatArray],
    family: tuple[int, ...],
    clamped: int | None,
) -> tuple[FloatArray, FloatArray, Any]:
    """As ``_from_factors``: agents are multiplied in and summed out one at a time, children before parents."""
    S, axes = game.n_states, tuple(range(game.n_agents))
    moved: Any = game.kernel
    reward = game.joint_reward().reshape(-1)
    pair = np.stack((np.ones_like(reward), reward), axis=1)
    for j in reversed(network.order):
        if j == clamped:
            continue
        sides = (S, *(game.n_actions[k] for k in axes))
        share = np.broadcast_to(spread(tables[j], network.family(j), axes), sides).reshape(-1)
        left = axes if j in family else tuple(k for k in axes if k != j)
        cells = np.arange(S * prod(game.n_actions[k] for k in left))
        rows = np.broadcast_to(cells.reshape(S, *(game.n_actions[k] if k in left else 1 for k in axes)), sides).reshape(-1)
        used = np.flatnonzero(share)
        mix = sparse.csr_array((share[used], (rows[used], used)), shape=(cells.size, share.size))
        moved, pair, axes = mix @ moved, mix @ pair, left
    # The cells stand in ascending order of the agents; the family has its own agent last.
    order = (0, *(axes.index(k) + 1 for k in family))
    sides = (S, *(game.n_actions[k] for k in axes))
    arranged = np.arange(prod(sides)).reshape(sides).transpose(order)
    pair, moved = pair[arranged.reshape(-1)], moved[arranged.reshape(-1)]
    return pair[:, 0].reshape(arranged.shape), pair[:, 1].reshape(arranged.shape), moved


def _conditional(moved: Any, p: FloatArray, met: Any, S: int) -> tuple[Any, float]:
    """The masses divided by their sums, rows never met staying in their state; and how far a sum was from p, relatively."""
    stays = np.arange(len(p)) if moved is None else np.flatnonzero(~met)
    kept = sparse.csr_array((np.ones(len(stays)), (stays, stays // (len(p) // S))), shape=(len(p), S))
    if moved is None:
        return kept, 0.0
    masses = sparse.csr_array(moved)
    total = np.asarray(masses.sum(axis=1)).reshape(-1)
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=met)
    kernel = sparse.csr_array(sparse.diags_array(scale) @ masses + kept)
    defect = float(np.abs(total[met] / p[met] - 1.0).max()) if met.any() else 0.0
    return kernel, defect + 4 * UNIT
