r"""Weighted simplex problems in ratio space, for many states at once, and the chi-square proximal step made of them.

A policy p is held as its ratio w = p / nu to a reference policy nu, which is never divided by. The basic problem is
:math:`w = (b - \tau)_+` with :math:`\sum_a \nu_a w_a = 1`, solved by Newton's method in tau: monotone and finite.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, IntArray, float_array, int_array, real_number
from eqsolve.mdp.transition import SUM, InvalidMDP

COMPILED = 20_000
"""Pairs from which the compiled loop answers; below it numpy does, and nobody waits for a compiler."""


@dataclass(frozen=True, slots=True, eq=False)
class SimplexUpdate:
    """The answer of ``simplex_update``.

    Parameters
    ----------
    policy : p, in the shape of q.
    ratio : w = p / nu, the state of the next update; 0 where nu is 0.
    multiplier : the price of the simplex row of each state, in units of q.
    residual : the largest violation of the optimality conditions of each state, in units of q.
    """

    policy: FloatArray
    ratio: FloatArray
    multiplier: FloatArray
    residual: FloatArray


def simplex_update(
    q: npt.ArrayLike,
    reference: npt.ArrayLike,
    prior: npt.ArrayLike | None = None,
    *,
    eta: float = np.inf,
    lam: float = 0.0,
    first: npt.ArrayLike | None = None,
) -> SimplexUpdate:
    r"""One chi-square-regularised proximal step of every state.

    .. math:: \max_{p \in \Delta_A}\ \langle q, p \rangle - \lambda \sum_a \frac{p_a^2}{\nu_a}
              - \frac1\eta \sum_a \nu_a \Big( \frac{p_a}{\nu_a} - w_a \Big)^2

    Closed form: :math:`p = \nu (b - \tau)_+` with :math:`b = (\eta q / 2 + w) / (1 + \eta \lambda)`, and q / (2 lambda) for an
    infinite eta.

    Parameters
    ----------
    q : (..., A) payoffs, in reward units; with ``first`` (K,), the actions of all states one after the other.
    reference : nu, in the shape of q; each state sums to 1 within 1e-9. Actions with ``nu = 0`` are never played.
    prior : w, the ratios to ``reference`` of the policy to stay near to, in the shape of q; 1 (the reference) when left out.
    eta : step size > 0; infinite: the prior does not matter.
    lam : weight of the chi-square distance to the reference, >= 0, in reward units; above 0 when eta is infinite.
    first : (S + 1,) the first pair of each state, and K.

    Raises
    ------
    InvalidMDP : shapes that differ, a reference that does not sum to 1 or is negative, a negative prior, eta or lam out of range, a
        quotient that overflows.

    Notes
    -----
    O(A) per Newton step, 1 to 6 steps. Source: equations (2) and (4) of Zhan et al., in the ratio p / nu.

    Examples
    --------
    >>> simplex_update([0.0, 1.0], [0.5, 0.5], lam=1.0).policy
    array([0.375, 0.625])
    """
    payoff, nu, starts = batch(q, reference, first)
    w = np.ones_like(payoff) if prior is None else float_array("prior", prior, error=InvalidMDP)
    if w.shape != payoff.shape:
        raise InvalidMDP(f"prior has shape {w.shape}, q has {payoff.shape}")
    if w.min(initial=0.0) < 0:
        raise InvalidMDP(f"prior has the ratio {w.min():g}, a negative number")
    weight = real_number("lam", lam, least=0.0, error=InvalidMDP)
    rate = np.inf if eta == np.inf else real_number("eta", eta, above=0.0, error=InvalidMDP)
    if rate == np.inf and weight == 0.0:
        raise InvalidMDP("eta is infinite and lam is 0: nothing regularises the step", "Give a finite eta, or lam above 0.")
    with np.errstate(over="ignore"):
        b = payoff / (2.0 * weight) if rate == np.inf else (0.5 * rate * payoff + w) / (1.0 + rate * weight)
    if not np.isfinite(b).all():
        raise InvalidMDP(f"q / lam overflows at lam {weight:g}, eta {rate:g}", "Choose a larger lam or a smaller eta.")
    flat, tau = project(b.reshape(-1), nu.reshape(-1), starts)
    ratio = flat.reshape(payoff.shape)
    price = 2.0 * weight + (0.0 if rate == np.inf else 2.0 / rate)
    pull = 0.0 if rate == np.inf else 2.0 / rate * w
    slope = (payoff + pull - price * ratio).reshape(-1) - np.repeat(price * tau, np.diff(starts))
    wrong = np.where(nu.reshape(-1) > 0, np.where(flat > 0, np.abs(slope), np.maximum(slope, 0.0)), 0.0)
    residual = np.maximum.reduceat(wrong, starts[:-1])
    shape = payoff.shape[:-1] if first is None else (len(starts) - 1,)
    return SimplexUpdate(nu * ratio, ratio, (price * tau).reshape(shape), residual.reshape(shape))


def project(b: FloatArray, nu: FloatArray, first: IntArray) -> tuple[FloatArray, FloatArray]:
    """Ratios (K,) and tau (S,) of w = (b - tau)_+, sum of nu w = 1 in each state; 0 where nu is 0."""
    if len(b) >= COMPILED:
        from eqsolve.mdp.simplex_kernels import project as compiled

        w, tau = np.empty(len(b)), np.empty(len(first) - 1)
        compiled(b, nu, first, w, tau)
        return w, tau
    return project_numpy(b, nu, first)


def project_numpy(b: FloatArray, nu: FloatArray, first: IntArray) -> tuple[FloatArray, FloatArray]:
    """The numpy twin of the compiled ``project``."""
    starts, width = first[:-1], np.diff(first)
    top = np.maximum.reduceat(np.where(nu > 0, b, -np.inf), starts)
    c = np.where(nu > 0, b - np.repeat(top, width), 0.0)
    active = nu > 0
    while True:
        weight = np.where(active, nu, 0.0)
        tau = (np.add.reduceat(weight * c, starts) - 1.0) / np.add.reduceat(weight, starts)
        smaller = active & (c > np.repeat(tau, width))
        if (smaller == active).all():
            break
        active = smaller
    return np.where(active, c - np.repeat(tau, width), 0.0), tau + top


def batch(q: npt.ArrayLike, nu: npt.ArrayLike, first: npt.ArrayLike | None) -> tuple[FloatArray, FloatArray, IntArray]:
    """Payoffs and reference as given, checked, and the first pair of each state of their flat form.

    Raises
    ------
    InvalidMDP : shapes that differ, numbers that are not finite, a reference that is no policy.
    """
    payoff, reference = float_array("q", q, error=InvalidMDP), float_array("reference", nu, error=InvalidMDP)
    if payoff.shape != reference.shape or not payoff.size:
        raise InvalidMDP(f"q has shape {payoff.shape} and the reference {reference.shape}", "Both are (..., A), or (K,).")
    starts = segments(payoff, first)
    if reference.min() < 0:
        at = tuple(int(k) for k in np.argwhere(reference < 0)[0])
        raise InvalidMDP(f"reference{list(at)} is {reference[at]:g}, a negative probability")
    total = np.add.reduceat(reference.reshape(-1), starts[:-1])
    wrong = np.abs(total - 1.0) > SUM
    if wrong.any():
        s = int(np.argmax(wrong))
        raise InvalidMDP(f"reference of row {s} sums to {total[s]:.12g}, not 1")
    return payoff, reference, starts


def segments(payoff: FloatArray, first: npt.ArrayLike | None) -> IntArray:
    """(S + 1,) from a batch (..., A), or as given for (K,)."""
    if first is None:
        if payoff.ndim == 0 or payoff.shape[-1] == 0:
            raise InvalidMDP(f"q has shape {payoff.shape}, expected (..., A)")
        A = payoff.shape[-1]
        return np.arange(0, payoff.size + A, A)
    starts: Any = int_array("first", first, (None,), error=InvalidMDP)
    if payoff.ndim != 1 or len(starts) < 2 or starts[0] != 0 or starts[-1] != payoff.size or (np.diff(starts) < 1).any():
        raise InvalidMDP(f"first does not cut q of shape {payoff.shape} into states", "It runs from 0 to K and increases.")
    return np.asarray(starts)
