"""Values, action values, advantages and visits of a given policy, exact to rounding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, float_array
from eqsolve.mdp.bellman import UNIT, Bellman
from eqsolve.mdp.linear import PolicySystem
from eqsolve.mdp.model import FiniteMDP, InvalidMDP, Kernel


def policy_kernel(mdp: FiniteMDP, policy: npt.ArrayLike, step: int = 0) -> Kernel:
    """(S, S) the transition probabilities of a policy (K,) at a step; sparse where those of the process are."""
    return _kernel_of(mdp, float_array("policy", policy, (mdp.n_pairs,), error=InvalidMDP), step)


def evaluate(mdp: FiniteMDP, policy: npt.ArrayLike) -> FloatArray:
    r"""The values of a policy.

    .. math:: v = r_\pi + \gamma P_\pi v \qquad \text{or} \qquad
              v_h = r_{\pi,h} + \gamma P_{\pi,h} v_{h+1},\quad v_H = v_{\text{end}}

    Parameters
    ----------
    policy : (K,) probabilities, with a horizon also (H, K).

    Returns
    -------
    (S,), or (H + 1, S) with a horizon; in reward units. Without a horizon the residual of the linear system is refined until it is
    rounding and is at most 1e-12 of the sizes in it; ``evaluation_error`` bounds the error.

    Raises
    ------
    InvalidMDP : the policy has another shape, is negative, or does not sum to 1 in a state; the values are not finite.
    SolveFailure : the residual stays larger.

    Examples
    --------
    >>> from eqsolve.mdp import FiniteMDP
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    >>> evaluate(mdp, mdp.uniform_policy()).round(6).tolist()
    [5.454545, -10.0]
    """
    pi = mdp.check_policy(policy)
    if mdp.horizon is None:
        Bellman.of(mdp, compiled=False)
        return PolicySystem.of(_kernel_of(mdp, pi, 0), mdp.gamma).solve(_by_state(mdp, pi * mdp.reward))
    values = np.zeros((mdp.horizon + 1, mdp.n_states))
    values[-1] = mdp.terminal
    for h in range(mdp.horizon - 1, -1, -1):
        q = mdp.reward_at(h) + mdp.gamma * (mdp.kernel(h) @ values[h + 1])
        values[h] = _by_state(mdp, pi[h] * q)
    return values


def evaluation_error(mdp: FiniteMDP, policy: npt.ArrayLike, values: npt.ArrayLike) -> float:
    r"""A true bound of :math:`\max_s |v(s) - v^\pi(s)|` for any values v, without a horizon.

    It is the residual :math:`\max |r_\pi + \gamma P_\pi v - v|`, plus what rounding may have hidden of it, over 1 - gamma.

    Raises
    ------
    InvalidMDP : as ``evaluate``, or the process has a horizon. InvalidData : ``values`` has another shape or is not finite.
    """
    pi = mdp.check_policy(policy)
    if mdp.horizon is not None:
        raise InvalidMDP(f"the error bound is for processes without end; this one has horizon {mdp.horizon}")
    v = float_array("values", values, (mdp.n_states,))
    operator = Bellman.of(mdp, compiled=False)
    residual = _by_state(mdp, pi * operator.action_values(v)) - v
    most = int(mdp.n_actions.max())
    share = float(_by_state(mdp, pi).max()) * (1.0 + (most + 2) * UNIT)
    rounding = operator.rounding(v) * (1.0 + (most + 4) / operator.terms) * share
    left = float(np.abs(residual).max()) * (1.0 + 4 * UNIT) + rounding
    rate = mdp.gamma * operator.mass[1] * share * (1.0 + 4 * UNIT)
    return left / (1.0 - rate) * (1.0 + 4 * UNIT) if rate < 1.0 else float("inf")


def q_values(mdp: FiniteMDP, values: npt.ArrayLike) -> FloatArray:
    r"""Action values :math:`q = r + \gamma P v`.

    Parameters
    ----------
    values : (S,), or (H + 1, S) with a horizon, in reward units.

    Returns
    -------
    (K,), or (H, K) with a horizon.

    Raises
    ------
    InvalidData : ``values`` has another shape or is not finite.
    """
    if mdp.horizon is None:
        v = float_array("values", values, (mdp.n_states,))
        return np.asarray(mdp.reward + mdp.gamma * (mdp.kernel() @ v))
    v = float_array("values", values, (mdp.horizon + 1, mdp.n_states))
    return np.stack([mdp.reward_at(h) + mdp.gamma * (mdp.kernel(h) @ v[h + 1]) for h in range(mdp.horizon)])


def advantages(mdp: FiniteMDP, values: npt.ArrayLike) -> FloatArray:
    """Action values less the value of the state, (K,) or (H, K); ``values`` as for ``q_values``, which raises the same.

    With the values of a policy: what one use of the action earns before the policy goes on. With optimal values: at most 0.
    """
    q = q_values(mdp, values)
    v = float_array("values", values, (mdp.n_states,) if mdp.horizon is None else (mdp.horizon + 1, mdp.n_states))
    return q - np.repeat(v if mdp.horizon is None else v[:-1], mdp.n_actions, axis=-1)


def visitation(mdp: FiniteMDP, policy: npt.ArrayLike, *, normalised: bool = True) -> FloatArray:
    r"""Expected discounted visits of the state-action pairs, from the initial distribution.

    .. math:: d_h(s, a) = \gamma^h \Pr(s_h = s, a_h = a), \qquad d(s, a) = \sum_{h \ge 0} d_h(s, a)

    Parameters
    ----------
    policy : (K,) probabilities, with a horizon also (H, K).
    normalised : divide by the sum of all visits, which is 1 / (1 - gamma), or 1 + gamma + ... + gamma^(H-1) with a horizon (H where
        nothing is discounted): the result is a distribution.

    Returns
    -------
    (K,) d, or (H, K) d_h with a horizon.

    Raises
    ------
    InvalidMDP, SolveFailure : as ``evaluate``.

    Examples
    --------
    >>> from eqsolve.mdp import FiniteMDP
    >>> mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.5, initial=0)
    >>> visitation(mdp, [0.0, 1.0, 1.0]).tolist()
    [0.0, 0.5, 0.5]
    >>> visitation(mdp, [0.0, 1.0, 1.0], normalised=False).tolist()
    [0.0, 1.0, 1.0]
    """
    pi = mdp.check_policy(policy)
    if mdp.horizon is None:
        Bellman.of(mdp, compiled=False)
        system = PolicySystem.of(_kernel_of(mdp, pi, 0), mdp.gamma)
        scale = 1.0 - mdp.gamma if normalised else 1.0
        visits = np.maximum(system.solve(scale * mdp.initial, transposed=True), 0.0)
        return np.asarray(np.repeat(visits, mdp.n_actions) * pi)
    result = np.empty(mdp.policy_shape())
    here = mdp.initial
    for h in range(mdp.horizon):
        result[h] = np.repeat(here, mdp.n_actions) * pi[h]
        here = mdp.gamma * (mdp.kernel(h).T @ result[h])
    return result / float((mdp.gamma ** np.arange(mdp.horizon)).sum()) if normalised else result


def _by_state(mdp: FiniteMDP, x: FloatArray) -> FloatArray:
    return np.asarray(np.add.reduceat(x, mdp.first[:-1], axis=-1))


def _kernel_of(mdp: FiniteMDP, pi: FloatArray, step: int) -> Kernel:
    kernel = mdp.kernel(step)
    played = np.flatnonzero(pi)
    if len(played) == mdp.n_states and (pi[played] == 1.0).all():
        return kernel[played]
    weights = sparse.csr_array((pi, np.arange(mdp.n_pairs), mdp.first), shape=(mdp.n_states, mdp.n_pairs))
    return weights @ kernel
