"""The best global policy where rewards are random and only draws of them are seen (Appendix F, Algorithm 10)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, log, sqrt

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, float_array, real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.processes.surrogate import checked_k, surrogate_mdp, surrogate_size
from eqsolve.mean_field.rewards import StochasticReward
from eqsolve.mean_field.sample_bounds import VARIANTS, iterations, known, reward_draws

SOURCE = "Lemma F.4, corrected"


@dataclass(frozen=True, slots=True, eq=False)
class NoisyAnswer:
    """What was learned from draws of the rewards.

    Parameters
    ----------
    policy : of the global agent, best for what was drawn. values : (G, N_k) its value for what was drawn, which is no value of it.
    draws : Xi, averaged per entry. rounds : Bellman updates of Algorithm 10, 0 for the corrected form.
    change : the largest change of an entry of Q in the last round, which for the paper's form does not become 0.
    loss : bound of V* - V of the policy in every state of the k-surrogate.
    """

    policy: SubsampledPolicy
    values: FloatArray
    draws: int
    rounds: int
    change: float
    loss: Bound


def learn_noisy(
    game: GlobalLocalGame,
    k: int,
    local_policy: npt.ArrayLike,
    draws: int | None = None,
    *,
    rng: np.random.Generator,
    variant: str = "corrected",
    failure: float = 0.01,
    tolerance: float = 1e-6,
    m: int = 30,
    rounds: int | None = None,
) -> NoisyAnswer:
    r"""The best global policy of the k-surrogate from Xi draws of every reward.

    Parameters
    ----------
    k : local agents, 1 to n. local_policy : (G, Z, A_l), what they play.
    draws : Xi; ``reward_draws(game, k, variant)``, which is what the paper wants, when left out.
    rng : of all draws.
    variant : ``"corrected"``: every reward is drawn Xi times once, and the game with the means is solved exactly, so that there is
        one operator with one fixed point. ``"paper"``, Algorithm 10: every Bellman update draws all rewards anew, Xi times k
        for every entry of Q, and with each m next states; its updates are random and come to rest nowhere.
    failure : the bound of the loss holds with probability 1 - failure, in (0, 1). tolerance : of the exact solution.
    m, rounds : of ``"paper"``: next states per draw, and T of Theorem 4.2 when left out.

    Raises
    ------
    InvalidData : a parameter out of range; for ``"paper"`` a k too large, the largest that fits being named.
    InvalidGame : a local policy of another game. UnknownName : an unknown variant.

    Notes
    -----
    Of a reward that is not random (no ``global_noise`` or ``local_noise``) every draw is its value. Lemma F.4 is corrected in
    three places: Hoeffding's inequality has Xi where (57) has its square; from (57) as printed :math:`\sqrt k` would follow, where
    the paper has :math:`k^{1/4}`; and all entries have to be right at once, not one.
    """
    known(variant, VARIANTS)
    local = game.check_local(local_policy)
    k = whole_number("k", k, 1, most=game.n)
    wanted = max(1, ceil(reward_draws(game, k, variant)))
    Xi = wanted if draws is None else whole_number("draws", draws, 1)
    if variant == "paper":
        steps = iterations(game, k) if rounds is None else whole_number("rounds", rounds, 1)
        return _algorithm_10(game, k, local, Xi, rng, whole_number("m", m, 1), steps)
    from eqsolve.mean_field.global_step import solve_global

    loss = reward_loss(game, Xi, failure)
    found = solve_global(estimated_game(game, Xi, rng), k, local, tolerance)
    return NoisyAnswer(SubsampledPolicy(k, found.policy, local), found.values, Xi, 0, 0.0, loss)


def reward_loss(game: GlobalLocalGame, draws: int, failure: float = 0.01) -> Bound:
    r"""How much the best policy for averaged rewards can lose: in any state, for any k and local policy, with high probability.

    .. math:: V^* - V^{\hat\pi} \le \frac{2 (\epsilon_g + \epsilon_l)}{1 - \gamma}, \qquad
              \epsilon = \text{width} \cdot \sqrt{\frac{\ln(2 M / \mathrm{failure})}{2\, \Xi}}

    Parameters
    ----------
    draws : Xi, averaged once per entry of the M entries of both tables of random rewards.
    failure : the bound holds with probability 1 - failure, in (0, 1).

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    By Hoeffding's inequality and a union bound; ``sample_bounds.reward_noise`` is the same for the entries of Q. What a solver's
    tolerance adds is not in it.
    """
    Xi, rho = whole_number("draws", draws, 1), real_number("failure", failure, above=0.0, below=1.0)
    entries = [int(game.global_available.sum()), int(game.local_available.sum()) * game.n_global_states]
    widths = [0.0 if noise is None else noise.width for noise in (game.global_noise, game.local_noise)]
    M = sum(number for number, width in zip(entries, widths, strict=True) if width > 0)
    off = sum(widths) * sqrt(log(2.0 * max(M, 1) / rho) / (2.0 * Xi))
    terms = {"entries": float(M), "width": sum(widths), "reward error": off}
    name = f"loss by {Xi:,} draws of rewards, with probability {1.0 - rho:g}"
    return Bound(name, 2.0 * off / (1.0 - game.gamma), SOURCE, terms)


def estimated_game(game: GlobalLocalGame, draws: int, rng: np.random.Generator) -> GlobalLocalGame:
    """The game with the means of so many draws of every reward for rewards."""
    Xi = whole_number("draws", draws, 1)
    reward, local = game.global_reward, game.local_reward
    if game.global_noise is not None:
        reward = _sums(game.global_noise.values, game.global_noise.probabilities, np.full(reward.shape, Xi), rng) / Xi
    if game.local_noise is not None:
        local = _sums(game.local_noise.values, game.local_noise.probabilities, np.full(local.shape, Xi), rng) / Xi
    return replace(game, global_reward=reward, local_reward=local, global_noise=None, local_noise=None)


def mean_of_draws(noise: StochasticReward, draws: npt.ArrayLike, name: str = "draws") -> FloatArray:
    """(...) the means of recorded rewards (Xi, ...), one table of rewards per draw, which have to be in the declared range.

    Raises
    ------
    InvalidData : another shape, no draws, or a reward outside the declared range, on which every bound rests; it is named.

    Examples
    --------
    >>> noise = StochasticReward([[0.0, 2.0]], [0.5, 0.5], 0.0, 2.0)
    >>> mean_of_draws(noise, [[0.0], [2.0], [2.0]])
    array([1.33333333])
    """
    given = float_array(name, draws, (None, *noise.values.shape[:-1]))
    if not len(given):
        raise InvalidData(f"{name} is empty", "Give at least one draw.")
    outside = (given < noise.low) | (given > noise.high)
    if outside.any():
        at = tuple(int(one) for one in np.argwhere(outside)[0])
        raise InvalidData(
            f"{name}{list(at)} is {given[at]:g}, outside the declared range [{noise.low:g}, {noise.high:g}]",
            f"{int(outside.sum())} of {given.size} draws are outside. Declare a range that holds them all.",
        )
    return np.asarray(given.mean(axis=0))


def _algorithm_10(
    game: GlobalLocalGame, k: int, local: FloatArray, Xi: int, rng: np.random.Generator, m: int, rounds: int
) -> NoisyAnswer:
    """As printed, over histograms."""
    k = checked_k(game, k, lambda k: surrogate_size(game, k))
    mdp = surrogate_mdp(game, k, local)
    kernel = sparse.csr_array(mdp.kernel()).toarray()
    kernel = kernel / kernel.sum(axis=1, keepdims=True)
    here = np.repeat(game.global_available[:, None, :], size(k, game.n_local_states), axis=1)
    q = np.where(here, 0.0, -np.inf)
    change = np.inf
    for _ in range(rounds):
        reward = _drawn_rewards(game, k, local, Xi, rng)[here]
        reached = rng.multinomial(Xi * m, kernel) / (Xi * m)
        new = reward + game.gamma * np.einsum("ks,s->k", reached, q.max(axis=2).reshape(-1))
        change = float(np.abs(new - q[here]).max())
        q[here] = new
    reason = "rewards are drawn anew in every round: the operator has no fixed point"
    loss = Bound(f"loss by {Xi:,} draws of rewards in every round", None, "Lemma F.4", failed=(reason,))
    policy = SubsampledPolicy(k, np.argmax(q, axis=2), local)
    return NoisyAnswer(policy, q.max(axis=2), Xi, rounds, change, loss)


def _drawn_rewards(game: GlobalLocalGame, k: int, local: FloatArray, Xi: int, rng: np.random.Generator) -> FloatArray:
    """(G, N, A_g) means of Xi draws of r_Delta for each entry of its own."""
    some = Histograms(k, game.n_local_states)
    shape = (game.n_global_states, some.size, game.n_global_actions)
    if game.global_noise is None:
        total = np.broadcast_to(game.global_reward[:, None, :], shape)
    else:
        values = np.broadcast_to(game.global_noise.values[:, None], (*shape, game.global_noise.values.shape[-1]))
        chances = np.broadcast_to(game.global_noise.probabilities[:, None], values.shape)
        total = _sums(values, chances, np.full(shape, Xi), rng) / Xi
    if game.local_noise is None:
        return total + some.mean(game.local_payoff(local))[:, :, None]
    # An agent draws its action, then the reward of it: one draw of (action, value) pairs.
    G, Z = local.shape[:2]
    values = game.local_noise.values.transpose(1, 0, 2, 3).reshape(G, Z, -1)
    chances = (local[..., None] * game.local_noise.probabilities.transpose(1, 0, 2, 3)).reshape(G, Z, -1)
    paid = np.zeros(shape)
    for z in range(Z):
        numbers = np.broadcast_to(some.table[:, z, None].astype(np.int64) * Xi, shape)
        wide = (*shape, values.shape[-1])
        worth, share = (np.broadcast_to(one[:, z, None, None, :], wide) for one in (values, chances))
        paid += _sums(worth, share, numbers, rng)
    return total + paid / (k * Xi)


def _sums(values: FloatArray, chances: FloatArray, numbers: npt.NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
    """(...) sums of so many independent draws of finitely many values (..., M): by how often each value comes."""
    shares = chances / chances.sum(axis=-1, keepdims=True)
    return np.asarray(np.einsum("...m,...m->...", rng.multinomial(numbers, shares), values))
