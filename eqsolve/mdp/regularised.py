r"""Entropy- and chi-square-regularised decision processes: improvement, evaluation, optimal policies with bounds.

A regulariser charges every state for its policy. Its soft maximum over the actions is monotone and commutes with constants, so
that single sweeps bound the regularised values as they bound plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, real_number
from eqsolve.certificates.rounding import UNIT
from eqsolve.mdp.certificate import ValueBracket, sweeps, value_bracket
from eqsolve.mdp.enclosure import Enclosure, Interval, check_size, expectation
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.simplex import batch, project, segments
from eqsolve.mdp.start_vector import solve_near

ROUNDS = 200
"""Policies tried at most; the bracket tells how good the last one is."""


class Regulariser(Protocol):
    """What a state is charged for its policy, and the best policy under it."""

    def improve(self, q: FloatArray, first: IntArray, step: int) -> tuple[FloatArray, FloatArray]:
        """Soft maximum (S,) and the policy (K,) that attains it."""

    def charge(self, policy: FloatArray, step: int) -> FloatArray:
        """(K,) per pair, so that the mean over the policy of a state is what the state is charged."""

    def rounding(self, q: FloatArray, first: IntArray) -> FloatArray:
        """(S,) a bound of the error of ``improve``."""


@dataclass(frozen=True, slots=True, eq=False)
class RegularisedOptimum:
    """An optimal regularised policy and bounds of the optimal regularised values.

    Parameters
    ----------
    policy : (K,), with a horizon (H, K).
    bracket : true bounds of the optimal regularised values, up to the error of exp and log in the library of the machine, taken
        as at most 8 units in the last place.
    iterations : policies evaluated.
    """

    policy: FloatArray
    bracket: ValueBracket
    iterations: int

    @property
    def values(self) -> FloatArray:
        """(S,) the middle of the bracket."""
        return np.asarray(0.5 * (self.bracket.lower + self.bracket.upper))


def soft_maximum(
    q: npt.ArrayLike, tau: float, *, reference: npt.ArrayLike | None = None, first: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Entropy-regularised maximum of every state, and the policy that attains it.

    .. math:: v = \tau \log \sum_a \rho_a\, e^{q_a / \tau}, \qquad \pi_a = \rho_a\, e^{(q_a - v) / \tau}

    Parameters
    ----------
    q : (..., A) payoffs, in reward units; with ``first`` (K,), the actions of all states one after the other.
    tau : temperature >= 0, in reward units. At 0 the limit: the maximum, and rho restricted to the best actions.
    reference : rho in the shape of q, each state summing to 1: relative entropy; 1 everywhere when left out: entropy.
    first : (S + 1,) the first pair of each state, and K.

    Returns
    -------
    v (...) and the policy in the shape of q.

    Raises
    ------
    InvalidMDP : a negative temperature, shapes that differ, a reference that is no policy.

    Examples
    --------
    >>> v, policy = soft_maximum([0.0, 0.0], 1.0)
    >>> float(v), policy
    (0.6931471805599453, array([0.5, 0.5]))
    """
    temperature = real_number("tau", tau, least=0.0, error=InvalidMDP)
    if reference is None:
        payoff = float_array("q", q, error=InvalidMDP)
        starts, rho = segments(payoff, first), np.ones_like(payoff)
    else:
        payoff, rho, starts = batch(q, reference, first)
    v, policy = _log_sum_exp(payoff.reshape(-1), rho.reshape(-1), temperature, starts)
    shape = payoff.shape[:-1] if first is None else (len(starts) - 1,)
    return v.reshape(shape), policy.reshape(payoff.shape)


