r"""The theorems of the Bayesian-network paper, each as a function with its constants, as printed and as they can be proved.

N agents, S states, A joint actions, :math:`\Delta r = r_{\max} - r_{\min}`,
:math:`h = \sum_i 1 / |\mathcal A^{\mathcal P^i}|`, :math:`B = \max_i |\mathcal A^{\mathcal P^i}| |\mathcal A^i|`, and M the
mismatch coefficient of the joint process, the same for product, network and joint policies: deterministic ones attain it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ldexp, prod, sqrt
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, frozen, real_number
from eqsolve.bayesian_network.factors import LARGEST, in_words
from eqsolve.bayesian_network.game import CooperativeMarkovGame
from eqsolve.bayesian_network.network import BayesianNetwork, InvalidNetwork, as_network
from eqsolve.bayesian_network.policy import BayesianNetworkPolicy, check_plays
from eqsolve.certificates import Bound
from eqsolve.errors import InvalidData, InvalidGame, unknown
from eqsolve.mdp import Mismatch, mismatch_coefficient

NashVariant = Literal["paper", "corrected", "sharp"]
OptimalVariant = Literal["paper", "corrected", "telescoped"]
StationaryVariant = Literal["paper", "telescoped"]
NASH_VARIANTS = ("paper", "corrected", "sharp")
OPTIMAL_VARIANTS = ("paper", "corrected", "telescoped")
STATIONARY_VARIANTS = ("paper", "telescoped")

Coefficients: TypeAlias = "tuple[float, float, float, float]"
"""Of :math:`T = a / \\epsilon^2 + b / \\epsilon + c`, and the price: :math:`\\lambda = \\epsilon` / price."""


@dataclass(frozen=True, slots=True)
class Iterations:
    """How many steps a theorem asks for.

    Parameters
    ----------
    count : T, not rounded; infinite where it is too large for a float.
    lam : the weight of the barrier that the theorem sets.
    terms : the two parts of T: from the smoothness of the value, and of the barrier.
    """

    count: float
    lam: float
    terms: Mapping[str, float]


def smoothness(game: CooperativeMarkovGame, network: BayesianNetwork, lam: float) -> float:
    r"""An upper bound of the smoothness of :math:`L_\lambda`, whose inverse is the stepsize of the theorems.

    .. math:: \beta_\lambda = \frac{8 N \Delta r}{(1 - \gamma)^3} + \sum_i \frac{2 \lambda}{|S| |\mathcal A^{\mathcal P^i}|}

    Source: Lemma 4. The range of the rewards may be a bound of it, where they are a sum of factors.

    Raises
    ------
    InvalidData : lambda is not above 0. InvalidNetwork : for another number of agents.
    """
    size = _Sizes.of(game, network)
    weight = real_number("lam", lam, above=0.0)
    return 8.0 * size.N * size.span / size.away**3 + 2.0 * weight * size.h / size.S


def iterations_nash(
    game: CooperativeMarkovGame, network: BayesianNetwork, eps: float, M: float, variant: NashVariant = "corrected"
) -> Iterations:
    r"""Theorem 1: after how many steps of gradient ascent some iterate has a Nash gap of at most eps.

    .. math:: T \ge \frac{32 M^2 S^2 B^2 \beta_\lambda \Delta r}{(1 - \gamma) \epsilon^2}
              = \frac{256 N M^2 S^2 B^2 \Delta r^2}{(1 - \gamma)^4 \epsilon^2}
              + \frac{32 M S B^2 h \Delta r}{(1 - \gamma) \epsilon}, \qquad \lambda = \frac{\epsilon}{2 M}

    Then :math:`\|\nabla L_\lambda\| \le \sqrt{2 \beta_\lambda \Delta r / (T (1 - \gamma))} \le \lambda / (2 S B)` at some iterate,
    which is what Lemma 2 needs. Holds from the uniform policy, with the stepsize :math:`1 / \beta_\lambda`, for the best iterate.

    Parameters
    ----------
    eps : above 0, in reward units. M : ``mismatch(game).value``, finite.
    variant : ``"corrected"``. ``"paper"``: as printed, with :math:`\max_i |\mathcal A^i|` for B, which is proved for product
        policies only, and a second term with another factor lambda, :math:`32 \lambda M \ldots / ((1 - \gamma) \epsilon)`, into
        which :math:`\lambda = \epsilon / 2M` is put. ``"sharp"``: with :math:`\lambda = \epsilon / M` and
        :math:`\|\nabla L_\lambda\| \le \lambda / (S B)`, which needs a sixteenth of the first term and an eighth of the second.

    Raises
    ------
    InvalidData : eps or M out of range. UnknownName : another variant. InvalidNetwork : for another number of agents.

    Notes
    -----
    The printed proof allows every stepsize up to :math:`1 / \beta_\lambda`; smaller ones take proportionally more steps.
    """
    return _iterations(_nash(_Sizes.of(game, network), _coefficient(M), variant), eps)


def iterations_optimal(
    game: CooperativeMarkovGame, network: BayesianNetwork, eps: float, M: float, variant: OptimalVariant = "telescoped"
) -> Iterations:
    r"""Theorem 2: after how many steps over a dense network some iterate has an optimality gap of at most eps.

    .. math:: T \ge \frac{2 \beta_\lambda N S^2 A^2 M^2 \Delta r}{(1 - \gamma) \epsilon^2}
              = \frac{16 N^2 S^2 A^2 M^2 \Delta r^2}{(1 - \gamma)^4 \epsilon^2}
              + \frac{4 N S A^2 M h \Delta r}{(1 - \gamma) \epsilon}, \qquad \lambda = \frac{\epsilon}{M}

    Then :math:`\|\nabla L_\lambda\| \le \lambda / (\sqrt N S A)` at some iterate, which is what ``stationary_optimal`` needs. Holds
    from the uniform policy, with the stepsize :math:`1 / \beta_\lambda`, for the best iterate.

    Parameters
    ----------
    eps, M : see ``iterations_nash``.
    variant : ``"telescoped"``. ``"paper"``: as printed,

        .. math:: \frac{2^{N+8} N^3 M^2 S^2 A^2 \max_i |\mathcal A^i|^2 \Delta r^2}{(1 - \gamma)^4 \epsilon^2}
                  + \frac{8 N M S A^2 \max_i |\mathcal A^i|^2 h \Delta r}{(1 - \gamma) \epsilon}.

        ``"corrected"``: the same argument with its arithmetic put right: :math:`\lambda = \epsilon / (2^{N+1} N M)` squared makes
        :math:`2^{2N+8}` of the first power and :math:`2^{N+5}` of the 8. Both rest on the printed Lemma 3; see
        ``stationary_optimal`` for where it holds.

    Raises
    ------
    InvalidNetwork : the network is not dense. InvalidData, UnknownName : see ``iterations_nash``.
    """
    return _iterations(_optimal(_dense(_Sizes.of(game, network)), _coefficient(M), variant), eps)


def promised_nash(
    game: CooperativeMarkovGame, network: BayesianNetwork, T: float, M: float, variant: NashVariant = "corrected"
) -> float:
    """The smallest Nash gap that Theorem 1 promises after T steps, with lambda set for it; infinite where it promises none.

    The inverse of ``iterations_nash``, which raises the same.
    """
    return _promised(_nash(_Sizes.of(game, network), _coefficient(M), variant), T)


def promised_optimal(
    game: CooperativeMarkovGame, network: BayesianNetwork, T: float, M: float, variant: OptimalVariant = "telescoped"
) -> float:
    """The smallest optimality gap that Theorem 2 promises after T steps; see ``promised_nash`` and ``iterations_optimal``."""
    return _promised(_optimal(_dense(_Sizes.of(game, network)), _coefficient(M), variant), T)


def stationary_nash(
    game: CooperativeMarkovGame,
    network: BayesianNetwork,
    lam: float,
    gradient_norm: float,
    mismatch: Mismatch,
    variant: NashVariant = "corrected",
) -> Bound:
    r"""Lemma 2: near a stationary point of :math:`L_\lambda` the Nash gap is at most :math:`2 \lambda M`.

    Parameters
    ----------
    lam : lambda > 0, in reward units.
    gradient_norm : Euclidean, of the gradient of :math:`L_\lambda` by all logits.
    mismatch : of the joint process; ``mismatch(game)``.
    variant : ``"corrected"``: where the gradient is at most :math:`\lambda / (2 S B)`, which is all that the proof uses.
        ``"paper"``: where it is at most :math:`\lambda / (2 S A \max_i |\mathcal A^i|)`, as printed. ``"sharp"``: :math:`\lambda M`
        where it is at most :math:`\lambda / (S B)`.

    Returns
    -------
    Bound in reward units; None where the gradient is too large or M is infinite.

    Raises
    ------
    InvalidData : lambda or the norm out of range. UnknownName : another variant. InvalidNetwork : for another number of agents.

    Notes
    -----
    For an action of advantage :math:`A^i \ge 0`, the gradient g of its logit gives, with d not normalised,

    .. math:: d(s, a^{\mathcal P}) A^i = \frac{g}{\pi^i} + \frac{\lambda}{S |\mathcal A^{\mathcal P}|}
              \Big( 1 - \frac{1}{\pi^i |\mathcal A^i|} \Big) \le \frac{\lambda}{S |\mathcal A^{\mathcal P}|}
              \quad\text{if}\quad g \le \frac{\lambda}{S |\mathcal A^{\mathcal P}| |\mathcal A^i|},

    the sharp form. The printed proof ends in :math:`2 \lambda M / |\mathcal A^{\mathcal P^i}|` one step before, which is wrong (the
    sum over the parents' actions makes 1 of it), and has :math:`1 - \lambda` for :math:`1 - \gamma`.
    """
    size, source = _Sizes.of(game, network), "Lemma 2"
    need, price = _nash_needs(size, variant)
    if variant == "paper":
        need = 2.0 * size.S * size.A * size.widest
    what = {"paper": "2 S |A| max |A^i|", "corrected": "2 S max |A^P| |A^i|", "sharp": "S max |A^P| |A^i|"}[variant]
    return _stationary(f"Nash gap near a stationary point, {variant}", source, lam, gradient_norm, need, what, mismatch, price, ())


def stationary_optimal(
    game: CooperativeMarkovGame,
    network: BayesianNetwork,
    lam: float,
    gradient_norm: float,
    mismatch: Mismatch,
    variant: StationaryVariant = "telescoped",
) -> Bound:
    r"""Lemma 3: near a stationary point over a dense network the optimality gap is at most :math:`\lambda M`.

    Parameters
    ----------
    lam, gradient_norm, mismatch : see ``stationary_nash``.
    variant : ``"telescoped"``: where the gradient is at most :math:`\lambda / (\sqrt N S A)`. ``"paper"``:
        :math:`2^{N+1} N \lambda M` where it is at most :math:`\lambda / (2 S A \max_i |\mathcal A^i|)`, as printed.

    Returns
    -------
    Bound in reward units; None where the network is not dense, the gradient is too large, or M is infinite.

    Raises
    ------
    InvalidData, UnknownName, InvalidNetwork : see ``stationary_nash``.

    Notes
    -----
    With :math:`q_i = \pi(a^{\le i} \mid s)` and :math:`Z_i = 1 / (q_i |\mathcal A^{\le i}|)`, the gradients g of the actions of one
    joint action add up to

    .. math:: Q(s, a) - V(s) = \sum_i \frac{g_i}{d(s)\, q_i} + \frac{\lambda}{d(s) S} \sum_i (Z_{i-1} - Z_i)
              \le \frac{1}{d(s)} \Big( \frac{\sqrt N \|g\|}{\pi(a \mid s)} + \frac{\lambda}{S}
              - \frac{\lambda}{S A\, \pi(a \mid s)} \Big).

    The printed proof uses :math:`\pi^i \ge 1 / (2 |\mathcal A^i|)` for all actions, which holds for those of advantage at least 0
    only. Its value follows from the above where :math:`\sqrt N \le 2 \max_i |\mathcal A^i|`; else nothing proves it.
    """
    size, source = _Sizes.of(game, network), "Lemma 3"
    _check_variant(variant, STATIONARY_VARIANTS)
    failed = [] if size.dense else [_NOT_DENSE]
    name = f"optimality gap near a stationary point, {variant}"
    if variant == "telescoped":
        need, what = sqrt(size.N) * size.S * size.A, "sqrt(N) S |A|"
        return _stationary(name, source, lam, gradient_norm, need, what, mismatch, 1.0, failed)
    if 4 * size.widest**2 < size.N:
        failed.append(f"the printed proof is invalid, and N = {size.N} exceeds 4 max |A^i|^2 = {4 * size.widest**2}")
    need = 2.0 * size.S * size.A * size.widest
    price = _power(size.N + 1) * size.N
    return _stationary(name, source, lam, gradient_norm, need, "2 S |A| max |A^i|", mismatch, price, failed)


def a_posteriori(
    game: CooperativeMarkovGame,
    policy: BayesianNetworkPolicy,
    lam: float,
    gradient_norm: float,
    visits: npt.ArrayLike,
    best_visits: npt.ArrayLike,
) -> Bound:
    r"""What the stationarity of one policy says about its optimality gap, with the visits themselves instead of M.

    .. math:: \sum_s d^*(s)\, \frac{\lambda}{S\, d(s)}

    Parameters
    ----------
    policy : over a dense network. lam, gradient_norm : see ``stationary_nash``; at the policy.
    visits, best_visits : (S,) discounted visits of the policy and of a best one from the initial distribution; both normalised, or
        both not.

    Returns
    -------
    Bound in reward units; None where the network is not dense, the gradient is above :math:`\lambda / (\sqrt N S A)`, or the policy
    leaves out a state that the best one visits.

    Raises
    ------
    InvalidPolicy : of another game. InvalidData : lambda or the norm out of range; visits that are negative, of another length, or
        normalised differently.

    Notes
    -----
    Source: ``stationary_optimal``, before its last step; never more than :math:`\lambda M`.
    """
    check_plays(policy, game.n_states, game.n_actions)
    size = _Sizes.of(game, policy.network)
    d, best = _visits("visits", visits, game), _visits("best_visits", best_visits, game)
    if abs(d.sum() - best.sum()) > 1e-6 * max(d.sum(), best.sum()):
        raise InvalidData(
            f"visits sum to {d.sum():.6g} and best_visits to {best.sum():.6g}", "Normalise both by 1 - gamma, or neither."
        )
    weight, norm = real_number("lam", lam, above=0.0), real_number("gradient_norm", gradient_norm, least=0.0)
    failed = [] if size.dense else [_NOT_DENSE]
    failed += _too_large(norm, weight, sqrt(size.N) * size.S * size.A, "sqrt(N) S |A|")
    used = best > 0
    left_out = np.flatnonzero(used & (d == 0))
    if len(left_out):
        failed.append(f"the policy never visits state {game.state_label(int(left_out[0]))}, which the best one visits")
    name, source = "optimality gap from the visits", "Lemma 3, telescoped"
    if failed:
        return Bound(name, None, source, failed=tuple(failed))
    ratio = float((best[used] / d[used]).sum()) / game.n_states
    return Bound(name, weight * ratio, source, {"lambda": weight, "mean of d* / d": ratio})


def mismatch(game: CooperativeMarkovGame) -> Mismatch:
    r"""M, the mismatch coefficient of the joint process: the largest ratio of the visits of two policies in one state.

    .. math:: M = \max_{\pi, \pi'} \Big\| \frac{d_\mu^\pi}{d_\mu^{\pi'}} \Big\|_\infty

    1 with one state, or without a future. Otherwise 2 S programs over the joint actions; see ``mismatch_coefficient``. Finite
    where the initial distribution gives every state some weight.

    Raises
    ------
    InvalidGame : the joint process does not fit in memory; its size is told.

    Examples
    --------
    >>> from eqsolve.bayesian_network import coordination_line
    >>> mismatch(coordination_line(50, 5)).value
    1.0
    """
    if game.n_states == 1 or game.gamma == 0.0:
        visits = frozen(game.initial / (1.0 - game.gamma))
        met = visits > 0
        unreachable = tuple(game.state_label(int(s)) for s in np.flatnonzero(~met))
        return Mismatch(1.0, int(np.argmax(met)), frozen(np.where(met, 1.0, np.nan)), visits, visits, unreachable)
    sides = (game.n_states, game.n_joint) if game.kernel is not None else (game.n_states, game.n_joint, game.n_states)
    if prod(sides) > LARGEST:
        raise InvalidGame(
            f"the mismatch coefficient is found over joint actions, and {game.n_agents} agents have {in_words(game.n_joint)} of "
            f"them in each of {game.n_states:,} states: {in_words(prod(sides))} numbers",
            f"At most {LARGEST:,} are held. The exact gaps need no such coefficient.",
        )
    return mismatch_coefficient(game.joint_mdp())


_NOT_DENSE = "the network is not dense: it cannot represent every joint policy"


@dataclass(frozen=True, slots=True)
class _Sizes:
    """The constants of a game and a network; infinite where they are too large for a float."""

    N: int
    S: int
    A: float
    widest: int
    family: int
    h: float
    span: float
    away: float
    dense: bool

    @staticmethod
    def of(game: CooperativeMarkovGame, network: BayesianNetwork) -> _Sizes:
        checked, m = as_network(network, game.n_agents), game.n_actions
        low, high = game.reward_range
        parents = [prod(m[j] for j in found) for found in checked.parents]
        family = max(one * own for one, own in zip(parents, m, strict=True))
        h = sum(1.0 / _as_float(one) for one in parents)
        dense = checked.is_dense
        return _Sizes(len(m), game.n_states, _as_float(game.n_joint), max(m), family, h, high - low, 1.0 - game.gamma, dense)


def _nash(size: _Sizes, M: float, variant: str) -> Coefficients:
    need, price = _nash_needs(size, variant)
    if variant != "paper":
        return _coefficients(size, need, price * M)
    a, _, _, lam = _coefficients(size, 2.0 * size.S * size.widest, price * M)
    return a, 0.0, _times(16.0 * size.S * size.widest**2, size.h, size.span / size.away), lam


def _nash_needs(size: _Sizes, variant: str) -> tuple[float, float]:
    """How many times smaller than lambda the gradient must be, and the gap in units of lambda M."""
    _check_variant(variant, NASH_VARIANTS)
    family = size.S * _as_float(size.family)
    return (family, 1.0) if variant == "sharp" else (2.0 * family, 2.0)


def _optimal(size: _Sizes, M: float, variant: str) -> Coefficients:
    _check_variant(variant, OPTIMAL_VARIANTS)
    if variant == "telescoped":
        return _coefficients(size, sqrt(size.N) * size.S * size.A, M)
    N, widest = size.N, size.widest
    price = _power(N + 1) * N * M
    if variant == "corrected":
        return _coefficients(size, 2.0 * size.S * size.A * widest, price)
    both = size.S * size.A * widest
    a = _times(_power(N + 8) * N**3, M, M, both, both, size.span / size.away**2, size.span / size.away**2)
    b = _times(8.0 * N * M, both, size.A * widest, size.h, size.span / size.away)
    return a, b, 0.0, price


def _coefficients(size: _Sizes, need: float, price: float) -> Coefficients:
    r"""Solve :math:`\sqrt{2 \beta \Delta r / (T (1 - \gamma))} = \lambda / \text{need}` with lambda = eps / price for T."""
    squared = _times(2.0 * size.span / size.away, need, need)
    a = _times(squared, price, price, 8.0 * size.N * size.span / size.away**3)
    b = _times(squared, price, 2.0 * size.h / size.S)
    return a, b, 0.0, price


def _iterations(coefficients: Coefficients, eps: float) -> Iterations:
    gap = real_number("eps", eps, above=0.0)
    a, b, c, price = coefficients
    terms = {"smoothness of the value": a / gap / gap, "smoothness of the barrier": b / gap + c}
    return Iterations(sum(terms.values()), gap / price, terms)


def _promised(coefficients: Coefficients, T: float) -> float:
    """The eps > 0 with a / eps^2 + b / eps + c = T."""
    a, b, c, _ = coefficients
    left = real_number("T", T, above=0.0) - c
    if not left > 0.0:
        return np.inf
    half = 0.5 * b / left
    return half + sqrt(half * half + a / left)


def _stationary(
    name: str,
    source: str,
    lam: float,
    gradient_norm: float,
    need: float,
    what: str,
    found: Mismatch,
    price: float,
    failed: list[str] | tuple[str, ...],
) -> Bound:
    """price lambda M where the gradient is at most lambda / need and nothing failed before."""
    weight, norm = real_number("lam", lam, above=0.0), real_number("gradient_norm", gradient_norm, least=0.0)
    reasons = [*failed, *_too_large(norm, weight, need, what)]
    if not np.isfinite(found.value):
        reasons.append(f"the mismatch coefficient M is infinite: {found.reason}")
    if reasons:
        return Bound(name, None, source, failed=tuple(reasons))
    return Bound(name, price * weight * found.value, source, {"lambda": weight, "M": found.value, "times": price})


def _too_large(norm: float, weight: float, need: float, what: str) -> list[str]:
    most = weight / need
    return [f"the gradient has norm {norm:.4g}, above lambda / ({what}) = {most:.4g}"] if norm > most else []


def _visits(name: str, given: npt.ArrayLike, game: CooperativeMarkovGame) -> FloatArray:
    array = float_array(name, given, (game.n_states,))
    if array.min() < 0:
        s = int(np.argmax(array < 0))
        raise InvalidData(f"{name}[{s}] is {array[s]:g}, negative visits")
    return array


def _dense(size: _Sizes) -> _Sizes:
    if not size.dense:
        raise InvalidNetwork(
            "the network is not dense", "Theorem 2 is about networks that represent every joint policy; see Theorem 1."
        )
    return size


def _coefficient(M: float) -> float:
    """M, at least 1 up to rounding."""
    return max(real_number("M", M, least=1.0 - 1e-6), 1.0)


def _check_variant(variant: str, known: tuple[str, ...]) -> None:
    if variant not in known:
        raise unknown("variant", variant, known)


def _times(*numbers: float) -> float:
    """A product in which 0 times infinity is 0."""
    return 0.0 if 0.0 in numbers else prod(numbers)


def _as_float(number: int) -> float:
    return _or_infinite(float, number)


def _power(exponent: int) -> float:
    """2 to a power."""
    return _or_infinite(lambda k: ldexp(1.0, k), exponent)


def _or_infinite(made: Callable[[int], float], number: int) -> float:
    try:
        return made(number)
    except OverflowError:
        return np.inf
