"""Best responses within a chi-square ball around a reference policy: one state, one budget over contexts, one budget per step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, real_number
from eqsolve.mdp.ball_dual import BallOptimum, ball_optimal
from eqsolve.mdp.simplex import SimplexUpdate, batch, simplex_update
from eqsolve.mdp.transition import SUM, InvalidMDP

__all__ = [
    "AveragedBallResponse",
    "BallOptimum",
    "BallResponse",
    "SimplexUpdate",
    "averaged_ball_best_response",
    "ball_best_response",
    "ball_optimal",
    "simplex_update",
]


@dataclass(frozen=True, slots=True, eq=False)
class BallResponse:
    """The answer of ``ball_best_response``: ``policy`` (..., A), ``value`` (...) and ``multiplier`` (...), the price of radius."""

    policy: FloatArray
    value: FloatArray
    multiplier: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class AveragedBallResponse:
    """The answer of ``averaged_ball_best_response``: ``policy`` (N, A), its expected ``value``, ``multiplier`` of the budget."""

    policy: FloatArray
    value: float
    multiplier: float


def ball_best_response(q: npt.ArrayLike, nu: npt.ArrayLike, radius: float, *, first: npt.ArrayLike | None = None) -> BallResponse:
    r"""Best policy within a chi-square ball around the behaviour policy.

    .. math:: \max_{\mu \in \Delta_A} \langle q, \mu \rangle \quad \text{s.t.} \quad
              \chi^2(\mu, \nu) = \sum_a \mu_a^2 / \nu_a - 1 \le C

    Parameters
    ----------
    q : (..., A) payoffs, in reward units; with ``first`` (K,), the actions of all states one after the other.
    nu : behaviour policy in the shape of q; each state sums to 1 within 1e-9. Actions with ``nu = 0`` are never played.
    radius : C >= 0. At 0 the answer is ``nu``.
    first : (S + 1,) the first pair of each state, and K.

    Returns
    -------
    BallResponse with ``policy`` in the shape of q, and per state ``value`` and ``multiplier``, the price of one unit of radius
    (infinite at radius 0 unless all payoffs are equal).

    Raises
    ------
    InvalidMDP : a row of ``nu`` does not sum to 1 (the message names the row and the sum), ``radius`` is negative.

    Notes
    -----
    mu is proportional to nu (q - tau)_+. From the full support, actions at or below tau leave until none does; with the mass m0,
    mean and variance of q over the rest, the value is mean + sqrt(variance ((1 + C) m0 - 1)). Among several maximisers, the one of
    least chi-square: nu restricted to the best actions when these alone fit into the ball. Source: the class
    :math:`\Pi_i(C)` in Theorem 2 of Zhan et al.

    Examples
    --------
    >>> float(ball_best_response([1.0, 2.0, 3.0], [0.2, 0.3, 0.5], radius=0.0).value)
    2.3
    >>> ball_best_response([0.0, 1.0], [0.5, 0.5], radius=0.25)
    BallResponse(policy=array([0.25, 0.75]), value=array(0.75), multiplier=array(0.5))
    """
    payoff, reference, starts = batch(q, nu, first)
    C = real_number("radius", radius, least=0.0, error=InvalidMDP)
    flat, weight, width = payoff.reshape(-1), reference.reshape(-1), np.diff(starts)
    top = np.maximum.reduceat(np.where(weight > 0, flat, -np.inf), starts[:-1])
    c = np.where(weight > 0, flat - np.repeat(top, width), 0.0)
    best = (weight > 0) & (c == 0.0)
    fits = _sum(np.where(best, weight, 0.0), starts) * (1.0 + C) >= 1.0
    active = np.where(np.repeat(fits, width), best, weight > 0) if C > 0 else weight > 0
    while True:
        mass, mean, variance, room = _moments(c, weight, active, starts, C)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(variance > 0, np.sqrt(room / np.where(variance > 0, variance, 1.0)), 0.0)
        w = np.where(active, (1.0 + np.repeat(slope, width) * (c - np.repeat(mean, width))) / np.repeat(mass, width), 0.0)
        smaller = active & ((w > 0.0) | np.repeat(fits, width))
        if (smaller == active).all():
            break
        active = smaller
    value = top + mean + np.sqrt(variance * room)
    with np.errstate(divide="ignore"):
        price = np.where(variance > 0, 0.5 * mass / np.where(slope > 0, slope, 0.0), 0.0)
    shape = payoff.shape[:-1] if first is None else (len(starts) - 1,)
    return BallResponse((weight * w).reshape(payoff.shape), value.reshape(shape), price.reshape(shape))


def averaged_ball_best_response(q: npt.ArrayLike, nu: npt.ArrayLike, weights: npt.ArrayLike, radius: float) -> AveragedBallResponse:
    r"""Best policy of every context when one budget of chi-square is shared by all of them.

    .. math:: \max\ \sum_c \rho_c \langle q_c, \mu_c \rangle \quad \text{s.t.} \quad \sum_c \rho_c\, \chi^2(\mu_c, \nu_c) \le C

    Parameters
    ----------
    q, nu : (N, A) payoffs and behaviour policies of the contexts.
    weights : (N,) rho, a distribution over contexts.
    radius : C >= 0.

    Raises
    ------
    InvalidMDP : as ``ball_best_response``; weights that are no distribution.

    Notes
    -----
    All contexts share u = 1 / (2 multiplier): with the active sets fixed, the chi-square is a quadratic in u, so that Newton's
    method on active sets is finite.

    Examples
    --------
    >>> averaged_ball_best_response([[0, 1], [0, 2]], [[0.5, 0.5], [0.5, 0.5]], [0.5, 0.5], 0.25).policy.round(3)
    array([[0.342, 0.658],
           [0.184, 0.816]])
    """
    payoff, reference, starts = batch(q, nu, None)
    if payoff.ndim != 2:
        raise InvalidMDP(f"q has shape {payoff.shape}, expected (contexts, actions)")
    C = real_number("radius", radius, least=0.0, error=InvalidMDP)
    rho = float_array("weights", weights, (len(payoff),), error=InvalidMDP)
    if rho.min() < 0 or abs(rho.sum() - 1.0) > SUM:
        raise InvalidMDP(f"weights sum to {rho.sum():.12g}, the least is {rho.min():g}: not a distribution over contexts")
    flat, weight, A = payoff.reshape(-1), reference.reshape(-1), payoff.shape[1]
    top = np.maximum.reduceat(np.where(weight > 0, flat, -np.inf), starts[:-1])
    c = np.where(weight > 0, flat - np.repeat(top, A), 0.0)
    best = (weight > 0) & (c == 0.0)
    least = 1.0 / _sum(np.where(best, weight, 0.0), starts)
    if rho @ (least - 1.0) <= C:
        policy = np.where(best, weight * np.repeat(least, A), 0.0).reshape(payoff.shape)
        return AveragedBallResponse(policy, float(rho @ top), 0.0)
    active = weight > 0
    while True:
        mass, mean, variance, _ = _moments(c, weight, active, starts, C)
        spread, used = float(rho @ (variance * mass)), float(rho @ (1.0 / mass - 1.0))
        u = float(np.sqrt(max(C - used, 0.0) / spread)) if spread > 0 else 0.0
        w = np.where(active, 1.0 / np.repeat(mass, A) + u * (c - np.repeat(mean, A)), 0.0)
        smaller = active & (w > 0.0)
        if (smaller == active).all():
            break
        active = smaller
    policy = (weight * w).reshape(payoff.shape)
    return AveragedBallResponse(policy, float(rho @ (policy * payoff).sum(axis=1)), 0.5 / u if u > 0 else np.inf)


def _moments(
    c: FloatArray, nu: FloatArray, active: npt.NDArray[np.bool_], starts: IntArray, C: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mass, mean and variance (S,) of the active payoffs, and (1 + C) mass - 1 without cancellation at small C."""
    weight, width = np.where(active, nu, 0.0), np.diff(starts)
    mass = _sum(weight, starts)
    mean = _sum(weight * c, starts) / mass
    variance = _sum(weight * (c - np.repeat(mean, width)) ** 2, starts) / mass
    left_out = _sum(np.where(active, 0.0, nu), starts)
    return mass, mean, variance, np.maximum(C * mass - left_out, 0.0)


def _sum(x: FloatArray, starts: IntArray) -> FloatArray:
    return np.add.reduceat(x, starts[:-1])
