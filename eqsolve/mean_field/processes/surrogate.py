"""The k-surrogate as a finite Markov decision process: k local agents, all of them seen, for small k."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, whole_number
from eqsolve.errors import InvalidData
from eqsolve.mdp import FiniteMDP
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.operators.zones import moves

LARGEST = 30_000_000
"""Most transition probabilities that a process is built with: about 360 MB, and three times as much while it is built."""


def surrogate_mdp(game: GlobalLocalGame, k: int, local_policy: npt.ArrayLike) -> FiniteMDP:
    r"""The process that the global agent faces with k local agents who follow a policy, all of whom it sees.

    .. math:: r(s_g, d, a_g) = r_g(s_g, a_g) + \frac1k \sum_z d_z\, r_l^{\pi_l}(z, s_g), \qquad
              P(s_g', d' \mid s_g, d, a_g) = P_g(s_g' \mid s_g, a_g)\, D_k^{s_g}(d, d')

    Parameters
    ----------
    k : local agents, 1 to n.
    local_policy : (G, Z, A_l) probabilities.

    Returns
    -------
    FiniteMDP with the states (s_g, d), s_g slowest, and in each of them the actions that the global agent has, in their order.

    Raises
    ------
    InvalidGame : a local policy of another game.
    InvalidData : k out of range, or so large that the transition probabilities do not fit; the largest k that fits is named.
    """
    k = checked_k(game, k, lambda k: surrogate_size(game, k))
    G, N = game.n_global_states, size(k, game.n_local_states)
    law = moves(game.local_rows(local_policy), k)
    payoff = Histograms(k, game.n_local_states).mean(game.local_payoff(local_policy))
    available = game.global_available
    blocks, rewards = [], []
    for g in range(G):
        kernel, reward = game.global_kernel[g, available[g]], game.global_reward[g, available[g]]
        blocks.append(sparse.csr_array((law[g][:, None, None, :] * kernel[None, :, :, None]).reshape(N * len(kernel), G * N)))
        rewards.append((payoff[g][:, None] + reward).reshape(-1))
    counts = np.repeat(available.sum(axis=1), N)
    return FiniteMDP(
        counts,
        sparse.vstack(blocks, format="csr"),
        np.concatenate(rewards),
        game.gamma,
        initial=surrogate_law(game, k).reshape(-1),
        name=f"{k}-surrogate",
    )


def surrogate_size(game: GlobalLocalGame, k: int) -> int:
    """The transition probabilities of ``surrogate_mdp``, zeros included."""
    N = size(k, game.n_local_states)
    return int(game.global_available.sum()) * game.n_global_states * N * N


def surrogate_law(game: GlobalLocalGame, k: int) -> FloatArray:
    """(G, N_k) the law of the first state of the global agent and of the histogram of k local agents."""
    law = game.initial
    return np.asarray(law.global_law[:, None] * law.histogram_law(Histograms(k, game.n_local_states)))


def checked_k(
    game: GlobalLocalGame, k: int, cost: Callable[[int], int], most: int = LARGEST, what: str = "transition probabilities"
) -> int:
    """A number of local agents for which something of size ``cost(k)`` can be built.

    Raises
    ------
    InvalidData : not a whole number from 1 to n, or too large; the message tells the size and the largest k that fits.
    """
    k = whole_number("k", k, 1, most=game.n)
    if cost(k) > most:
        fits = 0
        while cost(fits + 1) <= most:
            fits += 1
        remedy = f"The largest k that fits is {fits}." if fits else "No k fits: the game has too many states or actions."
        raise InvalidData(f"k = {k} needs {cost(k):,} {what}, more than {most:,}", remedy)
    return k
