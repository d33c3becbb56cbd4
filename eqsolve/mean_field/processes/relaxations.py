"""Upper bounds of what shared local policies can reach with k agents: full information, and one controller of everyone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.mdp import FiniteMDP
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.operators.zones import moves
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.processes.surrogate import checked_k, surrogate_law


def full_information_mdp(game: GlobalLocalGame, policy: SubsampledPolicy) -> FiniteMDP:
    r"""The team of k local agents against a fixed global policy, every one of them seeing everything.

    .. math:: \max_{a_1, \dots, a_k}\ \sum_{a_g} \pi_g(a_g \mid s_g, d)\, r_g(s_g, a_g) + \frac1k \sum_i r_l(s_i, s_g, a_i)
              + \gamma\, \mathbb E\, V(s_g', d')

    Its optimum is an upper bound of the value of every shared policy :math:`\pi_l(a \mid s_i, s_g)` in the k-surrogate. Agents in
    the same state are exchangeable, so that an action is how many agents of each state take each local action.

    Parameters
    ----------
    policy : its global policy and its k; the local policy plays no part.

    Returns
    -------
    FiniteMDP with the states (s_g, d), s_g slowest.

    Raises
    ------
    InvalidGame : a policy of another game.
    InvalidData : k is so large that the process does not fit; the largest k that fits is named.
    """
    policy.check(game)
    k = checked_k(game, policy.k, lambda k: relaxed_size(game, k, joint=False))
    pi = policy.global_rows(game.n_global_actions)
    kernel = np.einsum("gha,gax->ghx", pi, game.global_kernel)[:, :, None]
    reward = np.einsum("gha,ga->gh", pi, game.global_reward)[:, :, None]
    return _relaxed(game, k, list(kernel), list(reward), "full information")


def joint_mdp(game: GlobalLocalGame, k: int) -> FiniteMDP:
    """The process of one controller who sees everything and chooses the actions of the global and of k local agents.

    Its optimum is an upper bound of the value of all policies in the k-surrogate. Actions of a state are ordered by those of the
    local agents, then by that of the global one; otherwise as ``full_information_mdp``.

    Raises
    ------
    InvalidData : k out of range, or so large that the process does not fit; the largest k that fits is named.
    """
    k = checked_k(game, k, lambda k: relaxed_size(game, k, joint=True))
    N = size(k, game.n_local_states)
    available = game.global_available
    own = [np.flatnonzero(row) for row in available]
    kernel = [np.broadcast_to(game.global_kernel[g, a], (N, len(a), game.n_global_states)) for g, a in enumerate(own)]
    reward = [np.broadcast_to(game.global_reward[g, a], (N, len(a))) for g, a in enumerate(own)]
    return _relaxed(game, k, kernel, reward, "joint control")


def relaxed_size(game: GlobalLocalGame, k: int, *, joint: bool) -> int:
    """The transition probabilities of ``full_information_mdp`` or ``joint_mdp``, zeros included."""
    G = game.n_global_states
    cells = int(game.local_available.sum())
    choices = int(game.global_available.sum()) if joint else G
    return choices * size(k, cells) * G * size(k, game.n_local_states)


def _relaxed(game: GlobalLocalGame, k: int, kernel: list[FloatArray], reward: list[FloatArray], name: str) -> FiniteMDP:
    """The process whose global part is, by state g, kernel (N, B, G) and reward (N, B) for B choices."""
    G, Z = game.n_global_states, game.n_local_states
    zone, action = np.nonzero(game.local_available)
    N, cells = size(k, Z), Histograms(k, len(zone))
    place, order, first = _by_histogram(cells.table, zone, k, Z)
    law = moves(game.local_kernel[zone, :, action].transpose(1, 0, 2), k)
    payoff = cells.mean(game.local_reward[zone, :, action].T)
    blocks, rewards, counts = [], [], []
    for g in range(G):
        here = kernel[g][place[order]]
        B = here.shape[1]
        blocks.append(sparse.csr_array((here[:, :, :, None] * law[g][order][:, None, None, :]).reshape(len(order) * B, G * N)))
        rewards.append((reward[g][place[order]] + payoff[g][order][:, None]).reshape(-1))
        counts.append(np.diff(first) * B)
    return FiniteMDP(
        np.concatenate(counts),
        sparse.vstack(blocks, format="csr"),
        np.concatenate(rewards),
        game.gamma,
        initial=surrogate_law(game, k).reshape(-1),
        name=name,
    )


def _by_histogram(table: npt.NDArray[np.int32], zone: IntArray, k: int, Z: int) -> tuple[IntArray, IntArray, IntArray]:
    """(E,) the histogram over states of each one over cells, (E,) an order by it, (N + 1,) where each begins in that order."""
    totals = np.zeros((len(table), Z), dtype=np.int64)
    np.add.at(totals.T, zone, table.T)
    place = Histograms(k, Z).rank(totals)
    order = np.argsort(place, kind="stable")
    first = np.concatenate(([0], np.cumsum(np.bincount(place, minlength=size(k, Z)))))
    return place, order, first
