r"""How many samples the mean-field subsampling paper asks for, as printed and as can be proved; what fewer of them are worth.

G and Z states, :math:`A_g` and :math:`A_l` actions, :math:`N_k` histograms of k agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from typing import Literal

from eqsolve.arrays import real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.errors import InvalidData, unknown
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.histograms import size

Parameterisation = Literal["histograms", "tuples"]
PARAMETERISATIONS = ("histograms", "tuples")
VARIANTS = ("corrected", "paper")


def iterations(game: GlobalLocalGame, k: int) -> int:
    r"""T, how many Bellman updates G-LEARN makes: :math:`\lceil \frac{2}{1-\gamma} \ln \frac{\tilde r \sqrt k}{1-\gamma} \rceil`.

    Source: Theorem 4.2. Half of it suffices for :math:`\gamma^T \tilde r / (1 - \gamma) \le 1 / \sqrt k`, which is all that the
    proof (Lemma B.36) uses. At least 1.
    """
    if game.reward_bound == 0.0:
        return 1
    return max(1, _up(2.0 / (1.0 - game.gamma) * log(game.reward_bound * sqrt(agents(k)) / (1.0 - game.gamma))))


def bellman_noise(
    game: GlobalLocalGame,
    k: int,
    m: int,
    failure: float = 0.01,
    parameterisation: Parameterisation = "histograms",
    variant: str = "corrected",
) -> Bound:
    r"""Lemma B.35: how far the fixed point of m fixed samples is from the exact one, with probability 1 - failure.

    .. math:: \|\hat Q_{k,m} - Q_k\|_\infty \le \frac{\gamma}{1 - \gamma} \cdot \frac{r_{\max} - r_{\min}}{1 - \gamma}
              \sqrt{\frac{\ln(2 B / \mathrm{failure})}{2 m}}, \qquad B = G A_g N_k

    Parameters
    ----------
    m : samples per entry, drawn once. k : agents of the surrogate.
    parameterisation : whether B counts histograms or tuples.
    variant : ``"corrected"``: as above, with the range of r. ``"paper"``: :math:`\gamma \max |r_l| \sqrt{2 \ln(2 B / \rho) / m} /
        (1 - \gamma)^2` with :math:`B = |S_g| |A_g| |S_l| k^{|S_l|}`, where the global reward is missing: values are bounded by
        :math:`\tilde r / (1 - \gamma)`, not by :math:`\max |r_l| / (1 - \gamma)`.

    Returns
    -------
    Bound in reward units. As printed it is None where the global reward is not 0.

    Raises
    ------
    InvalidData : a parameter out of range. UnknownName : another variant or parameterisation.

    Notes
    -----
    A true theorem (Hoeffding for the fixed function :math:`\max_a Q_k`, a union bound, contraction), for samples that stay the same
    in all iterations. Samples that are drawn anew have no fixed point.
    """
    seen, samples = agents(k), whole_number("m", m, 1)
    rho = real_number("failure", failure, above=0.0, below=1.0)
    away = 1.0 - game.gamma
    source = "Lemma B.35"
    if known(variant, VARIANTS) == "paper":
        width = 2.0 * max(map(abs, game.local_reward_range))
        failed = ["the global reward is left out, and it is not 0 here"] if any(game.global_reward_range) else []
        logs = log(2.0 / rho) + _log_paper_entries(game, seen, parameterisation)
    else:
        low, high = game.reward_range
        width, failed = high - low, []
        logs = log(2.0 / rho) + _log_entries(game, seen, parameterisation)
    value = game.gamma * width / away**2 * sqrt(logs / (2.0 * samples))
    return bound(
        f"Bellman noise of m = {samples:,}, with probability {1 - rho:g}", value, source, {"ln(2 B / failure)": logs}, failed
    )


def samples_needed(
    game: GlobalLocalGame, k: int, parameterisation: Parameterisation = "histograms", variant: str = "corrected"
) -> float:
    r"""m*, with which the Bellman noise is at most :math:`2 / \sqrt k` with probability :math:`1 - 1 / (100 e^k)`; Lemma 4.3.

    .. math:: m = \frac{k \gamma^2 (r_{\max} - r_{\min})^2}{2 (1 - \gamma)^4} \ln(200\, e^k B), \qquad B = G A_g N_k

    which leaves :math:`1 / \sqrt k` for the iterations that were not made.

    Parameters
    ----------
    variant : ``"corrected"``. ``"paper"``: eq. (31), :math:`2 k^2 \gamma^2 \max |r_l|^2 \ln(200 e^k |S_g| |A_g| |S_l| k^{|S_l|}) /
        (1 - \gamma)^4`, which has a factor k too many and lacks the global reward. (Corollary B.37 exchanges the two
        parameterisations, and Lemma 4.3 has :math:`\tilde r` for :math:`\tilde r^2` in the second.)

    Raises
    ------
    InvalidData : k below 1. UnknownName : another variant or parameterisation.

    Examples
    --------
    >>> from eqsolve.mean_field.generators import warehouse
    >>> f"{samples_needed(warehouse(), 2, variant='paper'):.1e}"
    '2.0e+09'
    """
    seen = agents(k)
    factor = game.gamma**2 / (1.0 - game.gamma) ** 4
    if known(variant, VARIANTS) == "paper":
        loudest = max(map(abs, game.local_reward_range))
        return 2.0 * seen**2 * factor * loudest**2 * (log(200.0) + seen + _log_paper_entries(game, seen, parameterisation))
    low, high = game.reward_range
    return seen * factor * (high - low) ** 2 / 2.0 * (log(200.0) + seen + _log_entries(game, seen, parameterisation))


def local_samples(game: GlobalLocalGame, k: int, eps: float | None = None, failure: float = 0.01) -> Bound:
    r"""Theorem 4.6: how many samples L-LEARN draws for a local policy within eps of a best response; a number, not a gap.

    .. math:: \min\Big\{ \frac{|S_l|^5 |S_g|^2 k^{2 |S_l|} |A_l|}{\epsilon^2 (1-\gamma)^2},\
              \frac{k^5 |S_g|^2 |S_l|^k |A_l|}{\epsilon^2 (1-\gamma)^3} \Big\} \ln \frac1\delta

    Parameters
    ----------
    eps : in (0, 1], in reward units; :math:`1 / \sqrt k` when left out, as Algorithm 2 has it. failure : delta in (0, 1).

    Returns
    -------
    Bound whose value is a number of samples, up to the constants and logarithms that the paper hides in :math:`\tilde O`; None
    where k > n or the reward of a local agent is not in [0, 1], as UCFH needs.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    The bound of Dann and Brunskill (2015) has a factor C too, the largest number of successors of a state, which the paper drops;
    a multinomial step of c agents has :math:`\binom{c + |S_l| - 1}{|S_l| - 1}` of them. The best response is one in the chained
    process, whose actions depend on what a shared policy :math:`\pi_l(s_i, s_g)` does not see: its value is no value of such a
    policy.
    """
    seen = agents(k)
    sought = 1.0 / sqrt(seen) if eps is None else real_number("eps", eps, above=0.0)
    if sought > 1.0:
        raise InvalidData(f"eps is {sought:g}, not in (0, 1]", "UCFH is for errors of at most 1.")
    delta = real_number("failure", failure, above=0.0, below=1.0)
    G, Z, B = game.n_global_states, game.n_local_states, game.n_local_actions
    away, low, high = 1.0 - game.gamma, *game.local_reward_range
    common = log(1.0 / delta) / sought**2 * G**2 * B
    terms = {
        "histograms": common * power(seen, 2 * Z) * Z**5 / away**2,
        "tuples": common * power(Z, seen) * seen**5 / away**3,
    }
    failed = [f"k = {seen:,} exceeds n = {game.n:,}"] if seen > game.n else []
    if low < 0.0 or high > 1.0:
        failed.append(f"UCFH needs rewards in [0, 1], and those of the local agents range from {low:g} to {high:g}")
    return bound("samples of L-LEARN, without constants and logarithms", min(terms.values()), "Theorem 4.6", terms, failed)


def reward_draws(game: GlobalLocalGame, k: int, variant: str = "corrected") -> float:
    r"""Xi, how many rewards Algorithm 10 averages so that they are off by at most :math:`1 / \sqrt{200 k}`, probably.

    .. math:: \Xi = 100\, k\, R^2 \ln(200 \sqrt k), \qquad R = \text{width of } r_g + \text{width of } r_l

    by Hoeffding's inequality, with probability :math:`1 - 1 / (100 \sqrt k)` for one entry.

    Parameters
    ----------
    variant : ``"corrected"``. ``"paper"``: :math:`10 R k^{1/4} \sqrt{\ln(200 \sqrt k)}`, the square root of what is needed up to
        powers of k: Lemma F.4 has :math:`\Xi^2` in (57) where :math:`\Xi` belongs.

    Raises
    ------
    InvalidData : k below 1. UnknownName : another variant.

    Notes
    -----
    Rewards that are not stochastic have width 0. Neither form is a union bound over the entries; ``reward_noise`` is.
    """
    seen = agents(k)
    logs, width = log(200.0 * sqrt(seen)), _reward_width(game)
    if known(variant, VARIANTS) == "paper":
        return float(10.0 * width * seen**0.25 * sqrt(logs))
    return float(100.0 * seen * width**2 * logs)


def reward_noise(game: GlobalLocalGame, k: int, draws: int, failure: float = 0.01) -> Bound:
    r"""How far the fixed point with averaged rewards is from the one with expected rewards, with probability 1 - failure.

    .. math:: \frac{R}{1 - \gamma} \sqrt{\frac{\ln(2 B / \mathrm{failure})}{2\, \Xi}}, \qquad B = G A_g N_k

    Parameters
    ----------
    draws : Xi, the rewards that are averaged per entry, drawn once.

    Returns
    -------
    Bound in reward units.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    Corrects Lemma F.4: a union bound over all entries, and the noise of the rewards carried through the contraction. Rewards that
    are drawn anew in every iteration have no fixed point; this is for samples that stay the same.
    """
    seen, averaged = agents(k), whole_number("draws", draws, 1)
    rho = real_number("failure", failure, above=0.0, below=1.0)
    logs, width = log(2.0 / rho) + _log_entries(game, seen, "histograms"), _reward_width(game)
    value = width / (1.0 - game.gamma) * sqrt(logs / (2.0 * averaged))
    name = f"noise of {averaged:,} rewards, with probability {1 - rho:g}"
    return bound(name, value, "Lemma F.4, corrected", {"width": width, "ln(2 B / failure)": logs}, [])


def too_few_steps(game: GlobalLocalGame, k: int, steps: int | None) -> list[str]:
    """Why T is not what Theorem 4.2 wants; empty where it is."""
    needed = iterations(game, k)
    if steps is None:
        return ["the number T of Bellman updates is not known"]
    made = whole_number("steps", steps, 0)
    return [f"{made:,} Bellman updates are fewer than T = {needed:,}"] if made < needed else []


def too_few_samples(game: GlobalLocalGame, k: int, m: int | None, parameterisation: Parameterisation, variant: str) -> list[str]:
    """Why m is not what Lemma 4.3 wants; empty where it is."""
    needed = samples_needed(game, k, parameterisation, variant)
    if m is None:
        return ["the number m of samples is not known"]
    drawn = whole_number("m", m, 1)
    return [f"m = {drawn:,} samples are fewer than {needed:.4g}"] if drawn < needed else []


def _log_entries(game: GlobalLocalGame, k: int, parameterisation: str) -> float:
    """ln of the number of entries of Q_k."""
    pairs = log(game.n_global_states * game.n_global_actions)
    if known(parameterisation, PARAMETERISATIONS, "parameterisation") == "histograms":
        return pairs + log(size(k, game.n_local_states))
    return pairs + k * log(game.n_local_states)


def _log_paper_entries(game: GlobalLocalGame, k: int, parameterisation: str) -> float:
    """The same with the paper's |S_l| k^|S_l| for the number of histograms."""
    pairs, Z = log(game.n_global_states * game.n_global_actions), game.n_local_states
    if known(parameterisation, PARAMETERISATIONS, "parameterisation") == "histograms":
        return pairs + log(Z) + Z * log(k)
    return pairs + k * log(Z)


def _reward_width(game: GlobalLocalGame) -> float:
    """Of r_g + r_l as drawn; 0 for rewards that are not stochastic."""
    return float(sum(noise.width for noise in (game.global_noise, game.local_noise) if noise is not None))


def agents(k: int) -> int:
    """k, checked."""
    return whole_number("k", k, 1)


def known(name: str, names: tuple[str, ...], kind: str = "variant") -> str:
    """The name, if it is one of those known."""
    if name not in names:
        raise unknown(kind, name, names)
    return name


def power(base: int, exponent: int) -> float:
    """A power, infinite where it is too large for a float."""
    try:
        return float(base) ** exponent
    except OverflowError:
        return float("inf")


def _up(number: float) -> int:
    return -int(-number // 1)


def bound(name: str, value: float, source: str, terms: Mapping[str, float], failed: list[str]) -> Bound:
    """The bound, or why there is none."""
    if failed:
        return Bound(name, None, source, failed=tuple(failed))
    return Bound(name, value, source, terms)
