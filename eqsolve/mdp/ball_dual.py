"""Policies within a chi-square ball per step, by a dynamic program over the prices of the steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array
from eqsolve.certificates.rounding import UNIT
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.simplex import project

NEWTON = 20
MOST_PRICES = 200
"""Prices up to which Newton's method polishes them: each of its steps costs as many evaluations."""
TIE = 1e-13
"""Payoffs this close, relative to the largest, count as equal where a step has no price."""


@dataclass(frozen=True, slots=True, eq=False)
class BallOptimum:
    """The answer of ``ball_optimal``.

    Parameters
    ----------
    policy : (H, K), within the ball of every step up to rounding.
    value : its value from the initial distribution.
    bound : no policy within the balls has a larger value; ``bound - value`` certifies the answer.
    multipliers : (H,) the price of one unit of radius at each step; infinite where the radius is 0.
    chi_square : (H,) expected chi-square of the policy at each step.
    """

    policy: FloatArray
    value: float
    bound: float
    multipliers: FloatArray
    chi_square: FloatArray

    @property
    def gap(self) -> float:
        """How much better the best policy may be."""
        return self.bound - self.value


def ball_optimal(mdp: FiniteMDP, nu: npt.ArrayLike, radius: npt.ArrayLike) -> BallOptimum:
    r"""The best policy whose expected chi-square distance to ``nu`` is at most ``radius`` at every step.

    .. math:: \min_{\sigma \ge 0}\ \sum_h \sigma_h C_h + \mathbb{E}\, V_0^\sigma, \qquad
              V_h^\sigma(s) = \max_{p \in \Delta}\ \langle Q_h^\sigma(s), p \rangle - \sigma_h\, \chi^2(p, \nu_h(s))

    The dual of ``chi_square_ball_program`` in H prices: each evaluation is one backward and one forward sweep with a closed-form
    step per state. The policy is mixed towards ``nu`` in the space of visits until it lies in the ball, so that value and bound
    hold whatever the search for prices did.

    Parameters
    ----------
    mdp : with a horizon.
    nu : (K,) or (H, K) behaviour policy; actions of probability 0 are never played.
    radius : C >= 0, a number or (H,).

    Raises
    ------
    InvalidMDP : no horizon, ``nu`` is not a policy, a radius that is negative or of another shape.

    Notes
    -----
    Source: the class :math:`\Pi_i(C)` in Theorem 2 of Zhan et al.

    Examples
    --------
    >>> mdp = FiniteMDP([2], [[1], [1]], [0.0, 1.0], horizon=1)
    >>> best = ball_optimal(mdp, [0.5, 0.5], 0.25)
    >>> best.policy.round(9), round(best.value, 9), best.multipliers.round(6)
    (array([[0.25, 0.75]]), 0.75, array([0.5]))
    """
    from scipy.optimize import minimize

    if mdp.horizon is None:
        raise InvalidMDP("a chi-square ball has one budget per step, and there is no horizon", "Give the process a horizon.")
    C = float_array("radius", radius, (mdp.horizon,), error=InvalidMDP)
    if C.min() < 0:
        raise InvalidMDP(f"radius[{int(np.argmax(C < 0))}] is {C.min():g}, a negative number")
    dual = _Dual(mdp, mdp.check_policy(nu), C)
    centre = dual.forward(dual.nu)
    unit = max(float(np.abs(dual.reward).max()), float(np.abs(dual.terminal).max())) or 1.0
    prices = np.where(C > 0, dual.guess(centre), 0.0)
    best = dual.at(prices)
    if (C > 0).any():
        answer = minimize(
            lambda z: (lambda e: (e.bound / unit, np.where(C > 0, e.slope, 0.0)))(dual.at(z * unit)),
            prices / unit,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, None)] * mdp.horizon,
            options={"maxiter": 500, "ftol": 1e-15, "gtol": 1e-12, "maxls": 40},
        )
        best = min((best, dual.at(np.asarray(answer.x) * unit)), key=lambda e: e.bound)
        best = dual.polished(best)
    return dual.primal(best, centre)


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluation:
    prices: FloatArray
    bound: float
    policy: FloatArray
    visits: FloatArray
    used: FloatArray
    slope: FloatArray


