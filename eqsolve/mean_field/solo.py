"""One local agent alone with the global state: the decision process behind simple local policies."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.mdp import FiniteMDP, optimal_policy, q_values
from eqsolve.mean_field.game import GlobalLocalGame

COOLEST = 0.3
"""Least temperature of the softmax policy, in reward units."""


def solo_values(game: GlobalLocalGame, moves: FloatArray) -> FloatArray:
    r"""(G, Z, A_l) optimal action values of a local agent for whom the global state is a Markov chain.

    .. math:: Q(g, s, a) = r_l(s, g, a) + \gamma \sum_{g'} M(g, g') \sum_{s'} P_l(s' \mid s, g, a) \max_{a'} Q(g', s', a')

    What the agent's own state does to the choice of the global agent is left out, and so is r_g. Actions that are not available
    have the value minus infinity.

    Parameters
    ----------
    moves : (G, G) the chain M; rows sum to 1.
    """
    G, Z, A = game.n_global_states, game.n_local_states, game.n_local_actions
    kernel = np.einsum("gh,zgas->gzahs", moves, game.local_kernel).reshape(G * Z * A, G * Z)
    here = np.broadcast_to(game.local_available, (G, Z, A)).reshape(-1)
    counts = np.tile(game.local_available.sum(axis=1), G)
    process = FiniteMDP(counts, kernel[here], game.local_reward.transpose(1, 0, 2).reshape(-1)[here], game.gamma)
    values = np.full(G * Z * A, -np.inf)
    values[here] = q_values(process, optimal_policy(process).values)
    return values.reshape(G, Z, A)


def best_policy(values: FloatArray) -> FloatArray:
    """(G, Z, A_l) the deterministic policy of largest values; the first of several."""
    return np.asarray(np.eye(values.shape[-1])[values.argmax(axis=-1)])


def softmax_policy(values: FloatArray) -> FloatArray:
    r"""(G, Z, A_l) the policy :math:`\propto \exp(Q / \tau)`, in each state :math:`\tau = \max(0.3, (\max_a Q - \min_a Q) / 3)`.

    No action has more than e^3 times the chance of another: it is no best response, however long it is trained. The public code of
    the paper's authors plays it.
    """
    here = np.isfinite(values)
    width = values.max(axis=-1) - np.where(here, values, np.inf).min(axis=-1)
    tau = np.maximum(COOLEST, width / 3.0)
    weight = np.exp((values - values.max(axis=-1, keepdims=True)) / tau[..., None])
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))
