"""The standard parameterisation: states of the k-surrogate as tuples (s_g, s_1, ..., s_k), for small k and as a cross-check."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidData, InvalidGame, unknown
from eqsolve.mdp import FiniteMDP
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size

LARGEST = 50_000_000
"""Most transition probabilities that are held."""
BRANCHES = ("corrected", "paper")


@lru_cache(maxsize=32)
def tuples(k: int, Z: int) -> IntArray:
    """(Z^k, k) all tuples of k local states, in row-major order.

    Raises
    ------
    InvalidData : k or Z out of range, or more than memory holds.
    """
    agents, states = whole_number("k", k, 0), whole_number("Z", Z, 1)
    if agents * states**agents > LARGEST:
        raise InvalidData(
            f"{agents} agents over {states} states make {states}^{agents} tuples", "Use histograms: there are never more of them."
        )
    return frozen(np.array(list(product(range(states), repeat=agents)), dtype=np.int64).reshape(states**agents, agents))


@lru_cache(maxsize=32)
def histogram_of(k: int, Z: int) -> IntArray:
    """(Z^k,) the place of the histogram of every tuple.

    Examples
    --------
    >>> histogram_of(2, 2).tolist()
    [0, 1, 1, 2]
    """
    counts = (tuples(k, Z)[:, :, None] == np.arange(Z)).sum(axis=1)
    return frozen(Histograms(k, Z).rank(counts))


def spread(values: npt.ArrayLike, k: int, Z: int) -> FloatArray:
    """(..., Z^k) a function of histograms (..., N_k) as one of tuples."""
    given = float_array("values", values)
    if given.ndim < 1 or given.shape[-1] != size(k, Z):
        raise InvalidData(f"values has shape {given.shape}, and there are {size(k, Z)} histograms")
    return np.asarray(given[..., histogram_of(k, Z)])


def project(values: npt.ArrayLike, k: int, Z: int, *, tolerance: float = 1e-9) -> FloatArray:
    """(..., N_k) a function of tuples (..., Z^k) that does not depend on their order, as one of histograms.

    Raises
    ------
    InvalidData : it depends on the order by more than ``tolerance`` relative to its size; the worst histogram is named.
    """
    given = float_array("values", values)
    if given.ndim < 1 or given.shape[-1] != Z**k:
        raise InvalidData(f"values has shape {given.shape}, and there are {Z**k} tuples")
    places, N = histogram_of(k, Z), size(k, Z)
    total = np.array([np.bincount(places, row, N) for row in given.reshape(-1, Z**k)]).reshape(*given.shape[:-1], N)
    mean = total / np.bincount(places, minlength=N)
    apart = np.abs(given - mean[..., places])
    if apart.max(initial=0.0) > tolerance * (1.0 + np.abs(given).max(initial=0.0)):
        at = tuple(int(one) for one in np.unravel_index(int(np.argmax(apart)), apart.shape))
        d = Histograms(k, Z).table[places[at[-1]]].tolist()
        raise InvalidData(f"values of the histogram {d} differ by up to {2 * apart[at]:.3g} with the order of the agents")
    return np.asarray(mean)


def tuple_mdp(game: GlobalLocalGame, k: int, local_policy: npt.ArrayLike) -> FiniteMDP:
    r"""The decision process of the global agent over tuples of k local agents who play a fixed policy.

    .. math:: P\big((s_g', s') \mid (s_g, s), a_g\big) = P_g(s_g' \mid s_g, a_g) \prod_{i=1}^k P_l^{\pi_l}(s_i' \mid s_i, s_g),
              \qquad r = r_g(s_g, a_g) + \frac1k \sum_i r_l^{\pi_l}(s_i, s_g)

    State number :math:`s_g Z^k + t` with t the place of the tuple; the actions of a state are those available, in their order.

    Raises
    ------
    InvalidGame : k out of range, or more transitions than memory holds. InvalidData : a local policy of another game.

    Notes
    -----
    Source: Algorithm 1 of the paper, "standard parameterisation", with exact expectations in place of m samples.
    """
    agents = whole_number("k", k, 1, InvalidGame, most=game.n)
    G, Z = game.n_global_states, game.n_local_states
    T = Z**agents
    pairs = int(game.global_available.sum()) * T
    if pairs * G * T > LARGEST:
        raise InvalidGame(
            f"the tuples of {agents} agents over {Z} states make {pairs:,} x {G * T:,} transitions",
            f"At most {LARGEST:,} are held. Use histograms, or a smaller k.",
        )
    rows, pay = game.local_rows(local_policy), game.local_payoff(local_policy)
    kernel, reward = np.empty((pairs, G * T)), np.empty(pairs)
    seen, first = tuples(agents, Z), 0
    for g in range(G):
        moves = np.ones((1, 1))
        for _ in range(agents):
            moves = np.kron(moves, rows[g])
        played = np.flatnonzero(game.global_available[g])
        block = game.global_kernel[g, played][None, :, :, None] * moves[:, None, None, :]  # (T, A_g, G, T)
        last = first + block.shape[0] * block.shape[1]
        kernel[first:last] = block.reshape(-1, G * T)
        reward[first:last] = (pay[g][seen].mean(axis=1)[:, None] + game.global_reward[g, played]).reshape(-1)
        first = last
    counts = np.repeat(game.global_available.sum(axis=1), T)
    law = game.initial.histogram_law(Histograms(agents, Z))
    ways = np.bincount(histogram_of(agents, Z))
    initial = np.outer(game.initial.global_law, (law / ways)[histogram_of(agents, Z)]).reshape(-1)
    return FiniteMDP(counts, kernel, reward, game.gamma, initial=initial / initial.sum(), name=f"{game.name}, tuples of {agents}")


def parameterisation(k: int, Z: int, variant: str = "corrected") -> Literal["tuples", "histograms"]:
    r"""Which parameterisation G-LEARN takes.

    Parameters
    ----------
    variant : ``"corrected"``: histograms, of which there are never more than tuples. ``"paper"``: the test of Algorithm 1, tuples
        where :math:`|S_l|^k \le |S_l|\, k^{|S_l|}`; the right side is far above the number of histograms, so that it
        takes tuples for too long.

    Raises
    ------
    UnknownName : another variant.

    Examples
    --------
    >>> parameterisation(7, 5, "paper"), 5**7, size(7, 5)
    ('tuples', 78125, 330)
    """
    agents, states = whole_number("k", k, 1), whole_number("Z", Z, 1)
    if variant not in BRANCHES:
        raise unknown("variant", variant, BRANCHES)
    few_tuples = states**agents <= states * agents**states
    return "tuples" if variant == "paper" and few_tuples else "histograms"