class _Dual:
    def __init__(self, mdp: FiniteMDP, nu: FloatArray, C: FloatArray) -> None:
        self.mdp, self.nu, self.C = mdp, nu, C
        self.H, self.starts, self.width = len(C), mdp.first[:-1], mdp.n_actions
        scale = mdp.gamma ** np.arange(self.H + 1)
        self.reward = np.stack([scale[h] * mdp.reward_at(h) for h in range(self.H)])
        self.terminal = scale[-1] * mdp.terminal
        self.longest = max(int((kernel != 0).sum(axis=1).max()) for kernel in mdp.transition)

    def at(self, prices: FloatArray) -> _Evaluation:
        """Backward: the policy of the prices and the bound; forward: what it uses of the budgets."""
        policy, v, size = np.empty_like(self.reward), self.terminal, 0.0
        for h in reversed(range(self.H)):
            q = self.reward[h] + np.asarray(self.mdp.kernel(h) @ v)
            policy[h], v = self._step(q, h, float(prices[h]))
            size = max(size, float(np.abs(q).max()), float(np.abs(v).max()))
        visits = self.forward(policy)
        used = self.used(visits, policy)
        priced = self.C > 0
        rounding = (2 * self.H * (self.longest + int(self.width.max()) + 32) + self.mdp.n_states) * UNIT * size
        bound = float(self.mdp.initial @ v) + float(np.where(priced, prices, 0.0) @ self.C) + rounding
        return _Evaluation(prices, bound, policy, visits, used, self.C - used)

    def _step(self, q: FloatArray, h: int, price: float) -> tuple[FloatArray, FloatArray]:
        """The policy (K,) and soft values (S,) of one step."""
        nu = self.nu[h]
        if self.C[h] == 0.0:
            return nu, np.add.reduceat(nu * q, self.starts)
        top = np.maximum.reduceat(np.where(nu > 0, q, -np.inf), self.starts)
        behind = np.where(nu > 0, q - np.repeat(top, self.width), 0.0)
        if price <= 0.0:
            near = np.where((nu > 0) & (behind >= -TIE * (1.0 + np.abs(np.repeat(top, self.width)))), nu, 0.0)
            return near / np.repeat(np.add.reduceat(near, self.starts), self.width), top
        with np.errstate(over="ignore"):
            ratio, _ = project(np.maximum(behind / (2.0 * price), -1e300), nu, self.mdp.first)
        policy = nu * ratio
        charge = price * (np.add.reduceat(policy * ratio, self.starts) - 1.0)
        return policy, top + np.add.reduceat(policy * behind, self.starts) - charge

    def forward(self, policy: FloatArray) -> FloatArray:
        """Visits (H, K)."""
        visits, state = np.empty_like(policy), self.mdp.initial
        for h in range(self.H):
            visits[h] = policy[h] * np.repeat(state, self.width)
            if h + 1 < self.H:
                state = np.asarray(self.mdp.kernel(h).T @ visits[h])
        return visits

    def used(self, visits: FloatArray, policy: FloatArray) -> FloatArray:
        """(H,) expected chi-square."""
        ratio = np.where(self.nu > 0, policy / np.where(self.nu > 0, self.nu, 1.0), 0.0)
        return np.asarray(np.maximum((visits * (ratio - 1.0)).sum(axis=1), 0.0))

    def value(self, visits: FloatArray) -> float:
        """Of visits (H, K)."""
        end = np.asarray(self.mdp.kernel(self.H - 1).T @ visits[-1])
        return float((visits * self.reward).sum() + end @ self.terminal)

    def guess(self, centre: FloatArray) -> FloatArray:
        """Prices at which the unclipped answer around nu would use up each budget."""
        prices, v = np.zeros(self.H), self.terminal
        for h in reversed(range(self.H)):
            q = self.reward[h] + np.asarray(self.mdp.kernel(h) @ v)
            v = np.add.reduceat(self.nu[h] * q, self.starts)
            spread = float(centre[h] @ (q - np.repeat(v, self.width)) ** 2)
            prices[h] = 0.5 * np.sqrt(spread / self.C[h]) if self.C[h] > 0 else 0.0
        return prices

    def polished(self, best: _Evaluation) -> _Evaluation:
        """Newton's method on the prices above 0, with differences for the derivative, while the bound or the slope improves."""
        for _ in range(NEWTON):
            free = np.flatnonzero((best.prices > 0) & (self.C > 0))
            miss = float(np.abs(best.slope[free]).max(initial=0.0))
            if miss <= 1e-14 * (1.0 + float(self.C.max())) or len(free) > MOST_PRICES:
                break
            jacobian = np.empty((len(free), len(free)))
            for column, h in enumerate(free):
                moved = best.prices.copy()
                moved[h] *= 1.0 + 1e-6
                jacobian[:, column] = (self.at(moved).slope[free] - best.slope[free]) / (moved[h] - best.prices[h])
            change = np.linalg.lstsq(jacobian, best.slope[free], rcond=None)[0]
            trial = best.prices.copy()
            trial[free] = np.maximum(trial[free] - change, 0.1 * trial[free])
            found = self.at(trial)
            if not float(np.abs(found.slope[free]).max()) < miss:
                break
            best = found
        return best

    def primal(self, found: _Evaluation, centre: FloatArray) -> BallOptimum:
        """The policy mixed towards nu into the ball, which is convex in visits."""
        over = np.where(found.used > self.C, 1.0 - self.C / np.where(found.used > 0, found.used, 1.0), 0.0)
        share = float(np.where(found.used > 1e-15, over, 0.0).max())
        visits = (1.0 - share) * found.visits + share * centre
        total = np.repeat(np.add.reduceat(visits, self.starts, axis=1), self.width, axis=1)
        policy = np.where(total > 0, visits / np.where(total > 0, total, 1.0), found.policy)
        value = self.value(visits)
        multipliers = np.where(self.C > 0, found.prices, np.inf)
        return BallOptimum(policy, value, max(found.bound, value), multipliers, self.used(visits, policy))
