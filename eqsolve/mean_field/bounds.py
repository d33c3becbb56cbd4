r"""What the mean-field subsampling paper promises about gaps, each theorem as a function with its constants.

G and Z states, :math:`A_g` and :math:`A_l` actions, :math:`\tilde r = \max |r_g| + \max |r_l|`. The promises rest on a proof that
fails: Theorem B.18 compares :math:`Q_k` with :math:`Q_{k'}` and claims that they are equal where the histograms are, by Lemma B.23,
:math:`|\mathbb E \max f - \mathbb E \max g| \le \max |\mathbb E f - \mathbb E g|`, which is false since max is convex. Surrogate
values do fall with k. The numbers stand here as the paper's, never as certificates.
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log, sqrt

from eqsolve.arrays import real_number, whole_number
from eqsolve.certificates import Bound
from eqsolve.errors import InvalidData
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.sample_bounds import (
    VARIANTS,
    Parameterisation,
    agents,
    bellman_noise,
    bound,
    iterations,
    known,
    local_samples,
    power,
    reward_draws,
    reward_noise,
    samples_needed,
    too_few_samples,
    too_few_steps,
)

__all__ = [
    "GAP_VARIANTS",
    "VARIANTS",
    "alternations",
    "bellman_noise",
    "eta",
    "eta_exceeds_values",
    "first_useful_k",
    "global_gap",
    "iterations",
    "local_samples",
    "nash_gap_promised",
    "reward_draws",
    "reward_noise",
    "sampled_global_gap",
    "samples_needed",
    "stochastic_global_gap",
]

GAP_VARIANTS = ("paper", "appendix")


def eta(game: GlobalLocalGame, k: int) -> float:
    r"""The tolerance of UPDATE in Algorithm 3, and the promise of Theorem 4.8, in reward units.

    .. math:: \eta = \frac{2 \tilde r}{(1 - \gamma)^2} \Big( \sqrt{\frac{\ln(2 |S_l| |A_g| \sqrt k)}{2k}} + \frac{5}{\sqrt k} \Big)

    UPDATE accepts a proposal whose value is better by more than :math:`2 \eta`. No two values differ by more than
    :math:`\tilde r / (1 - \gamma)`; where :math:`2 \eta` is no less, the paper's algorithm ends at its first step and returns the
    uniform policies: see ``eta_exceeds_values`` and ``first_useful_k``.

    Raises
    ------
    InvalidData : k below 1.

    Examples
    --------
    >>> from eqsolve.mean_field.generators import warehouse
    >>> [round(eta(warehouse(), k)) for k in (1, 10)]
    [74223, 24178]
    """
    seen = agents(k)
    return 2.0 * game.reward_bound / (1.0 - game.gamma) ** 2 * _shape(game, seen, 5.0)


def eta_exceeds_values(game: GlobalLocalGame, k: int) -> bool:
    r"""Whether :math:`2 \eta \ge \tilde r / (1 - \gamma)`: UPDATE of the paper then never accepts and never rejects, it ends."""
    return 2.0 * eta(game, k) >= _largest_value(game)


def first_useful_k(game: GlobalLocalGame) -> int:
    r"""The smallest k with :math:`2 \eta < \tilde r / (1 - \gamma)`, whatever n is; 0 for a game without rewards.

    Examples
    --------
    >>> from eqsolve.mean_field.generators import warehouse
    >>> first_useful_k(warehouse())
    337968
    """
    if game.reward_bound == 0.0:
        return 0
    return _first(lambda k: not eta_exceeds_values(game, k))


def global_gap(
    game: GlobalLocalGame,
    k: int,
    *,
    noise: float | None = None,
    steps: int | None = None,
    variant: str = "paper",
) -> Bound:
    r"""Theorem 4.2: what a global policy learned on k agents loses against one that sees all n, for the same local policy.

    .. math:: \frac{2 \epsilon_{k,m}}{1 - \gamma} + \frac{2 \tilde r}{k (1 - \gamma)^2}
              + \frac{2 \tilde r}{(1 - \gamma)^2} \sqrt{\frac{\ln(2 k |S_l| |A_g|)}{2 k}}

    Parameters
    ----------
    noise : :math:`\epsilon_{k,m}`, in reward units; 0 for exact expectations. steps : T, the Bellman updates that were made.
    variant : ``"paper"``: Theorem 4.2 as printed. ``"appendix"``: Corollary B.33, for sampling without replacement,
        :math:`\frac{2 \tilde r}{(1-\gamma)^2} \big( \sqrt{\frac{n-k+1}{2nk} \ln(2 |S_l| |A_g| \sqrt k)} + \frac{1}{\sqrt k} \big) +
        \frac{2 \epsilon_{k,m}}{1-\gamma}` (the logarithm under the root as in Corollary B.37).

    Returns
    -------
    Bound in reward units; None where k > n, rewards can be negative, the noise is not known, or T is too small.

    Raises
    ------
    InvalidData : k below 1, a negative noise. UnknownName : another variant.

    Notes
    -----
    The proof is false (see the top of this module), and both forms exceed the trivial :math:`\tilde r / (1 - \gamma)` until k is
    large. The two differ in more than their constants: neither is a restatement of the other.
    """
    seen = agents(k)
    epsilon = None if noise is None else real_number("noise", noise, least=0.0)
    failed = [*_assumptions(game, seen), *too_few_steps(game, seen, steps)]
    if epsilon is None:
        failed.append("the Bellman noise is not known: neither m nor an exact solution is given")
        epsilon = 0.0
    away = 1.0 - game.gamma
    scale = 2.0 * game.reward_bound / away**2
    terms = {"2 noise / (1 - gamma)": 2.0 * epsilon / away}
    if known(variant, GAP_VARIANTS) == "paper":
        terms["rare samples"] = scale / seen
        terms["sampling"] = scale * sqrt(log(2.0 * seen * game.n_local_states * game.n_global_actions) / (2.0 * seen))
        source = "Theorem 4.2"
    else:
        terms |= _appendix_terms(game, seen, scale)
        source = "Corollary B.33"
    return bound("paper bound of the global agent's gap", sum(terms.values()), source, terms, failed)


def sampled_global_gap(
    game: GlobalLocalGame,
    k: int,
    m: int | None,
    *,
    steps: int | None = None,
    parameterisation: Parameterisation = "histograms",
    variant: str = "corrected",
) -> Bound:
    r"""Theorem 4.4: Theorem 4.2 with the noise of enough samples, with probability :math:`1 - 1 / (100 e^k)`.

    .. math:: \frac{2 \tilde r}{(1-\gamma)^2} \Big( \sqrt{\frac{n-k+1}{2nk} \ln(2 |S_l| |A_g| \sqrt k)} + \frac{1}{\sqrt k} \Big)
              + \frac{4}{\sqrt k (1 - \gamma)}

    with the constants of Corollary B.37; Theorem 4.4 itself hides them in O(.).

    Parameters
    ----------
    m : samples per entry, None when unknown. steps : T. parameterisation, variant : of ``samples_needed``, which m must reach.

    Returns
    -------
    Bound in reward units; None where k > n, rewards can be negative, T is too small, m is unknown or too small.

    Raises
    ------
    InvalidData : k or m below 1. UnknownName : another variant or parameterisation.

    Notes
    -----
    Rests on Theorem 4.2, whose proof is false.
    """
    seen = agents(k)
    failed = [
        *_assumptions(game, seen),
        *too_few_steps(game, seen, steps),
        *too_few_samples(game, seen, m, parameterisation, variant),
    ]
    away = 1.0 - game.gamma
    terms = _appendix_terms(game, seen, 2.0 * game.reward_bound / away**2) | {"noise": 4.0 / (sqrt(seen) * away)}
    name = f"paper bound of the global agent's gap, with probability {1 - 0.01 * exp(-seen):.12g}"
    return bound(name, sum(terms.values()), "Theorem 4.4, constants of Corollary B.37", terms, failed)


def nash_gap_promised(
    game: GlobalLocalGame,
    k: int,
    m: int | None,
    *,
    steps: int | None = None,
    rounds: int | None = None,
    local_error: float | None = None,
    parameterisation: Parameterisation = "histograms",
) -> Bound:
    r"""Theorem 4.8: the policies of ALTERNATING-MARL are a :math:`2 \eta`-approximate Nash equilibrium; see ``eta``.

    Parameters
    ----------
    m, steps, parameterisation : of G-LEARN; see ``sampled_global_gap``.
    rounds : the alternations that were allowed, at least ``alternations(game, k, variant="paper")`` of them; None when the run
        ended by the rule of UPDATE.
    local_error : :math:`\epsilon_l`, how far the local policies were from best responses; at most :math:`\eta`, None when unknown.

    Returns
    -------
    Bound in reward units; None where k > n, rewards can be negative, m, T, the rounds or the local error do not fit or are unknown.

    Raises
    ------
    InvalidData : a parameter out of range. UnknownName : another parameterisation.

    Notes
    -----
    Appendix D.17 prints another :math:`\eta`, with the factor (n - k + 1) / n under the root and other lower terms. Beside the
    false Theorem 4.2, two steps of the proof fail. Lemma D.15: UPDATE also ends where one state gains and another does not. Lemma
    D.4: with the reward :math:`r_l / n` of one agent there is no common potential, since its deviation moves the rewards of all
    through :math:`s_g`; with the team's reward there is. A deviation of one agent of n changes its own part by O(1 / n), so that
    the claim is about n times smaller quantities than :math:`\eta`.
    """
    seen = agents(k)
    promise = eta(game, seen)
    failed = [
        *_assumptions(game, seen),
        *too_few_steps(game, seen, steps),
        *too_few_samples(game, seen, m, parameterisation, "paper"),
    ]
    if rounds is not None:
        allowed, needed = whole_number("rounds", rounds, 0), alternations(game, seen, variant="paper")
        if allowed < needed:
            failed.append(f"{allowed:,} rounds are fewer than N_steps = {needed:.4g}")
    if local_error is None:
        failed.append("the error of the local best responses is not known")
    elif real_number("local_error", local_error, least=0.0) > promise:
        failed.append(f"the local best responses are off by {local_error:.4g}, more than eta = {promise:.4g}")
    largest = _largest_value(game)
    terms = {"eta": promise, "largest value": largest}
    return bound("paper bound of the Nash gap, 2 eta", 2.0 * promise, "Theorem 4.8", terms, failed)


def alternations(game: GlobalLocalGame, k: int, tolerance: float | None = None, variant: str = "corrected") -> float:
    r"""After how many alternations the dynamics must have stopped.

    Every accepted proposal raises the team's value from the initial law by more than the tolerance, and two proposals in a row that
    are not accepted end the run: at most :math:`2 \lfloor (r_{\max} - r_{\min}) / ((1 - \gamma)\, \mathrm{tolerance}) \rfloor + 2`
    proposals.

    Parameters
    ----------
    tolerance : above 0, in reward units; needed for ``"corrected"``.
    variant : ``"corrected"``: half of the above, two proposals being one alternation. ``"paper"``: N_steps of Theorem 4.8 in the
        form of Lemma D.16, :math:`\min\{ \tilde r / (\eta (1 - \gamma)),\ 2 |S_g|^2 |S_l|^2 k^{|S_l|} |A_g| |A_l|,\ |S_g|^2
        |S_l|^{k+1} |A_g| |A_l| \}`.

    Raises
    ------
    InvalidData : k below 1, a tolerance that is missing or not positive. UnknownName : another variant.

    Notes
    -----
    The paper counts the pairs of policies as :math:`|S_g| |S_l|^k |A_g| \cdot |S_g| |S_l| |A_l|`; there are
    :math:`|A_g|^{|S_g| |S_l|^k} |A_l|^{|S_g| |S_l|}` deterministic ones, so that this part is no bound. In the text of Theorem 4.8
    the exponents of :math:`k^{|S_l|}` are misprinted. Observed: 2 to 3 alternations.
    """
    seen = agents(k)
    if known(variant, VARIANTS) == "paper":
        G, Z, A, B = game.n_global_states, game.n_local_states, game.n_global_actions, game.n_local_actions
        promise = eta(game, seen)
        by_value = game.reward_bound / (promise * (1.0 - game.gamma)) if promise else 0.0
        pairs = float(G**2 * A * B)
        return min(by_value, 2.0 * pairs * Z**2 * power(seen, Z), pairs * power(Z, seen + 1))
    if tolerance is None:
        raise InvalidData("tolerance is left out", "Without one, improvements may be as small as rounding.")
    return float(game.value_span // real_number("tolerance", tolerance, above=0.0)) + 1.0


def stochastic_global_gap(
    game: GlobalLocalGame, k: int, draws: int | None, *, noise: float | None = None, steps: int | None = None
) -> Bound:
    r"""Lemma F.4: Theorem 4.2 for stochastic rewards, the noise being larger by :math:`1 / \sqrt{200 k}`.

    Parameters
    ----------
    draws : Xi; at least ``reward_draws(game, k)``. noise, steps : see ``global_gap``.

    Returns
    -------
    Bound in reward units; None where a hypothesis of Theorem 4.2 fails, or Xi is unknown or too small.

    Raises
    ------
    InvalidData : a parameter out of range.

    Notes
    -----
    The paper states it for one entry at a time and as :math:`\tilde O(1 / \sqrt k)`; the constants are those of Theorem 4.2, whose
    proof is false.
    """
    seen = agents(k)
    extra, needed = 1.0 / sqrt(200.0 * seen), reward_draws(game, seen)
    plain = global_gap(game, seen, noise=None if noise is None else noise + extra, steps=steps)
    failed = list(plain.failed)
    if draws is None:
        failed.append("the number of rewards that are averaged is not known")
    elif whole_number("draws", draws, 1) < needed:
        failed.append(f"{draws:,} rewards are averaged, fewer than Xi = {needed:.4g}")
    value = sum(plain.terms.values())
    name = f"paper bound of the global agent's gap, with probability {1 - 0.01 / sqrt(seen):.4g}"
    return bound(name, value, "Lemma F.4", plain.terms, failed)


def _assumptions(game: GlobalLocalGame, k: int) -> list[str]:
    failed = [f"k = {k:,} exceeds n = {game.n:,}"] if k > game.n else []
    if not game.has_positive_rewards:
        failed.append("rewards can be negative (Assumption 2.2)")
    return failed


def _appendix_terms(game: GlobalLocalGame, k: int, scale: float) -> dict[str, float]:
    inside = log(2.0 * game.n_local_states * game.n_global_actions * sqrt(k))
    left = max(game.n - k + 1, 0) / game.n
    return {"sampling": scale * sqrt(left * inside / (2.0 * k)), "rare samples": scale / sqrt(k)}


def _shape(game: GlobalLocalGame, k: int, rare: float) -> float:
    return sqrt(log(2.0 * game.n_local_states * game.n_global_actions * sqrt(k)) / (2.0 * k)) + rare / sqrt(k)


def _largest_value(game: GlobalLocalGame) -> float:
    return game.reward_bound / (1.0 - game.gamma)


def _first(holds: Callable[[int], bool]) -> int:
    """The smallest k >= 1 for which it holds, where it holds from some k on."""
    high = 1
    while not holds(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