def chi_square_maximum(
    q: npt.ArrayLike, lam: float, reference: npt.ArrayLike, *, first: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    r"""Chi-square-regularised maximum of every state, and the policy that attains it.

    .. math:: v = \max_{p \in \Delta_A} \langle q, p \rangle - \lambda\, \chi^2(p, \nu)

    Parameters and errors as ``soft_maximum``, with nu for rho. At ``lam`` 0 the limit: the maximum over nu > 0, and nu restricted
    to the best actions.

    Examples
    --------
    >>> v, policy = chi_square_maximum([0.0, 1.0], 1.0, [0.5, 0.5])
    >>> float(v), policy
    (0.5625, array([0.375, 0.625]))
    """
    weight = real_number("lam", lam, least=0.0, error=InvalidMDP)
    payoff, nu, starts = batch(q, reference, first)
    v, policy = _chi_square(payoff.reshape(-1), nu.reshape(-1), weight, starts)
    shape = payoff.shape[:-1] if first is None else (len(starts) - 1,)
    return v.reshape(shape), policy.reshape(payoff.shape)


def soft_value(mdp: FiniteMDP, policy: npt.ArrayLike, tau: float, *, reference: npt.ArrayLike | None = None) -> ValueBracket:
    r"""Values of a policy with the bonus :math:`-\tau \sum_a \pi_a \log(\pi_a / \rho_a)` in every state that is met.

    Parameters
    ----------
    policy : (K,), with a horizon also (H, K); actions of probability 0 add nothing.
    tau : temperature >= 0, in reward units.
    reference : rho in the shape of a policy; 1 everywhere when left out: entropy.

    Raises
    ------
    InvalidMDP : not policies of the process, a negative temperature, an action played that the reference never plays.

    Examples
    --------
    >>> mdp = FiniteMDP([2], [[1], [1]], [0.0, 0.0], gamma=0.5)
    >>> soft_value(mdp, [0.5, 0.5], 1.0)
    <ValueBracket [1.38629436112, 1.38629436112], width ...>
    """
    return _charged_value(mdp, mdp.check_policy(policy), Entropy.of(mdp, tau, reference))


def chi_square_value(mdp: FiniteMDP, policy: npt.ArrayLike, lam: float, reference: npt.ArrayLike) -> ValueBracket:
    r"""Values of a policy that pays :math:`\lambda\, \chi^2(\pi, \nu)` in every state that is met; errors as ``soft_value``."""
    return _charged_value(mdp, mdp.check_policy(policy), ChiSquare.of(mdp, lam, reference))


def soft_optimal(mdp: FiniteMDP, tau: float, *, reference: npt.ArrayLike | None = None) -> RegularisedOptimum:
    r"""The policy of largest value plus entropy, by policy iteration; with a horizon by backward induction.

    .. math:: v(s) = \tau \log \sum_a \rho(a \mid s) \exp \frac{r(s, a) + \gamma \sum_{s'} P(s' \mid s, a)\, v(s')}{\tau}

    Parameters
    ----------
    tau : temperature >= 0, in reward units; 0 is the plain process.
    reference : (K,), with a horizon also (H, K); 1 everywhere when left out.

    Raises
    ------
    InvalidMDP : a negative temperature, a reference that is no policy.

    Examples
    --------
    >>> mdp = FiniteMDP([2], [[1], [1]], [0.0, 0.0], gamma=0.5)
    >>> soft_optimal(mdp, 1.0).bracket
    <ValueBracket [1.38629436112, 1.38629436112], width ...>
    """
    return _optimal(mdp, Entropy.of(mdp, tau, reference))


def chi_square_optimal(mdp: FiniteMDP, lam: float, reference: npt.ArrayLike) -> RegularisedOptimum:
    r"""The policy of largest value minus :math:`\lambda\, \chi^2(\pi, \nu)` in every state that is met.

    Parameters
    ----------
    lam : weight >= 0, in reward units; 0 is the process without the actions that nu never plays.
    reference : nu, (K,), with a horizon also (H, K).

    Raises
    ------
    InvalidMDP : a negative weight, a reference that is no policy.

    Examples
    --------
    >>> mdp = FiniteMDP([2], [[1], [1]], [0.0, 1.0], gamma=0.5)
    >>> chi_square_optimal(mdp, 1.0, [0.5, 0.5]).bracket
    <ValueBracket [1.125, 1.125], width ...>
    """
    return _optimal(mdp, ChiSquare.of(mdp, lam, reference))


@dataclass(frozen=True, slots=True, eq=False)
class Entropy:
    """Minus tau times the entropy relative to rho (H or 1, K)."""

    tau: float
    reference: FloatArray

    @classmethod
    def of(cls, mdp: FiniteMDP, tau: float, reference: npt.ArrayLike | None) -> Entropy:
        """Checked."""
        temperature = real_number("tau", tau, least=0.0, error=InvalidMDP)
        rho = np.ones(mdp.policy_shape()) if reference is None else mdp.check_policy(reference)
        return cls(temperature, rho.reshape(-1, mdp.n_pairs))

    def improve(self, q: FloatArray, first: IntArray, step: int) -> tuple[FloatArray, FloatArray]:
        """As ``Regulariser``."""
        return _log_sum_exp(q, self.reference[step], self.tau, first)

    def charge(self, policy: FloatArray, step: int) -> FloatArray:
        """As ``Regulariser``."""
        played = (policy > 0) & (self.tau > 0)
        rho = _never_outside(policy, self.reference[step], self.tau)
        return np.asarray(np.where(played, self.tau * np.log(np.where(played, policy / rho, 1.0)), 0.0))

    def rounding(self, q: FloatArray, first: IntArray) -> FloatArray:
        """As ``Regulariser``."""
        size = np.maximum.reduceat(np.abs(q), first[:-1]) + self.tau * (1.0 + np.log(np.diff(first)))
        smallest = self.reference[self.reference > 0].min()
        return np.asarray((np.diff(first) + 64) * UNIT * (size + self.tau * abs(np.log(smallest))))


@dataclass(frozen=True, slots=True, eq=False)
class ChiSquare:
    """Lambda times the chi-square distance to nu (H or 1, K)."""

    lam: float
    reference: FloatArray

    @classmethod
    def of(cls, mdp: FiniteMDP, lam: float, reference: npt.ArrayLike) -> ChiSquare:
        """Checked."""
        weight = real_number("lam", lam, least=0.0, error=InvalidMDP)
        return cls(weight, mdp.check_policy(reference).reshape(-1, mdp.n_pairs))

    def improve(self, q: FloatArray, first: IntArray, step: int) -> tuple[FloatArray, FloatArray]:
        """As ``Regulariser``."""
        return _chi_square(q, self.reference[step], self.lam, first)

    def charge(self, policy: FloatArray, step: int) -> FloatArray:
        """As ``Regulariser``."""
        nu = _never_outside(policy, self.reference[step], self.lam)
        return np.asarray(self.lam * np.where(policy > 0, policy / nu - 1.0, -1.0))

    def rounding(self, q: FloatArray, first: IntArray) -> FloatArray:
        """As ``Regulariser``."""
        size = np.maximum.reduceat(np.abs(q), first[:-1])
        return np.asarray((4 * np.diff(first) + 128) * UNIT * (size + self.lam))


def _never_outside(policy: FloatArray, reference: FloatArray, weight: float) -> FloatArray:
    outside = (policy > 0) & (reference <= 0)
    if outside.any() and weight > 0:
        raise InvalidMDP(f"the policy plays pair {int(np.argmax(outside))}, which the reference never plays")
    return np.where(reference > 0, reference, 1.0)


def _log_sum_exp(q: FloatArray, rho: FloatArray, tau: float, first: IntArray) -> tuple[FloatArray, FloatArray]:
    starts, width = first[:-1], np.diff(first)
    top = np.maximum.reduceat(np.where(rho > 0, q, -np.inf), starts)
    behind = np.where(rho > 0, q - np.repeat(top, width), -np.inf)
    with np.errstate(over="ignore", under="ignore"):
        weight = rho * (np.exp(behind / tau) if tau > 0 else behind == 0.0)
    total = np.add.reduceat(weight, starts)
    return top + tau * np.log(total), weight / np.repeat(total, width)


def _chi_square(q: FloatArray, nu: FloatArray, lam: float, first: IntArray) -> tuple[FloatArray, FloatArray]:
    starts, width = first[:-1], np.diff(first)
    top = np.maximum.reduceat(np.where(nu > 0, q, -np.inf), starts)
    behind = np.where(nu > 0, q - np.repeat(top, width), 0.0)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        b = np.where(behind < 0, behind / (2.0 * lam), 0.0)
    b = np.maximum(b, -1e300)
    ratio, _ = project(b, nu, first)
    policy = nu * ratio
    excess = np.add.reduceat(policy * ratio, starts) - 1.0
    return top + np.add.reduceat(policy * behind, starts) - lam * excess, policy


def _charged_value(mdp: FiniteMDP, policy: FloatArray, regulariser: Regulariser) -> ValueBracket:
    rows = policy.reshape(-1, mdp.n_pairs)
    charged = np.stack([mdp.reward_at(h) - regulariser.charge(rows[h], h) for h in range(len(rows))])
    return value_bracket(mdp.with_reward(charged.reshape(policy.shape)), policy)


def _optimal(mdp: FiniteMDP, regulariser: Regulariser) -> RegularisedOptimum:
    check_size(mdp)
    if mdp.horizon is not None:
        return _backward(mdp, regulariser)
    step, first = Enclosure(mdp, 0), mdp.first
    v, rounds, settled = np.zeros(mdp.n_states), 0, False
    while rounds < ROUNDS and not settled:
        rounds += 1
        q = mdp.reward + mdp.gamma * np.asarray(mdp.kernel() @ v)
        soft, policy = regulariser.improve(q, first, 0)
        settled = bool(np.abs(soft - v).max() <= 8 * regulariser.rounding(q, first).max())
        v = soft if settled else solve_near(mdp.with_reward(mdp.reward - regulariser.charge(policy, 0)), policy, soft)

    def image(v: FloatArray) -> Interval:
        return _soft_interval(step.pairs(v), regulariser, first, 0)

    low, high = sweeps(image, step.shift(None), v)
    _, policy = regulariser.improve(_middle(step.pairs(_middle((low, high)))), first, 0)
    return RegularisedOptimum(policy, ValueBracket(frozen(low), frozen(high), *expectation(mdp.initial, low, high)), rounds)


def _backward(mdp: FiniteMDP, regulariser: Regulariser) -> RegularisedOptimum:
    assert mdp.horizon is not None
    low = high = mdp.terminal
    policy = np.empty((mdp.horizon, mdp.n_pairs))
    for h in reversed(range(mdp.horizon)):
        step = Enclosure(mdp, h)
        pairs = step.pairs(low)[0], step.pairs(high)[1]
        policy[h] = regulariser.improve(_middle(pairs), mdp.first, h)[1]
        low, high = _soft_interval(pairs, regulariser, mdp.first, h)
    bracket = ValueBracket(frozen(low), frozen(high), *expectation(mdp.initial, low, high))
    return RegularisedOptimum(policy, bracket, mdp.horizon)


def _soft_interval(pairs: Interval, regulariser: Regulariser, first: IntArray, step: int) -> Interval:
    (low, high), slack = pairs, [regulariser.rounding(end, first) for end in pairs]
    return regulariser.improve(low, first, step)[0] - slack[0], regulariser.improve(high, first, step)[0] + slack[1]


def _middle(interval: Interval) -> FloatArray:
    return np.asarray(0.5 * interval[0] + 0.5 * interval[1])
